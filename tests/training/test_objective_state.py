"""Targets, memories and embeddings of paper A's loss: what each relative of UDA follows, and what is kept between steps."""

import itertools
import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from paperkit import losses
from paperkit.attacks import perturb, virtual
from paperkit.terms import TARGETS, Attack, Consistency, Contrast
from paperkit.training import objective as module
from paperkit.training.methods import Method
from tests.networks import CLASSES, KINDS, batch, network
from tests.training.steps import (
    BATCH,
    POOL,
    close,
    forget,
    gradients,
    logits_of,
    make_step,
    near,
    objective_of,
    same,
)

PLAIN = Consistency(tsa="none")
TEXTS = 5


@pytest.fixture
def followed(monkeypatch):
    """Logits and targets of every divergence that a loss asked for."""
    seen = []

    def divergence(logits, target, kind, real=losses.divergence):
        seen.append((logits.detach().clone(), target))
        return real(logits, target, kind)

    monkeypatch.setattr(losses, "divergence", divergence)
    return seen


def only(kind: str, consistency: Consistency, number: int = 3, progress: float = 0.3, dropout: float = 0.0, **changes):
    """A model, a step and the objective of one consistency term."""
    model = network(kind, dropout).double().train()
    return (
        model,
        make_step(kind, number, progress, **changes),
        objective_of(Method("m", consistency=consistency), model),
    )


def without_sup(model, step, found: dict) -> dict:
    """``found`` less the gradient of L_sup."""
    forget(model)
    F.cross_entropy(logits_of(model, step.labelled), step.labels).backward()
    return {name: found[name] - gradient for name, gradient in gradients(model).items()}


# Targets


def of_cons(kind, consistency, naive):
    """Whether the term's value and gradient are those of ``naive(model, step)``."""
    model, step, objective = only(kind, consistency)
    logged = objective.backward(model, step)
    found = without_sup(model, step, gradients(model))
    forget(model)
    expected = naive(model, step)
    (consistency.weight * expected).backward()
    assert logged["cons"].item() == near(expected.item())
    assert logged["loss"].item() == near((logged["sup"] + consistency.weight * expected).item())
    return same(found, gradients(model))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("divergence", ["kl", "mse", "ce"])
def test_a_current_target_takes_no_gradient_and_a_live_one_does(kind, divergence):
    def naive(model, step, live):
        target = logits_of(model, step.unlabelled).softmax(1)
        p, total = logits_of(model, step.augmented).softmax(1), 0.0
        for q, row in zip(target if live else target.detach(), p, strict=True):
            each = {"kl": q * (q / row).log(), "mse": (q - row) ** 2 / CLASSES, "ce": -q * row.log()}
            total = total + each[divergence].sum() / TEXTS
        return total

    for target in ("current", "live"):
        filling = replace(PLAIN, target=target, divergence=divergence, weight=3.0)
        assert of_cons(kind, filling, lambda *a, target=target: naive(*a, target == "live"))
        assert not of_cons(kind, filling, lambda *a, target=target: naive(*a, target != "live"))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("divisor", ["batch", "kept"])
def test_a_pseudo_label_is_the_most_probable_class_of_the_view(kind, divisor):
    beta = 0.55

    def naive(model, step):
        total, kept = 0.0, 0
        for row in logits_of(model, step.augmented).softmax(1):
            if row.max() >= beta:
                total, kept = total - row.max().log(), kept + 1
        assert 0 < kept < TEXTS
        return total / (kept if divisor == "kept" else TEXTS)

    assert of_cons(kind, replace(PLAIN, target="label", divergence="ce", confidence=beta, divisor=divisor), naive)


@pytest.mark.parametrize("divisor", ["batch", "kept"])
def test_the_divisor_of_uda(divisor):
    beta = 0.6

    def naive(model, step):
        target, view = (logits_of(model, texts).softmax(1) for texts in (step.unlabelled, step.augmented))
        sure = [i for i in range(TEXTS) if target[i].max() >= beta]
        assert 0 < len(sure) < TEXTS
        total = sum((target[i].detach() * (target[i].detach() / view[i]).log()).sum() for i in sure)
        return total / (len(sure) if divisor == "kept" else TEXTS)

    assert of_cons("bilstm", replace(PLAIN, confidence=beta, divisor=divisor), naive)


