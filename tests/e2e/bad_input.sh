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

node_file() {
    printf 'model: %s\nlisten: 0.0.0.0:80\n' "$model" >"$work/node.yaml"
    run config show -c "$work/node.yaml"
    expect_error "node.yaml:2" "no TLS" "insecure"
    printf 'model: %s\nupstream: {adresses: x}\n' "$model" >"$work/node.yaml"
    run config show -c "$work/node.yaml"
    expect_error "node.yaml:2:12" "upstream.adresses" "did you mean 'addresses'"
    run classify -c "$work/node.yaml" "text"
    expect_error "node.yaml:1" "rung serve"
    printf 'model: %s\nlevel: edge\nlimits: {inputs: 8}\n' "$model" >"$work/node.yaml"
    run config show -c "$work/node.yaml" --listen localhost:80
    expect_error "--listen" "localhost:80" "127.0.0.1:8080"
    run config show -c "$work/node.yaml" --deadline 1s
    expect_status 0
    expect_stdout '^level +edge +.*node.yaml:2$' '^limits.inputs +8 +.*node.yaml:3$' '^deadline +1s +--deadline$' \
        '^listen +127.0.0.1:8080 +default$'
}

profile_data() {
    run profile -m "$model" --repeats 1 --data "$work/none.jsonl"
    expect_error "none.jsonl"
    printf '{"text": "a fine film"}\n' >"$work/unlabelled.jsonl"
    run profile -m "$model" --repeats 1 --data "$work/unlabelled.jsonl"
    expect_error "unlabelled.jsonl:1" "label"
    : >"$work/empty.jsonl"
    run profile -m "$model" --repeats 1 --data "$work/empty.jsonl"
    expect_error "empty.jsonl"
    run profile -m "$model" --repeats 0
    expect_error "--repeats" "1 to"
    run profile -m "$work/no-model"
    expect_error "no-model"
}

bench_options() {
    run bench -m "$model" --tokens 16,many
    expect_error "--tokens" "'many'" "1 to 512"
    run bench -m "$model" --tokens 400
    expect_error "--tokens 400" "reads at most"
    run bench -m "$model" --shape bert-base
    expect_error "--shape and --model"
    run bench --shape bert-huge
    expect_error "bert-huge" "bert-large"
    run bench --peaks -m "$model"
    expect_error "--peaks"
    run bench --load
    expect_error "--load needs --model"
    run bench --data "$work/none.jsonl"
    expect_error "--data needs --model"
    run bench -m "$model" --data "$work/none.jsonl"
    expect_error "none.jsonl"
    printf '{"text": "a fine film"}\n{"text": 3}\n' >"$work/mixed.jsonl"
    run bench -m "$model" --data "$work/mixed.jsonl"
    expect_error "mixed.jsonl:2" "text"
    run bench -m "$model" --rows 3
    expect_error "--rows needs --data"
    run bench -m "$model" --split --parts
    expect_error "--parts and --split"
    run bench -m "$work/no-model" --load
    expect_error "no-model"
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

bad_traces() {
    printf 'levels:\n  - model: %s\n  - model: %s\n    link: %s\n' "$model" "$model" no/such.csv >"$work/links.yaml"
    run classify -c "$work/links.yaml" "text"
    expect_error "links.yaml:4: levels.2.link" "no/such.csv: cannot open"
    printf 't_s,rtt_ms\n0,20\n1,soon\n' >"$work/bad.csv"
    run classify -c "$work/links.yaml" --levels.2.link "$work/bad.csv" "text"
    expect_error "levels.2.link" "bad.csv:3: rtt_ms: 'soon' is not a number"
    printf 't_s,up_bps,down_bps,rtt_ms\n0,0,1e6,20\n' >"$work/bad.csv"
    run classify -c "$work/links.yaml" --levels.2.link "$work/bad.csv" "text"
    expect_error "bad.csv:2: up_bps" "at least 1"
    run classify -c "$work/links.yaml" --levels.2.link "$root/examples/links/starlink.csv" "text"
    expect_error "levels.2.link.up is missing" "no column up_bps" "preset"
    run classify -c "$work/links.yaml" --levels.2.link /dev/zero "text"
    expect_error "/dev/zero: is not a regular file"
    run classify -c "$work/links.yaml" --levels.2.link.loss 1.5 "text"
    expect_error "--levels.2.link.loss: 1.5 is outside the range"
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
    json_empty_text unknown_command unknown_option missing_files yaml_unknown_key node_file profile_data bench_options truncated_safetensors \
    lying_safetensors_header labels_that_differ bad_traces unknown_model_type tokenizer_and_embedding_disagree packed_file_in_fp32
