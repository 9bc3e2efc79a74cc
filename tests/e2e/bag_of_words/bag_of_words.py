"""A model server's model for mlserver.py: naive Bayes over the words of texts, as a runtime of MLServer. It takes one BYTES input and answers with
`probabilities`, FP32 [n, 2], of the labels neg and pos. A folder with weights.npz, this file and model-settings.json is a model."""

import json
import math
import os
import re

import numpy as np
from mlserver import MLModel
from mlserver.codecs import StringCodec
from mlserver.types import InferenceResponse, ResponseOutput

LABELS = ["neg", "pos"]


def words_of(text):
    return re.findall(r"[a-z']+", text.lower())


def train(rows, path):
    """rows: [(text, label)]. The logarithm of each word's odds, a third of naive Bayes', which is far too sure."""
    counts = {}
    for text, label in rows:
        for word in set(words_of(text)):
            counts.setdefault(word, [1, 1])[LABELS.index(label)] += 1
    names = sorted(counts)
    np.savez(path, words=np.array(names), odds=np.array([math.log(counts[w][1] / counts[w][0]) / 3 for w in names]))


class BagOfWords(MLModel):
    async def load(self):
        weights = np.load(os.path.join(os.path.dirname(os.path.abspath(__file__)), "weights.npz"))
        self.odds = dict(zip(weights["words"].tolist(), weights["odds"].tolist()))
        return True

    async def predict(self, payload):
        rows = []
        for text in StringCodec.decode_input(payload.inputs[0]):
            odds = sum(self.odds.get(word, 0) for word in set(words_of(text)))
            pos = 1 / (1 + math.exp(-odds))
            rows += [1 - pos, pos]
        output = ResponseOutput(name="probabilities", shape=[len(rows) // 2, 2], datatype="FP32", data=rows)
        return InferenceResponse(model_name=self.name, model_version=self.version, outputs=[output])


if __name__ == "__main__":
    import sys

    with open(sys.argv[1], encoding="utf-8") as lines:
        train([(row["text"], row["label"]) for row in map(json.loads, lines)], sys.argv[2])
