"""The training loop.

One epoch is the checkpoint interval: after each, everything needed to go on is written in one file, atomically. All
randomness of an epoch derives from (seed, purpose, epoch), so a resumed run equals an uninterrupted one to the bit.
"""

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors import safe_open
from safetensors.torch import save_file
from sklearn.metrics import f1_score
from torch import Tensor, nn

from paperkit.errors import InputError
from paperkit.seeds import derive
from paperkit.text.batches import Batch, evaluation_batches, training_batches
from paperkit.text.vocabulary import Encoded
from paperkit.training.methods import Schedule

CHECKPOINT = "checkpoint.safetensors"
SELECT = ("accuracy", "f1_macro", "loss")
DTYPES = ("float32", "bfloat16")

Loss = Callable[[Tensor, Tensor], Tensor]
"""Logits ``(N, K)`` and labels ``(N,)`` to the loss of each example ``(N,)``."""


@dataclass
class Progress:
    """Where a run stands; grows by one row of ``history`` per epoch."""

    history: list[dict[str, float]]
    best: int = -1
    """The epoch whose weights are kept, counted from 0; −1 before the first."""

    @property
    def epoch(self) -> int:
        return len(self.history)


def fit(
    model: nn.Module,
    loss: Loss,
    texts: Encoded,
    labels: np.ndarray,
    train_rows: np.ndarray,
    dev_rows: np.ndarray,
    schedule: Schedule,
    seed: int,
    folder: Path,
    on_epoch: Callable[[int], None] = lambda epoch: None,
) -> list[dict[str, float]]:
    """Train ``model``, leave it with its best weights in ``eval()`` mode, and return its history.

    Args:
        texts, labels: the whole corpus; ``labels`` is int64 ``(texts,)``.
        train_rows, dev_rows: which of them to train on and to select the epoch by. Without dev rows the last epoch wins.
        folder: where the checkpoint is kept; one found there is continued.

    Returns:
        One row per epoch: ``epoch``; ``train_loss`` (the loss as trained, dropout on) and ``train_ce`` (cross-entropy of
        the same logits); ``dev_loss`` and ``dev_ce``, ``dev_accuracy``, ``dev_f1_macro`` (nan without dev rows);
        ``gradient_norm`` (mean before clipping).
    """
    if schedule.select not in SELECT:
        raise InputError(f"select is {schedule.select!r}; accepted are {', '.join(map(repr, SELECT))}")
    if schedule.dtype not in DTYPES:
        raise InputError(f"dtype is {schedule.dtype!r}; accepted are {', '.join(map(repr, DTYPES))}")
    device = next(model.parameters()).device
    targets = torch.tensor(labels, device=device)
    optimizer = torch.optim.AdamW(parameter_groups(model, schedule), weight_decay=schedule.weight_decay, fused=True)
    passes = passes_per_epoch(len(train_rows), schedule)
    steps_per_epoch = passes * -(-len(train_rows) // schedule.batch_size)
    total = schedule.epochs * steps_per_epoch
    progress, best = _resume(folder, model, optimizer)

    for epoch in range(progress.epoch, schedule.epochs):
        if 0 < schedule.patience <= progress.epoch - 1 - progress.best:
            break
        torch.manual_seed(derive(seed, "dropout", epoch))
        model.train()
        sums = torch.zeros(3, dtype=torch.float64, device=device)  # loss, cross-entropy, gradient norm
        batches = chain.from_iterable(training_batches(texts, train_rows, schedule.batch_size, seed, epoch * passes + i)
                                      for i in range(passes))  # fmt: skip
        for step, batch in enumerate(batches):
            batch = batch.to(device)
            factor = rate_factor(epoch * steps_per_epoch + step, total, schedule.warmup)
            for group in optimizer.param_groups:
                group["lr"] = group["peak"] * factor
            logits = forward(model, batch, schedule.dtype)
            y = targets[batch.rows]
            value = loss(logits, y).mean()
            optimizer.zero_grad(set_to_none=True)
            value.backward()
            norm = nn.utils.clip_grad_norm_(model.parameters(), schedule.clip)
            optimizer.step()
            with torch.no_grad():
                ce = F.cross_entropy(logits, y)
                sums += torch.stack([value.detach() * len(y), ce * len(y), norm]).double()
        divisors = torch.tensor([passes * len(train_rows), passes * len(train_rows), steps_per_epoch])
        train_loss, train_ce, gradient_norm = (sums.cpu() / divisors).tolist()
        row = {"epoch": epoch + 1, "train_loss": train_loss, "train_ce": train_ce, "gradient_norm": gradient_norm}
        progress.history.append(row | _dev_scores(model, loss, texts, labels, dev_rows, schedule.dtype))
        if _better(progress, schedule.select):
            progress.best = epoch
            best = {name: value.detach().clone() for name, value in model.state_dict().items()}
        _save(folder, model, optimizer, progress, best)
        on_epoch(epoch + 1)

    model.load_state_dict(best)
    model.eval()
    return progress.history


def forward(model: nn.Module, batch: Batch, dtype: str) -> Tensor:
    """Logits in float32, computed in mixed precision if asked for."""
    with torch.autocast(batch.ids.device.type, dtype=torch.bfloat16, enabled=dtype == "bfloat16"):
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


def parameter_groups(model: nn.Module, schedule: Schedule) -> list[dict]:
    """The head (``model.output``) and everything below it, each with the peak of its learning rate."""
    head = list(model.output.parameters())
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


def _dev_scores(model, loss, texts, labels, rows, dtype) -> dict[str, float]:
    if not len(rows):
        return dict.fromkeys(("dev_loss", "dev_ce", "dev_accuracy", "dev_f1_macro"), float("nan"))
    logits = torch.from_numpy(predict(model, texts, rows, dtype))
    y = torch.tensor(labels[rows])
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


def _save(folder: Path, model: nn.Module, optimizer, progress: Progress, best: dict[str, Tensor]) -> None:
    tensors = {f"model.{name}": value for name, value in model.state_dict().items()}
    tensors |= {f"best.{name}": value for name, value in best.items()}
    for number, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{number}.{name}": value for name, value in state.items()}
    metadata = {"progress": json.dumps({"history": progress.history, "best": progress.best})}
    temporary = folder / f".{CHECKPOINT}.tmp"
    save_file({name: value.contiguous().cpu() for name, value in tensors.items()}, temporary, metadata)
    os.replace(temporary, folder / CHECKPOINT)


def _resume(folder: Path, model: nn.Module, optimizer) -> tuple[Progress, dict[str, Tensor]]:
    """Continue from the checkpoint in ``folder``, or start."""
    if not (folder / CHECKPOINT).exists():
        return Progress([]), {}
    parts: dict[str, dict[str, Tensor]] = {"model": {}, "best": {}, "optimizer": {}}
    with safe_open(folder / CHECKPOINT, framework="pt") as file:
        progress = Progress(**json.loads(file.metadata()["progress"]))
        for name in file.keys():  # noqa: SIM118 (not a dict)
            part, _, rest = name.partition(".")
            parts[part][rest] = file.get_tensor(name)
    model.load_state_dict(parts["model"])
    states: dict[int, dict[str, Tensor]] = {}
    for name, value in parts["optimizer"].items():
        number, _, key = name.partition(".")
        states.setdefault(int(number), {})[key] = value
    optimizer.load_state_dict({"state": states, "param_groups": optimizer.state_dict()["param_groups"]})
    return progress, parts["best"]
