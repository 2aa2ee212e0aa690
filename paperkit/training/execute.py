"""From a corpus and a method to a finished run: the folder that the store keeps."""

import json
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from safetensors.numpy import save
from safetensors.torch import load_file
from safetensors.torch import save as save_tensors
from torch import Tensor

from paperkit.corpora.corpus import CONTRADICTING, CORE, Corpus
from paperkit.corpora.pools import pools
from paperkit.errors import InputError
from paperkit.losses import focal, inverse_frequency
from paperkit.models import backbones, linear
from paperkit.models.bilstm import BiLSTM
from paperkit.models.encoder import Encoder
from paperkit.seeds import derive, numpy_generator
from paperkit.store import Store, write_atomically
from paperkit.terms import NEGATIVES
from paperkit.text.augment import Augmentation, augmented
from paperkit.text.edits import edit_similarity, rounded
from paperkit.text.prepare import Prepared, TextOptions, prepare
from paperkit.text.tokens import Tokenised, TokenOptions, characters_read, tokenise
from paperkit.text.vocabulary import Encoded
from paperkit.training import checkpoint, loop
from paperkit.training.methods import Method, Schedule
from paperkit.training.numerics import resolve_device, resolve_dtype, threads
from paperkit.training.objective import Objective
from paperkit.training.probe import start_from_probe

RESULT, OUTPUTS, WEIGHTS, STEPS = "run.json", "outputs.safetensors", "weights.safetensors", "steps.safetensors"
SIBLINGS = 0.8
"""Share of made wrong labels that are siblings of the true one, as in ``tickets``."""


def execute(
    corpus: Corpus,
    train_on: str | None,
    method: Method,
    text: TextOptions | TokenOptions | None,
    schedule: Schedule,
    seed: int,
    store: Store,
    folder: Path,
    on_epoch: Callable[[int], None] = lambda epoch: None,
) -> None:
    """Train ``method`` on one platform's training texts (None: on all) and write the run into ``folder``.

    ``outputs.safetensors`` holds ``rows`` (the platform's dev rows, then :func:`test_rows`, so that one training serves
    the same-platform and the cross-platform protocol) and their ``logits`` ``(rows, K)``;
    ``run.json`` the history, the sizes and the seconds; of a network ``weights.safetensors`` and ``steps.safetensors``,
    every term of the loss at every step.
    """
    started = time.perf_counter()
    schedule = replace(schedule, dtype=resolve_dtype(schedule.dtype, schedule.device))
    earlier = json.loads((folder / "seconds.json").read_text()) if (folder / "seconds.json").exists() else 0.0
    with threads(schedule.threads):
        prepared = numbered(corpus, train_on, text, store)
        usable = prepared.usable if prepared else np.asarray
        train_rows = usable(training_rows(corpus, train_on, method, seed))
        if not len(train_rows):
            raise InputError(f"no training text of {train_on or corpus.name} holds a word that is read here (stop words are not): "
                             "expected some of each class")  # fmt: skip
        dev_rows = usable(_rows(corpus, "dev", train_on))
        rows = np.concatenate([dev_rows, usable(test_rows(corpus, train_on))])

        def keep_time(epoch: int) -> None:
            write_atomically(folder / "seconds.json", json.dumps(earlier + time.perf_counter() - started))
            on_epoch(epoch)

        history: list[dict[str, float]] = []
        sizes: dict[str, int] = {}
        if method.network:
            data, sizes = gather(corpus, train_on, prepared, train_rows, dev_rows, method, schedule, seed, store)
            model, progress = _train(corpus, prepared, data, method, text, schedule, seed, folder, keep_time)
            history = progress.history
            logits = loop.predict(model, prepared.texts, rows, schedule.dtype)
            weights = {name: value.cpu() for name, value in model.state_dict().items()}
            write_atomically(folder / WEIGHTS, save_tensors(weights))
            write_atomically(folder / STEPS, save_tensors(progress.steps))
        else:
            logits = _reference(corpus, train_rows, dev_rows, rows, method, text, seed)

    write_atomically(folder / OUTPUTS, save({"rows": rows, "logits": logits.astype(np.float32)}))
    result = {"history": history, "n_train": len(train_rows), "n_words": prepared.vocabulary_size if prepared else 0,
              "train_words": int(prepared.texts.lengths[train_rows].sum()) if prepared else 0,
              "seconds": round(earlier + time.perf_counter() - started, 2)} | sizes  # fmt: skip
    write_atomically(folder / RESULT, json.dumps(result, indent=1))
    for leftover in (checkpoint.FILE, "seconds.json"):
        (folder / leftover).unlink(missing_ok=True)


