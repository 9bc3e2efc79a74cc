"""Reads and writes JSON lines, compressed with zstd when the name ends in .zst. Used by the scripts beside it.

Standard library and the zstd command only.
"""

import json
import os
import subprocess
import sys


def read(path, limit=None):
    """Yields the objects of a .jsonl or .jsonl.zst file in order, at most `limit` of them."""
    if not os.path.isfile(path):
        sys.exit(f"{path}: no such file")
    if str(path).endswith(".zst"):
        # communicate() through run(): stopping early would leave zstd with a broken pipe.
        data = subprocess.run(["zstd", "-dcq", "--", str(path)], stdout=subprocess.PIPE, check=True).stdout
    else:
        with open(path, "rb") as file:
            data = file.read()
    count = 0
    # Not splitlines(): texts may hold U+2028 and the like.
    for number, line in enumerate(data.split(b"\n"), start=1):
        if not line.strip():
            continue
        if limit is not None and count == limit:
            return
        try:
            yield json.loads(line)
        except ValueError as error:
            sys.exit(f"{path}:{number}: {error}")
        count += 1


def write(path, rows):
    """Writes one object a line and replaces `path` by rename."""
    data = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()
    if str(path).endswith(".zst"):
        data = subprocess.run(["zstd", "-cq", "-19"], input=data, stdout=subprocess.PIPE, check=True).stdout
    replace(path, data)


def replace(path, data):
    """Writes bytes to `path` by rename, so that a reader never sees half a file."""
    os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    part = f"{path}.part"
    with open(part, "wb") as file:
        file.write(data)
    os.replace(part, path)
