"""An attack leaves cuDNN's settings as they are, but for what eval mode needs."""

import pytest
import torch
from torch import nn

from paperkit.attacks import perturb
from paperkit.terms import Attack


@pytest.mark.parametrize("training", [True, False])
def test_determinism_that_was_asked_for_holds_inside_an_attack(training):
    model = nn.Linear(3, 1).train(training)
    seen = []

    def losses(x):
        seen.append((torch.backends.cudnn.enabled, torch.backends.cudnn.deterministic))
        return model(x).sum(dim=(1, 2))

    inside = torch.ones(2, 4, dtype=torch.bool)
    with torch.backends.cudnn.flags(enabled=True, deterministic=True):
        perturb(model, losses, torch.ones(2, 4, 3), inside, Attack("fgm"))
        assert torch.backends.cudnn.enabled and torch.backends.cudnn.deterministic
    assert seen == [(training, True)]
