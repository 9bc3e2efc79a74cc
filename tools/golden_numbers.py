#!/usr/bin/env python3
"""Writes tests/golden/numbers.json.zst: expected values for the equations of the method, worked out with no code of rung.

Real numbers are computed with mpmath in 50 digits or with exact fractions, and rounded to double once, at the end.
Logits, importances and attention inputs are exact in float32. Cases where a decision stands on the edge are exact in
binary, so that "equal" means equal; all others keep a distance from it that rounding cannot cross (checked here).
64-bit numbers are hexadecimal strings.

    python3 tools/golden_numbers.py
"""

import argparse
import json
import os
import random
import struct
import subprocess
from fractions import Fraction

import mpmath
import xxhash

import jsonl

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
EDGE = 1e-9  # no decision but the exact ones comes nearer to its limit
MASK = (1 << 64) - 1
mpmath.mp.dps = 50


def float32(value):
    return struct.unpack("<f", struct.pack("<f", value))[0]


def random_logits(source, count, scale):
    return [round(source.gauss(0, scale) * 256) / 256 for _ in range(count)]


def softmax(logits, temperature=1):
    exps = [mpmath.exp(mpmath.mpf(z) / mpmath.mpf(temperature)) for z in logits]
    return [value / mpmath.fsum(exps) for value in exps]


def argmax(values):
    return max(range(len(values)), key=lambda index: (values[index], -index))


def divergence(p, q):
    """Jensen-Shannon, natural logarithm."""
    total = mpmath.mpf(0)
    for a, b in zip(p, q):
        middle = (a + b) / 2
        total += sum(x * mpmath.log(x / middle) for x in (a, b) if x > 0)
    return total / 2


def softmax_cases():
    """Eq 5-6."""
    source = random.Random(5)
    inputs = {
        "one class": ([0.75], 1),
        "two equal": ([0.5, 0.5], 1),
        "three equal, T 0.05": ([-2.0, -2.0, -2.0], 0.05),
        "plain": ([2.0, -1.0], 1),
        "T above 1 softens": ([2.0, -1.0], 4),
        "T below 1 sharpens": ([2.0, -1.0], 0.25),
        "T at its least": ([1.0, 0.0], 0.05),
        "T at its greatest": ([1.0, 0.0], 20),
        "large logits": ([3.0e38, 3.0e38, 0.0], 1),
        "far apart": ([1000.0, 0.0, -1000.0], 1),
        "one class vanishes": ([0.0, -700.0], 1),
        "negative": ([-80.0, -81.0, -82.5], 1),
        "tie at the top": ([1.0, 3.0, 3.0, 2.0], 2),
    }
    for index in range(12):
        inputs[f"random {index}"] = (random_logits(source, 2 + index % 5, 3), round(source.uniform(0.3, 4), 3))
    cases = []
    for name, (logits, temperature) in inputs.items():
        logits = [float32(z) for z in logits]
        shifted = [Fraction(z) - Fraction(max(logits)) for z in logits]  # exact; keeps exp in range
        p = softmax([mpmath.mpf(z.numerator) / z.denominator for z in shifted], temperature)
        cases.append(
            {
                "name": name,
                "logits": logits,
                "temperature": temperature,
                "probabilities": [float(x) for x in p],
                "label": argmax(logits),
                "confidence": float(max(p)),
            }
        )
    return cases


