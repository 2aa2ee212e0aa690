"""Adversarial perturbations of word embeddings: FGM (Miyato et al. 2017), PGD (Madry et al. 2018), and controls.

A text of T tokens is embedded as ``(T, d)``; L2 and Frobenius norm of a perturbation are the same thing. Perturbed is the
*output* of the embedding, each example on its own. The code that circulates perturbs the weight matrix instead, with one
norm for the whole batch, so that its ε silently shrinks as the batch grows; ``scope="matrix"`` keeps that form for
comparison. No weight is ever touched, in neither form, so there is nothing to restore but random state and buffers.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from paperkit.errors import InputError
from paperkit.losses import divergence
from paperkit.terms import Attack

Losses = Callable[[Tensor], Tensor]
"""Embeddings ``(N, T, d)`` to the loss of each example ``(N,)``."""


def norms(x: Tensor) -> Tensor:
    """‖x_i‖_F of each example, ``(N, T, d)`` to ``(N,)``."""
    return x.flatten(1).norm(dim=1)


def unit_of(attack: Attack, embedded: Tensor, inside: Tensor) -> Tensor:
    """What ε counts in, ``(N, 1, 1)``: 1, or the norm of each example's clean embeddings."""
    norm = norms(embedded.detach() * inside[..., None])
    return (norm if attack.relative else torch.ones_like(norm))[:, None, None]


def project(delta: Tensor, radius: Tensor) -> Tensor:
    """Π_{‖Δ‖ ≤ ε}: what is outside the ball goes to its border, each example by itself."""
    return delta * (radius / norms(delta)[:, None, None].clamp(min=1e-30)).clamp(max=1)


def direction(gradient: Tensor, inside: Tensor, sign: bool = False) -> Tensor:
    """g / ‖g‖_F of each example, over its ``inside`` positions ``(N, T)`` alone; 0 where g is zero or not finite.

    With ``sign`` the same of sign(g).
    """
    g = torch.where(inside[..., None], gradient, 0.0)
    largest = g.abs().amax(dim=(1, 2), keepdim=True)
    usable = largest.isfinite() & (largest > 0)
    # scaled first: squares of tiny gradients vanish
    g = torch.where(usable, g / torch.where(usable, largest, 1.0), 0.0)
    g = g.sign() if sign else g
    return g / norms(g)[:, None, None].clamp(min=1e-30)


def gradient_of(model: nn.Module, losses: Losses, embedded: Tensor) -> Tensor:
    """∇ of every example's loss with respect to its own embeddings; examples do not influence each other."""
    # cuDNN's recurrent layers have no backward pass in eval mode; its flags() would reset all other settings too
    cudnn, enabled = torch.backends.cudnn, torch.backends.cudnn.enabled
    cudnn.enabled = enabled and model.training
    try:
        with torch.enable_grad():
            x = embedded.detach().requires_grad_()
            return torch.autograd.grad(losses(x).sum(), x)[0]
    finally:
        cudnn.enabled = enabled


def perturb(
    model: nn.Module,
    losses: Losses,
    embedded: Tensor,
    inside: Tensor,
    attack: Attack,
    *,
    gradient: Tensor | None = None,
    ids: Tensor | None = None,
    start: Tensor | None = None,
    generator: torch.Generator | None = None,
) -> Tensor:
    """The perturbation Δ ``(N, T, d)``, detached::

        FGM   Δ = ε g/‖g‖                                 g = ∇ of each example's loss at its embeddings
        PGD   Δ_0 = 0;  Δ_{t+1} = Π_{‖Δ‖ ≤ ε}( Δ_t + α g_t/‖g_t‖ ),  K steps

    Args:
        model: whose buffers are afterwards what they were, as is random state outside of ``generator``, also when it raises.
        losses: embeddings to the loss of each example, through ``model``. Gradients are taken with respect to the
            embeddings alone; none reaches a parameter.
        inside: which positions may be perturbed, bool ``(N, T)``: neither padding nor special tokens.
        gradient: g at the clean embeddings where a training step knows it already, up to a positive factor for each
            example. FGM then costs nothing more, PGD K − 1 passes.
        ids: token numbers ``(N, T)``, for ``scope="matrix"``.
        start: Δ_0 of PGD inside the ball, for restarts.
        generator: of the random direction of ``"noise"``; the global one when None.

    Returns:
        Zero for an example whose gradient is zero or not finite.
    """
    embedded = embedded.detach()
    unit = unit_of(attack, embedded, inside)
    radius, stride = attack.epsilon * unit, attack.stride * unit
    if attack.kind == "noise":
        return radius * _noise(embedded, inside, generator)
    if attack.scope == "matrix":
        if ids is None or start is not None:
            raise InputError("attack: scope 'matrix' needs the token numbers of the batch, ids, and has no other start")
        return _on_matrix(model, losses, embedded, ids, attack, gradient)
    delta = torch.zeros_like(embedded) if start is None else start
    with undisturbed(model, embedded.device):
        if gradient is None or start is not None:
            gradient = gradient_of(model, losses, embedded + delta)
        if attack.kind != "pgd":
            return radius * direction(gradient, inside, sign=attack.kind == "fgsm")
        for step in range(attack.steps):
            if step:
                gradient = gradient_of(model, losses, embedded + delta)
            delta = project(delta + stride * direction(gradient, inside), radius)
    return delta


