"""Perturbations against loops over examples, each computed alone and without padding, and against the community's code."""

import math
import re

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from paperkit.attacks import Attack, direction, norms, perturb, project
from paperkit.errors import InputError
from tests.networks import KINDS
from tests.perturbed import N, generator, norm, setting

EQUAL = {"step_size": None}
ATTACKS = [
    *(Attack(kind, epsilon, relative) for kind in ("fgm", "fgsm") for epsilon, relative in ((1.0, False), (0.3, True))),
    *(Attack("pgd", steps=k) for k in range(1, 6)),
    *(Attack("pgd", steps=k, **EQUAL) for k in range(1, 6)),
    Attack("pgd", 0.2, True, step_size=0.1),
    Attack("pgd", 0.2, True, **EQUAL),
]


def naive(model, ids, inside, y, attack: Attack) -> torch.Tensor:
    """METHODS' formulas for one text ``(T,)`` of its own length: Δ ``(T, d)``."""
    clean = model.embed(ids[None]).detach()
    unit = norm(clean[0][inside]) if attack.relative else 1.0
    epsilon, alpha = attack.epsilon * unit, (attack.step_size or 2.5 * attack.epsilon / attack.steps) * unit
    delta = torch.zeros_like(clean[0])
    for _ in range(attack.steps if attack.kind == "pgd" else 1):
        x = (clean + delta).requires_grad_()
        F.cross_entropy(model.classify(x, torch.tensor([len(ids)])), y[None]).backward()
        g = x.grad[0] * inside[:, None]
        g = g.sign() if attack.kind == "fgsm" else g
        if attack.kind != "pgd":
            return epsilon * g / norm(g)
        delta = delta + alpha * g / norm(g)
        if norm(delta) > epsilon:
            delta = epsilon * delta / norm(delta)
    return delta


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("attack", ATTACKS, ids=str)
def test_attacks_are_loops_over_examples(kind, attack):
    model, texts, embedded, y, each = setting(kind)
    delta = perturb(model, each, embedded, texts.inside, attack)
    assert not delta.requires_grad and delta.shape == embedded.shape
    assert (delta[~texts.inside] == 0).all(), "neither padding nor special tokens"
    for i, n in enumerate(texts.lengths.tolist()):
        expected = naive(model, texts.ids[i, :n], texts.inside[i, :n], y[i], attack)
        assert torch.allclose(delta[i, :n], expected, atol=1e-9, rtol=1e-7)
        assert expected.abs().max() > 1e-4


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("attack", [Attack("fgm"), Attack("pgd", 0.2, True, **EQUAL), Attack("fgsm")], ids=str)
def test_an_example_is_attacked_as_if_it_were_alone(kind, attack):
    model, texts, embedded, y, each = setting(kind, lengths=(4, 9, 2, 6) * 4)
    together = perturb(model, each, embedded, texts.inside, attack)
    for i in (0, 2, 15):
        n, only = texts.lengths[i : i + 1], slice(i, i + 1)

        def one(x, n=n, only=only):
            return F.cross_entropy(model.classify(x, n), y[only], reduction="none")

        alone = perturb(model, one, embedded[only, : int(n)], texts.inside[only, : int(n)], attack)
        assert torch.allclose(together[i, : int(n)], alone[0], atol=1e-9, rtol=1e-7)
        assert (together[i, int(n) :] == 0).all()


def test_special_tokens_are_spared_although_they_have_gradients():
    model, texts, embedded, _, each = setting("encoder")
    (gradient,) = torch.autograd.grad(each(embedded.requires_grad_()).sum(), embedded)
    special = ~texts.inside & (torch.arange(texts.ids.shape[1]) < texts.lengths[:, None])
    assert special.sum() == 2 * N and (gradient[special].norm(dim=-1) > 0).all()
    delta = perturb(model, each, embedded, texts.inside, Attack("fgm"))
    assert (delta[special] == 0).all()
    assert norms(delta).tolist() == pytest.approx([1] * N), "they do not count in the norm either"


# Budgets


