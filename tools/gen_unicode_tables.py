#!/usr/bin/env python3
"""Writes src/model/unicode_tables.c: what Hugging Face tokenizers think of every code point.

The Python package `tokenizers` is asked, one code point at a time, what its BertNormalizer, BertPreTokenizer, NFD,
Lowercase, ByteLevel and added-token matching do with it, and the package `regex`, which splits tweets in transformers,
what its \\w and \\d are. Their answers come from several Unicode versions, which is why no Unicode library gives the
same ones. Combining classes are found by how NFD orders each mark against marks of known classes; the candidates for
those come from Python's unicodedata, the order itself from the reference.

    python3 tools/gen_unicode_tables.py src/model/unicode_tables.c
"""
import sys
import unicodedata

import regex
import tokenizers
from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers

CONTROL, SPACE, PUNCTUATION, CJK, MARK, WORD, HAS_NFD, HAS_LOWER = (1 << i for i in range(8))
LETTER, NUMBER, TWEET_WORD, TWEET_DIGIT = (1 << i for i in range(4))
HANGUL = range(0xAC00, 0xD7A4)
PROPERTY_BLOCK = 128
MAPPING_BLOCK = 64
MAPPING_LIMIT = 0x30000  # no mapping begins above; the flags keep look-ups below
LIMIT = 0x110000


def scalars():
    for c in range(LIMIT):
        if not 0xD800 <= c <= 0xDFFF:
            yield c


def bert(clean=False, chinese=False, strip=False, lower=False):
    return normalizers.BertNormalizer(
        clean_text=clean, handle_chinese_chars=chinese, strip_accents=strip, lowercase=lower)


def is_word_prober():
    """\\w as the reference's single_word flag sees it: a match glued to a word character is discarded."""
    tokenizer = Tokenizer(models.WordPiece({"[UNK]": 0, "[X]": 1}, unk_token="[UNK]"))
    tokenizer.add_tokens([AddedToken("[X]", single_word=True, normalized=False)])
    return lambda c: 1 not in tokenizer.encode(chr(c) + "[X]").ids


def stripped_right_prober():
    """\\s as the reference's rstrip flag sees it."""
    tokenizer = Tokenizer(models.WordPiece({"[UNK]": 0, "[X]": 1}, unk_token="[UNK]"))
    tokenizer.add_tokens([AddedToken("[X]", rstrip=True, normalized=False)])
    return lambda c: tokenizer.encode("[X]" + chr(c)).offsets[0] == (0, 4)


def probe_flags(nfd, lower):
    clean, chinese, strip = bert(clean=True), bert(chinese=True), bert(strip=True)
    split = pre_tokenizers.BertPreTokenizer()
    is_word, is_stripped = is_word_prober(), stripped_right_prober()
    flags = [0] * LIMIT
    for c in scalars():
        text = chr(c)
        f = 0
        cleaned = clean.normalize_str(text)
        if cleaned == "":
            f |= CONTROL
        pieces = len(split.pre_tokenize_str("a" + text + "b"))
        assert pieces in (1, 2, 3), (c, pieces)
        if pieces == 2:
            f |= SPACE
        if pieces == 3:
            f |= PUNCTUATION
        assert cleaned in (("",) if f & CONTROL else (" ",) if f & SPACE else (text,)), (c, cleaned)
        if chinese.normalize_str(text) != text:
            assert chinese.normalize_str(text) == " " + text + " ", c
            f |= CJK
        if c in nfd or c in HANGUL:
            f |= HAS_NFD
        elif strip.normalize_str(text) == "":
            f |= MARK
        if is_word(c):
            f |= WORD
        if c in lower:
            f |= HAS_LOWER
        # One flag serves the pre-tokenizer, the clean-up and the added tokens only as long as all three agree.
        assert is_stripped(c) == bool(f & SPACE), c
        flags[c] = f
    return flags


def probe_classes(flags):
    """The classes of ByteLevel's regular expression, by which character it joins, and those of the package regex."""
    split = pre_tokenizers.ByteLevel(add_prefix_space=False)
    is_word, is_digit = regex.compile(r"\w").match, regex.compile(r"\d").match
    classes = [0] * LIMIT
    for c in scalars():
        text = chr(c)
        letter, number, other = (len(split.pre_tokenize_str(before + text)) == 1 for before in "a1!")
        assert letter + number + other + bool(flags[c] & SPACE) == 1, c
        classes[c] = (LETTER * letter | NUMBER * number | TWEET_WORD * bool(is_word(text))
                      | TWEET_DIGIT * bool(is_digit(text)))
    return classes


