"""The ledger in plain words, in both languages. Every number comes from a finding; none is typed here."""

import math
from collections.abc import Iterable, Sequence

import pandas as pd

from paperkit.claims.entries import NAMED, Claim, claims, groups
from paperkit.claims.ledger import CONTRADICTED, INCONCLUSIVE, MIN_SEEDS, NOT_TESTABLE, SUPPORTED, VERDICTS, Finding
from paperkit.claims.reasons import Reason
from paperkit.wording import minus

VERDICTS_ZH = dict(zip(VERDICTS, ("得到支持", "被否定", "尚无定论", "此处无法检验"), strict=True))
NOT_RUN = "not run yet"
"""What readers are told of a claim that is not testable only because its exhibit is not made yet."""
OUTCOMES_ZH = VERDICTS_ZH | {NOT_RUN: "尚未运行"}
OUTCOMES = tuple(OUTCOMES_ZH)
HEADLINES = ("B5a", "B5b", "B1a", "B1e", "A1a", "A1c", "A2a", "A2c")
"""Statements by which a reader knows each paper: the numbers that a summary begins with."""
UNITS = {"points": ("points", "个百分点"), "share": ("%", "%"), "loss": ("", ""), "logits": ("logits", "logits"),
         "steps": ("steps", "步"), "models": ("models", "个模型")}  # fmt: skip


def number(value: float, unit: str) -> str:
    """A measured number in its unit, without the unit's name."""
    if math.isnan(value):
        return "n/a"
    shown = {
        "points": f"{100 * value:+.1f}",
        "share": f"{100 * value:.1f}",
        "steps": f"{value:+.0f}",
        "models": f"{value:.1f}",
    }
    return minus(shown.get(unit, f"{value:+.3f}"))


def threshold(claim: Claim, language: str = "en") -> str:
    """``"8 points"``, ``"95 %"``, ``"0"``."""
    value = claim.threshold
    if claim.unit == "share":
        return f"{100 * value:g} %" if language == "en" else f"{100 * value:g}%"
    text = f"{100 * value if claim.unit == 'points' else value:g}"
    name = UNITS[claim.unit][language == "zh"]
    if claim.unit == "models" or not value or not name:
        return text
    return f"{text} {name}"


def title(name: str, language: str = "en") -> str:
    """A claim in a line, the thresholds of its statements filled in: ``"{B5a}"`` is that of B5a."""
    limits = {claim.id: threshold(claim, language) for claim in claims()}
    return NAMED.sub(lambda found: limits[found[1]], groups()[name].title[language])


def sentence(claim: Claim, language: str = "en") -> str:
    """What the paper says, in our words, its number filled in."""
    return claim.sentence[language].replace("{threshold}", threshold(claim, language))


def measured(finding: Finding, language: str = "en") -> str:
    """``"−7.8 [−8.4, −7.3] points"``, ``"n/a"``; as in every table, few seeds have no interval."""
    unit = finding.claim.unit
    if math.isnan(finding.measured):
        return "n/a"
    text = number(finding.measured, unit)
    if not any(map(math.isnan, finding.interval)):
        text += " [{}, {}]".format(*(number(end, unit) for end in finding.interval))
    joint = "" if language == "zh" and unit == "share" else " "
    return f"{text}{joint}{UNITS[unit][language == 'zh']}".rstrip()


def outcome(finding: Finding) -> str:
    """The verdict, or that the runs which it needs were not made yet."""
    return NOT_RUN if finding.missing else finding.verdict


def readable(findings: Sequence[Finding]) -> pd.DataFrame:
    """The ledger as people read it."""
    rows = [{"id": f.claim.id, "claim": sentence(f.claim), "论断": sentence(f.claim, "zh"), "corpus": f.corpus,
             "measured": measured(f), "rule": f"{f.claim.rule} {threshold(f.claim)}", "n": str(f.n), "verdict": _verdict(f),
             "reason": f.reason} for f in findings]  # fmt: skip
    return pd.DataFrame(rows, columns=["id", "claim", "论断", "corpus", "measured", "rule", "n", "verdict", "reason"])


def _verdict(finding: Finding) -> str:
    """The outcome in both languages, and what it alone would hide."""
    en, zh = outcome(finding), OUTCOMES_ZH[outcome(finding)]
    return f"{en}{_remark([finding], zh=False)} {zh}{_remark([finding], zh=True)}"


def overview(findings: Sequence[Finding]) -> pd.DataFrame:
    """What became of every claim as a whole: one row each, its statements counted by outcome."""
    rows = []
    for name, members in by_group(findings).items():
        parts = {said: n for said, n in counts(members).items() if n}
        rows.append({"id": name, "claim": title(name), "论断": title(name, "zh"), "verdict": " ".join(whole(members)),
                     "statements": ", ".join(f"{n} {said}" for said, n in parts.items())})  # fmt: skip
    return pd.DataFrame(rows)


