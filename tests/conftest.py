"""What all tests share: nothing is written into the checkout, hypothesis does not hurry, one tiny corpus."""

import pytest
from hypothesis import HealthCheck, settings

from paperkit.corpora.corpus import Corpus, assemble
from paperkit.store import Store
from tests.tiny import tiny_table

# a busy machine may pause anywhere
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")


@pytest.fixture(scope="session")
def written(tmp_path_factory):
    """The folder that stands in for every folder the project writes to."""
    return tmp_path_factory.mktemp("written")


@pytest.fixture(autouse=True)
def _nothing_in_the_checkout(written, monkeypatch):
    for variable in ("STORE", "BUILD", "FIGURES"):
        monkeypatch.setenv(f"PAPERKIT_{variable}", str(written / variable.lower()))


@pytest.fixture
def store(tmp_path) -> Store:
    """An empty store."""
    return Store(tmp_path / "store")


@pytest.fixture(scope="session")
def tiny() -> Corpus:
    """A corpus made by hand. Do not change it."""
    return assemble("tiny", tiny_table(), ("negative", "positive"), "zh")
