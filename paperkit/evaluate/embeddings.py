"""Sentence embeddings of finished runs and of encoders that nobody trained on, probed once and kept (notebook 04_esimcse)."""

import json
import math
import warnings
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from paperkit import code
from paperkit.corpora.corpus import Corpus
from paperkit.errors import InputError
from paperkit.runs import Run, in_parallel
from paperkit.seeds import derive
from paperkit.store import Store, key, write_atomically
from paperkit.text.tokens import SHORTEST
from paperkit.text.vocabulary import Encoded
from paperkit.training.numerics import resolve_device, threads

KIND = "embeddings"
STATES = ("trained", "untrained", "whitened")
"""A run as it ended; its encoder as it began, without a single step; the same, whitened by :data:`TRAIN` training texts."""
SAMPLE_SEED = 20231113
TRAIN, OTHER = 1000, 500
"""Most texts of the training, and of the dev and the test split."""
BINS = 8


def probe_all(
    runs: list[Run], states: list[str], store: Store, workers: int | None = None, train: int = TRAIN, other: int = OTHER
) -> list[dict]:
    """Every run in its state under every probe, several at a time; kept in the store.

    Returns for each: ``alignment`` (positives: ESimCSE's word repetition), ``uniformity``, ``anisotropy``,
    ``knn_accuracy`` and ``linear_accuracy`` (training to test texts; C on dev), ``length_bias`` (Spearman's ρ), each nan
    where it cannot be computed; ``n_train``, ``n_test``; and of the pairs by length difference ``edges``, ``similarity``,
    ``count`` and the number of all, ``pairs``. For these a text is :func:`shortened`.
    """
    identities = [_identity(run, state, train, other) for run, state in zip(runs, states, strict=True)]
    missing = {key(each): (run, state, store, each, train, other)
               for run, state, each in zip(runs, states, identities, strict=True) if store.find(KIND, each) is None}  # fmt: skip
    in_parallel(_keep, list(missing.values()), workers, "probing", "model")
    found = [json.loads((store.folder(KIND, each) / "probes.json").read_text()) for each in identities]
    return [{name: math.nan if value is None else value for name, value in each.items()} for each in found]


def _identity(run: Run, state: str, train: int, other: int) -> dict:
    spec = run.spec.identity
    if state != "trained":  # of the run nothing counts but where it began
        spec = {name: spec[name] for name in ("corpus", "text", "seed", "numerics")}
    return {"run": key(spec), "state": state, "train": train, "other": other,
            "code": code.digest("paperkit.evaluate.embeddings")}  # fmt: skip


def _keep(run: Run, state: str, store: Store, identity: dict, train: int, other: int) -> None:
    def build(folder: Path) -> None:
        with threads(run.spec.schedule.threads):  # as training had
            found = probed(run, state, store, train, other)
        plain = {
            name: None if isinstance(value, float) and math.isnan(value) else value for name, value in found.items()
        }
        write_atomically(folder / "probes.json", json.dumps(plain))

    store.get(KIND, identity, build)


def probed(run: Run, state: str, store: Store, train: int = TRAIN, other: int = OTHER) -> dict:
    """The same, computed here and now."""
    from paperkit.evaluate import probes
    from paperkit.text.augment import Augmentation, augmented

    corpus = run.spec.source.load()
    model, prepared = network(run, state, store)
    rows = {
        "train": sample(corpus, "train", train),
        **{split: sample(corpus, split, other) for split in ("dev", "test")},
    }
    labels = {split: corpus.table.label.to_numpy()[each] for split, each in rows.items()}
    x = {split: probes.represent(model, prepared.texts, each) for split, each in rows.items()}
    # drawn anew: on the pairs that a run was trained with, alignment would be training loss
    repeated = prepared.encode(augmented(corpus, rows["train"], Augmentation("repetition"), SAMPLE_SEED, 0, store))
    positives = probes.represent(model, repeated, np.arange(len(rows["train"])))
    if state == "whitened":
        # of as many rows as there are dimensions the covariance is mostly noise
        mean, kernel = probes.whitening(probes.represent(model, prepared.texts, sample(corpus, "train", TRAIN)))
        x = {split: probes.whiten(each, mean, kernel) if len(each) else each for split, each in x.items()}
        positives = probes.whiten(positives, mean, kernel)

    def known(probe, *arguments, **options) -> float:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "The number of unique classes", UserWarning)  # labels are classes here
            try:
                return probe(*arguments, **options)
            except InputError:  # no dev or test texts, or a single class
                return math.nan

    cut = shortened(prepared.texts, rows["train"], [corpus.table.id.iat[row] for row in rows["train"].tolist()])
    short = probes.represent(model, cut, np.arange(len(cut)))
    if state == "whitened":
        short = probes.whiten(short, mean, kernel)
    of = [value for split in ("train", "dev", "test") for value in (x[split], labels[split])]
    found = {
        "alignment": known(probes.alignment, x["train"], positives),
        "uniformity": known(probes.uniformity, x["train"]),
        "anisotropy": known(probes.anisotropy, x["train"]),
        "knn_accuracy": known(probes.knn_accuracy, *of[:2], *of[4:], k=min(5, len(rows["train"]))),
        "linear_accuracy": known(probes.linear_probe_accuracy, *of),
        "n_train": len(rows["train"]),
        "n_test": len(rows["test"]),
    }
    bias = known(probes.length_bias, short, cut.lengths, bins=BINS)
    if isinstance(bias, float):
        return found | {"length_bias": math.nan, "edges": [], "similarity": [], "count": [], "pairs": 0}
    curve = {name: value.tolist() for name, value in asdict(bias).items() if name in ("edges", "similarity", "count")}
    return found | {"length_bias": bias.correlation, "pairs": bias.n} | curve


def network(run: Run, state: str, store: Store):
    """The network of a run in that state, in ``eval()`` mode, and the texts that it reads."""
    from paperkit.training.execute import build_model, numbered

    if state == "trained":
        return run.model(store)
    spec = run.spec
    corpus = spec.source.load()
    prepared = numbered(corpus, spec.train_on, spec.text, store)
    model = build_model(prepared, corpus.n_classes, spec.method, spec.schedule, spec.seed, spec.text)
    return model.to(resolve_device(spec.schedule.device)).eval(), prepared


def sample(corpus: Corpus, split: str, most: int) -> np.ndarray:
    """Rows of labelled core texts of a split, at most so many; which ones, their ids say."""
    table = corpus.rows(split)
    table = table[table.label >= 0]
    order = [derive(SAMPLE_SEED, "probe", split, each) for each in table.id]
    return np.sort(table.index.to_numpy(np.int64)[np.argsort(order, kind="stable")[:most]])


def shortened(texts: Encoded, rows: np.ndarray, ids: Sequence[str]) -> Encoded:
    """Texts cut at a random number of tokens, which their ids draw; row i is text ``rows[i]``.

    Length is then the only thing in which two texts differ systematically: as they are, long texts may be of other
    topics than short ones, and a text longer than the encoder reads has the length of all such texts. What closes a
    text stays its last token.
    """
    flat = []
    for row, each in zip(rows.tolist(), ids, strict=True):
        tokens = texts[row]
        kept = SHORTEST + derive(SAMPLE_SEED, "length", each) % max(1, len(tokens) - SHORTEST + 1)
        flat.append(tokens if kept >= len(tokens) else np.append(tokens[: kept - 1], tokens[-1]))
    offsets = np.concatenate([[0], np.cumsum([len(tokens) for tokens in flat])]).astype(np.int64)
    return replace(texts, flat=np.concatenate(flat), offsets=offsets)
