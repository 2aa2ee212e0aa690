"""Accuracy under attack: what trained models predict for perturbed word embeddings (paper A §4.3, Table 4)."""

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.numpy import load_file, save
from torch import Tensor, nn

from paperkit import attacks, code
from paperkit.errors import InputError
from paperkit.runs import Run, in_parallel
from paperkit.seeds import derive
from paperkit.store import Store, key, write_atomically
from paperkit.terms import Attack
from paperkit.text.batches import Batch, evaluation_batches
from paperkit.training.numerics import precision, resolve_dtype, threads

KIND = "attacks"
FILE = "attacked.safetensors"


@dataclass(frozen=True)
class Trial:
    """One way to attack a model."""

    attack: Attack
    restarts: int = 0
    """PGD from so many random points of the ball beside the middle; of all, the perturbation of the highest loss counts."""
    source: Run | None = None
    """Another model, of the same encoder, for which the perturbation is made; None attacks the model itself. A model whose
    own gradients lead nowhere, yet which falls to those of another one, hides its gradients; it is not robust."""

    def __post_init__(self):
        if self.restarts < 0 or (self.restarts and self.attack.kind != "pgd"):
            raise InputError(f"{self.restarts} restarts of {self.attack.kind!r}; accepted are 0, and more of 'pgd'")

    @property
    def identity(self) -> dict:
        source = key(self.source.spec.identity) if self.source else None
        return {"attack": asdict(self.attack), "restarts": self.restarts, "source": source}


@dataclass(frozen=True)
class Attacked:
    """What a model predicts for texts under one trial after the other; number 0 is no attack, number i is trial i − 1."""

    predicted: np.ndarray
    """Classes, int64 ``(1 + trials, N)``."""
    loss: np.ndarray
    """Cross-entropy, float32 ``(1 + trials, N)``."""
    norms: np.ndarray
    """‖Δ‖ as realised, float32 ``(1 + trials, N)``."""
    embedding_norms: np.ndarray
    """‖emb‖ of the clean texts, float32 ``(N,)``: what a relative ε counts in."""


def attack(
    runs: Sequence[Run],
    trials: Sequence[Sequence[Trial]],
    rows: Sequence[np.ndarray],
    store: Store,
    workers: int | None = None,
) -> list[Attacked]:
    """Every run under its trials, on its texts; kept in the store, several runs at a time.

    Labels are those of the corpus: an attack wants the model to leave the label that it is scored by.

    Args:
        trials, rows: of each run, in the order of ``runs``; rows of the run's corpus, all of them labelled.
    """
    asked = [(run, tuple(tests), np.asarray(texts, dtype=np.int64))
             for run, tests, texts in zip(runs, trials, rows, strict=True)]  # fmt: skip
    identities = [_identity(*each) for each in asked]
    missing = {key(identity): (*each, store, identity)
               for each, identity in zip(asked, identities, strict=True) if store.find(KIND, identity) is None}  # fmt: skip
    in_parallel(_keep, list(missing.values()), workers, "attacking", "model")
    return [Attacked(**load_file(store.folder(KIND, identity) / FILE)) for identity in identities]


def _identity(run: Run, trials: Sequence[Trial], rows: np.ndarray) -> dict:
    return {"run": key(run.spec.identity), "trials": [trial.identity for trial in trials],
            "rows": hashlib.sha256(rows.tobytes()).hexdigest(), "code": code.digest("paperkit.evaluate.robustness")}  # fmt: skip


def _keep(run: Run, trials: tuple[Trial, ...], rows: np.ndarray, store: Store, identity: dict) -> None:
    def build(folder: Path) -> None:
        with threads(run.spec.schedule.threads):  # as training had
            write_atomically(folder / FILE, save(asdict(perturbed(run, trials, rows, store))))

    store.get(KIND, identity, build)


