"""What is measured for a claim: from the per-seed files of a build or of the committed reference, and nothing else.

Every function takes the :class:`Evidence` and the arguments that ``claims.yml`` gives it, and returns one number per seed.
The files and their columns are the contract that anyone can recompute from.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import stats

from paperkit.evaluate import statistics

FINAL_B = "Bi-LSTM-Att-Focal"
RIVALS_B = ("Bi-LSTM", "Bi-LSTM-Att")
METRICS_B = ("accuracy", "f1", "recall", "specificity")
BASES = ("Baseline", "UDA", "UDA+ESimCSE")
ATTACKS = ("FGM", "PGD")
LEAST_TREATMENT = 0.01
LEAST_FOR_EXTREMES = 3
"""Of seeds: the extremes of several effects have no interval from fewer, as that of two is wider than any accuracy."""
SHARES = ("accuracy", "f1_macro", "manual_accuracy", "tail_f1", "sibling_confusion")
"""Metrics whose differences are told in points."""
FIRST_CORPORA = ("newswire", "reuters21578", "reuters21578-alphabetical", "r8", "r52")
"""What stands for paper A's first corpus; any other takes the place of its business data."""


class NotTestableError(Exception):
    """What a claim needs is not here; the message says what, and how to make it."""


class NotRunError(NotTestableError):
    """What a claim needs was not computed yet: an exhibit writes it, and these data may well decide the claim."""


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
            raise NotTestableError(f"{name} has no column {', '.join(missing)}")
        return table

    def _read(self, exhibit: str, name: str) -> pd.DataFrame:
        file = self.folder / name
        if not file.exists():
            if (self.folder / f"{exhibit}.provenance.json").exists():
                raise NotTestableError(f"{exhibit} has no runs to show on these data")
            if self.makeable is not None and exhibit not in self.makeable:
                raise NotTestableError(f"needs {name}, which no exhibit of this version writes")
            raise NotRunError(f"needs {name}, which `make {exhibit}` writes")
        table = pd.read_csv(file, encoding="utf-8")
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


def _on(rows: pd.DataFrame, corpus: str | None, where: dict | None) -> pd.DataFrame:
    """The rows of one of paper A's corpora, ``"first"`` or ``"second"``, that have certain values."""
    for column, value in (where or {}).items():
        if column not in rows:
            raise NotTestableError(f"there is no column {column}")
        rows = rows[rows[column] == value]
    if corpus is not None:
        first = rows.corpus.isin(FIRST_CORPORA)
        rows = rows[first if corpus == "first" else ~first]
        if rows.empty:
            raise NotTestableError(f"these data have no runs on the paper's {corpus} corpus")
    return rows


def _table(rows: pd.DataFrame, metric: str, names: Sequence[str], over: str | None = None) -> pd.DataFrame:
    """``metric`` with one row per seed and one column per model, averaged over the values of ``over``."""
    if missing := [name for name in names if name not in set(rows.model)]:
        raise NotTestableError(f"there is no run of {', '.join(missing)}")
    rows = rows[rows.model.isin(names)]
    keys = ["seed", "model", *([over] if over else [])]
    if rows.duplicated(keys).any():
        raise NotTestableError("a model has more than one row per seed")
    undefined = [name for name in names if rows[rows.model == name][metric].isna().all()]
    if undefined:
        raise NotTestableError(f"{metric} is not defined on these data for {', '.join(undefined)}")
    wide = rows.pivot(index="seed", columns=keys[1:], values=metric)
    return (wide.T.groupby(level=0).mean().T if over else wide).dropna()


def _varied(rows: pd.DataFrame, column: str) -> None:
    """Refuse a setting that nobody changed."""
    if rows[column].nunique() < 2:
        raise NotTestableError(f"{column} takes one value only")


def _name(rows: pd.DataFrame) -> str:
    return " and ".join(dict.fromkeys(rows.corpus.astype(str)))