def counts(findings: Iterable[Finding]) -> dict[str, int]:
    """How many findings have each outcome, in the order of the outcomes."""
    said = [outcome(f) for f in findings]
    return {name: said.count(name) for name in OUTCOMES}


def by_group(findings: Sequence[Finding]) -> dict[str, list[Finding]]:
    """The findings of every claim, by its number."""
    found: dict[str, list[Finding]] = {name: [] for name in groups()}
    for finding in findings:
        found[finding.claim.group].append(finding)
    return {name: members for name, members in found.items() if members}


STATES_SAID = {
    "holds": ("Holds", "成立"),
    "holds in part": ("Every part that could be decided holds", "可判定的部分均成立"),
    "mixed": ("Some parts hold and some do not", "部分成立、部分不成立"),
    "fails": ("Fails", "不成立"),
    "fails in part": ("Every part that could be decided fails", "可判定的部分均不成立"),
    "open": ("Not decided by these runs", "现有运行尚无定论"),
    "unrun": ("Not run yet", "尚未运行"),
    "untestable": ("Not testable on these data", "这些数据无法检验"),
}


def state(members: Iterable[Finding]) -> str:
    """What becomes of a claim as a whole, by the outcomes of its parts."""
    members = list(members)
    said = {outcome(f) for f in members}
    if {SUPPORTED, CONTRADICTED} <= said:
        return "mixed"
    if SUPPORTED in said:
        return "holds" if said == {SUPPORTED} else "holds in part"
    if CONTRADICTED in said:
        return "fails" if said == {CONTRADICTED} else "fails in part"
    if INCONCLUSIVE in said:
        return "open"
    return "unrun" if NOT_RUN in said else "untestable"


def whole(members: Sequence[Finding]) -> tuple[str, str]:
    """The same in both languages, with what goes for every part that holds."""
    (en, zh), remarks = STATES_SAID[state(members)], common_remarks(members)
    return (", but ".join([en, *(each.en for each in remarks)]), "，但".join([zh, *(each.zh for each in remarks)]))


def common_remarks(members: Iterable[Finding]) -> list[Reason]:
    """What the verdicts alone would hide, if none of the parts that hold is without such a remark."""
    remarks = [f.remark for f in members if f.verdict == SUPPORTED]
    return list(dict.fromkeys(remarks)) if all(remarks) else []


def possible(findings: Iterable[Finding], language: str = "en") -> str:
    """How far the seeds allow verdicts at all."""
    zh = language == "zh"
    seeds = [f.n for f in findings if f.n]
    enough = sum(n >= MIN_SEEDS for n in seeds)
    counted = sorted({n for n in seeds if not enough or (n < MIN_SEEDS) == (enough < len(seeds))})
    said = (" 或 " if zh else " or ").join(map(str, counted))
    if not seeds:
        return "尚无测量结果。" if zh else "Nothing is measured yet."
    texts = _POSSIBLE["none" if not enough else "some" if enough < len(seeds) else "all"]
    return texts[zh].format(said=said, least=MIN_SEEDS, enough=enough, measured=len(seeds))


_POSSIBLE = {
    "none": ("Too few seeds for verdicts: {said} per model, {least} are needed.",
             "种子太少，无法判定：每个模型 {said} 个，至少需要 {least} 个。"),
    "some": ("{enough} of {measured} statements measured can have a verdict; the others rest on {said} seeds per model, "
             "{least} are needed.",
             "已测量的 {measured} 条陈述中，{enough} 条的种子数足以判定；其余每个模型只有 {said} 个种子，至少需要 {least} 个。"),
    "all": ("All {measured} statements measured have seeds enough for a verdict: {said} per model, {least} are needed.",
            "已测量的 {measured} 条陈述的种子数都足以判定：每个模型 {said} 个，至少需要 {least} 个。"),
}  # fmt: skip


def headlines(findings: Iterable[Finding], language: str = "en") -> list[str]:
    """What was measured for the best-known statements, in the order of the findings."""
    zh, found = language == "zh", []
    for f in findings:
        if f.claim.id in HEADLINES:
            values = {"claim": sentence(f.claim, language), "measured": measured(f, language), "id": f.claim.id,
                      "n": _seeds(f.n, zh), "corpus": f.corpus, "said": OUTCOMES_ZH[outcome(f)] if zh else outcome(f)}  # fmt: skip
            found.append(_HEADLINE[f.n > 0][zh].format(**values))
    return found


_HEADLINE = {
    True: ("{claim} Measured: {measured} over {n} on {corpus} ({id}, {said}).",
           "{claim}实测 {measured}（{id}，{corpus}，{n}，{said}）。"),
    False: ("{claim} Not measured ({id}, {said}).", "{claim}未测量（{id}，{said}）。"),
}  # fmt: skip


