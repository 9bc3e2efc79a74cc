/* tokenizer_files.c: chooses which of a directory's tokenizer files make the tokenizer. Called by the model loaders;
 * reads no format itself. */
#include "model/tokenizer.h"
#include "model/tokenizer_texts.h"

const rung_named_text *rung_tokenizer_main_file(const rung_tokenizer_files *files)
{
    return &files->tokenizer_json;
}

rung_status rung_tokenizer_make(const rung_tokenizer_files *files, rung_tokenizer **tokenizer, rung_error *error)
{
    if (files->tokenizer_json.text == NULL) {
        return rung_fail(error, RUNG_NOT_FOUND, "no tokenizer.json: there is nothing to make a tokenizer of");
    }
    return rung_tokenizer_join_vocabulary(&files->tokenizer_json, &files->vocab_txt, tokenizer, error);
}
