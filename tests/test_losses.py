"""Focal loss against the formula in plain Python, against cross-entropy, and where the usual code breaks."""

import math
import re

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from paperkit.errors import InputError
from paperkit.losses import average, divergence, focal, inverse_frequency

GAMMAS = (0, 0.5, 1, 2, 5)


def naive(logits, label, gamma, weights) -> float:
    """Eq (13) for one example."""
    powers = [math.exp(z - max(logits)) for z in logits]
    p = [power / sum(powers) for power in powers]
    others = sum(p[k] for k in range(len(p)) if k != label)  # 1 − p_t, exact where p_t is near 1
    return -weights[label] * others**gamma * math.log(p[label])


def examples(k, n=50, spread=3.0):
    rng = np.random.default_rng(k)
    return torch.tensor(rng.normal(0, spread, (n, k))), torch.tensor(rng.integers(0, k, n))


def tensor_alpha(k):
    return torch.linspace(0.1, 0.9, k, dtype=torch.float64)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("gamma", GAMMAS)
@pytest.mark.parametrize(("k", "alpha"), [(2, None), (2, 0.25), (2, "tensor"), (7, None), (7, "tensor")])
def test_it_is_the_formula(k, alpha, gamma, dtype):
    logits, labels = examples(k)
    weights = {None: [1.0] * k, 0.25: [0.75, 0.25], "tensor": tensor_alpha(k).tolist()}[alpha]
    expected = [naive(z, y, gamma, weights) for z, y in zip(logits.tolist(), labels.tolist(), strict=True)]
    loss = focal(logits.to(dtype), labels, gamma, tensor_alpha(k) if alpha == "tensor" else alpha)
    assert loss.shape == (50,) and loss.dtype == dtype
    assert loss.tolist() == pytest.approx(expected, rel=1e-6, abs=1e-6 if dtype == torch.float32 else 1e-12)


@pytest.mark.parametrize("k", [2, 7])
def test_gamma_zero_is_cross_entropy(k):
    logits, labels = examples(k)
    assert torch.allclose(focal(logits, labels, 0), F.cross_entropy(logits, labels, reduction="none"), atol=1e-12)
    weighted = F.cross_entropy(logits, labels, weight=tensor_alpha(k), reduction="none")
    assert torch.allclose(focal(logits, labels, 0, tensor_alpha(k)), weighted, atol=1e-12)


def test_the_default_is_gamma_two_without_alpha():
    logits, labels = examples(2)
    assert torch.equal(focal(logits, labels), focal(logits, labels, 2.0, None))
    assert not torch.allclose(focal(logits, labels), focal(logits, labels, 1.0))


@pytest.mark.parametrize("gamma", [0, 0.25, 0.5, 1, 2, 5])
@pytest.mark.parametrize("k", [2, 3])
@pytest.mark.parametrize("spread", [1.0, 12.0])
def test_its_gradient_is_the_derivative(gamma, k, spread):
    logits, labels = examples(k, n=8, spread=spread)
    alpha = tensor_alpha(k)
    assert torch.autograd.gradcheck(lambda z: focal(z, labels, gamma, alpha), logits.requires_grad_())


@pytest.mark.parametrize("gamma", [0, 0.25, 0.5, 1, 2, 5])
@pytest.mark.parametrize("size", [20.0, 100.0, 1e4])
@pytest.mark.parametrize("k", [2, 7])
def test_it_is_finite_at_any_logit(k, size, gamma):
    """At p_t = 1 the usual ``(1 - p) ** gamma`` has an infinite derivative for γ < 1; p_t = 0 is the other end."""
    logits = torch.full((k, k), -size)
    logits.fill_diagonal_(size)
    right, wrong = torch.arange(k), (torch.arange(k) + 1) % k
    z = torch.cat([logits, logits]).requires_grad_()
    loss = focal(z, torch.cat([right, wrong]), gamma, torch.ones(k))
    (gradient,) = torch.autograd.grad(loss.sum(), z)
    loss = loss.detach()
    assert loss.isfinite().all() and gradient.isfinite().all()
    assert loss[:k].abs().max() < 1e-6
    assert loss[k:].tolist() == pytest.approx([2 * size] * k, rel=1e-5)
    # sure and right: nothing to learn; sure and wrong: the gradient of cross-entropy
    assert gradient[:k].abs().max() < 1e-3
    assert torch.allclose(gradient[k:], logits.softmax(1) - F.one_hot(wrong, k), atol=1e-3)


