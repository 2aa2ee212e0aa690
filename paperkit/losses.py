"""The losses, as pure functions of tensors."""

import torch
import torch.nn.functional as F
from torch import Tensor

from paperkit.errors import InputError


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
