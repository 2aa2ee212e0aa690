"""The claims ledger as an exhibit, and as a picture (notebook 07_claims)."""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from paperkit.claims import Finding, claims
from paperkit.claims.evidence import Evidence
from paperkit.claims.ledger import CONTRADICTED, INCONCLUSIVE, MIN_SEEDS, SUPPORTED, ledger, per_seed, questions, table
from paperkit.claims.words import UNITS, VERDICTS_ZH, overview, readable
from paperkit.evaluate.statistics import FEWEST
from paperkit.exhibits import style
from paperkit.exhibits.exhibit import REGISTRY, Content, exhibit, find, show, unlike, write
from paperkit.exhibits.style import label
from paperkit.study import Study

NOTEBOOK = "07_claims"
EXHIBITS = ("claims", "x_claims", "x_verdicts")
QUALIFIED = "holds, with a but (see the table)"
LOOKS = {SUPPORTED: (style.GREEN, "o"), QUALIFIED: (style.ORANGE, "s"), CONTRADICTED: (style.RED, "X"),
         INCONCLUSIVE: (style.GREY, "D")}  # fmt: skip
LOOKS_ZH = VERDICTS_ZH | {QUALIFIED: "成立，但有保留（见表）"}
NOTE = ("Intervals are 95 % t intervals over seeds, paired where the seeds are, or what a claim's own rule puts in their "
        "place. A verdict needs at least {n} seeds, an interval wholly on one side of the threshold, and a p value that holds "
        "after Holm's correction; where all seeds give the same value, that value decides. Intervals are shown from {few} seeds "
        "on. The correction is over all {asked} questions of the ledger, in which statements that ask the same of the same "
        "numbers count once; {tested} of them were answered here with seeds enough. {settings}")  # fmt: skip
SETTINGS = ("A verdict holds for these data and settings: a level or a gain that is contradicted here may be reached in others. "
            "Reuters and business data are the paper's names; the corpus is what stands for them here. Paper A's models have "
            "{labelled} of the labels, texts of {length} tokens and the encoder {encoder}.")  # fmt: skip


def evidence(study: Study) -> Evidence:
    """The numbers that the ledger reads; exhibits of this study that are not there, or of other settings or texts, are made
    first."""
    find("claims")  # registers every exhibit
    for name in dict.fromkeys(name for claim in claims() for name in claim.exhibits):
        record = study.folder / f"{name}.provenance.json"
        made = record.exists() and not unlike(study, json.loads(record.read_text(encoding="utf-8")))
        if name in REGISTRY and not made:
            show(study, name)
    return Evidence(study.folder, tuple(REGISTRY))


@exhibit("claims", NOTEBOOK, "Claims. Every claim of both papers, its evidence and its verdict.",
         "论断总账 两篇论文的每项论断、证据与判定")  # fmt: skip
def claims_table(study: Study) -> Content:
    return as_table(ledger(evidence(study)), study)


@exhibit(
    "x_claims",
    NOTEBOOK,
    "How far every measured quantity lies from the threshold of its claim.",
    "各测量值与论断阈值的距离",
)
def forest(study: Study) -> Content:
    return as_picture(ledger(evidence(study)), study)


@exhibit("x_verdicts", NOTEBOOK, "What became of each claim as a whole.", "各项论断的总体结果")
def verdicts(study: Study) -> Content:
    return as_overview(ledger(evidence(study)), study)


def as_table(findings: Sequence[Finding], study: Study) -> Content:
    return Content(table(findings, study.name), display=readable(findings), per_seed=per_seed(findings, study.name),
                   note=_note(findings, study), corpora=_corpora(study.folder))  # fmt: skip


def as_overview(findings: Sequence[Finding], study: Study) -> Content:
    return Content(overview(findings), note=_note(findings, study), corpora=_corpora(study.folder))


def _note(findings: Sequence[Finding], study: Study) -> str:
    profile = study.profile
    encoder = " and ".join(dict.fromkeys((profile.backbone_en, profile.backbone_zh)))
    settings = SETTINGS.format(labelled=f"{profile.labelled:.0%}", length=profile.tokens.max_length, encoder=encoder)
    tested, asked = questions(findings)
    return NOTE.format(n=MIN_SEEDS, few=FEWEST, tested=tested, asked=asked, settings=settings)


def as_picture(findings: Sequence[Finding], study: Study) -> Content:
    drawn = [f for f in findings if not np.isnan(f.measured)]
    left = len(findings) - len(drawn)
    note = ("Right of the line is what the paper claims; where it claims a difference, either side; where so many models, half a "
            f"model less, which rounds to them. Bars are 95 % t intervals over seeds, from {FEWEST} on, or what a claim's own rule "
            f"puts in their place; hollow marks have fewer than {MIN_SEEDS} seeds, arrows lie beyond the axis. {left} of "
            f"{len(findings)} statements are not measured here and not drawn.")  # fmt: skip
    numbers = pd.DataFrame([{"id": f.claim.id, "unit": f.claim.unit, **dict(zip(("distance", "low", "high"), _towards(f),
                             strict=True)), "verdict": f.verdict} for f in drawn],
                           columns=["id", "unit", "distance", "low", "high", "verdict"])  # fmt: skip
    return Content(_draw(drawn), numbers=numbers, note=note, corpora=_corpora(study.folder))


