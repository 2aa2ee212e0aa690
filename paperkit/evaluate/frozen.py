"""What an encoder knows before it is fine-tuned: a linear classifier on its frozen representations (notebook 08_encoder)."""

import json
import math
from collections.abc import Sequence
from pathlib import Path

from paperkit import code
from paperkit.evaluate.embeddings import network
from paperkit.runs import Run, in_parallel
from paperkit.store import Store, key, write_atomically
from paperkit.training.numerics import resolve_dtype, threads

KIND = "frozen"
FILE = "accuracy.json"


def accuracies(runs: Sequence[Run], store: Store, workers: int | None = None) -> list[float]:
    """Accuracy of each run on its test texts, had it stopped before its first step; kept in the store, several at a time.

    That is the logistic regression of :mod:`paperkit.training.probe` on the run's own labelled texts, with the weights that its
    encoder began with. nan for a method of reference, which has no encoder, and without test texts.
    """
    networks = [run for run in runs if run.spec.method.network]
    identities = {run.folder: _identity(run) for run in networks}
    missing = {key(identities[run.folder]): (run, store, identities[run.folder])
               for run in networks if store.find(KIND, identities[run.folder]) is None}  # fmt: skip
    in_parallel(_keep, list(missing.values()), workers, "probing", "model")
    found = {
        folder: json.loads((store.folder(KIND, each) / FILE).read_text())["accuracy"]
        for folder, each in identities.items()
    }
    return [math.nan if (value := found.get(run.folder)) is None else value for run in runs]


def _identity(run: Run) -> dict:
    return {"run": key(run.spec.identity), "code": code.digest("paperkit.evaluate.frozen")}


def _keep(run: Run, store: Store, identity: dict) -> None:
    def build(folder: Path) -> None:
        with threads(run.spec.schedule.threads):  # as training had
            found = accuracy(run, store)
        write_atomically(folder / FILE, json.dumps({"accuracy": None if math.isnan(found) else found}))

    store.get(KIND, identity, build)


def accuracy(run: Run, store: Store) -> float:
    """The same of one run, computed here and now."""
    from paperkit.training import loop
    from paperkit.training.execute import training_labels, training_rows
    from paperkit.training.probe import start_from_probe

    spec = run.spec
    rows, truth, _ = run.on(spec.train_on)
    if not len(rows):
        return math.nan
    corpus = spec.source.load()
    dtype = resolve_dtype(spec.schedule.dtype, spec.schedule.device)
    model, prepared = network(run, "untrained", store)
    train_rows = prepared.usable(training_rows(corpus, spec.train_on, spec.method, spec.seed))
    labels = training_labels(corpus, train_rows, spec.method, spec.seed)
    start_from_probe(model, prepared.texts, labels, train_rows, dtype)
    logits = loop.predict(model, prepared.texts, rows, dtype)
    return float((logits.argmax(axis=1) == truth).mean())
