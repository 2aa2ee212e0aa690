"""Encoders of the BERT and RoBERTa families as somebody's saved models, from random weights, small enough for tests."""

import json
from pathlib import Path

import torch
from tokenizers.pre_tokenizers import ByteLevel
from transformers import (
    BertConfig,
    BertForMaskedLM,
    BertTokenizer,
    RobertaConfig,
    RobertaForMaskedLM,
    RobertaTokenizer,
)

SHAPE = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24,
         "initializer_range": 0.3}  # fmt: skip
POSITIONS = 60
"""Tokens that both take at most."""
WORDS = (*"山水好坏房间早餐我们的很，。！", "room", "break", "##fast", "##s", "good", "bad", "the", "a", "!")


def save_bert(folder: Path, seed: int = 0, **options) -> Path:
    """A BERT whose tokeniser knows :data:`WORDS`, padding is number 0."""
    words = {word: number for number, word in enumerate(("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS))}
    config = BertConfig(vocab_size=len(words), max_position_embeddings=POSITIONS, **SHAPE | options)
    torch.manual_seed(seed)
    return _save(BertForMaskedLM(config), BertTokenizer(vocab=words, do_lower_case=True), folder)


def save_roberta(folder: Path, seed: int = 0, **options) -> Path:
    """A RoBERTa over bytes, padding is number 1, so positions start at 2."""
    special = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")
    vocabulary = {word: number for number, word in enumerate((*special, *sorted(ByteLevel.alphabet())))}
    config = RobertaConfig(vocab_size=len(vocabulary), max_position_embeddings=POSITIONS + 2, type_vocab_size=1,
                           **SHAPE | options)  # fmt: skip
    torch.manual_seed(seed)
    return _save(RobertaForMaskedLM(config), RobertaTokenizer(vocab=vocabulary, merges=[]), folder)


def _save(model, tokeniser, folder: Path) -> Path:
    with torch.no_grad():
        for name, value in model.named_parameters():
            if name.endswith("bias"):
                value.normal_(std=0.1)
    model.save_pretrained(folder)
    tokeniser.save_pretrained(folder)
    return folder


def configure(folder: Path, **changes) -> None:
    """Write other values into ``config.json``."""
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | changes))


SAVE = {"bert": save_bert, "roberta": save_roberta}
