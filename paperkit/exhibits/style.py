"""One look for every figure: print sizes, colours per model, two languages, files that repeat to the byte.

Figures are saved as SVG and PNG. Text in the SVG is drawn as paths, because a bilingual label would otherwise show
boxes on a machine without Chinese fonts.
"""

import hashlib
import io
import os
import re
import textwrap
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
from cycler import cycler
from matplotlib.collections import Collection
from matplotlib.figure import Figure

from paperkit.evaluate import statistics
from paperkit.exhibits.fonts import cjk_font, drawable, families, label
from paperkit.papers import MAJORITY, SVM, SVM_CUT
from paperkit.store import write_atomically

__all__ = [
    "COLUMN",
    "PAGE",
    "Look",
    "apply",
    "averaged",
    "bounds",
    "cjk_font",
    "drawable",
    "drawn",
    "label",
    "look",
    "message",
    "save",
]

COLUMN, PAGE = 3.5, 7.2
"""Widths in inches of one column and of a whole printed page."""

DPI = 200
SVG_LIMIT = 300_000
"""Bytes; above it points and areas (never text, axes or lines) are embedded as a raster image."""

# Okabe and Ito's palette, told apart with every common colour blindness.
BLUE, ORANGE, GREEN, SKY = "#0072B2", "#E69F00", "#009E73", "#56B4E9"
RED, PINK, GREY, INK = "#D55E00", "#CC79A7", "#8C8C8C", "#262626"


@dataclass(frozen=True)
class Look:
    """How one model is drawn in every figure; hatch, marker and line keep it apart in black and white."""

    color: str
    hatch: str = ""
    marker: str = "o"
    line: str | tuple = "-"


_DASH, _DOT = (0, (5, 2)), (0, (1.5, 1.5))
LINES = ("-", _DASH, (0, (5, 1.5, 1, 1.5)), _DOT, (0, (8, 2)))
"""Lines of one figure that are no models, told apart without colour."""
_LOOKS = {
    "Bi-LSTM": Look(BLUE, "", "o", "-"),
    "Bi-LSTM-Att": Look(ORANGE, "///", "s", _DASH),
    "Bi-LSTM-Att-Focal": Look(GREEN, "xx", "D", "-"),
    SVM.name: Look(PINK, "..", "^", _DOT),
    SVM_CUT: Look(PINK, "", "v", _DASH),
    MAJORITY.name: Look("#BDBDBD", "--", "v", _DOT),
}
# Paper A's names are built from parts: hue and marker say what is trained with, shade, hatch and line with which attack.
_FAMILIES = {
    "Baseline": ("o", "#737373", "#A6A6A6", "#404040"),
    "UDA": ("s", "#0072B2", "#6DB6E3", "#003F66"),
    "Baseline+ESimCSE": ("D", "#E69F00", "#F5CD73", "#8F6300"),
    "UDA+ESimCSE": ("^", "#D55E00", "#F2A177", "#7A2E00"),
}
_ATTACKS = {"": ("", "-"), "+FGM": ("///", _DASH), "+PGD": ("xx", _DOT)}
for _family, (_marker, *_colors) in _FAMILIES.items():
    _LOOKS |= {_family + attack: Look(color, hatch, _marker, line)
               for color, (attack, (hatch, line)) in zip(_colors, _ATTACKS.items(), strict=True)}  # fmt: skip
# UDA's relatives fill its slot with something else, so each has a hue; its own variants keep its hue.
_LOOKS |= {
    "Pseudo-Label": Look("#AA4499", "--", "v", _DOT),
    "Π-Model": Look("#44AA99", "oo", "P", _DOT),
    "Temporal Ensembling": Look("#117733", "++", "X", _DASH),
    "Mean Teacher": Look("#999933", "\\\\", "<", _DASH),
    "VAT": Look("#882255", "..", ">", _DOT),
    "UDA, no TSA": Look("#6DB6E3", "--", "v", _DOT),
    "UDA, linear TSA": Look("#6DB6E3", "--", "v", _DOT),
    "UDA, all of it": Look("#003F66", "..", "D", _DASH),
    "UDA, cross-entropy": Look("#0072B2", "oo", "x", _DOT),
    "Baseline+mixup": Look("#404040", "++", "P", _DOT),
    "UDA+mixup": Look("#332288", "++", "P", _DASH),
    "mini": Look(BLUE, "", "o", "-"),
    "mini-random": Look(ORANGE, "///", "s", _DASH),
    "minilm": Look("#117733", "xx", "D", "-"),
    "untrained": Look("#8C8C8C", "", "o", _DOT),
    "untrained, whitened": Look("#262626", "..", "x", _DOT),
    "SimCSE": Look("#332288", "///", "s", _DASH),
    "ConSERT": Look("#117733", "xx", "^", _DOT),
    "ESimCSE": Look("#E69F00", "", "D", "-"),
    "ESimCSE, random start": Look("#8F6300", "\\\\", "v", _DOT),
}
_OTHERS = (SKY, "#332288", "#117733", "#AA4499", "#999933", "#882255", "#44AA99", "#6699CC", "#661100")