def numbered(
    corpus: Corpus, train_on: str | None, text: TextOptions | TokenOptions | None, store: Store
) -> Prepared | Tokenised | None:
    """The texts as numbers: words of our own vocabulary, or tokens of a pretrained encoder; None where a method of
    reference reads them as they are."""
    if text is None:
        return None
    return tokenise(corpus, text, store) if isinstance(text, TokenOptions) else prepare(corpus, train_on, text, store)


def training_rows(corpus: Corpus, train_on: str | None, method: Method, seed: int) -> np.ndarray:
    """Rows that ``method`` learns from: labelled training texts of one platform, core ones unless it says otherwise.

    A text that had several labels is never among them: it is non-core because nobody knows its label.
    """
    rows = _rows(corpus, "train", train_on, core_only=not method.non_core)
    rows = rows[corpus.table.status.to_numpy()[rows] != CONTRADICTING]
    if method.undersample:
        labels = corpus.table.label.to_numpy()[rows]
        smallest = min(np.bincount(labels)[np.unique(labels)])
        generator = numpy_generator(seed, "undersample")
        picked = [generator.choice(rows[labels == k], smallest, replace=False) for k in np.unique(labels)]
        rows = np.sort(np.concatenate(picked))
    return labelled_rows(corpus, rows, method.labelled, seed)


def labelled_rows(corpus: Corpus, rows: np.ndarray, share: float, seed: int) -> np.ndarray:
    """The first ``share`` of ``rows`` of each class in an order that the seed draws, at least one each.

    Smaller shares are subsets of larger ones.
    """
    if share == 1:
        return rows
    table = corpus.table
    order = {row: derive(seed, "labelled", table.id.iat[row]) for row in rows.tolist()}
    labels = table.label.to_numpy()[rows]
    classes = [sorted(rows[labels == k].tolist(), key=order.__getitem__) for k in np.unique(labels)]
    kept = [row for members in classes for row in members[: max(1, round(share * len(members)))]]
    return np.array(sorted(kept), dtype=np.int64)


def test_rows(corpus: Corpus, train_on: str | None) -> np.ndarray:
    """Rows to test on: the platform's own test texts, and *all* labelled texts of the others, none of which was seen."""
    if train_on is None:
        return _rows(corpus, "test")
    table = corpus.table
    others = (table.platform != train_on) & (table.label >= 0) & (table.status == CORE)
    return np.concatenate([_rows(corpus, "test", train_on), np.flatnonzero(others)])


def build_model(
    prepared: Prepared | Tokenised,
    n_classes: int,
    method: Method,
    schedule: Schedule,
    seed: int,
    text: TextOptions | TokenOptions | None = None,
) -> BiLSTM | Encoder:
    """The untrained network; what of its weights is random depends on the seed alone. An encoder needs ``text``."""
    torch.manual_seed(derive(seed, "init"))
    if method.classifier == "encoder":
        attention = "eager" if resolve_device(schedule.device) == "cpu" else "sdpa"
        return Encoder(backbones.find(text.backbone), n_classes, pooling=text.pooling, dropout=schedule.dropout[-1],
                       attention=attention)  # fmt: skip
    vectors = torch.from_numpy(prepared.vectors)
    return BiLSTM(vectors, n_classes, attention=method.attention, peephole=method.peephole, dropout=schedule.dropout)


def load(
    corpus: Corpus,
    train_on: str | None,
    method: Method,
    text: TextOptions | TokenOptions,
    schedule: Schedule,
    seed: int,
    store: Store,
    folder: Path,
) -> tuple[BiLSTM | Encoder, Prepared | Tokenised]:
    """The trained network of a finished run in ``eval()`` mode, and the texts that it reads."""
    prepared = numbered(corpus, train_on, text, store)
    model = build_model(prepared, corpus.n_classes, method, schedule, seed, text)
    model.load_state_dict(load_file(folder / WEIGHTS))
    return model.to(resolve_device(schedule.device)).eval(), prepared