@given(
    arrays.arrays(np.float64, (4, 3), elements=st.floats(-30, 30)),
    st.lists(st.integers(0, 2), min_size=4, max_size=4),
    st.floats(0, 5),
    st.floats(0, 5),
    st.floats(-50, 50),
)
def test_invariants(logits, labels, gamma, more, shift):
    z, y = torch.tensor(logits), torch.tensor(labels)
    loss = focal(z, y, gamma)
    assert (loss >= 0).all()
    assert (focal(z, y, gamma + more) <= loss * (1 + 1e-9)).all(), "more focus, less loss: why Fig. 6 looks as it does"
    assert torch.allclose(focal(z + shift, y, gamma), loss, atol=1e-9), "only differences of logits count"
    assert torch.allclose(focal(z[:, [2, 0, 1]], (y + 1) % 3, gamma), loss, atol=1e-12), "classes have no order"
    assert torch.allclose(focal(z.flip(0), y.flip(0), gamma), loss.flip(0)), "examples do not see each other"
    assert torch.allclose(focal(z, y, gamma, torch.full((3,), 0.3)), 0.3 * loss)


def test_a_float_alpha_is_the_weight_of_class_one():
    logits, labels = torch.zeros(2, 2), torch.tensor([0, 1])
    assert focal(logits, labels, 0, 0.25).tolist() == pytest.approx([0.75 * math.log(2), 0.25 * math.log(2)])


@pytest.mark.parametrize(
    ("k", "options", "sentence"),
    [
        (2, {"gamma": -0.5}, "focal loss: gamma is -0.5; accepted is any number from 0 up (the paper: 0 to 5)"),
        (2, {"gamma": math.nan}, "focal loss: gamma is nan; accepted is any number from 0 up (the paper: 0 to 5)"),
        (2, {"alpha": 1.5}, "focal loss: alpha is 1.5; accepted is a number from 0 to 1"),
        (2, {"alpha": -0.1}, "focal loss: alpha is -0.1; accepted is a number from 0 to 1"),
        (2, {"alpha": math.nan}, "focal loss: alpha is nan; accepted is a number from 0 to 1"),
        (3, {"alpha": 0.5}, "focal loss: a single alpha means two classes, here are 3; give one weight per class"),
        (3, {"alpha": torch.ones(2)}, "focal loss: alpha has shape (2,); accepted is (3,)"),
        (2, {"alpha": torch.ones(2, 1)}, "focal loss: alpha has shape (2, 1); accepted is (2,)"),
        (2, {"alpha": torch.tensor(0.5)}, "focal loss: alpha has shape (); accepted is (2,)"),
    ],
)
def test_what_cannot_be_used_is_refused(k, options, sentence):
    with pytest.raises(InputError, match=f"^{re.escape(sentence)}$"):
        focal(torch.zeros(1, k), torch.tensor([0]), **options)


@given(st.lists(st.integers(0, 4), min_size=1, max_size=60))
def test_inverse_frequency_is_a_loop(labels):
    shares = [labels.count(k) / len(labels) for k in range(6)]
    raw = [1 / share if share else 0.0 for share in shares]
    weights = inverse_frequency(torch.tensor(labels), 6)
    assert weights.dtype == torch.float32
    assert weights.tolist() == pytest.approx([w / sum(raw) for w in raw], rel=1e-6)
    assert weights[5] == 0, "a class without examples has no loss to weigh"


def test_inverse_frequency_of_two_classes_is_lins_alpha():
    labels = torch.tensor([1, 1, 1, 0])  # as in paper B, class 1 is the majority
    weights = inverse_frequency(labels, 2)
    assert weights.tolist() == pytest.approx([0.75, 0.25])
    logits = examples(2, 4)[0]
    assert torch.allclose(focal(logits, labels, 2, weights), focal(logits, labels, 2, 0.25))
    total = [float(focal(torch.zeros(4, 2), labels, 0, weights)[labels == k].sum()) for k in (0, 1)]
    assert total[0] == pytest.approx(total[1]), "both classes pull equally hard"


def test_kl_to_a_target_that_takes_gradients_stays_finite_where_it_is_certain():
    """Π-Model's target is alive: of a class whose probability underflows, q log q has the limit 0, and so has its share."""
    logits = torch.tensor([[0.0, 200.0, -50.0]], requires_grad=True)
    prediction = torch.zeros(1, 3, requires_grad=True)
    loss = divergence(prediction, logits.softmax(dim=-1))
    loss.sum().backward()
    assert loss.item() == pytest.approx(math.log(3))
    assert logits.grad.isfinite().all() and prediction.grad[0].tolist() == pytest.approx([1 / 3, -2 / 3, 1 / 3])


@pytest.mark.parametrize(("divisor", "expected"), [("kept", 3.0), ("batch", 1.5)])
def test_an_average_is_divided_by_what_is_said(divisor, expected):
    values, kept = torch.tensor([1.0, 7.0, 5.0, 9.0]), torch.tensor([True, False, True, False])
    assert average(values, kept, divisor).item() == expected
    assert average(values, ~kept & kept, divisor).item() == 0
    assert average(values[:0], kept[:0], divisor).item() == 0
