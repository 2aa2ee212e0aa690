"""Chinese in figures where this machine has a font for it, English where it has none, boxes never.

Matplotlib draws a box for a character that no font of the figure has. So our own text goes through `label`, which
knows its English, and text that comes from data through `drawable`, which says when there is nothing to draw it with.
"""

import os
import warnings
from dataclasses import replace
from functools import cache

from matplotlib import font_manager
from matplotlib.cbook import is_math_text
from matplotlib.ft2font import FT2Font

from paperkit.errors import InputError

LATIN = "DejaVu Sans"  # comes with matplotlib, so it is there on every machine
# fmt: off
_PREFERRED = ["Noto Sans CJK SC", "Noto Sans SC", "Source Han Sans SC", "Source Han Sans CN", "PingFang SC",
              "Hiragino Sans GB", "Microsoft YaHei", "WenQuanYi Micro Hei", "WenQuanYi Zen Hei",
              "Droid Sans Fallback", "Heiti SC", "STHeiti", "SimHei", "Arial Unicode MS"]
# fmt: on
_SIMPLIFIED = frozenset(map(ord, "层词类权长轮准确率的"))  # a Japanese, Korean or traditional font lacks some of these


@cache
def cjk_font() -> str | None:
    """Name of a font with simplified Chinese, registered with matplotlib; None if this machine has none.

    ``PAPERKIT_FONT`` may name a font file, or be ``none`` for English labels everywhere. Raises InputError if the
    file that it names has no simplified Chinese.
    """
    chosen = os.environ.get("PAPERKIT_FONT", "")
    fonts = font_manager.fontManager
    if chosen.lower() == "none":
        return None
    if chosen:
        entries = _register(os.path.expanduser(chosen))
    else:
        # Matplotlib lists the fonts of the day its cache was written: some are gone by now, newer ones are missing.
        fonts.ttflist[:] = [entry for entry in fonts.ttflist if os.path.exists(entry.fname)]
        for path in sorted(set(font_manager.findSystemFonts()) - {entry.fname for entry in fonts.ttflist}):
            _register(path)
        entries = sorted(fonts.ttflist, key=_rank)
    entry = next(filter(_writes_chinese, entries), None)
    if entry is None and chosen:
        raise InputError(f"PAPERKIT_FONT={chosen} is neither a font file with simplified Chinese nor 'none'")
    if entry is None:
        return None
    if not any(other.name == entry.name and other.weight == 700 for other in fonts.ttflist):
        fonts.ttflist.append(replace(entry, weight=700))  # else every bold label logs a complaint
    return entry.name


def families() -> list[str]:
    """The fonts of every figure; each character comes from the first that has it."""
    return [name for name in (LATIN, cjk_font()) if name]


def label(english: str, chinese: str, separator: str = "\n") -> str:
    """Both languages if this machine can draw both, else the English alone and one warning per process.

    A formula belongs on the English line: matplotlib sets a line with a formula by other means, which know no
    Chinese. Raises ValueError if one line mixes both.
    """
    both = f"{english}{separator}{chinese}"
    if any(is_math_text(line) and not line.isascii() for line in both.split("\n")):
        raise ValueError(f"a formula and Chinese on one line cannot be drawn: {both!r}")
    if _covered(chinese):
        return both
    _warn_once()
    return english


def drawable(text: str, instead: str | None = None) -> str | None:
    """Text from data, on one line and safe from being read as a formula; `instead` if a character has no glyph."""
    text = " ".join(text.split())
    text = f" {text}" if text.startswith("_") else text  # matplotlib leaves such a label out of legends
    return text.replace("$", r"\$") if _covered(text) else instead


def _register(path: str) -> list:
    """The faces of a font file, now known to matplotlib; empty if it cannot be read as a font."""
    before = len(font_manager.fontManager.ttflist)
    try:
        font_manager.fontManager.addfont(path)
    except (OSError, RuntimeError, ValueError):
        return []
    return font_manager.fontManager.ttflist[before:]


def _rank(entry) -> tuple:
    """Upright faces of normal weight first (a variable font may open as its thinnest), then the known good names."""
    known = _PREFERRED.index(entry.name) if entry.name in _PREFERRED else len(_PREFERRED)
    return not 300 <= entry.weight <= 500, entry.style != "normal", known, entry.fname, entry.index


def _writes_chinese(entry) -> bool:
    # A "Last Resort" font (matplotlib brings one) claims every character and draws it as the box to be avoided.
    if "lastresort" in entry.name.lower().replace(" ", ""):
        return False
    return _characters(entry.fname, entry.index) >= _SIMPLIFIED


@cache
def _characters(path: str, face: int) -> frozenset[int]:
    """Code points that a face of a font file has a glyph for."""
    try:
        return frozenset(FT2Font(path, face_index=face).get_charmap())
    except (OSError, RuntimeError):
        return frozenset()


def _covered(text: str) -> bool:
    """Whether the figures' fonts have every character of the text."""
    fonts = font_manager.fontManager
    faces = [fonts.findfont(font_manager.FontProperties(family=[name])) for name in families()]
    return set(map(ord, text)) <= frozenset().union(*(_characters(face.path, face.face_index) for face in faces))


@cache
def _warn_once() -> None:
    # without the file and line of a caller: a notebook would carry a path of this machine
    warnings.warn_explicit(
        "no font for the Chinese of the figures on this machine, so they are labelled in English only "
        "(install one, or name a font file in PAPERKIT_FONT)",
        UserWarning,
        "paperkit",
        0,
    )
