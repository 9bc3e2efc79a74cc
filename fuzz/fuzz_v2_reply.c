/* fuzz_v2_reply.c: any bytes as the answers of a server of the Open Inference Protocol V2. */
#include "fuzz_remote_reply.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return fuzz_remote_reply(&rung_protocol_v2, data, size);
}
