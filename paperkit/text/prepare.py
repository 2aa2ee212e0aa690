"""A corpus as numbers, ready to be batched: words, vocabulary and word vectors, each computed once and kept."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

from paperkit import code
from paperkit.corpora.corpus import CORE, Corpus
from paperkit.store import Store, digest_of, key, write_atomically
from paperkit.terms import accept, within
from paperkit.text import vectors as word2vec
from paperkit.text.vocabulary import Encoded, Vocabulary
from paperkit.text.words import read_lines, segment, write_lines
from paperkit.text.words import stop_words as stop_list

VOCABULARIES = ("train", "all")


@dataclass(frozen=True)
class TextOptions:
    """How texts become numbers (paper B §3.2)."""

    stop_words: str = "keep-negations"
    """``"keep-negations"``, ``"literal"`` (also deletes 不, 没) or ``"none"``."""
    max_length: int = 169
    """Words kept of a text; 169 is the longest text of the paper's data."""
    min_count: int = 1
    """A word must occur this often in the training texts to be known."""
    vocabulary: str = "train"
    """Whose words are known: ``"train"``, or ``"all"``, the paper's literal dictionary of all texts."""
    vector_size: int = 100
    """Width of the word vectors, and of each direction of the LSTM."""
    algorithm: str = "cbow"
    """word2vec's ``"cbow"`` or ``"skip-gram"``."""
    window: int = 5
    """Words of context on each side."""
    vector_epochs: int = 30
    """Passes of word2vec over the training texts."""

    def __post_init__(self):
        accept("", vocabulary=(self.vocabulary, VOCABULARIES))
        counts = ("max_length", "min_count", "vector_size", "window", "vector_epochs")
        within("", **{name: (getattr(self, name), 1, math.inf) for name in counts})


@dataclass(frozen=True)
class Prepared:
    """What a model needs of a corpus' texts. Row ``i`` is row ``i`` of ``corpus.table``."""

    words: list[list[str]]
    vocabulary: Vocabulary
    vectors: np.ndarray
    """Initial word vectors, float32 ``(V, d)``."""
    texts: Encoded
    language: str
    options: TextOptions

    @property
    def vocabulary_size(self) -> int:
        return len(self.vocabulary)

    def usable(self, rows: np.ndarray) -> np.ndarray:
        """``rows`` without the texts of which cleaning left nothing."""
        return rows[self.texts.lengths[rows] > 0]

    def encode(self, texts: Sequence[str], store: Store | None = None) -> Encoded:
        """Other texts, such as augmented ones, cleaned and numbered the same way; their words are kept in ``store``, if many
        runs read the same versions."""
        how = self.language, self.options.stop_words
        if store:
            identity = {"texts": digest_of(texts), "language": self.language} | _cleaning(*how)
            words = _kept(identity, texts, *how, store)
        else:
            words = segment(texts, *how)
        return self.vocabulary.encode(words, self.options.max_length)


def words_identity(corpus: Corpus, stop_words: str) -> dict:
    """What the words of a corpus rest on."""
    return {"corpus": corpus.checksum} | _cleaning(corpus.language, stop_words)


def words_of(corpus: Corpus, stop_words: str, store: Store) -> list[list[str]]:
    """Cleaned words of every row; computed once per corpus."""
    return _kept(words_identity(corpus, stop_words), corpus.table.text, corpus.language, stop_words, store)


def _cleaning(language: str, stop_words: str) -> dict:
    """How texts are cleaned. A stop list is data: what counts is what stands in it, not its name."""
    left_out = sorted(stop_list(language, stop_words))
    return {"stop_words": left_out, "code": code.digest("paperkit.text.words"), "numerics": code.versions("jieba")}


def _kept(identity: dict, texts: Sequence[str], language: str, stop_words: str, store: Store) -> list[list[str]]:
    """The words of ``texts``, computed once."""

    def build(folder: Path) -> None:
        write_lines(folder / "words.txt", segment(texts, language, stop_words))

    return read_lines(store.get("words", identity, build) / "words.txt")


def vector_texts(corpus: Corpus, train_on: str | None) -> np.ndarray:
    """Rows on which vocabulary and vectors rest: core training texts of the platform, and its unlabelled texts."""
    table = corpus.table
    mine = (
        ((table.platform == train_on) | (train_on is None))
        & (table.status == CORE)
        & table.split.isin(["train", "unlabelled"])
    )
    return np.flatnonzero(mine)


def prepare(corpus: Corpus, train_on: str | None, options: TextOptions, store: Store) -> Prepared:
    """Words, vocabulary and vectors for training on one platform of ``corpus`` (None: on all); read from the store when known."""
    words = words_of(corpus, options.stop_words, store)

    def build(folder: Path) -> None:
        sentences = [words[row] for row in vector_texts(corpus, train_on)]
        known = words if options.vocabulary == "all" else sentences
        vocabulary = Vocabulary.build(known, options.min_count)
        vectors = word2vec.train(sentences, vocabulary, size=options.vector_size, algorithm=options.algorithm,
                                 window=options.window, epochs=options.vector_epochs)  # fmt: skip
        save_file({"vectors": vectors}, folder / "vectors.safetensors")
        write_atomically(folder / "vocabulary.txt", "\n".join(vocabulary.words))

    identity = {"words": key(words_identity(corpus, options.stop_words)), "train_on": train_on,
                "options": asdict(options) | {"max_length": None}, "code": code.digest("paperkit.text.prepare"),
                "numerics": code.versions("gensim", "numpy")}  # fmt: skip
    folder = store.get("vectors", identity, build)
    vocabulary = Vocabulary(tuple((folder / "vocabulary.txt").read_text(encoding="utf-8").split("\n")))
    vectors = load_file(folder / "vectors.safetensors")["vectors"]
    texts = vocabulary.encode(words, options.max_length)
    return Prepared(words, vocabulary, vectors, texts, corpus.language, options)