def gather(
    corpus: Corpus,
    train_on: str | None,
    prepared: Prepared | Tokenised,
    train_rows: np.ndarray,
    dev_rows: np.ndarray,
    method: Method,
    schedule: Schedule,
    seed: int,
    store: Store,
) -> tuple[loop.Data, dict[str, int]]:
    """What the loop reads, unlabelled and augmented texts included, and the sizes of those."""
    labels = training_labels(corpus, train_rows, method, seed)
    data = loop.Data(prepared.texts, labels, train_rows, dev_rows if method.supervised else loop.NO_ROWS)
    sizes: dict[str, int] = {}
    if not (method.consistency or method.contrast):
        return data, sizes
    divided = pools(corpus, 0, train_rows, platform=train_on)
    uda, esimcse = prepared.usable(divided.uda), prepared.usable(divided.esimcse)

    def versions(rows: np.ndarray, augmentation: Augmentation) -> Iterator[tuple[np.ndarray, list[str]]]:
        for view in range(schedule.views):
            yield rows, augmented(corpus, rows, augmentation, seed, view, store)

    def numbers(made: Iterable[tuple[np.ndarray, list[str]]]) -> tuple[Encoded, ...]:
        return tuple(prepared.encode(texts, store).at(rows, len(corpus)) for rows, texts in made)

    if consistency := method.consistency:
        uda = pool_share(corpus, uda, consistency.pool, consistency.even, seed)
        data = replace(data, unlabelled=uda)
        sizes["n_unlabelled"] = len(uda)
        if consistency.view == "augmentation":
            made = numbers(versions(uda, consistency.augmentation))
            # an augmentation of which cleaning leaves nothing is replaced by the text itself
            data = replace(data, augmented=tuple(_filled(each, prepared.texts, uda) for each in made))
    if contrast := method.contrast:
        data = replace(data, similar=esimcse)
        sizes["n_similar"] = len(esimcse)
        if contrast.positive == "repetition":
            made = numbers(versions(esimcse, contrast.augmentation))
            data = replace(data, positives=tuple(_filled(each, prepared.texts, esimcse) for each in made))
        if contrast.eda_negatives:
            different = [_unlike(corpus, *each) for each in versions(esimcse, NEGATIVES)]
            sizes["n_negatives"] = sum(len(rows) for rows, _ in different)
            data = replace(data, negatives=numbers(different))
    return data, sizes


def _filled(made: Encoded, texts: Encoded, rows: np.ndarray) -> Encoded:
    """``made``, where it is empty replaced by the text that it was made of."""
    lacking = rows[made.lengths[rows] == 0]
    if not len(lacking):
        return made
    lengths = made.lengths.copy()
    lengths[lacking] = texts.lengths[lacking]
    flat = [texts[row] if made.lengths[row] == 0 else made[row] for row in rows]
    return replace(made, flat=np.concatenate(flat), offsets=np.concatenate([[0], np.cumsum(lengths)]))


def _unlike(corpus: Corpus, rows: np.ndarray, texts: list[str]) -> tuple[np.ndarray, list[str]]:
    """The texts whose similarity to their original rounds to 0: paper A's label of a negative pair."""
    before = corpus.table.text.iloc[rows]
    kept = [rounded(edit_similarity(*pair)) == 0 for pair in zip(before, texts, strict=True)]
    return rows[kept], [text for text, keep in zip(texts, kept, strict=True) if keep]


def pool_share(corpus: Corpus, rows: np.ndarray, share: float, even: bool, seed: int) -> np.ndarray:
    """A share of the unlabelled ``rows``, at least one, drawn by the seed; ``even``: class by class in turn, so that rare
    classes are used up before a frequent one is taken from again.

    Smaller shares are subsets of larger ones. Texts whose label nobody knows count as one more class.
    """
    order = {row: derive(seed, "pool", corpus.table.id.iat[row]) for row in rows.tolist()}
    drawn = sorted(rows.tolist(), key=order.__getitem__)
    if even:
        labels = pd.Series(corpus.table.label.to_numpy()[drawn], index=drawn)
        drawn = labels.groupby(labels).cumcount().sort_values(kind="stable").index.tolist()
    return np.array(sorted(drawn[: max(1, round(share * len(drawn)))]), dtype=np.int64)


def training_labels(corpus: Corpus, train_rows: np.ndarray, method: Method, seed: int) -> np.ndarray:
    """The labels ``(texts,)`` that ``method`` is trained on: the corpus' own, or with what is made wrong on purpose."""
    labels = noisy_labels(corpus, train_rows, method.noise, seed)
    return mixed_up(corpus, labels, train_rows, method.mixed_branches, seed) if method.mixed_branches else labels


