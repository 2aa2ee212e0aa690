"""The notebooks of the repository are fit to be the reference that `make test` compares with."""

import pytest

from paperkit import notebooks
from paperkit.paths import NOTEBOOKS

COMMITTED = sorted(path for path in NOTEBOOKS.glob("*.ipynb") if not path.name.endswith(".failed.ipynb"))


def test_the_notebooks_of_the_paper_are_here():
    assert {"01_data", "02_bilstm_focal"} <= {path.stem for path in COMMITTED}


@pytest.mark.parametrize("path", COMMITTED, ids=lambda path: path.stem)
def test_committed_notebook(path):
    assert notebooks.check(path) == []