def _sample(values: pd.Series, rows: pd.DataFrame, detail: str = "") -> Sample:
    if values.empty:
        raise NotTestableError("no seed has all the runs that are compared")
    return Sample(_as_filed(values), tuple(int(seed) for seed in values.index), _name(rows), detail)


def _as_filed(values: pd.Series) -> np.ndarray:
    """Differences of numbers of ten digits have nine: what lies beyond is rounding, and five seeds may agree in it."""
    return values.to_numpy(dtype=float).round(9)


def _signed(value: float, metric: str) -> str:
    """A difference of a metric, in points where the metric is a share."""
    return _points(value) if metric in SHARES else f"{value:+.3f}".replace("-", "−")


def _points(value: float) -> str:
    return f"{100 * value:+.1f}".replace("-", "−")


def p_value(p: float) -> str:
    """``"= 0.012"`` or ``"< .001"``."""
    return "< .001" if p < 0.001 else f"= {p:.3f}"


# --- paper B ---------------------------------------------------------------------------------------------------------


def _per_pair(evidence: Evidence, exhibit: str, metrics: Sequence[str]) -> dict[str, pd.DataFrame]:
    """Of each metric ``(seeds, model × pair of platforms)``; pairs on which one of the metrics is 0/0 are left out."""
    if (exhibit, tuple(metrics)) in evidence.pairs:
        return evidence.pairs[exhibit, tuple(metrics)]
    rows = evidence.runs(exhibit, ("train_on", "test_on", *metrics))
    rows = rows[rows.model.isin((FINAL_B, *RIVALS_B))]
    if rows.empty:
        raise NotTestableError("these data come from one platform, so there is no other one to test on")
    rows = rows.assign(pair=rows.train_on.astype(str) + " → " + rows.test_on.astype(str))
    undefined = rows[rows[list(metrics)].isna().any(axis=1)].pair.unique()
    rows = rows[~rows.pair.isin(undefined)]
    if rows.empty:
        raise NotTestableError(f"{', '.join(metrics)}: 0/0 on every pair of platforms")
    wide = {metric: rows.pivot(index="seed", columns=["model", "pair"], values=metric).dropna() for metric in metrics}
    evidence.pairs[exhibit, tuple(metrics)] = wide
    return wide


def _by_pair(gains: pd.DataFrame) -> str:
    """The mean of every pair of platforms, where there are several."""
    if gains.shape[1] < 2:
        return ""
    means = gains.mean()
    return f"mean of {len(means)} pairs of platforms, {_points(means.min())} ({means.idxmin()}) to {_points(means.max())} " \
           f"({means.idxmax()}) points"  # fmt: skip


@measure
def platform_gain(evidence: Evidence, exhibit: str, metric: str, rival: str, welch: bool = False) -> Sample:
    """The focal model's metric − the rival's, mean over the pairs of platforms of Table 3 or 4.

    ``welch`` states beside it what Welch's test says, which paper B most likely used.
    """
    wide = _per_pair(evidence, exhibit, (metric,))[metric]
    gains = wide[FINAL_B] - wide[rival]
    unpaired = statistics.welch_t(wide[FINAL_B].mean(axis=1), wide[rival].mean(axis=1))
    beside = [f"Welch's test: p {p_value(unpaired.p)}"] if welch and len(wide) > 1 else []
    return _sample(gains.mean(axis=1), evidence.runs(exhibit, ()), "; ".join(filter(None, [*beside, _by_pair(gains)])))


@measure
def platform_extra_gain(evidence: Evidence, exhibit: str, metric: str, rival: str) -> Sample:
    """The gain on one metric − the largest gain on another one, in the same seed."""
    wide = _per_pair(evidence, exhibit, METRICS_B)
    gains = {name: (table[FINAL_B] - table[rival]).mean(axis=1) for name, table in wide.items()}
    rest = pd.DataFrame({name: gain for name, gain in gains.items() if name != metric})
    means = ", ".join(f"{name} {_points(gain.mean())}" for name, gain in gains.items())
    return _sample(gains[metric] - rest.max(axis=1), evidence.runs(exhibit, ()), f"gains in points: {means}")


