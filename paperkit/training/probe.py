"""Linear probing before fine-tuning (Kumar et al. 2022): the classifier starts from what the encoder knows already.

A random head of hundreds of classes needs hundreds of steps before its gradients say anything about the encoder. A
logistic regression on the frozen representations costs one pass without gradients, and every model of a table starts from it.
"""

import warnings

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from torch import nn

from paperkit.text.batches import evaluation_batches
from paperkit.text.vocabulary import Encoded
from paperkit.training.numerics import precision

STRENGTH = 1.0
"""C of the regression on centred representations of mean length 1. Weak enough that the labelled texts keep a gradient, and
that TSA does not hold them all back at once."""


@torch.no_grad()
def start_from_probe(model: nn.Module, texts: Encoded, labels: np.ndarray, rows: np.ndarray, dtype: str) -> None:
    """Set ``model.output`` to a logistic regression on the representations of the labelled texts ``rows``.

    A class without a labelled text gets the lowest bias of all and no weights. With fewer than two classes the head stays.
    """
    classes = np.unique(labels[rows])
    if len(classes) < 2:
        return
    model.eval()
    device = model.output.weight.device
    place = {int(row): i for i, row in enumerate(rows)}
    states = np.zeros((len(rows), model.output.in_features), dtype=np.float32)
    for batch in evaluation_batches(texts, rows):
        batch = batch.to(device)
        with precision(device, dtype):
            found = model.represent(model.embed(batch.ids), batch.lengths)
        states[[place[row] for row in batch.rows.tolist()]] = found.float().cpu().numpy()
    mean = states.mean(axis=0)
    scale = float(np.linalg.norm(states - mean, axis=1).mean()) or 1.0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that there are nearly as many classes as texts, we know
        fitted = LogisticRegression(C=STRENGTH, max_iter=100, tol=1e-3).fit((states - mean) / scale, labels[rows])
    weight, bias = fitted.coef_ / scale, fitted.intercept_
    if len(classes) == 2:  # one row for the second class
        weight, bias = np.vstack([-weight, weight]) / 2, np.concatenate([-bias, bias]) / 2
    bias = bias - weight @ mean
    head = model.output
    head.weight.zero_()
    head.bias.fill_(float(bias.min()))
    at = torch.from_numpy(classes)
    head.weight[at] = torch.from_numpy(weight).to(head.weight)
    head.bias[at] = torch.from_numpy(bias).to(head.bias)
