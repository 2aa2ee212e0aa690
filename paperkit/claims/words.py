"""The ledger in plain words, in both languages. Every number comes from a finding; none is typed here."""

import math
from collections.abc import Iterable, Sequence

import pandas as pd

from paperkit.claims.entries import Claim, groups
from paperkit.claims.ledger import CONTRADICTED, INCONCLUSIVE, NOT_TESTABLE, SUPPORTED, VERDICTS, Finding

VERDICTS_ZH = dict(zip(VERDICTS, ("得到支持", "被否定", "尚无定论", "此处无法检验"), strict=True))
UNITS = {"points": ("points", "个百分点"), "share": ("", ""), "loss": ("", ""), "logits": ("logits", "logits"),
         "steps": ("steps", "步"), "models": ("models", "个模型")}  # fmt: skip
RULES_ZH = {
    "more than": "大于",
    "less than": "小于",
    "at least": "不小于",
    "at most": "不大于",
    "differs from": "不等于",
}


def number(value: float, unit: str) -> str:
    """A measured number in its unit, without the unit's name."""
    if math.isnan(value):
        return "n/a"
    shown = {
        "points": f"{100 * value:+.1f}",
        "share": f"{value:.3f}",
        "steps": f"{value:+.0f}",
        "models": f"{value:.1f}",
    }
    return shown.get(unit, f"{value:+.3f}").replace("-", "−")


def threshold(claim: Claim, language: str = "en") -> str:
    """``"8 points"``, ``"95 %"``, ``"0"``."""
    value = claim.threshold
    if claim.unit == "share":
        return f"{100 * value:g} %" if language == "en" else f"{100 * value:g}%"
    text = f"{100 * value if claim.unit == 'points' else value:g}"
    name = UNITS[claim.unit][language == "zh"]
    joint = " " if language == "en" or name[:1].isascii() else ""
    if claim.unit == "models" or not value or not name:
        return text
    return text + joint + name


def sentence(claim: Claim, language: str = "en") -> str:
    """What the paper says, in our words, its number filled in."""
    return claim.sentence[language].replace("{threshold}", threshold(claim, language))


def measured(finding: Finding, language: str = "en") -> str:
    """``"−7.8 [−8.4, −7.3] points"``, ``"n/a"``."""
    unit = finding.claim.unit
    if math.isnan(finding.measured):
        return "n/a"
    text = number(finding.measured, unit)
    if not math.isnan(finding.low):
        text += f" [{number(finding.low, unit)}, {number(finding.high, unit)}]"
    return f"{text} {UNITS[unit][language == 'zh']}".rstrip()


def readable(findings: Sequence[Finding]) -> pd.DataFrame:
    """The ledger as people read it."""
    rows = [{"id": f.claim.id, "claim": sentence(f.claim), "论断": sentence(f.claim, "zh"), "measured": measured(f),
             "rule": f"{f.claim.rule} {threshold(f.claim)}", "n": str(f.n), "verdict": f"{f.verdict} {VERDICTS_ZH[f.verdict]}",
             "reason": f.reason} for f in findings]  # fmt: skip
    return pd.DataFrame(rows, columns=["id", "claim", "论断", "measured", "rule", "n", "verdict", "reason"])


def counts(findings: Iterable[Finding]) -> dict[str, int]:
    """How many findings have each verdict, in the order of the verdicts."""
    said = [f.verdict for f in findings]
    return {verdict: said.count(verdict) for verdict in VERDICTS}


def by_group(findings: Sequence[Finding]) -> dict[str, list[Finding]]:
    """The findings of every claim, by its number."""
    found: dict[str, list[Finding]] = {name: [] for name in groups()}
    for finding in findings:
        found[finding.claim.group].append(finding)
    return {name: members for name, members in found.items() if members}


STATES = ("holds", "mixed", "fails", "open", "untestable")
STATES_SAID = {
    "holds": ("Every part that could be decided holds", "可判定的部分均成立"),
    "mixed": ("Some parts hold and some do not", "部分成立、部分不成立"),
    "fails": ("Every part that could be decided fails", "可判定的部分均不成立"),
    "open": ("Not decided by these runs", "现有运行尚无定论"),
    "untestable": ("Not testable on these data", "这些数据无法检验"),
}


