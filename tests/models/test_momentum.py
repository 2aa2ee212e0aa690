"""The momentum copy against its formula, and the queue against a deque."""

import re
from collections import deque

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from paperkit.errors import InputError
from paperkit.models.encoder import Projection
from paperkit.models.momentum import MomentumCopy, Queue
from tests.networks import KINDS, batch, network


class Normed(nn.Sequential):
    """Parameters, and buffers that training changes."""

    def __init__(self):
        super().__init__(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))


@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_it_starts_as_an_exact_copy(kind):
    model, texts = network(kind), batch(kind, (3, 5))
    slow = MomentumCopy(model, 0.9)
    mine, theirs = slow.module.state_dict(), model.state_dict()
    assert mine.keys() == theirs.keys() and all(torch.equal(mine[name], theirs[name]) for name in mine)
    assert torch.equal(slow(texts.ids, texts.lengths), model(texts.ids, texts.lengths))
    for parameter in model.parameters():
        parameter.add_(1)
    assert not any(torch.equal(one, other) for one, other in zip(slow.parameters(), model.parameters(), strict=True))


@pytest.mark.parametrize("momentum", [0.0, 0.3, 0.995, 1.0])
def test_it_follows_by_the_formula(momentum):
    torch.manual_seed(0)
    model = Normed().double()
    slow = MomentumCopy(model, momentum)
    expected = [parameter.detach().clone() for parameter in model.parameters()]
    optimizer = torch.optim.SGD(model.parameters(), 0.5)
    for _ in range(4):
        optimizer.zero_grad()
        model(torch.randn(5, 3).double()).square().sum().backward()
        optimizer.step()
        before = [parameter.detach().clone() for parameter in model.parameters()]
        slow.update(model)
        for i, parameter in enumerate(model.parameters()):
            expected[i] = momentum * expected[i] + (1 - momentum) * parameter.detach()
            assert torch.equal(parameter, before[i]), "the original does not follow the copy"
    for own, values in zip(slow.parameters(), expected, strict=True):
        assert torch.allclose(own, values, rtol=1e-9, atol=1e-12)
    for own, other in zip(slow.module.buffers(), model.buffers(), strict=True):
        assert torch.equal(own, other) and own.data_ptr() != other.data_ptr()
    assert slow.module[1].num_batches_tracked == 4


def test_it_takes_no_gradient():
    torch.manual_seed(0)
    model, x = Normed(), torch.randn(5, 3, requires_grad=True)
    slow = MomentumCopy(model, 0.9)
    assert not any(parameter.requires_grad for parameter in slow.parameters())
    assert all(parameter.requires_grad for parameter in model.parameters()), "the original still does"
    (slow(x) + model(x)).square().sum().backward()
    slow.update(model)
    assert all(parameter.grad is None for parameter in slow.parameters())
    assert not any(parameter.requires_grad for parameter in slow.parameters())


@pytest.mark.parametrize("make", [Normed, lambda: Projection(4), *(lambda kind=kind: network(kind) for kind in KINDS)])
def test_a_random_start_forgets_every_weight_that_was_learned(make):
    model = make()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1)  # as if trained: no weight is what it starts from
    slow = MomentumCopy(model, 0.9, "random")
    for (name, own), other in zip(slow.module.named_parameters(), model.parameters(), strict=True):
        assert not torch.allclose(own, other, atol=1e-3), name
        assert own.isfinite().all() and not own.requires_grad


def test_a_random_start_depends_on_the_seed_alone():
    model, made = Normed(), []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        made.append(MomentumCopy(model, 0.9, "random").module[0].weight)
    assert torch.equal(made[0], made[1]) and not torch.equal(made[0], made[2])


def test_a_copy_goes_on_from_its_checkpoint():
    torch.manual_seed(0)
    model, others = Normed(), [Normed() for _ in range(4)]
    slow, resumed = MomentumCopy(model, 0.9), MomentumCopy(Normed(), 0.9)
    for other in others[:2]:
        slow.update(other)
    resumed.load_state_dict(slow.state_dict())
    for other in others[2:]:
        slow.update(other)
        resumed.update(other)
    mine, theirs = slow.state_dict(), resumed.state_dict()
    assert all(torch.equal(mine[name], theirs[name]) for name in mine)


# The queue


def pushed(size: int, sizes: list[int], queue: Queue | None = None, first: int = 0) -> tuple[Queue, list[float]]:
    """A queue after pushes of numbered embeddings, and what a deque holds after the same."""
    queue, plain, number = queue or Queue(size, 2), deque(maxlen=size), first
    for n in sizes:
        numbers = torch.arange(number, number + n, dtype=torch.float32)
        queue.push(torch.stack([numbers, -numbers], dim=1), numbers.long() % 5)
        plain.extend(numbers.tolist())
        number += n
    return queue, list(plain)


def held(queue: Queue) -> list[float]:
    contents = queue.contents()
    assert torch.equal(contents[:, 0], -contents[:, 1])
    wanted = torch.arange(7)
    assert torch.equal(queue.holds(wanted), wanted[:, None] == contents[:, 0] % 5), "whose embeddings they are"
    return sorted(contents[:, 0].tolist())


@given(st.integers(1, 7), st.lists(st.integers(0, 20), max_size=12))
def test_the_queue_is_first_in_first_out(size, sizes):
    queue, plain = pushed(size, sizes)
    assert held(queue) == sorted(plain)
    assert int(queue.fill) == len(plain) <= size


@settings(max_examples=30)
@given(st.integers(1, 7), st.lists(st.integers(0, 9), max_size=6), st.lists(st.integers(0, 9), max_size=6))
def test_a_queue_goes_on_from_its_checkpoint(size, before, after):
    queue, _ = pushed(size, before)
    resumed = Queue(size, 2)
    resumed.load_state_dict({name: value.clone() for name, value in queue.state_dict().items()})
    assert torch.equal(resumed.contents(), queue.contents())
    for each in (queue, resumed):
        pushed(size, after, each, first=sum(before))
    assert torch.equal(resumed.contents(), queue.contents())
    assert held(resumed) == sorted(pushed(size, before + after)[1])


def test_it_is_empty_at_the_start():
    queue = Queue(3, 2)
    assert queue.contents().shape == (0, 2)
    assert not list(queue.parameters())
    assert set(queue.state_dict()) == {"storage", "rows", "pointer", "fill"}, "all of it stands in a checkpoint"


def test_what_is_pushed_keeps_no_graph_and_no_tie():
    queue, embeddings = Queue(3, 2), torch.ones(2, 2, requires_grad=True)
    queue.push(embeddings * 2, torch.arange(2))
    assert not queue.contents().requires_grad
    with torch.no_grad():
        embeddings.zero_()
    assert queue.contents().tolist() == [[2, 2], [2, 2]]
    queue.push(torch.ones(1, 2, dtype=torch.bfloat16), torch.arange(1))
    assert queue.contents().dtype == torch.float32


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: MomentumCopy(nn.Linear(1, 1), 1.5), "momentum is 1.5; accepted is a number from 0 to 1 (ESimCSE: 0.995)"),
        (lambda: MomentumCopy(nn.Linear(1, 1), float("nan")),
         "momentum is nan; accepted is a number from 0 to 1 (ESimCSE: 0.995)"),
        (lambda: MomentumCopy(nn.Linear(1, 1), 0.5, "zeros"), "momentum encoder: start is 'zeros'; accepted are 'copy', 'random'"),
        (lambda: Queue(0, 2), "queue: size is 0; accepted is a whole number from 1"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_refused(call, sentence):
    with pytest.raises(InputError, match=f"^{re.escape(sentence)}$"):
        call()
