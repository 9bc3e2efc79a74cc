#!/usr/bin/env python3
"""make_null_model.py DIRECTORY: a BERT classifier that costs next to nothing: one layer of width 8, with the tokenizer of tests/golden/tiny-bert. For
measuring what is around a model (bench/node_overhead.c). Weights are zeros but for the classifier's bias. The standard library only."""

import json
import os
import shutil
import struct
import sys

TINY = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tests", "golden", "tiny-bert")
HIDDEN = 8


def tensors(vocab, positions):
    layer = "bert.encoder.layer.0."
    yield "bert.embeddings.word_embeddings.weight", [vocab, HIDDEN]
    yield "bert.embeddings.position_embeddings.weight", [positions, HIDDEN]
    yield "bert.embeddings.token_type_embeddings.weight", [2, HIDDEN]
    for norm in ("bert.embeddings.LayerNorm", layer + "attention.output.LayerNorm", layer + "output.LayerNorm"):
        yield norm + ".weight", [HIDDEN]
        yield norm + ".bias", [HIDDEN]
    for dense in ("attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense",
                  "intermediate.dense", "output.dense"):
        yield layer + dense + ".weight", [HIDDEN, HIDDEN]
        yield layer + dense + ".bias", [HIDDEN]
    yield "bert.pooler.dense.weight", [HIDDEN, HIDDEN]
    yield "bert.pooler.dense.bias", [HIDDEN]
    yield "classifier.weight", [2, HIDDEN]
    yield "classifier.bias", [2]


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__.splitlines()[0])
    out = sys.argv[1]
    os.makedirs(out, exist_ok=True)
    with open(os.path.join(TINY, "config.json"), encoding="utf-8") as file:
        config = json.load(file)
    config.update(hidden_size=HIDDEN, intermediate_size=HIDDEN, num_attention_heads=1, num_hidden_layers=1,
                  id2label={"0": "no", "1": "yes"}, label2id={"no": 0, "yes": 1})
    header, data = {}, b""
    for name, shape in tensors(config["vocab_size"], config["max_position_embeddings"]):
        count = shape[0] * (shape[1] if len(shape) > 1 else 1)
        values = [0.0] * count
        if name == "classifier.bias":
            values = [-1.0, 1.0]
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [len(data), len(data) + 4 * count]}
        data += struct.pack(f"<{count}f", *values)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(os.path.join(out, "model.safetensors"), "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + data)
    with open(os.path.join(out, "config.json"), "w", encoding="utf-8") as file:
        json.dump(config, file)
    for name in ("tokenizer.json", "tokenizer_config.json", "vocab.txt"):
        shutil.copy(os.path.join(TINY, name), out)


if __name__ == "__main__":
    main()
