"""From numbers to verdicts: one rule for every claim, Holm's correction across the ledger, never a hand."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from paperkit.claims.entries import Claim, claims
from paperkit.claims.evidence import MEASURES, REMARKS, Evidence, Sample, equals
from paperkit.claims.reasons import NotRunError, NotTestableError, Reason, reason
from paperkit.evaluate import statistics
from paperkit.store import canonical
from paperkit.wording import minus

SUPPORTED, CONTRADICTED, INCONCLUSIVE, NOT_TESTABLE = VERDICTS = (
    "supported",
    "contradicted",
    "inconclusive",
    "not testable here",
)
MIN_SEEDS = 5
"""Below it no verdict is given."""
LEVEL, ALPHA = 0.95, 0.05
MANY_SEEDS = 1000
COLUMNS = ["id", "data", "corpus", "measured", "low", "high", "n", "threshold", "verdict", "reason"]
TOLERANCE = 1e-6
"""By how much a committed number may differ from the one that follows from the committed files: they hold ten digits."""


@dataclass(frozen=True)
class Finding:
    """What the numbers say of one claim."""

    claim: Claim
    corpus: str = ""
    measured: float = math.nan
    low: float = math.nan
    high: float = math.nan
    """95 % t interval over seeds."""
    n: int = 0
    p: float = math.nan
    """Two-sided, of "the quantity is the threshold"; nan where there is no such test: one seed, bounds of a rule that has none,
    or seeds that agree to the last digit."""
    p_holm: float = math.nan
    effect: float = math.nan
    """(measured − border) / standard deviation over seeds."""
    needed: float = math.nan
    """About how many seeds would decide it, with a power of 80 % and the level that Holm's correction leaves at worst; where
    bounds follow a rule of their own, at the level of that rule."""
    verdict: str = NOT_TESTABLE
    reasons: tuple[Reason, ...] = ()
    """Why the verdict is what it is, most important first."""
    remark: Reason | None = None
    """What a verdict alone would hide; one of the reasons."""
    missing: bool = False
    """Whether it cannot be tested only because what would measure it was not run yet."""
    sample: Sample | None = None

    @property
    def interval(self) -> tuple[float, float]:
        """Low and high as people are shown them: nan below :data:`statistics.FEWEST` seeds, as in every table."""
        return (self.low, self.high) if self.n >= statistics.FEWEST else (math.nan, math.nan)

    @property
    def same(self) -> bool:
        """Whether all seeds, two or more, agree to the last digit."""
        return self.low == self.high

    @property
    def asked(self) -> bool:
        """Whether the numbers answer it, by a p value or by being the same with every seed."""
        return self.same or not math.isnan(self.p)

    @property
    def reason(self) -> str:
        """Why the verdict is what it is, in English."""
        return "; ".join(each.en for each in self.reasons)


def measured(claim: Claim, evidence: Evidence) -> Finding:
    """The quantity of a claim with interval and p value, and no verdict yet; why it cannot be measured, if it cannot."""
    arguments = {name: value for name, value in claim.measurement.items() if name != "name"}
    try:
        sample = MEASURES[claim.measurement["name"]](evidence, **arguments)
    except NotTestableError as error:
        return Finding(claim, verdict=NOT_TESTABLE, reasons=(error.reason,), missing=isinstance(error, NotRunError))
    return _described(Finding(claim, sample.corpus, sample=sample), sample)


def _described(finding: Finding, sample: Sample) -> Finding:
    threshold, values, other = finding.claim.border, sample.values, sample.other
    if sample.bounds is not None:
        value, low, high = sample.bounds
        return replace(finding, measured=value, low=low, high=high, n=len(values), p=sample.p, effect=sample.effect)
    if other is None:
        test = statistics.paired_t(values, np.full(len(values), threshold), LEVEL)
        sd = float(values.std(ddof=1)) if len(values) > 1 else math.nan
    else:
        test = statistics.welch_t(values - threshold, other, LEVEL)
        sd = math.hypot(*(float(part.std(ddof=1)) if len(part) > 1 else math.nan for part in (values, other)))
    effect = test.difference / sd if sd > 0 and test.high > test.low else math.nan
    p = test.p if test.spread else math.nan
    return replace(finding, measured=threshold + test.difference, low=threshold + test.low, high=threshold + test.high,
                   n=test.n, p=p, effect=effect)  # fmt: skip


def ledger(evidence: Evidence, entries: Sequence[Claim] | None = None) -> list[Finding]:
    """Every claim with its verdict, in the order of ``entries`` (all of them when None).

    Holm's correction is over every question of the ledger, whether these numbers answer it or not: a verdict depends neither on
    what else was run nor on how that came out. Claims that ask the same of the same numbers are one question. One that has no
    p value here (not run, too few seeds, seeds that agree to the last digit, so that the value itself decides) is counted as
    one that no test rejects, p = 1.
    """
    found = [measured(claim, evidence) for claim in (claims() if entries is None else entries)]
    every = {_test(f): f for f in found if f.claim.family == "ledger"}
    p = [f.p if f.n >= MIN_SEEDS and not math.isnan(f.p) else 1.0 for f in every.values()]
    adjusted = dict(zip(every, statistics.holm(p).tolist(), strict=True))
    return [judge(f if math.isnan(f.p) else replace(f, p_holm=adjusted.get(_test(f), math.nan)), len(p)) for f in found]


def questions(findings: Sequence[Finding]) -> tuple[int, int]:
    """How many questions the numbers answer with seeds enough for a verdict, and over how many :func:`ledger` corrected."""
    every = {_test(f): f for f in findings if f.claim.family == "ledger"}
    return sum(f.asked and f.n >= MIN_SEEDS for f in every.values()), len(every)


def _test(finding: Finding) -> str:
    """What is asked of which numbers, whatever the paper makes of the answer and whatever is said beside it."""
    numbers = {name: value for name, value in finding.claim.measurement.items() if name not in REMARKS}
    return canonical([numbers, finding.claim.border])


def judge(finding: Finding, tests: int = 1) -> Finding:
    """The verdict, by rule, on what was measured; ``tests`` is how many Holm's correction was made over.

    An interval wholly on one side of the threshold decides, if the p value holds after Holm's correction. Where all seeds
    agree to the last digit there is no interval and no p value, and the value itself decides.
    """
    if finding.sample is None:
        return finding
    if finding.n < MIN_SEEDS:
        return _open(finding, tests, reason("few seeds", least=MIN_SEEDS))
    low, high, limit = finding.low, finding.high, finding.claim.border
    side = 1 if low > limit else -1 if high < limit else 0
    if side and finding.p_holm >= ALPHA:
        return _open(finding, tests, reason("lost to Holm", tests=tests, p=finding.p_holm))
    rule = finding.claim.rule
    if side:
        good = {
            "more than": side > 0,
            "at least": side > 0,
            "less than": side < 0,
            "at most": side < 0,
            "differs from": True,
        }
        where = "above" if side > 0 else "below"
        held = f"same {where}" if finding.same else where if math.isnan(finding.p_holm) else f"{where} after Holm"
        return _closed(finding, SUPPORTED if good[rule] else CONTRADICTED, reason(held, p=equals(finding.p_holm)))
    if finding.same:  # then the value is the threshold
        return _closed(finding, SUPPORTED if rule in ("at least", "at most") else CONTRADICTED,
                       reason("exact"))  # fmt: skip
    return _open(finding, tests, reason("open"))


def _open(finding: Finding, tests: int, why: Reason) -> Finding:
    """No verdict yet, and what it would take."""
    finding = replace(finding, needed=_needed(finding, ALPHA / max(tests, 1)))
    return _closed(finding, INCONCLUSIVE, why, *_power(finding))


def _needed(finding: Finding, alpha: float) -> float:
    """Seeds for a decision; inf where no number would do, nan where one seed or two say nothing of the spread."""
    if finding.same:
        return MIN_SEEDS
    own = finding.sample.needed
    if math.isnan(own) and (math.isnan(finding.p) or math.isnan(finding.effect) or finding.n < statistics.FEWEST):
        return math.nan
    return max(MIN_SEEDS, finding.n + 1, statistics.power_seeds(finding.effect, 1.0, alpha) if math.isnan(own) else own)


def _power(finding: Finding) -> tuple[Reason, ...]:
    if math.isnan(finding.needed):
        return ()
    if finding.same:
        return (reason("same so far", least=MIN_SEEDS),)
    if finding.needed > MANY_SEEDS:
        return (reason("too many needed", most=MANY_SEEDS),)
    return (reason("seeds needed", needed=finding.needed),)


def _closed(finding: Finding, verdict: str, *why: Reason) -> Finding:
    claim = finding.claim
    remark = _remark(finding) if verdict == SUPPORTED else None
    rounded = claim.border != claim.threshold and reason("rounded", limit=claim.border, threshold=claim.threshold)
    known = finding.n >= statistics.FEWEST and not math.isnan(finding.effect)
    size = minus(f"effect {finding.effect:+.1f} SD") if known else ""
    beside = [Reason(text) for text in (size, finding.sample.detail) if text]
    return replace(finding, verdict=verdict, reasons=(*why, *filter(None, [rounded, remark]), *beside), remark=remark)


def _remark(finding: Finding) -> Reason | None:
    claim = finding.claim
    if claim.rule == "differs from" and finding.measured < claim.threshold:
        return reason("disadvantage")
    return Reason(**claim.caution) if claim.caution else None


def table(findings: Sequence[Finding], data: str) -> pd.DataFrame:
    """``claims.csv``."""
    rows = [{"id": f.claim.id, "data": data, "corpus": f.corpus, "measured": f.measured, "low": f.low, "high": f.high,
             "n": f.n, "threshold": f.claim.threshold, "verdict": f.verdict, "reason": f.reason} for f in findings]  # fmt: skip
    return pd.DataFrame(rows, columns=COLUMNS)


def per_seed(findings: Sequence[Finding], data: str) -> pd.DataFrame:
    """``claims_runs.csv``: the measured quantity of every claim that has one for each seed."""
    rows = []
    for f in findings:
        if f.sample is None or not f.sample.by_seed:
            continue
        rows += [{"data": data, "id": f.claim.id, "sample": "", "seed": seed, "value": float(value)}
                 for seed, value in zip(f.sample.seeds, f.sample.values, strict=True)]  # fmt: skip
        if f.sample.other is not None:
            rows += [{"data": data, "id": f.claim.id, "sample": "subtracted", "seed": seed, "value": float(value)}
                     for seed, value in zip(f.sample.other_seeds, f.sample.other, strict=True)]  # fmt: skip
    return pd.DataFrame(rows, columns=["data", "id", "sample", "seed", "value"])


def check(folder: Path, findings: Sequence[Finding] | None = None) -> list[str]:
    """What a folder's ``claims.csv`` says that does not follow from the numbers beside it, one sentence each."""
    written = pd.read_csv(folder / "claims.csv", encoding="utf-8", keep_default_na=False, dtype=str)
    if missing := [column for column in COLUMNS if column not in written]:
        return [f"claims.csv has no column {', '.join(missing)}."]
    said = {row["id"]: row for row in written.to_dict("records")}
    wrong = []
    for finding in ledger(Evidence(folder)) if findings is None else findings:
        name, row = finding.claim.id, said.pop(finding.claim.id, None)
        if row is None:
            wrong.append(f"{name} is not in claims.csv; from the numbers it is {finding.verdict}.")
        elif row["verdict"] != finding.verdict:
            wrong.append(f"{name} is written down as {row['verdict']!r}, but the numbers say {finding.verdict!r}: "
                         f"{finding.reason}.")  # fmt: skip
        else:
            wrong += [f"{name} is written down with {part} {row[part]!r}, but the numbers give {value:.6g}."
                      for part, value in (("measured", finding.measured), ("low", finding.low), ("high", finding.high),
                                          ("n", finding.n), ("threshold", finding.claim.threshold))
                      if not _same(row[part], value)]  # fmt: skip
    return wrong + [f"{name} is in claims.csv, but it is no claim of the ledger." for name in said]


def _same(cell: str, value: float) -> bool:
    if math.isnan(value):
        return cell == ""
    try:
        return math.isclose(float(cell), value, rel_tol=TOLERANCE, abs_tol=TOLERANCE)
    except ValueError:
        return False
