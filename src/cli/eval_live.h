/* eval_live.h: `rung eval --live`: report rows through real processes and sockets under the files that were written, compared with the replay. */
#ifndef RUNG_CLI_EVAL_LIVE_H
#define RUNG_CLI_EVAL_LIVE_H

#include "config/options.h"
#include "eval/deployment.h"
#include "eval/report.h"

/* Writes DIRECTORY/deploy with the scheme, compares it with the replay in this process, and when count > 0 starts a node for each level and asks the
 * first for `count` of the report rows. Appends a section to the report and writes live.csv. options: what the user gave. */
rung_status cli_eval_live(const rung_options *options, const rung_evaluation *evaluation, const rung_scheme *scheme,
                          double agreement, size_t count, rung_report *report, rung_error *error) RUNG_WARN_UNUSED;

#endif
