#!/usr/bin/env bash
# commands.sh RUNG: what a user gives right, on the tiny model: the forms of input and output, and that answers do not depend on threads,
# batches or kernels.
. "$(dirname "$0")/lib.sh"

model=$root/tests/golden/tiny-bert
printf '%s\n' 'a fine film' 'the worst of the year' 'long, winding and in the end rather good' '日本語 and ünïcödé' >"$work/lines"

# answers FILE: the lines of JSON answers without their times.
answers() {
    sed -E 's/,"(compute|queue|link|latency)_ms":[0-9.e+-]*//g' "$1"
}

help_of_each_command() {
    local name
    run --help
    expect_status 0
    expect_stdout "classify" "quantize" "fit" "bench" "demo"
    for name in classify quantize fit bench demo profile eval; do
        run "$name" --help
        expect_status 0
        expect_stdout "$name" "--help"
    done
}

profile_of_the_tiny_model() {
    run profile -m "$model" --repeats 2
    expect_status 0
    expect_stdout 'median of 2 runs' '^level 1 level1: ' 'exit +8 +16 +32 +64 +128 ' '^  3 .*ms'
    printf '%s\n' '{"text": "a fine film", "label": "entailment"}' '{"text": "the worst", "label": "neutral"}' >"$work/rows.jsonl"
    run profile -m "$model" --repeats 2 --json --data "$work/rows.jsonl"
    expect_status 0
    expect_lines 1
    expect_stdout '^\{"format":"rung-profile","version":1,' '"data":\{"name":"rows.jsonl","sha256":"[0-9a-f]{64}","rows":2\}' \
        '"lengths":\[8,16,32,64,128\]' '"layer":3,"median_ms":\[([0-9.e-]+,){4}[0-9.e-]+\]' '"curve":\{"a_ms":' \
        '"scores":\{"accuracy":(0|0.5|1),"raw":\{"nll":' '"temperature":1,"calibrated":'
}

every_family_directly_and_packed() {
    local family
    for family in tiny-distilbert tiny-roberta tiny-bertweet tiny-sharded; do
        run classify -m "$root/tests/golden/$family" 'one funny film' 'a dull walk of @someone'
        expect_status 0
        expect_lines 2
        run quantize "$root/tests/golden/$family" -o "$work/$family.safetensors"
        expect_status 0
        run classify -m "$work/$family.safetensors" --json 'one funny film'
        expect_status 0
        expect_stdout '"label":"' '"truncated_tokens":0'
    done
}

several_labels() {
    run classify -m "$root/tests/golden/tiny-sharded" --json 'one funny film'
    expect_status 0
    expect_stdout '"label":"funny","labels":\["funny","sad","long"\],"score":0\.9'
    run classify -m "$root/tests/golden/tiny-sharded" 'one funny film'
    expect_stdout '^funny 0\.[0-9]+, sad 0\.[0-9]+, long 0\.[0-9]+  level1'
    printf '%s\n' '{"text": "a fine film", "label": "sad"}' >"$work/row.jsonl"
    run fit -m "$root/tests/golden/tiny-sharded" --data "$work/row.jsonl" -o "$work/c.json"
    expect_error 'problem_type multi_label_classification'
    run profile -m "$root/tests/golden/tiny-sharded" --repeats 2 --data "$work/row.jsonl"
    expect_error 'problem_type multi_label_classification'
}

long_texts() {
    local text
    text=$(printf 'the good film was dull %.0s' {1..40})
    run classify -m "$root/tests/golden/tiny-distilbert" --json "$text"
    expect_status 0
    expect_stdout '"tokens":64,"truncated_tokens":138,'
    run classify -m "$root/tests/golden/tiny-distilbert" --json --long_text windows --window_overlap 12 "$text"
    expect_status 0
    expect_stdout '"tokens":256,"truncated_tokens":0,' # 4 windows of 62 tokens and two special ones
}

no_command() {
    run
    expect_status 2
}

arguments_lines_and_json_agree() {
    run classify -m "$model" --json 'a fine film' 'the worst of the year'
    expect_status 0
    expect_lines 2
    answers "$out" >"$work/by_argument"
    run classify -m "$model" --json < <(printf '%s\n' '{"text": "a fine film"}' '{"text": "the worst of the year"}')
    expect_status 0
    answers "$out" >"$work/by_json"
    if ! cmp "$work/by_argument" "$work/by_json"; then
        problem "arguments and JSON lines give different answers"
    fi
    run classify -m "$model" <"$work/lines"
    expect_status 0
    expect_lines 4
}

