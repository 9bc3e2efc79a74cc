#!/usr/bin/env python3
"""Writes what Hugging Face tokenizers answer, for tests/test_tokenizer.c and tests/test_bert_normalizer.c.

    python3 tools/tokenizer_golden.py cases    tests/golden/tokenizer_small.json.zst, _variants.json and _cases.jsonl.zst
    python3 tools/tokenizer_golden.py hashes   tests/golden/tokenizer_hashes.json (about two minutes)
    python3 tools/tokenizer_golden.py bpe      tests/golden/byte_level_small.json, _variants.json, _cases.jsonl.zst, _hashes.json
    python3 tools/tokenizer_golden.py tweets   tests/golden/tweet_vocab.txt, tweet_bpe.codes, tweet_cases.jsonl.zst (needs transformers)

All need ../shared (models, and for hashes data); run from the root of the tree. Needs tokenizers and zstandard.
The small tokenizer is our own: a list of words and word parts, and the characters of the cases. The byte-level one is
trained on the cases. Spans are byte offsets.
"""
import array
import collections
import hashlib
import io
import itertools
import json
import pathlib
import struct
import subprocess
import sys

import tokenizers
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

GOLDEN = pathlib.Path("tests/golden")
SHARED = pathlib.Path("../shared")
MODELS = ("tiny-l3", "minilm-l6", "bge-l12")
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
NO_LIMIT = 1 << 24

WORDS = """the a of and to is in it film movie was this that with for as on but one not story good bad great time like
just so very un able aff token word piece izer hello world i m s t don can won no resume cafe naive uber strasse
istanbul kelvin angstrom user yesterday foo bar 2024 100 3 14 sun moon dog cat yes ok""".split()
PIECES = """s es ed ing er est ly able aff un ness ment tion al ic ous ive ful less ize izer d t n m r 0 1 2 3 4 5 6 7 8
9 000 00 oo ar aa aaa""".split()

WHITE_SPACE = [0x09, 0x0A, 0x0B, 0x0C, 0x0D, 0x1C, 0x1D, 0x1E, 0x1F, 0x20, 0x85, 0xA0, 0x1680, 0x180E,
               *range(0x2000, 0x200E), 0x2028, 0x2029, 0x202F, 0x205F, 0x2060, 0x3000, 0xFEFF]

