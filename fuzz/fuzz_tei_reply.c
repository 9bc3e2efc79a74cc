/* fuzz_tei_reply.c: any bytes as the answers of a server of Text Embeddings Inference. */
#include "fuzz_remote_reply.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return fuzz_remote_reply(&rung_protocol_tei, data, size);
}