json_keeps_order_and_ids() {
    run classify -m "$model" --json < <(printf '%s\n' '{"id": "x\"1", "text": "one"}' '{"text": "two"}' \
        '{"id": 12, "text": "three", "text_pair": "four"}')
    expect_status 0
    expect_lines 3
    if ! sed -n 1p "$out" | grep -qF '{"id":"x\"1"'; then problem "line 1 lost its id"; fi
    if ! sed -n 2p "$out" | grep -qF '{"id":"1"'; then problem "line 2 is not called by its position"; fi
    if ! sed -n 3p "$out" | grep -qF '{"id":"12"'; then problem "line 3 lost its id"; fi
}

same_bits_for_threads_and_kernels() {
    local precision options
    for precision in int8 fp32; do
        run classify -m "$model" --json --precision "$precision" --isa ref --threads 1 <"$work/jsonl"
        expect_status 0
        answers "$out" >"$work/reference"
        for options in "--threads 3" "--isa ref --threads 2" ""; do
            # shellcheck disable=SC2086
            run classify -m "$model" --json --precision "$precision" $options <"$work/jsonl"
            expect_status 0
            answers "$out" >"$work/other"
            if ! cmp "$work/reference" "$work/other"; then
                problem "$precision: answers differ with: $options"
            fi
        done
        for options in "--threads 3" "--threads 4 --threads_per_text 2" "--threads 2 --threads_per_text 1"; do
            # One text: threads share its layers.
            # shellcheck disable=SC2086
            run classify -m "$model" --json --precision "$precision" $options < <(head -1 "$work/jsonl")
            expect_status 0
            if ! answers "$out" | cmp - <(head -1 "$work/reference"); then
                problem "$precision: one text differs with: $options"
            fi
        done
    done
}
while IFS= read -r line; do
    printf '{"text": "%s"}\n' "$line"
done <"$work/lines" >"$work/jsonl"

packed_file_gives_the_same_labels() {
    run quantize "$model" -o "$work/packed.safetensors"
    expect_status 0
    run classify -m "$work/packed.safetensors" --json <"$work/jsonl"
    expect_status 0
    grep -o '^{"id":"[^"]*","label":"[^"]*"' "$out" >"$work/packed"
    run classify -m "$model" --json --precision int8 <"$work/jsonl"
    expect_status 0
    grep -o '^{"id":"[^"]*","label":"[^"]*"' "$out" >"$work/directory"
    expect_lines 4
    if ! cmp "$work/packed" "$work/directory"; then
        problem "the packed file gives other labels than the directory"
    fi
}

frequent_words_have_their_own_width() {
    run quantize "$model" -o "$work/split.safetensors" --embedding-bits 4 --frequent-rows 40 --frequent-bits 8
    expect_status 0
    expect_stderr "word embedding in 4 bits, its first 40 rows in 8 bits"
    run classify -m "$work/split.safetensors" "a film"
    expect_status 0
    run quantize "$model" -o "$work/split.safetensors" --frequent-bits 8
    expect_status 2
    expect_stderr "--frequent-bits without --frequent-rows"
}

quantize_spares_its_input() {
    cp -r "$model" "$work/own"
    run quantize "$work/own" -o "$work/own/model.safetensors"
    expect_error "model.safetensors" "made from"
    run quantize "$work/own" -o "$work/own/packed.safetensors"
    expect_status 0
    run quantize "$work/own" -o "$work/own"
    expect_error "is not a regular file"
}

labels_are_scored() {
    run classify -m "$model" --json < <(printf '%s\n' '{"text": "one", "label": 0}' '{"text": "two", "label": 1}')
    expect_status 0
    expect_stderr "accuracy"
}

# link_ms FILE: the link times of an answers file, one a line, in order.
link_ms() {
    grep -o '"link_ms":[0-9.]*' "$1" | cut -d: -f2
}

