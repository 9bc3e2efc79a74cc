/* gnuplot.h: runs gnuplot on a script. Called by plot.c. Knows nothing of figures.
 *
 * No shell takes part, and nothing of this process but its limits reaches the child: its input is empty, its
 * environment is LC_ALL alone and no start-up file is read, so that the same script draws the same figure everywhere. */
#ifndef RUNG_EVAL_GNUPLOT_H
#define RUNG_EVAL_GNUPLOT_H

#include "base/status.h"

/* Runs `program -d script` in directory and waits at most limit_s seconds for it. program is looked up on the PATH as a
 * shell would; *found is false, and the status RUNG_OK, when it is not there. RUNG_IO when it fails or takes longer (it
 * is killed then); the message holds what it printed. Starts one process and reaps it; other children are not touched. */
rung_status rung_gnuplot_run(const char *program, const char *directory, const char *script, double limit_s,
                             bool *found, rung_error *error) RUNG_WARN_UNUSED;

#endif
