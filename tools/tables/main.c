/* SPDX-License-Identifier: MIT */
/*
 * iommu-tables: what a DMAR or IVRS table says, by the hypervisor's own parsers. docs/iommu-tables.md
 * describes it; ./tools/iommu-tables builds and runs it.
 */
#include "tools/tables/dmar.h"
#include "tools/tables/input.h"
#include "tools/tables/ivrs.h"
#include "tools/tables/json.h"
#include "tools/tables/live.h"
#include "tools/tables/tree.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define SINGLE_ONLY                                                                                          \
    "\nThere may be units that nobody knows of or can use: Sluice serves only devices that the table names " \
    "one by one.\nThose in a range, behind a bridge, or covered with all the rest stay blocked."

enum status { STATUS_CLEAN, STATUS_FINDINGS, STATUS_UNREADABLE };

static bool as_json;
static union {
    struct dmar dmar;
    struct ivrs ivrs;
} parsed;
static struct remarks remarks;

/* ---- one table ---- */

static void write_remarks(void)
{
    json_open_array("findings");
    for (uint32_t i = 0; i < remarks.count; i++) {
        const struct remark *one = &remarks.list[i];

        json_open_object(NULL);
        json_text("severity", severity_text(one->severity));
        json_number("offset", one->offset);
        json_text("structure", one->structure);
        json_text("text", one->text);
        json_text("advice", one->advice);
        json_close_object();
    }
    json_close_array();
    json_number("findings_left_out", remarks.lost);
}

static void write_field(const char *key, const struct input *input, uint32_t offset, size_t size)
{
    json_bytes(key, input->bytes + offset, field_length(input->bytes + offset, size));
}

static void write_table(const struct input *input)
{
    json_open_object(NULL);
    json_text("file", input->file);
    json_text("table", input->is_dmar ? "DMAR" : "IVRS");
    json_number("revision", input->bytes[HEADER_REVISION]);
    json_number("length", input_number(input, TABLE_LENGTH));
    json_number("file_size", input->size);
    json_bool("checksum_ok", input_sums(input));
    write_field("oem_id", input, HEADER_OEM_ID, 6);
    write_field("oem_table_id", input, HEADER_OEM_TABLE_ID, 8);
    json_number("oem_revision", input_number(input, HEADER_OEM_REVISION));
    write_field("creator_id", input, HEADER_CREATOR_ID, 4);
    json_number("creator_revision", input_number(input, HEADER_CREATOR_REVISION));
    if (input->is_dmar)
        dmar_json(input, &parsed.dmar);
    else
        ivrs_json(input, &parsed.ivrs);
    write_remarks();
    json_close_object();
}

/* Firmware's words and names of files may hold what a terminal obeys. */
static void print_name(const char *name)
{
    for (; *name != 0; name++)
        printf((uint8_t)*name < 0x20 || *name == 0x7f ? "\\x%02x" : "%c", (uint8_t)*name);
}

static void report_header(const struct input *input)
{
    uint32_t length = input_number(input, TABLE_LENGTH);
    char oem[32], table[40];

    safe_text(oem, sizeof oem, input->bytes + HEADER_OEM_ID, 6);
    safe_text(table, sizeof table, input->bytes + HEADER_OEM_TABLE_ID, 8);
    print_name(input->file);
    printf(": %s, revision %u, %zu bytes", input->is_dmar ? "DMAR" : "IVRS", input->bytes[HEADER_REVISION],
           input->size);
    if (length != input->size)
        printf(" where the table says %u", length);
    printf(", by \"%s\" for \"%s\"\n\n", oem, table);
}

static void report_remarks(void)
{
    uint32_t counts[SEVERITIES] = {0};

    if (remarks.count == 0) {
        printf("\nNo findings: the table makes sense. What the machine itself makes of it, Sluice sees at "
               "boot.\n");
        return;
    }
    printf("\nFindings\n");
    for (uint32_t i = 0; i < remarks.count; i++) {
        const struct remark *one = &remarks.list[i];

        counts[one->severity]++;
        printf("  %s, %s at byte 0x%x: %s.\n      %s\n", severity_text(one->severity), one->structure,
               one->offset, one->text, one->advice);
    }
    printf("\n%u error%s, %u warning%s, %u note%s", counts[SEVERITY_ERROR], plural(counts[SEVERITY_ERROR]),
           counts[SEVERITY_WARNING], plural(counts[SEVERITY_WARNING]), counts[SEVERITY_NOTE],
           plural(counts[SEVERITY_NOTE]));
    if (remarks.lost != 0)
        printf(", and %u more that are not shown", remarks.lost);
    printf(".%s%s\n", counts[SEVERITY_ERROR] != 0 ? " Where Sluice is in doubt, devices stay blocked." : "",
           remarks.single_only ? SINGLE_ONLY : "");
}

