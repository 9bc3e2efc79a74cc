#!/usr/bin/env python3
"""Compares encoder.py with the logits and column sums of transformers in tests/golden, and a saved copy with its original.

Run it after a change to encoder.py or passes.py; it needs torch, so no test of the build does.
"""

import json
import os
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import torch
from encoder import Encoder
from passes import Reader, collate, predict
from records import Record

GOLDEN = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tests", "golden")
TOLERANCE = 1e-4


def padded(texts, field, num_exits):
    """collate() of one of the golden texts at a time with a longer one, so that padding is there and masked."""
    longest = max(texts, key=lambda text: len(text["ids"]))
    for text in texts:
        inputs = collate([(text["ids"], text["type_ids"]), (longest["ids"], longest["type_ids"])], "cpu")
        yield text, torch.tensor(text[field]).view(num_exits, -1), inputs


def compare(golden):
    directory = os.path.join(GOLDEN, golden["model"])
    encoder, worst, sums = Encoder(directory), 0.0, 0.0
    for text, logits, inputs in padded(golden["texts"], "logits", golden["num_exits"]):
        got = torch.stack(encoder.logits(*inputs), 1)[0]
        worst = max(worst, (got - logits).abs().max().item())
    if "column_sums" in golden["texts"][0]:
        for text, columns, (ids, types, mask) in padded(golden["texts"], "column_sums", golden["num_exits"]):
            mask = torch.ones_like(ids, dtype=torch.bool) if mask is None else mask
            got = encoder.importance(ids, types, mask, golden["num_exits"])[0, : columns.shape[1]]
            sums = max(sums, (got - columns.mean(0)).abs().max().item())
    print(f"{golden['model']}: logits differ by {worst:.1e}, importances by {sums:.1e}")
    return max(worst, sums) < TOLERANCE


def compare_copy(directory):
    """Half floats are all that a saved copy loses, and a copy of the copy loses nothing."""
    with tempfile.TemporaryDirectory() as work:
        first, second = os.path.join(work, "a"), os.path.join(work, "b")
        Encoder(directory).save(first)
        Encoder(first).save(second)
        records = [Record("a great film"), Record("it was dull")]
        logits = [predict(Encoder(path), Reader(path, 64), records) for path in (first, second)]
        return torch.equal(*logits)


def main():
    good = True
    for name in ("logits_tiny.json.zst", "logits_families.json.zst"):
        text = subprocess.run(["zstd", "-dcq", "--", os.path.join(GOLDEN, name)], stdout=subprocess.PIPE, check=True).stdout
        models = json.loads(text)["models"]
        for golden in models:
            if os.path.exists(os.path.join(GOLDEN, golden["model"], "tokenizer.json")):
                good &= compare(golden)
    good &= compare_copy(os.path.join(GOLDEN, "tiny-roberta"))
    sys.exit(0 if good else "check_encoder.py: they differ")


if __name__ == "__main__":
    main()
