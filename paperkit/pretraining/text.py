"""What ``mini`` reads: plain texts, and the training and unlabelled texts of the public corpora; nothing held out."""

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

from paperkit import corpora
from paperkit.corpora.corpus import guess_language, normalise
from paperkit.corpora.plain import PRETRAINING, sentences
from paperkit.pretraining.tokenizer import BORDER
from paperkit.seeds import derive, python_generator
from paperkit.text.words import quiet_jieba

CORPORA = ("reuters21578", "exam-tree", "iflytek", "csldcp", "travel")
HELD_OUT = 100
"""One text in this many is kept out, to measure on."""
ORDER_SEED = 0


@dataclass(frozen=True)
class Text:
    """One document."""

    text: str
    language: str
    source: str


def documents() -> list[Text]:
    """Every text to learn from, each once, in a fixed random order.

    No text of a dev or test split of any corpus is among them, compared after normalisation, whichever corpus or plain
    source it came from.
    """
    loaded = {name: corpora.load(name) for name in corpora.names() if name not in corpora.EMBEDDED}
    forbidden = {normalise(text) for corpus in loaded.values()
                 for text in corpus.table.text[corpus.table.split.isin(["dev", "test"])]}  # fmt: skip
    seen, kept = set(forbidden), []
    for text in _candidates(loaded):
        key = normalise(text.text)
        if key and key not in seen:
            seen.add(key)
            kept.append(text)
    python_generator(ORDER_SEED, "pretraining").shuffle(kept)
    return kept


def _candidates(loaded: dict[str, "corpora.Corpus"]) -> Iterator[Text]:
    for name in CORPORA:
        table = loaded[name].table
        for text in table.text[table.split.isin(["train", "unlabelled"])]:
            yield Text(text, guess_language([text]), name)
    for language, source in PRETRAINING.items():
        for text in sentences(source):
            yield Text(text, language, source)


def held_out(text: Text) -> bool:
    """Whether this document is for measuring only; depends on its content alone."""
    return derive(ORDER_SEED, "held out", normalise(text.text)) % HELD_OUT == 0


def parted(text: Text) -> str:
    """The text as the tokeniser is trained on it: NFKC, lower case, jieba's words of a Chinese text parted by a mark."""
    plain = " ".join(unicodedata.normalize("NFKC", text.text).lower().replace(BORDER, " ").split())
    if text.language != "zh":
        return plain
    return BORDER.join(quiet_jieba().cut(plain))
