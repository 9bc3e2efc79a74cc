"""BERT, DistilBERT and RoBERTa classifiers with an exit after every layer, in torch. Called by train.py and passes.py.

Weights keep the names that transformers gives them, so that reading and writing a directory is a table. A linear head
reads the [CLS] state after each layer but the last; the last exit is the model's own pooler and classifier. The last layer
runs for [CLS] alone: nothing else reads it.
"""

import json
import os
import shutil
import sys
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import jsonl

INITIAL_STD = 0.02  # of new heads, as in BERT
TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "vocab.txt", "vocab.json", "merges.txt", "special_tokens_map.json")


class ModelError(Exception):
    """What a directory lacks."""


@dataclass(frozen=True)
class Family:
    """Names of one model_type: of fields in config.json, and of tensors."""

    classifier: str
    prefix: str
    layers: str
    pooler: str
    head: str
    query: str = "attention.self.query"
    key: str = "attention.self.key"
    value: str = "attention.self.value"
    attention_output: str = "attention.output.dense"
    attention_norm: str = "attention.output.LayerNorm"
    ffn_in: str = "intermediate.dense"
    ffn_out: str = "output.dense"
    output_norm: str = "output.LayerNorm"
    num_layers: str = "num_hidden_layers"
    hidden_size: str = "hidden_size"
    num_heads: str = "num_attention_heads"
    activation: str = "hidden_act"
    has_types: bool = True
    positions_follow_padding: bool = False
    pooler_form: str = "tanh"


FAMILIES = {
    "bert": Family("BertForSequenceClassification", "bert.", "encoder.layer.", "bert.pooler.dense", "classifier"),
    "distilbert": Family(
        "DistilBertForSequenceClassification", "distilbert.", "transformer.layer.", "pre_classifier", "classifier",
        query="attention.q_lin", key="attention.k_lin", value="attention.v_lin", attention_output="attention.out_lin",
        attention_norm="sa_layer_norm", ffn_in="ffn.lin1", ffn_out="ffn.lin2", output_norm="output_layer_norm",
        num_layers="n_layers", hidden_size="dim", num_heads="n_heads", activation="activation", has_types=False,
        pooler_form="relu",
    ),
    "roberta": Family(
        "RobertaForSequenceClassification", "roberta.", "encoder.layer.", "classifier.dense", "classifier.out_proj",
        has_types=False, positions_follow_padding=True,
    ),
}  # fmt: skip


def gelu_tanh(x):
    return F.gelu(x, approximate="tanh")


ACTIVATIONS = {"gelu": F.gelu, "gelu_new": gelu_tanh, "gelu_pytorch_tanh": gelu_tanh, "relu": F.relu}


def read_weights(directory):
    """{name: float32 tensor} of model.safetensors, or of the shards that its index lists."""
    index = os.path.join(directory, "model.safetensors.index.json")
    names = ["model.safetensors"]
    if os.path.exists(index):
        with open(index, encoding="utf-8") as file:
            names = sorted(set(json.load(file)["weight_map"].values()))
    tensors = {}
    for name in names:
        path = os.path.join(directory, name)
        if not os.path.exists(path):
            raise ModelError(f"{path}: no such file: a model is a Hugging Face directory with safetensors")
        tensors |= load_file(path)
    return {name: tensor.float() for name, tensor in tensors.items()}


def canonical(tensors, family):
    """With the family's prefix and today's names of LayerNorm; what is no part of the classifier is left out."""
    bare = f"{family.prefix}embeddings.word_embeddings.weight" not in tensors
    out = {}
    for name, tensor in tensors.items():
        name = name.replace("LayerNorm.gamma", "LayerNorm.weight").replace("LayerNorm.beta", "LayerNorm.bias")
        part = name.split(".")[0]
        if bare and part in ("embeddings", family.layers.split(".")[0], "pooler"):
            name = family.prefix + name
        if name.endswith("position_ids") or (name.startswith(family.prefix + "pooler") and not family.pooler.startswith(family.prefix)):
            continue
        if not name.startswith((family.prefix, family.pooler, family.head)):
            continue
        out[name] = tensor
    return out


