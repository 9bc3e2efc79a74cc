#!/usr/bin/env bash
# sst2.sh OUT [TRAIN.PY'S OPTIONS]: a cascade for short texts (SST-2: positive or negative) from ../shared: docs/train.md.
#   OUT/hf/{end,edge,cloud}             Hugging Face directories
#   OUT/{end,edge,cloud}.safetensors    the same, packed
# The cloud's model learns from the labels; the edge's and the end's from the cloud's answers to the same sentences and to
# SENTENCES others out of unlabelled reviews, which rung labels. What is there already is not made again. Choices are made
# by the dev split; the test split is not read. Environment: PYTHON (python3; needs requirements.txt), RUNG
# (build/src/cli/rung), SHARED (../shared), SENTENCES (80000).
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
if [ $# -lt 1 ]; then
    echo "usage: $0 OUT [OPTIONS OF train.py]" >&2
    exit 2
fi
out=$1
shift
python=${PYTHON:-python3}
rung=${RUNG:-$root/build/src/cli/rung}
shared=${SHARED:-$root/../shared}
train=$shared/data/sst2/train.jsonl.zst
dev=$shared/data/sst2/dev.jsonl.zst
mkdir -p "$out/hf"

# learn LEVEL MODEL OPTIONS...: fine-tunes one model on all its exits and packs it.
learn() {
    local level=$1 model=$2
    shift 2
    if [ ! -e "$out/hf/$level" ]; then
        "$python" "$root/tools/train/train.py" --model "$shared/models/$model" --dev "$dev" --max-tokens 128 "$@" \
            -o "$out/hf/$level.new" | tee "$out/$level.log"
        mv "$out/hf/$level.new" "$out/hf/$level"
    fi
}

# answers FILE NAME: what the cloud's model says, one line for each.
answers() {
    if [ ! -e "$out/$2.answers" ]; then
        zstd -dcfq -- "$1" | "$rung" classify -m "$out/cloud.safetensors" --json >"$out/$2.answers.part"
        mv "$out/$2.answers.part" "$out/$2.answers"
    fi
}

learn cloud bge-l12 --data "$train" --epochs 3 --lr 5e-5 --exit-weights depth "$@"
"$rung" quantize "$out/hf/cloud" -o "$out/cloud.safetensors" --embedding-bits 4 --frequent-rows 3072 --frequent-bits 6

if [ ! -e "$out/sentences.jsonl" ]; then
    "$python" "$root/tools/train/sentences.py" --count "${SENTENCES:-80000}" -o "$out/sentences.jsonl" \
        "$shared/data/imdb/unlabelled.jsonl.zst"
fi
answers "$train" train
answers "$out/sentences.jsonl" sentences
distil=(--data "$train" "$out/sentences.jsonl" --teacher-outputs "$out/train.answers" "$out/sentences.answers")

learn edge minilm-l6 "${distil[@]}" --epochs 1 --lr 1e-4 --exit-weights depth --dropout 0 "$@"
"$rung" quantize "$out/hf/edge" -o "$out/edge.safetensors" --embedding-bits 4 --frequent-rows 4096 --frequent-bits 6

learn end tiny-l3 "${distil[@]}" --epochs 2 --lr 2e-4 --exit-weights even --dropout 0 "$@"
"$rung" quantize "$out/hf/end" -o "$out/end.safetensors" --embedding-bits 5