def mixed_up(corpus: Corpus, labels: np.ndarray, train_rows: np.ndarray, share: float, seed: int) -> np.ndarray:
    """``labels`` with those of ``train_rows`` mixed up within a ``share`` of the branches, which the seed draws: in such a
    branch a text has any of the leaves under the same parent, its own included.

    The branches of a smaller share are among those of a larger one.

    Raises:
        InputError: no two classes have a parent in common.
    """
    parents = corpus.parents
    branches = [parent for parent in np.unique(parents) if parent and (parents == parent).sum() > 1]
    if not branches:
        raise InputError(
            f"mixed_branches is {share:g}, but the labels of {corpus.name} have no branches; accepted is 0"
        )
    branches.sort(key=lambda parent: derive(seed, "branch", parent))
    leaves = {parent: np.flatnonzero(parents == parent) for parent in branches[: round(share * len(branches))]}
    labels = labels.copy()
    for row in train_rows.tolist():
        if (parent := parents[labels[row]]) in leaves:
            labels[row] = numpy_generator(seed, "mixed up", corpus.table.id.iat[row]).choice(leaves[parent])
    return labels


def noisy_labels(corpus: Corpus, train_rows: np.ndarray, noise: float | None, seed: int) -> np.ndarray:
    """The corpus' labels ``(texts,)``; those of ``train_rows`` with a share of wrong ones where ``noise`` asks for it.

    A wrong label is the one that the annotator gave where that is wrong, else a sibling in the label tree in 8 of 10
    cases, else any other class. The wrong ones of a smaller share are among those of a larger one.

    Raises:
        InputError: the true labels are not known.
    """
    labels, truth = corpus.table.label.to_numpy(), corpus.table.truth.to_numpy()
    if noise is None:
        return labels
    if (truth[train_rows] < 0).any():
        raise InputError(f"noise is {noise}, but the true labels of {corpus.name} are not known; accepted is nothing")
    parents, labels = corpus.parents, labels.copy()
    for row in train_rows.tolist():
        generator = numpy_generator(seed, "label noise", corpus.table.id.iat[row])
        right = truth[row]
        if generator.random() >= noise:
            labels[row] = right
        elif labels[row] == right:
            siblings = np.flatnonzero((parents == parents[right]) & (parents != ""))
            wanted = siblings if len(siblings) > 1 and generator.random() < SIBLINGS else np.arange(corpus.n_classes)
            labels[row] = generator.choice(wanted[wanted != right])
    return labels


def _train(corpus, prepared, data: loop.Data, method: Method, text, schedule: Schedule, seed, folder, on_epoch):
    device = resolve_device(schedule.device)
    model = build_model(prepared, corpus.n_classes, method, schedule, seed, text).to(device)
    alpha = method.alpha
    if alpha == "inverse":
        alpha = inverse_frequency(torch.tensor(data.labels[data.train_rows]), corpus.n_classes).to(device)

    def loss(logits: Tensor, y: Tensor) -> Tensor:
        return focal(logits, y, method.gamma, alpha)

    if schedule.head == "probe" and method.supervised and method.classifier == "encoder":
        start_from_probe(model, data.texts, data.labels, data.train_rows, schedule.dtype)
    objective = Objective(method, model, loss, batch_size=schedule.batch_size, pool=torch.from_numpy(data.unlabelled),
                          seed=seed, dtype=schedule.dtype)  # fmt: skip
    return model, loop.fit(model, objective, data, schedule, seed, folder, on_epoch)


def _reference(corpus: Corpus, train_rows, dev_rows, rows, method: Method, text, seed: int) -> np.ndarray:
    labels, texts = training_labels(corpus, train_rows, method, seed), corpus.table.text
    if method.classifier == "majority":
        return linear.majority(labels[train_rows], corpus.n_classes, len(rows))
    if isinstance(text, TokenOptions):  # no more of a text than the encoder reads
        ends = characters_read(texts.tolist(), text)
        texts = pd.Series([each[:end] for each, end in zip(texts, ends, strict=True)])
    return linear.linear_svm(texts.iloc[train_rows], labels[train_rows], texts.iloc[dev_rows], labels[dev_rows],
                             texts.iloc[rows], corpus.n_classes, corpus.language)  # fmt: skip


def _rows(corpus: Corpus, split: str, platform: str | None = None, core_only: bool = True) -> np.ndarray:
    return corpus.rows(split, platform, core_only).index.to_numpy(dtype=np.int64)
