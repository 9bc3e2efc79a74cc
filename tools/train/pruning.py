"""Texts as the level below sends them up (Eq 10, rules 2 and 3). Called by train.py; no torch.

The same as src/cascade/prune.c in `prune: word`, on a text's characters instead of its bytes. A level sees its texts pruned
at one alpha when it serves; here alpha is drawn anew each time that a text is read.
"""

import math
import re

# Unicode 15, property White_Space, as in src/cascade/prune.c.
WORD = re.compile("[^\t-\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+")


def split_words(text):
    """Spans of the runs between white space."""
    return [match.span() for match in WORD.finditer(text)]


def word_importances(text, offsets, importances):
    """[(word, the greatest importance of its pieces)]. `offsets` are the spans of a text's own tokens. A word without a
    token, or beyond those that the level read, is infinitely important: it is never dropped."""
    spans = split_words(text)
    greatest = [None] * len(spans)
    first = 0
    for (begin, end), importance in zip(offsets, importances):
        while first < len(spans) and spans[first][1] <= begin:
            first += 1
        word = first
        while begin < end and word < len(spans) and spans[word][0] < end:
            if greatest[word] is None or importance > greatest[word]:
                greatest[word] = importance
            word += 1
    return [(text[begin:end], math.inf if best is None else best) for (begin, end), best in zip(spans, greatest)]


def prune_text(words, average, alpha):
    """The words whose importance is above alpha * average, with one space between them; the most important one when
    none is."""
    if not words:
        return ""
    kept = [word for word, importance in words if not importance <= alpha * average]
    return " ".join(kept) if kept else max(words, key=lambda pair: pair[1])[0]
