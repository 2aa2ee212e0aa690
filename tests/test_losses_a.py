"""The losses of paper A against plain loops over examples and classes."""

import math
import re
from itertools import pairwise

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from paperkit import losses
from paperkit.errors import InputError

N, K, D = 5, 4, 3


def softmax(z: list[float], temperature: float = 1.0) -> list[float]:
    powers = [math.exp((x - max(z)) / temperature) for x in z]
    return [power / sum(powers) for power in powers]


def cosine(a: list[float], b: list[float]) -> float:
    return sum(x * y for x, y in zip(a, b, strict=True)) / (math.hypot(*a) * math.hypot(*b))


def random(*shape: int, seed: int = 0, spread: float = 2.0) -> torch.Tensor:
    return torch.tensor(np.random.default_rng(seed).normal(0, spread, shape))


def near(expected):
    return pytest.approx(expected, rel=1e-9, abs=1e-9)


few = settings(max_examples=40)
LOGITS = arrays.arrays(np.float64, (N, K), elements=st.floats(-20, 20))

# Training signal annealing


@pytest.mark.parametrize("k", [2, 7])
@pytest.mark.parametrize("t", [0, 0.3, 1])
def test_tsa_thresholds_are_the_formula(t, k):
    share = {"linear": t, "exp": math.e ** (5 * (t - 1)), "log": 1 - math.e ** (-5 * t)}
    for schedule, s in share.items():
        assert losses.tsa_threshold(t, k, schedule) == near(s * (1 - 1 / k) + 1 / k)
    assert losses.tsa_threshold(t, k, "none") == 1
    assert set(losses.TSA) == {"none", *share}


def test_tsa_starts_where_guessing_is_and_linear_ends_where_all_train():
    assert losses.tsa_threshold(0, 4, "linear") == losses.tsa_threshold(0, 4, "log") == 0.25
    assert 0.25 < losses.tsa_threshold(0, 4, "exp") < 0.26
    assert losses.tsa_threshold(1, 4, "linear") == losses.tsa_threshold(1, 4, "exp") == 1
    assert 0.99 < losses.tsa_threshold(1, 4, "log") < 1


@few
@given(st.floats(0, 1), st.floats(0, 1), st.integers(2, 50))
def test_tsa_rises_and_exp_is_the_latest(t, later, k):
    t, later = sorted((t, later))
    for schedule in ("linear", "log", "exp"):
        low, high = (losses.tsa_threshold(x, k, schedule) for x in (t, later))
        assert 1 / k <= low <= high <= 1 + 1e-12
    exp, linear, log = (losses.tsa_threshold(t, k, schedule) for schedule in ("exp", "linear", "log"))
    assert exp - 0.007 <= linear <= log + 0.007, "e^-5 apart at the ends"


@few
@given(LOGITS, st.lists(st.integers(0, K - 1), min_size=N, max_size=N), st.floats(0.25, 1))
def test_tsa_asks_for_the_correct_class(z, y, threshold):
    kept = losses.tsa_mask(torch.tensor(z), torch.tensor(y), threshold)
    assert kept.dtype == torch.bool
    for row, label, keeps in zip(z.tolist(), y, kept.tolist(), strict=True):
        p = softmax(row)[label]
        assert keeps == (p <= threshold) or p == pytest.approx(threshold, abs=1e-12)


def test_a_confident_mistake_trains_under_tsa():
    z = torch.tensor([[5.0, 0, 0], [5.0, 0, 0]])
    assert losses.tsa_mask(z, torch.tensor([0, 1]), 0.5).tolist() == [False, True]


# Averages


@few
@given(
    arrays.arrays(np.float64, N, elements=st.floats(0, 50)),
    st.lists(st.booleans(), min_size=N, max_size=N),
    st.sampled_from(["kept", "batch"]),
)
def test_an_average_is_a_loop_and_so_is_its_gradient(values, kept, divisor):
    x = torch.tensor(values, requires_grad=True)
    value = losses.average(x, torch.tensor(kept), divisor)
    total, count = 0.0, 0
    for loss, keeps in zip(values.tolist(), kept, strict=True):
        total, count = total + keeps * loss, count + keeps
    n = max(count, 1) if divisor == "kept" else N
    assert value.item() == near(total / n)
    value.backward()
    assert x.grad.tolist() == near([keeps / n for keeps in kept])