def probe_mappings():
    to_nfd, to_lower, bert_lower = normalizers.NFD(), normalizers.Lowercase(), bert(lower=True)
    nfd, lower = {}, {}
    for c in scalars():
        text = chr(c)
        decomposed = to_nfd.normalize_str(text)
        if c in HANGUL:
            index = c - 0xAC00
            expected = chr(0x1100 + index // 588) + chr(0x1161 + index % 588 // 28)
            expected += chr(0x11A7 + index % 28) if index % 28 else ""
            assert decomposed == expected, c
        elif decomposed != text:
            nfd[c] = [ord(d) for d in decomposed]
        lowered = to_lower.normalize_str(text)
        assert bert_lower.normalize_str(text) == lowered, c
        if lowered != text:
            lower[c] = [ord(d) for d in lowered]
    return nfd, lower


def probe_combining_classes(nfd):
    to_nfd = normalizers.NFD().normalize_str
    lowest, highest = "\u0334", "\u0345"
    assert (unicodedata.combining(lowest), unicodedata.combining(highest)) == (1, 240)

    def moves_before(a, b):
        """True when a after b is sorted before b: 0 < class(a) < class(b)."""
        return a != b and to_nfd(b + a) == a + b

    combining = [c for c in scalars() if c not in nfd and c not in HANGUL
                 and (moves_before(chr(c), highest) or moves_before(lowest, chr(c)))]
    known = {unicodedata.combining(chr(c)): chr(c) for c in combining}
    known.pop(0, None)
    representatives = sorted(known.items())
    for (_, a), (_, b) in zip(representatives, representatives[1:]):
        assert moves_before(a, b) and not moves_before(b, a)
    classes = {}
    for c in combining:
        text = chr(c)
        fits = [value for value, r in representatives if not moves_before(text, r) and not moves_before(r, text)]
        assert len(fits) == 1, (hex(c), fits)
        classes[c] = fits[0]
    return classes


def check_decompositions(nfd, classes):
    """What the C code relies on: starters first, then marks in order, at most 4 code points, complete."""
    for c, sequence in nfd.items():
        assert len(sequence) <= 4 and not any(d in nfd for d in sequence), hex(c)
        order = [classes.get(d, 0) for d in sequence]
        assert order == sorted(order), hex(c)


def two_stage(values, block):
    blocks, index, first = [], [], {}
    for start in range(0, LIMIT, block):
        key = tuple(values[start:start + block])
        if key not in first:
            first[key] = len(blocks)
            blocks.append(key)
        index.append(first[key])
    return index, [v for b in blocks for v in b], len(blocks)


def array(out, declaration, values):
    out.append(f"{declaration}[{len(values)}] = {{")
    line = "    "
    for value in values:
        item = f"{value},"
        if len(line) + len(item) > 118:
            out.append(line)
            line = "    "
        line += item
    out.extend([line, "};", ""])


def pool_of(nfd, lower):
    """Sequences, each with its length before it; offset 0 means none."""
    pool, offsets = [0], {}

    def place(sequence):
        key = tuple(sequence)
        if key not in offsets:
            offsets[key] = len(pool)
            pool.extend([len(key), *key])
        return offsets[key]

    nfd_offsets, lower_offsets = [0] * LIMIT, [0] * LIMIT
    for c, sequence in nfd.items():
        nfd_offsets[c] = place(sequence)
    for c, sequence in lower.items():
        lower_offsets[c] = place(sequence)
    assert len(pool) < 65536 and max(map(len, lower.values())) <= 3
    return pool, nfd_offsets, lower_offsets


def main():
    nfd, lower = probe_mappings()
    flags = probe_flags(nfd, lower)
    combining = probe_combining_classes(nfd)
    check_decompositions(nfd, combining)
    classes = probe_classes(flags)
    properties = [(flags[c], combining.get(c, 0), classes[c]) for c in range(LIMIT)]
    records = sorted(set(properties))
    number = {record: i for i, record in enumerate(records)}
    properties = [number[record] for record in properties]
    pool, nfd_offsets, lower_offsets = pool_of(nfd, lower)

    out = [
        "/* unicode_tables.c: generated by tools/gen_unicode_tables.py from the Python package tokenizers "
        + tokenizers.__version__,
        " * and regex " + regex.__version__ + ", code point by code point; do not edit. Read through unicode.h only. */",
        "/* clang-format off */",
        '#include "model/unicode_tables.h"', ""]
    index, values, count = two_stage(properties, PROPERTY_BLOCK)
    assert len(records) < 256
    array(out, f"const {'uint8_t' if count < 256 else 'uint16_t'} rung_unicode_property_index", index)
    array(out, "const uint8_t rung_unicode_property_blocks", values)
    array(out, "const rung_unicode_record rung_unicode_records", [f"{{{f},{k},{c}}}" for f, k, c in records])
    for name, offsets in (("nfd", nfd_offsets), ("lower", lower_offsets)):
        index, values, count = two_stage(offsets, MAPPING_BLOCK)
        assert count < 256 and not any(offsets[MAPPING_LIMIT:])
        array(out, f"const uint8_t rung_unicode_{name}_index", index[:MAPPING_LIMIT // MAPPING_BLOCK])
        array(out, f"const uint16_t rung_unicode_{name}_blocks", values)
    array(out, "const uint32_t rung_unicode_pool", pool)
    with open(sys.argv[1], "w", encoding="ascii") as file:
        file.write("\n".join(out[:-1]) + "\n")


if __name__ == "__main__":
    main()
