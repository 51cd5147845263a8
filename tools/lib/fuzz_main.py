# SPDX-License-Identifier: MIT
"""Feeds hostile input to one of the libFuzzer targets of tests/fuzz, until it breaks or time is up.

What was found interesting is kept in build/fuzz/NAME/corpus, and the next run begins with it and with the seeds of
tests/fuzz/corpus/NAME. Exit status: 0 clean; 1 an input broke it (the input is kept, and named); 2 usage, or it could
not be run; 130 interrupted."""

import argparse
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

sys.dont_write_bytecode = True
ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.runner import fuzz  # noqa: E402
from lib import build, install  # noqa: E402  (tools/lib)
from lib.common import BUILD, Parser, Trouble, progress, told  # noqa: E402

FUZZ_NEEDS = {"/usr/lib/llvm-14/lib/clang/*/lib/linux/libclang_rt.fuzzer-x86_64.a": "libclang-rt-14-dev",
              "/usr/include/cmocka.h": "libcmocka-dev"}
CLEAN, BROKEN, INTERRUPTED = 0, 1, 130
PROGRESS_SECONDS = 10
SHOWN_LINES = 40


def arguments():
    parser = Parser(prog="./tools/fuzz", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("name", nargs="?", metavar="NAME", help=f"of {', '.join(fuzz.TARGETS)}")
    add("--list", action="store_true", help="say what each target is, and run none")
    add("--seconds", type=int, metavar="N", help="stop after so long (default 60, or no limit with --runs)")
    add("--runs", type=int, metavar="N", help="stop after so many executions, of all jobs together")
    add("--jobs", type=int, default=1, metavar="N", help="processes at a time, which share what they find (default 1)")
    add("--max-len", type=int, metavar="N", help="longest input in bytes (default: the target's own)")
    add("--seed", type=int, default=0, metavar="N", help="of the random numbers (default: another each time)")
    add("--input", type=Path, metavar="FILE", help="run this one input instead, to see again how it breaks")
    add("--no-install", action="store_true", help="install nothing; say what is missing")
    options = parser.parse_args()
    if not options.list:
        check(options)
    return options


def check(options):
    if options.name not in fuzz.TARGETS:
        what = f"there is no target '{options.name}'" if options.name else "no target is named"
        raise Trouble(f"{what}; there are: {', '.join(fuzz.TARGETS)}")
    for option in ("seconds", "runs", "jobs", "max_len"):
        if (value := getattr(options, option)) is not None and not 0 < value < 1 << 31:
            raise Trouble(f"--{option.replace('_', '-')} must be from 1 to 2147483647")
    if not 0 <= options.seed < 1 << 31:
        raise Trouble("--seed must be from 0 to 2147483647")
    if options.input and not options.input.is_file():
        raise Trouble(f"--input: there is no file '{options.input}'")


class Job:
    """One process of the target, with its log."""

    def __init__(self, target, options, folder, number):
        self.log = folder / f"job{number}.log"
        corpus = folder / "corpus"
        corpus.mkdir(exist_ok=True)
        command = [target.program(), f"-artifact_prefix={folder}/", f"-max_len={options.max_len or target.max_len}",
                   "-timeout=20", "-rss_limit_mb=2048", "-reload=10", "-print_final_stats=1"]
        if options.seed:
            command.append(f"-seed={options.seed + number}")
        if options.runs:
            share = options.runs // options.jobs + (number < options.runs % options.jobs)
            command.append(f"-runs={max(share, 1)}")
        if seconds := options.seconds or (0 if options.runs else 60):
            command.append(f"-max_total_time={seconds}")
        with open(self.log, "w", encoding="utf-8") as log:
            self.process = subprocess.Popen([*command, corpus, target.seeds], env=fuzz.environment(), stdout=log,
                                            stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)

    def words(self):
        return self.log.read_text(errors="replace")

    def executions(self):
        """As far as it has told; exact once it has ended."""
        text = self.words()
        final = re.findall(r"^stat::number_of_executed_units: +(\d+)", text, re.MULTILINE)
        told = re.findall(r"^#(\d+)\t", text, re.MULTILINE)
        return int((final or told or ["0"])[-1])

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)  # it then tells its statistics
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()


def watch(target, jobs, start):
    """Until all have ended well or one has not."""
    told = start
    while True:
        states = [job.process.poll() for job in jobs]
        if any(states) or None not in states:
            return
        time.sleep(0.2)
        if time.monotonic() - told >= PROGRESS_SECONDS:
            told = time.monotonic()
            progress("fuzz", f"{target.name}: {told - start:.0f} s, at least {sum(job.executions() for job in jobs)} "
                             "executions")


def sentence(target, jobs, seconds, result):
    executions = sum(job.executions() for job in jobs)
    each = "1 job" if len(jobs) == 1 else f"{len(jobs)} jobs"
    return (f"{target.name}: {executions} executions in {seconds:.0f} s, {executions / max(seconds, 0.001):.0f} a "
            f"second ({each}): {result}")


def judge(target, jobs, folder, before, seconds):
    failed = [job for job in jobs if job.process.returncode != 0]
    found = [path for path in fuzz.broken_inputs(folder) if path not in before]
    if not failed and not found:
        progress("fuzz", sentence(target, jobs, seconds, "clean"))
        return CLEAN
    for job in failed[:1]:
        print("\n".join(job.words().splitlines()[-SHOWN_LINES:]), file=sys.stderr)
    if not found:
        raise Trouble(f"{target.name} ended with status {failed[0].process.returncode} and left no input; its words "
                      f"are in {failed[0].log}")
    progress("fuzz", sentence(target, jobs, seconds, f"broken by {found[0].relative_to(ROOT)}"))
    progress("fuzz", f"to see it again: ./tools/fuzz {target.name} --input {found[0].relative_to(ROOT)}")
    return BROKEN


def run(target, options):
    folder = BUILD / "fuzz" / target.name
    folder.mkdir(parents=True, exist_ok=True)
    before = fuzz.broken_inputs(folder)
    start = time.monotonic()
    jobs = []
    try:
        for number in range(options.jobs):
            jobs.append(Job(target, options, folder, number))
        watch(target, jobs, start)
    except KeyboardInterrupt:
        for job in jobs:
            job.stop()
        status = judge(target, jobs, folder, before, time.monotonic() - start) if jobs else CLEAN
        return status or INTERRUPTED
    finally:
        for job in jobs:
            job.stop()
    return judge(target, jobs, folder, before, time.monotonic() - start)


def run_input(target, file):
    done = subprocess.run([target.program(), "-timeout=20", file], env=fuzz.environment(), stdin=subprocess.DEVNULL,
                          check=False)
    progress("fuzz", f"{target.name}: {file} " + ("is clean" if done.returncode == 0 else
                                                  f"breaks it (status {done.returncode})"))
    return BROKEN if done.returncode != 0 else CLEAN


def work():
    options = arguments()
    if options.list:
        for target in fuzz.TARGETS.values():
            print(f"{target.name:<12} {target.about}")
        return CLEAN
    target = fuzz.TARGETS[options.name]
    install.ensure(install.BUILD_NEEDS | FUZZ_NEEDS, not options.no_install, "fuzz")
    build.build([target.built_by], "fuzz")
    return run_input(target, options.input) if options.input else run(target, options)


if __name__ == "__main__":
    sys.exit(told("fuzz", work))
