"""Steps made by hand, and the terms of paper A's loss as loops over the examples of one.

Networks of doubles are compared with them: in single precision a wrong formula could hide behind the rounding.
"""

import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from paperkit.training.methods import Attack, Method
from paperkit.training.objective import Objective, Step
from tests.networks import CLASSES, batch, labels

BATCH = 4


def cross_entropy(logits, y):
    return F.cross_entropy(logits, y, reduction="none")


def make_step(kind: str, number: int = 3, progress: float = 0.3, **changes) -> Step:
    made = Step(
        number,
        progress,
        labelled=batch(kind, (5, 3, 7, 1), 1),
        labels=labels(BATCH),
        unlabelled=batch(kind, (4, 6, 2, 3, 5), 2, rows=(9, 3, 4, 7, 12)),
        augmented=batch(kind, (5, 6, 1, 3, 4), 3, rows=(9, 3, 4, 7, 12)),
        similar=batch(kind, (3, 4, 6, 2), 4),
        positives=batch(kind, (4, 4, 7, 3), 5),
    )
    return replace(made, **changes)


POOL = torch.tensor([1, 3, 4, 7, 9, 12, 30])


def objective_of(method: Method, model, **options) -> Objective:
    torch.manual_seed(5)
    return Objective(method, model, cross_entropy, **{"batch_size": BATCH, "pool": POOL, "seed": 2} | options)


def gradients(*modules) -> dict[str, torch.Tensor]:
    """Of every parameter, zeros where there is none."""
    return {f"{i}.{name}": torch.zeros_like(parameter) if parameter.grad is None else parameter.grad.clone()
            for i, module in enumerate(modules) for name, parameter in module.named_parameters()}  # fmt: skip


def forget(*modules) -> None:
    for module in modules:
        module.zero_grad(set_to_none=True)


def near(expected):
    """Equal but for the rounding of doubles."""
    return pytest.approx(expected, rel=1e-9, abs=1e-12)


def close(found: torch.Tensor, wanted: torch.Tensor) -> bool:
    """Whether tensors are equal but for the rounding of doubles."""
    return torch.allclose(found, wanted, rtol=1e-9, atol=1e-12)


def same(found: dict, wanted: dict) -> bool:
    """Whether these are the same gradients."""
    return found.keys() == wanted.keys() and all(close(found[name], wanted[name]) for name in wanted)


def logits_of(model, texts) -> torch.Tensor:
    return model(texts.ids, texts.lengths)


def naive_sup(model, step: Step, threshold: float = 1.0):
    """L_sup, and which examples train."""
    logits = logits_of(model, step.labelled)
    kept = [i for i, y in enumerate(step.labels.tolist()) if logits[i].softmax(0)[y].item() <= threshold]
    terms = [-logits[i].log_softmax(0)[step.labels[i]] for i in kept]
    return sum(terms, logits.sum() * 0) / max(len(kept), 1), kept


def naive_delta(model, step: Step, attack: Attack, i: int) -> torch.Tensor:
    """Δ of labelled example i, computed alone."""
    n = int(step.labelled.lengths[i])
    clean = model.embed(step.labelled.ids[i : i + 1, :n]).detach()
    inside = step.labelled.inside[i, :n, None]
    epsilon, alpha = attack.epsilon, attack.step_size or 2.5 * attack.epsilon / attack.steps
    delta = torch.zeros_like(clean)
    for _ in range(attack.steps if attack.kind == "pgd" else 1):
        x = (clean + delta).requires_grad_()
        loss = F.cross_entropy(model.classify(x, torch.tensor([n])), step.labels[i : i + 1])
        g = torch.autograd.grad(loss, x)[0] * inside
        if attack.kind == "fgm":
            return epsilon * g / g.norm()
        delta = delta + alpha * g / g.norm()
        delta = delta * min(1.0, epsilon / delta.norm().item())
    return delta


def naive_adv(model, step: Step, attack: Attack, kept: list[int]):
    """L_adv over the examples that train."""
    total = 0.0
    for i in kept:
        n = step.labelled.lengths[i : i + 1]
        embedded = model.embed(step.labelled.ids[i : i + 1, : int(n)])
        logits = model.classify(embedded + naive_delta(model, step, attack, i), n)
        total = total + F.cross_entropy(logits, step.labels[i : i + 1])
    return total / max(len(kept), 1)


def naive_cons(model, step: Step, temperature: float = 1.0, beta: float = 0.0):
    """UDA's L_cons with the release's divisor, and how many texts train."""
    target, view, total, sure = logits_of(model, step.unlabelled).detach(), logits_of(model, step.augmented), 0.0, 0
    for i in range(len(target)):
        if target[i].softmax(0).max() < beta:
            continue
        sure += 1
        q = (target[i] / temperature).softmax(0)
        for k in range(CLASSES):
            total = total + q[k] * (math.log(q[k]) - view[i].log_softmax(0)[k])
    return total / len(target), sure


def naive_sim(model, projection, step: Step, temperature: float = 0.05, queue=(), negatives=()):
    """L_sim."""
    h, other = (
        projection(model.represent(model.embed(texts.ids), texts.lengths)) for texts in (step.similar, step.positives)
    )
    losses = []
    for i in range(len(h)):
        scores = [F.cosine_similarity(h[i], x, dim=0) / temperature for x in (*other, *queue, *negatives)]
        losses.append(torch.stack(scores).logsumexp(0) - scores[i])
    return sum(losses) / len(losses)
