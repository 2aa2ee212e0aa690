"""One step of paper A's loss against the sum written out, term by term and gradient by gradient."""

import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from paperkit import losses
from paperkit.attacks import norms
from paperkit.papers import paper_a
from paperkit.text.vocabulary import Encoded
from paperkit.training import objective as module
from paperkit.training.loop import Data, steps
from paperkit.training.methods import Attack, Consistency, Contrast, Method, Schedule
from paperkit.training.objective import at_least_float32, features_cut, shuffled
from tests.networks import CLASSES, KINDS, batch, labels, network
from tests.training.steps import (
    BATCH,
    close,
    forget,
    gradients,
    logits_of,
    make_step,
    naive_adv,
    naive_cons,
    naive_delta,
    naive_sim,
    naive_sup,
    near,
    objective_of,
    same,
)

UDA, ESIMCSE = Consistency(), Contrast()
FGM, PGD = Attack("fgm", 0.2), Attack("pgd", 0.2, step_size=None)
FULL = Consistency(weight=1.7, temperature=0.4, confidence=0.55, tsa="exp")
METHODS = {
    "Baseline": Method("m"),
    "Baseline+FGM": Method("m", adversarial=FGM),
    "Baseline+PGD": Method("m", adversarial=PGD, adversarial_weight=0.6),
    "UDA": Method("m", consistency=UDA),
    "UDA, all of it": Method("m", consistency=FULL),
    "Baseline+ESimCSE": Method("m", contrast=ESIMCSE),
    "UDA+PGD": Method("m", consistency=UDA, adversarial=PGD),
    "UDA+ESimCSE+FGM": Method("m", consistency=UDA, contrast=replace(ESIMCSE, weight=0.3), adversarial=FGM),
    "all of it": Method("m", consistency=FULL, contrast=ESIMCSE, adversarial=PGD, adversarial_weight=0.6),
}
ALL = METHODS["all of it"]


def explicit(method: Method, model, projection, step) -> dict[str, torch.Tensor]:
    """METHODS' total and its terms, with their graphs."""
    uda, sim, w = method.consistency, method.contrast, 1 - (method.contrast.weight if method.contrast else 0)
    s = {"linear": step.progress, "exp": math.exp(5 * (step.progress - 1))}[uda.tsa] if uda else 1
    terms = {}
    terms["sup"], kept = naive_sup(model, step, s * (1 - 1 / CLASSES) + 1 / CLASSES)
    total = w * terms["sup"]
    if uda:
        terms["cons"], sure = naive_cons(model, step, uda.temperature, uda.confidence)
        total = total + w * uda.weight * terms["cons"]
        terms["kept_sup"], terms["kept_cons"] = torch.tensor(len(kept) / BATCH), torch.tensor(sure / 5)
    if method.adversarial:
        terms["adv"] = naive_adv(model, step, method.adversarial, kept)
        total = total + w * method.adversarial_weight * terms["adv"]
        deltas = [naive_delta(model, step, method.adversarial, i).norm() for i in kept]
        terms["delta"] = sum(deltas) / len(kept)
    if sim:
        terms["sim"] = naive_sim(model, projection, step, sim.temperature)
        total = total + (1 - w) * terms["sim"]
        terms["queue"] = torch.tensor(4.0)
    y = step.labels
    terms["ce"] = sum(-logits_of(model, step.labelled)[i].log_softmax(0)[y[i]] for i in range(BATCH)) / BATCH
    return {"loss": total} | terms


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_step_is_the_sum_written_out(kind, name):
    method, model, step = METHODS[name], network(kind).double().train(), make_step(kind)
    objective = objective_of(method, model)
    logged = objective.backward(model, step)
    watched = [model, *([objective.projection] if objective.projection else [])]
    found = gradients(*watched)
    forget(*watched)
    expected = explicit(method, model, objective.projection, step)
    expected["loss"].backward()
    assert logged.keys() == expected.keys(), "a term that is off is absent"
    for term, value in logged.items():
        assert not value.requires_grad and value.ndim == 0
        if term == "delta" and method.consistency:
            continue  # a test of its own says whom TSA spares
        assert value.item() == near(expected[term].item()), term
    assert same(found, gradients(*watched))


