"""Accuracy under changed words: what trained models predict when words of a text become synonyms or get typos.

Attacks on embeddings move a text to where no text is; these ask for real ones. A random change is the control of one that
is chosen against the model, as TextFooler (Jin et al. 2020) and DeepWordBug (Gao et al. 2018) choose it::

    importance of word i = p(y | x) − p(y | x without word i)
    from the most important word on: of up to three candidates the one of the lowest p(y | ·), if it lowers it at all

Differs from them: no model checks that the text still says the same, the lexicon alone vouches for it, and queries are
bounded. What may become of a word depends on the text's id, so every model meets the same candidates.
"""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from itertools import product
from pathlib import Path

import numpy as np
import regex
from safetensors.numpy import load_file, save
from scipy.special import softmax

from paperkit import code
from paperkit.corpora.corpus import Corpus
from paperkit.evaluate.typos import typos
from paperkit.runs import Run, in_parallel
from paperkit.seeds import python_generator
from paperkit.store import Store, key, write_atomically
from paperkit.text.lexicon import lexicon
from paperkit.text.pieces import joined, pieces_of, word_places
from paperkit.text.prepare import vector_texts
from paperkit.text.tokens import TokenOptions, characters_read
from paperkit.training.loop import predict
from paperkit.training.numerics import resolve_dtype, threads

KIND = "rewordings"
FILE = "reworded.safetensors"
WAYS = ("synonyms", "typos")
CHOICES = ("random", "greedy")
SEED = 20230601
CANDIDATES = 3
"""Most other forms of a word that are tried."""
MOST_WORDS = 12
"""Most words of a text whose importance is asked for; of more, so many are drawn."""
TRIES = 2
"""Words tried for each that may be changed: of some no candidate lowers p."""

_HAN = regex.compile(r"\p{Han}")


@dataclass(frozen=True)
class Wording:
    """A text, and what its words may become."""

    pieces: tuple[str, ...]
    words: tuple[int, ...]
    """Which pieces are words, of those that the model reads before it cuts the text."""
    others: dict[str, dict[int, tuple[str, ...]]]
    """Of each way, the places that it can change, in random order, and the candidates of each."""
    asked: tuple[int, ...]
    """Places whose importance is asked for: those that any way can change, or :data:`MOST_WORDS` of them."""


@dataclass(frozen=True)
class Reworded:
    """What becomes of N texts; number 0 is no attack, number i is ``trials(shares)[i − 1]``."""

    right: np.ndarray
    """Whether they are classified as labelled, uint8 ``(1 + trials, N)``."""
    changed: np.ndarray
    """Share of the words that were changed, float32 ``(1 + trials, N)``."""
    words: np.ndarray
    """Words of each text, int64 ``(N,)``."""
    changeable: np.ndarray
    """Of those, how many each of the :data:`WAYS` could change, int64 ``(2, N)``."""
    queries: np.ndarray
    """What each greedy attack asked of the model beside the clean text, int64 ``(2, N)``."""


def trials(shares: Sequence[float]) -> list[tuple[str, str, float]]:
    """Way, choice and share of the words of every trial, in order."""
    return list(product(WAYS, CHOICES, shares))


def budget(share: float, words: int) -> int:
    """Words that may be changed: ⌊share · words⌋, at least one, as EDA counts."""
    return min(words, max(1, math.floor(share * words))) if share else 0


def reword(
    runs: Sequence[Run], shares: Sequence[float], rows: Sequence[np.ndarray], store: Store, workers: int | None = None
) -> list[Reworded]:
    """Every run on its texts, changed in every way; kept in the store, several runs at a time.

    Args:
        shares: budgets, as shares of a text's words.
        rows: of each run, in the order of ``runs``; rows of the run's corpus, all of them labelled.
    """
    asked = [(run, tuple(shares), np.asarray(texts, dtype=np.int64)) for run, texts in zip(runs, rows, strict=True)]
    identities = [_identity(*each) for each in asked]
    missing = {key(identity): (*each, store, identity)
               for each, identity in zip(asked, identities, strict=True) if store.find(KIND, identity) is None}  # fmt: skip
    in_parallel(_keep, list(missing.values()), workers, "rewording", "model")
    return [Reworded(**load_file(store.folder(KIND, identity) / FILE)) for identity in identities]


