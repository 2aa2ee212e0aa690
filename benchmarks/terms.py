"""What the terms of paper A's loss cost: step time and memory as ratios to a plain supervised step, in one run.

    python benchmarks/terms.py [tokens per text] [rounds] [threads]

Random tokens: what a step costs does not depend on the words. Every timed step is preceded by a plain one, and the median
of these pairs' ratios is printed, so a machine whose speed drifts is fair to all. ``community`` is the loop that circulates:
back up the embedding matrix, add ε g/‖g‖ to it, second forward and backward pass, restore. Memory is the most that a step
allocates beyond what is there before it. Any second backward pass finds the gradients of the first one there; PGD must not
need more as K grows.
"""

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import accumulate
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from paperkit.losses import focal
from paperkit.models import backbones
from paperkit.models.encoder import Encoder
from paperkit.papers import BASELINE, ESIMCSE, FGM, PGD, UDA
from paperkit.text.batches import Batch
from paperkit.training.loop import parameter_groups
from paperkit.training.methods import Method, Schedule
from paperkit.training.numerics import resolve_dtype
from paperkit.training.objective import Objective, Step

BATCH, CLASSES, VOCABULARY = 16, 70, 15_000
SCHEDULE = Schedule(batch_size=BATCH, dropout=(0.0, 0.0, 0.1))
FINAL = Method("UDA+ESimCSE+PGD", "encoder", consistency=UDA, contrast=ESIMCSE, adversarial=PGD)
METHODS: dict[str, tuple[Method, float | None]] = {
    "FGM": (replace(BASELINE, adversarial=FGM), 2.15),
    "PGD-3": (replace(BASELINE, adversarial=PGD), 4.2),
    "UDA, ratio 1": (replace(BASELINE, consistency=UDA), (1 + 4 / 3) * 1.1),
    "UDA, ratio 3": (replace(BASELINE, consistency=replace(UDA, ratio=3)), (1 + 4) * 1.1),
    "ESimCSE": (replace(BASELINE, contrast=ESIMCSE), None),
    FINAL.name: (FINAL, None),
}
"""What is timed, with the ratio that it should not exceed."""


def batch(count: int, length: int) -> Batch:
    """``count`` random texts of ``length`` tokens."""
    ids = torch.randint(5, VOCABULARY, (count, length))
    inside = torch.ones(count, length, dtype=torch.bool)
    inside[:, [0, -1]] = False
    return Batch(ids, torch.full((count,), length), torch.arange(count), inside)


def trainer(length: int) -> tuple[nn.Module, torch.Tensor, Batch]:
    """A model and its labelled texts, the same for every contender."""
    torch.manual_seed(0)
    model = Encoder(backbones.find("mini"), CLASSES, dropout=SCHEDULE.dropout[-1]).train()
    return model, torch.randint(0, CLASSES, (BATCH,)), batch(BATCH, length)


def optimised(model: nn.Module, projection: nn.Module | None, compute: Callable[[], None]) -> Callable[[], None]:
    """One optimizer step around ``compute``, which adds up the gradients."""
    groups = parameter_groups(model, SCHEDULE, projection)
    optimizer = torch.optim.AdamW(groups, weight_decay=SCHEDULE.weight_decay, fused=True)
    parameters = [parameter for group in groups for parameter in group["params"]]

    def step() -> None:
        compute()
        nn.utils.clip_grad_norm_(parameters, SCHEDULE.clip)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)  # last, so that a step frees nothing that another one allocated

    return step