def test_the_cases_above_hold_some_back_and_let_some_train():
    for kind in KINDS:
        model, step = network(kind).train(), make_step(kind)
        logged = objective_of(ALL, model).backward(model, step)
        assert 0 < logged["kept_sup"] < 1 and 0 < logged["kept_cons"] < 1
        assert 0 < objective_of(METHODS["UDA"], model).backward(model, step)["kept_sup"] < 1


@pytest.mark.parametrize("method", paper_a(Method("m", classifier="encoder")), ids=lambda method: method.name)
def test_the_ten_models_log_their_terms_and_these_sum_to_the_loss(method):
    model = network("encoder", dropout=0.1).double().train()
    logged = {
        name: value.item() for name, value in objective_of(method, model).backward(model, make_step("encoder")).items()
    }
    has = {term: flag in method.name for term, flag in
           (("cons", "UDA"), ("kept_sup", "UDA"), ("kept_cons", "UDA"), ("sim", "SimCSE"), ("queue", "SimCSE"))}  # fmt: skip
    has |= dict.fromkeys(("adv", "delta"), method.name.endswith(("FGM", "PGD")))
    assert set(logged) == {"loss", "sup", "ce", *(term for term, there in has.items() if there)}
    w = 0.5 if has["sim"] else 1
    total = w * (logged["sup"] + logged.get("cons", 0) + logged.get("adv", 0)) + (1 - w) * logged.get("sim", 0)
    assert logged["loss"] == near(total)


def test_gradients_add_to_those_that_are_there():
    model, step = network("bilstm").double().train(), make_step("bilstm")
    objective = objective_of(METHODS["UDA+PGD"], model)
    objective.backward(model, step)
    once = gradients(model)
    objective.backward(model, step)
    for name, gradient in gradients(model).items():
        assert close(gradient, 2 * once[name])


def test_the_loss_of_the_labelled_texts_is_the_one_given():
    model, step = network("bilstm").double().train(), make_step("bilstm")
    objective = objective_of(METHODS["Baseline+FGM"], model)
    objective.loss = lambda logits, y: losses.focal(logits, y, 2.0)
    logged = objective.backward(model, step)
    logits = logits_of(model, step.labelled)
    assert logged["sup"].item() == near(losses.focal(logits, step.labels, 2.0).mean().item())
    assert logged["ce"].item() == near(F.cross_entropy(logits, step.labels).item())


# Adversarial training


@pytest.mark.parametrize("kind", KINDS)
def test_what_tsa_holds_back_is_not_attacked(kind, monkeypatch):
    model, step, seen = network(kind).double().train(), make_step(kind), []
    monkeypatch.setattr(module, "perturb", lambda *a, real=module.perturb, **k: seen.append(real(*a, **k)) or seen[-1])
    logged = objective_of(METHODS["UDA+PGD"], model).backward(model, step)
    _, kept = naive_sup(model, step, 0.3 * (1 - 1 / CLASSES) + 1 / CLASSES)
    assert 0 < len(kept) < BATCH
    (delta,) = seen
    assert norms(delta).tolist() == near([0.2 * (i in kept) for i in range(BATCH)])
    assert logged["adv"] > logged["sup"]


def test_a_step_that_holds_all_back_trains_nothing_and_breaks_nothing():
    model, step = network("bilstm").train(), make_step("bilstm", progress=0.0)
    step = replace(step, labels=logits_of(model, step.labelled).argmax(dim=1))
    objective = objective_of(Method("m", consistency=replace(UDA, weight=0.0), adversarial=PGD), model)
    logged = objective.backward(model, step)
    assert logged["kept_sup"] == logged["sup"] == logged["adv"] == logged["loss"] == 0
    assert all((gradient == 0).all() for gradient in gradients(model).values())


def test_inner_gradients_of_an_attack_reach_no_parameter():
    model, step = network("bilstm").train(), make_step("bilstm")
    found = []
    for steps_taken in (1, 7):  # the direction is the last one's: epsilon is 0
        attack = Attack("pgd", 0.0, steps=steps_taken, step_size=None)
        forget(model)
        objective_of(Method("m", adversarial=attack), model).backward(model, step)
        found.append(gradients(model))
    assert all(torch.equal(found[0][name], found[1][name]) for name in found[0])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "attack", [PGD, Attack("fgm", scope="matrix"), Attack("noise"), Attack("fgsm", 0.1, True)], ids=str
)
def test_the_attack_takes_no_random_numbers_from_training(kind, attack):
    model, step, states = network(kind, dropout=0.3).train(), make_step(kind), []
    for method in (Method("m"), Method("m", adversarial=attack)):
        torch.manual_seed(0)
        objective_of(method, model)
        torch.manual_seed(0)
        objective = objective_of(method, model)
        torch.manual_seed(1)
        objective.backward(model, step)
        if not method.adversarial:
            logits_of(model, step.labelled)  # the pass over the perturbed texts has dropout of its own
        states.append(torch.get_rng_state())
    assert torch.equal(*states)


