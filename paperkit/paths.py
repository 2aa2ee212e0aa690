"""Every folder the project reads or writes, so that no other module spells a path.

Each can be moved by an environment variable, which is how tests keep to a temporary folder.
"""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT / "data"
NOTEBOOKS = ROOT / "notebooks"


def _folder(variable: str, default: Path) -> Path:
    return Path(os.environ.get(variable) or default).expanduser().resolve()


def store() -> Path:
    """Finished and interrupted runs, and everything computed once per corpus (``PAPERKIT_STORE``)."""
    return _folder("PAPERKIT_STORE", ROOT / ".store")


def downloads() -> Path:
    """Public corpora fetched from the network; never committed."""
    return _folder("PAPERKIT_DOWNLOADS", DATA / "downloads")


def figures() -> Path:
    """The committed reference exhibits; only ``make publish`` writes here (``PAPERKIT_FIGURES``)."""
    return _folder("PAPERKIT_FIGURES", ROOT / "figures")


def build(data: str, profile: str) -> Path:
    """What one ``make paper`` writes: executed notebooks, exhibits, provenance (``PAPERKIT_BUILD``)."""
    return _folder("PAPERKIT_BUILD", ROOT / "build") / data / profile
