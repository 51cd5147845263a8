/* SPDX-License-Identifier: MIT */
#include "cpu/rtc.h"

#include "cpu/io.h"
#include "lib/string.h"

#include <stdbool.h>
#include <stddef.h>

#define CMOS_INDEX 0x70
#define CMOS_DATA  0x71

#define STATUS_A          0x0a
#define STATUS_A_UPDATING 0x80u
#define STATUS_B          0x0b
#define STATUS_B_BINARY   0x04u
#define STATUS_B_24_HOURS 0x02u
#define HOURS_PM          0x80u

/* An update takes 2 ms at most, a port read about a microsecond. */
#define POLLS_MAX    10000u
#define ATTEMPTS_MAX 8u

enum { SECONDS, MINUTES, HOURS, DAY, MONTH, YEAR, FIELDS };

static uint8_t cmos_read(uint8_t index)
{
    out8(CMOS_INDEX, index);
    return in8(CMOS_DATA);
}

static void read_fields(uint8_t fields[FIELDS])
{
    static const uint8_t indices[FIELDS] = {0x00, 0x02, 0x04, 0x07, 0x08, 0x09};

    for (uint32_t polls = 0; polls < POLLS_MAX && (cmos_read(STATUS_A) & STATUS_A_UPDATING) != 0; polls++)
        continue;
    for (uint32_t i = 0; i < FIELDS; i++)
        fields[i] = cmos_read(indices[i]);
}

/* Two readings in a row that agree were not cut by an update. */
static bool read_stable(uint8_t fields[FIELDS])
{
    uint8_t again[FIELDS];

    read_fields(fields);
    for (uint32_t i = 0; i < ATTEMPTS_MAX; i++) {
        read_fields(again);
        if (memcmp(fields, again, FIELDS) == 0)
            return true;
        memcpy(fields, again, FIELDS);
    }
    return false;
}

static uint8_t from_bcd(uint8_t value)
{
    return (uint8_t)((value >> 4) * 10 + (value & 0xf));
}

static void decode(uint8_t fields[FIELDS], uint8_t status_b)
{
    bool afternoon = (fields[HOURS] & HOURS_PM) != 0;

    if ((status_b & STATUS_B_24_HOURS) == 0)
        fields[HOURS] &= (uint8_t)~HOURS_PM;
    for (uint32_t i = 0; i < FIELDS && (status_b & STATUS_B_BINARY) == 0; i++)
        fields[i] = from_bcd(fields[i]);
    if ((status_b & STATUS_B_24_HOURS) == 0)
        fields[HOURS] = (uint8_t)(fields[HOURS] % 12 + (afternoon ? 12 : 0));
}

static bool is_date(const uint8_t fields[FIELDS])
{
    return fields[SECONDS] < 60 && fields[MINUTES] < 60 && fields[HOURS] < 24 && fields[DAY] >= 1 &&
           fields[DAY] <= 31 && fields[MONTH] >= 1 && fields[MONTH] <= 12 && fields[YEAR] < 100;
}

static uint64_t days_since_1970(uint64_t year, uint64_t month, uint64_t day)
{
    /* Years that begin in March, so that the leap day is the last. */
    if (month <= 2) {
        year--;
        month += 12;
    }
    return 365 * year + year / 4 - year / 100 + year / 400 + (153 * (month - 3) + 2) / 5 + day - 719469;
}

uint64_t rtc_read(void)
{
    uint8_t fields[FIELDS];

    if (!read_stable(fields))
        return 0;
    decode(fields, cmos_read(STATUS_B));
    if (!is_date(fields))
        return 0;
    uint64_t days = days_since_1970(2000u + fields[YEAR], fields[MONTH], fields[DAY]);
    return ((days * 24 + fields[HOURS]) * 60 + fields[MINUTES]) * 60 + fields[SECONDS];
}
