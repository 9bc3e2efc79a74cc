#!/usr/bin/env python3
"""Writes golden logits: the float32 reference's logits at every exit and the column sums of attention.

Exit e is the linear head on the [CLS] state after layer e, the last one the model's pooler and classifier. The column
sums of a layer are Eq 9's: for every token, softmax(QK'/sqrt(d)) summed over heads and query positions, divided by
the number of heads. They are added up in double precision from float32 probabilities. `rounding` is the largest
difference of any logit from the same model run in double precision: what float32 itself costs.

Texts come from a file of JSON lines {"text"[, "text_pair"]} (--texts), and then stand in the output with their token
ids; or they are rows of a data set (--data, --rows), and then only row number, token count and a hash of the ids
stand there: XXH64, seed 0, over the ids as little-endian int32. Texts longer than the model's positions are cut on
the right, longest first for pairs.

    python3 tools/golden_logits.py tiny      tests/golden/logits_tiny.json.zst from tests/golden/texts.jsonl
    python3 tools/golden_logits.py families  tests/golden/logits_families.json.zst from the same
    python3 tools/golden_logits.py shared    tests/golden/logits_shared.json from rows of the IMDB test file
"""

import argparse
import json
import os
import subprocess

import numpy
import torch
import xxhash

import jsonl
from reference import Reference, versions

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
GOLDEN = os.path.join(ROOT, "tests", "golden")
# From eight words to over 1,000, which is more than 512 tokens.
ROWS = [600, 901, 279, 247, 879, 346, 724, 966]
COLUMN_SUM_ROWS = [600, 901]
FAMILIES = ["tiny-distilbert", "tiny-roberta", "tiny-bertweet", "tiny-sharded"]
# RoBERTa gives a typed padding token the padding's position.
FAMILY_TEXTS = [{"text": "the <pad> was good and <pad><pad> great"}]


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    tiny = commands.add_parser("tiny", help="the models of make_tiny_bert.py")
    tiny.add_argument(
        "--models",
        nargs="+",
        metavar="DIRECTORY",
        default=[os.path.join(GOLDEN, name) for name in ("tiny-bert", "tiny-bert-odd")],
    )
    tiny.add_argument("--texts", default=os.path.join(GOLDEN, "texts.jsonl"), metavar="FILE")
    tiny.add_argument("-o", "--output", default=os.path.join(GOLDEN, "logits_tiny.json.zst"))
    families = commands.add_parser("families", help="the models of make_tiny_families.py")
    families.add_argument(
        "--models", nargs="+", metavar="DIRECTORY", default=[os.path.join(GOLDEN, name) for name in FAMILIES]
    )
    families.add_argument("--texts", default=os.path.join(GOLDEN, "texts.jsonl"), metavar="FILE")
    families.add_argument("-o", "--output", default=os.path.join(GOLDEN, "logits_families.json.zst"))
    shared = commands.add_parser("shared", help="the trained models of ../shared")
    shared.add_argument("--shared", default=os.path.join(ROOT, "..", "shared"), help="directory with models/ and data/")
    shared.add_argument("--models", nargs="+", metavar="NAME", default=["tiny-l3", "minilm-l6", "bge-l12"])
    shared.add_argument("--data", default=os.path.join("imdb", "test.jsonl.zst"), help="file below data/")
    shared.add_argument("--rows", nargs="+", type=int, default=ROWS, help="zero-based")
    shared.add_argument(
        "--column-sum-rows",
        nargs="*",
        type=int,
        default=COLUMN_SUM_ROWS,
        help="rows for which the column sums of the first layer are written",
    )
    shared.add_argument("-o", "--output", default=os.path.join(GOLDEN, "logits_shared.json"))
    return parser.parse_args()


def shortest(array):
    """Nested lists of the shortest decimals that give the same float32."""
    if array.ndim == 0:
        return float(str(numpy.float32(array)))
    return [shortest(part) for part in array]


