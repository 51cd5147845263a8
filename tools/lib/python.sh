# SPDX-License-Identifier: MIT
# Runs a tool, which is written in Python, on a system that may not have Python yet. $1: the tool's name.
tool=$1
shift
main=$(dirname "$(readlink -f "$0")")/lib/${tool}_main.py

if ! command -v python3 >/dev/null 2>&1; then
    case " $* " in *" --no-install "*)
        echo "$tool: python3 is missing. Install it with: apt-get install python3" >&2
        exit 2 ;;
    esac
    as_root=
    [ "$(id -u)" -eq 0 ] || as_root=sudo
    if ! command -v apt-get >/dev/null 2>&1 || { [ -n "$as_root" ] && ! command -v sudo >/dev/null 2>&1; }; then
        echo "$tool: python3 is missing. As root, type: apt-get install python3" >&2
        exit 2
    fi
    echo "$tool: installing python3"
    $as_root apt-get -q -y update >/dev/null
    if ! $as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y install --no-install-recommends python3 >/dev/null; then
        echo "$tool: python3 could not be installed. As root, type: apt-get install python3" >&2
        exit 2
    fi
fi
exec python3 "$main" "$@"