@pytest.mark.parametrize("target", ["current", "teacher"])
def test_the_target_has_dropout_as_in_the_release_and_the_teacher_has_none(target, followed):
    model, step, objective = only("bilstm", replace(PLAIN, target=target, view="dropout"), dropout=0.4)
    for _ in range(3):
        objective.backward(model, step)
    certain = logits_of(network("bilstm").double(), step.unlabelled).softmax(1)
    for logits, q in followed:
        assert close(q, certain) == (target == "teacher")
        assert not torch.allclose(logits.softmax(1), certain, atol=1e-3), "the view has dropout"
    assert torch.equal(followed[0][1], followed[1][1]) == (target == "teacher")
    assert model.training and all(part.training for part in model.modules())


def test_the_teacher_follows_after_the_step():
    model, step, objective = only("bilstm", replace(PLAIN, target="teacher", average=0.9))
    expected = [parameter.detach().clone() for parameter in model.parameters()]
    optimizer = torch.optim.SGD(model.parameters(), 0.5)
    for _ in range(3):
        optimizer.zero_grad()
        before = [parameter.clone() for parameter in objective.teacher.parameters()]
        objective.backward(model, step)
        assert all(torch.equal(*pair) for pair in zip(before, objective.teacher.parameters(), strict=True))
        optimizer.step()
        objective.after_step(model)
        expected = [
            0.9 * mine + 0.1 * theirs.detach() for mine, theirs in zip(expected, model.parameters(), strict=True)
        ]
    for own, values in zip(objective.teacher.parameters(), expected, strict=True):
        assert close(own, values)
        assert own.grad is None
    assert not torch.allclose(expected[1], list(model.parameters())[1], atol=1e-3)


VISITS = ((9, 3, 4, 7, 12), (3, 9, 1, 30, 4), (4, 3, 12, 9, 7), (3, 1, 7, 30, 9))


@pytest.mark.parametrize("beta", [0.0, 0.6])
def test_temporal_ensembling_is_a_corrected_average_for_each_text(beta, followed):
    """Laine & Aila: Z ← a Z + (1 − a) z, target Z / (1 − a^t)."""
    a = 0.6
    filling = replace(PLAIN, target="ensemble", view="dropout", divergence="mse", average=a, confidence=beta)
    model, _, objective = only("bilstm", filling)
    memory: dict[int, list[torch.Tensor]] = {}
    unsure = 0
    for turn, rows in enumerate(VISITS):
        with torch.no_grad():
            model.output.weight.mul_(1.3)
        step = make_step("bilstm", turn, unlabelled=batch("bilstm", (4, 6, 2, 3, 5), turn, rows))
        logged = objective.backward(model, step)
        now = logits_of(model, step.unlabelled).softmax(1).detach()
        total, kept = 0.0, 0
        for i, row in enumerate(rows):
            earlier = memory.setdefault(row, [])
            if earlier:
                weights = [a ** (len(earlier) - 1 - k) for k in range(len(earlier))]
                mean = sum(w * p for w, p in zip(weights, earlier, strict=True)) / sum(weights)
                assert close(followed[-1][1][i], mean)
                if mean.max() >= beta:
                    total, kept = total + (now[i] - mean).square().mean().item(), kept + 1
                else:
                    unsure += 1
            earlier.append(now[i])
        assert logged["cons"].item() == near(total / TEXTS)
        assert logged["kept_cons"].item() == pytest.approx(kept / TEXTS)
    assert not followed[-1][1].requires_grad
    assert kept and bool(unsure) == bool(beta), "confident is the average, corrected: Z itself starts at 0"


def test_an_option_of_the_target_acts_on_every_target_it_is_accepted_for(followed):
    """A temperature that is accepted and never applied is one of METHODS' traps."""
    for target in ("current", "live", "teacher", "ensemble"):
        model, step, objective = only("bilstm", replace(PLAIN, target=target, temperature=0.3))
        objective.backward(model, step)
        objective.backward(model, step)
        plain = objective_of(Method("m", consistency=replace(PLAIN, target=target)), model)
        plain.backward(model, step)
        plain.backward(model, step)
        assert (followed[1][1].amax(1) > followed[3][1].amax(1)).all(), target
        followed.clear()