@measure
def platform_level(evidence: Evidence, exhibit: str, metric: str) -> Sample:
    """The focal model's metric, mean over the pairs of platforms."""
    wide = _per_pair(evidence, exhibit, (metric,))[metric][FINAL_B]
    detail = ""
    if wide.shape[1] > 1:
        means = wide.mean()
        detail = f"mean of {len(means)} pairs of platforms, {100 * means.min():.1f} ({means.idxmin()}) to " \
                 f"{100 * means.max():.1f} ({means.idxmax()}) %"  # fmt: skip
    return _sample(wide.mean(axis=1), evidence.runs(exhibit, ()), detail)


@measure
def platform_drop(evidence: Evidence, exhibit: str, beside: str, metric: str) -> Sample:
    """The focal model's metric on the same platform (``exhibit``) − on another one (``beside``)."""
    here, there = (_per_pair(evidence, name, (metric,))[metric][FINAL_B].mean(axis=1) for name in (exhibit, beside))
    return _sample((here - there).dropna(), evidence.runs(exhibit, ()))


@measure
def loss_below_rivals(evidence: Evidence, exhibit: str, column: str, steps: bool = False) -> Sample:
    """The lower one of the rivals' − the focal model's: loss of the last epoch, or SD of its changes between epochs."""
    rows = evidence.runs(exhibit, ("epoch", column), suffix="")
    curves = rows.sort_values("epoch").groupby(["seed", "model"])[column]
    if steps and (curves.size() < 3).any():
        raise NotTestableError("fewer than three epochs have no spread of changes")
    number = curves.agg(lambda loss: float(np.diff(loss).std(ddof=1)) if steps else float(loss.iloc[-1]))
    wide = number.unstack("model")
    if missing := [name for name in (FINAL_B, *RIVALS_B) if name not in wide]:
        raise NotTestableError(f"there is no run of {', '.join(missing)}")
    wide = wide.dropna()
    means = ", ".join(f"{name} {wide[name].mean():.3f}" for name in (*RIVALS_B, FINAL_B))
    sample = _sample(wide[list(RIVALS_B)].min(axis=1) - wide[FINAL_B], rows, means)
    return Sample(sample.values, sample.seeds, sample.corpus or evidence.corpus_b, sample.detail)


# --- paper A ---------------------------------------------------------------------------------------------------------


@measure
def gain(evidence: Evidence, exhibit: str, metric: str, pairs: Sequence[Sequence[str]], corpus: str | None = None,
         at: str | None = None, differs: str | None = None) -> Sample:  # fmt: skip
    """Model − rival at the same seed, mean over ``pairs`` of them.

    ``at`` names a column of which the largest value is judged; what the gain is at the smallest is said beside it.
    ``differs`` names a column that says how large a treatment is; where it differs by less than 1 % there is none to judge.
    """
    columns = [name for name in (metric, at, differs) if name]
    rows = _on(evidence.runs(exhibit, columns), corpus, None)
    names, beside = list(dict.fromkeys(name for pair in pairs for name in pair)), []
    if at:
        _varied(rows, at)
        low, high = rows[at].min(), rows[at].max()
        wide = _table(rows[rows[at] == low], metric, names)
        smallest = sum(wide[model] - wide[rival] for model, rival in pairs) / len(pairs)
        beside = [f"at {at} {high:g}; at {low:g} it is {_signed(smallest.mean(), metric)}"]
        rows = rows[rows[at] == high]
    wide = _table(rows, metric, names)
    if differs:
        sizes = rows.groupby("model")[differs].mean()
        for model, rival in pairs:
            if abs(sizes[model] / sizes[rival] - 1) < LEAST_TREATMENT:
                raise NotTestableError(f"{differs} is {sizes[model]:,.0f} for {model!r} and {sizes[rival]:,.0f} for {rival!r}: "
                                       "on these data there is next to nothing to compare")  # fmt: skip
    gains = pd.DataFrame({f"{model} − {rival}": wide[model] - wide[rival] for model, rival in pairs})
    means = gains.mean()
    each = [f"{name} {_signed(value, metric)}" for name, value in means.items()] if len(means) > 1 else []
    unit = "in points: " if metric in SHARES and beside + each else ""
    return _sample(gains.mean(axis=1), rows, unit + "; ".join(beside + each))