def test_the_default_divisor_is_the_kept_and_without_a_mask_all_are():
    x, kept = torch.tensor([1.0, 2, 6, 100]), torch.tensor([True, True, False, False])
    assert losses.average(x, kept) == 1.5 and losses.average(x, kept, "batch") == 0.75
    assert losses.average(x) == losses.average(x, torch.ones(4, dtype=torch.bool)) == 27.25


@pytest.mark.parametrize("divisor", ["kept", "batch"])
def test_when_all_are_dropped_it_is_a_zero_that_back_propagates(divisor):
    z = random(N, K).requires_grad_()
    y = z.detach().argmax(dim=1)
    kept = losses.tsa_mask(z, y, 0.1)
    assert not kept.any()
    value = losses.average(F.cross_entropy(z, y, reduction="none"), kept, divisor)
    assert value.ndim == 0 and value.item() == 0
    value.backward()
    assert torch.equal(z.grad, torch.zeros_like(z))


# The target


@few
@given(LOGITS, st.floats(0.1, 3))
def test_sharpening_is_a_loop(z, temperature):
    sharp = losses.sharpen(torch.tensor(z), temperature)
    for row, expected in zip(sharp.tolist(), z.tolist(), strict=True):
        assert row == near(softmax(expected, temperature))


def test_a_low_temperature_sharpens():
    z = random(N, K)
    top = z.argmax(dim=1)
    highest = [losses.sharpen(z, t).amax(dim=1) for t in (2.0, 1.0, 0.4, 0.1)]
    for flat, sharp in pairwise(highest):
        assert (sharp > flat).all()
    assert torch.equal(losses.sharpen(z, 0.4).argmax(dim=1), top)


@few
@given(LOGITS, st.floats(0, 1))
def test_confidence_is_that_of_the_unsharpened_target(z, threshold):
    confident = losses.confident(torch.tensor(z), threshold)
    for row, sure in zip(z.tolist(), confident.tolist(), strict=True):
        highest = max(softmax(row))
        assert sure == (highest >= threshold) or highest == pytest.approx(threshold, abs=1e-12)


def test_masks_take_no_gradient():
    z = random(N, K).requires_grad_()
    assert not losses.confident(z, 0.5).requires_grad
    assert not losses.tsa_mask(z, torch.zeros(N, dtype=torch.int64), 0.5).requires_grad


# Divergences


@few
@given(LOGITS, LOGITS)
def test_divergences_are_loops(z, target):
    q = losses.sharpen(torch.tensor(target), 1.0)
    found = {kind: losses.divergence(torch.tensor(z), q, kind).tolist() for kind in losses.DIVERGENCES}
    assert set(found) == {"kl", "ce", "mse"}
    for i in range(N):
        p, t = softmax(z[i].tolist()), q[i].tolist()
        assert found["kl"][i] == near(sum(b * math.log(b / a) for a, b in zip(p, t, strict=True)))
        assert found["ce"][i] == near(-sum(b * math.log(a) for a, b in zip(p, t, strict=True)))
        assert found["mse"][i] == near(sum((a - b) ** 2 for a, b in zip(p, t, strict=True)) / K)


@few
@given(LOGITS, LOGITS)
def test_kl_and_cross_entropy_train_alike(z, target):
    """Paper A chose KL because cross-entropy "did not fit": with a fixed target their gradients are the same."""
    q, gradients, values = losses.sharpen(torch.tensor(target), 0.7), [], []
    for kind in ("kl", "ce"):
        x = torch.tensor(z, requires_grad=True)
        value = losses.divergence(x, q, kind)
        value.sum().backward()
        gradients.append(x.grad)
        values.append(value.detach())
    assert torch.allclose(*gradients, rtol=1e-9, atol=1e-12)
    of_target = [-sum(p * math.log(p) for p in row) for row in q.tolist()]
    assert (values[1] - values[0]).tolist() == near(of_target)