links_change_times_and_no_answer() {
    local name number=0
    mkdir -p "$work/traces"
    printf 't_s,up_bps,down_bps,rtt_ms,loss\n0,1e6,1e6,400,0\n1,2e6,2e6,600,0\n' >"$work/traces/slow.csv"
    for name in wifi traces/slow.csv '{trace: traces/slow.csv, jitter: 10ms}' '{preset: wifi, loss: 1}' \
        '{preset: wifi, congestion: {share: 1, rtt_factor: 9}}' '{preset: wifi, interference: {every: 1s, duration: 500ms}}'; do
        printf 'levels: [{model: %s}, {model: %s, link: %s}]\npolicy: {name: tangobert, offload: {threshold: 1}}\n' \
            "$model" "$model" "$name" >"$work/links.yaml"
        run classify -c "$work/links.yaml" --json <"$work/jsonl"
        expect_status 0
        expect_lines 4
        answers "$out" >"$work/over_$((++number))"
        link_ms "$out" >"$work/times_$number"
        if ! cmp "$work/over_1" "$work/over_$number"; then
            problem "link $name changes answers"
        fi
        run classify -c "$work/links.yaml" --json <"$work/jsonl"
        if ! link_ms "$out" | cmp - "$work/times_$number"; then
            problem "link $name takes another time in the second run"
        fi
    done
    # Within the trace's round trips, and beyond half a minute when everything is lost.
    if ! awk 'NR % 2 == 1 && ($1 < 400 || $1 > 610) { exit 1 }' "$work/times_2"; then problem "trace: $(xargs <"$work/times_2")"; fi
    if ! awk 'NR % 2 == 1 && $1 < 30000 { exit 1 }' "$work/times_4"; then problem "loss: $(xargs <"$work/times_4")"; fi
    run classify -c "$work/links.yaml" --levels.2.link.rtt 5s --json <"$work/jsonl"
    expect_stdout '"link_ms":[0-9]{4}'
    run config show -c "$work/links.yaml" --levels.2.link.loss 0.01
    expect_stdout 'levels.2.link.loss +0\.01 +--levels.2.link.loss' 'levels.2.link.interference.every +1s .*links.yaml:1'
}

bench_prints_one_line() {
    run bench -m "$model" --tokens 16 --repeats 3 --json
    expect_status 0
    expect_lines 1
    expect_stdout '"tokens":16' '"median_ms":[0-9]' '"share":[0-9]'
}

bench_runs_through_lists() {
    run bench -m "$model" --tokens 4,16 --threads 1,2 --batch 1,3 --precision both --repeats 1 --json --parts
    expect_status 0
    expect_lines 16
    expect_stdout '"batch":3,"threads":2,"split":false,"precision":"fp32"' '"parts":\{"embedding_ms":[0-9]'
    run bench -m "$model" --tokens 16 --threads 2 --split --repeats 1 --json
    expect_stdout '"threads":2,"split":true'
    run bench -m "$model" --tokens 8 --threads 1 --repeats 2
    expect_status 0
    expect_stdout '8 tokens, 1 text a batch, 1 thread' 'ffn_in ' 'attention_output '
}

bench_measures_texts_loading_and_the_machine() {
    run bench -m "$model" --data "$work/jsonl" --rows 3 --batch 2 --threads 2 --repeats 2 --json
    expect_status 0
    expect_lines 1
    expect_stdout '"data":"jsonl","texts":3,' '"texts_per_s":[0-9]' '"tokenizer_share":0'
    run bench -m "$model" --load --repeats 2 --json
    expect_status 0
    expect_stdout '"open_ms":[0-9].*"median_ms":[0-9].*"resident_bytes":[0-9]'
    run bench --threads 1 --repeats 1 --json
    expect_status 0
    expect_stdout '"peak":"int8","isa":"ref","threads":1' '"peak":"memory copy"'
}

cases help_of_each_command no_command profile_of_the_tiny_model arguments_lines_and_json_agree json_keeps_order_and_ids \
    same_bits_for_threads_and_kernels packed_file_gives_the_same_labels frequent_words_have_their_own_width \
    quantize_spares_its_input labels_are_scored links_change_times_and_no_answer bench_prints_one_line \
    bench_runs_through_lists bench_measures_texts_loading_and_the_machine every_family_directly_and_packed several_labels \
    long_texts
