"""From a corpus and a method to a finished run: the folder that the store keeps."""

import json
import time
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import save
from safetensors.torch import save as save_weights
from torch import Tensor

from paperkit.corpora.corpus import CONTRADICTING, CORE, Corpus
from paperkit.losses import focal, inverse_frequency
from paperkit.models import backbones, linear
from paperkit.models.bilstm import BiLSTM
from paperkit.models.encoder import Encoder
from paperkit.seeds import derive, numpy_generator
from paperkit.store import Store, write_atomically
from paperkit.text.prepare import Prepared, TextOptions, prepare
from paperkit.text.tokens import Tokenised, TokenOptions, tokenise
from paperkit.training import loop
from paperkit.training.methods import Method, Schedule
from paperkit.training.numerics import resolve_device, resolve_dtype

RESULT, OUTPUTS, WEIGHTS = "run.json", "outputs.safetensors", "weights.safetensors"


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
    ``run.json`` the history, the sizes and the seconds; ``weights.safetensors`` the weights of a network.
    """
    started = time.perf_counter()
    schedule = replace(schedule, dtype=resolve_dtype(schedule.dtype, schedule.device))
    earlier = json.loads((folder / "seconds.json").read_text()) if (folder / "seconds.json").exists() else 0.0
    with _threads(schedule.threads):
        prepared = numbered(corpus, train_on, text, store)
        usable = prepared.usable if prepared else np.asarray
        train_rows = usable(training_rows(corpus, train_on, method, seed))
        dev_rows = usable(_rows(corpus, "dev", train_on))
        rows = np.concatenate([dev_rows, usable(test_rows(corpus, train_on))])

        def keep_time(epoch: int) -> None:
            write_atomically(folder / "seconds.json", json.dumps(earlier + time.perf_counter() - started))
            on_epoch(epoch)

        history: list[dict[str, float]] = []
        if method.network:
            model, history = _train(corpus, prepared, train_rows, dev_rows, method, text, schedule, seed, folder,
                                    keep_time)  # fmt: skip
            logits = loop.predict(model, prepared.texts, rows, schedule.dtype)
            weights = {name: value.cpu() for name, value in model.state_dict().items()}
            write_atomically(folder / WEIGHTS, save_weights(weights))
        else:
            logits = _reference(corpus, train_rows, dev_rows, rows, method)

    write_atomically(folder / OUTPUTS, save({"rows": rows, "logits": logits.astype(np.float32)}))
    result = {"history": history, "n_train": len(train_rows), "n_words": prepared.vocabulary_size if prepared else 0,
              "train_words": int(prepared.texts.lengths[train_rows].sum()) if prepared else 0,
              "seconds": round(earlier + time.perf_counter() - started, 2)}  # fmt: skip
    write_atomically(folder / RESULT, json.dumps(result, indent=1))
    for leftover in (loop.CHECKPOINT, "seconds.json"):
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


def _train(corpus, prepared, train_rows, dev_rows, method, text, schedule, seed, folder, on_epoch):
    labels = corpus.table.label.to_numpy()
    device = resolve_device(schedule.device)
    model = build_model(prepared, corpus.n_classes, method, schedule, seed, text).to(device)
    alpha = method.alpha
    if alpha == "inverse":
        alpha = inverse_frequency(torch.tensor(labels[train_rows]), corpus.n_classes).to(device)

    def loss(logits: Tensor, y: Tensor) -> Tensor:
        return focal(logits, y, method.gamma, alpha)

    history = loop.fit(model, loss, prepared.texts, labels, train_rows, dev_rows, schedule, seed, folder, on_epoch)
    return model, history


def _reference(corpus: Corpus, train_rows, dev_rows, rows, method: Method) -> np.ndarray:
    labels, texts = corpus.table.label.to_numpy(), corpus.table.text
    if method.classifier == "majority":
        return linear.majority(labels[train_rows], corpus.n_classes, len(rows))
    return linear.linear_svm(texts.iloc[train_rows], labels[train_rows], texts.iloc[dev_rows], labels[dev_rows],
                             texts.iloc[rows], corpus.n_classes, corpus.language)  # fmt: skip


def _rows(corpus: Corpus, split: str, platform: str | None = None, core_only: bool = True) -> np.ndarray:
    return corpus.rows(split, platform, core_only).index.to_numpy(dtype=np.int64)


@contextmanager
def _threads(count: int):
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
