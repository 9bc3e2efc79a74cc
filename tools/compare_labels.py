#!/usr/bin/env python3
"""Compares answers of `rung classify --json` with the committed fp32 labels of the same model.

    zstd -dc ../shared/data/imdb/test.jsonl.zst | head -n 2000 |
        rung classify -m models/edge.safetensors --json > edge.jsonl
    tools/compare_labels.py minilm-l6 edge.jsonl

Prints accuracy, the share of equal labels and the rows that differ. Exits with 1 when a limit does not hold: labels equal on
99.5 % of the rows, accuracy within 0.3 points. Standard library only.
"""

import argparse
import json
import pathlib
import sys

LABELS = "neg", "pos"
LEAST_EQUAL = 0.995
MOST_APART = 0.003


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", help="tiny-l3, minilm-l6 or bge-l12")
    parser.add_argument("answers", type=pathlib.Path, help="JSON lines of rung classify --json")
    parser.add_argument("--golden", type=pathlib.Path, default=pathlib.Path("tests/golden/imdb_test2000_fp32.json"))
    arguments = parser.parse_args()
    golden = json.loads(arguments.golden.read_text())
    models = golden["models"]
    wanted = models[arguments.model] if isinstance(models, dict) else next(
        m for m in models if m["model"] == arguments.model)
    with arguments.answers.open() as lines:
        found = "".join(str(LABELS.index(json.loads(line)["label"])) for line in lines)
    labels, truth = wanted["labels"], golden["truth"]
    if len(found) != len(labels):
        sys.exit(f"{arguments.answers}: {len(found)} answers, but {len(labels)} labels are committed")
    differ = [i for i in range(len(labels)) if found[i] != labels[i]]
    accuracy = [sum(a == b for a, b in zip(x, truth)) / len(truth) for x in (found, labels)]
    equal = 1 - len(differ) / len(labels)
    print(f"{arguments.model}: accuracy {accuracy[0]:.4f} (fp32 {accuracy[1]:.4f}), {equal:.2%} of labels equal, "
          f"rows that differ: {differ}")
    return 0 if equal >= LEAST_EQUAL and abs(accuracy[0] - accuracy[1]) <= MOST_APART + 1e-9 else 1


if __name__ == "__main__":
    sys.exit(main())