@pytest.mark.parametrize("kind", KINDS)
def test_the_community_settings_of_pgd_do_not_reach_the_ball(kind):
    model, texts, embedded, _, each = setting(kind)
    community = norms(perturb(model, each, embedded, texts.inside, Attack("pgd")))
    assert (community <= 3 * 0.3 + 1e-9).all(), "K α < ε"
    equal = norms(perturb(model, each, embedded, texts.inside, Attack("pgd", **EQUAL)))
    assert equal.tolist() == pytest.approx([1] * N)
    fgm = norms(perturb(model, each, embedded, texts.inside, Attack("fgm")))
    assert fgm.tolist() == pytest.approx([1] * N)


def test_the_community_settings_are_the_default_and_the_equal_budget_is_two_and_a_half_radii():
    assert (Attack().epsilon, Attack().steps, Attack().stride) == (1.0, 3, 0.3)
    assert Attack("pgd", 0.8, steps=4, step_size=None).stride == pytest.approx(0.5)


@pytest.mark.parametrize("kind", KINDS)
def test_a_relative_epsilon_counts_in_norms_of_the_words(kind):
    model, texts, embedded, _, each = setting(kind)
    for attack in (Attack("fgm", 0.3, True), Attack("noise", 0.3, True), Attack("pgd", 0.3, True, **EQUAL)):
        realised = norms(perturb(model, each, embedded, texts.inside, attack, generator=generator()))
        for i in range(N):
            assert realised[i].item() == pytest.approx(0.3 * norm(embedded[i][texts.inside[i]]))


@pytest.mark.parametrize("kind", KINDS)
def test_attacks_harm_more_than_noise(kind):
    model, texts, embedded, _, each = setting(kind)
    harm = {}
    for name in ("noise", "fgm", "pgd"):
        attack = Attack(name, 0.1, True, steps=5, **EQUAL)
        with torch.no_grad():
            harm[name] = each(
                embedded + perturb(model, each, embedded, texts.inside, attack, generator=generator())
            ).mean()
    clean = each(embedded).mean()
    assert harm["fgm"] > clean and harm["fgm"] > harm["noise"]
    assert harm["pgd"] > harm["fgm"] - 1e-3


@settings(max_examples=30)
@given(st.integers(0, 2**32), st.just(0.0) | st.floats(1e-6, 3), st.floats(1e-12, 1e12))
def test_a_projection_is_onto_the_ball_and_only_once(seed, epsilon, size):
    delta = size * torch.randn(3, 2, 4, generator=generator(seed), dtype=torch.float64)
    delta[1] = 0
    radius = torch.full((3, 1, 1), epsilon, dtype=torch.float64)
    projected = project(delta, radius)
    assert torch.allclose(project(projected, radius), projected, rtol=1e-12, atol=0)
    for i in range(3):
        length = norm(delta[i])
        if length <= epsilon * (1 - 1e-9):
            assert torch.equal(projected[i], delta[i])
        else:
            assert torch.allclose(projected[i], delta[i] * epsilon / max(length, 1e-300), rtol=1e-9, atol=0)


def test_an_epsilon_of_zero_is_no_attack():
    model, texts, embedded, _, each = setting("bilstm")
    for kind in ("fgm", "pgd", "fgsm", "noise"):
        attack = Attack(kind, 0.0, **EQUAL)
        assert (perturb(model, each, embedded, texts.inside, attack, generator=generator()) == 0).all()


# Noise


@pytest.mark.parametrize("kind", KINDS)
def test_noise_has_its_norm_and_its_seed(kind):
    model, texts, embedded, _, each = setting(kind)

    def noise(seed):
        return perturb(model, each, embedded, texts.inside, Attack("noise", 0.7), generator=generator(seed))

    assert norms(noise(0)).tolist() == pytest.approx([0.7] * N)
    assert (noise(0)[~texts.inside] == 0).all() and (noise(0)[texts.inside] != 0).all()
    assert torch.equal(noise(0), noise(0)) and not torch.allclose(noise(0), noise(1))


# Gradients that cannot be followed

SLOPES = (1.0, 0.0, math.nan, math.inf, -math.inf, 1e-25, 1e-37, 1e30)
USABLE = [0 < abs(slope) < math.inf for slope in SLOPES]


def sloped(x: torch.Tensor) -> torch.Tensor:
    return (torch.tensor(SLOPES)[:, None, None] * x).sum(dim=(1, 2))


