"""The training loop.

One epoch is the checkpoint interval: after each, everything needed to go on is written in one file, atomically. All
randomness of an epoch derives from (seed, purpose, epoch), so on a CPU a resumed run equals an uninterrupted one to the
bit. (On a GPU some sums are taken in any order.)
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.metrics import f1_score
from torch import Tensor, nn

from paperkit.seeds import derive
from paperkit.text.batches import Batch, collate, endless_batches, evaluation_batches, training_batches
from paperkit.text.vocabulary import Encoded
from paperkit.training import checkpoint
from paperkit.training.methods import Schedule
from paperkit.training.numerics import precision
from paperkit.training.objective import Objective, Step

NO_ROWS = np.empty(0, dtype=np.int64)


@dataclass(frozen=True)
class Data:
    """What one run reads. Rows are those of the corpus, in every array of texts."""

    texts: Encoded
    labels: np.ndarray
    """int64 ``(texts,)``."""
    train_rows: np.ndarray
    dev_rows: np.ndarray = field(default_factory=lambda: NO_ROWS)
    """What the epoch is selected by; without any the last one wins."""
    unlabelled: np.ndarray = field(default_factory=lambda: NO_ROWS)
    """Rows of the consistency term."""
    augmented: tuple[Encoded, ...] = ()
    """Versions of these texts, which epochs take in turn."""
    similar: np.ndarray = field(default_factory=lambda: NO_ROWS)
    """Rows of the contrastive term."""
    positives: tuple[Encoded, ...] = ()
    """Versions of these texts that are held to mean the same."""
    negatives: tuple[Encoded, ...] = ()
    """Versions that are held to differ; an empty text is none."""


@dataclass
class Progress:
    """Where a run stands; grows by one row of ``history`` per epoch."""

    history: list[dict[str, float]]
    best: int = -1
    """The epoch whose weights are kept, counted from 0; −1 before the first."""
    steps: dict[str, Tensor] = field(default_factory=dict)
    """Every term of the loss at every step so far, float32 ``(steps,)``."""

    @property
    def epoch(self) -> int:
        return len(self.history)


def fit(
    model: nn.Module,
    objective: Objective,
    data: Data,
    schedule: Schedule,
    seed: int,
    folder: Path,
    on_epoch: Callable[[int], None] = lambda epoch: None,
) -> Progress:
    """Train ``model``, leave it with its best weights in ``eval()`` mode, and return how it went.

    Args:
        folder: where the checkpoint is kept; one found there is continued.

    Returns:
        Progress with one row of history per epoch: ``epoch``; ``train_loss`` (the loss as trained, dropout on), ``train_ce``
        (cross-entropy of the labelled texts, same logits; where labels train at all) and every other term of
        :meth:`~paperkit.training.objective.Objective.backward` as ``train_…``; ``dev_loss`` and ``dev_ce``,
        ``dev_accuracy``, ``dev_f1_macro`` (nan without dev rows); ``gradient_norm`` (mean before clipping).
    """
    device = next(model.parameters()).device
    groups = parameter_groups(model, schedule, objective.projection)
    optimizer = torch.optim.AdamW(groups, weight_decay=schedule.weight_decay, fused=True)
    trained = [parameter for group in groups for parameter in group["params"]]
    progress, best = _resume(folder, model, objective, optimizer)

    for epoch in range(progress.epoch, schedule.epochs):
        if 0 < schedule.patience <= progress.epoch - 1 - progress.best:
            break
        torch.manual_seed(derive(seed, "dropout", epoch))
        model.train()
        # in tensors that are there from the start: what stays of every step between the large pieces of memory that the next
        # one wants back would keep these from being used again, 6 MB a step with the embeddings of mini
        logged: dict[str, Tensor] = {}
        sizes: list[int] = []
        count = steps_per_epoch(len(data.train_rows), schedule)
        for place, step in enumerate(steps(data, objective, schedule, seed, epoch, device)):
            factor = rate_factor(step.number, total_steps(len(data.train_rows), schedule), schedule.warmup)
            for group in optimizer.param_groups:
                group["lr"] = group["peak"] * factor
            optimizer.zero_grad(set_to_none=True)
            terms = objective.backward(model, step)
            terms["gradient_norm"] = nn.utils.clip_grad_norm_(trained, schedule.clip)
            optimizer.step()
            objective.after_step(model)
            for name, value in terms.items():
                if name not in logged:
                    logged[name] = value.new_zeros(count)
                logged[name][place] = value
            sizes.append(len(step.labelled))
        row = {"epoch": epoch + 1} | _log(progress, logged, sizes)
        progress.history.append(row | _dev_scores(model, objective.loss, data, schedule.dtype))
        if _better(progress, schedule.select):
            progress.best = epoch
            best = {name: value.detach().clone() for name, value in model.state_dict().items()}
        parts = {
            "model": model.state_dict(),
            "best": best,
            "objective": objective.state_dict(),
            "steps": progress.steps,
        }
        checkpoint.save(folder, parts, [optimizer], {"history": progress.history, "best": progress.best})
        on_epoch(epoch + 1)

    model.load_state_dict(best)
    model.eval()
    return progress


def steps(
    data: Data, objective: Objective, schedule: Schedule, seed: int, epoch: int, device: torch.device
) -> Iterator[Step]:
    """The steps of one epoch: a batch of labelled texts each, with as many unlabelled ones as the method asks for."""
    method, size = objective.method, schedule.batch_size
    passes = passes_per_epoch(len(data.train_rows), schedule)
    number, total = epoch * steps_per_epoch(len(data.train_rows), schedule), total_steps(len(data.train_rows), schedule)
    targets = torch.tensor(data.labels, device=device)

    def others(rows: np.ndarray, ratio: int, purpose: str) -> Iterator[Batch]:
        return endless_batches(data.texts, rows, ratio * size, seed, epoch, purpose)

    def version(texts: tuple[Encoded, ...], batch: Batch, *, gaps: bool = False) -> Batch | None:
        """The texts of ``batch`` in the version of this epoch, row for row; with ``gaps`` without those that have none."""
        if not texts:
            return None
        turn, rows = texts[epoch % len(texts)], batch.rows.numpy()
        rows = rows[turn.lengths[rows] > 0] if gaps else rows
        return collate(turn, rows).to(device) if len(rows) else None

    consistency = method.consistency if method.supervised else None
    if consistency:
        unlabelled = others(data.unlabelled, consistency.ratio, "unlabelled")
    if method.contrast:
        similar = others(data.similar, method.contrast.ratio, "similar")
    labelled = chain.from_iterable(training_batches(data.texts, data.train_rows, size, seed, epoch * passes + i)
                                   for i in range(passes))  # fmt: skip
    for batch in labelled:
        extra: dict[str, Batch | None] = {}
        if consistency:
            texts = next(unlabelled)
            extra |= {"unlabelled": texts.to(device), "augmented": version(data.augmented, texts)}
        if method.contrast:
            texts = next(similar)
            extra |= {"similar": texts.to(device), "positives": version(data.positives, texts),
                      "negatives": version(data.negatives, texts, gaps=True)}  # fmt: skip
        batch = batch.to(device)
        yield Step(number, number / total, batch, targets[batch.rows], **extra)
        number += 1


def forward(model: nn.Module, batch: Batch, dtype: str) -> Tensor:
    """Logits in float32, computed in mixed precision if asked for."""
    with precision(batch.ids.device, dtype):
        return model(batch.ids, batch.lengths).float()


@torch.no_grad()
def predict(model: nn.Module, texts: Encoded, rows: np.ndarray, dtype: str = "float32") -> np.ndarray:
    """Logits ``(rows, K)`` float32 in the order of ``rows``, dropout off."""
    model.eval()
    device = next(model.parameters()).device
    place = {int(row): i for i, row in enumerate(rows)}
    logits = np.zeros((len(rows), model.output.out_features), dtype=np.float32)
    for batch in evaluation_batches(texts, rows):
        logits[[place[row] for row in batch.rows.tolist()]] = forward(model, batch.to(device), dtype).cpu().numpy()
    return logits


def passes_per_epoch(n: int, schedule: Schedule) -> int:
    """How often an epoch goes through ``n`` training texts so that all epochs together have ``min_steps`` steps."""
    steps = schedule.epochs * -(-n // schedule.batch_size)
    return max(1, -(-schedule.min_steps // max(steps, 1)))


def steps_per_epoch(n: int, schedule: Schedule) -> int:
    """Optimizer steps of one epoch over ``n`` training texts."""
    return passes_per_epoch(n, schedule) * -(-n // schedule.batch_size)


def total_steps(n: int, schedule: Schedule) -> int:
    """Optimizer steps of a whole training, which learning rate, TSA and ramps are measured in."""
    return schedule.epochs * steps_per_epoch(n, schedule)


def parameter_groups(model: nn.Module, schedule: Schedule, projection: nn.Module | None = None) -> list[dict]:
    """What starts from random weights (``model.output``, the projection of contrastive learning), and everything below it,
    each with the peak of its learning rate."""
    head = [*model.output.parameters(), *(projection.parameters() if projection else ())]
    ours = {id(parameter) for parameter in head}
    body = [parameter for parameter in model.parameters() if id(parameter) not in ours]
    of_head = schedule.learning_rate if schedule.head_learning_rate is None else schedule.head_learning_rate
    rates = (schedule.learning_rate, of_head)
    return [{"params": group, "lr": rate, "peak": rate} for group, rate in zip((body, head), rates, strict=True)]


def rate_factor(step: int, total: int, warmup: float) -> float:
    """Share of the peak learning rate: linear warm-up, then linear decay that would reach 0 one step after the last."""
    warm = max(1, round(warmup * total))
    factor = (step + 1) / warm if step < warm else (total - step) / max(total - warm, 1)
    return min(factor, 1.0)


def _log(progress: Progress, logged: dict[str, Tensor], sizes: list[int]) -> dict[str, float]:
    """Append the steps of an epoch to the record, and their means, weighted by labelled texts, for the history."""
    weights = torch.tensor(sizes, dtype=torch.float64)
    row = {}
    for name, values in logged.items():
        values = values.cpu()
        progress.steps[name] = torch.cat([progress.steps.get(name, values[:0]), values.float()])
        if name == "gradient_norm":
            row[name] = values.double().mean().item()
        else:
            row[f"train_{name}"] = (values.double() @ weights / weights.sum()).item()
    return row


def _dev_scores(model, loss, data: Data, dtype: str) -> dict[str, float]:
    rows = data.dev_rows
    if not len(rows):
        return dict.fromkeys(("dev_loss", "dev_ce", "dev_accuracy", "dev_f1_macro"), float("nan"))
    logits = torch.from_numpy(predict(model, data.texts, rows, dtype))
    y = torch.tensor(data.labels[rows])
    predicted = logits.argmax(dim=-1)
    device = next(model.parameters()).device
    return {
        "dev_loss": loss(logits.to(device), y.to(device)).mean().item(),
        "dev_ce": F.cross_entropy(logits, y).item(),
        "dev_accuracy": (predicted == y).double().mean().item(),
        "dev_f1_macro": float(f1_score(y, predicted, average="macro", zero_division=0)),
    }


def _better(progress: Progress, select: str) -> bool:
    """Whether the newest epoch beats the best so far; the earlier one stays on a tie, the newest without dev texts."""
    new, old = progress.history[-1], progress.history[progress.best]
    if progress.best < 0 or np.isnan(new["dev_accuracy"]):  # not dev_ce: that of a diverged network is nan too
        return True
    if select == "loss":
        return new["dev_ce"] < old["dev_ce"]
    return new[f"dev_{select}"] > old[f"dev_{select}"]


def _resume(folder: Path, model: nn.Module, objective: Objective, optimizer) -> tuple[Progress, dict[str, Tensor]]:
    """Continue from the checkpoint in ``folder``, or start."""
    found = checkpoint.load(folder, [optimizer])
    if found is None:
        return Progress([]), {}
    parts, progress = found
    model.load_state_dict(parts["model"])
    objective.load_state_dict(parts.get("objective", {}))
    return Progress(**progress, steps=parts["steps"]), parts["best"]
