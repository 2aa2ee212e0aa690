"""What attacks leave as it was, also when they fail, and the virtual ones of VAT against loops and against eigenvectors."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from paperkit.attacks import Attack, norms, perturb, undisturbed, virtual
from paperkit.losses import divergence
from tests.networks import CLASSES, KINDS, WORDS, batch, changed, labels, network, snapshot
from tests.perturbed import LENGTHS, N, generator, norm, setting

# What an attack leaves as it was


class Normed(nn.Module):
    """A classifier with buffers that training changes, and dropout."""

    def __init__(self):
        super().__init__()
        self.embedding, self.norm = nn.Embedding(WORDS, 6), nn.BatchNorm1d(6)
        self.dropout, self.output = nn.Dropout(0.5), nn.Linear(6, CLASSES)

    def classify(self, embedded, lengths):
        return self.output(self.dropout(self.norm(embedded.mean(dim=1))))


def disturbed(training: bool):
    torch.manual_seed(0)
    model, texts, y = Normed().train(training), batch("bilstm", LENGTHS), labels(N)
    embedded = model.embedding(texts.ids)

    def each(x):
        return F.cross_entropy(model.classify(x, texts.lengths), y, reduction="none")

    each(embedded).sum().backward()  # so that parameters have gradients
    return model, texts, embedded.detach(), each


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(
    "attack", [Attack("fgm"), Attack("pgd"), Attack("fgsm"), Attack("noise"), Attack(scope="matrix")], ids=str
)
def test_an_attack_leaves_no_trace(attack, training):
    model, texts, embedded, each = disturbed(training)
    before, clean = snapshot(model), embedded.clone()
    delta = perturb(model, each, embedded, texts.inside, attack, ids=texts.ids, generator=generator())
    assert norms(delta).min() > 0
    assert not changed(before, snapshot(model))
    assert torch.equal(embedded, clean) and embedded.grad is None
    each(embedded)
    assert training == bool(changed(before, snapshot(model))), "a pass without protection leaves some in training"


def test_virtual_leaves_no_trace_either():
    model, texts, embedded, _ = disturbed(True)
    before = snapshot(model)
    target = torch.full((N, CLASSES), 1 / CLASSES)
    virtual(
        model,
        lambda x: model.classify(x, texts.lengths),
        embedded,
        texts.inside,
        target,
        Attack(),
        generator=generator(),
    )
    assert not changed(before, snapshot(model))


@pytest.mark.parametrize("attack", [Attack("pgd"), Attack("pgd", scope="matrix")], ids=str)
@pytest.mark.parametrize("fails_at", [1, 2])
def test_nor_does_one_that_fails(attack, fails_at):
    model, texts, embedded, each = disturbed(True)
    before, calls = snapshot(model), []

    def failing(x):
        calls.append(each(x))
        if len(calls) == fails_at:
            raise RuntimeError("out of memory")
        return calls[-1]

    with pytest.raises(RuntimeError, match="out of memory"):
        perturb(model, failing, embedded, texts.inside, attack, ids=texts.ids)
    assert not changed(before, snapshot(model))
    assert torch.is_grad_enabled()


def test_an_attack_works_where_gradients_are_off():
    model, texts, embedded, _, each = setting("bilstm")
    with torch.no_grad():
        delta = perturb(model, each, embedded, texts.inside, Attack("pgd"))
        assert not torch.is_grad_enabled()
    assert torch.equal(delta, perturb(model, each, embedded, texts.inside, Attack("pgd")))


def test_a_pass_before_an_attack_can_be_back_propagated_after_it():
    """Buffers that autograd remembers may not be written to in between, if nothing changed them."""
    model, texts, embedded, each = disturbed(False)
    loss = each(embedded).sum()
    perturb(model, each, embedded, texts.inside, Attack())
    loss.backward()


def test_a_buffer_that_is_replaced_comes_back():
    class Counting(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("count", torch.tensor(0))

        def forward(self, x):
            self.count = self.count + 1
            return x.sum(dim=(1, 2))

    model = Counting()
    with undisturbed(model, torch.device("cpu")):
        model(torch.ones(1, 1, 1))
    assert model.count == 0


# VAT


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("attack", [Attack(epsilon=0.5, relative=True, steps=1), Attack(epsilon=2.0, steps=3)], ids=str)
def test_virtual_is_a_power_iteration_for_each_example(kind, attack):
    model, texts, embedded, _, _ = setting(kind)
    target = model.classify(embedded, texts.lengths).softmax(dim=1).detach()
    delta = virtual(model, lambda x: model.classify(x, texts.lengths), embedded, texts.inside, target, attack,
                    generator=generator())  # fmt: skip
    assert not delta.requires_grad and (delta[~texts.inside] == 0).all()
    noise = torch.randn(embedded.shape, generator=generator(), dtype=embedded.dtype)
    for i, n in enumerate(texts.lengths.tolist()):
        inside, clean = texts.inside[i, :n, None], embedded[i : i + 1, :n]
        unit = norm(clean[0] * inside) if attack.relative else 1
        d = noise[i, :n] * inside / norm(noise[i, :n] * inside)
        for _ in range(attack.steps):
            x = (clean + 1e-2 * unit * d).requires_grad_()
            p = model.classify(x, torch.tensor([n])).log_softmax(dim=1)
            (g,) = torch.autograd.grad(F.kl_div(p, target[i : i + 1], reduction="sum"), x)
            d = g[0] * inside / norm(g[0] * inside)
        assert torch.allclose(delta[i, :n], attack.epsilon * unit * d, rtol=1e-7, atol=1e-9 * attack.epsilon * unit)


def test_virtual_finds_the_direction_of_the_largest_curvature():
    """For logits W x the Hessian of KL at 0 is Wᵀ (diag p − p pᵀ) W: its first eigenvector."""
    W = torch.randn(CLASSES, 6, generator=generator(3), dtype=torch.float64)
    embedded = torch.randn(2, 2, 3, generator=generator(4), dtype=torch.float64)
    inside = torch.ones(2, 2, dtype=torch.bool)

    def classify(x):
        return x.flatten(1) @ W.T

    target = classify(embedded).softmax(dim=1)
    delta = virtual(nn.Identity(), classify, embedded, inside, target, Attack(epsilon=1.0, steps=60), xi=1e-4,
                    generator=generator())  # fmt: skip
    for i, p in enumerate(target):
        first = torch.linalg.eigh(W.T @ (torch.diag(p) - torch.outer(p, p)) @ W).eigenvectors[:, -1]
        assert abs(float(first @ delta[i].flatten())) == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("kind", KINDS)
def test_virtual_changes_predictions_more_than_noise(kind):
    model, texts, embedded = network(kind), batch(kind, LENGTHS), None
    embedded = model.embed(texts.ids).detach()
    target = model.classify(embedded, texts.lengths).softmax(dim=1).detach()

    def moved(delta):
        return divergence(model.classify(embedded + delta, texts.lengths), target).mean().item()

    attack = Attack(epsilon=0.2, relative=True, steps=3)
    found = virtual(model, lambda x: model.classify(x, texts.lengths), embedded, texts.inside, target, attack,
                    generator=generator())  # fmt: skip
    random = [
        perturb(model, len, embedded, texts.inside, Attack("noise", 0.2, True), generator=generator(i))
        for i in range(5)
    ]
    assert moved(found) > max(map(moved, random))
    assert norms(found).tolist() == pytest.approx(norms(random[0]).tolist(), rel=1e-5), "in single precision too"
