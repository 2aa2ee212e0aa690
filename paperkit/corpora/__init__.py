"""Corpora: texts with labels, splits and, where known, the truth; all of them come through :func:`load`."""

import importlib
from pathlib import Path
from typing import TYPE_CHECKING

from paperkit.errors import InputError

if TYPE_CHECKING:
    from paperkit.corpora.corpus import Corpus, Note, leaks
    from paperkit.corpora.public import fetch

__all__ = ["EMBEDDED", "Corpus", "Note", "fetch", "leaks", "load", "names"]

EMBEDDED = ("reviews", "tickets", "newswire")
"""Corpora that the project generates: a module of this name here has ``generate(size, seed)``."""

_LAZY = {"Corpus": "corpus", "Note": "corpus", "leaks": "corpus", "fetch": "public"}


def __getattr__(name: str) -> object:
    if name in _LAZY:
        return getattr(importlib.import_module(f"{__name__}.{_LAZY[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def names() -> tuple[str, ...]:
    """Every corpus that is loaded by name: the embedded ones, then the public ones."""
    from paperkit.corpora import public

    return (*EMBEDDED, *public.names())


def load(
    source: str | Path,
    *,
    size: int | None = None,
    seed: int = 0,
    text: str | None = None,
    label: str | None = None,
    split: str | None = None,
    platform: str | None = None,
) -> "Corpus":
    """A corpus by name, or a user's own table by path; nothing is downloaded.

    Args:
        source: an embedded corpus, a public one, or a path (whatever has a file suffix or a folder in it).
        size: texts to generate; embedded corpora only, their own default when None.
        seed: of the generation of an embedded corpus; the splits of the others are fixed.
        text, label, split, platform: columns of a table; guessed, and said in the notes, when None.

    Raises:
        InputError: unknown name, an option that does not apply, or data that cannot be used.
    """
    columns = {"text": text, "label": label, "split": split, "platform": platform}
    name = str(source)
    is_path = isinstance(source, Path) or bool(Path(name).suffix) or Path(name).name != name
    if not is_path and any(columns.values()):
        given = ", ".join(option for option, value in columns.items() if value)
        raise InputError(f"{given} given for the corpus {name!r}: columns are accepted for a table only, e.g. mine.csv")
    if size is not None and name not in EMBEDDED:
        raise InputError(
            f"size={size} given for {name!r}: a size is accepted for the embedded corpora only ({_list(EMBEDDED)})"
        )
    if is_path:
        from paperkit.corpora import table

        return table.read(Path(source), **columns)
    if name in EMBEDDED:
        generator = importlib.import_module(f"{__name__}.{name}")
        return generator.generate(seed=seed) if size is None else generator.generate(size=size, seed=seed)
    if name in names():
        from paperkit.corpora import public

        return public.load(name)
    hint = " (a folder: give a file in it)" if Path(name).is_dir() else ""
    raise InputError(
        f"unknown corpus {name!r}{hint}: accepted are {_list(names())}, or the path of a table such as mine.csv"
    )


def _list(words: tuple[str, ...]) -> str:
    return ", ".join(words)
