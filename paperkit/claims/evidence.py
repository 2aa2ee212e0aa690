"""What claims are measured from: the per-seed files of a build or of the committed reference, and nothing else.

The files and their columns are the contract that anyone can recompute from. A measuring function (``measures_a.py``,
``measures_b.py``) takes the :class:`Evidence` and the arguments that ``claims.yml`` gives it, and returns one number per seed.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from paperkit import contract
from paperkit.claims.reasons import NotRunError, NotTestableError
from paperkit.evaluate import statistics
from paperkit.wording import minus, p_value, points

SHARES = ("accuracy", "f1_macro", "manual_accuracy", "tail_f1", "sibling_confusion")
"""Metrics whose differences are told in points."""
FIRST_CORPORA = ("newswire", "reuters21578", "reuters21578-alphabetical", "r8", "r52")
"""What stands for paper A's first corpus; any other takes the place of its business data."""
REMARKS = ("welch",)
"""Arguments of measuring functions that add to what is said beside the number and leave the number as it is."""


@dataclass(frozen=True)
class Sample:
    """A quantity, once per seed."""

    values: np.ndarray
    """``(n,)``, in the order of ``seeds``."""
    seeds: tuple[int, ...]
    corpus: str
    detail: str = ""
    """What a reader should know of its parts."""
    other: np.ndarray | None = None
    """A second sample to subtract whose seeds have nothing to do with the first one's."""
    other_seeds: tuple[int, ...] = ()
    bounds: tuple[float, float, float] | None = None
    """Measured value, low and high, where a rule of its own gives them and no t interval does."""
    needed: float = math.nan
    """About how many seeds that rule would need to decide, with a power of 80 %."""
    p: float = math.nan
    """The p value that goes with such bounds, if one does."""
    effect: float = math.nan
    """The effect that a number of seeds follows from: mean / standard deviation over seeds."""
    by_seed: bool = True
    """Whether ``values`` are of one seed each; not where the quantity exists over all seeds alone."""


MEASURES: dict[str, Callable[..., Sample]] = {}


def measure(function: Callable[..., Sample]) -> Callable[..., Sample]:
    """Register a measuring function under its name."""
    MEASURES[function.__name__] = function
    return function


class Evidence:
    """The contract files of one folder."""

    def __init__(self, folder: Path, makeable: Sequence[str] | None = None) -> None:
        self.folder, self.makeable = folder, makeable
        self.tables: dict[str, pd.DataFrame] = {}
        self.pairs: dict[tuple[str, tuple[str, ...]], dict[str, pd.DataFrame]] = {}

    def runs(self, exhibit: str, columns: Sequence[str], suffix: str = "_runs") -> pd.DataFrame:
        """The rows of seeded runs of an exhibit, with ``columns``.

        Raises:
            NotTestableError: the file is not there, or lacks a column.
        """
        name = f"{exhibit}{suffix}.csv"
        if name not in self.tables:
            self.tables[name] = self._read(exhibit, name)
        table = self.tables[name]
        if missing := [column for column in ("model", "seed", *columns) if column not in table]:
            raise NotTestableError("no column", name=name, columns=", ".join(missing))
        return table

    def _read(self, exhibit: str, name: str) -> pd.DataFrame:
        file = self.folder / name
        if not file.exists():
            if (self.folder / f"{exhibit}.provenance.json").exists():
                raise NotTestableError("nothing to show", exhibit=exhibit)
            if self.makeable is not None and exhibit not in self.makeable:
                raise NotTestableError("not made", name=name)
            raise NotRunError("not run", name=name, exhibit=exhibit)
        table = contract.read_csv(file)
        if "seed" in table:  # reference rows have none
            table = table[table.seed.notna()].astype({"seed": int})
        return table if "corpus" in table else table.assign(corpus="")

    @cached_property
    def corpus_b(self) -> str:
        """The name of paper B's corpus."""
        for exhibit in ("b_table_4", "b_table_3"):
            try:
                return str(self.runs(exhibit, ()).corpus.iloc[0])
            except (NotTestableError, IndexError):
                continue
        return ""