@measure
def level(evidence: Evidence, exhibit: str, metric: str, model: str, corpus: str | None = None) -> Sample:
    """A metric of one model."""
    rows = _on(evidence.runs(exhibit, (metric,)), corpus, None)
    return _sample(_table(rows, metric, [model])[model], rows)


@measure
def excess(evidence: Evidence, exhibit: str, metric: str, above: str, model: str, corpus: str | None = None) -> Sample:
    """One metric of a model − another metric of the same run."""
    rows = _on(evidence.runs(exhibit, (metric, above)), corpus, None)
    values = _table(rows, metric, [model])[model] - _table(rows, above, [model])[model]
    return _sample(values.dropna(), rows)


@measure
def gain_beyond_first(evidence: Evidence, exhibit: str, metric: str, model: str, rival: str) -> Sample:
    """The gain on the second corpus − the gain on the first one; the seeds of two corpora have nothing in common."""
    second, first = (gain(evidence, exhibit, metric, [[model, rival]], corpus) for corpus in ("second", "first"))
    detail = f"{second.corpus} {_points(second.values.mean())}, {first.corpus} {_points(first.values.mean())} points"
    return Sample(second.values, second.seeds, f"{first.corpus} and {second.corpus}", detail, other=first.values,
                  other_seeds=first.seeds)  # fmt: skip


@measure
def both_signs(evidence: Evidence, exhibit: str, metric: str, pairs: Sequence[Sequence[str]]) -> Sample:
    """Whether effects of both signs occur: the smaller one of the largest effect and of minus the smallest.

    Each effect is a pair on a corpus; its interval has the level 1 − .05 / number of effects (Bonferroni), and there is none
    from fewer than three seeds.
    """
    rows = evidence.runs(exhibit, (metric,))
    effects = {}
    for name, group in rows.groupby("corpus", sort=False):
        wide = _table(group, metric, list(dict.fromkeys(model for pair in pairs for model in pair)))
        effects |= {f"{model} on {name}": (wide[model] - wide[rival]).round(9) for model, rival in pairs}
    n = min(len(values) for values in effects.values())
    means = {name: float(values.mean()) for name, values in effects.items()}
    bounds = np.full((len(effects), 2), np.nan)
    if n >= LEAST_FOR_EXTREMES:
        for i, values in enumerate(effects.values()):
            half = stats.t.ppf(1 - 0.025 / len(effects), len(values) - 1) * values.std(ddof=1) / len(values) ** 0.5
            bounds[i] = values.mean() - half, values.mean() + half
    low, high = bounds.T
    detail = "effects in points: " + ", ".join(f"{name} {_points(value)}" for name, value in means.items())
    measured = min(max(means.values()), -min(means.values()))
    seeds = tuple(sorted(set(rows.seed)))[:n]
    return Sample(np.full(n, measured), seeds, _name(rows), detail,
                  bounds=(measured, min(low.max(), -high.min()), min(high.max(), -low.min())))  # fmt: skip


