/* fuzz_calibration.c: any bytes as calibration.json. What is accepted can be written, and what was written reads back to the same bytes. */
#include "config/calibration_file.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    rung_calibration_file file = {0};
    rung_calibration view;
    rung_buffer first = {0};
    rung_buffer second = {0};
    rung_error error = {0};
    rung_status status = rung_calibration_file_parse((const char *)data, size, "fuzz.json", &file, &error);
    if (status != RUNG_OK) {
        require(error.code == status && strncmp(error.message, "fuzz.json: ", 11) == 0);
        return 0;
    }
    require(rung_calibration_file_view(&file, &view, &error) == RUNG_OK);
    require(rung_calibration_file_print(&file, &first, &error) == RUNG_OK);
    require(rung_calibration_file_parse(first.data, first.length, "again", &file, &error) == RUNG_OK);
    require(rung_calibration_file_print(&file, &second, &error) == RUNG_OK);
    require(first.length == second.length && memcmp(first.data, second.data, first.length) == 0);
    rung_buffer_deinit(&first);
    rung_buffer_deinit(&second);
    rung_calibration_file_deinit(&file);
    return 0;
}
