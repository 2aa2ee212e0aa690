"""What is measured for paper B's claims: over pairs of platforms, and from the loss by epoch."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from paperkit.claims.evidence import Evidence, Sample, equals, every, measure, sample_of
from paperkit.claims.reasons import NotTestableError
from paperkit.evaluate import statistics
from paperkit.wording import points

FINAL_B = "Bi-LSTM-Att-Focal"
RIVALS_B = ("Bi-LSTM", "Bi-LSTM-Att")
METRICS_B = ("accuracy", "f1", "recall", "specificity")


def _per_pair(evidence: Evidence, exhibit: str, metrics: Sequence[str]) -> dict[str, pd.DataFrame]:
    """Of each metric ``(seeds, model × pair of platforms)``; pairs on which one of the metrics is 0/0 are left out."""
    if (exhibit, tuple(metrics)) in evidence.pairs:
        return evidence.pairs[exhibit, tuple(metrics)]
    rows = evidence.runs(exhibit, ("train_on", "test_on", *metrics))
    rows = rows[rows.model.isin((FINAL_B, *RIVALS_B))]
    if rows.empty:
        raise NotTestableError("one platform")
    rows = rows.assign(pair=rows.train_on.astype(str) + " → " + rows.test_on.astype(str))
    undefined = rows[rows[list(metrics)].isna().any(axis=1)].pair.unique()
    rows = rows[~rows.pair.isin(undefined)]
    if rows.empty:
        raise NotTestableError("undefined everywhere", metrics=", ".join(metrics))
    wide = {metric: rows.pivot(index="seed", columns=["model", "pair"], values=metric).dropna() for metric in metrics}
    evidence.pairs[exhibit, tuple(metrics)] = wide
    return wide


def _by_pair(gains: pd.DataFrame) -> str:
    """The mean of every pair of platforms, where there are several."""
    if gains.shape[1] < 2:
        return ""
    means = gains.mean()
    return f"mean of {len(means)} pairs of platforms, {points(means.min())} ({means.idxmin()}) to {points(means.max())} " \
           f"({means.idxmax()}) points"  # fmt: skip


@measure
def platform_gain(evidence: Evidence, exhibit: str, metric: str, rival: str, welch: bool = False) -> Sample:
    """The focal model's metric − the rival's, mean over the pairs of platforms of Table 3 or 4.

    ``welch`` states beside it what Welch's test says, which paper B most likely used.
    """
    wide = _per_pair(evidence, exhibit, (metric,))[metric]
    gains = wide[FINAL_B] - wide[rival]
    unpaired = statistics.welch_t(wide[FINAL_B].mean(axis=1), wide[rival].mean(axis=1))
    beside = [f"Welch's test: p {equals(unpaired.p)}"] if welch and len(wide) > 1 else []
    return sample_of(
        gains.mean(axis=1), evidence.runs(exhibit, ()), "; ".join(filter(None, [*beside, _by_pair(gains)]))
    )


@measure
def platform_extra_gain(evidence: Evidence, exhibit: str, metric: str, rival: str) -> Sample:
    """The gain on one metric − that on each other one, all of which must be above 0."""
    wide = _per_pair(evidence, exhibit, METRICS_B)
    gains = {name: (table[FINAL_B] - table[rival]).mean(axis=1) for name, table in wide.items()}
    rest = pd.DataFrame({name: gains[metric] - gain for name, gain in gains.items() if name != metric})
    means = ", ".join(f"{name} {points(gain.mean())}" for name, gain in gains.items())
    return every(rest, evidence.runs(exhibit, ()), f"gains in points: {means}")


@measure
def platform_level(evidence: Evidence, exhibit: str, metric: str) -> Sample:
    """The focal model's metric, mean over the pairs of platforms."""
    wide = _per_pair(evidence, exhibit, (metric,))[metric][FINAL_B]
    detail = ""
    if wide.shape[1] > 1:
        means = wide.mean()
        detail = f"mean of {len(means)} pairs of platforms, {100 * means.min():.1f} ({means.idxmin()}) to " \
                 f"{100 * means.max():.1f} ({means.idxmax()}) %"  # fmt: skip
    return sample_of(wide.mean(axis=1), evidence.runs(exhibit, ()), detail)


@measure
def platform_drop(evidence: Evidence, exhibit: str, beside: str, metric: str) -> Sample:
    """The focal model's metric on the same platform (``exhibit``) − on another one (``beside``)."""
    here, there = (_per_pair(evidence, name, (metric,))[metric][FINAL_B].mean(axis=1) for name in (exhibit, beside))
    return sample_of((here - there).dropna(), evidence.runs(exhibit, ()))


@measure
def loss_below_rivals(evidence: Evidence, exhibit: str, column: str, steps: bool = False) -> Sample:
    """Each rival's − the focal model's, all of which must be above 0: loss of the last epoch, or SD of its changes between
    epochs."""
    rows = evidence.runs(exhibit, ("epoch", column), suffix="")
    curves = rows.sort_values("epoch").groupby(["seed", "model"])[column]
    if steps and (curves.size() < 3).any():
        raise NotTestableError("few epochs")
    number = curves.agg(lambda loss: float(np.diff(loss).std(ddof=1)) if steps else float(loss.iloc[-1]))
    wide = number.unstack("model")
    if missing := [name for name in (FINAL_B, *RIVALS_B) if name not in wide]:
        raise NotTestableError("no model", models=", ".join(missing))
    if undefined := [name for name in (FINAL_B, *RIVALS_B) if wide[name].isna().all()]:
        raise NotTestableError("undefined", metric=column, models=", ".join(undefined))
    wide = wide.dropna()
    means = ", ".join(f"{name} {wide[name].mean():.3f}" for name in (*RIVALS_B, FINAL_B))
    sample = every(wide[list(RIVALS_B)].sub(wide[FINAL_B], axis=0), rows, means)
    return replace(sample, corpus=sample.corpus or evidence.corpus_b)