def on_corpus(rows: pd.DataFrame, corpus: str | None, where: dict | None) -> pd.DataFrame:
    """The rows of one of paper A's corpora, ``"first"`` or ``"second"``, that have certain values."""
    for column, value in (where or {}).items():
        if column not in rows:
            raise NotTestableError("no column", name="the file", columns=column)
        rows = rows[rows[column] == value]
    if corpus is not None:
        first = rows.corpus.isin(FIRST_CORPORA)
        rows = rows[first if corpus == "first" else ~first]
        if rows.empty:
            raise NotTestableError(f"no {corpus} corpus")
    return rows


def per_model(rows: pd.DataFrame, metric: str, names: Sequence[str], over: str | None = None) -> pd.DataFrame:
    """``metric`` with one row per seed and one column per model, averaged over the values of ``over``."""
    if missing := [name for name in names if name not in set(rows.model)]:
        raise NotTestableError("no model", models=", ".join(missing))
    rows = rows[rows.model.isin(names)]
    keys = ["seed", "model", *([over] if over else [])]
    if rows.duplicated(keys).any():
        raise NotTestableError("repeated seeds")
    undefined = [name for name in names if rows[rows.model == name][metric].isna().all()]
    if undefined:
        raise NotTestableError("undefined", metric=metric, models=", ".join(undefined))
    wide = rows.pivot(index="seed", columns=keys[1:], values=metric)
    return (wide.T.groupby(level=0).mean().T if over else wide).dropna()


def check_varied(rows: pd.DataFrame, column: str) -> None:
    """Refuse a setting that nobody changed."""
    if rows[column].nunique() < 2:
        raise NotTestableError("one value", column=column)


def corpora_of(rows: pd.DataFrame) -> str:
    """The names of the corpora that the rows are from."""
    return " and ".join(dict.fromkeys(rows.corpus.astype(str)))


def sample_of(values: pd.Series, rows: pd.DataFrame, detail: str = "") -> Sample:
    """One value per seed, the index of ``values``, which was measured from ``rows``."""
    if values.empty:
        raise NotTestableError("no common seed")
    return Sample(_as_filed(values), tuple(int(seed) for seed in values.index), corpora_of(rows), detail)


def every(contrasts: pd.DataFrame, rows: pd.DataFrame, detail: str = "") -> Sample:
    """Whether each of several contrasts, the columns, is above 0: an intersection-union test (Berger 1982).

    The quantity is the smallest of their means. It is above 0 where the interval of every contrast is, each at its usual
    level; below it where that of one is, at a level divided by their number. The smallest one *of each seed* would not do: the
    mean of minima is below the minimum of means, the further the more the seeds scatter.
    """
    contrasts = contrasts.round(9)  # see _as_filed
    tests = [statistics.paired_t(values, np.zeros(len(values))) for _, values in contrasts.items()]
    strict = [
        statistics.paired_t(values, np.zeros(len(values)), 1 - 0.05 / len(tests)) for _, values in contrasts.items()
    ]
    least = min(range(len(tests)), key=lambda i: tests[i].difference)
    sample = sample_of(contrasts.iloc[:, least], rows, detail)
    if len(contrasts) < 2:
        return sample
    bounds = tests[least].difference, min(test.low for test in tests), min(test.high for test in strict)
    if tests[least].difference > 0:
        p = max(test.p for test in tests)
    else:
        p = min(1.0, len(tests) * min(test.p for test in tests if test.difference <= 0))
    # one that is the same with every seed has no size to compare, and if it is the least one it decides by itself
    scattered = contrasts.max() > contrasts.min()
    sizes = contrasts.mean() / contrasts.std(ddof=1)
    effect = float(sizes[scattered].min()) if scattered.iloc[least] else math.nan
    return replace(sample, bounds=bounds, p=p if bounds[1] < bounds[2] else math.nan, effect=effect)


def _as_filed(values: pd.Series) -> np.ndarray:
    """Differences of numbers of ten digits have nine: what lies beyond is rounding, and five seeds may agree in it."""
    return values.to_numpy(dtype=float).round(9)


def signed(value: float, metric: str) -> str:
    """A difference of a metric, in points where the metric is a share."""
    return points(value) if metric in SHARES else minus(f"{value:+.3f}")


def equals(p: float) -> str:
    """What stands behind the letter p: ``"= 0.012"`` or ``"< .001"``."""
    said = p_value(p)
    return said if said.startswith("<") else f"= {said}"