def virtual(
    model: nn.Module,
    classify: Callable[[Tensor], Tensor],
    embedded: Tensor,
    inside: Tensor,
    target: Tensor,
    attack: Attack,
    xi: float = 1e-2,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Virtual adversarial perturbation (Miyato et al. 2017): the direction in which the *prediction* changes most.

    Power iteration: d random, then ``attack.steps`` times d = g/‖g‖ with g = ∇_d KL(target ‖ p(x + ξ d)); Δ = ε d. It needs
    no label. ``xi`` is in the unit of ε; float32 sees no difference of KL below about 1e-3 of the embeddings.

    Dropout is off, and ``target`` should have been predicted so: between two dropout masks KL has a gradient at d = 0
    already, which the iteration would follow instead.
    """
    embedded = embedded.detach()
    unit = unit_of(attack, embedded, inside)
    d = _noise(embedded, inside, generator)
    with undisturbed(model, embedded.device), evaluating(model):
        for _ in range(attack.steps):
            at = embedded + xi * unit * d
            d = direction(gradient_of(model, lambda x: divergence(classify(x), target), at), inside)
    return attack.epsilon * unit * d


@contextmanager
def undisturbed(model: nn.Module, device: torch.device) -> Iterator[None]:
    """Random state of CPU and ``device``, and the model's buffers, are afterwards what they were before."""
    buffers = [(part, name, buffer, buffer.clone()) for part in model.modules()
               for name, buffer in part._buffers.items() if buffer is not None]  # fmt: skip
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        try:
            yield
        finally:
            with torch.no_grad():
                for part, name, buffer, before in buffers:
                    part._buffers[name] = buffer  # it may have been replaced
                    if not torch.equal(buffer, before):  # to write is to spoil the graphs of earlier passes
                        buffer.copy_(before)


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Dropout is off, and afterwards as it was."""
    modes = [(part, part.training) for part in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for part, training in modes:
            part.training = training


def _noise(embedded: Tensor, inside: Tensor, generator: torch.Generator | None) -> Tensor:
    """A random direction for each example; without a generator from torch's own, on the CPU."""
    noise = torch.randn(embedded.shape, generator=generator, dtype=embedded.dtype)
    return direction(noise.to(embedded.device), inside)


def _on_matrix(
    model: nn.Module, losses: Losses, embedded: Tensor, ids: Tensor, attack: Attack, gradient: Tensor | None
) -> Tensor:
    """The community's form: Δ of the embedding *matrix*, whose rows every occurrence of a token shares, special ones too.

    Its gradient is the sum over all occurrences in the batch, so only the rows that occur need to be kept.
    """
    used, place = ids.unique(return_inverse=True)
    matrix = embedded.new_zeros(1, len(used), embedded.shape[-1])
    everywhere = torch.ones(matrix.shape[:2], dtype=torch.bool, device=ids.device)
    radius = matrix.new_full((1, 1, 1), attack.epsilon)
    with undisturbed(model, embedded.device):
        for step in range(attack.steps if attack.kind == "pgd" else 1):
            if step or gradient is None:
                gradient = gradient_of(model, losses, embedded + matrix[0, place])
            summed = torch.zeros_like(matrix[0]).index_add(0, place.flatten(), gradient.flatten(0, 1))
            way = direction(summed[None], everywhere, sign=attack.kind == "fgsm")
            matrix = project(matrix + attack.stride * way, radius) if attack.kind == "pgd" else radius * way
    return matrix[0, place]
