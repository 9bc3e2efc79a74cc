/* float_length.h: how long a float is as text, without writing it: messages are counted by the million (src/run/message_length.c). */
#ifndef RUNG_BASE_FLOAT_LENGTH_H
#define RUNG_BASE_FLOAT_LENGTH_H

#include <stddef.h>
#include <stdint.h>

/* The characters that printf writes for "%.9g". */
size_t rung_float_length(float value);

/* Of the decimal digits of a number. */
size_t rung_integer_length(uint64_t value);

#endif
