"""Accuracy under attack against attacks written by hand, one text at a time; what is kept; what controls control."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from paperkit import attacks, runs
from paperkit.errors import InputError
from paperkit.evaluate import robustness
from paperkit.evaluate.robustness import Trial, Victim, perturbed
from paperkit.papers import BASELINE, paper_b
from paperkit.runs import Run, RunSpec, Source
from paperkit.store import Store
from paperkit.terms import Attack
from paperkit.text.batches import collate
from paperkit.text.prepare import TextOptions
from paperkit.text.tokens import TokenOptions
from paperkit.training.methods import Schedule
from tests.small import tickets, write_csv

SCHEDULE = Schedule(epochs=2, batch_size=16, learning_rate=5e-3, head_learning_rate=2e-2, dropout=(0, 0, 0.1))
FGM = Attack("fgm", 0.4, relative=True)
PGD = Attack("pgd", 0.4, relative=True, steps=4, step_size=None)
SHORT = Attack("pgd", 1.0, steps=2, step_size=0.3)
NOISE = Attack("noise", 0.4, relative=True)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A store, two trained encoders that differ in their seed, a Bi-LSTM, and the rows of the test texts."""
    folder = tmp_path_factory.mktemp("attacked")
    table = write_csv(folder / "mine.csv", ("text", "label"), tickets({"billing": 40, "network": 40, "other": 25}))
    source = Source(str(table), text="text", label="label")
    store = Store(folder / "store")
    specs = [RunSpec(source, None, BASELINE, TokenOptions("tiny", max_length=24), SCHEDULE, seed) for seed in (0, 1)]
    text = TextOptions(vector_size=8, vector_epochs=1, max_length=24)
    platform = source.load().platforms[0]
    specs.append(RunSpec(source, platform, paper_b(2.0, None)[1], text, replace(SCHEDULE, dropout=(0, 0, 0)), 0))
    return store, runs.get(specs, store, 1), source.load().rows("test").index.to_numpy()


def by_hand(network, ids, lengths, inside, y, attack: Attack) -> torch.Tensor:
    """The perturbation of one text (1, T), with plain loops."""
    x = network.embed(ids).detach()
    mask = inside[..., None].float()
    radius = attack.epsilon * ((x * mask).norm() if attack.relative else 1.0)
    stride = {"pgd": 2.5 * radius / attack.steps if attack.step_size is None else attack.step_size}.get(
        attack.kind, radius
    )
    delta = torch.zeros_like(x)
    for _ in range(attack.steps if attack.kind == "pgd" else 1):
        at = (x + delta).requires_grad_()
        (g,) = torch.autograd.grad(F.cross_entropy(network.classify(at, lengths), y), at)
        g = g.sign() * mask if attack.kind == "fgsm" else g * mask
        delta = delta + stride * g / g.norm()
        if delta.norm() > radius:
            delta = delta * radius / delta.norm()
    return delta


def each_text(run, store, rows):
    """The network, and of each row its tokens (1, T), length, inside and label."""
    network, prepared = run.model(store)
    labels = run.spec.source.load().table.label
    for row in rows:
        batch = collate(prepared.texts, np.array([row]))
        yield network, batch.ids, batch.lengths, batch.inside, torch.tensor([labels[row]])


@pytest.mark.parametrize("which", [0, 2], ids=["encoder", "Bi-LSTM"])
def test_attacks_are_those_written_by_hand_one_text_at_a_time(made, which):
    store, every, rows = made
    run, tests = every[which], (FGM, PGD, SHORT, replace(FGM, kind="fgsm"))
    found = perturbed(run, [Trial(each) for each in tests], rows, store)
    for i, (network, ids, lengths, inside, y) in enumerate(each_text(run, store, rows)):
        for number, test in enumerate(tests, start=1):
            delta = by_hand(network, ids, lengths, inside, y, test)
            with torch.no_grad():
                z = network.classify(network.embed(ids) + delta, lengths)
            assert found.loss[number, i] == pytest.approx(F.cross_entropy(z, y).item(), rel=1e-3, abs=1e-4)
            assert found.norms[number, i] == pytest.approx(delta.norm().item(), rel=1e-3)
            assert found.predicted[number, i] == z.argmax() or z.topk(2).values.diff().abs() < 1e-3
    assert (found.loss[1] > found.loss[0]).mean() > 0.9, "it is an attack"


def test_no_radius_is_no_attack(made):
    store, (run, *_), rows = made
    nothing = [Trial(replace(each, epsilon=0.0)) for each in (FGM, PGD, NOISE)]
    found = perturbed(run, nothing, rows, store)
    _, _, logits = run.on(None)
    assert (found.predicted == logits.argmax(axis=1)).all() and (found.norms == 0).all()


def test_what_was_computed_is_read(made, monkeypatch):
    store, every, rows = made
    asked = (
        every[:2],
        [[Trial(FGM)], [Trial(PGD, restarts=1), Trial(FGM, source=every[0])]],
        [rows, rows[:9]],
        store,
        1,
    )
    first = robustness.attack(*asked)
    assert [each.predicted.shape for each in first] == [(2, len(rows)), (3, 9)]

    def refuse(*_):
        raise AssertionError("computed again")

    monkeypatch.setattr(robustness, "perturbed", refuse)
    for one, other in zip(first, robustness.attack(*asked), strict=True):
        for part in ("predicted", "loss", "norms", "embedding_norms"):
            assert np.array_equal(getattr(one, part), getattr(other, part))
    for changed in ([Trial(replace(FGM, epsilon=0.3))], [Trial(FGM, source=every[1])]):
        with pytest.raises(AssertionError, match="computed again"):
            robustness.attack(every[:1], [changed], [rows], store, 1)
    with pytest.raises(AssertionError, match="computed again"):
        robustness.attack(every[:1], [[Trial(FGM)]], [rows[1:]], store, 1)