TEXTS = [
    "", " ", "  \t\r\n ", "a", "The", "Hello, World!", "This film was unaffable, but the story is good.",
    "I don't can't won't 'quoted' \"double\" (paren) [bracket] {brace} <tag/> a/b a\\b a|b",
    "$100 + 3.14 = ~103^2 `x` _under_ a-b a--b a…b a–b a—b “q” ‘q’ «q» ¿q? ¡q!",
    "© ® ™ § ¶ † ‡ • ‰ € £ ¥ ¢ ° ± × ÷ ¬ ¦", "naïve café résumé Übermut",
    "nai\u0308ve cafe\u0301 re\u0301sume\u0301 U\u0308ber", "İstanbul ISTANBUL ıstanbul istanbul", "İ", "i̇",
    "Straße STRASSE ẞ ß", "ſun ſ ſſ", "K kelvin Å angstrom Ω", "ΣΊΣΥΦΟΣ Σ σ ς",
    "ﬁlm ﬂag ﬀ ﬃ ﬅ", "ǅ ǆ Ǆ ǈ ǋ ǲ ŉ ǰ ΐ ΰ և",
    "Ⅷ ⅷ Ⓐ ⓐ ｆｉｌｍ ＦＩＬＭ １２３", "x² x₂ ½ ⅓ ① ㈠ ㎏ №", "中文",
    "這部電影很好看。The film 很good!", "漢字かなカナﾊﾝｶｸ", "\uf900\uf901\ufa0e \U0002f800",
    "\U00020000\U0002a6df\U0002a700\U0002b740\U0002b81f\U0002b820\U0002b920\U0002ceaf\U0002ceb0\U00030000",
    "\u3400\u4dbf\u4dc0\u4e00\u9fff\ua000", "한국어 영화 각 가 힣", "\u1112\u1161\u11ab\u1100\u116e\u11a8",
    "\ua960\ud7b0\u3131", "ไทย ภาษา น้ำ", "हिन्दी फ़िल्म क्षि",
    "தமிழ் பெ\u0bca \u0b94", "বাংলা ক\u09cb", "العربية ٱلْقُرْآن ؟ ، ؛",
    "עברית שָׁלוֹם", "Русский Ёлка й Й Ѐ ѝ", "Tiếng Việt ữ ậ Ộ",
    "ქართული ᲥᲐᲠᲗᲣᲚᲘ Ⴀ ა", "Ꭰᏸꭰꮿ Ꭰ", "𐐀𐐨 𞤀𞤢 𝐀𝟎 𝔸",
    "ꙀꙁꚀ Ꜧ Ɑ Ʞ", "😀", "a😀b", "👩‍👩‍👧‍👦 family", "👍🏽 👍",
    "🇩🇪🇫🇷", "❤️ ❤ ☃ ☺️", "1️⃣ #️⃣ *⃣",
    "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f", "emoji😀😀😀end 😀.😀",
    "zero\u200bwidth\u200cnon\u200djoin\u2060er\ufeff", "soft\u00adhyphen",
    "\u202aleft\u202bright\u202c \u2066x\u2069", "\ufe0f\ufe0e a\ufe0f", "\u0600\u06dd\u070f\u08e2\U000110bd",
    "nul\x00in\x00side", "\x00", "\x00\x00 a \x00", "bell\x07 esc\x1b[0m del\x7f nel\x85x", "a\x01b \x02",
    "tab\tnew\nret\rvt\x0bff\x0cend", "a\x01\u0301\x02\u0323b", "\ufffd", "a\ufffdb \ufffd\ufffd",
    "\ue000 a\ue000b \uf8ff", "\U000f0000\U0010fffd x\U00100000y", "\u0378 a\u0378b \u0530 \u2fe0",
    "\ufffe \uffff \U0001fffe a\ufdd0b", "\U0001f9ff\U0001fae8\U0001fa7c\U0001f6dc",
    "\u0870\u0898\u089f \U00010d00 \U0001e2ff", "e\u0301\u0323 e\u0323\u0301 \u1eb9\u0301 \u00e9\u0323", "\u0301",
    "\u0301a", " \u0301 a", "a\u0344b \u0344", "\u0f71\u0f72\u0f73\u0f75\u0f81\u0334 \u0f40\u0f73\u0334",
    "a\u0315\u0300\u05ae\u0062 a\u0300\u05ae\u0315b", "\u302e\u302f가\u302ea\u302f\u0301",
    "\U0001d15e\U0001d15f\U0001d1bb \U0001d165\U0001d16d\U0001d166 x\U0001d16d\U0001d165\u0301y",
    "a\U00016ff0\u0301\U0001d165\u0334b", "\u1abf\u1ac0a\u1abe\u1ac1\u1dfa", "\u0488\u0489a\u20dd b\u20e3",
    "\U0001e944\U0001e94a\U00011a34 \U00010a3f\U0001e8d0", "\u0d4d\u094d\u09be\u09d7 \u0cc0\u0ccb\u0dde",
    "\u2126 \u212a \u212b \u1fc1\u1fef\u2000\u2001 \u0340\u0341\u0343\u0374\u037e\u0387",
    "\u2adc \ufb1d\ufb2a\ufb4e \U0001109a\U000114bc", "[SEP]", "[MASK]", "a[SEP]b", "x [MASK] y",
    "[CLS][SEP][PAD][UNK][MASK]", "[sep] [Mask] [ SEP ]", "[SEP", "[[SEP]]", "[MA[MASK]SK]", "the[MASK]ing",
    "un[MASK]aff[SEP]able", "[SEP]\u0301x", "\u0301[SEP]e\u0301", "[SE\x01P]", "[UNK] unk", "##s ##ing a##s #",
    "The ##able able", "un unable unaffable unaff unaffx unaffables", "100000 2024s 3.1415", "don't can't",
    "aaaa aaaaa aaaaaaaaa", "foo foobar foo bar FooBar", "user USER @user user_name user's superuser",
    "Foo Bar foo bar FOO  BAR", "yesterday Yesterday, yesterdays", "x  <e1>  y<e1>z <e1>", "\u3000<e1>\u00a0\u2003y",
    "a <e1>\n\n<e2> b", "<e2>word <e2> <e2>.", "é[SEP]é", "éa ÉA e\u0301a", "ab中cd中", "a,b.c!d?e;f:g",
    "...!!!???", "a.b", ".a.", "‥…․", "a\u00b7b\u0387c\u30fbd", "a\u2012b\u2212c\u2043d",
    "\u3001\u3002\uff01\uff0c\u2e3a\u2e52", "\u0f3a\u169b\u2045\u2308\u2329\u27e8",
    "\u1bfc\u2cf9\ua874\U00010100\U0001039f\U00011047\U0001da87\U0001e95e", "\U00011943\U00016fe2\U00011c41",
    "a'b’c`d´e", "mail@example.org http://x.y/z?a=b&c=d#e", "C++ C# F# .NET node.js",
]
PAIRS = [("the film was good", "it is a story"), ("", "it is"), ("the film", ""), ("", ""),
         ("a b c d e f g h", "i j"), ("i j", "a b c d e f g h"), ("a b c", "d e f"),
         ("unaffable unaffable", "unable"), ("naïve [SEP] café", "résumé 中文"), ("a", "b"), ("İ ß", "ſ 😀")]