def perturbed(run: Run, trials: Sequence[Trial], rows: np.ndarray, store: Store, batch_size: int = 64) -> Attacked:
    """The same, computed here and now. Dropout is off.

    With ``scope="example"`` nothing depends on which texts share a batch, random directions included.

    Raises:
        ValueError: a perturbation is to be carried over from a model that reads other tokens.
    """
    sources = {trial.source.folder: trial.source for trial in trials if trial.source}
    if any(source.spec.text != run.spec.text for source in sources.values()):
        raise ValueError("a perturbation can only be carried over from a model that reads the same tokens")
    model, prepared = run.model(store)
    networks = {None: model} | {folder: source.model(store)[0] for folder, source in sources.items()}
    device = model.output.weight.device
    labels = torch.tensor(run.spec.source.load().table.label.to_numpy(), device=device)
    dtype = resolve_dtype(run.spec.schedule.dtype, run.spec.schedule.device)
    place = {int(row): i for i, row in enumerate(rows)}
    predicted = np.zeros((1 + len(trials), len(rows)), dtype=np.int64)
    loss, norms = (np.zeros(predicted.shape, dtype=np.float32) for _ in range(2))
    clean_norms = np.zeros(len(rows), dtype=np.float32)
    for batch in evaluation_batches(prepared.texts, rows, batch_size):
        at = [place[row] for row in batch.rows.tolist()]
        batch, y = batch.to(device), labels[batch.rows.to(device)]
        victims = {name: Victim(network, batch, y, dtype, run.spec.seed) for name, network in networks.items()}
        victim = victims[None]
        clean_norms[at] = attacks.norms(victim.embedded * batch.inside[..., None]).cpu()
        for number, trial in enumerate((None, *trials)):
            delta = torch.zeros_like(victim.embedded)
            if trial:
                other = victims[trial.source.folder if trial.source else None]
                # ε counts in the embeddings of the model that is attacked
                delta = other.worst(trial) * victim.unit(trial.attack) / other.unit(trial.attack).clamp(min=1e-30)
            with torch.no_grad():
                z = victim.logits(victim.embedded + delta)
            predicted[number, at] = z.argmax(dim=-1).cpu()
            loss[number, at] = F.cross_entropy(z, y, reduction="none").cpu()
            norms[number, at] = attacks.norms(delta).cpu()
    return Attacked(predicted, loss, norms, clean_norms)


class Victim:
    """A network on one batch of texts; its clean gradient is taken once for all trials."""

    def __init__(self, network: nn.Module, batch: Batch, labels: Tensor, dtype: str = "float32", seed: int = 0):
        self.network, self.batch, self.labels, self.dtype, self.seed = network, batch, labels, dtype, seed
        self.embedded = network.embed(batch.ids).detach()

    def logits(self, x: Tensor) -> Tensor:
        """Of word embeddings ``(N, T, d)``: ``(N, K)``."""
        with precision(x.device, self.dtype):
            return self.network.classify(x, self.batch.lengths).float()

    def losses(self, x: Tensor) -> Tensor:
        """Cross-entropy of each text, ``(N,)``."""
        return F.cross_entropy(self.logits(x), self.labels, reduction="none")

    @cached_property
    def gradient(self) -> Tensor:
        """g ``(N, T, d)`` at the clean embeddings."""
        with attacks.undisturbed(self.network, self.embedded.device):
            return attacks.gradient_of(self.network, self.losses, self.embedded)

    def unit(self, attack: Attack) -> Tensor:
        """What ε counts in, ``(N, 1, 1)``."""
        return attacks.unit_of(attack, self.embedded, self.batch.inside)

    def worst(self, trial: Trial) -> Tensor:
        """The perturbation of the highest loss of those that a trial finds, ``(N, T, d)``."""
        radius = trial.attack.epsilon * self.unit(trial.attack)
        if trial.attack.kind == "noise":
            return radius * self.random("noise")[0]
        best = self._found(trial.attack)
        for number in range(trial.restarts):
            way, share = self.random("restart", number)
            other = self._found(trial.attack, share * radius * way)
            with torch.no_grad():
                worse = self.losses(self.embedded + other) > self.losses(self.embedded + best)
            best = torch.where(worse[:, None, None], other, best)
        return best

    def _found(self, attack: Attack, start: Tensor | None = None) -> Tensor:
        return attacks.perturb(self.network, self.losses, self.embedded, self.batch.inside, attack, start=start,
                               gradient=self.gradient, ids=self.batch.ids)  # fmt: skip

    def random(self, *purpose: str | int) -> tuple[Tensor, Tensor]:
        """Random directions of length 1, ``(N, T, d)``, and random shares, ``(N, 1, 1)``; a text has its own, whatever its
        batch."""
        values, shares = torch.zeros(self.embedded.shape), torch.zeros(len(self.batch), 1, 1)
        for i, (row, length) in enumerate(zip(self.batch.rows.tolist(), self.batch.lengths.tolist(), strict=True)):
            generator = torch.Generator().manual_seed(derive(self.seed, *purpose, row))
            shares[i] = torch.rand(1, generator=generator)
            values[i, :length] = torch.randn(length, values.shape[-1], generator=generator)
        return attacks.direction(values.to(self.embedded), self.batch.inside), shares.to(self.embedded)