def state(members: Iterable[Finding]) -> str:
    """What becomes of a claim as a whole, by the verdicts of its parts."""
    said = {f.verdict for f in members}
    if {SUPPORTED, CONTRADICTED} <= said:
        return "mixed"
    if SUPPORTED in said:
        return "holds"
    if CONTRADICTED in said:
        return "fails"
    return "open" if INCONCLUSIVE in said else "untestable"


def story(findings: Sequence[Finding], language: str = "en") -> dict[str, list[str]]:
    """The whole ledger in a few sentences per paper."""
    zh = language == "zh"
    told: dict[str, list[str]] = {}
    for paper in ("B", "A"):
        mine = [f for f in findings if f.claim.paper == paper]
        if not mine:
            continue
        count = counts(mine)
        names = {v: VERDICTS_ZH[v] if zh else v for v in VERDICTS}
        listed = [f"{n} {names[v]}" for v, n in count.items() if n]
        said = by_group(mine)
        if zh:
            lines = [f"论文 {paper} 的 {len(said)} 项论断包含 {len(mine)} 条可判定的陈述：{'，'.join(listed)}。"]
        else:
            lines = [f"The {len(said)} claims of paper {paper} make {len(mine)} statements: {', '.join(listed)}."]
        for kind in STATES:
            chosen = [name for name, members in said.items() if state(members) == kind]
            if chosen:
                title = STATES_SAID[kind][zh]
                items = [f"{name} {groups()[name].title[language]}{_remark(said[name], zh)}" for name in chosen]
                lines.append(f"{title}：{'；'.join(items)}。" if zh else f"{title}: {'; '.join(items)}.")
        told[paper] = lines
    return told


def said_of(finding: Finding, language: str = "en") -> str:
    """One statement and what became of it, in a sentence or two."""
    claim, zh = finding.claim, language == "zh"
    values = {"claim": sentence(claim, language), "measured": measured(finding, language), "n": finding.n,
              "reason": finding.reason, "corpus": finding.corpus}  # fmt: skip
    text = _SAID[finding.verdict][zh].format(**values)
    return text + _remark([finding], zh)


def _remark(members: Sequence[Finding], zh: bool) -> str:
    """What a verdict alone would hide, in parentheses."""
    said = {f.remark for f in members} - {""}
    return "".join("（但差异不利于论文的模型）" if zh else f" (but {remark})" for remark in sorted(said))


_SAID = {
    SUPPORTED: ("{claim} This holds here: {measured} over {n} seeds on {corpus}.",
                "{claim}此处成立：{measured}（{n} 个种子，{corpus}）。"),
    CONTRADICTED: ("{claim} This does not hold here: {measured} over {n} seeds on {corpus}.",
                   "{claim}此处不成立：{measured}（{n} 个种子，{corpus}）。"),
    INCONCLUSIVE: ("{claim} Our runs on {corpus} leave this open: {measured}; {reason}.",
                   "{claim}我们的运行尚不能定论：{measured}（{n} 个种子，{corpus}）。"),
    NOT_TESTABLE: ("{claim} We could not test this: {reason}.", "{claim}此处无法检验：{reason}。"),
}  # fmt: skip


def letter(findings: Sequence[Finding], language: str = "en") -> list[tuple[str, str, list[str], str]]:
    """What we would tell the authors: (claim, its title, what became of each statement, our advice)."""
    return [(name, groups()[name].title[language], [said_of(f, language) for f in members], groups()[name].advice[language])
            for name, members in by_group(findings).items()]  # fmt: skip


def plain(findings: Sequence[Finding]) -> str:
    """The ledger for a terminal: a line per statement, and the counts."""
    width = max(len(f.claim.short) for f in findings)
    lines = [f"{f.claim.id:6s} {f.verdict:18s} {f.claim.short:{width}s}  {measured(f)}" for f in findings]
    for paper in ("B", "A"):
        listed = (f"{n} {verdict}" for verdict, n in counts(f for f in findings if f.claim.paper == paper).items())
        lines.append(f"Paper {paper}: {', '.join(listed)}")
    return "\n".join(lines)