class Golden:
    """One model in float32 and, to know the cost of that, in double precision."""

    def __init__(self, directory):
        self.single = Reference(directory)
        self.double = Reference(directory, dtype=torch.float64)
        self.rounding = 0.0

    def run(self, encoded):
        """Logits [exits, labels] and column sums [layers, tokens]."""
        logits, attention = self.single.run([encoded], with_attention=True)
        exact, _ = self.double.run([encoded])
        self.rounding = max(self.rounding, (logits.double() - exact).abs().max().item())
        # attention: by layer, [heads, queries, tokens]
        sums = [layer.double().sum(dim=(0, 1)) / layer.shape[0] for layer in attention]
        return logits[0].numpy(), torch.stack(sums).numpy()

    def document(self, texts):
        return {
            "model": self.single.name,
            "max_tokens": self.single.max_tokens,
            "num_exits": self.single.num_layers,
            "num_labels": self.single.num_labels,
            "rounding": float(f"{self.rounding:.2g}"),
            "texts": texts,
        }


def golden_texts(directory, rows, with_sums=True):
    golden, texts = Golden(directory), []
    for row in rows:
        ids, type_ids = golden.single.encode(row["text"], row.get("text_pair"))
        logits, sums = golden.run((ids, type_ids))
        entry = {**row, "ids": ids, "type_ids": type_ids, "logits": shortest(logits)}
        if with_sums:
            entry["column_sums"] = shortest(sums)
        texts.append(entry)
    return golden.document(texts)


def golden_rows(directory, rows, column_sum_rows):
    """rows: {row number: text}."""
    golden, texts = Golden(directory), []
    for number, text in rows.items():
        ids, type_ids = golden.single.encode(text)
        logits, sums = golden.run((ids, type_ids))
        all_ids, _ = golden.single.encode(text, max_tokens=1 << 30)
        entry = {
            "row": number,
            "tokens": len(ids),
            "truncated_tokens": len(all_ids) - len(ids),
            "ids_xxh64": xxhash.xxh64_hexdigest(numpy.array(ids, dtype="<i4").tobytes(), seed=0),
            "logits": shortest(logits),
        }
        if number in column_sum_rows:
            entry["column_sums"] = shortest(sums[:1])
        texts.append(entry)
    return golden.document(texts)


def to_json(document):
    """One text a line, so that differences can be read."""
    texts = [model.pop("texts") for model in document["models"]]
    head = json.dumps({key: value for key, value in document.items() if key != "models"}, indent=1, ensure_ascii=False)
    models = []
    for model, lines in zip(document["models"], texts):
        opening = json.dumps(model, ensure_ascii=False)[:-1]
        body = ",\n".join("   " + json.dumps(line, ensure_ascii=False) for line in lines)
        models.append(f'  {opening}, "texts": [\n{body}\n  ]}}')
    return head[:-2] + ',\n "models": [\n' + ",\n".join(models) + "\n ]\n}\n"


def main():
    arguments = parse_arguments()
    torch.set_num_threads(1)
    document = {"made_by": f"tools/golden_logits.py {arguments.command}", "versions": versions()}
    if arguments.command in ("tiny", "families"):
        rows = list(jsonl.read(arguments.texts))
        rows += FAMILY_TEXTS if arguments.command == "families" else []
        with_sums = arguments.command == "tiny"
        document["models"] = [golden_texts(directory, rows, with_sums) for directory in arguments.models]
    else:
        data = os.path.join(arguments.shared, "data", arguments.data)
        all_rows = list(jsonl.read(data, max(arguments.rows) + 1))
        rows = {number: all_rows[number]["text"] for number in arguments.rows}
        document["data"] = arguments.data
        document["models"] = [
            golden_rows(os.path.join(arguments.shared, "models", name), rows, arguments.column_sum_rows)
            for name in arguments.models
        ]
    summary = [(model["model"], len(model["texts"]), model["rounding"]) for model in document["models"]]
    text = to_json(document).encode()
    if arguments.output.endswith(".zst"):
        text = subprocess.run(["zstd", "-cq", "-19"], input=text, stdout=subprocess.PIPE, check=True).stdout
    jsonl.replace(arguments.output, text)
    for name, texts, rounding in summary:
        print(f"{name}: {texts} texts, float32 within {rounding} of float64")


if __name__ == "__main__":
    main()
