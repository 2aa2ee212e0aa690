"""What comparisons share: one row per run, each model's difference to another one, and curves over a setting."""

from collections.abc import Mapping, Sequence
from itertools import product

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from paperkit.evaluate import statistics
from paperkit.exhibits import style
from paperkit.exhibits.summary import cells, readable, summarise

PARTS = ("", "_low", "_high")


def with_differences(
    rows: pd.DataFrame, keys: Sequence[str], against: Mapping[str, str], metrics: Sequence[str], compared: Sequence[str]
) -> pd.DataFrame:
    """:func:`summarise` of ``rows``, and for each of ``compared`` ``<m>_difference`` with its 95 % interval.

    Args:
        keys: columns of ``rows`` that make a row of the table, ``"model"`` the last.
        against: model to the one it is compared with, seed by seed and under otherwise equal keys; others have nan.
    """
    table = summarise(rows, list(keys), metrics)
    pairs = {key: (*key[:-1], against[key[-1]]) for key in table[list(keys)].itertuples(index=False, name=None)
             if key[-1] in against}  # fmt: skip
    return add_differences(table, rows, keys, pairs, compared)


def add_differences(
    table: pd.DataFrame, rows: pd.DataFrame, keys: Sequence[str], pairs: Mapping[tuple, tuple], compared: Sequence[str],
    name: str = "difference",
) -> pd.DataFrame:  # fmt: skip
    """``table`` with ``<m>_<name>`` and its 95 % interval, paired over the seeds of ``rows``, for each of ``compared``; ``pairs``
    says which row is compared with which, by their ``keys``."""
    groups = dict(iter(rows.groupby(list(keys), sort=False)))
    for metric in compared:
        tests = []
        for key in table[list(keys)].itertuples(index=False, name=None):
            mine, other = groups[key], groups.get(pairs.get(key))
            paired = other is not None and list(mine.seed) == list(other.seed)
            test = statistics.paired_t(mine[metric], other[metric]) if paired else None
            tests.append((test.difference, test.low, test.high) if test else (np.nan,) * 3)
        for part, values in zip(PARTS, zip(*tests, strict=True), strict=True):
            table[f"{metric}_{name}{part}"] = values
    return table


DELTA = {"difference": "Δ {}"}


def readable_differences(
    table: pd.DataFrame,
    keys: Sequence[str],
    metrics: Sequence[str],
    compared: Sequence[str],
    titles: Mapping[str, str] = DELTA,
) -> pd.DataFrame:
    """The table of :func:`with_differences` as people read it; a metric that is unknown everywhere is left out.

    ``titles``: the name of each kind of difference to its column title, in which the metric takes the place of ``{}``.
    """
    known = [metric for metric in metrics if table[f"{metric}_mean"].notna().any()]
    shown = readable(table, list(keys), known)
    for (name, title), metric in product(titles.items(), compared):
        values = cells(table, f"{metric}_{name}", f"{metric}_{name}", unknown="")
        if any(values):
            shown[title.format(metric)] = values
    return shown


def sizes(rows: pd.DataFrame) -> str:
    """How many texts each corpus trained and tested on, and over how many seeds a table averages: for its note."""
    return f"{texts(rows)} {style.averaged(rows.seed[rows.seed != ''].nunique())}"


def texts(rows: pd.DataFrame) -> str:
    """How many texts each corpus trained and tested on: for a note that says of the seeds what its figure draws."""
    return "; ".join(f"{corpus}: {_from_to(group.n_train)} labelled texts, {_from_to(group.n_test)} tested"
                     for corpus, group in rows.groupby("corpus", sort=False)) + "."  # fmt: skip


def _from_to(sizes: pd.Series) -> str:
    """``"1,202"``, ``"620 to 3,501"``."""
    return " to ".join(f"{size:,}" for size in sorted({sizes.min(), sizes.max()}))


def line(axis: Axes, x: Sequence[float], table: pd.DataFrame, metric: str, model: str, **options) -> None:
    """One model over a setting, with the intervals of ``table`` that :func:`bounds` shows, one row per place in ``x``."""
    mean, (low, high) = table[f"{metric}_mean"].to_numpy(float), style.bounds(table, metric)
    bars = np.nan_to_num([mean - low, high - mean]).clip(min=0)
    look = style.look(model)
    options = {"color": look.color, "marker": look.marker, "ls": look.line, "label": model} | options
    axis.errorbar(x, mean, bars if np.isfinite(low).any() else None, elinewidth=0.8, **options)


def side_by_side(axis: Axes, table: pd.DataFrame, setting: str, metric: str, models: Sequence[str]) -> None:
    """Shares of several models over the values of a setting, which stand evenly spaced; the intervals next to each other at each.

    Not the lines: on a steep curve a step to the side looks like a gain.
    """
    values = sorted(table[setting].unique())
    for place, model in enumerate(models):
        mine, look = table[table.model == model].sort_values(setting), style.look(model)
        at = np.searchsorted(values, mine[setting])
        low, high = style.bounds(mine, metric)
        beside = at + (place - (len(models) - 1) / 2) * 0.3 / len(models)
        axis.vlines(beside, low.clip(min=0), high.clip(max=1), color=look.color, lw=0.7)
        axis.plot(
            at, mine[f"{metric}_mean"], color=look.color, ls=look.line, marker=look.marker, lw=0.8, ms=3, label=model
        )
    axis.set_xlim(-0.5, len(values) - 0.5)
    axis.tick_params(axis="x", length=0)