def story(findings: Sequence[Finding], language: str = "en") -> dict[str, list[str]]:
    """The whole ledger in a few sentences per paper: how far verdicts are possible, what was measured, what became of it."""
    zh = language == "zh"
    told: dict[str, list[str]] = {}
    for paper in ("B", "A"):
        mine = [f for f in findings if f.claim.paper == paper]
        if not mine:
            continue
        count = counts(mine)
        listed = [f"{n} 条{OUTCOMES_ZH[name]}" if zh else f"{n} {name}" for name, n in count.items() if n]
        lines = [possible(mine, language), *headlines(mine, language)]
        said = by_group(mine)
        if zh:
            lines.append(f"论文 {paper} 的 {len(said)} 项论断共 {len(mine)} 条陈述：{'，'.join(listed)}。")
        else:
            lines.append(f"The {len(said)} claims of paper {paper} make {len(mine)} statements: {', '.join(listed)}.")
        for kind, headings in STATES_SAID.items():
            chosen = [name for name, members in said.items() if state(members) == kind]
            if chosen:
                items = [f"{name} {title(name, language)}{_remark(said[name], zh)}" for name in chosen]
                lines.append(f"{headings[zh]}：{'；'.join(items)}。" if zh else f"{headings[zh]}: {'; '.join(items)}.")
        told[paper] = lines
    return told


def _seeds(n: int, zh: bool) -> str:
    return f"{n} 个种子" if zh else f"{n} seed{'s' * (n != 1)}"


def said_of(finding: Finding, language: str = "en") -> str:
    """One statement and what became of it, in a sentence or two."""
    claim, zh = finding.claim, language == "zh"
    values = {"claim": sentence(claim, language), "measured": measured(finding, language), "n": _seeds(finding.n, zh),
              "reason": reason(finding, language), "corpus": finding.corpus}  # fmt: skip
    return _SAID[finding.verdict][zh].format(**values, remark=_remark([finding], zh))


def _remark(members: Sequence[Finding], zh: bool) -> str:
    """What a verdict alone would hide, in parentheses."""
    said = dict.fromkeys(f.remark for f in members if f.remark)
    return "".join(f"（但{remark.zh}）" if zh else f" (but {remark.en})" for remark in said)


_SAID = {
    SUPPORTED: ("{claim} This holds here: {measured} over {n} on {corpus}{remark}.",
                "{claim}此处成立：{measured}（{n}，{corpus}）{remark}。"),
    CONTRADICTED: ("{claim} This does not hold here: {measured} over {n} on {corpus}.",
                   "{claim}此处不成立：{measured}（{n}，{corpus}）。"),
    INCONCLUSIVE: ("{claim} Our runs leave this open: {measured} over {n} on {corpus}; {reason}.",
                   "{claim}我们的运行尚不能定论：{measured}（{n}，{corpus}）；{reason}。"),
    NOT_TESTABLE: ("{claim} We could not test this: {reason}.", "{claim}此处无法检验：{reason}。"),
}  # fmt: skip


def letter(findings: Sequence[Finding], language: str = "en") -> list[tuple[str, str, list[str], str]]:
    """What we would tell the authors: (claim, its title, what became of each statement, our advice).

    Of what was not run yet there is nothing to tell; one line says so.
    """
    found = []
    for name, members in by_group(findings).items():
        said = [said_of(f, language) for f in members if not f.missing] + _unrun(members, language)
        found.append((name, title(name, language), said, groups()[name].advice[language]))
    return found


def _unrun(members: Sequence[Finding], language: str) -> list[str]:
    missing = [f for f in members if f.missing]
    if not missing:
        return []
    names, reasons = [f.claim.id for f in missing], dict.fromkeys(reason(f, language) for f in missing)
    if language == "zh":
        return [f"尚未运行：{'、'.join(names)}（{'；'.join(reasons)}）。"]
    return [f"Not run yet: {', '.join(names)} ({'; '.join(reasons)})."]


def reason(finding: Finding, language: str = "en") -> str:
    """Why the outcome is what it is; what is said in names and numbers only is left out in Chinese."""
    if language == "en":
        return finding.reason
    return "；".join(each.zh for each in finding.reasons if each.zh)


def plain(findings: Sequence[Finding]) -> str:
    """The ledger for a terminal: a line per statement, and the counts."""
    width = max(len(f.claim.short) for f in findings)
    lines = [f"{f.claim.id:6s} {outcome(f):18s} {f.claim.short:{width}s}  {measured(f)}" for f in findings]
    for paper in ("B", "A"):
        listed = (f"{n} {name}" for name, n in counts(f for f in findings if f.claim.paper == paper).items() if n)
        lines.append(f"Paper {paper}: {', '.join(listed)}")
    return "\n".join(lines)