def multi_label_cases():
    """Every label by itself: sigmoids, the least sure label, and how far two exits are apart."""
    source = random.Random(50)
    inputs = {
        "one label": ([0.75], [-0.25], 1),
        "far apart": ([700.0, -700.0, 0.5], [-700.0, 700.0, 0.5], 1),
        "none holds": ([-3.0, -1.0], [-2.0, -4.0], 2),
    }
    for index in range(9):
        count = 2 + index % 4
        before = random_logits(source, count, 2)
        after = [z + round(source.gauss(0, 0.5) * 256) / 256 for z in before]
        inputs[f"random {index}"] = (before, after, round(source.uniform(0.3, 3), 3))
    cases = []
    for name, (*both, temperature) in inputs.items():
        p, q = ([1 / (1 + mpmath.exp(-mpmath.mpf(z) / mpmath.mpf(temperature))) for z in logits] for logits in both)
        assert all(abs(x - mpmath.mpf("0.5")) > EDGE for x in p + q)
        cases.append(
            {
                "name": name,
                "logits": both,
                "temperature": temperature,
                "probabilities": [[float(x) for x in p], [float(x) for x in q]],
                "confidence": [float(min(max(x, 1 - x) for x in side)) for side in (p, q)],
                "same_decision": all((x > 0.5) == (y > 0.5) for x, y in zip(p, q)),
                "divergence": float(max(divergence((x, 1 - x), (y, 1 - y)) for x, y in zip(p, q))),
            }
        )
    return cases


def offload_probability(threshold, k, confidence):
    """Eq 7-8. k None: the plain threshold."""
    if confidence <= threshold:
        return mpmath.mpf(1)
    if k is None:
        return mpmath.mpf(0)
    t, c = mpmath.mpf(threshold), mpmath.mpf(confidence)
    return 1 / (1 + mpmath.exp(mpmath.mpf(k) * ((c - t) / (1 - t) - mpmath.mpf("0.5"))))


def offload_cases():
    cases = []
    for t in (0.0, 0.25, 0.5, 0.7, 0.8, 0.9, 0.999, 1.0):
        above = [t + (1 - t) * part for part in (1e-6, 0.25, 0.5, 0.75)] if t < 1 else []
        for confidence in sorted({0.0, 0.5, t / 2, t, 1.0, *above}):
            for k in (None, 0.5, 4, 6, 10, 1000):
                name = f"t {t}, k {'hard' if k is None else k}, confidence {confidence!r}"
                cases.append(
                    {
                        "name": name,
                        "threshold": t,
                        "hard": k is None,
                        "k": 10 if k is None else k,
                        "confidence": confidence,
                        "p": float(offload_probability(t, k, confidence)),
                    }
                )
    return cases


def column_sum_cases():
    """Eq 9 for one layer: softmax over keys of q.k/sqrt(d), summed over heads and queries, divided by heads."""
    source, cases = random.Random(9), []
    for heads, tokens, size in ((1, 1, 4), (1, 3, 4), (2, 5, 8), (3, 7, 26)):
        q, k = (
            [[[float(v) for v in random_logits(source, size, 1)] for _ in range(tokens)] for _ in range(heads)]
            for _ in "qk"
        )
        sums = [mpmath.mpf(0)] * tokens
        for head in range(heads):
            for query in q[head]:
                scores = [mpmath.fdot(zip(query, key)) / mpmath.sqrt(size) for key in k[head]]
                sums = [total + p for total, p in zip(sums, softmax(scores))]
        cases.append(
            {
                "name": f"{heads} heads, {tokens} tokens, head size {size}",
                "q": q,
                "k": k,
                "column_sums": [float(value / heads) for value in sums],
            }
        )
    return cases


def keeps(importance, special, alpha):
    """Eq 10 by token: threshold and which candidates stay."""
    candidates = [Fraction(value) for value, is_special in zip(importance, special) if not is_special]
    limit = Fraction(alpha) * sum(candidates) / len(candidates) if candidates else Fraction(0)
    for value in candidates:
        # An edge must be the same in double arithmetic, where it is exact.
        rounded = alpha * (float(sum(candidates)) / len(candidates))
        assert Fraction(value) == limit == Fraction(rounded) or abs(value - limit) > EDGE
    return float(limit), [not is_special and Fraction(value) > limit for value, is_special in zip(importance, special)]