class Encoder:
    """A classifier to train. `weights` and `exits` are what its two files hold, as torch parameters."""

    def __init__(self, directory, labels=None, seed=0, device="cpu", dropout=0.0):
        """labels: names for a new task, whose heads start at random; None keeps the model's."""
        self.directory = directory
        path = os.path.join(directory, "config.json")
        if not os.path.exists(path):
            raise ModelError(f"{path}: no such file: a model is a Hugging Face directory")
        with open(path, encoding="utf-8") as file:
            self.config = json.load(file)
        model_type = self.config.get("model_type")
        if model_type not in FAMILIES:
            raise ModelError(f'{path}: model_type "{model_type}" is none of {", ".join(FAMILIES)}')
        self.family = FAMILIES[model_type]
        activation = self.config.get(self.family.activation, "gelu")
        if activation not in ACTIVATIONS:
            raise ModelError(f'{path}: {self.family.activation} "{activation}" is none of {", ".join(ACTIVATIONS)}')
        self.activation = ACTIVATIONS[activation]
        self.num_layers = self.config[self.family.num_layers]
        self.hidden_size = self.config[self.family.hidden_size]
        self.num_heads = self.config[self.family.num_heads]
        self.eps = self.config.get("layer_norm_eps", 1e-12)
        self.first_position = self.config["pad_token_id"] + 1 if self.family.positions_follow_padding else 0
        self.max_tokens = self.config["max_position_embeddings"] - self.first_position
        self.device = device
        self.dropout = dropout
        self.training = False
        self._load_heads(read_weights(directory), labels, seed)

    def _load_heads(self, tensors, labels, seed):
        names = self.config.get("id2label") or {}
        own = [names[key] for key in sorted(names, key=int)]
        tensors = canonical(tensors, self.family)
        generator = torch.Generator().manual_seed(seed)
        new = lambda *shape: torch.randn(*shape, generator=generator) * INITIAL_STD
        family, hidden = self.family, self.hidden_size
        if f"{family.pooler}.weight" not in tensors:
            tensors |= {f"{family.pooler}.weight": new(hidden, hidden), f"{family.pooler}.bias": torch.zeros(hidden)}
        known = f"{family.head}.weight" in tensors
        if labels is None and not known:
            raise ModelError(f"{self.directory}: no classifier: say --labels")
        self.labels = own if labels is None else list(labels)
        if labels is not None and (not known or own != self.labels):
            tensors[f"{family.head}.weight"] = new(len(labels), hidden)
            tensors[f"{family.head}.bias"] = torch.zeros(len(labels))
            known = False
        path = os.path.join(self.directory, "exits.safetensors")
        exits = load_file(path) if known and os.path.exists(path) else {}
        for layer in range(self.num_layers - 1):
            exits.setdefault(f"exits.{layer}.weight", new(len(self.labels), hidden))
            exits.setdefault(f"exits.{layer}.bias", torch.zeros(len(self.labels)))
        parameter = lambda tensor: torch.nn.Parameter(tensor.float().to(self.device))
        self.weights = {name: parameter(tensor) for name, tensor in tensors.items()}
        self.exits = {name: parameter(tensor) for name, tensor in exits.items()}

    def parameters(self):
        return list(self.weights.values()) + list(self.exits.values())

    def _linear(self, x, *names):
        """One product for several matrices that read the same states."""
        weights = [self.weights[name + ".weight"] for name in names]
        biases = [self.weights[name + ".bias"] for name in names]
        return F.linear(x, torch.cat(weights), torch.cat(biases)) if len(names) > 1 else F.linear(x, weights[0], biases[0])

    def _norm(self, x, name):
        weight, bias = self.weights[name + ".weight"], self.weights[name + ".bias"]
        return F.layer_norm(x, (self.hidden_size,), weight, bias, self.eps)

    def _drop(self, x):
        return F.dropout(x, self.dropout, self.training) if self.dropout > 0 else x

    def _embed(self, ids, types):
        prefix = self.family.prefix + "embeddings."
        x = F.embedding(ids, self.weights[prefix + "word_embeddings.weight"])
        positions = self.weights[prefix + "position_embeddings.weight"]
        if self.family.positions_follow_padding:
            # A padding token that a text spells out takes no position.
            there = ids != self.first_position - 1
            x = x + F.embedding(there.cumsum(1) * there + self.first_position - 1, positions)
        else:
            x = x + positions[: ids.shape[1]]
        table = self.weights.get(prefix + "token_type_embeddings.weight")
        if table is not None:
            x = x + F.embedding(types if self.family.has_types and types is not None else torch.zeros_like(ids), table)
        return self._drop(self._norm(x, prefix + "LayerNorm"))

    def _heads(self, x):
        return x.view(x.shape[0], x.shape[1], self.num_heads, -1).transpose(1, 2)

    def _layer(self, x, layer, mask, cls_only=False):
        """States after a layer, [texts, tokens or 1, hidden], and its queries and keys by head."""
        family, name = self.family, f"{self.family.prefix}{self.family.layers}{layer}."
        old = x[:, :1] if cls_only else x
        if cls_only:
            query = self._linear(old, name + family.query)
            key, value = self._linear(x, name + family.key, name + family.value).chunk(2, -1)
        else:
            query, key, value = self._linear(x, name + family.query, name + family.key, name + family.value).chunk(3, -1)
        query, key, value = self._heads(query), self._heads(key), self._heads(value)
        context = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        context = context.transpose(1, 2).reshape(old.shape)
        x = self._norm(self._drop(self._linear(context, name + family.attention_output)) + old, name + family.attention_norm)
        inner = self.activation(self._linear(x, name + family.ffn_in))
        return self._norm(self._drop(self._linear(inner, name + family.ffn_out)) + x, name + family.output_norm), query, key

    def logits(self, ids, types=None, mask=None):
        """[exits] of [texts, labels]. mask: [texts, tokens], true for tokens that are no padding; None when all are."""
        wide = None if mask is None else mask[:, None, None, :]
        x = self._embed(ids, types)
        out = []
        for layer in range(self.num_layers):
            last = layer + 1 == self.num_layers
            x, _, _ = self._layer(x, layer, wide, cls_only=last)
            with torch.autocast(torch.device(self.device).type, enabled=False):
                cls = x[:, 0].float()
                if not last:
                    out.append(F.linear(cls, self.exits[f"exits.{layer}.weight"], self.exits[f"exits.{layer}.bias"]))
                    continue
                pooled = self._linear(cls, self.family.pooler)
                pooled = torch.tanh(pooled) if self.family.pooler_form == "tanh" else torch.relu(pooled)
                out.append(self._linear(pooled, self.family.head))
        return out

    @torch.no_grad()
    def importance(self, ids, types, mask, num_layers):
        """Eq 9, [texts, tokens]: the attention that a token gets, summed over the queries of the text, averaged over
        heads and the first num_layers layers."""
        x = self._embed(ids, types)
        total = torch.zeros(ids.shape, device=ids.device)
        for layer in range(num_layers):
            x, query, key = self._layer(x, layer, mask[:, None, None, :])
            scores = query @ key.transpose(-1, -2) / query.shape[-1] ** 0.5
            attention = scores.masked_fill(~mask[:, None, None, :], float("-inf")).softmax(-1)
            total += (attention * mask[:, None, :, None]).sum((1, 2)) / self.num_heads
        return total / num_layers

    def snapshot(self):
        """A copy of all weights, to be handed to save."""
        copy = lambda tensors: {name: tensor.detach().cpu().clone() for name, tensor in tensors.items()}
        return copy(self.weights), copy(self.exits)

    def save(self, directory, snapshot=None):
        """A directory as rung and transformers read it: weights in half floats, exits in floats. It takes the place of
        `directory` when it is complete."""
        weights, exits = snapshot or self.snapshot()
        part, old = directory.rstrip("/") + ".part", directory.rstrip("/") + ".old"
        shutil.rmtree(part, ignore_errors=True)
        os.makedirs(part)
        for name in TOKENIZER_FILES:
            if os.path.exists(os.path.join(self.directory, name)):
                shutil.copyfile(os.path.join(self.directory, name), os.path.join(part, name))
        config = {key: value for key, value in self.config.items() if key not in ("problem_type", "torch_dtype", "num_labels")}
        config |= {"architectures": [self.family.classifier], "dtype": "float16"}
        config["id2label"] = {str(i): label for i, label in enumerate(self.labels)}
        config["label2id"] = {label: i for i, label in enumerate(self.labels)}
        jsonl.replace(os.path.join(part, "config.json"), (json.dumps(config, indent=2) + "\n").encode())
        half = {name: tensor.half().contiguous() for name, tensor in weights.items()}
        save_file(half, os.path.join(part, "model.safetensors"), {"format": "pt"})
        if exits:
            save_file(exits, os.path.join(part, "exits.safetensors"), {"format": "pt"})
        for name in os.listdir(part):
            os.chmod(os.path.join(part, name), 0o644)  # safetensors writes files that only their owner reads
        shutil.rmtree(old, ignore_errors=True)
        if os.path.exists(directory):
            os.rename(directory, old)
        os.rename(part, directory)
        shutil.rmtree(old, ignore_errors=True)