@pytest.mark.parametrize("kind", KINDS)
def test_vat_follows_the_prediction_at_the_clean_text(kind):
    attack = Attack(epsilon=0.3, relative=True, steps=2)

    def naive(model, step):
        texts = step.unlabelled
        embedded = model.embed(texts.ids)
        q = model.classify(embedded, texts.lengths).softmax(1).detach()
        delta = virtual(model, lambda x: model.classify(x, texts.lengths), embedded, texts.inside, q, attack,
                        generator=objective_of(Method("m"), model)._generator("virtual", step.number))  # fmt: skip
        p = model.classify(embedded + delta, texts.lengths).log_softmax(1)
        return F.kl_div(p, q, reduction="batchmean")

    assert of_cons(kind, replace(PLAIN, view="virtual", virtual=attack), naive)


@pytest.mark.parametrize("kind", KINDS)
def test_vat_finds_its_direction_under_dropout_too(kind):
    """KL between two draws of dropout has a gradient of its own at d = 0, which is no random direction either."""
    attack = Attack(epsilon=0.3, relative=True, steps=4)
    model, step, objective = only(kind, replace(PLAIN, view="virtual", virtual=attack), dropout=0.1)
    found = []

    def record(*args, real=module.virtual, **options):
        found.append(real(*args, **options))
        return found[-1]

    clean, texts = network(kind).double(), step.unlabelled
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "virtual", record)
        for number in range(3):
            torch.manual_seed(number)
            objective.backward(model, replace(step, number=number))
    embedded = clean.embed(texts.ids).detach()
    q = clean.classify(embedded, texts.lengths).softmax(1).detach()

    def moved(delta):
        return losses.divergence(clean.classify(embedded + delta, texts.lengths), q).mean().item()

    noise = [perturb(clean, len, embedded, texts.inside, Attack("noise", 0.3, True)) for _ in range(5)]
    assert sum(map(moved, found)) / len(found) > 5 * sum(map(moved, noise)) / len(noise)


@pytest.mark.parametrize(
    ("target", "view"),
    [
        *itertools.product(TARGETS, ("dropout", "augmentation")),
        *((target, "virtual") for target in ("current", "live", "teacher")),
    ],
)
@pytest.mark.parametrize("kind", KINDS)
def test_every_target_goes_with_every_view(kind, target, view):
    model, step, objective = only(kind, replace(PLAIN, target=target, view=view), dropout=0.1)
    for _ in range(2):
        logged = objective.backward(model, step)
        objective.after_step(model)
    assert all(value.isfinite() for value in logged.values()) and logged["cons"] > 0


def test_entropy_and_ramp():
    filling = replace(PLAIN, entropy=0.4, ramp="gaussian", ramp_length=0.5, weight=3.0)
    model, step, objective = only("bilstm", filling, progress=0.2)
    logged = objective.backward(model, step)
    p = logits_of(model, step.augmented).softmax(1)
    entropy = -(p * p.log()).sum(1).mean()
    assert logged["entropy"].item() == near(entropy.item())
    ramp = math.exp(-5 * (1 - 0.2 / 0.5) ** 2)
    total = logged["sup"] + 3 * ramp * logged["cons"] + 0.4 * entropy
    assert logged["loss"].item() == near(total.item())


# Resuming

MEMORIES = {
    "ESimCSE": Method("m", contrast=Contrast(momentum=0.8), adversarial=Attack("noise"), mixup="sentence"),
    "Mean Teacher": Method("m", consistency=replace(PLAIN, target="teacher", average=0.8)),
    "Temporal Ensembling": Method("m", consistency=replace(PLAIN, target="ensemble", average=0.6)),
    "VAT": Method("m", consistency=replace(PLAIN, view="virtual"), contrast=Contrast(positive="consert")),
}