def _identity(run: Run, shares: tuple[float, ...], rows: np.ndarray) -> dict:
    return {"run": key(run.spec.identity), "shares": list(shares), "rows": hashlib.sha256(rows.tobytes()).hexdigest(),
            "lexicon": lexicon(run.spec.source.load().language).checksum, "numerics": code.versions("jieba"),
            "code": code.digest("paperkit.evaluate.rewording")}  # fmt: skip


def _keep(run: Run, shares: tuple[float, ...], rows: np.ndarray, store: Store, identity: dict) -> None:
    def build(folder: Path) -> None:
        with threads(run.spec.schedule.threads):  # as training had
            write_atomically(folder / FILE, save(asdict(reworded(run, shares, rows, store))))

    store.get(KIND, identity, build)


@lru_cache(maxsize=4)
def wordings(
    corpus: Corpus, rows: tuple[int, ...], store: Store, options: TokenOptions | None = None
) -> tuple[Wording, ...]:
    """The texts of some rows with what their words may become: synonyms from our own lexicon, and typos.

    ``options``: words beyond what that encoder reads stay as they are. Remembered: the next model meets the same texts.
    """
    synonyms = lexicon(corpus.language).synonyms
    read = corpus.table.text.iloc[vector_texts(corpus, None)]
    characters = sorted(set(_HAN.findall("".join(read)))) if corpus.language == "zh" else ()
    texts = corpus.table.text.iloc[list(rows)].tolist()
    ends = characters_read(texts, options) if options else [len(text) for text in texts]
    found = []
    for row, end, pieces in zip(rows, ends, pieces_of(corpus, rows, store), strict=True):
        last = np.cumsum([len(piece) for piece in pieces])
        words = [place for place in word_places(pieces, corpus.language) if last[place] <= end]
        each = corpus.table.id.iat[row]
        others: dict[str, dict[int, tuple[str, ...]]] = {}
        for way in WAYS:
            others[way] = {}
            for place in python_generator(SEED, way, each).sample(words, len(words)):
                rng = python_generator(SEED, way, each, place)
                if way == "typos":
                    forms = typos(pieces[place], corpus.language, CANDIDATES, rng, characters)
                else:
                    known = synonyms(pieces[place])
                    forms = tuple(rng.sample(known, min(len(known), CANDIDATES)))
                if forms:
                    others[way][place] = forms
        either = sorted(set().union(*others.values()))
        asked = sorted(python_generator(SEED, "asked", each).sample(either, min(len(either), MOST_WORDS)))
        found.append(Wording(tuple(pieces), tuple(words), others, tuple(asked)))
    return tuple(found)


def reworded(run: Run, shares: Sequence[float], rows: np.ndarray, store: Store) -> Reworded:
    """The same, computed here and now. Dropout is off."""
    corpus = run.spec.source.load()
    options = run.spec.text
    texts = wordings(corpus, tuple(rows.tolist()), store, options if isinstance(options, TokenOptions) else None)
    words = np.array([len(text.words) for text in texts], dtype=np.int64)
    budgets = {share: np.array([budget(share, n) for n in words.tolist()], dtype=np.int64) for share in shares}
    model = Asked(run, corpus.table.label.to_numpy()[rows], store)
    every = range(len(texts))
    right, p = model(every, [text.pieces for text in texts])
    importance = weighed(texts, model, right, p)
    lines, changes, queries = [right], [np.zeros_like(words)], []
    for way in WAYS:
        for most in budgets.values():
            made = [at_random(text, way, n) for text, n in zip(texts, most.tolist(), strict=True)]
            lines.append(model(every, [pieces for pieces, _ in made])[0])
            changes.append(np.array([n for _, n in made], dtype=np.int64))
        made, fell, asked = greedy(texts, way, budgets[max(shares)], model, right, p, importance)
        queries.append(asked)
        for most in budgets.values():  # a smaller budget ends the same search earlier
            lines.append(right & ~((fell > 0) & (fell <= most)))
            changes.append(np.minimum(made, most))
    changeable = [[len(text.others[way]) for text in texts] for way in WAYS]
    return Reworded(np.array(lines, dtype=np.uint8), (np.array(changes) / np.maximum(words, 1)).astype(np.float32), words,
                    np.array(changeable, dtype=np.int64), np.array(queries, dtype=np.int64))  # fmt: skip