def look(model: str) -> Look:
    """The look of a model; one that is not of the papers gets a look that depends on its name only."""
    if model in _LOOKS:
        return _LOOKS[model]
    number = int.from_bytes(hashlib.sha256(model.encode()).digest()[:8], "big")
    hatch, marker = ("", "\\\\", "oo", "++")[number // 16 % 4], "PX<>h"[number // 64 % 5]
    return Look(_OTHERS[number % len(_OTHERS)], hatch, marker, (0, (4, 1, 1, 1)))


def bounds(table: pd.DataFrame, metric: str = "") -> tuple[np.ndarray, np.ndarray]:
    """Both ends of the intervals of ``metric`` as figures and tables show them; nan below :data:`statistics.FEWEST` seeds, where
    an interval is so wide, or by chance so narrow, that it hides what there is to see. The CSV has them all."""
    names = [f"{metric}_{part}" if metric else part for part in ("low", "high")]
    few = table.n_seeds.to_numpy() < statistics.FEWEST
    low, high = (np.where(few, np.nan, table[name].to_numpy(float)) for name in names)
    return low, high


def drawn(table: pd.DataFrame, what: str = "Bars", cut: str = "") -> str:
    """For a note: what the intervals of a figure are, or why it has none."""
    seeds = int(table.n_seeds.max())
    if seeds >= statistics.FEWEST:
        fewer = table.n_seeds.min() < statistics.FEWEST
        few = f"; none where there are fewer than {statistics.FEWEST}" if fewer else ""
        return f"{what}: 95 % t intervals over {seeds} seeds{cut}{few}."
    if seeds == 1:
        return "One seed, so there are no intervals."
    return f"{seeds} seeds: intervals are drawn from {statistics.FEWEST} on; those of {seeds} stand in the CSV."


def averaged(seeds: int) -> str:
    """For a note: what stands in the cells of a table, see :func:`bounds`."""
    if seeds >= statistics.FEWEST:
        return f"Mean and 95 % t interval over {seeds} seeds."
    if seeds == 1:
        return "One seed, so there are no intervals."
    return (
        f"Mean over {seeds} seeds; intervals are shown from {statistics.FEWEST} on, those of {seeds} stand in the CSV."
    )


def apply() -> None:
    """Set matplotlib's defaults for print, which seaborn draws with as well; call it before a figure is made."""
    # fmt: off
    mpl.rcParams.update({
        "font.family": families(), "font.size": 8, "axes.unicode_minus": False, "mathtext.fontset": "dejavusans",
        "axes.titlesize": 9, "axes.labelsize": 8, "xtick.labelsize": 7.5, "ytick.labelsize": 7.5,
        "legend.fontsize": 7.5, "legend.title_fontsize": 7.5, "legend.frameon": False,
        "text.color": INK, "axes.labelcolor": INK, "axes.edgecolor": INK, "xtick.color": INK, "ytick.color": INK,
        "axes.linewidth": 0.7, "xtick.major.width": 0.7, "ytick.major.width": 0.7, "hatch.linewidth": 0.5,
        "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "axes.grid.axis": "y",
        "axes.axisbelow": True, "grid.color": "#E3E3E3", "grid.linewidth": 0.6, "lines.linewidth": 1.4,
        "lines.markersize": 4, "errorbar.capsize": 2, "image.cmap": "cividis",
        "axes.prop_cycle": cycler(color=[BLUE, ORANGE, GREEN, PINK, SKY, RED, GREY]),
        "figure.figsize": (PAGE, 3.2), "figure.dpi": 110, "figure.constrained_layout.use": True,
    })
    # fmt: on


def message(sentence: str) -> Figure:
    """A picture of words alone, where there is nothing to draw."""
    from matplotlib import pyplot

    figure = pyplot.figure(figsize=(PAGE, 1))
    figure.text(0.5, 0.5, "\n".join(textwrap.wrap(sentence, 100)), ha="center", va="center")
    return figure


def save(figure: Figure, path: str | os.PathLike) -> tuple[Path, Path]:
    """Write `path`.svg and `path`.png and close the figure; equal figures give equal bytes.

    Each file appears whole or not at all. Returns both paths.
    """
    from matplotlib import pyplot

    svg = _render(figure, "svg")
    if len(svg) > SVG_LIMIT:
        for artist in figure.findobj(Collection):
            artist.set_rasterized(True)
        svg = _render(figure, "svg", dpi=150)
    contents = {"svg": svg, "png": _render(figure, "png")}
    pyplot.close(figure)
    written = []
    for suffix, content in contents.items():
        target = Path(f"{os.fspath(path)}.{suffix}")
        target.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(target, content)
        written.append(target)
    return tuple(written)


def _render(figure: Figure, kind: str, dpi: int = DPI) -> bytes:
    """The figure's bytes, without date, version or random identifiers in them."""
    metadata = {"svg": {"Date": None, "Creator": None}, "png": {"Software": None}}[kind]
    content = io.BytesIO()
    with mpl.rc_context({"svg.hashsalt": "paperkit", "svg.fonttype": "path"}):
        figure.savefig(content, format=kind, dpi=dpi, metadata=metadata, bbox_inches="tight", pad_inches=0.04)
    return _renamed(content.getvalue()) if kind == "svg" else content.getvalue()


def _renamed(svg: bytes) -> bytes:
    """The same picture with its identifiers numbered.

    Matplotlib makes them of unrounded coordinates, whose last digits differ from one layout of a figure to the next. What
    follows from the rest of the content keeps figures apart that stand in one page.
    """
    names = dict.fromkeys(re.findall(rb' id="([A-Za-z]+[0-9a-f]{10})"', svg))
    numbers = {name: b"%d" % number for number, name in enumerate(names)}
    anywhere = re.compile(rb"\b(?:" + b"|".join(names) + rb")\b") if names else re.compile(rb"(?!)")
    bare = anywhere.sub(lambda match: numbers[match[0]], svg)
    figure = hashlib.sha256(bare).hexdigest()[:8].encode()
    return anywhere.sub(lambda match: b"f" + figure + b"-" + numbers[match[0]], svg)
