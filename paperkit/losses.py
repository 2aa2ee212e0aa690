"""The losses, as pure functions of tensors: of logits ``(N, K)``, labels ``(N,)``, embeddings ``(N, d)``.

Paper B's focal loss first, then the terms of paper A in the order of its §3. What the terms are summed to stands in
:mod:`paperkit.training.objective`.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from paperkit.errors import InputError
from paperkit.terms import DIVERGENCES, RAMPS, TSA, accept


def focal(logits: Tensor, labels: Tensor, gamma: float = 2.0, alpha: float | Tensor | None = None) -> Tensor:
    """Focal loss, paper B eqs (12), (13), (18), after Lin et al. 2017::

        FL(p_t) = −α_t (1 − p_t)^γ log p_t        p_t: probability of the true class

    γ = 0 without α is cross-entropy. The factor (1 − p_t)^γ comes from log(1 − p_t), the log-sum-exp of the *other*
    logits. The usual code computes it as ``(1 - p) ** gamma``, whose gradient is infinite at p_t = 1 for γ < 1 and
    turns into NaN on the first well-learned example; this form has finite gradients for every γ ≥ 0 and every logit.

    Args:
        logits: ``(N, K)``, K ≥ 2, of any size.
        labels: int64 ``(N,)`` in [0, K).
        gamma: focusing parameter γ ≥ 0; the paper says [0, 5].
        alpha: weights α_t: None for 1; a float in [0, 1] with two classes, the weight of class 1 (class 0 gets 1 − α);
            or one weight per class ``(K,)``. Lin's .25 belongs to a rare class 1; in paper B class 1 is the *majority*.

    Returns:
        The loss of each example ``(N,)``; no reduction, the caller takes the mean.

    Raises:
        InputError: negative γ, α outside [0, 1], a float α with more than two classes, or weights of the wrong shape.
    """
    if not gamma >= 0:
        raise InputError(f"focal loss: gamma is {gamma}; accepted is any number from 0 up (the paper: 0 to 5)")
    true = labels.unsqueeze(-1)
    log_p = F.log_softmax(logits, dim=-1)
    log_p_t = log_p.gather(-1, true).squeeze(-1)
    log_not_p_t = log_p.scatter(-1, true, -torch.inf).logsumexp(dim=-1)
    loss = -(gamma * log_not_p_t).exp() * log_p_t
    return loss if alpha is None else _class_weights(alpha, logits)[labels] * loss


def _class_weights(alpha: float | Tensor, logits: Tensor) -> Tensor:
    n_classes = logits.shape[-1]
    if isinstance(alpha, Tensor):
        if alpha.shape != (n_classes,):
            raise InputError(f"focal loss: alpha has shape {tuple(alpha.shape)}; accepted is ({n_classes},)")
        return alpha.to(logits)
    if n_classes != 2:
        raise InputError(
            f"focal loss: a single alpha means two classes, here are {n_classes}; give one weight per class"
        )
    if not 0 <= alpha <= 1:
        raise InputError(f"focal loss: alpha is {alpha}; accepted is a number from 0 to 1")
    return logits.new_tensor([1 - alpha, alpha])


def inverse_frequency(labels: Tensor, n_classes: int) -> Tensor:
    """Class weights ∝ 1 / class size, summing to 1 ``(K,)``: with two classes, Lin's (1 − α, α).

    A class without examples gets weight 0: it has no loss to weigh.
    """
    counts = torch.bincount(labels, minlength=n_classes).double()
    weights = torch.where(counts > 0, 1 / counts.clamp(min=1), 0)
    return (weights / weights.sum()).float()


# Paper A §3.1: the supervised and the consistency loss of UDA (Xie et al. 2020)


def tsa_threshold(progress: float, n_classes: int, schedule: str) -> float:
    """Training signal annealing: the highest probability η_t at which a labelled example still trains::

        η_t = s(t) · (1 − 1/K) + 1/K        s(t) = t, 1 − e^{−5t} or e^{5(t − 1)}: linear, log, exp

    Args:
        progress: t, the share of the training steps that are done, in [0, 1].
        schedule: ``"linear"``; ``"log"`` releases examples early; ``"exp"`` late; ``"none"`` holds none back (η = 1).
    """
    accept("loss: ", tsa=(schedule, TSA))
    if schedule == "none":
        return 1.0
    s = {"linear": progress, "log": 1 - math.exp(-5 * progress), "exp": math.exp(5 * (progress - 1))}[schedule]
    return s * (1 - 1 / n_classes) + 1 / n_classes


def tsa_mask(logits: Tensor, labels: Tensor, threshold: float) -> Tensor:
    """Which labelled examples train, bool ``(N,)``: those whose *correct* class has a probability of at most η_t.

    Public code often asks for the highest probability instead, which drops exactly the confident mistakes.
    """
    return F.softmax(logits.detach(), dim=-1).gather(-1, labels[:, None]).squeeze(-1) <= threshold


def average(losses: Tensor, kept: Tensor | None = None, divisor: str = "kept") -> Tensor:
    """Mean over the ``kept`` examples, or their sum over all (``divisor="batch"``); 0, with a gradient of 0, if none is.

    UDA's release divides its supervised loss by the kept examples and its consistency loss by all.
    """
    if divisor not in ("kept", "batch"):
        raise InputError(f"divisor is {divisor!r}; accepted are 'kept', 'batch'")
    if kept is None:
        return losses.mean()
    count = kept.sum().clamp(min=1) if divisor == "kept" else max(len(losses), 1)
    return torch.where(kept, losses, 0.0).sum() / count


def sharpen(logits: Tensor, temperature: float) -> Tensor:
    """softmax(z / T) ``(N, K)``: T < 1 makes the *target* more certain; the prediction is never sharpened."""
    if not temperature > 0:
        raise InputError(f"temperature is {temperature}; accepted is any number above 0 (UDA: up to 1)")
    return F.softmax(logits / temperature, dim=-1)


def confident(logits: Tensor, threshold: float) -> Tensor:
    """Which unlabelled examples train, bool ``(N,)``: those whose *unsharpened* highest probability is at least β."""
    return F.softmax(logits.detach(), dim=-1).amax(dim=-1) >= threshold


def divergence(logits: Tensor, target: Tensor, kind: str = "kl") -> Tensor:
    """How far a prediction is from a target distribution, for each example ``(N,)``::

        kl    Σ_k q_k log q_k − Σ_k q_k log p_k      q: target, p = softmax(z): prediction
        ce    − Σ_k q_k log p_k
        mse   1/K Σ_k (p_k − q_k)²                   as Laine & Aila 2017 and Tarvainen & Valpola 2017

    With a target that takes no gradient, ``kl`` and ``ce`` differ by a constant, the target's entropy: their gradients
    are equal. Paper A chose KL because cross-entropy "did not fit"; that cannot be the reason.

    Args:
        logits: ``(N, K)``.
        target: probabilities ``(N, K)``.
    """
    if kind == "mse":
        return (F.softmax(logits, dim=-1) - target).square().mean(dim=-1)
    accept("loss: ", divergence=(kind, DIVERGENCES))
    cross_entropy = -(target * F.log_softmax(logits, dim=-1)).sum(dim=-1)
    if kind == "ce":
        return cross_entropy
    # not xlogy: where a target that takes gradients (Π-Model) underflows to 0, its gradient is 0/0
    smallest = torch.finfo(target.dtype).tiny
    return cross_entropy + (target * target.clamp(min=smallest).log()).sum(dim=-1)


def entropy(logits: Tensor) -> Tensor:
    """− Σ_k p_k log p_k of each prediction ``(N,)``; minimised, it keeps decision borders out of dense regions."""
    log_p = F.log_softmax(logits, dim=-1)
    return -(log_p.exp() * log_p).sum(dim=-1)


def ramp(progress: float, kind: str, length: float) -> float:
    """Weight in [0, 1] of an unsupervised term that must wait for the model to know something.

    ``"linear"``: t / length, Pseudo-Label's α(t); ``"gaussian"``: e^{−5 (1 − t/length)²}, Laine & Aila's w(t). From
    ``length`` (a share of the steps) on it is 1.
    """
    accept("loss: ", ramp=(kind, RAMPS))
    if kind == "none" or progress >= length:
        return 1.0
    return progress / length if kind == "linear" else math.exp(-5 * (1 - progress / length) ** 2)


# Paper A §3.2: contrastive learning (ESimCSE, Wu et al. 2022)


def info_nce(
    h: Tensor,
    positives: Tensor,
    temperature: float = 0.05,
    queue: Tensor | None = None,
    negatives: Tensor | None = None,
    own: Tensor | None = None,
) -> Tensor:
    """InfoNCE with cosine similarity, for each example ``(N,)``::

        − log  exp(sim(h_i, h_i⁺)/τ) / ( Σ_j exp(sim(h_i, h_j⁺)/τ) + Σ_q exp(sim(h_i, k_q)/τ) + Σ_n exp(sim(h_i, h_n⁻)/τ) )

    Args:
        h, positives: ``(N, d)``; row i of one belongs to row i of the other, the other rows are its negatives.
        temperature: τ > 0.
        queue: k ``(M, d)``, embeddings of earlier batches by the momentum encoder; no gradient flows into them.
        negatives: h⁻ ``(n, d)``, texts that were made to differ (paper A's EDA negatives; not in its printed loss).
        own: which k_q are of text i itself, bool ``(N, M)``, and therefore left out of its sum. ESimCSE's release keeps them;
            in a pool of a million texts there are none, in one of a hundred every text would be pushed away from itself.
    """
    if not temperature > 0:
        raise InputError(f"temperature is {temperature}; accepted is any number above 0 (ESimCSE: 0.05)")
    others = [positives]
    others += [] if queue is None else [queue.detach()]
    others += [] if negatives is None else [negatives]
    similarity = F.normalize(h, dim=-1) @ F.normalize(torch.cat(others), dim=-1).T  # (N, N + M + n)
    if own is not None:
        n, m = own.shape
        similarity[:, n : n + m].masked_fill_(own, -torch.inf)
    return F.cross_entropy(similarity / temperature, torch.arange(len(h), device=h.device), reduction="none")


# Paper A, contribution 2 (named there, not defined): mixup (Zhang et al. 2018)


def mix(x: Tensor, partner: Tensor, share: Tensor) -> Tensor:
    """λ x_i + (1 − λ) x_partner(i): embeddings ``(N, T, d)`` or sentence representations ``(N, d)``.

    Args:
        partner: a permutation of the batch, int64 ``(N,)``.
        share: λ ~ Beta(a, a), one per example ``(N,)``.
    """
    share = share.to(x).view(-1, *[1] * (x.ndim - 1))
    return share * x + (1 - share) * x[partner]
