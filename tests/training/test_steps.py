"""What one step reads of all the texts, and that everything which a method trains is trained: the terms inside the loop."""

from dataclasses import replace
from itertools import chain

import numpy as np
import pytest
import torch
from torch.optim.optimizer import register_optimizer_step_pre_hook

from paperkit.terms import Consistency, Contrast
from paperkit.text.batches import collate
from paperkit.text.vocabulary import Encoded
from paperkit.training.loop import Data, fit, steps
from paperkit.training.methods import Method, Schedule
from paperkit.training.objective import Objective
from tests.networks import labels, network
from tests.training.steps import cross_entropy

TEXTS, LENGTH = 60, 5
LABELLED, OTHERS, SIMILAR = np.arange(10), np.arange(10, 40), np.arange(40, TEXTS)


def texts(version: int) -> Encoded:
    words = np.random.default_rng(version).integers(3, 40, TEXTS * LENGTH)
    return Encoded(words.astype(np.int32), np.arange(TEXTS + 1) * LENGTH)


def with_gaps(made: Encoded) -> Encoded:
    """Of every text of an even number nothing is there."""
    lengths = np.where(np.arange(TEXTS) % 2, LENGTH, 0)
    return replace(made, flat=made.flat[np.repeat(lengths > 0, LENGTH)], offsets=np.r_[0, np.cumsum(lengths)])


DATA = Data(texts(0), labels(TEXTS).numpy(), LABELLED, unlabelled=OTHERS, augmented=(texts(1), texts(2)), similar=SIMILAR,
            positives=(texts(3), texts(4)), negatives=(with_gaps(texts(5)), with_gaps(texts(6))))  # fmt: skip
SCHEDULE = Schedule(epochs=3, batch_size=4, min_steps=18, dropout=(0, 0, 0))
"""Ten texts in batches of four are three steps, so each epoch goes through them twice."""
ONCE = replace(SCHEDULE, epochs=1, min_steps=0)
METHOD = Method("all of it", consistency=Consistency(ratio=2, target="teacher", average=0.5),
                contrast=Contrast(ratio=3, eda_negatives=True, momentum=0.5))  # fmt: skip


def made(seed: int = 0):
    model = network("bilstm")
    pool = torch.from_numpy(OTHERS)
    return model, Objective(METHOD, model, cross_entropy, batch_size=SCHEDULE.batch_size, pool=pool, seed=seed)


def epoch(number: int, seed: int = 0):
    _, objective = made(seed)
    return list(steps(DATA, objective, SCHEDULE, seed, number, torch.device("cpu")))


def test_steps_are_counted_through_the_whole_training():
    every = [step for number in range(3) for step in epoch(number)]
    assert [step.number for step in every] == list(range(18))
    assert [step.progress for step in every] == pytest.approx([number / 18 for number in range(18)])


@pytest.mark.parametrize("number", [0, 1, 2])
def test_texts_travel_with_the_versions_of_their_epoch(number):
    for step in epoch(number):
        assert (len(step.unlabelled), len(step.similar)) == (2 * 4, 3 * 4), "by the ratios"
        for versions, batch, of in ((DATA.augmented, step.augmented, step.unlabelled),
                                    (DATA.positives, step.positives, step.similar)):  # fmt: skip
            assert torch.equal(batch.ids, collate(versions[number % 2], of.rows.numpy()).ids)
        assert step.negatives.rows.tolist() == [row for row in step.similar.rows.tolist() if row % 2], "no empty ones"


def test_every_pass_epoch_and_seed_has_an_order_of_its_own():
    every = [epoch(0), epoch(1), epoch(2), epoch(0, seed=1)]
    for each in every:
        order = [step.labelled.rows.tolist() for step in each]
        first, second = order[:3], order[3:]
        assert sorted(chain(*first)) == sorted(chain(*second)) == LABELLED.tolist() and first != second
    read = [[step.unlabelled.rows.tolist() for step in each] for each in every]
    assert all(one != other for place, one in enumerate(read) for other in read[:place])


def test_all_that_is_to_be_trained_is_trained_and_averages_follow(tmp_path):
    model, objective = made()
    projection = objective.projection.dense.weight
    averages = (objective.teacher.module.output.weight, objective.momentum_encoder.module.w,
                objective.momentum_projection.module.dense.weight)  # fmt: skip
    before = [each.clone() for each in (projection, *averages)]
    fit(model, objective, DATA, ONCE, 0, tmp_path)
    assert not any(map(torch.equal, before, (projection, *averages)))


def test_the_projection_is_clipped_with_the_rest(tmp_path):
    sizes = []

    def measure(optimizer, *_):
        gradients = [
            p.grad.flatten() for group in optimizer.param_groups for p in group["params"] if p.grad is not None
        ]
        sizes.append(torch.cat(gradients).norm().item())

    hook = register_optimizer_step_pre_hook(measure)
    try:
        model, objective = made()
        fit(model, objective, DATA, replace(ONCE, clip=0.01), 0, tmp_path)
    finally:
        hook.remove()
    assert len(sizes) == 3
    assert max(sizes) <= 0.01 * 1.001
