"""The committed reference speaks with one voice: a run has the same score in every exhibit that shows it."""

import numpy as np
import pandas as pd
import pytest

from paperkit import paths
from paperkit.papers import ablations, paper_b

FOCAL = paper_b(2.0, "inverse")[-1]
PUBLISHED = next(iter(ablations(FOCAL)))
PAPER_B = {
    "b_table_4": {"model": FOCAL.name},
    "x_b_ablations": {"model": PUBLISHED},
    "x_b_focal_surface": {"gamma": 2.0, "alpha": "inverse"},
    "x_b_learning_curve": {"model": FOCAL.name, "labels": 1.0},
    "x_b_calibration": {"model": FOCAL.name, "temperature": "as trained"},
}
PAPER_A = {
    "a_table_3": {},
    "x_uda_family": {},
    "x_equal_budget": {},
    "x_branches": {"branches": 0.0},
    "x_pool_size": {},
    "x_longer": {"times": 1},
    "x_ablations_a": {},
    "x_calibration": {"temperature": "as trained"},
}


def scores(data: str, exhibit: str, columns: list[str], where: dict) -> dict:
    rows = pd.read_csv(paths.ROOT / "figures" / data / f"{exhibit}_runs.csv")
    for column, value in where.items():
        rows = rows[rows[column] == value]
    return rows.dropna(subset="seed").set_index([*columns, "seed"]).accuracy.to_dict()


@pytest.mark.parametrize("data", ["public", "embedded"])
@pytest.mark.parametrize("exhibit", list(PAPER_B)[1:])
def test_the_focal_model_has_one_accuracy(data, exhibit):
    place = ["train_on", "test_on"]
    first, other = (scores(data, name, place, PAPER_B[name]) for name in ("b_table_4", exhibit))
    shared = sorted(set(first) & set(other))
    assert len(shared) >= 2 and np.allclose([first[run] for run in shared], [other[run] for run in shared], atol=1e-9)


@pytest.mark.parametrize("data", ["public", "embedded"])
@pytest.mark.parametrize("exhibit", list(PAPER_A)[1:])
def test_baseline_has_one_accuracy(data, exhibit):
    baseline = {"model": "Baseline"}
    first, other = (scores(data, name, ["corpus"], PAPER_A[name] | baseline) for name in ("a_table_3", exhibit))
    shared = sorted(set(first) & set(other))
    assert shared and np.allclose([first[run] for run in shared], [other[run] for run in shared], atol=1e-9)