# mixup


@pytest.fixture
def drawn(monkeypatch):
    """Partners and shares of the mixtures that were made."""
    made = []
    monkeypatch.setattr(losses, "mix", lambda *a, real=losses.mix: made.append(a[1:]) or real(*a))
    return made


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("level", ["embedding", "sentence"])
def test_mixup_is_a_loop_over_pairs(kind, level, drawn):
    model, step = network(kind).double().train(), make_step(kind)
    logged = objective_of(Method("m", mixup=level), model).backward(model, step)
    found = gradients(model)
    forget(model)
    ((partner, share),) = drawn
    assert sorted(partner.tolist()) == list(range(BATCH)) and ((share >= 0) & (share <= 1)).all()
    texts, total = step.labelled, 0.0
    for i in range(BATCH):
        j, a = partner[i], share[i].item()
        if level == "embedding":
            n = texts.lengths[i if a >= 0.5 else j][None]
            x = a * model.embed(texts.ids[i, : int(n)][None]) + (1 - a) * model.embed(texts.ids[j, : int(n)][None])
            logits = model.classify(x, n)[0]
        else:
            one, other = (model.represent(model.embed(texts.ids[k][None]), texts.lengths[k][None])[0] for k in (i, j))
            logits = model.output(a * one + (1 - a) * other)
        log_p = logits.log_softmax(0)
        total = total - a * log_p[step.labels[i]] - (1 - a) * log_p[step.labels[j]]
    (total / BATCH).backward()
    assert logged["sup"].item() == near(total.item() / BATCH)
    assert same(found, gradients(model))


@pytest.mark.parametrize("level", ["embedding", "sentence"])
@pytest.mark.parametrize("lengths", [(4, 4), (5, 3)])
def test_mixup_with_all_of_oneself_is_none(level, lengths, drawn):
    model = network("bilstm").double().train()
    plain, mixing = (objective_of(Method("m", mixup=mixup, mixup_alpha=0.02), model) for mixup in ("none", level))
    for number in range(60):
        step = make_step("bilstm", number, labelled=batch("bilstm", lengths, 1), labels=labels(2))
        forget(model)
        logged, found = mixing.backward(model, step), gradients(model)
        if drawn[-1][1].min() > 1 - 1e-12:
            break
    assert drawn[-1][1].min() > 1 - 1e-12, "a small a draws nearly nothing else than 0 and 1"
    forget(model)
    assert plain.backward(model, step)["sup"].item() == near(logged["sup"].item())
    assert same(found, gradients(model))


def test_shares_of_mixtures_are_beta(drawn):
    model, step = network("bilstm").train(), make_step("bilstm")
    objective = objective_of(Method("m", mixup="sentence", mixup_alpha=0.4), model)
    for number in range(150):
        objective._mixing(model, step.labelled, step.labels, number)(model.embed(step.labelled.ids))
    shares = torch.cat([share for _, share in drawn])
    assert shares.mean().item() == pytest.approx(0.5, abs=0.06)
    assert shares.var().item() == pytest.approx(1 / (4 * (2 * 0.4 + 1)), abs=0.02)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("level", ["embedding", "sentence"])
def test_mixtures_are_attacked_as_they_are(kind, level):
    model = network(kind).double().train()
    logged = objective_of(Method("m", mixup=level, adversarial=FGM), model).backward(model, make_step(kind))
    assert logged["adv"] > logged["sup"]
    assert logged["delta"].item() == near(0.2)


# Precision, and texts that are odd