def texts():
    yield from TEXTS
    yield "".join("a" + chr(c) for c in WHITE_SPACE) + "b"
    yield from ("x" + chr(c) + "y" for c in WHITE_SPACE)
    yield "".join(map(chr, range(0x00, 0x80)))
    yield "".join("a" + chr(c) for c in range(0x80))
    yield from ("".join(map(chr, range(first, first + 64))) for first in range(0x80, 0x600, 64))
    for unit in ("a", "é", "e\u0301", "中", "😀", "\u0301", "x\x01", "\u1112\u1161", "각", "İ", "."):
        for count in (1, 50, 98, 99, 100, 101, 102):
            yield unit * count
    for count in (99, 100, 101):
        yield "the " + "b" * count + " end"
        yield "un" * 40 + "é" * (count - 80) + " end"
        yield "a" * count + "\u0301."
    yield "a" + "\u0301\u0323\u0334\u0345\u302e" * 30 + "b"
    yield "a" + "\u0345\u0301\U0001d16d\u0334" * 20 + "b"
    yield "x" * 3000 + " " + "." * 300


def small_tokenizer():
    normalize = normalizers.BertNormalizer(True, True, None, True)
    keep = normalizers.BertNormalizer(False, False, False, False)
    characters = set()
    for text in itertools.chain(texts(), *PAIRS):
        for form in (normalize.normalize_str(text), keep.normalize_str(text)):
            characters.update(form)
    # Every seventh character stays unknown, so that unknown words are met often.
    characters = [c for i, c in enumerate(sorted(c for c in characters if c > " ")) if i % 7 != 3 or c < "\x7f"]
    tokens = dict.fromkeys([*SPECIAL, *WORDS, *characters])
    tokens.update(dict.fromkeys("##" + p for p in [*PIECES, *characters]))
    vocab = {token: i for i, token in enumerate(tokens)}
    return {
        "version": "1.0", "padding": None,
        "truncation": {"max_length": 5, "strategy": "LongestFirst", "stride": 0, "direction": "Right"},
        "added_tokens": [added(vocab[t], t, special=True) for t in SPECIAL],
        "normalizer": {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True,
                       "strip_accents": None, "lowercase": True},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [special_piece("[CLS]", 0), sequence_piece("A", 0), special_piece("[SEP]", 0)],
            "pair": [special_piece("[CLS]", 0), sequence_piece("A", 0), special_piece("[SEP]", 0),
                     sequence_piece("B", 1), special_piece("[SEP]", 1)],
            "special_tokens": {t: {"id": t, "ids": [vocab[t]], "tokens": [t]} for t in ("[CLS]", "[SEP]")}},
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
        "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
                  "max_input_chars_per_word": 100, "vocab": vocab}}


def added(token_id, content, single_word=False, lstrip=False, rstrip=False, normalized=False, special=False):
    return {"id": token_id, "content": content, "single_word": single_word, "lstrip": lstrip, "rstrip": rstrip,
            "normalized": normalized, "special": special}


def special_piece(token, type_id):
    return {"SpecialToken": {"id": token, "type_id": type_id}}


def sequence_piece(letter, type_id):
    return {"Sequence": {"id": letter, "type_id": type_id}}


