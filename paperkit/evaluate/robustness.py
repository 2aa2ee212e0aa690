"""Accuracy under attack: what trained models predict for perturbed word embeddings (paper A §4.3, Table 4)."""

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

from paperkit import code
from paperkit.runs import Run, in_parallel
from paperkit.seeds import derive
from paperkit.store import Store, key
from paperkit.terms import Attack

KIND = "attacks"


@dataclass(frozen=True)
class Trial:
    """One way to attack a model."""

    attack: Attack
    restarts: int = 0
    """PGD from so many random points of the ball beside the middle; of all, the perturbation of the highest loss counts."""
    source: Run | None = None
    """Another model, of the same encoder, for which the perturbation is made; None attacks the model itself. A model whose
    own gradients lead nowhere, yet which falls to those of another one, hides its gradients; it is not robust."""

    @property
    def identity(self) -> dict:
        source = key(self.source.spec.identity) if self.source else None
        return {"attack": asdict(self.attack), "restarts": self.restarts, "source": source}


@dataclass(frozen=True)
class Attacked:
    """What a model predicts for texts under one trial after the other; trial 0 is no attack."""

    predicted: np.ndarray
    """Classes, int64 ``(1 + trials, N)``."""
    loss: np.ndarray
    """Cross-entropy, float32 ``(1 + trials, N)``."""
    norms: np.ndarray
    """‖Δ‖ as realised, float32 ``(1 + trials, N)``."""
    embedding_norms: np.ndarray
    """‖emb‖ of the clean texts, float32 ``(N,)``: what a relative ε counts in."""


def attack(
    runs: Sequence[Run], trials: Sequence[Sequence[Trial]], rows: np.ndarray, store: Store, workers: int | None = None
) -> list[Attacked]:
    """Every run under its trials, on the texts ``rows``; kept in the store, several runs at a time.

    Labels are those of the corpus: an attack wants the model to leave the label that it is scored by.
    """
    rows = np.asarray(rows, dtype=np.int64)
    identities = [_identity(run, tests, rows) for run, tests in zip(runs, trials, strict=True)]
    missing = {key(each): (run, tuple(tests), rows, store, each)
               for run, tests, each in zip(runs, trials, identities, strict=True) if store.find(KIND, each) is None}  # fmt: skip
    in_parallel(_keep, list(missing.values()), workers, "attacking", "model")
    return [Attacked(**load_file(store.folder(KIND, each) / "attacked.safetensors")) for each in identities]


def _identity(run: Run, trials: Sequence[Trial], rows: np.ndarray) -> dict:
    return {"run": key(run.spec.identity), "trials": [trial.identity for trial in trials],
            "rows": hashlib.sha256(rows.tobytes()).hexdigest(), "code": code.digest("paperkit.evaluate.robustness")}  # fmt: skip


def _keep(run: Run, trials: tuple[Trial, ...], rows: np.ndarray, store: Store, identity: dict) -> None:
    def build(folder: Path) -> None:
        result = asdict(perturbed(run, trials, rows, store))
        save_file(result, folder / "attacked.safetensors")

    store.get(KIND, identity, build)


def perturbed(run: Run, trials: Sequence[Trial], rows: np.ndarray, store: Store) -> Attacked:
    """The same, computed here and now. Dropout is off; one thread, as in training."""
    import torch
    import torch.nn.functional as F

    from paperkit import attacks
    from paperkit.text.batches import evaluation_batches
    from paperkit.training.loop import precision
    from paperkit.training.numerics import resolve_dtype

    torch.set_num_threads(run.spec.schedule.threads)
    model, prepared = run.model(store)
    sources = {trial.source.folder: trial.source.model(store)[0] for trial in trials if trial.source}
    device = model.output.weight.device
    labels = torch.from_numpy(run.spec.source.load().table.label.to_numpy()).to(device)
    dtype = resolve_dtype(run.spec.schedule.dtype, run.spec.schedule.device)
    place = {int(row): i for i, row in enumerate(rows)}
    predicted = np.zeros((1 + len(trials), len(rows)), dtype=np.int64)
    loss, norms = (np.zeros(predicted.shape, dtype=np.float32) for _ in range(2))
    clean_norms = np.zeros(len(rows), dtype=np.float32)

    def logits_of(network, batch, embedded):
        with precision(device, dtype):
            return network.classify(embedded, batch.lengths).float()

    def worst(trial: Trial, batch, generator) -> torch.Tensor:
        """The perturbation of the highest loss of those that a trial finds."""
        network = sources[trial.source.folder] if trial.source else model
        embedded = network.embed(batch.ids).detach()

        def losses(x):
            return F.cross_entropy(logits_of(network, batch, x), labels[batch.rows], reduction="none")

        def found(attack: Attack, start=None):
            return attacks.perturb(network, losses, embedded, batch.inside, attack, ids=batch.ids, start=start,
                                   generator=generator)  # fmt: skip

        best = found(trial.attack)
        for _ in range(trial.restarts):
            on_the_border = found(replace(trial.attack, kind="noise"))
            other = found(trial.attack, on_the_border * torch.rand(len(batch), 1, 1, generator=generator).to(device))
            with torch.no_grad():
                worse = losses(embedded + other) > losses(embedded + best)
            best = torch.where(worse[:, None, None], other, best)
        return best

    for batch in evaluation_batches(prepared.texts, rows):
        batch = batch.to(device)
        at = [place[row] for row in batch.rows.tolist()]
        with torch.no_grad():
            embedded = model.embed(batch.ids)
        clean_norms[at] = attacks.norms(embedded * batch.inside[..., None]).cpu()
        for number, trial in enumerate((None, *trials)):
            # a direction of noise depends on the text that opens its batch, not on how many batches there were
            generator = torch.Generator().manual_seed(derive(run.spec.seed, "attack", number, at[0]))
            delta = worst(trial, batch, generator) if trial else torch.zeros_like(embedded)
            with torch.no_grad():
                z = logits_of(model, batch, embedded + delta)
            predicted[number, at] = z.argmax(dim=-1).cpu()
            loss[number, at] = F.cross_entropy(z, labels[batch.rows], reduction="none").cpu()
            norms[number, at] = attacks.norms(delta).cpu()
    return Attacked(predicted, loss, norms, clean_norms)