@pytest.mark.parametrize(
    "attack",
    [Attack("fgm", 0.5), Attack("fgsm", 0.5), Attack("pgd", 0.5, **EQUAL), Attack("fgm", 0.5, True)],
    ids=str,
)
def test_a_gradient_of_zero_or_not_finite_is_no_step_and_a_tiny_one_is_a_whole_one(attack):
    embedded = torch.randn(len(SLOPES), 3, 4, generator=generator())
    inside = torch.ones(embedded.shape[:2], dtype=torch.bool)
    delta = perturb(nn.Identity(), sloped, embedded, inside, attack)
    for i, usable in enumerate(USABLE):
        length = 0.5 * (norm(embedded[i]) if attack.relative else 1)
        assert norms(delta)[i].item() == pytest.approx(length if usable else 0), SLOPES[i]


def test_one_word_without_a_finite_gradient_spares_the_whole_example():
    gradient = torch.ones(2, 3, 4)
    gradient[0, 1, 2] = math.nan
    way = direction(gradient, torch.ones(2, 3, dtype=torch.bool))
    assert (way[0] == 0).all() and norms(way)[1].item() == pytest.approx(1)


def test_pgd_stays_where_a_later_gradient_fails():
    calls = []

    def failing(x):
        calls.append(1)
        return x.sum(dim=(1, 2)) * (1.0 if len(calls) == 1 else math.nan)

    embedded, inside = torch.randn(2, 3, 4), torch.ones(2, 3, dtype=torch.bool)
    delta = perturb(nn.Identity(), failing, embedded, inside, Attack("pgd"))
    assert len(calls) == 3 and torch.allclose(delta, torch.full_like(delta, 0.3 / math.sqrt(12)))


def test_a_batch_of_padding_alone_is_not_attacked():
    embedded = torch.randn(2, 3, 4)
    for kind in ("fgm", "pgd", "fgsm", "noise"):
        delta = perturb(
            nn.Identity(), lambda x: x.sum(dim=(1, 2)), embedded, torch.zeros(2, 3, dtype=torch.bool), Attack(kind)
        )
        assert torch.equal(delta, torch.zeros_like(delta))


# The gradient that a training step knows already


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "attack",
    [*(Attack(name, scope=scope) for name in ("fgm", "pgd", "fgsm") for scope in ("example", "matrix")),
     Attack("pgd", 0.2, True, **EQUAL)],
    ids=str,
)  # fmt: skip
def test_the_gradient_of_the_clean_pass_saves_one_and_changes_nothing(kind, attack):
    model, texts, embedded, _, each = setting(kind)
    calls = []

    def counted(x):
        calls.append(1)
        return each(x)

    without = perturb(model, counted, embedded, texts.inside, attack, ids=texts.ids)
    steps = len(calls)
    clean = model.embed(texts.ids)
    clean.retain_grad()
    each(clean).mean().backward()
    known = perturb(model, counted, clean, texts.inside, attack, gradient=clean.grad, ids=texts.ids)
    assert torch.allclose(known, without, atol=1e-9, rtol=1e-7) and not known.requires_grad
    passes = attack.steps if attack.kind == "pgd" else 1
    assert steps == passes and len(calls) - steps == passes - 1


def test_a_restart_goes_on_from_where_it_starts():
    model, texts, embedded, _, each = setting("bilstm")
    inside = texts.inside
    start = perturb(model, each, embedded, inside, Attack("noise", 0.5), generator=generator())
    before = start.clone()
    one = perturb(model, each, embedded, inside, Attack("pgd", steps=2), start=start)
    halfway = perturb(model, each, embedded, inside, Attack("pgd", steps=1), start=start)
    again = perturb(model, each, embedded, inside, Attack("pgd", steps=1), start=halfway)
    assert torch.allclose(again, one, atol=1e-9, rtol=1e-7)
    assert torch.equal(start, before)
    stale = torch.ones_like(embedded)
    assert torch.equal(perturb(model, each, embedded, inside, Attack("pgd", steps=2), start=start, gradient=stale), one)


# The community's form: the weight matrix, one norm for the batch


