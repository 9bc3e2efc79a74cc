#!/usr/bin/env bash
# default_cascade.sh RUNG: the default cascade as a user meets it: demo, fit, config show, and a calibration that does not belong.
. "$(dirname "$0")/lib.sh"

export RUNG_DATA=$root
zstd -dcq "$root/examples/reviews.jsonl.zst" >"$work/all.jsonl"
head -n 12 "$work/all.jsonl" >"$work/reviews.jsonl"
# The starts of 24 reviews: enough rows for a fit, and quick.
head -n 24 "$work/all.jsonl" | sed -E 's/"text": ?"([^"\\]{1,200})([^"\\]|\\.)*"/"text":"\1"/' >"$work/rows.jsonl"

demo_prints_the_table_and_five_reviews() {
    run demo --once --data "$work/reviews.jsonl"
    expect_status 0
    expect_stdout '^12 reviews, int8' 'level 1 end ' 'level 2 edge .*wifi' 'level 3 cloud .*4g' 'agrees' 'answered at' 'words' \
        'bytes' '^rung  ' '^tangobert ' '^tabi ' '^always-cloud .*100\.0%' 't = 0\.8, 0\.8, k = 10; prune alpha = 0\.5' \
        '^5 reviews' '\((right|wrong: it is (pos|neg))\)'
    if [ "$(grep -c '^  test/' "$out")" -ne 5 ]; then
        problem "$(grep -c '^  test/' "$out") reviews instead of 5"
    fi
    expect_stderr "12/12"
}

classify_says_what_each_level_did() {
    run classify --json <"$work/reviews.jsonl"
    expect_status 0
    expect_lines 12
    expect_stdout '"level":1,"degraded":false,"levels":\[\{"level":1,"model":"end"' '"model":"edge"' '"label":"(pos|neg)"'
    expect_stderr "accuracy"
}

fit_is_the_same_bytes_for_any_number_of_threads() {
    local threads
    for threads in 1 2; do
        run fit --data "$work/rows.jsonl" -o "$work/$threads.json" --threads $threads
        expect_status 0
        expect_stdout '^cloud +12 ' '^level +threshold .*learned threshold' '^agreement with the top level: '
    done
    if ! cmp "$work/1.json" "$work/2.json"; then
        problem "two fits differ"
    fi
    run classify --calibration "$work/1.json" "a fine film"
    expect_status 0
}

fit_needs_no_labels() {
    sed -E 's/, ?"label": ?"[a-z]+"//' "$work/rows.jsonl" >"$work/unlabelled.jsonl"
    run fit --data "$work/unlabelled.jsonl" -o "$work/top.json"
    expect_error "unlabelled.jsonl:1:" "label is missing"
    run fit --data "$work/unlabelled.jsonl" -o "$work/top.json" --labels none
    expect_status 0
    expect_stdout '^cloud +12 +1\.0000 +1\.0000 '
    run classify --calibration "$work/top.json" --policy.defer learned "a fine film"
    expect_status 0
    run fit --data "$work/unlabelled.jsonl" -o "$work/top.json" --labels-from top --heads new
    expect_error "--heads new" "--labels-from top"
}

fit_refuses_what_it_cannot_use() {
    run fit -o "$work/x.json"
    expect_error "--data"
    run fit --data "$work/none.jsonl" -o "$work/x.json"
    expect_error "none.jsonl" "cannot open"
    printf '{"text":"a","label":"good"}\n' >"$work/bad.jsonl"
    run fit --data "$work/bad.jsonl" -o "$work/x.json"
    expect_error "bad.jsonl:1" "good"
    head -n 3 "$work/rows.jsonl" >"$work/few.jsonl"
    run fit --data "$work/few.jsonl" -o "$work/x.json"
    expect_error "few.jsonl" "3 rows" "at least 20"
    sed -E 's/"label": ?"[a-z]+"/"label":"pos"/' "$work/rows.jsonl" >"$work/one.jsonl"
    run fit --data "$work/one.jsonl" -o "$work/x.json"
    expect_error "one.jsonl" 'all 24 rows have label "pos"'
    run fit --data "$work/rows.jsonl" -o "$work/no-such-directory/x.json"
    expect_error "no-such-directory/x.json" "temporary file"
    run fit --data "$work/rows.jsonl" -o /dev/null
    expect_error "/dev/null" "not a regular file"
    if [ -e "$work/x.json" ]; then
        problem "a file was written"
    fi
}

fit_refuses_a_damaged_model() {
    cp "$root/models/end.safetensors" "$work/end.safetensors"
    printf 'U' | dd of="$work/end.safetensors" bs=1 seek=7000000 conv=notrunc status=none
    run fit --data "$work/rows.jsonl" -o "$work/x.json" --levels.1.model "$work/end.safetensors"
    expect_error "end.safetensors" "the file is damaged"
}

config_show_names_sources() {
    run config show --policy.exit.tau 0.05
    expect_status 0
    expect_stdout 'policy.exit.tau +0\.05 +--policy.exit.tau' 'levels.2.link +wifi .*cascade.yaml:[0-9]+' 'offload.threshold .*calibration'
}

calibration_of_other_models_is_refused() {
    sed 's/"model_sha256": *"[0-9a-f]\{8\}/"model_sha256":"00000000/' "$root/models/calibration.json" >"$work/other.json"
    run classify --calibration "$work/other.json" "a fine film"
    expect_error "other.json" "model_sha256" "rung fit"
    run classify --calibration "$root/models/cascade.yaml" "a fine film"
    expect_error "cascade.yaml"
}

cases demo_prints_the_table_and_five_reviews classify_says_what_each_level_did \
    fit_is_the_same_bytes_for_any_number_of_threads fit_needs_no_labels fit_refuses_what_it_cannot_use fit_refuses_a_damaged_model config_show_names_sources \
    calibration_of_other_models_is_refused
