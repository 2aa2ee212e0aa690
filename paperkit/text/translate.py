"""UDA's back-translation: a text in other words, by two Marian models or out of a file of paraphrases."""

import hashlib
import importlib
import os
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import NamedTuple

import regex

from paperkit.errors import InputError
from paperkit.seeds import derive

SHORTEST = 10
"""Characters below which, on either side, a text stays as it is."""
LARGEST_DIFFERENCE = 0.5
"""Share of the original's length by which a paraphrase may be longer or shorter."""

_SENTENCE_END = regex.compile(r"(?<=[。！？；\n])|(?<=[.!?;])(?=\s)")
_FILES = ("*.json", "*.txt", "*.spm", "*.model", "*.safetensors", "*.bin")

Translator = Callable[[Sequence[str], Sequence[int]], list[str]]
"""Translates texts, each with a seed of its own."""


class Checked(NamedTuple):
    """Texts after :func:`checked`."""

    texts: list[str]
    kept: int
    """How many are the original because the paraphrase was not fit."""


def checked(originals: Sequence[str], paraphrases: Sequence[str]) -> Checked:
    """The paraphrases; the original where either has fewer than 10 characters or the lengths differ by more than half.

    As in UDA's release: the difference is relative to the original.
    """
    fit = [
        min(len(original), len(paraphrase)) >= SHORTEST
        and abs(len(paraphrase) - len(original)) <= LARGEST_DIFFERENCE * len(original)
        for original, paraphrase in zip(originals, paraphrases, strict=True)
    ]
    texts = [new if good else old for old, new, good in zip(originals, paraphrases, fit, strict=True)]
    return Checked(texts, fit.count(False))


@dataclass(frozen=True)
class BackTranslation:
    """There and back, sentence by sentence as in UDA's release: the models know single sentences."""

    forward: Translator
    backward: Translator

    def __call__(self, texts: Sequence[str], seeds: Sequence[int]) -> list[str]:
        """Each text in other words. What it becomes depends on the text and its seed."""
        sentences, places, own = [], [], []
        parts = [_SENTENCE_END.split(text) for text in texts]
        for number, (each, seed) in enumerate(zip(parts, seeds, strict=True)):
            for place, sentence in enumerate(each):
                if sentence.strip():
                    sentences.append(sentence.strip())
                    places.append((number, place))
                    own.append(derive(seed, "sentence", place))
        there = self.forward(sentences, [derive(seed, "forward") for seed in own])
        back = self.backward(there, [derive(seed, "backward") for seed in own])
        for (number, place), sentence, new in zip(places, sentences, back, strict=True):
            parts[number][place] = parts[number][place].replace(sentence, new.strip())
        return ["".join(each) for each in parts]


@dataclass(frozen=True)
class Marian:
    """One direction of translation by a Marian model such as ``Helsinki-NLP/opus-mt-zh-en``, from the local disk.

    Sampling adds Gumbel noise out of each text's own generator to logits / temperature and takes the largest, which draws
    from softmax(logits / temperature): so a text's translation does not depend on what else is in its batch (but for
    rounding, where a batch of other lengths is padded otherwise).
    """

    name: str
    temperature: float = 0.9
    """Of the softmax that words are drawn from (UDA's release: .9 for most data); 0 takes the likeliest word."""
    beams: int = 1
    """Above 1: beam search instead, without chance."""
    batch_size: int = 16
    folder: Path = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "folder", _model_folder(self.name))

    def __call__(self, texts: Sequence[str], seeds: Sequence[int]) -> list[str]:
        """Translations; a text longer than the model reads is cut.

        Raises:
            InputError: the folder holds no model that ``transformers`` can load.
        """
        import torch

        tokeniser, model = _loaded(self.folder)
        longest = model.config.max_position_embeddings
        translated = []
        for start in range(0, len(texts), self.batch_size):
            part = slice(start, start + self.batch_size)
            batch = tokeniser(list(texts[part]), return_tensors="pt", padding=True, truncation=True,
                              max_length=longest)  # fmt: skip
            noisy = self.beams == 1 and self.temperature > 0
            processors = [_gumbel(self.temperature, seeds[part])] if noisy else []
            with torch.inference_mode():
                out = model.generate(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"],
                                     max_length=longest, num_beams=self.beams, do_sample=False,
                                     logits_processor=processors)  # fmt: skip
            translated += tokeniser.batch_decode(out, skip_special_tokens=True)
        return translated

    @property
    def identity(self) -> dict[str, str]:
        """sha256 of the files of the model."""
        files = sorted(path for pattern in _FILES for path in self.folder.glob(pattern))
        return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def _gumbel(temperature: float, seeds: Sequence[int]):
    import torch
    from transformers import LogitsProcessor

    class Gumbel(LogitsProcessor):
        def __init__(self) -> None:
            self.generators = [torch.Generator().manual_seed(seed) for seed in seeds]

        def __call__(self, input_ids, scores):
            noise = [torch.empty(scores.shape[1]).exponential_(generator=each) for each in self.generators]
            return scores / temperature - torch.stack(noise).log().to(scores)

    return Gumbel()