def prune_token_cases():
    """Rule 1. Special tokens stay and do not count; a side of a pair keeps its best token."""
    source = random.Random(10)
    s = [1, 0, 0, 0, 0, 1]
    inputs = {
        "equal to alpha * average goes": ([3, 1, 2, 1, 4, 5], s, [0] * 6, 0.5),
        "alpha 0 keeps all": ([3, 1, 2, 1, 4, 5], s, [0] * 6, 0),
        "alpha 1 drops the average": ([0, 2, 2, 2, 2, 0], s, [0] * 6, 1),
        "alpha too large keeps the first best": ([9, 1, 4, 4, 1, 9], s, [0] * 6, 8),
        "special tokens do not raise the average": ([100, 1, 2, 3, 2, 100], s, [0] * 6, 0.75),
        "only special tokens": ([1, 1], [1, 1], [0, 0], 0.5),
        "one token": ([1, 1, 1], [1, 0, 1], [0, 0, 0], 2),
        "pair, second side below the limit": (
            [1, 4, 4, 1, 0.5, 0.25, 1],
            [1, 0, 0, 1, 0, 0, 1],
            [0, 0, 0, 0, 1, 1, 0],
            1,
        ),
        "pair, an empty side": ([1, 4, 2, 1, 1], [1, 0, 0, 1, 1], [0] * 5, 0.5),
    }
    for index in range(12):
        count, pair = source.randrange(3, 40), index % 3 == 0
        special = [int(i in (0, count - 1)) for i in range(count)]
        sequence = [int(pair and i > count // 2 and not special[i]) for i in range(count)]
        importance = [source.randrange(1, 4096) / 1024 for _ in range(count)]
        inputs[f"random {index}"] = (importance, special, sequence, source.choice([0.25, 0.5, 0.9, 1.0, 1.3]))
    cases = []
    for name, (importance, special, sequence, alpha) in inputs.items():
        limit, keep = keeps(importance, special, alpha)
        for side in (0, 1):
            members = [i for i in range(len(keep)) if not special[i] and sequence[i] == side]
            if members and not any(keep[i] for i in members):
                keep[max(members, key=lambda i: (importance[i], -i))] = True
        cases.append(
            {
                "name": name,
                "importance": importance,
                "special": special,
                "sequence": sequence,
                "alpha": alpha,
                "threshold": limit,
                "keep": [int(kept or is_special) for kept, is_special in zip(keep, special)],
                "kept": sum(keep),
            }
        )
    return cases


# (name, alpha, sides); a side is the text: a list of (word, [(bytes, importance) of each piece]) and white space.
PRUNE_WORDS = [
    (
        "whole words",
        0.5,
        [[("The", [(3, 1)]), " ", ("plot", [(4, 8)]), " ", ("is", [(2, 1)]), " ", ("thin", [(4, 6)])]],
    ),
    (
        "a word stays when one piece does",
        1,
        [[("un", [(2, 1)]), " ", ("watch\u00adable", [(5, 1), (2, 1), (4, 5)]), " ", ("it", [(2, 1)])]],
    ),
    ("a word goes when every piece goes", 1, [[("walking", [(4, 1), (3, 1)]), "  ", ("dog", [(3, 7)])]]),
    (
        "equal to the limit goes",
        0.5,
        [[("a", [(1, 1)]), " ", ("b", [(1, 2)]), " ", ("c", [(1, 1)]), " ", ("d", [(1, 4)])]],
    ),
    (
        "white space of every kind is one space",
        0,
        [["\t", ("a", [(1, 1)]), "\r\n", ("b", [(1, 1)]), "\u3000", ("c", [(1, 1)]), "\u00a0\u2028"]],
    ),
    (
        "words without tokens stay",
        1,
        [[("a", [(1, 1)]), " ", ("\u200b", []), " ", ("b", [(1, 9)]), " ", ("unseen", []), " ", ("end", [])]],
    ),
    ("at least one word stays", 9, [[("a", [(1, 1)]), " ", ("b", [(1, 3)]), " ", ("c", [(1, 3)])]]),
    (
        "multi-byte words",
        0.75,
        [[("Très", [(5, 8)]), " ", ("中文", [(3, 1), (3, 1)]), " ", ("🎬", [(4, 8)]), " ", ("é", [(2, 1)])]],
    ),
    (
        "punctuation belongs to its word",
        1,
        [[("good,", [(4, 9), (1, 1)]), " ", ("bad", [(3, 1)]), " ", ("(so!)", [(1, 1), (2, 1), (1, 1), (1, 1)])]],
    ),
    (
        "pair: one average over both, one word a side",
        1,
        [[("a", [(1, 8)]), " ", ("b", [(1, 8)])], [("c", [(1, 1)]), " ", ("d", [(1, 2)]), " ", ("e", [(1, 1)])]],
    ),
]


def side_tokens(side):
    """The text of a side, its words as byte spans and its tokens (begin, end, importance, word)."""
    text, words, tokens = b"", [], []
    for part in side:
        if isinstance(part, str):
            text += part.encode()
            continue
        word, pieces = part
        begin = len(text)
        text += word.encode()
        words.append((begin, len(text)))
        assert not pieces or sum(size for size, _ in pieces) == len(text) - begin, word
        for size, importance in pieces:
            tokens.append((begin, begin + size, importance, len(words) - 1))
            begin += size
    # Words by Unicode's white space; the texts hold nothing on which Python's differs.
    assert [text[begin:end].decode() for begin, end in words] == text.decode().split()
    return text, words, tokens


def prune_word_case(name, alpha, sides):
    """Rules 2 and 3. Template tokens: [CLS] side 0 [SEP] (side 1 [SEP])."""
    parts = [side_tokens(side) for side in sides]
    rows = [(0, 0, 16, 1, 0)]  # begin, end, importance, special, sequence
    for sequence, (_, _, tokens) in enumerate(parts):
        rows += [(begin, end, importance, 0, sequence) for begin, end, importance, _ in tokens] + [(0, 0, 16, 1, 0)]
    limit, keep = keeps([row[2] for row in rows], [row[3] for row in rows], alpha)
    case = {"name": name, "alpha": alpha, "threshold": limit}
    for key, column in zip(("begin", "end", "importance", "special", "sequence"), zip(*rows)):
        case[key] = list(column)
    kept_tokens = iter([kept for kept, row in zip(keep, rows) if not row[3]])
    case["sides"] = []
    for text, words, tokens in parts:
        pieces = [[] for _ in words]
        best = [0] * len(words)
        for _, _, importance, word in tokens:
            pieces[word].append(next(kept_tokens))
            best[word] = max(best[word], importance)
        keep_words = [not kept or any(kept) for kept in pieces]
        if not any(keep_words):
            keep_words[argmax(best)] = True
        kept = [text[begin:end].decode() for (begin, end), stays in zip(words, keep_words) if stays]
        case["sides"].append(
            {
                "text": text.decode(),
                "words": [list(word) for word in words],
                "keep": [int(stays) for stays in keep_words],
                "kept": len(kept),
                "joined": " ".join(kept),
            }
        )
    return case


def divergence_cases():
    source = random.Random(13)
    inputs = {
        "equal": ([0.5, 0.5], [0.5, 0.5]),
        "disjoint: ln 2": ([1.0, 0.0], [0.0, 1.0]),
        "one is certain": ([1.0, 0.0], [0.5, 0.5]),
        "both certain": ([0.0, 1.0, 0.0], [0.0, 1.0, 0.0]),
        "mirrored": ([0.75, 0.25], [0.25, 0.75]),
        "nearly equal": ([0.5, 0.5], [0.5 + 2**-20, 0.5 - 2**-20]),
        "three classes": ([0.5, 0.25, 0.25], [0.125, 0.75, 0.125]),
    }
    for index in range(10):
        size = 2 + index % 4
        inputs[f"random {index}"] = tuple([float(x) for x in softmax(random_logits(source, size, 2))] for _ in range(2))
    return [
        {
            "name": name,
            "p": p,
            "q": q,
            "divergence": float(divergence([mpmath.mpf(x) for x in p], [mpmath.mpf(x) for x in q])),
        }
        for name, (p, q) in inputs.items()
    ]


def ensemble_cases():
    """Eq 11-12: weights proportional to accuracy, renormalised over the levels visited; or the last level alone."""
    p3 = [[0.75, 0.25], [0.375, 0.625], [0.125, 0.875]]
    wide = [[0.5, 0.25, 0.25], [0.125, 0.625, 0.25], [0.25, 0.25, 0.5]]
    inputs = [
        ("only level 1", "accuracy", [0.874, 0.914, 0.934], [1, 0, 0], p3),
        ("levels 1 and 2", "accuracy", [0.874, 0.914, 0.934], [1, 1, 0], p3),
        ("all levels", "accuracy", [0.874, 0.914, 0.934], [1, 1, 1], p3),
        ("level 2 skipped", "accuracy", [0.874, 0.914, 0.934], [1, 0, 1], p3),
        ("only level 3", "accuracy", [0.874, 0.914, 0.934], [0, 0, 1], p3),
        ("equal accuracies", "accuracy", [0.5, 0.5, 0.5], [1, 1, 1], wide),
        ("a level that was never right", "accuracy", [0.0, 0.75, 0.25], [1, 1, 1], wide),
        ("no level was ever right", "accuracy", [0.0, 0.0, 0.0], [1, 1, 0], wide),
        ("last of all", "last", [0.874, 0.914, 0.934], [1, 1, 1], p3),
        ("last of the visited", "last", [0.874, 0.914, 0.934], [1, 1, 0], p3),
    ]
    cases = []
    for name, kind, accuracies, visited, probabilities in inputs:
        if kind == "last":
            last = max(index for index, was in enumerate(visited) if was)
            weights = [Fraction(int(index == last)) for index in range(len(visited))]
        else:
            weights = [Fraction(accuracy) * was for accuracy, was in zip(accuracies, visited)]
            weights = weights if sum(weights) else [Fraction(was) for was in visited]
            weights = [weight / sum(weights) for weight in weights]
        pooled = [sum(w * Fraction(p[c]) for w, p in zip(weights, probabilities)) for c in range(len(probabilities[0]))]
        cases.append(
            {
                "name": name,
                "weights_kind": kind,
                "accuracy": accuracies,
                "visited": visited,
                "probabilities": probabilities,
                "weights": [float(weight) for weight in weights],
                "pooled": [float(p) for p in pooled],
                "label": argmax(pooled),
                "confidence": float(max(pooled)),
            }
        )
    return cases


def is_stable(rule, policy, before, now):
    """The test between two neighbouring exits; before and now are exact distributions."""
    if rule == "paper":
        measure, others = abs(max(now) - max(before)), True
    else:
        measure = divergence(before, now)
        others = argmax(before) == argmax(now) and max(now) >= mpmath.mpf(policy["confidence"])
        assert max(now) in (0.5, 1) or abs(max(now) - mpmath.mpf(policy["confidence"])) > EDGE
    tau = mpmath.mpf(policy["tau"])
    assert measure in (tau, 0) or abs(measure - tau) > EDGE
    return others and measure < tau


def exit_layer(rule, policy, temperatures, logits):
    """Eq 13-14: the layer at which the request stops, and cnt after every layer but the model's last up to it."""
    counts, previous = [], None
    if rule == "off":
        return len(logits), counts
    for layer, z in enumerate(logits, start=1):
        shifted = [mpmath.mpf(value) - max(z) for value in z]
        now = softmax(shifted, 1 if rule == "paper" else temperatures[layer - 1])
        # What double arithmetic rounds to 0 and 1 is treated as that: these are the exact cases.
        now = [mpmath.mpf(round(float(p))) if min(p, 1 - p) < mpmath.mpf(2) ** -200 else p for p in now]
        if layer == len(logits):
            return layer, counts
        stable = previous is not None and is_stable(rule, policy, previous, now)
        counts.append(counts[-1] + 1 if stable and counts else int(stable))
        previous = now
        if counts[-1] >= policy["patience"] and layer >= policy["first_layer"]:
            return layer, counts
    raise AssertionError


def exit_cases():
    sure, flipped, unsure = [4.0, 0.0], [0.0, 4.0], [0.0, 0.0]
    base = {"tau": 0.01, "patience": 1, "confidence": 0.0, "first_layer": 1}
    inputs = [
        ("off runs all layers", "off", base, [sure] * 4),
        ("stops at the first comparison", "paper", base, [sure] * 4),
        ("patience 2", "paper", {**base, "patience": 2}, [sure] * 4),
        ("a change resets the count", "paper", {**base, "patience": 2}, [sure, sure, unsure, unsure, unsure, sure]),
        ("never stable", "paper", base, [sure, unsure, sure, unsure, sure]),
        ("tau 0 never exits early", "paper", {**base, "tau": 0.0}, [sure] * 5),
        ("equality with tau resets", "paper", {**base, "tau": 0.5}, [unsure, [1000.0, 0.0], unsure, [1000.0, 0.0]]),
        ("flips of class at equal confidence count", "paper", base, [sure, flipped, sure, flipped]),
        ("both undecided count", "paper", base, [unsure, unsure, sure]),
        ("not before the first layer", "paper", {**base, "first_layer": 4}, [sure] * 6),
        ("one layer", "paper", base, [sure]),
        ("agree: stops", "agree", base, [sure] * 4),
        ("agree: tau 0 never exits early", "agree", {**base, "tau": 0.0}, [sure] * 4),
        ("agree: a flip of class resets", "agree", {**base, "tau": 1.0}, [sure, flipped, sure, sure, sure]),
        ("agree: not sure enough", "agree", {**base, "confidence": 0.9}, [unsure, unsure, sure, sure, sure]),
        ("agree: confidence equal to the limit counts", "agree", {**base, "confidence": 0.5}, [unsure] * 4),
        ("agree: patience 3", "agree", {**base, "patience": 3}, [sure] * 6),
    ]
    source = random.Random(14)
    for index in range(16):
        layers, classes = source.randrange(3, 13), source.choice([2, 3])
        step = [random_logits(source, classes, 1.2) for _ in range(layers)]
        walk = [[sum(column) for column in zip(*step[: n + 1])] for n in range(layers)]
        policy = {
            "tau": source.choice([0.3, 0.1, 0.03]),
            "patience": source.choice([1, 2, 3]),
            "confidence": 0.6,
            "first_layer": source.choice([1, 2, 3]),
        }
        inputs.append((f"random {index}", ["paper", "agree"][index % 2], policy, walk))
    cases = []
    for name, rule, policy, logits in inputs:
        random_t = name.startswith("random")
        temperatures = [round(source.uniform(0.5, 2.5), 3) if random_t else 1.0 for _ in logits]
        layer, counts = exit_layer(rule, policy, temperatures, logits)
        cases.append(
            {
                "name": name,
                "rule": rule,
                **policy,
                "temperature": temperatures,
                "logits": logits,
                "exit_layer": layer,
                "counts": counts,
            }
        )
    return cases


def to_hex(value):
    return f"{value & MASK:016x}"


def xxh64_cases():
    source = random.Random(64)
    cases = []
    for size in (0, 1, 2, 3, 4, 5, 7, 8, 11, 12, 15, 16, 24, 31, 32, 33, 36, 63, 64, 65, 100, 1000):
        data = source.randbytes(size)
        for seed in (0, 1, 0x9E3779B185EBCA87, MASK):
            cases.append(
                {
                    "name": f"{size} bytes, seed {seed:x}",
                    "input": data.hex(),
                    "seed": to_hex(seed),
                    "hash": to_hex(xxhash.xxh64_intdigest(data, seed)),
                }
            )
    return cases


def request_key(seed, name, text, pair):
    """XXH64 over length and XXH64 of each of the three parts, little-endian; no pair: length 2^64 - 1 over no bytes."""
    data = b""
    for part in (name, text, pair):
        content = (part or "").encode()
        data += struct.pack("<QQ", MASK if part is None else len(content), xxhash.xxh64_intdigest(content, seed))
    return xxhash.xxh64_intdigest(data, seed)


def request_key_cases():
    """Keys, and the coin of Eq 7 at levels 1 to 3: the 53 top bits of XXH64(level as 8 bytes, seed = key) / 2^53."""
    inputs = [
        (0, "0", "A warm, funny film.", None),
        (0, "1", "A warm, funny film.", None),
        (7, "0", "A warm, funny film.", None),
        (0, "0", "A warm, funny film.", ""),
        (0, "0", "A warm, ", "funny film."),
        (MASK, "", "é中🎬", "x"),
        (0, "", "", None),
    ]
    cases = []
    for seed, name, text, pair in inputs:
        key = request_key(seed, name, text, pair)
        coins = [(xxhash.xxh64_intdigest(struct.pack("<Q", level), key) >> 11) / 2**53 for level in (1, 2, 3)]
        cases.append(
            {
                "name": f"seed {seed:x}, id {name!r}, text {text!r}, pair {pair!r}",
                "seed": to_hex(seed),
                "id": name,
                "text": text,
                "pair": pair,
                "key": to_hex(key),
                "coins": coins,
            }
        )
    return cases


def mean_nll(logits, labels, inverse):
    """Mean negative log-likelihood at T = 1 / inverse."""
    total = mpmath.mpf(0)
    for z, label in zip(logits, labels):
        top = max(z)
        total += (
            mpmath.log(mpmath.fsum(mpmath.exp((v - top) * inverse) for v in map(mpmath.mpf, z)))
            - (mpmath.mpf(z[label]) - top) * inverse
        )
    return total / len(labels)


def golden_section(function, low, high, width):
    ratio = (mpmath.sqrt(5) - 1) / 2
    a, b = high - ratio * (high - low), low + ratio * (high - low)
    at_a, at_b = function(a), function(b)
    while high - low > width:
        if at_a < at_b:
            high, b, at_b = b, a, at_a
            a = high - ratio * (high - low)
            at_a = function(a)
        else:
            low, a, at_a = a, b, at_b
            b = low + ratio * (high - low)
            at_b = function(b)
    return (low + high) / 2


def drawn_set(seed, count, classes, scale, true_temperature):
    """Logits and labels drawn from softmax(logits / true_temperature)."""
    source = random.Random(seed)
    logits = [random_logits(source, classes, scale) for _ in range(count)]
    labels = [source.choices(range(classes), [float(p) for p in softmax(z, true_temperature)])[0] for z in logits]
    return logits, labels


def temperature_cases():
    """T that minimises the mean NLL in [0.05, 20] (Eq 5). NLL is convex in 1/T."""
    inputs = {
        "two thirds right": ([[2.0, 0.0]] * 3, [0, 0, 1]),
        "two sizes of margin": ([[3.0, 0.0], [0.5, 0.0], [1.0, 0.0], [-2.0, 0.0]], [0, 1, 0, 1]),
        "overconfident": drawn_set(1, 40, 2, 4, 3),
        "underconfident": drawn_set(2, 40, 2, 1, 0.4),
        "three classes": drawn_set(3, 40, 3, 2, 1.5),
        "five classes": drawn_set(4, 60, 5, 3, 1),
        "large logits": drawn_set(5, 30, 2, 40, 12),
        "all right: the least": ([[1.0, 0.0], [0.0, 2.0]], [0, 1]),
        "all wrong: the greatest": ([[1.0, 0.0], [0.0, 2.0]], [1, 0]),
        "no better than chance: the greatest": ([[1.0, 0.0], [1.0, 0.0]], [0, 1]),
    }
    cases = []
    for name, (logits, labels) in inputs.items():

        def nll(inverse, logits=logits, labels=labels):
            return mean_nll(logits, labels, inverse)

        low, high = mpmath.mpf(1) / 20, mpmath.mpf(20)
        inverse = golden_section(nll, low, high, mpmath.mpf(10) ** -18)
        bound = "greatest" if inverse - low < EDGE else "least" if high - inverse < EDGE else None
        inverse = {"greatest": low, "least": high, None: inverse}[bound]
        cases.append(
            {
                "name": name,
                "logits": logits,
                "labels": labels,
                "temperature": float(1 / inverse),
                "at_bound": bound,
                "nll": float(nll(inverse)),
                "nll_at_1": float(nll(mpmath.mpf(1))),
            }
        )
    return cases


def binomial_cdf(errors, trials, p):
    """The sum of all terms, with the double that p rounds to."""
    p = mpmath.mpf(p)
    term = total = (1 - p) ** trials
    for k in range(1, errors + 1):
        term *= (trials - k + 1) * p / (k * (1 - p))
        total += term
    return total


def binomial_cases():
    inputs = [(0, 1, 0.5), (0, 298, 0.01), (0, 299, 0.01), (1, 2, 1 / 3), (1, 500, 0.01), (3, 872, 0.01), (4, 872, 0.01)]
    inputs += [(38, 5000, 0.01), (39, 5000, 0.01), (2, 15, 0.3), (14, 15, 0.3), (7, 16, 0.9), (15, 16, 0.9), (0, 1000, 0.9)]
    inputs += [(3, 1000, 1e-9), (0, 1000000, 1e-6), (999, 1000, 0.999), (500, 1000, 0.5), (50, 100, 0.48), (4800, 10000, 0.5)]
    inputs += [(9836, 1000000, 0.01), (9837, 1000000, 0.01), (10200, 1000000, 0.01), (8000, 1000000, 0.01)]
    inputs += [(999000, 1000000, 0.999), (500, 1000000, 0.001), (499000, 1000000, 0.5)]
    return [
        {"name": f"{k} of {n} at {p}", "errors": k, "n": n, "p": p, "cdf": float(binomial_cdf(k, n, p))}
        for k, n, p in inputs
    ]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--output", default=os.path.join(ROOT, "tests", "golden", "numbers.json.zst"))
    arguments = parser.parse_args()
    sections = {
        "softmax": softmax_cases(),
        "multi_label": multi_label_cases(),
        "offload_probability": offload_cases(),
        "column_sums": column_sum_cases(),
        "prune_tokens": prune_token_cases(),
        "prune_words": [prune_word_case(*case) for case in PRUNE_WORDS],
        "js_divergence": divergence_cases(),
        "ensemble": ensemble_cases(),
        "exit": exit_cases(),
        "xxh64": xxh64_cases(),
        "request_key": request_key_cases(),
        "temperature": temperature_cases(),
        "binomial": binomial_cases(),
    }
    for name, cases in sections.items():
        names = [case["name"] for case in cases]
        assert len(set(names)) == len(names), name
        print(f"{name}: {len(cases)} cases")
    # One case a line, so that differences can be read.
    body = ",\n".join(
        f' "{name}": [\n'
        + ",\n".join("  " + json.dumps(case, ensure_ascii=False, allow_nan=False) for case in cases)
        + "\n ]"
        for name, cases in sections.items()
    )
    text = f'{{\n "made_by": "tools/golden_numbers.py",\n{body}\n}}\n'.encode()
    if arguments.output.endswith(".zst"):
        text = subprocess.run(["zstd", "-cq", "-19"], input=text, stdout=subprocess.PIPE, check=True).stdout
    jsonl.replace(arguments.output, text)


if __name__ == "__main__":
    main()
