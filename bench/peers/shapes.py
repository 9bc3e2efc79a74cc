"""shapes.py: the random-weight models that every engine runs, and their tokenizer. Called by models.py; knows no engine."""

import dataclasses
import json

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


@dataclasses.dataclass(frozen=True)
class Shape:
    num_layers: int
    hidden_size: int
    intermediate_size: int
    num_heads: int
    vocab_size: int = 30522
    max_positions: int = 512

    @property
    def max_tokens(self):
        """BERTweet counts positions from 2: its 130 hold 128 tokens."""
        return self.max_positions - 2 if self.max_positions == 130 else self.max_positions


SHAPES = {
    "bert-base": Shape(12, 768, 3072, 12),
    "minilm-l6": Shape(6, 384, 1536, 12),
    "minilm-l12": Shape(12, 384, 1536, 12),
    "bert-large": Shape(24, 1024, 4096, 16),
    "bertweet": Shape(12, 768, 3072, 12, vocab_size=64001, max_positions=130),
}


def write_random_model(shape, directory):
    """A Hugging Face directory of a BERT classifier with two labels, float32, seed 1; its words are [unused]-like names."""
    import tokenizers
    import torch
    import transformers

    torch.manual_seed(1)
    config = transformers.BertConfig(
        vocab_size=shape.vocab_size,
        hidden_size=shape.hidden_size,
        num_hidden_layers=shape.num_layers,
        num_attention_heads=shape.num_heads,
        intermediate_size=shape.intermediate_size,
        max_position_embeddings=shape.max_positions,
        num_labels=2,
    )
    transformers.BertForSequenceClassification(config).save_pretrained(directory)
    words = SPECIAL + tuple(f"w{i}" for i in range(len(SPECIAL), shape.vocab_size))
    vocabulary = {word: i for i, word in enumerate(words)}
    tokenizers.BertWordPieceTokenizer(vocabulary).save(str(directory / "tokenizer.json"))
    (directory / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "BertTokenizer", "model_max_length": shape.max_positions, "do_lower_case": True})
    )
