/* number.h: numbers and quantities as text. Independent of the C locale, so that a comma locale changes no file. Called by the
 * rest of src/config, and by what prints numbers that must read back as the same bits. */
#ifndef RUNG_CONFIG_NUMBER_H
#define RUNG_CONFIG_NUMBER_H

#include "base/status.h"

#define RUNG_NUMBER_BYTES 32

/* The whole text is a decimal number: digits with optional sign, fraction and exponent; no hexadecimal, infinity or NaN, nothing that
 * overflows. False otherwise. */
bool rung_parse_number(const char *text, double *value);

/* Decimal digits only, at most 2^64 - 1. */
bool rung_parse_integer(const char *text, uint64_t *value);

/* The fewest of 15, 16 or 17 significant digits that read back as the same double; value is finite. Returns out. */
const char *rung_print_number(double value, char out[RUNG_NUMBER_BYTES]);

/* At most `digits` significant digits, 1 .. 17, without zeros at the end; value is finite. For people, not to be read back. Returns out. */
const char *rung_print_rounded(double value, int digits, char out[RUNG_NUMBER_BYTES]);

/* Exactly `decimals` digits after the point, 0 .. 9; 15 significant digits from 1e15 on. No minus before a zero. value is finite. Returns out. */
const char *rung_print_decimals(double value, int decimals, char out[RUNG_NUMBER_BYTES]);

typedef enum rung_quantity {
    RUNG_QUANTITY_SIZE, /* bytes: B, kB, MB, GB, KiB, MiB, GiB */
    RUNG_QUANTITY_TIME, /* seconds: us, ms, s, min, h */
    RUNG_QUANTITY_RATE, /* bits per second: bit/s, kbit/s, Mbit/s, Gbit/s */
} rung_quantity;

/* "250ms", "8 MiB", "20Mbit/s": a number >= 0 with its unit, in bytes, seconds or bits per second. RUNG_INVALID without a unit, with an
 * unknown one (the message lists them and gives an example) or with a size that is no whole number of bytes. */
rung_status rung_parse_quantity(const char *text, rung_quantity quantity, double *value,
                                rung_error *error) RUNG_WARN_UNUSED;

#endif