@pytest.mark.parametrize("name", MEMORIES)
def test_an_objective_goes_on_from_its_checkpoint(name):
    method = MEMORIES[name]

    def go(model, objective, numbers):
        trained = [*model.parameters(), *(objective.projection.parameters() if objective.projection else ())]
        logged = []
        for number in numbers:
            torch.manual_seed(number)
            forget(model, objective)
            rows = VISITS[number % len(VISITS)]
            step = make_step("bilstm", number, unlabelled=batch("bilstm", (4, 6, 2, 3, 5), number, rows),
                             augmented=batch("bilstm", (4, 6, 2, 3, 5), number + 50, rows),
                             similar=batch("bilstm", (3, 4, 6, 2), 10 + number))  # fmt: skip
            logged.append({term: value.item() for term, value in objective.backward(model, step).items()})
            torch.optim.SGD([p for p in trained if p.grad is not None], 0.1).step()
            objective.after_step(model)
        return logged

    def fresh():
        model = network("bilstm", 0.2).train()
        return model, objective_of(method, model)

    model, objective = fresh()
    go(model, objective, range(4))
    weights, memory = (
        {name: value.clone() for name, value in part.state_dict().items()} for part in (model, objective)
    )
    expected = go(model, objective, range(4, 7))
    resumed, other = fresh()
    resumed.load_state_dict(weights)
    other.load_state_dict(memory)
    assert go(resumed, other, range(4, 7)) == expected
    for one, two in ((model, resumed), (objective, other)):
        mine, theirs = one.state_dict(), two.state_dict()
        assert all(torch.equal(mine[key], theirs[key]) for key in mine)
    resumed, other = fresh()
    resumed.load_state_dict(weights)
    assert name == "VAT" or go(resumed, other, range(4, 7)) != expected, "there is something to remember"


def test_the_state_is_what_the_method_needs():
    model = network("bilstm")
    assert not objective_of(Method("m", adversarial=Attack(), consistency=Consistency()), model).state_dict()
    assert set(objective_of(MEMORIES["Temporal Ensembling"], model).state_dict()) == {"pool", "ensemble", "visits"}
    assert POOL.tolist() == sorted(POOL.tolist()) and BATCH == 4


def test_entropy_and_ramp_are_in_the_gradient():
    filling = replace(PLAIN, entropy=0.4, ramp="gaussian", ramp_length=0.5, weight=3.0)
    model, step, objective = only("bilstm", filling, progress=0.2)
    objective.backward(model, step)
    found = without_sup(model, step, gradients(model))
    forget(model)
    ramp, view = math.exp(-5 * (1 - 0.2 / 0.5) ** 2), logits_of(model, step.augmented)
    target = logits_of(model, step.unlabelled).softmax(1).detach()
    (3 * ramp * losses.divergence(view, target).mean() + 0.4 * losses.entropy(view).mean()).backward()
    assert same(found, gradients(model))


def test_every_step_and_seed_draws_its_own_noise_and_mixtures(monkeypatch):
    drawn = []

    def noise(*arguments, real=perturb, **more):
        drawn.append(real(*arguments, **more))
        return drawn[-1]

    def mixed(states, partner, share, real=losses.mix):
        drawn.append(share)
        return real(states, partner, share)

    monkeypatch.setattr(module, "perturb", noise)
    monkeypatch.setattr(losses, "mix", mixed)
    for method in (Method("m", adversarial=Attack("noise")), Method("m", mixup="sentence")):
        drawn.clear()
        for seed, number in ((0, 3), (0, 4), (1, 3), (0, 3)):
            model = network("bilstm")
            objective_of(method, model, seed=seed).backward(model, make_step("bilstm", number))
        first, next_step, next_seed, again = drawn
        assert torch.equal(first, again)
        assert not torch.equal(first, next_step) and not torch.equal(first, next_seed)


@pytest.mark.parametrize("target", ["current", "live"])
def test_virtual_perturbations_are_sought_against_predictions_without_dropout(target, monkeypatch):
    model, step, objective = only("bilstm", replace(PLAIN, target=target, view="virtual"), dropout=0.4)
    seen = []

    def sought(*arguments, real=virtual, **more):
        seen.append(arguments[4].detach())
        return real(*arguments, **more)

    monkeypatch.setattr(module, "virtual", sought)
    objective.backward(model, step)
    assert close(seen[0], logits_of(network("bilstm").double(), step.unlabelled).softmax(1))


def test_mixed_sentences_have_the_dropout_of_all_others():
    model, step = network("bilstm").double().train(), make_step("bilstm")
    model.output_dropout.p = 1.0
    objective_of(Method("m", mixup="sentence"), model).backward(model, step)
    assert (model.output.weight.grad == 0).all()