def redraw(study: Study, folder: Path) -> list[Path]:
    """Write the ledger of the numbers in ``folder`` into it, and ``x_limits`` if it is there, which reads other exhibits too:
    what is committed must follow from what is committed. ``study`` says with which settings the exhibits were made."""
    find("claims")
    placed = _Placed(study, folder)
    findings = ledger(Evidence(folder, tuple(REGISTRY)))
    written = []
    for name, make in zip(EXHIBITS, (as_table, as_picture, as_overview), strict=True):
        started = time.perf_counter()
        style.apply()
        content = make(findings, placed)
        written += write(placed, REGISTRY[name], content, time.perf_counter() - started)
    if (folder / "x_limits.provenance.json").exists():
        written += show(placed, "x_limits").files
    return written


class _Placed:
    """A study whose folder is another one."""

    def __init__(self, study: Study, folder: Path) -> None:
        self._study, self.folder = study, folder

    def __getattr__(self, name: str):
        return getattr(self._study, name)


@dataclass(frozen=True)
class Known:
    """A corpus as the provenance of another exhibit names it; it need not be on this machine."""

    name: str
    checksum: str
    texts: int

    def __len__(self) -> int:
        return self.texts


def _corpora(folder: Path) -> list[Known]:
    """Those of the exhibits that the ledger reads."""
    found = {}
    for name in dict.fromkeys(name for claim in claims() for name in claim.exhibits):
        record = folder / f"{name}.provenance.json"
        if record.exists():
            facts = json.loads(record.read_text(encoding="utf-8"))
            for each in facts["corpora"]:
                found[each["name"]] = Known(each["name"], each["sha256"], each["texts"])
    return list(found.values())


def _towards(finding: Finding) -> tuple[float, float, float]:
    """Measured value, low and high, as distances from the threshold in the direction that the paper claims."""
    values = [v - finding.claim.border for v in (finding.measured, *finding.interval)]
    if finding.claim.rule in ("less than", "at most"):
        return -values[0], -values[2], -values[1]
    return values[0], values[1], values[2]


def _named(finding: Finding) -> str:
    side = "  (either side)" if finding.claim.rule == "differs from" else ""
    return f"{finding.claim.short}{side}  {finding.claim.id}"


def _draw(findings: Sequence[Finding]) -> Figure:
    """A panel per paper and unit, a row per statement."""
    panels: dict[tuple[str, str], list[Finding]] = {}
    for f in findings:
        panels.setdefault((f.claim.paper, f.claim.unit), []).append(f)
    if not panels:
        return style.message("n/a: nothing is measured yet")
    rows = [len(members) + 1.6 for members in panels.values()]
    figure, axes = plt.subplots(len(panels), 1, figsize=(style.PAGE, 0.155 * sum(rows) + 0.8), squeeze=False,
                                height_ratios=rows)  # fmt: skip
    for axis, ((paper, unit), members) in zip(axes[:, 0], panels.items(), strict=True):
        scale = 100 if unit in ("points", "share") else 1
        farthest = [scale * float(np.nanmax(np.abs(_towards(f)))) for f in members]
        # one far away would press all others onto the line
        reach = 1.1 * min(max(farthest), 3 * float(np.quantile(farthest, 0.75))) or 1
        for y, f in enumerate(members):
            value, low, high = (scale * v for v in _towards(f))
            color, marker = LOOKS[QUALIFIED if f.remark else f.verdict]
            face = color if f.n >= MIN_SEEDS else "white"
            axis.plot([low, high], [y, y], color=color, lw=1.2)
            if abs(value) <= reach:
                axis.plot([value], [y], marker, color=color, mfc=face, ms=4)
            else:
                axis.plot([np.sign(value) * 0.985 * reach], [y], "<>"[value > 0], color=color, mfc=face, ms=4)
        axis.axvline(0, color=style.INK, lw=0.8)
        axis.set(xlim=(-reach, reach), ylim=(len(members) - 0.4, -0.6))
        axis.set_yticks(range(len(members)), [_named(f) for f in members], fontsize=6.5)
        axis.tick_params(axis="y", length=0)
        axis.grid(axis="x")
        axis.grid(visible=False, axis="y")
        names = UNITS | {"share": UNITS["points"], "loss": ("loss", "损失")}
        what = (
            ("level − threshold", "水平与阈值之差")
            if unit == "share"
            else ("distance from the threshold", "与阈值的距离")
        )
        axis.set_xlabel(label(f"paper {paper}: {what[0]}, {names[unit][0]}; right is as claimed →",
                              f"论文 {paper}：{what[1]}，{names[unit][1]}；0 右侧为论文所称", "\n"), fontsize=7)  # fmt: skip
    handles = [Line2D([], [], color=color, marker=marker, lw=1.2, ms=4, label=label(look, LOOKS_ZH[look], " "))
               for look, (color, marker) in LOOKS.items()]  # fmt: skip
    figure.legend(handles=handles, loc="outside upper center", ncols=2)
    return figure