def test_restarts_never_lower_the_loss(made):
    store, (run, *_), rows = made
    short = replace(PGD, steps=1, step_size=0.02)
    found = perturbed(run, [Trial(short, restarts=n) for n in (0, 1, 3)], rows, store)
    for fewer, more in ((1, 2), (2, 3)):
        assert (found.loss[more] >= found.loss[fewer] - 1e-5).all()
    assert (found.loss[3] > found.loss[1] + 1e-4).any(), "and some find more"
    assert (found.norms[3] <= 0.4 * found.embedding_norms * 1.0001).all()


def test_a_restart_starts_at_a_random_point_of_the_ball(made, monkeypatch):
    store, (run, *_), rows = made
    network, prepared = run.model(store)
    batch = collate(prepared.texts, rows[:8])
    victim = Victim(network, batch, torch.tensor(run.spec.source.load().table.label.to_numpy()[rows[:8]]))
    starts = []

    def noted(*arguments, start=None, **options):
        starts.append(start)
        return original(*arguments, start=start, **options)

    original = attacks.perturb
    monkeypatch.setattr(attacks, "perturb", noted)
    victim.worst(Trial(PGD, restarts=3))
    assert starts[0] is None and len(starts) == 4, "the first from the middle"
    radius = 0.4 * (victim.embedded * batch.inside[..., None]).flatten(1).norm(dim=1)
    shares = torch.stack([start.flatten(1).norm(dim=1) / radius for start in starts[1:]])
    assert (shares <= 1.0001).all() and shares.std() > 0.1, "anywhere between middle and border"
    for one, other in ((1, 2), (1, 3), (2, 3)):
        cosine = F.cosine_similarity(starts[one].flatten(1), starts[other].flatten(1))
        assert (cosine.abs() < 0.9).all(), "in another direction"


def test_a_transferred_attack_follows_the_gradient_of_its_source(made):
    store, (run, source, _), rows = made
    found = perturbed(run, [Trial(FGM, source=source), Trial(FGM)], rows, store)
    mine, theirs = each_text(run, store, rows), each_text(source, store, rows)
    for i, ((network, ids, lengths, inside, y), (other, *_)) in enumerate(zip(mine, theirs, strict=True)):
        delta = by_hand(other, ids, lengths, inside, y, FGM)
        delta = delta / delta.norm() * 0.4 * (network.embed(ids) * inside[..., None]).norm()
        with torch.no_grad():
            loss = F.cross_entropy(network.classify(network.embed(ids) + delta, lengths), y)
        assert found.loss[1, i] == pytest.approx(loss.item(), rel=1e-3, abs=1e-4)
    assert found.norms[1] == pytest.approx(found.norms[2], rel=1e-4), "as far as an attack of its own"
    assert found.loss[1].mean() < found.loss[2].mean()


def test_noise_is_as_long_as_the_attack_and_leads_nowhere(made):
    store, (run, *_), rows = made
    found = perturbed(run, [Trial(NOISE), Trial(FGM)], rows, store)
    assert found.norms[1] == pytest.approx(0.4 * found.embedding_norms, rel=1e-5)
    assert found.norms[1] == pytest.approx(found.norms[2], rel=1e-5)
    assert found.loss[1].mean() < found.loss[2].mean()
    network, prepared = run.model(store)
    batch = collate(prepared.texts, rows[:8])
    way = Victim(network, batch, torch.zeros(8, dtype=torch.long)).random("noise")[0]
    assert (way[~batch.inside] == 0).all() and torch.allclose(way.flatten(1).norm(dim=1), torch.ones(8))
    assert len({row.tobytes() for row in way[:, 1, :3].numpy()}) == 8


def test_a_text_is_attacked_alike_in_whatever_batch_it_is(made):
    store, (run, source, _), rows = made
    tests = [Trial(FGM), Trial(PGD, restarts=2), Trial(NOISE), Trial(PGD, source=source)]
    whole = perturbed(run, tests, rows, store)
    for batch_size, order in ((1, rows), (5, rows), (64, rows[::-1])):
        found = perturbed(run, tests, order, store, batch_size)
        place = [order.tolist().index(row) for row in rows]
        for part in ("loss", "norms"):
            assert np.allclose(getattr(found, part)[:, place], getattr(whole, part), rtol=2e-3, atol=2e-4)
        assert (found.predicted[:, place] == whole.predicted).mean() > 0.99


def test_what_makes_no_sense_is_refused(made):
    store, every, rows = made
    with pytest.raises(InputError, match="3 restarts of 'fgm'; accepted are 0, and more of 'pgd'"):
        Trial(FGM, restarts=3)
    with pytest.raises(ValueError, match="reads the same tokens"):
        perturbed(every[0], [Trial(FGM, source=every[2])], rows, store)


def test_noise_and_restarts_are_drawn_by_the_seed_of_the_run(made):
    store, (run, *_), rows = made
    other = Run(replace(run.spec, seed=7), run.folder)
    for trial in (Trial(NOISE), Trial(replace(PGD, steps=1, step_size=0.02), restarts=1)):
        one, two = (perturbed(each, [trial], rows, store) for each in (run, other))
        assert np.array_equal(one.loss[0], two.loss[0]), "unperturbed, of the same weights"
        assert not np.allclose(one.loss[1], two.loss[1])


def test_attacks_with_other_restarts_are_other_attacks():
    assert len({str(Trial(PGD, restarts=number).identity) for number in (0, 1, 3)}) == 3