def community(model, texts, y, attack: Attack) -> torch.Tensor:
    """The code that circulates: add to the weights, forward, restore. The change of the weights ``(V, d)``."""
    weight = model.embedding.weight if hasattr(model, "embedding") else model.body.get_input_embeddings().weight
    backup, steps = weight.data.clone(), attack.steps if attack.kind == "pgd" else 1
    for _ in range(steps):
        model.zero_grad()
        F.cross_entropy(model(texts.ids, texts.lengths), y).backward()
        length = weight.grad.norm()
        if attack.kind == "pgd":
            weight.data.add_(attack.step_size * weight.grad / length)
            r = weight.data - backup
            if r.norm() > attack.epsilon:
                weight.data.copy_(backup + attack.epsilon * r / r.norm())
        else:
            weight.data.add_(attack.epsilon * weight.grad / length)
    change = weight.data - backup
    with torch.no_grad():
        logits = model(texts.ids, texts.lengths)
    weight.data.copy_(backup)
    model.zero_grad()
    return change, logits


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "attack",
    [
        Attack("fgm", scope="matrix"),
        *(Attack("pgd", steps=k, step_size=a, scope="matrix") for k, a in ((1, 0.3), (3, 0.3), (5, 0.8))),
    ],
    ids=str,
)
def test_the_scope_matrix_is_the_communitys_code(kind, attack):
    model, texts, embedded, y, each = setting(kind)
    change, logits = community(model, texts, y, attack)
    delta = perturb(model, each, embedded, texts.inside, attack, ids=texts.ids)
    assert torch.allclose(delta, change[texts.ids], atol=1e-9, rtol=1e-7)
    assert torch.allclose(model.classify(embedded + delta, texts.lengths), logits, atol=1e-9, rtol=1e-7)
    used = texts.ids.unique()
    assert norm(change) == pytest.approx(norm(change[used])) == pytest.approx(min(attack.epsilon, norm(change)))
    if attack.kind == "fgm":
        assert norm(change) == pytest.approx(1)


def test_in_the_scope_matrix_the_companions_share_the_budget():
    model, texts, embedded, y, _ = setting("bilstm", (6,) * 16)
    realised = []
    for n in (1, 4, 16):

        def each(x, n=n):
            return F.cross_entropy(model.classify(x, texts.lengths[:n]), y[:n], reduction="none")

        for scope in ("matrix", "example"):
            delta = perturb(model, each, embedded[:n], texts.inside[:n], Attack(scope=scope), ids=texts.ids[:n])
            if scope == "matrix":
                realised.append(norms(delta).mean().item())
            else:
                assert norms(delta).tolist() == pytest.approx([1] * n)
    assert realised[0] > 1.2 * realised[1] > 1.2 * realised[2]


# Refusals

SIZES = "epsilon from 0, steps from 1, step_size above 0 or none"


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"kind": "pgm"}, "attack: kind is 'pgm'; accepted are 'fgm', 'pgd', 'fgsm', 'noise'"),
        ({"scope": "batch"}, "attack: scope is 'batch'; accepted are 'example', 'matrix'"),
        ({"epsilon": -1}, "attack: epsilon -1, steps 3, step_size 0.3; accepted are " + SIZES),
        ({"epsilon": math.nan}, "attack: epsilon nan, steps 3, step_size 0.3; accepted are " + SIZES),
        ({"steps": 0}, "attack: epsilon 1.0, steps 0, step_size 0.3; accepted are " + SIZES),
        ({"step_size": 0}, "attack: epsilon 1.0, steps 3, step_size 0; accepted are " + SIZES),
        ({"scope": "matrix", "relative": True},
         "attack: a relative epsilon belongs to an example; scope 'matrix' has one norm for the batch"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_refused(options, sentence):
    with pytest.raises(InputError, match=f"^{re.escape(sentence)}$"):
        Attack(**options)


def test_the_scope_matrix_asks_for_token_numbers():
    model, texts, embedded, _, each = setting("bilstm")
    with pytest.raises(
        InputError, match=r"^attack: scope 'matrix' needs the token numbers of the batch, ids, and has "
    ):
        perturb(model, each, embedded, texts.inside, Attack(scope="matrix"))


def test_on_a_matrix_fgsm_moves_every_number_by_as_much():
    model, texts, embedded, _, each = setting("bilstm")
    delta = perturb(model, each, embedded, texts.inside, Attack("fgsm", scope="matrix"), ids=texts.ids)
    moved = delta[delta != 0].abs()
    assert len(moved)
    assert torch.allclose(moved, moved[0].expand_as(moved))