def variants(small):
    """Overrides of members of the small tokenizer's top-level objects; those with a type replace the object, added_tokens are
    appended."""
    size = len(small["model"]["vocab"])
    vocab = small["model"]["vocab"]

    def normalizer(clean, chinese, strip, lower):
        return {"normalizer": {"clean_text": clean, "handle_chinese_chars": chinese, "strip_accents": strip,
                               "lowercase": lower}}

    return {
        "default": {},
        "cased": normalizer(True, True, None, False),
        "cased_stripped": normalizer(True, True, True, False),
        "accents_kept": normalizer(True, True, False, True),
        "unclean": normalizer(False, True, None, True),
        "no_chinese": normalizer(True, False, None, True),
        "nothing": normalizer(False, False, False, False),
        "short_words": {"model": {"max_input_chars_per_word": 5}},
        "no_words": {"model": {"max_input_chars_per_word": 0}},
        "plain_prefix": {"model": {"continuing_subword_prefix": ""}},
        "letter_prefix": {"model": {"continuing_subword_prefix": "a"}},
        "unknown_is_the": {"model": {"unk_token": "the"}},
        "bert_processing": {"post_processor": {"type": "BertProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 2]}},
        "b_first": {"post_processor": {
            "single": [sequence_piece("A", 1), special_piece("[SEP]", 1)],
            "pair": [sequence_piece("B", 1), special_piece("[SEP]", 1), sequence_piece("A", 0)]}},
        "added_plain": {"added_tokens": [
            added(size, "<e1>", lstrip=True, rstrip=True), added(size + 1, "<e2>", single_word=True),
            added(size + 2, "Foo Bar"), added(size + 3, "éa"), added(vocab["user"], "user", single_word=True)]},
        "added_normalized": {"added_tokens": [
            added(size, "<e1>", lstrip=True, normalized=True), added(size + 1, "<e2>", rstrip=True, normalized=True),
            added(size + 2, "Foo Bar", normalized=True), added(size + 3, "ÉA", normalized=True, single_word=True),
            added(vocab["user"], "user", single_word=True, normalized=True),
            added(vocab["yesterday"], "yesterday", normalized=True),
            added(size + 4, " ", rstrip=True), added(size + 5, "ab中", normalized=True)]},
    }


def apply_variant(small, variant):
    config = json.loads(json.dumps(small))
    for key, value in variant.items():
        if key == "added_tokens":
            config[key] += value
        elif "type" in value:
            config[key] = value
        else:
            config[key].update(value)
    return Tokenizer.from_str(json.dumps(config))


def byte_offsets(text):
    return [0, *itertools.accumulate(len(c.encode()) for c in text)]


def encode(tokenizer, text, pair, max_tokens):
    tokenizer.no_truncation()
    tokenizer.no_padding()
    whole = len(tokenizer.encode(text, pair).ids)
    tokenizer.enable_truncation(max_tokens)
    encoding = tokenizer.encode(text, pair)
    offsets = [byte_offsets(text), byte_offsets(pair or "")]
    spans = []
    for (begin, end), sequence in zip(encoding.offsets, encoding.sequence_ids):
        spans += [offsets[sequence or 0][begin], offsets[sequence or 0][end]]
    return {"ids": encoding.ids, "spans": spans, "type_ids": encoding.type_ids, "special": encoding.special_tokens_mask,
            "sequence": [s or 0 for s in encoding.sequence_ids], "truncated": whole - len(encoding.ids)}


def write_compressed(name, text):
    """Five to twenty times smaller. The zstd command is a Debian package."""
    subprocess.run(["zstd", "-19", "-q", "-f", "-o", GOLDEN / name], input=text.encode("ascii"), check=True)


def write_cases():
    small = small_tokenizer()
    chosen = variants(small)
    made = {name: apply_variant(small, v) for name, v in chosen.items()}
    models = {name: Tokenizer.from_file(str(SHARED / "models" / name / "tokenizer.json")) for name in MODELS}
    for model in models.values():
        model.no_truncation()
        model.no_padding()
    cases = [("default", text, None, NO_LIMIT) for text in dict.fromkeys(texts())]
    cases += [("default", "the film was unaffable but good", None, m) for m in (2, 3, 4, 5, 8, 9, 10, 11)]
    cases += [("default", a, b, m) for a, b in PAIRS for m in (3, 4, 5, 6, 7, 8, 9, 12, NO_LIMIT)]
    others = [name for name in chosen if name != "default"]
    # A third of the texts for each other variant, all of those that were written for added tokens.
    for i, name in enumerate(others):
        cases += [(name, text, None, NO_LIMIT) for j, text in enumerate(TEXTS)
                  if (i + j) % 3 == 0 or "<e" in text or "oo" in text]
        cases += [(name, a, b, m) for a, b in PAIRS[:9:2] for m in (3, 6, NO_LIMIT)]
    write_compressed("tokenizer_small.json.zst", json.dumps(small, separators=(",", ":")) + "\n")
    with open(GOLDEN / "tokenizer_variants.json", "w", encoding="ascii") as file:
        file.write(json.dumps(chosen, indent=1) + "\n")
    lines = []
    for variant, text, pair, max_tokens in cases:
        case = {"variant": variant, "text": text, "pair": pair, "max_tokens": max_tokens,
                **encode(made[variant], text, pair, max_tokens)}
        if variant == "default" and max_tokens == NO_LIMIT:
            ids = {name: model.encode(text, pair).ids for name, model in models.items()}
            assert ids.pop("bge-l12") == ids["minilm-l6"]
            case["models"] = ids
        lines.append(json.dumps(case, separators=(",", ":")) + "\n")
    write_compressed("tokenizer_cases.jsonl.zst", "".join(lines))
    print(len(cases), "cases,", len(small["model"]["vocab"]), "tokens, tokenizers", tokenizers.__version__)


def hash_data_file(tokenizer, path):
    import zstandard
    sha = hashlib.sha256()

    def take(batch):
        for encoding in tokenizer.encode_batch_fast(batch):
            sha.update(struct.pack("<i", len(encoding.ids)))
            ids = array.array("i", encoding.ids)
            if sys.byteorder == "big":
                ids.byteswap()
            sha.update(ids.tobytes())

    with open(path, "rb") as raw:
        lines = io.TextIOWrapper(zstandard.ZstdDecompressor().stream_reader(raw), encoding="utf-8", newline="\n")
        while batch := [json.loads(line) for line in itertools.islice(lines, 1000)]:
            take([(row["text"], row["text_pair"]) if "text_pair" in row else row["text"] for row in batch])
    return sha.hexdigest()


def hash_code_points(options):
    """Every scalar value between two marks and letters, so that reordering and removal show."""
    normalizer = normalizers.BertNormalizer(*options)
    sha = hashlib.sha256()
    for c in range(0x110000):
        if not 0xD800 <= c <= 0xDFFF:
            sha.update(normalizer.normalize_str("A\u0345" + chr(c) + "\u0334Z").encode() + b"\x00")
    return sha.hexdigest()


def write_hashes():
    result = {"reference": "tokenizers " + tokenizers.__version__, "data": {}, "code_points": {}}
    for options in itertools.product((False, True), repeat=4):
        result["code_points"]["".join("01"[o] for o in options)] = hash_code_points(options)
    for name in MODELS:
        tokenizer = Tokenizer.from_file(str(SHARED / "models" / name / "tokenizer.json"))
        tokenizer.no_truncation()
        tokenizer.no_padding()
        files = sorted((SHARED / "data").glob("*/*.zst"))
        result["data"][name] = {str(f.relative_to(SHARED / "data")): hash_data_file(tokenizer, f) for f in files}
    with open(GOLDEN / "tokenizer_hashes.json", "w", encoding="ascii") as file:
        file.write(json.dumps(result, indent=1) + "\n")


BPE_SPECIAL = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")
BPE_TEXTS = [
    "it's IT'S we've they're I'm you'll he'd don't o'clock 'tis '' ' 'x 'll 'lx 're' 'v 'r's", "'s", "'", " 's", "a  'S",
    "one  two   three    four", "trailing ", "trailing  ", "  leading", "a\n\nb\n c \n d\t\te", "\u00a0x\u3000\u3000y \u2003 z",
    "\u3000", "\u3000a", "\u3000\u3000a", " \u3000", "a1b2 12ab 3.14 ½x ²y ١٢ Ⅷ 第3回", "x² ½cup", "!!!'s ...a -- b", "#tag @user a_b",
    "<mask>", "a <mask> b", "a  <mask>b", "<mask><mask>", "\n<mask>\n", "<s>a</s> <pad>", "a<s>b", "<s> é", "<mask>é", "</s>\u3000x",
    "<s>'s", "<mask>  x", "<unk>x<unk>", "Foo Bar", "a FooBar Foo", "x <e1> y <e1>z", "word<e2>word <e2> word", "😀<e1> 😀",
    "\u0558\u1c89\ua7cb\U000105c0 \U0001e4d0", "a\u0301b é\u200d\u200cx", "\x85a\x1cb\x1dc", "\u180ea\u200bb\ufeff",
]


def bpe_texts():
    yield from BPE_TEXTS
    yield from texts()


def small_bpe():
    """300 merges that were learned from the cases, in the spelling of older files."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(vocab_size=len(BPE_SPECIAL) + 256 + 300, special_tokens=list(BPE_SPECIAL),
                                  max_token_length=12, show_progress=False,
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    tokenizer.train_from_iterator([*WORDS, *(" " + w for w in WORDS * 3), *BPE_TEXTS, *TEXTS], trainer)
    model = json.loads(tokenizer.to_str())["model"]
    return {
        "version": "1.0", "truncation": None, "padding": None,
        "added_tokens": [added(i, t, lstrip=t == "<mask>", normalized=t != "<mask>", special=True)
                         for i, t in enumerate(BPE_SPECIAL)],
        "normalizer": None,
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True},
        "post_processor": {"type": "RobertaProcessing", "sep": ["</s>", 2], "cls": ["<s>", 0], "trim_offsets": True,
                           "add_prefix_space": False},
        "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True},
        "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": "", "end_of_word_suffix": "",
                  "fuse_unk": False, "vocab": model["vocab"], "merges": [" ".join(m) for m in model["merges"]]}}


def bpe_variants(small):
    size = len(small["model"]["vocab"])
    template = {"type": "TemplateProcessing", "single": [special_piece("<s>", 0), sequence_piece("A", 0), special_piece("</s>", 0)],
                "pair": [special_piece("<s>", 0), sequence_piece("A", 0), special_piece("</s>", 0), sequence_piece("B", 1)],
                "special_tokens": {t: {"id": t, "ids": [i], "tokens": [t]} for t, i in (("<s>", 0), ("</s>", 2))}}

    def trimming(prefix, trim):
        return {"type": "ByteLevel", "add_prefix_space": prefix, "trim_offsets": trim, "use_regex": True}

    return {
        "default": {},
        "prefix": {"pre_tokenizer": {"add_prefix_space": True}, "post_processor": {"add_prefix_space": True}},
        "prefix_trimmed": {"pre_tokenizer": {"add_prefix_space": True}},
        "untrimmed": {"post_processor": {"trim_offsets": False}},
        "template": {"post_processor": template},
        "sequence": {"post_processor": {"type": "Sequence", "processors": [trimming(False, True), template]}},
        "bert_processing": {"post_processor": {"type": "BertProcessing", "sep": ["</s>", 2], "cls": ["<s>", 0]}},
        "merge_pairs": {"model": {"merges": [m.split(" ") for m in small["model"]["merges"][:20]]}},
        "no_merges": {"model": {"merges": []}},
        "added": {"pre_tokenizer": {"add_prefix_space": True}, "added_tokens": [
            added(size, "<e1>", lstrip=True, rstrip=True), added(size + 1, "<e2>", single_word=True, normalized=True),
            added(size + 2, "Foo Bar", rstrip=True, normalized=True), added(size + 3, "😀", lstrip=True, normalized=True)]},
    }


def case_lines(chosen, made, cases):
    for variant, text, pair, max_tokens in cases:
        case = {"variant": variant, "text": text, "pair": pair, "max_tokens": max_tokens,
                **encode(made[variant], text, pair, max_tokens)}
        yield json.dumps(case, separators=(",", ":")) + "\n"


def hash_spans(tokenizer, path):
    """Of each text: its count, ids, and the byte spans of its tokens."""
    import zstandard
    sha = hashlib.sha256()
    with open(path, "rb") as raw:
        for line in io.TextIOWrapper(zstandard.ZstdDecompressor().stream_reader(raw), encoding="utf-8", newline="\n"):
            row = json.loads(line)
            encoding = tokenizer.encode(row["text"], row.get("text_pair"))
            offsets = [byte_offsets(row["text"]), byte_offsets(row.get("text_pair", ""))]
            spans = [(offsets[s or 0][b], offsets[s or 0][e])
                     for (b, e), s in zip(encoding.offsets, encoding.sequence_ids)]
            sha.update(struct.pack("<i", len(encoding.ids)))
            for numbers in (encoding.ids, [b for b, _ in spans], [e for _, e in spans]):
                sha.update(array.array("i", numbers).tobytes())
    return sha.hexdigest()


def write_bpe():
    small = small_bpe()
    chosen = bpe_variants(small)
    made = {name: apply_variant(small, v) for name, v in chosen.items()}
    cases = [("default", text, None, NO_LIMIT) for text in dict.fromkeys(bpe_texts()) if len(text) < 2000]
    cases += [("default", "the film was unaffable but good", None, m) for m in (2, 3, 4, 5, 8, 9, 10, 11)]
    cases += [("default", a, b, m) for a, b in PAIRS[:6] for m in (4, 5, 6, 9, NO_LIMIT)]
    for i, name in enumerate(n for n in chosen if n != "default"):
        cases += [(name, text, None, NO_LIMIT) for text in BPE_TEXTS]
        cases += [(name, text, None, NO_LIMIT) for j, text in enumerate(TEXTS) if (i + j) % 6 == 0]
        cases += [(name, a, b, m) for a, b in PAIRS[:9:3] for m in (5, NO_LIMIT)]
    with open(GOLDEN / "byte_level_small.json", "w", encoding="ascii") as file:
        file.write(json.dumps(small, separators=(",", ":")) + "\n")
    with open(GOLDEN / "byte_level_variants.json", "w", encoding="ascii") as file:
        file.write(json.dumps(chosen, separators=(",", ":")) + "\n")
    write_compressed("byte_level_cases.jsonl.zst", "".join(case_lines(chosen, made, cases)))
    files = [f for f in sorted((SHARED / "data").glob("*/*.zst")) if not f.match("imdb/[tu][rn]*")]
    made["default"].no_truncation()
    hashes = {str(f.relative_to(SHARED / "data")): hash_spans(made["default"], f) for f in files}
    with open(GOLDEN / "byte_level_hashes.json", "w", encoding="ascii") as file:
        file.write(json.dumps({"reference": "tokenizers " + tokenizers.__version__, "data": hashes}, indent=1) + "\n")
    print(len(cases), "cases,", len(small["model"]["vocab"]), "tokens, tokenizers", tokenizers.__version__)


TWEETS = [
    "SC has first two presumptive cases of coronavirus, DHEC confirms https://postandcourier.com/health/covid19/sc-has-first-two HTTPURL via @postandcourier",
    "@user1 @some_one: I can't believe it!!! #happy #no1 :-) http://t.co/abc123 :D", "RT @news: it's 5 p.m. here, 7 a . m . there & <3",
    "cannot won't ain't can't don't shouldn't've I'm you're he's we'll they'd I've", "CANNOT DON'T I'M", "the cat's n't n 't",
    "I don\u2019t know\u2026 really\u2026\u2026 \u2018quoted\u2019 \u201cx\u201d", "so coooool!!!!!!! ......... ????? -----> <---- ~~~~~",
    "call me: +1 (555) 123-4567 or 555.123.4567 or 1234567 or 12345678901 or 01 23 456 7890", "(800)5551234 +0 *123*456-7890 +15551234567",
    "&amp; &lt;b&gt; &quot;x&quot; &eacute; &nbsp;z &hellip; &rsquo; &#65; &#x41; &#x1F600; &#128; &#x80; &#129; &bogus; &; &#; &x; &x41; &a b;",
    "&ampx &amp &amp;amp; &#0065; &#xD800; &#99999999; &#abc; &Eacute; &EACUTE; a&amp;b",
    "www.example.com example.com EXAMPLE.CO.UK/path?q=1&r=2 foo.bar/baz (http://a.b/c) <http://x.y> http://en.wikipedia.org/wiki/A_(b)",
    "http://a http:// http:/x https:y http://foo.com/(a(b)c)d http://foo.com/a(b http://foo.com/). ftp://x.com HTTP://A.B/C, wwwhat httpd",
    "http://x.com/a'b\"c end. http://x.com/a, http://x.com/?! t.co/x t.co/xy a.b.c node.js U.S.A. e.g. 3.14.159 v1.2.3 x.y@z.com",
    "me.too+tag@mail.example.org foo@bar foo@bar.c a@b.co a.b@c.d.e @ @@ @a@b @user. @_x_ foo@_gmail.com_ x@y..z mail@-a-.b-c",
    ":) :-( :'( =] 8D ;p :P :/ :\\ :| :@ :} (: (-: )': [8 <:) >:( :)> <3 </3 D: d: p8 @: }: :o) :o :O) xD", "8) 80 8-) =) =D ==> <= >= <- -> <-- -->",
    "<b>bold</b> <a href=\"x\"> < b > <> <a<b> a<b <br/>", "#tag #t #1 #tag's #a-b #a- ##x # #-a #_a #caf\u00e9! #\u65e5\u672c\u8a9e",
    "mother-in-law rock'n'roll o'clock 'tis ab'c a'b -ab- snake_case_name _x_ a_ x- it-'s", "1/2 3,000 12:30 1-2 +5 -3.5 1,2,3 10:30pm 5% $5.00 1.5x 2+2 3.-",
    ". . . .. ... . a .. b .\n.\t.", "line one\nline two\n\nline\tthree\r\nend", "\u65e5\u672c\u8a9e caf\u00e9 na\u00efve \u00c5ngstr\u00f6m \u0440\u0443\u0441\u0441\u043a\u0438\u0439",
    "\U0001f600 \U0001f44d\U0001f3fd \U0001f469\u200d\U0001f469\u200d\U0001f467 \u2764\ufe0f \U0001f1e9\U0001f1ea ok\U0001f600\U0001f600\U0001f600\U0001f600", "a\u0301b e\u0301\u0301\u0301\u0301\u0301",
    "<s> a </s> b<mask>c <unk><pad>", "x \u3000 y\u00a0z\x1cq\x85w", "p . m . a . m  p . m x a . m y", "it's's n't't 's", "a\x00b", "ca n't ai n't ca n'td",
]


def train_codes(words, merges):
    """fastBPE's learning, without its speed: the most frequent pair of neighbours first, by text on ties."""
    counts = collections.Counter(words)
    split = {w: [*w[:-1], w[-1] + "</w>"] for w in counts}
    for _ in range(merges):
        pairs = collections.Counter()
        for word, parts in split.items():
            for pair in zip(parts, parts[1:]):
                pairs[pair] += counts[word]
        (left, right), count = max(pairs.items(), key=lambda item: (item[1], item[0]))
        yield left, right, count
        for word, parts in split.items():
            merged, i = [], 0
            while i < len(parts):
                pair = parts[i:i + 2] == [left, right]
                merged.append(left + right if pair else parts[i])
                i += 1 + pair
            split[word] = merged


def tweet_vocabulary(codes, words):
    """Tokens that the codes make, and every other character of the words."""
    tokens = dict.fromkeys(["@USER", "HTTPURL"])
    for i, c in enumerate(sorted({c for w in words for c in w})):
        if i % 5 != 3:
            tokens.update(dict.fromkeys([c, c + "@@"]))
    for left, right, _ in codes:
        for symbol in (left, right, left + right):
            tokens[symbol[:-4] if symbol.endswith("</w>") else symbol + "@@"] = None
    return [t for t in tokens if not any(c.isspace() or c == "\ufffd" or 0xD800 <= ord(c) < 0xE000 for c in t)]


def write_tweets():
    from transformers import BertweetTokenizer
    everything = [t for t in dict.fromkeys([*TWEETS, *TEXTS]) if len(t) < 2000]
    with open(GOLDEN / "tweet_bpe.codes", "w", encoding="utf-8") as file:
        file.write("a b 1\n")
    with open(GOLDEN / "tweet_vocab.txt", "w", encoding="utf-8") as file:
        file.write("a 1\n")
    paths = [str(GOLDEN / "tweet_vocab.txt"), str(GOLDEN / "tweet_bpe.codes")]
    plain = BertweetTokenizer(*paths)
    plain.demojizer = None
    words = [w for t in everything for w in plain.normalizeTweet(t).split()] + WORDS
    codes = list(train_codes(words, 250))
    with open(paths[1], "w", encoding="utf-8", newline="\n") as file:
        file.writelines(f"{left} {right} {count}\n" for left, right, count in codes)
    with open(paths[0], "w", encoding="utf-8", newline="\n") as file:
        file.writelines(f"{token} 1\n" for token in tweet_vocabulary(codes, words))
    lines = []
    for normalization in (False, True):
        tokenizer = BertweetTokenizer(*paths, normalization=normalization)
        tokenizer.demojizer = None
        for text in everything if normalization else everything[::4] + ["a\nb\n", "ab\n\nc"]:
            lines.append({"normalization": normalization, "text": text, "pair": None, "ids": tokenizer(text)["input_ids"]})
        for a, b in PAIRS:
            lines.append({"normalization": normalization, "text": a, "pair": b, "ids": tokenizer(a, b)["input_ids"]})
    write_compressed("tweet_cases.jsonl.zst", "".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines))
    print(len(lines), "cases,", len(codes), "merges")


if __name__ == "__main__":
    {"tweets": write_tweets, "cases": write_cases, "hashes": write_hashes, "bpe": write_bpe}[sys.argv[1]]()
