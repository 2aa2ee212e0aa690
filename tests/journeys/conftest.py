"""What the journeys share: the program as a user starts it, in folders of its own."""

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from paperkit import paths
from tests.small import SETTINGS

ROOMS = ("STORE", "BUILD", "FIGURES")
ONE = SETTINGS | {"seeds": 1, "ablation_seeds": 1}
"""Settings of a study that trains in seconds."""


@dataclass(frozen=True)
class Home:
    """A user's folder, with a store, a build and a reference of its own."""

    root: Path

    @property
    def environment(self) -> dict[str, str]:
        rooms = {f"PAPERKIT_{room}": str(self.root / room.lower()) for room in ROOMS}
        return os.environ | rooms | {"PYTHONPATH": str(paths.ROOT), "PAPERKIT_HEADLESS": "1", "OMP_NUM_THREADS": "1"}

    def files(self, pattern: str) -> dict[str, bytes]:
        files = (file for file in sorted(self.root.glob(pattern)) if file.is_file())
        return {str(file.relative_to(self.root)): file.read_bytes() for file in files}

    def start(self, *arguments: str) -> subprocess.Popen:
        """The program in a process group of its own, as a shell or make would start it."""
        return subprocess.Popen([sys.executable, "-m", "paperkit", *arguments], cwd=self.root, env=self.environment,
                                start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)  # fmt: skip

    def run(self, *arguments: str) -> str:
        """What the program prints; it must succeed."""
        done = subprocess.run([sys.executable, "-m", "paperkit", *arguments], cwd=self.root, env=self.environment,
                              capture_output=True, text=True, check=False)  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture
def new_home(tmp_path, monkeypatch) -> Callable[[str], Home]:
    """A new home, into which this process moves as well."""

    def make(name: str) -> Home:
        home = Home(tmp_path / name)
        home.root.mkdir()
        for variable, value in home.environment.items():
            if variable.startswith("PAPERKIT_"):
                monkeypatch.setenv(variable, value)
        monkeypatch.chdir(home.root)
        return home

    return make


def settings(overrides: dict) -> list[str]:
    """Options of the command line for these settings, smoke being the profile."""
    return ["--profile", "smoke", "--set", *(f"{name}={value}" for name, value in overrides.items())]
