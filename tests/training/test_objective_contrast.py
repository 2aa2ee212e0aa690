"""The contrastive term of paper A's loss: whose embeddings it compares, and what is kept of them between steps."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from paperkit import losses
from paperkit.training import objective as module
from paperkit.training.methods import Contrast, Method
from tests.networks import KINDS, batch, network
from tests.training.steps import close, forget, gradients, logits_of, make_step, naive_sim, near, objective_of, same


def sentences(model, projection, texts) -> torch.Tensor:
    with torch.no_grad():
        return projection(model.represent(model.embed(texts.ids), texts.lengths))


def contrastive(kind, dropout=0.0, **options):
    model = network(kind, dropout).double().train()
    return model, objective_of(Method("m", contrast=Contrast(**options)), model)


@pytest.mark.parametrize("kind", KINDS)
def test_the_momentum_encoder_and_its_projection_start_as_the_models(kind):
    model, objective = contrastive(kind)
    for slow, source in ((objective.momentum_encoder, model), (objective.momentum_projection, objective.projection)):
        mine, theirs = slow.module.state_dict(), source.state_dict()
        assert mine.keys() == theirs.keys() and all(torch.equal(mine[name], theirs[name]) for name in mine)
        assert not any(parameter.requires_grad for parameter in slow.parameters())
    _, other = contrastive(kind, start="random")
    for slow, source in ((other.momentum_encoder, model), (other.momentum_projection, other.projection)):
        pairs = list(zip(slow.parameters(), source.parameters(), strict=True))
        assert not any(torch.equal(*pair) for pair in pairs if pair[0].ndim > 1)


@pytest.mark.parametrize("kind", KINDS)
def test_the_queue_is_read_before_it_is_filled_and_holds_no_dropout(kind):
    model, objective = contrastive(kind, dropout=0.3, momentum=0.5)
    optimizer = torch.optim.SGD([*model.parameters(), *objective.projection.parameters()], 0.1)
    slow, queue = network(kind).double(), torch.zeros(0, model.output.in_features, dtype=torch.float64)
    slow_projection = torch.nn.Sequential(torch.nn.Linear(*objective.projection.dense.weight.shape), torch.nn.Tanh())
    slow_projection.double()[0].load_state_dict(objective.projection.dense.state_dict())
    for number in range(4):
        others = batch(kind, (3, 4, 6, 2), 10 + number)  # of no text that the queue holds
        step = make_step(kind, number, similar=replace(others, rows=others.rows + 10 * number))
        for part in model.modules():  # the loss itself is compared without dropout
            if isinstance(part, torch.nn.Dropout):
                part.p = 0.0
        expected = naive_sim(model, objective.projection, step, queue=queue[-10:])
        logged = objective.backward(model, step)
        found = gradients(model, objective.projection)
        forget(model, objective.projection)
        assert logged["sim"].item() == near(expected.item())
        (0.5 * F.cross_entropy(logits_of(model, step.labelled), step.labels) + 0.5 * expected).backward()
        assert same(found, gradients(model, objective.projection))
        queue = torch.cat([queue, sentences(slow, slow_projection, step.similar)])
        assert logged["queue"] == len(queue[-10:]) == min(4 * number + 4, 10)
        assert close(objective.queue.contents().sort(0).values, queue[-10:].sort(0).values)
        optimizer.step()
        forget(model, objective.projection)
        objective.after_step(model)
        with torch.no_grad():
            for mine, theirs in ((slow, model), (slow_projection, objective.projection)):
                for own, other in zip(mine.parameters(), theirs.parameters(), strict=True):
                    own.mul_(0.5).add_(0.5 * other)


@pytest.mark.parametrize("kind", KINDS)
def test_a_text_is_no_negative_of_itself(kind):
    """The queue may hold what a text was some steps ago, where the texts are few."""
    model, objective = contrastive(kind)
    step = make_step(kind, similar=batch(kind, (3, 4, 6, 2), 10))
    objective.backward(model, step)
    held = objective.queue.contents()
    assert held.shape[0] == 4, "the very texts of the step"
    h = sentences(model, objective.projection, step.similar)
    other = sentences(model, objective.projection, step.positives)
    expected = losses.info_nce(
        h, other, objective.method.contrast.temperature, held, None, torch.eye(4, dtype=torch.bool)
    )
    assert objective.backward(model, step)["sim"].item() == near(expected.mean().item())


def test_embeddings_of_the_queue_have_no_dropout_and_both_sides_of_a_pair_have_their_own():
    model, objective = contrastive("bilstm", dropout=0.4, positive="dropout")
    step = make_step("bilstm", positives=None)
    expected = sentences(network("bilstm").double(), objective.projection, step.similar)
    assert objective.backward(model, step)["sim"] > 1e-3, "nothing to learn if both had the same"
    assert close(objective.queue.contents(), expected)


def test_negatives_are_in_the_denominator_and_take_gradient():
    model, objective = contrastive("bilstm", weight=1.0, eda_negatives=True, queue=0)
    step = make_step("bilstm", negatives=batch("bilstm", (2, 5), 8))
    logged = objective.backward(model, step)
    found = gradients(model, objective.projection)
    forget(model, objective.projection)
    negatives = objective.projection(model.represent(model.embed(step.negatives.ids), step.negatives.lengths))
    expected = naive_sim(model, objective.projection, step, negatives=negatives)
    expected.backward()
    assert logged["sim"].item() == logged["loss"].item() == near(expected.item())
    assert same(found, gradients(model, objective.projection))


@pytest.mark.parametrize("kind", KINDS)
def test_with_all_weight_on_it_the_classifier_is_left_alone(kind):
    model = network(kind).train()
    method = Method("m", contrast=Contrast(weight=1.0))
    objective = objective_of(method, model)
    logged = objective.backward(model, make_step(kind))
    assert set(logged) == {"loss", "sim", "queue"}
    assert all(parameter.grad is None for parameter in model.output.parameters())
    assert all(gradient.abs().max() > 0 for name, gradient in gradients(objective.projection).items())
    assert model.embed(torch.tensor([[5]])).requires_grad and sum(p.grad is not None for p in model.parameters()) > 5


@pytest.mark.parametrize(
    ("queue", "ratio", "size", "expected"), [(2.5, 1, 64, 160), (2.5, 3, 4, 30), (0.3, 1, 4, 1), (1, 2, 5, 10)]
)
def test_the_queue_is_measured_in_batches(queue, ratio, size, expected):
    method = Method("m", contrast=Contrast(queue=queue, ratio=ratio))
    assert len(objective_of(method, network("bilstm"), batch_size=size).queue.storage) == expected


def test_no_queue_needs_no_momentum_encoder():
    model, objective = contrastive("bilstm", queue=0)
    assert objective.queue is objective.momentum_encoder is objective.momentum_projection is None
    assert "queue" not in objective.backward(model, make_step("bilstm"))
    objective.after_step(model)


@pytest.mark.parametrize("kind", KINDS)
def test_consert_reads_the_text_twice_shuffled_and_cut(kind):
    model, objective = contrastive(kind, positive="consert", queue=0)
    step = make_step(kind, positives=None)
    texts, logged = step.similar, objective.backward(model, step)
    one = module.shuffled(model.embed(texts.ids), texts.inside, objective._generator("shuffle", step.number))
    two = module.features_cut(model.embed(texts.ids), objective._generator("cutoff", step.number))
    h, other = (objective.projection(model.represent(x, texts.lengths)) for x in (one, two))
    assert logged["sim"].item() == near(losses.info_nce(h, other).mean().item())
    again = objective_of(objective.method, model, seed=3).backward(model, step)
    assert again["sim"] != logged["sim"], "another seed"
