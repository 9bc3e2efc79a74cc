#!/usr/bin/env bash
# evaluation.sh RUNG: rung eval on tiny random models: the files it writes, that a second run computes nothing and says the same, that what it deploys runs, and
# what a user gives wrong, which loses nothing.
. "$(dirname "$0")/lib.sh"

tiny=$root/tests/golden/tiny-bert
data=$work/rows.jsonl
cascade=$work/cascade.yaml
printf 'levels:\n  - {name: one, model: %s, speed: 0.25}\n  - {name: two, model: %s, link: wifi}\n  - {name: three, model: %s, speed: 4, link: 4g}\n' \
    "$tiny" "$tiny" "$tiny" >"$cascade"

# rows N: N labelled texts that differ.
rows() {
    local words=(good bad great plot actor story very funny) labels=(contradiction neutral entailment) i
    for ((i = 0; i < $1; i++)); do
        printf '{"id": "r%d", "text": "the %s %s film was %s and %s", "label": "%s"}\n' "$i" "${words[i % 8]}" "${words[i / 8 % 8]}" \
            "${words[i / 64 % 8]}" "${words[i * 3 % 7]}" "${labels[i % 3]}"
    done
}
rows 280 >"$data"

# evaluate ARGUMENTS...: a small run into $work/out.
evaluate() {
    run eval -c "$cascade" --data "$data" -o "$work/eval" --quick --rows 260 --trials 12 --threads 2 "$@"
}

# file NAME...: of the run.
file() {
    local name
    for name in "$@"; do
        if [ ! -s "$work/eval/$name" ]; then problem "no $name"; fi
    done
}

a_run_writes_a_report() {
    local heading
    evaluate
    expect_status 0
    expect_lines 1
    expect_stdout "goals reached; $work/eval/report.md\$" 'mean [0-9.]+ ms' 'agreement [01]\.[0-9]+'
    file record.rung profile.json candidates.csv table1.csv table1_sweeps.csv table1_ours.csv frontier.csv headline.csv tabi.csv paper_frontier.csv \
        ablations.csv additions.csv networks.csv engine.csv calibration.csv fig4_offload.dat fig8_time.gp fig9_accuracy.dat frontier_accuracy.dat \
        latency_cdf.dat exits.dat deploy/cascade.yaml deploy/calibration.json
    for heading in '# Evaluation' '## What was run' '## Table I' '## Figures' '## Headline' '## Ablations' '## Networks' '## Calibration' '## Deployed'; do
        if ! grep -q "^$heading" "$work/eval/report.md"; then problem "no $heading in the report"; fi
    done
    if ! grep -q 'rung eval --config' "$work/eval/report.md"; then problem "the report does not say the command"; fi
    if ! grep -q '0 missing keys' "$work/eval/report.md"; then problem "the report does not tell of the record"; fi
    if ! grep -qE "replay's answers in one process: ([0-9]+) of \1 " "$work/eval/report.md"; then problem "what was deployed answers otherwise"; fi
}

a_second_run_says_the_same() {
    local name
    cp -r "$work/eval" "$work/first"
    evaluate
    expect_status 0
    if ! grep -q ' and 0 were computed now' "$work/eval/report.md"; then problem "the second run computed"; fi
    for name in candidates headline tabi table1 ablations networks calibration paper_points; do
        if ! cmp "$work/first/$name.csv" "$work/eval/$name.csv"; then problem "another $name.csv"; fi
    done
    if ! cmp "$work/first/deploy/cascade.yaml" "$work/eval/deploy/cascade.yaml"; then problem "another policy"; fi
}

what_is_deployed_runs() {
    run classify -c "$work/eval/deploy/cascade.yaml" 'the good film'
    expect_status 0
    expect_stdout 'contradiction|neutral|entailment'
    evaluate --live 3
    expect_status 0
    file live.csv
    if ! grep -q "sockets are the replay's: 3 of 3" "$work/eval/report.md"; then problem "the nodes answered otherwise"; fi
}

other_models_or_precision() {
    evaluate --precision fp32
    expect_error "record.rung" "precision int8" "precision fp32" "another directory"
    evaluate --levels.2.model "$work/nowhere"
    expect_error "nowhere"
}

rows_that_cannot_be_used() {
    { cat "$data"; printf '{"text": "no label"}\n'; } >"$work/unlabelled.jsonl"
    { cat "$data"; printf '{"text": "a film", "label": "film"}\n'; } >"$work/unknown.jsonl"
    rows 40 >"$work/few.jsonl"
    : >"$work/empty.jsonl"
    evaluate --data "$work/unlabelled.jsonl"
    expect_error "unlabelled.jsonl:281:" "label"
    evaluate --data "$work/unknown.jsonl"
    expect_error "unknown.jsonl:281:" '"film" is not one of'
    evaluate --tune-data "$work/unlabelled.jsonl"
    expect_error "unlabelled.jsonl:281:" "label"
    evaluate --data "$work/few.jsonl"
    expect_error "rows to tune on" "at least 20"
    evaluate --data "$work/empty.jsonl"
    expect_error "empty.jsonl"
    evaluate --data "$work/none.jsonl"
    expect_error "none.jsonl"
}

options_that_make_no_sense() {
    run eval -c "$cascade" -o "$work/eval"
    expect_error "--data FILE"
    run eval -c "$cascade" --data "$data"
    expect_error "-o DIR"
    evaluate --policy tabby
    expect_error "tabby" "tabi"
    evaluate --trials 3
    expect_error "--trials" "10"
    evaluate --links "$work/nowhere"
    expect_error "nowhere"
    mkdir "$work/no-traces"
    evaluate --links "$work/no-traces"
    expect_error "no-traces"
    run eval -c "$cascade" --data "$data" -o "$data"
    expect_error "rows.jsonl" "not a directory"
    printf 'levels:\n  - {model: %s}\n' "$tiny" >"$work/single.yaml"
    run eval -c "$work/single.yaml" --data "$data" -o "$work/single"
    expect_error "has one"
}

# expect_failure TEXT...: exit code 1 and the last line on stderr says each TEXT.
expect_failure() {
    local text
    expect_status 1
    tail -n 1 "$err" >"$work/last"
    for text in "$@"; do
        if ! grep -qF -- "$text" "$work/last"; then problem "the last line does not say \"$text\""; fi
    done
}

# A file may not grow beyond 64 KiB: what a full disk does to the record.
a_full_disk_loses_nothing() {
    command="rung eval on a full disk"
    (
        trap '' XFSZ
        ulimit -f 64
        exec "$rung" eval -c "$cascade" --data "$data" -o "$work/full" --quick --rows 260 --trials 12
    ) >"$out" 2>"$err"
    status=$?
    expect_failure "full/record.rung" "File too large"
    run eval -c "$cascade" --data "$data" -o "$work/full" --quick --rows 260 --trials 12
    expect_status 0
    if grep -q ' 0 texts as models read them were known' "$work/full/report.md"; then problem "what was recorded is lost"; fi
}

cases a_run_writes_a_report a_second_run_says_the_same what_is_deployed_runs other_models_or_precision rows_that_cannot_be_used \
    options_that_make_no_sense a_full_disk_loses_nothing
