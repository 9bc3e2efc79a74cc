/* trace_file.h: a measured link from a CSV file. Called by link_config.c. Knows the file's form; what the rows mean is link/trace.h's. The form:
 * docs/links.md. */
#ifndef RUNG_CONFIG_TRACE_FILE_H
#define RUNG_CONFIG_TRACE_FILE_H

#include "link/trace.h"

#define RUNG_TRACE_FILE_MAX_BYTES ((size_t)16 << 20)

/* Reads a whole file, plain or .zst. Errors begin with "path:line: column: ". *trace is released with rung_link_trace_free. */
rung_status rung_trace_file_load(const char *path, rung_link_trace **trace, rung_error *error) RUNG_WARN_UNUSED;

/* The same from text; `name` stands for the path in errors. */
rung_status rung_trace_file_parse(const char *text, size_t bytes, const char *name, rung_link_trace **trace,
                                  rung_error *error) RUNG_WARN_UNUSED;

#endif