@measure
def slower(evidence: Evidence, exhibit: str, metric: str, reached: str, models: Sequence[str],
           corpus: str | None = None) -> Sample:  # fmt: skip
    """Mean of ``models`` − mean of all others, of the steps that it takes; a run that does not get there counts with all its
    steps, which understates how slow it is. ``reached`` names the column that says whether it does (1 or 0)."""
    rows = _on(evidence.runs(exhibit, (metric, reached)), corpus, None)
    if not rows[reached].any():
        raise NotTestableError(f"no run gets there: {reached} is 0 in all {len(rows)}")
    wide = _table(rows, metric, list(dict.fromkeys(rows.model)))
    rest = [name for name in wide if name not in models]
    if not rest or (missing := [name for name in models if name not in wide]):
        raise NotTestableError(f"there is no run of {', '.join(missing) if rest else 'another model'}")
    short = int((rows[reached] == 0).sum())
    detail = f"{short} of {len(rows)} runs do not get there and count with all their steps" if short else ""
    return _sample(wide[list(models)].mean(axis=1) - wide[rest].mean(axis=1), rows, detail)


@measure
def ends(evidence: Evidence, exhibit: str, metric: str, model: str, column: str, corpus: str | None = None,
         where: dict | None = None, over: str | None = None) -> Sample:  # fmt: skip
    """The metric at the largest value of ``column`` − at its smallest, of one model; mean over values of ``over`` in both."""
    rows = _on(evidence.runs(exhibit, [name for name in (metric, column, over) if name]), corpus, where)
    rows = rows[rows.model == model]
    _varied(rows, column)
    low, high = rows[column].min(), rows[column].max()
    if over:
        common = set(rows[rows[column] == low][over]) & set(rows[rows[column] == high][over])
        rows = rows[rows[over].isin(common)]
    at = (_table(rows[rows[column] == value], metric, [model], over)[model] for value in (high, low))
    values = next(at) - next(at)
    return _sample(values.dropna(), rows, f"{column} {high:g} against {low:g}")


# --- robustness ------------------------------------------------------------------------------------------------------


def _attacked(evidence: Evidence, exhibit: str, corpus: str, kinds: Sequence[str]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """RA − SA of the models trained with ``kinds`` of attack under the other kind, and RA − RA of their untrained counterparts.

    One row per seed, one column per model; where several ε were tried, their mean counts.
    """
    rows = _on(evidence.runs(exhibit, ("attack", "epsilon", "sa", "ra")), corpus, None)
    rows = rows.assign(attack=rows.attack.astype(str).str.upper())
    excess, lift = {}, {}
    for base in BASES:
        for kind in kinds:
            other = ATTACKS[1 - ATTACKS.index(kind)]
            under = rows[rows.attack == other]
            means = under.groupby(["model", "seed"])[["sa", "ra"]].mean()
            name = f"{base}+{kind}"
            if missing := [model for model in (name, base) if model not in means.index.get_level_values(0)]:
                raise NotTestableError(f"there is no run of {missing[0]} attacked with {other}")
            excess[name] = means.ra[name] - means.sa[name]
            lift[name] = means.ra[name] - means.ra[base]
    return pd.DataFrame(excess).dropna(), pd.DataFrame(lift).dropna()


@measure
def robust_count(evidence: Evidence, exhibit: str, corpus: str, trained_with: Sequence[str]) -> Sample:
    """How many of the adversarially trained models have RA > SA when the other kind of attack is used."""
    excess, _ = _attacked(evidence, exhibit, corpus, trained_with)
    detail = "RA − SA in points: " + ", ".join(f"{name} {_points(value)}" for name, value in excess.mean().items())
    rows = _on(evidence.runs(exhibit, ()), corpus, None)
    return _sample((excess > 0).sum(axis=1).astype(float), rows, detail)


@measure
def robust_gain(evidence: Evidence, exhibit: str, corpus: str) -> Sample:
    """RA of the adversarially trained models − RA of their counterparts without, under the same attack."""
    _, lift = _attacked(evidence, exhibit, corpus, ATTACKS)
    detail = "in points: " + ", ".join(f"{name} {_points(value)}" for name, value in lift.mean().items())
    return _sample(lift.mean(axis=1), _on(evidence.runs(exhibit, ()), corpus, None), detail)
