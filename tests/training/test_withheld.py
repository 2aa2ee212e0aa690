"""What TSA holds back is not attacked either, whatever the attack, and does not count in its norm."""

import pytest
import torch
import torch.nn.functional as F

from paperkit.attacks import norms
from paperkit.models.bilstm import BiLSTM
from paperkit.terms import Attack, Consistency
from paperkit.text.batches import Batch
from paperkit.training import objective as module
from paperkit.training.methods import Method
from paperkit.training.objective import Objective, Step

HELD_BACK, TEXTS, WORDS = [0, 2], 4, 5
"""Their own words appear in no other text."""


def cross_entropy(logits, y):
    return F.cross_entropy(logits, y, reduction="none")


@pytest.fixture
def step():
    ids = torch.arange(2, 2 + TEXTS * WORDS).view(TEXTS, WORDS)
    batch = Batch(ids, torch.full((TEXTS,), WORDS), torch.arange(TEXTS), torch.ones(TEXTS, WORDS, dtype=torch.bool))
    return Step(0, 0.0, batch, torch.zeros(TEXTS, dtype=torch.int64), unlabelled=batch, augmented=batch)


@pytest.mark.parametrize(
    "attack", [Attack("fgm", 0.2), Attack("pgd", 0.2), Attack("pgd", 0.2, scope="matrix")], ids=str
)
def test_what_is_held_back_is_not_attacked(attack, step, monkeypatch):
    torch.manual_seed(0)
    model = BiLSTM(torch.randn(2 + TEXTS * WORDS, 6), 2, dropout=(0, 0, 0)).double()
    kept = torch.ones(TEXTS, dtype=torch.bool)
    kept[HELD_BACK] = False
    monkeypatch.setattr(module.losses, "tsa_mask", lambda *_: kept)
    found = []
    real = module.perturb
    monkeypatch.setattr(module, "perturb", lambda *a, **k: found.append(real(*a, **k)) or found[-1])
    method = Method("m", consistency=Consistency(weight=0.0), adversarial=attack)
    logged = Objective(method, model, cross_entropy, batch_size=TEXTS).backward(model, step)
    sizes = norms(found[0])
    assert (sizes[~kept] == 0).all() and (sizes[kept] > 0).all()
    assert logged["delta"].item() == pytest.approx(sizes[kept].mean().item(), rel=1e-9)