@pytest.mark.parametrize("kind", KINDS)
def test_lower_precision_is_finite_and_near(kind):
    method = replace(ALL, adversarial=Attack("fgm", 0.2), consistency=replace(UDA, tsa="none"))
    logged, found = [], []
    for weights, dtype in ((torch.float64, "float32"), (torch.float32, "float32"), (torch.float32, "bfloat16")):
        model = network(kind).to(weights).train()
        objective = objective_of(method, model, dtype=dtype)
        for number in range(2):
            logged.append(objective.backward(model, make_step(kind, number)))
            objective.after_step(model)
        assert objective.queue.storage.dtype == weights
        found.append(torch.cat([gradient.flatten() for gradient in gradients(model).values()]).double())
    assert all(value.isfinite() for terms in logged for value in terms.values())
    assert all(gradient.isfinite().all() for gradient in found)
    single, mixed = {"rel": 1e-5, "abs": 1e-6}, {"rel": 0.1, "abs": 0.05}
    for number in range(2):
        exact = logged[number]
        for rough, tolerance in ((logged[2 + number], single), (logged[4 + number], mixed)):
            for term in exact:
                assert rough[term].item() == pytest.approx(exact[term].item(), **tolerance), term
    assert not torch.equal(found[1], found[2])
    assert F.cosine_similarity(found[0], found[1], dim=0) > 1 - 1e-6
    assert F.cosine_similarity(found[0], found[2], dim=0) > 0.98


def test_half_precision_is_raised_and_doubles_stay():
    for dtype in (torch.float16, torch.bfloat16, torch.float32, torch.float64):
        raised = at_least_float32(torch.ones(2, dtype=dtype)).dtype
        assert raised == (torch.float64 if dtype == torch.float64 else torch.float32)


@pytest.mark.parametrize("method", [ALL, Method("m", mixup="embedding", adversarial=PGD)], ids=["terms", "mixup"])
def test_texts_without_words_harm_nobody(method):
    model, empty = network("bilstm").train(), batch("bilstm", (3, 0, 2, 0), 1)
    step = make_step("bilstm", labelled=empty, similar=empty, positives=empty)
    logged = objective_of(method, model).backward(model, step)
    assert all(value.isfinite() for value in logged.values())
    assert all(gradient.isfinite().all() for gradient in gradients(model).values())


def test_a_positive_stays_with_its_text():
    """Row i of ``positives`` belongs to row i of ``similar``, also where another positive has no words."""
    texts = Encoded(torch.arange(3, 15).numpy(), torch.tensor([0, 3, 6, 9, 12]).numpy())
    positives = replace(texts, flat=texts.flat[3:], offsets=texts.offsets - 3 * (texts.offsets > 0))
    data = Data(texts, labels(4).numpy(), rows := torch.arange(4).numpy(), similar=rows, positives=(positives,))
    objective = objective_of(METHODS["Baseline+ESimCSE"], network("bilstm"))
    for step in steps(data, objective, Schedule(batch_size=4), 0, 0, torch.device("cpu")):
        assert step.positives.rows.tolist() == step.similar.rows.tolist()


# ConSERT


@settings(max_examples=30)
@given(st.lists(st.lists(st.booleans(), min_size=6, max_size=6), min_size=1, max_size=4), st.integers(0, 2**32))
def test_words_are_shuffled_among_themselves(inside, seed):
    inside = torch.tensor(inside)
    places = torch.arange(inside.numel()).view(*inside.shape, 1).expand(-1, -1, 2).float()
    moved = shuffled(places, inside, torch.Generator().manual_seed(seed))
    assert torch.equal(moved[..., 0], moved[..., 1]), "a word moves as a whole"
    for before, after, words in zip(places[..., 0], moved[..., 0], inside, strict=True):
        assert torch.equal(after[~words], before[~words])
        assert sorted(after[words].tolist()) == before[words].tolist()


def test_every_order_of_words_is_equally_likely():
    inside = torch.tensor([[False, True, True, True, False]]).expand(6000, -1)
    moved = shuffled(torch.arange(5.0).view(1, 5, 1).expand(6000, -1, 1), inside, torch.Generator().manual_seed(0))
    orders, counts = moved[:, 1:4, 0].unique(dim=0, return_counts=True)
    assert len(orders) == 6 and (counts - 1000).abs().max() < 150


def test_features_are_cut_for_a_whole_text():
    x = torch.ones(200, 5, 40)
    cut = features_cut(x, torch.Generator().manual_seed(0))
    assert set(cut.unique().tolist()) == {0.0, 1.0}
    assert (cut == cut[:, :1]).all() and not (cut == cut[:1]).all()
    assert (cut == 0).float().mean().item() == pytest.approx(0.15, abs=0.01)
    assert torch.equal(features_cut(x, torch.Generator(), rate=0.0), x)
