/* trace_directory.h: all measured links of a directory. Called by section_networks.c. */
#ifndef RUNG_EVAL_TRACE_DIRECTORY_H
#define RUNG_EVAL_TRACE_DIRECTORY_H

#include "link/link.h"

typedef struct rung_directory_trace {
    char *name; /* of the file, without directory and endings */
    rung_link_trace *trace;
} rung_directory_trace;

/* Zero-initialise; release with rung_traces_deinit. */
typedef struct rung_traces {
    rung_directory_trace *items; /* [count] by name */
    size_t count;
    size_t capacity;
} rung_traces;

/* Reads every file that ends in .csv or .csv.zst. RUNG_IO: the directory cannot be read; RUNG_NOT_FOUND: there is no such directory, or it has none; errors of a file name it. */
rung_status rung_traces_load(const char *directory, rung_traces *traces, rung_error *error) RUNG_WARN_UNUSED;
void rung_traces_deinit(rung_traces *traces);

#endif