static void report_table(const struct input *input)
{
    report_header(input);
    if (input->is_dmar)
        dmar_report(input, &parsed.dmar);
    else
        ivrs_report(input, &parsed.ivrs);
    report_remarks();
}

static void check_table(const struct input *input)
{
    remarks.count = remarks.lost = 0;
    remarks.single_only = false;
    input_check(input, &remarks);
    if (input->is_dmar) {
        (void)dmar_parse(input->bytes, input->size, &parsed.dmar);
        dmar_check(&parsed.dmar, &remarks);
    } else {
        (void)ivrs_parse(input->bytes, input->size, &parsed.ivrs);
        ivrs_check(&parsed.ivrs, &remarks);
    }
}

static void tell_trouble(const char *file, const char *sentence)
{
    fflush(stdout);
    fprintf(stderr, "iommu-tables: %s\n", sentence);
    if (!as_json)
        return;
    json_open_object(NULL);
    json_text("file", file);
    json_text("error", sentence);
    json_close_object();
}

static enum status do_file(const char *file)
{
    static struct input input;

    if (!input_read(file, &input)) {
        tell_trouble(file, input.sentence);
        return STATUS_UNREADABLE;
    }
    check_table(&input);
    if (as_json)
        write_table(&input);
    else
        report_table(&input);
    return remarks.count != 0 ? STATUS_FINDINGS : STATUS_CLEAN;
}

/* ---- all of them ---- */

/* One table is one object; of several there is an array. */
static enum status do_files(char *const *files, int count)
{
    enum status worst = STATUS_CLEAN;

    if (as_json && count != 1)
        json_open_array(NULL);
    for (int i = 0; i < count; i++) {
        enum status status;

        if (i != 0 && !as_json)
            printf("\n");
        status = do_file(files[i]);
        worst = status > worst ? status : worst;
    }
    if (as_json && count != 1)
        json_close_array();
    return worst;
}

static bool is_there(const char *file)
{
    return access(file, F_OK) == 0;
}

static enum status no_live(const char *folder)
{
    static char sentence[PATH_MAX + 64];

    if (is_there(folder)) {
        tell_trouble(folder,
                     "this machine has neither a DMAR nor an IVRS: it has no IOMMU, or its firmware's "
                     "settings switch VT-d or AMD-Vi off");
    } else {
        snprintf(sentence, sizeof sentence, "this machine shows no ACPI tables: there is no folder '%s'",
                 folder);
        tell_trouble(folder, sentence);
    }
    return STATUS_UNREADABLE;
}

/* The machine's own tables: of each vendor at most one. */
static enum status do_live(const char *sysfs)
{
    static char folder[PATH_MAX], paths[2][PATH_MAX + 8];
    static const char *const names[] = {"DMAR", "IVRS"};
    char *files[2];
    int count = 0;

    live_begin(sysfs);
    snprintf(folder, sizeof folder, "%s/firmware/acpi/tables", sysfs);
    for (int i = 0; i < 2; i++) {
        snprintf(paths[i], sizeof paths[i], "%s/%s", folder, names[i]);
        if (is_there(paths[i]))
            files[count++] = paths[i];
    }
    return count != 0 ? do_files(files, count) : no_live(folder);
}

static int finish(enum status status)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return (int)status;
    fprintf(stderr, "iommu-tables: the output cannot be written: %s\n", strerror(errno));
    return STATUS_UNREADABLE;
}

static int usage(void)
{
    fputs("usage: iommu-tables [--json] FILE... | --live | --sysfs DIR\n", stderr);
    return STATUS_UNREADABLE;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"json", no_argument, NULL, 'j'},
        {"live", no_argument, NULL, 'l'},
        {"sysfs", required_argument, NULL, 's'},
        {NULL, 0, NULL, 0},
    };
    const char *sysfs = NULL;
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 'j')
            as_json = true;
        else if (option == 's')
            sysfs = optarg;
        else if (option == 'l')
            sysfs = sysfs != NULL ? sysfs : "/sys";
        else
            return usage();
    }
    if ((sysfs == NULL) == (optind == argc))
        return usage();
    return finish(sysfs != NULL ? do_live(sysfs) : do_files(argv + optind, argc - optind));
}
