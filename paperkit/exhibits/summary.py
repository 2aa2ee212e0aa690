"""From one row per run to one per model: means and intervals over seeds, and how a table shows them."""

import math
import warnings
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from paperkit.evaluate import statistics
from paperkit.evaluate.metrics import UndefinedMetricWarning, evaluate
from paperkit.exhibits import style
from paperkit.exhibits.tables import with_interval


def quietly(truth: np.ndarray, logits: np.ndarray, n_classes: int) -> dict[str, float]:
    """The metrics of predictions ``(n, K)`` without a warning of what is 0/0: a table shows it as n/a."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UndefinedMetricWarning)
        return evaluate(truth, logits.argmax(axis=1), n_classes)


def summarise(rows: pd.DataFrame, keys: Sequence[str], metrics: Sequence[str]) -> pd.DataFrame:
    """Mean and 95 % t interval over seeds of each metric: ``keys, n_seeds, <m>_mean, <m>_low, <m>_high``.

    A metric that is 0/0 with some seeds is averaged over the others, and has no interval if these are few: it would pass for one
    over ``n_seeds``.
    """
    table = []
    for key, group in rows.groupby(list(keys), sort=False):
        line = dict(zip(keys, key, strict=True)) | {"n_seeds": len(group)}
        for metric in metrics:
            interval = statistics.mean_interval(group[metric])
            if interval.n < min(len(group), statistics.FEWEST):
                interval = replace(interval, low=math.nan, high=math.nan)
            line |= {f"{metric}_mean": interval.mean, f"{metric}_low": interval.low, f"{metric}_high": interval.high}
        table.append(line)
    return pd.DataFrame(table)


def summary_columns(keys: Sequence[str], metrics: Sequence[str]) -> list[str]:
    """The columns of :func:`summarise`, for a table without rows."""
    return [*keys, "n_seeds", *(f"{metric}_{part}" for metric in metrics for part in ("mean", "low", "high"))]


def readable(table: pd.DataFrame, keys: Sequence[str], metrics: Sequence[str]) -> pd.DataFrame:
    """The table of :func:`summarise` with one column per metric: mean [low, high]."""
    shown = table[[*keys, "n_seeds"]].copy()
    for metric in metrics:
        shown[metric] = cells(table, f"{metric}_mean", metric)
    return shown


def cells(table: pd.DataFrame, value: str, metric: str = "", unknown: str | None = None) -> list[str]:
    """What a table shows in the place of a column ``value`` whose interval is ``<metric>_low`` and ``_high`` (``low``, ``high``):
    both where there are seeds enough; ``unknown`` instead of n/a."""
    triples = zip(table[value], *style.bounds(table, metric), strict=True)
    return [with_interval(*each) if unknown is None or np.isfinite(each[0]) else unknown for each in triples]
