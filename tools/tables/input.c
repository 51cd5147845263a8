/* SPDX-License-Identifier: MIT */
#include "tools/tables/input.h"

#include "tools/tables/tree.h"

#include "acpi/parse.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TEXT_DUMP " @ 0x" /* what acpidump writes behind a signature when it was not asked for binary */

static uint8_t buffer[ACPI_TABLE_SIZE_MAX + 1]; /* one more than may be, so that a longer file is seen */

__attribute__((format(printf, 2, 3))) static bool refuse(struct input *input, const char *format, ...)
{
    va_list values;

    va_start(values, format);
    vsnprintf(input->sentence, sizeof input->sentence, format, values);
    va_end(values);
    return false;
}

/* Reads what there is, up to the buffer's end. False after setting errno. */
static bool read_all(int file, size_t *size)
{
    ssize_t got = 1;

    for (*size = 0; got > 0 && *size<sizeof buffer; *size += got> 0 ? (size_t)got : 0)
        got = read(file, buffer + *size, sizeof buffer - *size);
    return got >= 0;
}

static bool refuse_errno(struct input *input)
{
    if (errno == ENOENT || errno == ENOTDIR)
        return refuse(input, "there is no file '%s'", input->file);
    if (errno == EACCES || errno == EPERM)
        return refuse(input, "'%s' may not be read by this user: try it as root", input->file);
    return refuse(input, "'%s' cannot be read: %s", input->file, strerror(errno));
}

/* The file's bytes into the buffer. What is no regular file is not opened: it might make us wait for ever. */
static bool read_bytes(struct input *input)
{
    struct stat status;
    bool whole;
    int file;

    if (stat(input->file, &status) != 0)
        return refuse_errno(input);
    if (S_ISDIR(status.st_mode))
        return refuse(input, "'%s' is a directory: name the files in it", input->file);
    if (!S_ISREG(status.st_mode))
        return refuse(input, "'%s' is not a regular file", input->file);
    file = open(input->file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file < 0)
        return refuse_errno(input);
    whole = read_all(file, &input->size);
    if (!whole)
        (void)refuse_errno(input);
    close(file);
    return whole;
}

static bool is_signature(const uint8_t *bytes)
{
    for (int i = 0; i < 4; i++)
        if (!(bytes[i] >= 'A' && bytes[i] <= 'Z') && !(bytes[i] >= '0' && bytes[i] <= '9') &&
            bytes[i] != '_' && bytes[i] != '!')
            return false;
    return true;
}

/* Which table it is. */
static bool classify(struct input *input)
{
    const uint8_t *bytes = input->bytes;
    bool is_ours;

    if (input->size > ACPI_TABLE_SIZE_MAX)
        return refuse(input, "'%s' is larger than 4 MiB: no ACPI table is", input->file);
    input->is_dmar = input->size >= 4 && memcmp(bytes, "DMAR", 4) == 0;
    is_ours = input->is_dmar || (input->size >= 4 && memcmp(bytes, "IVRS", 4) == 0);
    if (is_ours && input->size >= 9 && memcmp(bytes + 4, TEXT_DUMP, 5) == 0)
        return refuse(input, "'%s' is a dump as text: write binary tables with acpidump -b", input->file);
    if (is_ours && input->size < IOMMU_HEADER_BYTES)
        return refuse(input, "'%s' begins like a %.4s, but its %zu bytes are not even a header", input->file,
                      (const char *)bytes, input->size);
    if (is_ours)
        return true;
    if (input->size < ACPI_HEADER_SIZE || !is_signature(bytes) || acpi_check_header(bytes) != NULL)
        return refuse(input, "'%s' is not an ACPI table", input->file);
    return refuse(input, "'%s' is a %.4s, not a DMAR or IVRS", input->file, (const char *)bytes);
}

bool input_read(const char *file, struct input *input)
{
    *input = (struct input){.file = file, .bytes = buffer};
    if (!read_bytes(input))
        return false;
    if (input->size == 0)
        return refuse(input, "'%s' is empty", file);
    return classify(input);
}

bool input_sums(const struct input *input)
{
    uint32_t length = input_number(input, TABLE_LENGTH);

    return length <= input->size && acpi_check_table(input->bytes, length) == NULL;
}

void input_check(const struct input *input, struct remarks *remarks)
{
    uint32_t length = input_number(input, TABLE_LENGTH);

    /* Lengths that cannot be are the parser's to find. */
    if (length >= IOMMU_HEADER_BYTES && length <= input->size && !input_sums(input))
        remark(
            remarks, (struct place){SEVERITY_ERROR, "header", HEADER_CHECKSUM, ADVICE_UPDATE},
            "its checksum is wrong: Sluice leaves such a table out at boot, finds no IOMMU, and refuses to "
            "start");
    if (length >= IOMMU_HEADER_BYTES && length < input->size)
        remark(remarks, (struct place){SEVERITY_NOTE, "table", TABLE_LENGTH, ADVICE_HARMLESS},
               "the file goes on for %zu byte%s after the table's end, which Sluice does not see",
               input->size - length, plural(input->size - length));
}
