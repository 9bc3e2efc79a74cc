/* fuzz_trace.c: any bytes as a trace. What is accepted is a link over which every message arrives after a finite time, at any moment; what
 * is refused has a message that begins with the file's name. */
#include "config/trace_file.h"
#include "link/link.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition) {
        abort();
    }
}

static void use(const rung_link_trace *trace)
{
    const rung_link link = {.name = "fuzz",
                            .rtt_ms = 5,
                            .jitter_ms = 2,
                            .up_bps = 1e6,
                            .down_bps = 1e6,
                            .loss = 0.1,
                            .congestion = {.share = 0.2, .mean_s = 1, .slowdown = 3, .rtt_factor = 3},
                            .trace = trace};
    const double moments[] = {-1, 0, 0.25, trace->duration_s, 1e9};
    require(rung_link_check(&link, NULL) == RUNG_OK);
    for (size_t i = 0; i < sizeof moments / sizeof moments[0]; i++) {
        rung_link_trip trip;
        rung_link_trip_begin(&trip, &link, 1, i, 1, moments[i]);
        double up_s = rung_link_trip_up_s(&trip, moments[i] < 0 ? 0 : moments[i], 4000);
        double down_s = rung_link_trip_down_s(&trip, moments[i] < 0 ? up_s : moments[i] + up_s, 80);
        require(isfinite(up_s) && up_s >= 0 && isfinite(down_s) && down_s >= 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    rung_link_trace *trace = NULL;
    rung_error error = {0};
    rung_status status = rung_trace_file_parse((const char *)data, size, "fuzz.csv", &trace, &error);
    if (status != RUNG_OK) {
        require(trace == NULL && error.code == status && strncmp(error.message, "fuzz.csv:", 9) == 0);
        return 0;
    }
    require(trace->num_rows >= 1 && trace->duration_s > 0);
    for (size_t i = 0; i < trace->num_rows; i++) {
        require(i == 0 || trace->row[i].start_s > trace->row[i - 1].start_s);
        for (size_t c = 0; c < RUNG_TRACE_COLUMNS; c++) {
            require(!trace->has[c] || trace->row[i].value[c] >= 0);
        }
    }
    use(trace);
    rung_link_trace_free(trace);
    return 0;
}
