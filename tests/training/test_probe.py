"""The head that starts from a linear probe: it is the regression, and classes nobody labelled are the least likely."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from paperkit.models import backbones
from paperkit.models.encoder import Encoder
from paperkit.text.vocabulary import Encoded
from paperkit.training.probe import STRENGTH, start_from_probe

RNG = np.random.default_rng(0)
LENGTHS = RNG.integers(3, 12, 60)
TEXTS = Encoded(RNG.integers(5, 200, LENGTHS.sum()).astype(np.int32), np.concatenate([[0], np.cumsum(LENGTHS)]))
ROWS = RNG.permutation(60)[:40]


def network(classes: int) -> Encoder:
    torch.manual_seed(0)
    return Encoder(backbones.find("tiny"), classes, dropout=0.1)


@torch.no_grad()
def states(model, rows) -> np.ndarray:
    model.eval()
    return np.concatenate([model.represent(model.embed(torch.tensor(TEXTS[row])[None].long()), torch.tensor([len(TEXTS[row])]))
                           for row in rows])  # fmt: skip


@pytest.mark.parametrize("classes", [2, 5])
def test_the_head_is_the_regression(classes):
    model, labels = network(classes), np.arange(60) % classes
    start_from_probe(model, TEXTS, labels, ROWS, "float32")
    known, others = states(model, ROWS), states(model, np.setdiff1d(np.arange(60), ROWS))
    scale = np.linalg.norm(known - known.mean(0), axis=1).mean()
    plain = LogisticRegression(C=STRENGTH, max_iter=100, tol=1e-3).fit((known - known.mean(0)) / scale, labels[ROWS])
    expected = plain.predict_proba((others - known.mean(0)) / scale)
    with torch.no_grad():
        found = model.output(torch.from_numpy(others)).softmax(dim=-1).numpy()
    np.testing.assert_allclose(found, expected, atol=2e-3)


def test_a_class_without_a_label_is_the_least_likely():
    model, labels = network(6), np.arange(60) % 4
    start_from_probe(model, TEXTS, labels, ROWS, "float32")
    assert not model.output.weight[4:].any() and (model.output.bias[4:] == model.output.bias.min()).all()


def test_one_class_leaves_the_head_alone():
    model = network(3)
    before = model.output.weight.clone()
    start_from_probe(model, TEXTS, np.zeros(60, dtype=int), ROWS, "float32")
    assert torch.equal(model.output.weight, before)


def test_it_does_not_depend_on_padding():
    model, other, labels = network(4), network(4), np.arange(60) % 4
    start_from_probe(model, TEXTS, labels, ROWS, "float32")
    start_from_probe(other, replace(TEXTS), labels, ROWS[::-1].copy(), "float32")
    assert torch.allclose(model.output.weight, other.output.weight, atol=5e-3)
