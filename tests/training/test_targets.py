"""A temperature is applied to every target that accepts one."""

from dataclasses import replace

import pytest
import torch

from paperkit.models.bilstm import BiLSTM
from paperkit.terms import Consistency
from paperkit.text.batches import Batch
from paperkit.training import objective as module
from paperkit.training.methods import Method
from paperkit.training.objective import Objective, Step

TEXTS, WORDS = 4, 5


@pytest.mark.parametrize("target", ["current", "live", "teacher", "ensemble"])
def test_a_sharpened_target_is_more_certain_and_names_the_same_class(target, monkeypatch):
    targets = []
    real = module.losses.divergence
    monkeypatch.setattr(module.losses, "divergence", lambda z, q, kind: targets.append(q.detach()) or real(z, q, kind))
    for temperature in (1.0, 0.5):
        torch.manual_seed(0)
        model = BiLSTM(torch.randn(2 + TEXTS * WORDS, 6), 3, dropout=(0, 0, 0)).double()
        ids = torch.arange(2, 2 + TEXTS * WORDS).view(TEXTS, WORDS)
        batch = Batch(ids, torch.full((TEXTS,), WORDS), torch.arange(TEXTS), torch.ones(TEXTS, WORDS, dtype=torch.bool))
        consistency = replace(Consistency(tsa="none"), target=target, temperature=temperature)
        objective = Objective(Method("m", consistency=consistency), model, lambda z, y: z[:, 0], batch_size=TEXTS,
                              pool=torch.arange(TEXTS))  # fmt: skip
        step = Step(0, 0.0, batch, torch.zeros(TEXTS, dtype=torch.int64), unlabelled=batch, augmented=batch)
        for _ in range(2):  # an ensemble of no prediction is none
            logged = objective.backward(model, step)
        assert logged["kept_cons"] == 1
    plain, sharp = targets[1], targets[3]
    expected = plain.square() / plain.square().sum(dim=1, keepdim=True)
    assert torch.allclose(sharp, expected, rtol=1e-9) and not torch.allclose(sharp, plain, atol=1e-3)
