#!/usr/bin/env python3
"""Writes tests/golden/imdb_test2000_fp32.json: what the float32 reference answers for IMDB test reviews.

For each model: the label of every review at the last exit (a string of digits, one a review, in the order of the
file), how many are right, and the accuracy of every exit. Texts are cut to 512 tokens on the right. Models that the
output file has already are not run again (--force does), so an interrupted run goes on with the next model.

    python3 tools/fp32_labels.py -o tests/golden/imdb_test2000_fp32.json
"""

import argparse
import json
import os
import sys
import time

import torch

import jsonl
from reference import Reference, versions

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
LABELS = {"neg": 0, "pos": 1}


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shared", default=os.path.join(ROOT, "..", "shared"), help="directory with models/ and data/")
    parser.add_argument("--models", nargs="+", default=["tiny-l3", "minilm-l6", "bge-l12"], metavar="NAME")
    parser.add_argument("--texts", type=int, default=2000, help="how many reviews from the start of the file")
    parser.add_argument("--max-tokens", type=int, default=512)
    parser.add_argument("--batch-tokens", type=int, default=4096, help="tokens computed together, padding included")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--force", action="store_true", help="run models that the output has already")
    parser.add_argument("-o", "--output", default=os.path.join(ROOT, "tests", "golden", "imdb_test2000_fp32.json"))
    return parser.parse_args()


def batches(encodings, batch_tokens):
    """Lists of indices, by length, so that padding is little."""
    batch = []
    for index in sorted(range(len(encodings)), key=lambda i: (len(encodings[i][0]), i)):
        if batch and (len(batch) + 1) * len(encodings[index][0]) > batch_tokens:
            yield batch
            batch = []
        batch.append(index)
    yield batch


def label_all(model, rows, arguments):
    """Logits [texts, exits, labels] of all rows."""
    encodings = [model.encode(row["text"], max_tokens=arguments.max_tokens) for row in rows]
    logits = torch.empty(len(rows), model.num_layers, model.num_labels)
    done, start = 0, time.monotonic()
    for batch in batches(encodings, arguments.batch_tokens):
        logits[batch] = model.run([encodings[index] for index in batch])[0]
        done += len(batch)
        print(f"{model.name}: {done}/{len(rows)} {time.monotonic() - start:.0f} s", file=sys.stderr, flush=True)
    return logits


def summary(model, rows, logits):
    truth = torch.tensor([LABELS[row["label"]] for row in rows])
    predicted = logits.argmax(dim=2)  # [texts, exits]
    right = (predicted == truth[:, None]).sum(dim=0).tolist()
    final = logits[:, -1].sort(dim=1).values
    return {
        "model": model.name,
        "correct": right[-1],
        "accuracy": right[-1] / len(rows),
        "exit_accuracy": [count / len(rows) for count in right],
        # Reviews whose two best logits lie closer than this may change label by rounding.
        "smallest_margin": float(str((final[:, -1] - final[:, -2]).min().numpy())),
        "labels": "".join(str(label) for label in predicted[:, -1].tolist()),
    }


def main():
    arguments = parse_arguments()
    torch.set_num_threads(arguments.threads)
    data = os.path.join(arguments.shared, "data", "imdb", "test.jsonl.zst")
    rows = list(jsonl.read(data, arguments.texts))
    options = {
        "data": "imdb/test.jsonl.zst",
        "texts": len(rows),
        "max_tokens": arguments.max_tokens,
        "precision": "float32",
    }
    done = {}
    if os.path.exists(arguments.output) and not arguments.force:
        with open(arguments.output, encoding="utf-8") as file:
            previous = json.load(file)
        if all(previous.get(key) == value for key, value in options.items()):
            done = {entry["model"]: entry for entry in previous["models"]}
    for name in arguments.models:
        if name not in done:
            model = Reference(os.path.join(arguments.shared, "models", name), attention="sdpa")
            done[name] = summary(model, rows, label_all(model, rows, arguments))
            print(f"{name}: accuracy {done[name]['accuracy']:.4f}", file=sys.stderr, flush=True)
        document = {
            "made_by": "tools/fp32_labels.py",
            "command": f"python3 tools/fp32_labels.py --texts {arguments.texts} --max-tokens {arguments.max_tokens}"
            f" --batch-tokens {arguments.batch_tokens} --threads {arguments.threads}",
            "versions": versions(),
            **options,
            "truth": "".join(str(LABELS[row["label"]]) for row in rows),
            "models": [done[key] for key in arguments.models if key in done],
        }
        jsonl.replace(arguments.output, (json.dumps(document, indent=1) + "\n").encode())


if __name__ == "__main__":
    main()