class Asked:
    """A model that is asked about versions of some texts."""

    def __init__(self, run: Run, labels: np.ndarray, store: Store):
        self.network, self.prepared = run.model(store)
        self.labels, self.language = labels, run.spec.source.load().language
        self.dtype = resolve_dtype(run.spec.schedule.dtype, run.spec.schedule.device)

    def __call__(self, of: Sequence[int], versions: Sequence[Sequence[str]]) -> tuple[np.ndarray, np.ndarray]:
        """Of each version, given as pieces of text number ``of``: whether it is classified as labelled, and p of the label."""
        if not len(versions):
            return np.zeros(0, dtype=bool), np.zeros(0)
        encoded = self.prepared.encode([joined(pieces, self.language) for pieces in versions])
        logits = predict(self.network, encoded, np.arange(len(versions)), self.dtype)
        labels = self.labels[list(of)]
        return logits.argmax(axis=1) == labels, softmax(logits, axis=1)[np.arange(len(labels)), labels]


def weighed(texts: Sequence[Wording], model: Asked, right: np.ndarray, p: np.ndarray) -> list[dict[int, float]]:
    """Of each text that is classified right, by how much p of its label falls without each word that is asked about."""
    asked = [(i, place) for i in np.flatnonzero(right).tolist() for place in texts[i].asked]
    without = [[*texts[i].pieces[:place], *texts[i].pieces[place + 1 :]] for i, place in asked]
    importance: list[dict[int, float]] = [{} for _ in texts]
    for (i, place), left in zip(asked, model([i for i, _ in asked], without)[1].tolist(), strict=True):
        importance[i][place] = float(p[i]) - left
    return importance


def at_random(text: Wording, way: str, most: int) -> tuple[list[str], int]:
    """The text with at most so many words changed, which ones and into what chance decides; and how many were."""
    new = list(text.pieces)
    chosen = list(text.others[way].items())[:most]
    for place, forms in chosen:
        new[place] = forms[0]
    return new, len(chosen)


def greedy(
    texts: Sequence[Wording],
    way: str,
    most: np.ndarray,
    model: Asked,
    right: np.ndarray,
    p: np.ndarray,
    importance: Sequence[dict[int, float]],
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Words changed one after the other until the label is lost or ``most`` are; all texts move on together.

    Returns of each text how many words were changed, the number of the change with which it fell (0: it stands, or was
    wrong before), and how many versions the model was asked about; int64 ``(N,)``.
    """
    made, fell, queries = (np.zeros(len(texts), dtype=np.int64) for _ in range(3))
    now, p = [list(text.pieces) for text in texts], p.copy()
    waiting: dict[int, list[int]] = {}
    for i in np.flatnonzero(right).tolist():
        places = [place for place in texts[i].asked if place in texts[i].others[way]]
        queries[i] = len(places)
        # the most important one last, where pop takes it
        waiting[i] = sorted(places, key=importance[i].__getitem__, reverse=True)[: TRIES * int(most[i])][::-1]
    while waiting := {i: places for i, places in waiting.items() if places and not fell[i] and made[i] < most[i]}:
        tried = [(i, place, form) for i, places in waiting.items() for place in [places.pop()]
                 for form in texts[i].others[way][place]]  # fmt: skip
        of = [i for i, _, _ in tried]
        still, left = model(of, [[*now[i][:place], form, *now[i][place + 1 :]] for i, place, form in tried])
        queries += np.bincount(of, minlength=len(texts))
        best: dict[int, tuple[float, int]] = {}
        for number, (i, value) in enumerate(zip(of, left.tolist(), strict=True)):
            best[i] = min(best.get(i, (math.inf, 0)), (value, number))
        for i, (value, number) in best.items():
            if value < p[i]:
                _, place, form = tried[number]
                now[i][place], p[i], made[i] = form, value, made[i] + 1
                fell[i] = 0 if still[number] else made[i]
    return made, fell, queries
