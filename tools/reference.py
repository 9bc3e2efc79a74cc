"""The reference: an encoder by Hugging Face transformers in float32, with the linear exits of exits.safetensors.

Used by golden_logits.py and fp32_labels.py.

Exit e = 1..L is taken after layer e: a linear head on the [CLS] state (after the layer's output LayerNorm); the last
one is the model's own pooler and classifier.
"""

import os
import sys
from importlib.metadata import version

import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer
from transformers import AutoModelForSequenceClassification, AutoTokenizer


def versions():
    """Versions of all that takes part in a number."""
    names = ["torch", "transformers", "tokenizers", "safetensors", "numpy"]
    return {"python": sys.version.split()[0], **{name: version(name) for name in names}}


class Reference:
    """A model directory. `dtype` is that of the computation: weights are converted to it when they are loaded."""

    def __init__(self, directory, dtype=torch.float32, attention="eager"):
        self.directory = str(directory)
        self.name = os.path.basename(os.path.normpath(self.directory))
        self.model, loading = AutoModelForSequenceClassification.from_pretrained(
            self.directory, dtype=torch.float32, attn_implementation=attention, output_loading_info=True
        )
        if loading["missing_keys"]:
            sys.exit(f"{directory}: weights missing: {sorted(loading['missing_keys'])}")
        self.model = self.model.eval().to(dtype)
        self.num_layers = self.model.config.num_hidden_layers
        self.num_labels = self.model.config.num_labels
        heads = load_file(os.path.join(self.directory, "exits.safetensors"))
        self.heads = [
            (heads[f"exits.{layer}.weight"].to(dtype), heads[f"exits.{layer}.bias"].to(dtype))
            for layer in range(self.num_layers - 1)
        ]
        config = self.model.config
        self.max_tokens = config.max_position_embeddings
        if config.model_type == "roberta":
            self.max_tokens -= config.pad_token_id + 1
        self.takes_type_ids = config.model_type == "bert"
        path = os.path.join(self.directory, "tokenizer.json")
        self.slow = None if os.path.exists(path) else AutoTokenizer.from_pretrained(self.directory)
        if self.slow is None:
            self.tokenizer = Tokenizer.from_file(path)
            self.tokenizer.no_padding()
            self.tokenizer.no_truncation()

    def encode(self, text, pair=None, max_tokens=None):
        """Token ids and type ids of a text or pair, cut to max_tokens (longest first, right side)."""
        if self.slow is not None:
            encoded = self.slow(text, pair, truncation="longest_first", max_length=max_tokens or self.max_tokens)
            return encoded["input_ids"], [0] * len(encoded["input_ids"])
        self.tokenizer.enable_truncation(max_tokens or self.max_tokens, strategy="longest_first", direction="right")
        encoding = self.tokenizer.encode(text) if pair is None else self.tokenizer.encode(text, pair)
        self.tokenizer.no_truncation()
        return encoding.ids, encoding.type_ids

    @torch.inference_mode()
    def run(self, batch, with_attention=False):
        """batch: list of (ids, type_ids). Returns logits [texts, exits, labels] and, when asked for a single text,
        a list over layers of the attention [heads, queries, tokens]."""
        longest = max(len(ids) for ids, _ in batch)
        ids = torch.zeros(len(batch), longest, dtype=torch.long)
        types = torch.zeros_like(ids)
        mask = torch.zeros_like(ids)
        for row, (row_ids, row_types) in enumerate(batch):
            ids[row, : len(row_ids)] = torch.tensor(row_ids)
            types[row, : len(row_ids)] = torch.tensor(row_types)
            mask[row, : len(row_ids)] = 1
        output = self.model(
            input_ids=ids,
            attention_mask=mask,
            output_hidden_states=True,
            output_attentions=with_attention,
            **({"token_type_ids": types} if self.takes_type_ids else {}),
        )
        exits = [
            torch.nn.functional.linear(output.hidden_states[layer + 1][:, 0], weight, bias)
            for layer, (weight, bias) in enumerate(self.heads)
        ]
        logits = torch.stack(exits + [output.logits], dim=1)
        return logits, [layer[0] for layer in output.attentions] if with_attention else None