def test_kl_trains_otherwise_where_the_target_takes_gradient():
    """Π-Model with KL is not Π-Model with cross-entropy."""
    gradients = []
    for kind in ("kl", "ce"):
        target = random(N, K, seed=1).requires_grad_()
        losses.divergence(random(N, K), losses.sharpen(target, 1.0), kind).sum().backward()
        gradients.append(target.grad)
    assert not torch.allclose(*gradients, atol=0.1)


def test_kl_of_a_certain_target_is_its_cross_entropy():
    z, y = random(N, K).requires_grad_(), torch.arange(N) % K
    kl = losses.divergence(z, F.one_hot(y, K).double(), "kl")
    assert kl.tolist() == near(F.cross_entropy(z, y, reduction="none").tolist())
    kl.sum().backward()
    assert z.grad.isfinite().all()


@few
@given(LOGITS)
def test_entropy_is_a_loop(z):
    expected = [-sum(p * math.log(p) for p in softmax(row)) for row in z.tolist()]
    assert losses.entropy(torch.tensor(z)).tolist() == near(expected)


@pytest.mark.parametrize("size", [100.0, 1e4])
def test_certain_predictions_have_finite_gradients(size):
    z = torch.tensor([[size, -size, 0], [-size, size, 0]], requires_grad=True)
    values = [losses.divergence(z, torch.tensor([[1.0, 0, 0]] * 2), kind) for kind in losses.DIVERGENCES]
    sum(value.sum() for value in (*values, losses.entropy(z))).backward()
    assert z.grad.isfinite().all() and all(value.isfinite().all() for value in values)


# Ramps


@few
@given(st.floats(0, 1), st.floats(0.01, 1))
def test_ramps_are_the_formula(t, length):
    done = min(t / length, 1)
    assert losses.ramp(t, "linear", length) == near(done)
    assert losses.ramp(t, "gaussian", length) == near(math.exp(-5 * (1 - done) ** 2))
    assert losses.ramp(t, "none", length) == 1


def test_ramps_end_whole_and_the_gaussian_starts_almost_at_nothing():
    assert losses.ramp(0, "linear", 0.4) == 0 and losses.ramp(0, "gaussian", 0.4) == near(math.exp(-5))
    for kind in losses.RAMPS:
        assert losses.ramp(0.4, kind, 0.4) == losses.ramp(1, kind, 0.4) == 1


# InfoNCE


def naive_info_nce(h, positives, temperature, *others, left_out=()) -> list[float]:
    """Paper A's L_sim example by example; ``others`` are added to the denominator, but for pairs of example and place in
    the first of them that are ``left_out``."""
    result = []
    for i, anchor in enumerate(h):
        denominator = sum(math.exp(cosine(anchor, other) / temperature) for other in positives)
        for number, group in enumerate(others):
            for place, other in enumerate(group):
                if number == 0 and (i, place) in left_out:
                    continue
                denominator += math.exp(cosine(anchor, other) / temperature)
        result.append(-math.log(math.exp(cosine(anchor, positives[i]) / temperature) / denominator))
    return result


@pytest.mark.parametrize("temperature", [0.05, 0.5])
@pytest.mark.parametrize("negatives", [None, 2])
@pytest.mark.parametrize("queue", [None, 0, 7])
def test_info_nce_is_a_double_loop(queue, negatives, temperature):
    h, positives = random(N, D), random(N, D, seed=1)
    k = None if queue is None else random(queue, D, seed=2)
    n = None if negatives is None else random(negatives, D, seed=3)
    expected = naive_info_nce(
        *(x.tolist() for x in (h, positives)), temperature, *(x.tolist() for x in (k, n) if x is not None)
    )
    found = losses.info_nce(h, positives, temperature, k, n)
    assert found.shape == (N,) and found.tolist() == near(expected)
    if temperature == 0.05:
        assert torch.equal(found, losses.info_nce(h, positives, queue=k, negatives=n))


