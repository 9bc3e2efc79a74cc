#!/usr/bin/env python3
"""Measures models by exit: accuracy, and agreement with a teacher's outputs. docs/train.md.

    tools/train/measure.py --data train.jsonl.zst --teacher-outputs train.answers --hold-out 10 end end-trained
    tools/train/measure.py --data holdout.jsonl --prune-with end --alphas 0.5 1 edge edge-trained

--hold-out N measures every Nth row alone. With --prune-with, texts are read as the level below sends them up at each
alpha, and `words` is the share of words that is left. A line of JSON for each model and alpha; in float32.
"""

import argparse
import json
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import records as data

import torch

import passes
from encoder import Encoder, ModelError
from train import pruned


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="+", metavar="DIR", help="Hugging Face directories with exits")
    parser.add_argument("--data", required=True, metavar="FILE", help="JSON lines with text and label")
    parser.add_argument("--teacher-outputs", metavar="FILE", help="what `rung classify --json` said about the same lines")
    parser.add_argument("--hold-out", type=int, default=1, metavar="N", help="measure every Nth row (1)")
    parser.add_argument("--prune-with", metavar="DIR", help="model of the level below")
    parser.add_argument("--prune-layers", type=int, default=2, metavar="N", help="its layers that make importance (2)")
    parser.add_argument("--alphas", type=float, nargs="+", default=[0.5], help="(0.5)")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int)
    arguments = parser.parse_args()
    if arguments.hold_out < 1:
        parser.error("--hold-out must be at least 1")
    return arguments


def variants(rows, arguments, labels):
    """Yields (what the line says, records): the texts as they are, or pruned at each alpha."""
    if arguments.prune_with is None:
        yield {}, rows
        return
    below = Encoder(arguments.prune_with, labels=labels, device=arguments.device)
    passes.add_words(rows, below, passes.Reader(arguments.prune_with, below.max_tokens), arguments.prune_layers)
    full = sum(len(row.text.split()) for row in rows)
    for alpha in arguments.alphas:
        chosen = [pruned(row, alpha) for row in rows]
        yield {"alpha": alpha, "words": round(sum(len(row.text.split()) for row in chosen) / full, 4)}, chosen


def main():
    arguments = parse_arguments()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    try:
        encoders = [Encoder(directory, device=arguments.device) for directory in arguments.models]
        labels = encoders[0].labels
        rows = data.read_with_outputs(arguments.data, arguments.teacher_outputs, labels)[:: arguments.hold_out]
        for line, chosen in variants(rows, arguments, labels):
            for directory, encoder in zip(arguments.models, encoders):
                if encoder.labels != labels:
                    raise ModelError(f"{directory}: its labels are not those of {arguments.models[0]}")
                reader = passes.Reader(directory, encoder.max_tokens)
                print(json.dumps({"model": directory, **line, **passes.measure(encoder, reader, chosen)}), flush=True)
    except (ModelError, data.DataError) as error:
        sys.exit(f"measure.py: {error}")


if __name__ == "__main__":
    main()