def ours(method: Method, length: int, dtype: str) -> Callable[[], None]:
    """A function that trains one step of ``method``, as :mod:`paperkit.training.loop` does."""
    model, labels, labelled = trainer(length)
    objective = Objective(method, model, lambda logits, y: focal(logits, y, 0.0), batch_size=BATCH, dtype=dtype)
    pairs = {}
    if method.consistency:
        count = BATCH * method.consistency.ratio
        pairs |= {"unlabelled": batch(count, length), "augmented": batch(count, length)}
    if method.contrast:
        pairs |= {"similar": batch(BATCH, length), "positives": batch(BATCH, length)}
    example = Step(0, 0.5, labelled, labels, **pairs)
    train = optimised(model, objective.projection, lambda: objective.backward(model, example))

    def step() -> None:
        train()
        objective.after_step(model)

    return step


def community(length: int, dtype: str, epsilon: float = 1.0) -> Callable[[], None]:
    """FGM as it circulates: on the embedding matrix, with one norm for the batch."""
    model, labels, labelled = trainer(length)
    matrix = model.body.get_input_embeddings().weight

    def loss() -> torch.Tensor:
        with torch.autocast("cpu", torch.bfloat16, enabled=dtype == "bfloat16"):
            logits = model(labelled.ids, labelled.lengths).float()
        return F.cross_entropy(logits, labels)

    def compute() -> None:
        loss().backward()
        backup = matrix.data.clone()
        norm = torch.norm(matrix.grad)
        if norm != 0 and not torch.isnan(norm):
            matrix.data.add_(epsilon * matrix.grad / norm)
        loss().backward()
        matrix.data = backup

    return optimised(model, None, compute)


def seconds(step: Callable[[], None]) -> float:
    started = time.perf_counter()
    step()
    return time.perf_counter() - started


def peak(step: Callable[[], None]) -> float:
    """MiB that torch holds at most beyond what it held before the step, temporaries included."""
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profile:
        step()
    with tempfile.TemporaryDirectory() as folder:
        profile.export_chrome_trace(f"{folder}/trace.json")
        events = json.loads(Path(f"{folder}/trace.json").read_text())["traceEvents"]
    changes = sorted((event["ts"], event["args"]["Bytes"]) for event in events if event.get("name") == "[memory]")
    return max(accumulate(change for _, change in changes)) / 2**20


def main() -> None:
    given = [int(argument) for argument in sys.argv[1:]]
    length, rounds, threads = given + [48, 15, 1][len(given) :]
    torch.set_num_threads(threads)
    dtype = resolve_dtype("auto", "cpu")
    plain = ours(BASELINE, length, dtype)
    steps = {name: (ours(method, length, dtype), target) for name, (method, target) in METHODS.items()}
    steps["FGM, community"] = (community(length, dtype), None)
    print(f"mini, {BATCH} texts of {length} tokens, {dtype}, {threads} thread(s), median of {rounds} pairs")
    for step in (plain, *(step for step, _ in steps.values())):
        step()
    ratios: dict[str, list[float]] = {name: [] for name in steps}
    alone = []
    for _ in range(rounds):
        for name, (step, _) in steps.items():
            alone.append(seconds(plain))
            ratios[name].append(seconds(step) / alone[-1])
    print(f"{'plain step':16s} {1000 * statistics.median(alone):6.1f} ms")
    for name, (_, target) in steps.items():
        low, middle, high = statistics.quantiles(ratios[name], n=4)
        wanted = f"   target {target:.2f}, {'met' if middle <= target else 'missed'}" if target else ""
        print(f"{name:16s} {middle:6.2f} × [{low:.2f}, {high:.2f}]{wanted}")
    print("UDA's targets are (1 + 4r/3) · 1.1 for a ratio of r; in brackets the quartiles")

    methods = {"plain": BASELINE} | {
        f"PGD-{k}": replace(BASELINE, adversarial=replace(PGD, steps=k)) for k in (1, 3, 8)
    }
    base = 0.0
    for name, method in methods.items():
        step = ours(method, length, dtype)
        step()  # after it the optimizer's state is there
        most = peak(step)
        base = base or most
        print(f"memory of a step, {name:5s} {most:7.1f} MiB  {most / base:.2f} ×")


if __name__ == "__main__":
    main()
