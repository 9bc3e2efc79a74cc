#!/usr/bin/env bash
# bad_input.sh RUNG: what a user gives wrong ends with one clear line and exit code 2, or with an error for that input only.
. "$(dirname "$0")/lib.sh"

model=$root/tests/golden/tiny-bert

# copy_model NAME: a copy of the tiny model that a case may spoil.
copy_model() {
    mkdir "$work/$1"
    cp "$model"/* "$work/$1/"
}

empty_text() {
    run classify -m "$model" ""
    expect_error "empty"
    run classify -m "$model" $' \t\n'
    expect_error "empty"
}

long_text_is_truncated() {
    yes "a long and winding review" | head -n 2000 | tr '\n' ' ' >"$work/long"
    printf '\n' >>"$work/long"
    run classify -m "$model" --json <<<"{\"text\": \"$(tr -d '\n' <"$work/long")\"}"
    expect_status 0
    expect_lines 1
    expect_stdout '"truncated_tokens": ?[1-9]'
    run classify -m "$model" <"$work/long"
    expect_status 0
    expect_stderr "stdin:1:" "tokens more" "cut"
}

invalid_utf8() {
    run classify -m "$model" $'good \xff bad'
    expect_error "UTF-8" "byte" "5"
    run classify -m "$model" < <(printf 'abc\xc3(\n')
    expect_status 1
    expect_stderr "stdin:1:" "UTF-8" "3"
}

json_of_wrong_type() {
    run classify -m "$model" --json < <(printf '%s\n' '{"text": 7}' '{"text": "fine"}')
    expect_status 1
    expect_lines 2
    expect_stdout '"line":1,"error":.*text' '"label"'
    run classify -m "$model" --json <<<'["text"]'
    expect_status 1
    expect_stdout '"error":.*object'
    run classify -m "$model" --json <<<'{"text": "a", "id": {}}'
    expect_status 1
    expect_stdout '"error":.*id'
}

json_unknown_field() {
    run classify -m "$model" --json <<<'{"txet": "a fine film"}'
    expect_status 1
    expect_stdout "\"error\":.*txet.*did you mean '?text"
}

json_bad_line_among_good_ones() {
    run classify -m "$model" --json < <(printf '%s\n' '{"id": "a", "text": "one"}' '{"id": "b", "text": ' '{"id": "c", "text": "three"}')
    expect_status 1
    expect_lines 3
    expect_stdout '"id": ?"a".*"label"' '"line":2,"error":' '"id": ?"c".*"label"'
    if sed -n 2p "$out" | grep -q '"label"'; then
        problem "the bad line has an answer"
    fi
}

json_empty_text() {
    run classify -m "$model" --json < <(printf '%s\n' '{"text": ""}' '{"text": "good"}')
    expect_status 1
    expect_lines 2
    expect_stdout '"line":1,"error":.*empty' '"label"'
}

unknown_command() {
    run clasify -m "$model" "text"
    expect_error "clasify" "did you mean" "classify"
}

unknown_option() {
    run classify -m "$model" --precison int8 "text"
    expect_error "--precison" "did you mean" "--precision"
    run classify -m "$model" --precision int7 "text"
    expect_error "precision" "int7" "int8" "fp32"
    run classify -m "$model" --threads many "text"
    expect_error "threads" "many"
    run classify -m "$model" --threads
    expect_error "threads"
}

missing_files() {
    run classify -m "$work/nowhere" "text"
    expect_error "nowhere"
    run classify -c "$work/nowhere.yaml" "text"
    expect_error "nowhere.yaml"
    mkdir "$work/hollow"
    run classify -m "$work/hollow" "text"
    expect_error "hollow" "config.json"
}

yaml_unknown_key() {
    printf 'levels:\n  - name: end\n    modle: %s\n' "$model" >"$work/key.yaml"
    run classify -c "$work/key.yaml" "text"
    expect_error "key.yaml:3" "modle" "did you mean" "model"
    printf 'levels:\n  - name: end\n    model: %s\npolicy:\n  exit: {tau: -1}\n' "$model" >"$work/range.yaml"
    run classify -c "$work/range.yaml" "text"
    expect_error "range.yaml:5" "tau" "-1"
    printf 'levels: [\n' >"$work/broken.yaml"
    run classify -c "$work/broken.yaml" "text"
    expect_error "broken.yaml:"
}

truncated_safetensors() {
    copy_model truncated
    local size
    size=$(stat -c %s "$model/model.safetensors")
    for keep in 0 5 100 $((size / 2)) $((size - 1)); do
        head -c "$keep" "$model/model.safetensors" >"$work/truncated/model.safetensors"
        run classify -m "$work/truncated" "text"
        expect_error "truncated/model.safetensors"
    done
}

lying_safetensors_header() {
    copy_model lying
    local file=$work/lying/model.safetensors header
    # A header longer than the file, then one that no machine could hold.
    { le64 1000000; printf '{}'; } >"$file"
    run classify -m "$work/lying" "text"
    expect_error "lying/model.safetensors" "header"
    { printf '\xff\xff\xff\xff\xff\xff\xff\xff'; printf '{}'; } >"$file"
    run classify -m "$work/lying" "text"
    expect_error "lying/model.safetensors" "header"
    # A tensor that ends behind the file.
    header='{"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}'
    { le64 ${#header}; printf '%s1234' "$header"; } >"$file"
    run classify -m "$work/lying" "text"
    expect_error "lying/model.safetensors"
    # A shape that does not match its bytes.
    header='{"a":{"dtype":"F32","shape":[5],"data_offsets":[0,4]}}'
    { le64 ${#header}; printf '%s1234' "$header"; } >"$file"
    run classify -m "$work/lying" "text"
    expect_error "lying/model.safetensors" "\"a\""
    # A product of sizes that overflows.
    header='{"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,4]}}'
    { le64 ${#header}; printf '%s1234' "$header"; } >"$file"
    run classify -m "$work/lying" "text"
    expect_error "lying/model.safetensors" "\"a\""
    header='{"a":'
    { le64 ${#header}; printf '%s1234' "$header"; } >"$file"
    run classify -m "$work/lying" "text"
    expect_error "lying/model.safetensors"
}

labels_that_differ() {
    copy_model relabelled
    sed -i 's/contradiction/something else/' "$work/relabelled/config.json"
    printf 'levels:\n  - name: end\n    model: %s\n  - name: edge\n    model: %s\n    link: wifi\n' \
        "$model" "$work/relabelled" >"$work/labels.yaml"
    run classify -c "$work/labels.yaml" "text"
    expect_error "label" "something else" "relabelled" "rename"
}

unknown_model_type() {
    copy_model typed
    sed 's/"model_type": *"[^"]*"/"model_type": "frobnicator"/' "$model/config.json" >"$work/typed/config.json"
    run classify -m "$work/typed" "text"
    expect_error "typed" "model_type" "frobnicator"
    sed 's/"model_type": *"[^"]*"/"model_type": "deberta-v2"/' "$model/config.json" >"$work/typed/config.json"
    run classify -m "$work/typed" "text"
    expect_error "deberta-v2"
}

tokenizer_and_embedding_disagree() {
    copy_model vocabulary
    sed -i 's/"vocab_size": *[0-9]*/"vocab_size": 7/' "$work/vocabulary/config.json"
    run classify -m "$work/vocabulary" "text"
    expect_error "vocab"
}

packed_file_in_fp32() {
    run quantize "$model" -o "$work/packed.safetensors"
    expect_status 0
    run classify -m "$work/packed.safetensors" --precision fp32 "text"
    expect_error "packed.safetensors" "fp32"
    run classify -m "$work/packed.safetensors" "text"
    expect_status 0
    expect_lines 1
}

cases empty_text long_text_is_truncated invalid_utf8 json_of_wrong_type json_unknown_field json_bad_line_among_good_ones \
    json_empty_text unknown_command unknown_option missing_files yaml_unknown_key truncated_safetensors \
    lying_safetensors_header labels_that_differ unknown_model_type tokenizer_and_embedding_disagree packed_file_in_fp32
