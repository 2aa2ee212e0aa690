"""What is measured for paper A's claims: over its corpora and models, and under attack."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy import stats

from paperkit.claims.evidence import (
    SHARES,
    Evidence,
    Sample,
    check_varied,
    corpora_of,
    measure,
    on_corpus,
    per_model,
    sample_of,
    signed,
)
from paperkit.claims.reasons import NotTestableError
from paperkit.evaluate import statistics
from paperkit.papers import FAMILIES
from paperkit.wording import points

ATTACKS = ("FGM", "PGD")
LEAST_TREATMENT = 0.01
LEAST_FOR_EXTREMES = 3
"""Of seeds: the extremes of several effects have no interval from fewer, as that of two is wider than any accuracy."""


@measure
def gain(evidence: Evidence, exhibit: str, metric: str, pairs: Sequence[Sequence[str]], corpus: str | None = None,
         at: str | None = None, differs: str | None = None) -> Sample:  # fmt: skip
    """Model − rival at the same seed, mean over ``pairs`` of them.

    ``at`` names a column of which the largest value is judged; what the gain is at the smallest is said beside it.
    ``differs`` names a column that says how large a treatment is; where it differs by less than 1 % there is none to judge.
    """
    columns = [name for name in (metric, at, differs) if name]
    rows = on_corpus(evidence.runs(exhibit, columns), corpus, None)
    names, beside = list(dict.fromkeys(name for pair in pairs for name in pair)), []
    if at:
        check_varied(rows, at)
        low, high = rows[at].min(), rows[at].max()
        wide = per_model(rows[rows[at] == low], metric, names)
        smallest = sum(wide[model] - wide[rival] for model, rival in pairs) / len(pairs)
        beside = [f"at {at} {high:g}; at {low:g} it is {signed(smallest.mean(), metric)}"]
        rows = rows[rows[at] == high]
    wide = per_model(rows, metric, names)
    if differs:
        sizes = rows.groupby("model")[differs].mean()
        for model, rival in pairs:
            if abs(sizes[model] / sizes[rival] - 1) < LEAST_TREATMENT:
                raise NotTestableError("same size", column=differs, size=sizes[model], model=model,
                                       other_size=sizes[rival], other=rival)  # fmt: skip
    gains = pd.DataFrame({f"{model} − {rival}": wide[model] - wide[rival] for model, rival in pairs})
    means = gains.mean()
    each = [f"{name} {signed(value, metric)}" for name, value in means.items()] if len(means) > 1 else []
    unit = "in points: " if metric in SHARES and beside + each else ""
    return sample_of(gains.mean(axis=1), rows, unit + "; ".join(beside + each))


@measure
def level(evidence: Evidence, exhibit: str, metric: str, model: str, corpus: str | None = None) -> Sample:
    """A metric of one model."""
    rows = on_corpus(evidence.runs(exhibit, (metric,)), corpus, None)
    return sample_of(per_model(rows, metric, [model])[model], rows)


@measure
def excess(evidence: Evidence, exhibit: str, metric: str, above: str, model: str, corpus: str | None = None) -> Sample:
    """One metric of a model − another metric of the same run."""
    rows = on_corpus(evidence.runs(exhibit, (metric, above)), corpus, None)
    values = per_model(rows, metric, [model])[model] - per_model(rows, above, [model])[model]
    return sample_of(values.dropna(), rows)


@measure
def gain_beyond_first(evidence: Evidence, exhibit: str, metric: str, model: str, rival: str) -> Sample:
    """The gain on the second corpus − the gain on the first one; the seeds of two corpora have nothing in common."""
    second, first = (gain(evidence, exhibit, metric, [[model, rival]], corpus) for corpus in ("second", "first"))
    detail = f"{second.corpus} {points(second.values.mean())}, {first.corpus} {points(first.values.mean())} points"
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
        wide = per_model(group, metric, list(dict.fromkeys(model for pair in pairs for model in pair)))
        effects |= {f"{model} on {name}": (wide[model] - wide[rival]).round(9) for model, rival in pairs}
    n = min(len(values) for values in effects.values())
    means = {name: float(values.mean()) for name, values in effects.items()}
    bounds = np.full((len(effects), 2), np.nan)
    if n >= LEAST_FOR_EXTREMES:
        for i, values in enumerate(effects.values()):
            half = stats.t.ppf(1 - 0.025 / len(effects), len(values) - 1) * values.std(ddof=1) / len(values) ** 0.5
            bounds[i] = values.mean() - half, values.mean() + half
    low, high = bounds.T
    detail = "effects in points: " + ", ".join(f"{name} {points(value)}" for name, value in means.items())
    needed = _seeds_for_signs(list(effects.values())) if n >= LEAST_FOR_EXTREMES else np.nan
    measured = min(max(means.values()), -min(means.values()))
    seeds = tuple(sorted(set(rows.seed)))[:n]
    return Sample(np.full(n, measured), seeds, corpora_of(rows), detail,
                  bounds=(measured, min(low.max(), -high.min()), min(high.max(), -low.min())), needed=needed,
                  by_seed=False)  # fmt: skip


def _seeds_for_signs(effects: Sequence[pd.Series]) -> float:
    """How many seeds would decide whether effects of both signs occur, at the level of their intervals.

    Where the means have both signs, the clearest effect of either sign must show its own; where they have one, so must every
    effect, and the least clear one sets the number.
    """
    level = 0.05 / len(effects)
    alone = [(each.mean() > 0, statistics.power_seeds(each.mean(), each.std(ddof=1), level)) for each in effects]
    up, down = ([needed for above, needed in alone if above == side] for side in (True, False))
    return max(min(up), min(down)) if up and down else max(up + down)


@measure
def slower(evidence: Evidence, exhibit: str, metric: str, reached: str, models: Sequence[str],
           corpus: str | None = None) -> Sample:  # fmt: skip
    """Mean of ``models`` − mean of all others, of the steps that it takes; a run that does not get there counts with all its
    steps, which understates how slow it is. ``reached`` names the column that says whether it does (1 or 0)."""
    rows = on_corpus(evidence.runs(exhibit, (metric, reached)), corpus, None)
    if not rows[reached].any():
        raise NotTestableError("never reached", column=reached, n=len(rows))
    wide = per_model(rows, metric, list(dict.fromkeys(rows.model)))
    rest = [name for name in wide if name not in models]
    if not rest:
        raise NotTestableError("no other model")
    if missing := [name for name in models if name not in wide]:
        raise NotTestableError("no model", models=", ".join(missing))
    short = int((rows[reached] == 0).sum())
    detail = f"{short} of {len(rows)} runs do not get there and count with all their steps" if short else ""
    return sample_of(wide[list(models)].mean(axis=1) - wide[rest].mean(axis=1), rows, detail)


@measure
def ends(evidence: Evidence, exhibit: str, metric: str, model: str, column: str, corpus: str | None = None,
         where: dict | None = None, over: str | None = None) -> Sample:  # fmt: skip
    """The metric at the largest value of ``column`` − at its smallest, of one model; mean over values of ``over`` in both."""
    rows = on_corpus(evidence.runs(exhibit, [name for name in (metric, column, over) if name]), corpus, where)
    rows = rows[rows.model == model]
    check_varied(rows, column)
    low, high = rows[column].min(), rows[column].max()
    if over:
        common = set(rows[rows[column] == low][over]) & set(rows[rows[column] == high][over])
        rows = rows[rows[over].isin(common)]
    at = (per_model(rows[rows[column] == value], metric, [model], over)[model] for value in (high, low))
    values = next(at) - next(at)
    return sample_of(values.dropna(), rows, f"{column} {high:g} against {low:g}")


def _attacked(evidence: Evidence, exhibit: str, corpus: str, kinds: Sequence[str]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """RA − SA of the models trained with ``kinds`` of attack under the other kind, and RA − RA of their untrained counterparts.

    One row per seed, one column per model; where several ε were tried, their mean counts.
    """
    rows = on_corpus(evidence.runs(exhibit, ("attack", "epsilon", "sa", "ra")), corpus, None)
    rows = rows.assign(attack=rows.attack.astype(str).str.upper())
    excess, lift = {}, {}
    for base in FAMILIES:
        for kind in kinds:
            other = ATTACKS[1 - ATTACKS.index(kind)]
            under = rows[rows.attack == other]
            means = under.groupby(["model", "seed"])[["sa", "ra"]].mean()
            name = f"{base}+{kind}"
            if missing := [model for model in (name, base) if model not in means.index.get_level_values(0)]:
                raise NotTestableError("no attack", model=missing[0], attack=other)
            excess[name] = means.ra[name] - means.sa[name]
            lift[name] = means.ra[name] - means.ra[base]
    return pd.DataFrame(excess).dropna(), pd.DataFrame(lift).dropna()


@measure
def robust_count(evidence: Evidence, exhibit: str, corpus: str, trained_with: Sequence[str]) -> Sample:
    """How many of the adversarially trained models have RA > SA when the other kind of attack is used."""
    excess, _ = _attacked(evidence, exhibit, corpus, trained_with)
    detail = "RA − SA in points: " + ", ".join(f"{name} {points(value)}" for name, value in excess.mean().items())
    rows = on_corpus(evidence.runs(exhibit, ()), corpus, None)
    return sample_of((excess > 0).sum(axis=1).astype(float), rows, detail)


@measure
def robust_gain(evidence: Evidence, exhibit: str, corpus: str) -> Sample:
    """RA of the adversarially trained models − RA of their counterparts without, under the same attack."""
    _, lift = _attacked(evidence, exhibit, corpus, ATTACKS)
    detail = "in points: " + ", ".join(f"{name} {points(value)}" for name, value in lift.mean().items())
    return sample_of(lift.mean(axis=1), on_corpus(evidence.runs(exhibit, ()), corpus, None), detail)