def test_a_text_is_not_pushed_away_from_what_it_was():
    h, positives, queue, negatives = random(N, D), random(N, D, seed=1), random(7, D, seed=2), random(2, D, seed=3)
    own = torch.zeros(N, 7, dtype=torch.bool)
    left_out = {(0, 3), (0, 6), (4, 0)}
    for pair in left_out:
        own[pair] = True
    found = losses.info_nce(h, positives, 0.5, queue, negatives, own)
    expected = naive_info_nce(*(x.tolist() for x in (h, positives)), 0.5, queue.tolist(), negatives.tolist(),
                              left_out=left_out)  # fmt: skip
    assert found.tolist() == near(expected)
    everything = torch.ones(N, 7, dtype=torch.bool)
    assert losses.info_nce(h, positives, 0.5, queue, None, everything).tolist() == near(
        losses.info_nce(h, positives, 0.5).tolist()
    )


def test_gradients_of_info_nce_reach_all_but_the_queue():
    tensors = [random(4, D, seed=seed).requires_grad_() for seed in range(4)]
    h, positives, queue, negatives = tensors
    losses.info_nce(h, positives, 0.5, queue, negatives).sum().backward()
    assert queue.grad is None
    assert all(x.grad.abs().max() > 0 for x in (h, positives, negatives))


@few
@given(st.floats(0.1, 10), st.permutations(range(N)))
def test_info_nce_sees_neither_length_nor_order(factor, order):
    h, positives, queue = random(N, D), random(N, D, seed=1), random(6, D, seed=2)
    value = losses.info_nce(h, positives, 0.1, queue)
    assert losses.info_nce(factor * h, positives / factor, 0.1, factor * queue.flip(0)).tolist() == near(value.tolist())
    reordered = losses.info_nce(h[list(order)], positives[list(order)], 0.1, queue)
    assert reordered.tolist() == near(value[list(order)].tolist())
    assert (losses.info_nce(h, positives, 0.1) < value).all(), "a longer queue is a harder question"


# mixup


@pytest.mark.parametrize("shape", [(N, D), (N, 2, D)])
def test_mix_is_a_loop(shape):
    x, partner, share = random(*shape), torch.tensor([2, 0, 1, 3, 4]), torch.tensor([0.0, 0.3, 0.5, 0.9, 1.0]).double()
    mixed = losses.mix(x, partner, share)
    for i in range(N):
        a = share[i].item()
        expected = a * x[i].numpy() + (1 - a) * x[partner[i]].numpy()
        assert mixed[i].numpy() == near(expected)
    assert torch.equal(losses.mix(x, partner, torch.ones(N)), x)
    assert torch.equal(losses.mix(x, partner, torch.zeros(N)), x[partner])


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: losses.tsa_threshold(0.5, 2, "cosine"), "loss: tsa is 'cosine'; accepted are 'none', 'linear', 'log', 'exp'"),
        (lambda: losses.average(torch.ones(2), None, "all"), "divisor is 'all'; accepted are 'kept', 'batch'"),
        (lambda: losses.sharpen(torch.ones(1, 2), 0), "temperature is 0; accepted is any number above 0 (UDA: up to 1)"),
        (lambda: losses.divergence(*[torch.ones(1, 2)] * 2, "js"), "loss: divergence is 'js'; accepted are 'kl', 'ce', 'mse'"),
        (lambda: losses.ramp(0.5, "step", 1), "loss: ramp is 'step'; accepted are 'none', 'linear', 'gaussian'"),
        (lambda: losses.info_nce(*[torch.ones(1, 2)] * 2, 0),
         "temperature is 0; accepted is any number above 0 (ESimCSE: 0.05)"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_refused(call, sentence):
    with pytest.raises(InputError, match=f"^{re.escape(sentence)}$"):
        call()