def _model_folder(name: str) -> Path:
    folder = Path(name).expanduser()
    if folder.is_dir():
        return folder.resolve()
    from huggingface_hub import snapshot_download

    offline = os.environ.get("HF_HUB_OFFLINE", "1") != "0"
    try:
        return Path(snapshot_download(name, allow_patterns=list(_FILES), local_files_only=offline))
    except Exception:  # the hub has a dozen ways to say that it cannot be reached
        reason = "downloads are off; HF_HUB_OFFLINE=0 allows them" if offline else "and cannot be downloaded"
        raise InputError(
            f"translation model {name!r} is not on this machine ({reason}); accepted without a network are a folder with a "
            "saved Marian model, or paraphrases=file"
        ) from None


@cache
def _loaded(folder: Path):
    from transformers import AutoTokenizer, MarianMTModel

    try:
        tokeniser = AutoTokenizer.from_pretrained(str(folder), local_files_only=True)
        model = MarianMTModel.from_pretrained(str(folder), local_files_only=True, dtype="float32").eval()
    except Exception as error:  # transformers and its readers of files have no common type
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"{folder} holds no Marian model that can be loaded: {reason}") from error
    return tokeniser, model


@dataclass(frozen=True)
class Paraphrases:
    """A file of paraphrases made elsewhere: which text or which id has which."""

    path: Path
    key: str
    """``"id"`` or ``"text"``: what its rows are found by."""
    found: Mapping[str, tuple[str, ...]] = field(repr=False)
    checksum: str
    """sha256 of the file."""

    def of(self, text: str, id: str, rng: random.Random) -> str | None:
        """A paraphrase of a text, drawn where there are several; None if it has none."""
        several = self.found.get(id if self.key == "id" else text)
        return rng.choice(several) if several else None


def read_paraphrases(path: str | Path) -> Paraphrases:
    """Read a CSV, TSV or JSONL file with the columns ``text`` and ``paraphrase``, or ``id`` and ``paraphrase``.

    A text may have several rows, one paraphrase each. A row is found by its id where the file has ids.

    Raises:
        InputError: the file cannot be read, or lacks these columns.
    """
    # not an import: how files are read is no part of what a result rests on, what was read is
    sheets = importlib.import_module("paperkit.corpora.sheet")
    path = Path(path).expanduser()
    sheet = sheets.read_sheet(path, ["paraphrase"])
    key = next((name for name in ("id", "text") if name in sheet.columns), None)
    if key is None or "paraphrase" not in sheet.columns:
        columns = ", ".join(f"'{sheets.one_line(column, 30)}'" for column in sheet.columns[:12])
        sheets.refuse(path, f"has the columns {columns}: expected 'text' and 'paraphrase', or 'id' and 'paraphrase'")
    found: dict[str, tuple[str, ...]] = {}
    for each, paraphrase in zip(sheet.strings(key), sheet.strings("paraphrase"), strict=True):
        found[each] = (*found.get(each, ()), paraphrase)
    return Paraphrases(path, key, found, hashlib.sha256(path.read_bytes()).hexdigest())
