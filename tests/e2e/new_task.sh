#!/usr/bin/env bash
# new_task.sh RUNG: labelled texts of a new task make a classifier of a frozen encoder, with its own labels; what cannot be learned from is said
# in one line and overwrites nothing.
. "$(dirname "$0")/lib.sh"

tiny=$root/tests/golden/tiny-bert
data=$work/rows.jsonl
printf 'calibration: calibration.json\nlevels:\n  - model: %s\n  - {model: %s, link: lan}\n' "$tiny" "$tiny" >"$work/cascade.yaml"

# rows N: N labelled questions of three kinds.
rows() {
    local kinds=(fruit metal river) words=("love great" "dull hate" "plot actor") fillers=("the film" "a movie" "it was" "very this") i
    for ((i = 0; i < $1; i++)); do
        printf '{"text": "%s %s %s", "label": "%s"}\n' "${fillers[i % 4]}" "${words[i % 3]}" "${fillers[i / 12 % 4]}" "${kinds[i % 3]}"
    done
}
rows 120 >"$data"

# plain NAME: the tiny model without classifier and exits.
plain() {
    mkdir "$work/$1"
    cp "$tiny"/tokenizer*.json "$tiny/model.safetensors" "$work/$1/"
    sed 's/BertForSequenceClassification/BertModel/' "$tiny/config.json" >"$work/$1/config.json"
}

a_cascade_learns_a_task() {
    run fit -c "$work/cascade.yaml" --data "$data" --heads new
    expect_status 0
    expect_stderr "fitted on 120 rows: heads on 90, all else on the other 30"
    run classify -c "$work/cascade.yaml" --json 'the film love great a movie' 'it was dull hate very this'
    expect_status 0
    expect_lines 2
    expect_stdout '"label":"fruit".*"fruit":.*"metal":.*"river":' '"label":"metal"'
    cp "$work/calibration.json" "$work/before.json"
    run fit -c "$work/cascade.yaml" --data "$data" --heads new --threads 3
    expect_status 0
    if ! cmp "$work/before.json" "$work/calibration.json"; then problem "the same data gave another file"; fi
}

heads_belong_to_their_models() {
    run classify -m "$tiny" --calibration "$work/calibration.json" 'a film'
    expect_error "is for 2 levels"
    run classify -m "$tiny" --precision fp32 'a film'
    expect_status 0
    expect_stdout 'contradiction|neutral|entailment'
}

a_plain_encoder_becomes_a_classifier() {
    plain encoder
    run classify -m "$work/encoder" 'a film'
    expect_error "plain encoder without a classifier" "rung fit"
    run fit -m "$work/encoder" --data "$data" -o "$work/plain.json"
    expect_status 0
    run classify -m "$work/encoder" --calibration "$work/plain.json" 'the film plot actor a movie'
    expect_status 0
    expect_stdout 'river'
    run quantize "$work/encoder" -o "$work/packed"
    expect_status 0
    run fit -m "$work/packed" --data "$data" -o "$work/packed.json"
    expect_status 0
    run classify -m "$work/packed" --calibration "$work/packed.json" 'the film plot actor a movie'
    expect_status 0
    expect_stdout 'river'
    run classify -m "$work/packed" --calibration "$work/plain.json" 'a film'
    expect_error "model_sha256"
    run bench -m "$work/encoder" --tokens 8 --repeats 1 --threads 1
    expect_status 0
}

data_that_cannot_be_learned_from() {
    local name
    cp "$work/calibration.json" "$work/before.json"
    head -n 3 "$data" >"$work/few.jsonl"
    grep fruit "$data" >"$work/one.jsonl"
    { cat "$data"; echo '{"text": "no label"}'; } >"$work/unlabelled.jsonl"
    run fit -c "$work/cascade.yaml" --data "$work/few.jsonl" --heads new
    expect_error "3 rows" "at least 40"
    run fit -c "$work/cascade.yaml" --data "$work/one.jsonl" --heads new
    expect_error 'all 40 rows have label "fruit"'
    run fit -c "$work/cascade.yaml" --data "$work/unlabelled.jsonl" --heads new
    expect_error "unlabelled.jsonl:121:" "label is missing"
    for name in auto keep; do
        run fit -c "$work/cascade.yaml" --data "$data" --heads "$name"
        expect_error "rows.jsonl:1:" '"fruit" is not one of'
    done
    run fit -c "$work/cascade.yaml" --data "$data" --heads some
    expect_error "auto" "keep" "new"
    if ! cmp "$work/before.json" "$work/calibration.json"; then problem "the calibration changed"; fi
}

damaged_heads_are_refused() {
    sed 's/"layers": 3/"layers": 4/' "$work/before.json" >"$work/calibration.json"
    run classify -c "$work/cascade.yaml" 'a film'
    expect_error "calibration.json"
    sed 's/"hidden_size": 32/"hidden_size": 31/' "$work/before.json" >"$work/calibration.json"
    run classify -c "$work/cascade.yaml" 'a film'
    expect_error "calibration.json"
    cp "$work/before.json" "$work/calibration.json"
}

cases a_cascade_learns_a_task heads_belong_to_their_models a_plain_encoder_becomes_a_classifier data_that_cannot_be_learned_from \
    damaged_heads_are_refused
