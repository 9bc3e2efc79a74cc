#!/usr/bin/env python3
"""test_tf_checkpoint.py: tools/tf_checkpoint.py on an index that TensorFlow 2.21 wrote, and on what is no index. Standard library only."""

import base64
import io
import os
import random
import struct
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tools"))
import tf_checkpoint
from tf_checkpoint import CheckpointError

# tf.raw_ops.SaveV2 of module/bert/a/bias = [1.5, -2], module/bert/a/kernel = [[1, 2], [3, 4], [5, 6]], module/global_step = int64 7 and
# module/scalar = 0.25.
INDEX = base64.b64decode(
    "AAAGCAEaAggBABIPbW9kdWxlL2JlcnQvYS9iaWFzCAESBBICCAIoCDU9M8j0DgYVa2VybmVsCAESCBICCAMSAggCIAgoGDV66/WrBwsNZ2xvYmFsX3N0ZXAI"
    "CRIAICAoCDW7158RBwYNc2NhbGFyCAESACAoKAQ1VknTMQAAAAABAAAAADCsh9oAAAAAAQAAAADA8qGwAAEDbgCEAQAAAAABAAAAAPtKVkmJAQiWAQ8AAAAA"
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAV/uAiyR1R9s="
)
DATA = base64.b64decode("AADAPwAAAMAAAIA/AAAAQAAAQEAAAIBAAACgQAAAwEAHAAAAAAAAAAAAgD4=")


BLOCK_BYTES = 132  # of INDEX's one block of entries, which comes first


def with_checksum(data):
    """The index with the checksum of its entries set to what it should be."""
    at = BLOCK_BYTES + 1
    checksum = tf_checkpoint.masked_crc32c(data[:at])
    return data[:at] + struct.pack("<I", checksum) + data[at + 4 :]


class ReadIndex(unittest.TestCase):
    def test_names_shapes_and_values(self):
        tensors, shards = tf_checkpoint.read_index(INDEX)
        self.assertEqual(shards, 1)
        shapes = {name: tensor.shape for name, tensor in tensors.items()}
        self.assertEqual(shapes, {"module/bert/a/bias": (2,), "module/bert/a/kernel": (3, 2), "module/scalar": ()})
        values = {name: tf_checkpoint.read_tensor(io.BytesIO(DATA), tensor) for name, tensor in tensors.items()}
        self.assertEqual(values["module/bert/a/bias"], struct.pack("<2f", 1.5, -2))
        self.assertEqual(values["module/bert/a/kernel"], struct.pack("<6f", 1, 2, 3, 4, 5, 6))
        self.assertEqual(values["module/scalar"], struct.pack("<f", 0.25))

    def test_data_that_end_early(self):
        tensors, _ = tf_checkpoint.read_index(INDEX)
        with self.assertRaisesRegex(CheckpointError, "module/scalar: 4 bytes at 40 run past the end"):
            tf_checkpoint.read_tensor(io.BytesIO(DATA[:-1]), tensors["module/scalar"])

    def test_cut_anywhere(self):
        for size in range(len(INDEX)):
            with self.assertRaises(CheckpointError):
                tf_checkpoint.read_index(INDEX[:size])

    def test_damaged_anywhere(self):
        """A changed byte is refused, or lies where nothing is read: the padding of the footer and the empty metaindex."""
        sound = tf_checkpoint.read_index(INDEX)
        for at in range(len(INDEX)):
            damaged = INDEX[:at] + bytes([INDEX[at] ^ 0x55]) + INDEX[at + 1 :]
            try:
                self.assertEqual(tf_checkpoint.read_index(damaged), sound)
            except CheckpointError:
                pass

    def test_damage_behind_good_checksums(self):
        """Whatever a block holds, reading ends in tensors or a CheckpointError."""
        generator = random.Random(1)
        refused = 0
        for _ in range(3000):
            data = bytearray(INDEX)
            for _ in range(generator.randint(1, 4)):
                data[generator.randrange(BLOCK_BYTES)] = generator.randrange(256)
            try:
                tf_checkpoint.read_index(with_checksum(bytes(data)))
            except CheckpointError:
                refused += 1
        self.assertGreater(refused, 300)

    def test_a_shape_that_its_bytes_do_not_fill(self):
        at = INDEX.index(b"\x12\x08\x12\x02\x08\x03\x12\x02\x08\x02") + 5  # the 3 of [3, 2]
        damaged = with_checksum(INDEX[:at] + b"\x04" + INDEX[at + 1 :])
        with self.assertRaisesRegex(CheckpointError, r"24 bytes are not those of float32 \[4, 2\]"):
            tf_checkpoint.read_index(damaged)

    def test_compression_is_refused_by_name(self):
        damaged = with_checksum(INDEX[:BLOCK_BYTES] + b"\x01" + INDEX[BLOCK_BYTES + 1 :])
        with self.assertRaisesRegex(CheckpointError, "compression 1 is not supported"):
            tf_checkpoint.read_index(damaged)

    def test_no_table(self):
        with self.assertRaisesRegex(CheckpointError, "this is no index"):
            tf_checkpoint.read_index(bytes(100))


if __name__ == "__main__":
    unittest.main()
