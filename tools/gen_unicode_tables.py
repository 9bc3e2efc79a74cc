#!/usr/bin/env python3
"""Writes src/model/unicode_tables.c: what Hugging Face tokenizers think of every code point.

The Python package `tokenizers` is asked, one code point at a time, what its BertNormalizer, BertPreTokenizer, NFD,
Lowercase, ByteLevel and added-token matching do with it, and the package `regex`, which splits tweets in transformers,
what its \\w and \\d are. Their answers come from several Unicode versions, which is why no Unicode library gives the
same ones. Combining classes are found by how NFD orders each mark against marks of known classes; the candidates for
those come from Python's unicodedata, the order itself from the reference.

    python3 tools/gen_unicode_tables.py src/model/unicode_tables.c
"""
import collections
import sys
import unicodedata

import regex
import tokenizers
from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers

CONTROL, SPACE, PUNCTUATION, CJK, MARK, WORD, HAS_NFD, HAS_LOWER = (1 << i for i in range(8))
LETTER, NUMBER, TWEET_WORD, TWEET_DIGIT = (1 << i for i in range(4))
HANGUL = range(0xAC00, 0xD7A4)
BLOCK = 8  # code points; small blocks repeat more often than they cost in the groups
GROUP = 64  # blocks
NFD_LIMIT = 0x30000  # no decomposition begins above; the flags keep look-ups below
LIMIT = 0x110000
LONG_LOWER = {0x130: [0x69, 0x307]}  # unicode.c adds the second code point
COLUMNS = 120


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
    assert max(nfd) < NFD_LIMIT
    for c, sequence in nfd.items():
        assert len(sequence) <= 4 and not any(d in nfd for d in sequence), hex(c)
        order = [classes.get(d, 0) for d in sequence]
        assert order == sorted(order), hex(c)


def check_lower(lower):
    """What the C code relies on: one code point, but for those of LONG_LOWER."""
    assert {c: sequence for c, sequence in lower.items() if len(sequence) > 1} == LONG_LOWER


def distinct(items):
    """The distinct ones, the most frequent first because its number is the shortest to print, and each one's number."""
    order = [item for item, _ in collections.Counter(items).most_common()]
    number = {item: i for i, item in enumerate(order)}
    return order, [number[item] for item in items]


def pieces(values, size):
    return [tuple(values[start:start + size]) for start in range(0, len(values), size)]


def flat(sequences):
    return [value for sequence in sequences for value in sequence]


def array(out, c_type, name, values):
    out.append(f"const {c_type} rung_unicode_{name}[{len(values)}] = {{")
    line = ""
    for value in values:
        item = f"{value},"
        if len(line) + len(item) > COLUMNS:
            out.append(line)
            line = ""
        line += item
    out.extend([line, "};", ""])


def grouped(out, name, blocks):
    """The two upper levels: the number of each block's group, and of each block in a group."""
    groups, index = distinct(pieces(blocks, GROUP))
    assert len(groups) < 256 and max(blocks) < 65536
    array(out, "uint8_t", f"{name}_index", index)
    array(out, "uint16_t", f"{name}_groups", flat(groups))


def write_properties(out, flags, combining, classes, lower):
    deltas = [0] * LIMIT
    for c, sequence in lower.items():
        deltas[c] = sequence[0] - c
    deltas, lower_numbers = distinct(deltas)
    assert deltas[0] == 0 and len(deltas) < 256
    records, properties = distinct([(flags[c], combining.get(c, 0), classes[c], lower_numbers[c]) for c in range(LIMIT)])
    assert len(records) < 256
    blocks, numbers = distinct(pieces(properties, BLOCK))
    grouped(out, "property", numbers)
    array(out, "uint8_t", "property_blocks", flat(blocks))
    array(out, "rung_unicode_record", "records", ["{" + ",".join(map(str, record)) + "}" for record in records])
    array(out, "int32_t", "lower_deltas", deltas)


def write_nfd(out, nfd):
    """Decompositions stand in the pool in the order of their code points, so that a block needs its first one's place
    only, and blocks whose decompositions have the same lengths share what leads from there to the others."""
    pool, starts, steps, numbers = [], [], [], []
    for start in range(0, NFD_LIMIT, BLOCK):
        first = len(pool)
        block_steps = []
        for c in range(start, start + BLOCK):
            sequence = nfd.get(c)
            block_steps.append(len(pool) - first << 2 | len(sequence) - 1 if sequence else 0)
            pool.extend(sequence or ())
        if len(pool) > first:
            numbers.append(len(starts))
            starts.append(first)
            steps.append(tuple(block_steps))
        else:
            numbers.append(0)
    steps, step_numbers = distinct(steps)
    assert len(pool) < 65536 and max(flat(steps)) < 256 and len(steps) < 256
    grouped(out, "nfd", numbers)
    array(out, "uint16_t", "nfd_starts", starts)
    array(out, "uint8_t", "nfd_step_numbers", step_numbers)
    array(out, "uint8_t", "nfd_steps", flat(steps))
    array(out, "uint32_t", "nfd_pool", pool)


def main():
    nfd, lower = probe_mappings()
    flags = probe_flags(nfd, lower)
    combining = probe_combining_classes(nfd)
    check_decompositions(nfd, combining)
    check_lower(lower)
    classes = probe_classes(flags)

    out = [
        "/* unicode_tables.c: generated by tools/gen_unicode_tables.py from the Python package tokenizers "
        + tokenizers.__version__,
        " * and regex " + regex.__version__ + ", code point by code point; do not edit. Read through unicode.h only. */",
        "/* clang-format off */",
        '#include "model/unicode_tables.h"', ""]
    write_properties(out, flags, combining, classes, lower)
    write_nfd(out, nfd)
    with open(sys.argv[1], "w", encoding="ascii") as file:
        file.write("\n".join(out[:-1]) + "\n")


if __name__ == "__main__":
    main()
