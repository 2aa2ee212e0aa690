"""What the tests of corpora share."""

import os
from pathlib import Path

import pytest


@pytest.fixture
def watch(tmp_path, monkeypatch):
    """An empty folder that is the working directory and every place where the project writes."""
    folder = tmp_path / "watch"
    folder.mkdir()
    monkeypatch.chdir(folder)
    for variable in ("STORE", "DOWNLOADS", "FIGURES", "BUILD"):
        monkeypatch.setenv(f"PAPERKIT_{variable}", str(folder / variable.lower()))
    return folder


@pytest.fixture(scope="session")
def public_data() -> Path:
    """A folder with copies of the public corpora; tests that need it are skipped without one."""
    beside = Path(__file__).resolve().parents[3] / "shared" / "data"
    folder = Path(os.environ.get("PAPERKIT_DATA") or beside)
    if not (folder / "ctrip-hotels").is_dir():
        pytest.skip("no public corpora here: set PAPERKIT_DATA to a folder that holds them")
    return folder


@pytest.fixture
def real(public_data, monkeypatch, watch) -> Path:
    """The same, in use."""
    monkeypatch.setenv("PAPERKIT_DATA", str(public_data.resolve()))
    return public_data
