"""A corpus as token numbers of a pretrained encoder's own tokeniser; computed once per corpus and kept."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

from paperkit import code
from paperkit.corpora.corpus import Corpus
from paperkit.errors import InputError
from paperkit.models import backbones
from paperkit.store import Store, digest_of
from paperkit.text.vocabulary import Encoded

SHORTEST = 3
"""Fewest tokens kept of a text: the two special ones and one of its own."""


@dataclass(frozen=True)
class TokenOptions:
    """How texts become tokens, and of which encoder."""

    backbone: str = "mini"
    """``"mini"``, ``"mini-random"``, ``"minilm"``, a folder, or a model of the hub; see :mod:`paperkit.models.backbones`."""
    max_length: int = 128
    """Tokens kept of a text, the first and last special ones included."""
    pooling: str = "mean"
    """``"mean"`` over the tokens, or ``"cls"``, the state of the first one."""


@dataclass(frozen=True)
class Tokenised:
    """The token numbers of a corpus. Row ``i`` is row ``i`` of ``corpus.table``."""

    texts: Encoded
    vocabulary_size: int
    options: TokenOptions

    def usable(self, rows: np.ndarray) -> np.ndarray:
        """All of ``rows``: the special tokens are left of any text."""
        return rows

    def encode(self, texts: Sequence[str], store: Store | None = None) -> Encoded:
        """Other texts, such as augmented ones, in the same numbers; kept in ``store``, if many runs read the same versions."""
        return (
            _kept({"texts": digest_of(texts)}, texts, self.options, store) if store else _encoded(texts, self.options)
        )


def tokenise(corpus: Corpus, options: TokenOptions, store: Store) -> Tokenised:
    """Every text of ``corpus``, cut at ``max_length`` with the closing token kept.

    Raises:
        InputError: no such backbone, or a ``max_length`` that it cannot take.
    """
    check_length(options)
    texts = _kept({"corpus": corpus.checksum}, corpus.table.text.tolist(), options, store)
    return Tokenised(texts, _tokeniser(backbones.find(options.backbone))[0].get_vocab_size(), options)


def check_length(options: TokenOptions) -> None:
    """Refuse a ``max_length`` that the backbone cannot read."""
    longest = backbones.find(options.backbone).positions
    if not SHORTEST <= options.max_length <= longest:
        raise InputError(f"tokens.max_length is {options.max_length}; accepted are {SHORTEST} to {longest} tokens, "
                         f"which is what backbone {options.backbone!r} can read")  # fmt: skip


def characters_read(texts: Sequence[str], options: TokenOptions) -> list[int]:
    """How many characters of each text an encoder reads before it cuts it."""
    tokeniser, *_ = _tokeniser(backbones.find(options.backbone))
    tokeniser.enable_truncation(options.max_length)
    return [max((end for _, end in each.offsets), default=0) for each in tokeniser.encode_batch(texts)]


def _kept(content: dict[str, str], texts: Sequence[str], options: TokenOptions, store: Store) -> Encoded:
    """The numbers of ``texts``, which ``content`` identifies."""
    backbone = backbones.find(options.backbone)

    def build(folder: Path) -> None:
        made = _encoded(texts, options)
        save_file({"flat": made.flat, "offsets": made.offsets}, folder / "tokens.safetensors")

    identity = content | {"tokeniser": backbone.tokeniser_identity, "max_length": options.max_length,
                          "code": code.digest("paperkit.text.tokens"),
                          "numerics": code.versions("tokenizers", "transformers")}  # fmt: skip
    arrays = load_file(store.get("tokens", identity, build) / "tokens.safetensors")
    _, pad, special = _tokeniser(backbone)
    return Encoded(arrays["flat"], arrays["offsets"], pad, special)


def _encoded(texts: Sequence[str], options: TokenOptions) -> Encoded:
    tokeniser, pad, special = _tokeniser(backbones.find(options.backbone))
    tokeniser.enable_truncation(options.max_length)
    numbers = [encoding.ids for encoding in tokeniser.encode_batch_fast(texts)]
    offsets = np.zeros(len(numbers) + 1, dtype=np.int64)
    np.cumsum([len(each) for each in numbers], out=offsets[1:])
    return Encoded(np.fromiter(chain.from_iterable(numbers), np.int32, int(offsets[-1])), offsets, pad, special)


def _tokeniser(backbone: backbones.Backbone):
    return _loaded(backbone, tuple(backbone.tokeniser_identity.items()))


@lru_cache(maxsize=4)
def _loaded(backbone: backbones.Backbone, identity: tuple):
    """Kept: a run asks for it once for every version of its texts, and loading it takes a third of a second."""
    return backbone.tokeniser()
