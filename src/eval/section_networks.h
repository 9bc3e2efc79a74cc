/* section_networks.h: the methods on other networks and faster or slower machines. Called by src/cli/eval.c. */
#ifndef RUNG_EVAL_SECTION_NETWORKS_H
#define RUNG_EVAL_SECTION_NETWORKS_H

#include "eval/section_contestants.h"

/* The presets, the measured traces of a directory (its *.csv and *.csv.zst; NULL: none) as the link to the top level, and the speeds of all levels halved and
 * doubled. Each method is tuned again with a third of the trials. Writes networks.csv. RUNG_NOT_FOUND: the directory has no traces; an error in a
 * trace names file and line. */
rung_status rung_section_networks(const rung_evaluation *evaluation, rung_report *report,
                                  const rung_contestants *contestants, const char *traces,
                                  rung_error *error) RUNG_WARN_UNUSED;

#endif
