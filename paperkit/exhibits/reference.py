"""The committed reference: promoted from a build, and compared with one."""

import csv
import json
import math
import re
from collections.abc import Collection, Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from paperkit import code, contract, paths
from paperkit.errors import InputError
from paperkit.exhibits import tables
from paperkit.exhibits.exhibit import SUFFIXES, records, said_of_others
from paperkit.exhibits.ledger import redraw
from paperkit.store import write_atomically
from paperkit.study import Study

TOLERANCE = 0.02
"""How far a number may lie from the reference, and of numbers above 1 by which part: where the processor is the same, only the
last digits may differ, and a text or two with them."""
APART = 0.05
"""Which part of a table's intervals may lie beside the reference's where the processor is another one: of two independent
samples of some seeds each, less than one in a hundred 95 % intervals do."""
MEASURED_TIMES = ("seconds", "seconds_mean")
"""Columns of what every machine has its own numbers of."""
FOLLOWS = {"claims.csv": ("verdict", "reason"), "claims_runs.csv": (), "x_claims.csv": ("verdict",),
           "x_verdicts.csv": ("verdict", "statements")}  # fmt: skip
"""Files of the ledger with the columns that follow from the numbers; where these agree within the tolerance, a verdict at
the border may still turn. A build may measure claims that the reference could not."""


def publish(study: Study) -> list[Path]:
    """Promote every exhibit of a build to ``figures/<data>/``; returns the files written.

    What quotes texts is promoted for embedded data only; of other corpora, tables lose their text columns and pictures
    of texts stay behind. The ledger of claims is drawn up anew from what is then committed, which may be more than this build.

    Raises:
        InputError: nothing is built, or not all of it with the study's settings.
    """
    built = [facts for _, facts in records(study.folder)]
    if not built:
        raise InputError(f"nothing is built in {study.folder}; run make paper with the same DATA and PROFILE first")
    if others := said_of_others(study, seeds=True):  # the ledger's provenance names the numbers of seeds too
        raise InputError(others)
    code.commit()  # now: what is copied below must not make the working copy of the ledger's provenance a changed one
    target = paths.figures() / study.name
    target.mkdir(parents=True, exist_ok=True)
    written = []
    for facts in built:
        name, columns = facts["exhibit"], facts["text_columns"]
        private = facts["quotes_texts"] and study.kind != "embedded"
        if private and not columns:
            continue
        for old in _files(target, name):  # a kind of file that the exhibit no longer has
            if not (study.folder / old.name).exists():
                old.unlink()
        for file in _files(study.folder, name):
            if private and file.suffix in (".md", ".tex"):
                continue
            copy = target / file.name
            if private and file.name == f"{name}.csv":
                head, *rows = _without(_read(file), columns)
                bare = pd.DataFrame([[_number(cell) for cell in row] for row in rows], columns=head, dtype=object)
                note = "Texts are not republished; the ids name the rows."
                write_atomically(copy, contract.to_csv(bare))
                write_atomically(
                    target / f"{name}.md", tables.to_markdown(bare, facts["caption"], facts["caption_zh"], note)
                )
                write_atomically(target / f"{name}.tex", tables.to_latex(bare, facts["caption"], name))
                written += [target / f"{name}.md", target / f"{name}.tex"]
            else:
                write_atomically(copy, file.read_bytes())
            written.append(copy)
    if (target / "claims.provenance.json").exists():
        written = list(dict.fromkeys(written + redraw(study, target)))
    for readme in paths.figures().parent.glob("README*.md"):
        write_atomically(readme, fill(readme.read_text(encoding="utf-8")))
    return written


def _files(folder: Path, name: str) -> Iterator[Path]:
    for suffix in (*SUFFIXES, ".provenance.json"):
        if (folder / f"{name}{suffix}").exists():
            yield folder / f"{name}{suffix}"


def verify(study: Study) -> tuple[list[str], bool]:
    """Compare a build's tables with the committed reference: one line per file, and whether all agree.

    On another processor bfloat16 rounds in another way, and a network that trains for a few dozen steps makes another model
    of it, as another seed would. What was trained may therefore differ by more there, but not by what no other seed would
    explain: see :func:`_unlike`.
    """
    reference = paths.figures() / study.name
    if not any(reference.glob("*.csv")):
        raise InputError(f"there is no committed reference in {reference}; make publish makes one")
    lines, good = [], True
    for theirs in sorted(reference.glob("*.csv")):
        ours = study.folder / theirs.name
        if not ours.exists():
            lines.append(f"missing    {theirs.name}: not built here")
            good = False
            continue
        expected = _without(_read(theirs), MEASURED_TIMES)
        got = _without(_read(ours), {*MEASURED_TIMES, *(_text_columns(study.folder, theirs.stem) - set(expected[0]))})
        if got == expected:
            lines.append(f"identical  {theirs.name}")
            continue
        following = FOLLOWS.get(theirs.name, ())
        if theirs.name in FOLLOWS:
            expected, got = _measured(expected, got)
        largest, problem = _difference(*(_without(rows, {*following}) for rows in (expected, got)))
        fine = problem is None and largest <= TOLERANCE
        what = problem or f"largest difference {largest:.4f} (accepted: {TOLERANCE})"
        other = _elsewhere(reference, study.folder, theirs.stem)
        if other and not fine and problem is None and math.isfinite(largest):
            unlike = _unlike(expected, got, _trained(study.folder, theirs.stem))
            lines.append(f"{'different' if unlike else 'elsewhere'}  {theirs.name}: largest difference {largest:.4f}"
                         f"{unlike and f', {unlike}'}; the reference is of another processor, {other}")  # fmt: skip
            good &= not unlike
            continue
        good &= fine
        if fine and following and (turned := _turned(expected, got)):
            what += f"; with it turns the verdict on {', '.join(turned)}"
        lines.append(f"{'close' if fine else 'different':9s}  {theirs.name}: {what}")
    return lines, good


def _elsewhere(reference: Path, build: Path, name: str) -> str | None:
    """The processor of a reference that was not computed on the build's, as far as either is known; else None."""
    theirs, ours = (_facts(folder, name).get("processor") for folder in (reference, build))
    return (theirs or "which is not known") if theirs != ours else None


def _facts(folder: Path, name: str) -> dict:
    """The provenance of the exhibit that wrote ``<name>.csv``; empty where there is none."""
    record = folder / f"{name.removesuffix('_runs')}.provenance.json"
    return json.loads(record.read_text(encoding="utf-8")) if record.exists() else {}


def _trained(folder: Path, name: str) -> bool:
    """Whether a built file's exhibit rests on runs, its own or those of the exhibits that it reads."""
    return f"{name}.csv" in FOLLOWS or name == "x_limits" or bool(_facts(folder, name).get("runs"))


def _unlike(theirs: list[list[str]], ours: list[list[str]], trained: bool) -> str:
    """What of a table from another processor no other seed would explain; empty if all of it may be.

    Counts (``n_…``) and what no run went into must agree. Of the intervals, ``<m>_low`` to ``<m>_high``, no more than
    :data:`APART`, or one, may lie apart from the reference's by more than :data:`TOLERANCE`, seeds that agree by chance left
    aside. The mean of a column without intervals, as in files of single runs, may differ by its standard deviation at most.
    """
    if not trained:
        return "though nothing was trained for it"
    a, b = (pd.DataFrame(rows[1:], columns=rows[0]).apply(pd.to_numeric, errors="coerce") for rows in (theirs, ours))
    if changed := [name for name in a if name.startswith("n_") and not a[name].equals(b[name])]:
        return f"{changed[0]} is another one"
    known, apart, bounded = 0, 0, set()
    for low in [name for name in a if name == "low" or name.endswith("_low")]:
        high, value = f"{low.removesuffix('low')}high", a.columns[max(0, a.columns.get_loc(low) - 1)]
        bounded |= {value, low, high}
        both = (a[high] > a[low]) & (b[high] > b[low])
        known += int(both.sum())
        apart += int((both & (np.maximum(b[low] - a[high], a[low] - b[high]) > TOLERANCE)).sum())
    if apart > max(1, APART * known):
        return f"{apart} of {known} intervals lie apart"
    a, b = (each.drop(columns=bounded & {*each}) for each in (a, b))
    gaps = (a.mean() - b.mean()).abs()
    far = gaps > np.maximum(a.std().fillna(0), TOLERANCE * np.maximum(1, a.mean().abs()))
    return f"the mean of {far.idxmax()} is another one" if far.any() else ""


def _read(file: Path) -> list[list[str]]:
    with file.open(encoding="utf-8", newline="") as lines:
        return list(csv.reader(lines))


def _without(rows: list[list[str]], columns: Collection[str]) -> list[list[str]]:
    kept = [place for place, column in enumerate(rows[0]) if column not in columns]
    return [[row[place] for place in kept] for row in rows]


def _text_columns(folder: Path, name: str) -> set[str]:
    """Columns of a built exhibit that the reference may lack."""
    return set(_facts(folder, name).get("text_columns", ()))


def _measured(theirs: list[list[str]], ours: list[list[str]]) -> tuple[list[list[str]], list[list[str]]]:
    """Both without the claims that the reference does not measure."""
    at, value = theirs[0].index("id"), theirs[0].index("measured") if "measured" in theirs[0] else 0
    known = {row[at] for row in theirs[1:] if row[value]}
    return tuple([rows[0], *(row for row in rows[1:] if row[at] in known)] for rows in (theirs, ours))


def _turned(theirs: list[list[str]], ours: list[list[str]]) -> list[str]:
    """Claims whose verdict is another one."""
    at = theirs[0].index("verdict")
    return [a[0] for a, b in zip(theirs[1:], ours[1:], strict=True) if a[at] != b[at]]


def _number(cell: str) -> str | float:
    """A fraction as a number, to be rounded where people read it; all else (ids, votes such as 001) stays text."""
    return float(cell) if re.fullmatch(r"-?[0-9]+\.[0-9]+(e-?[0-9]+)?", cell) else cell


def _difference(theirs: list[list[str]], ours: list[list[str]]) -> tuple[float, str | None]:
    """The largest difference between numbers, and what else differs, if anything does."""
    if theirs[0] != ours[0]:
        columns = [column for column in theirs[0] if column not in ours[0]]
        return math.inf, f"other columns (of the reference's, {columns or 'the order'} differs)"
    if len(theirs) != len(ours):
        return math.inf, f"{len(ours) - 1} rows, the reference has {len(theirs) - 1}"
    largest = 0.0
    for number, (a, b) in enumerate(zip(theirs[1:], ours[1:], strict=True), start=2):
        for column, x, y in zip(theirs[0], a, b, strict=True):
            if x == y:
                continue
            try:
                gap = abs(float(x) - float(y)) / max(1.0, abs(float(x)))
            except ValueError:
                return math.inf, f"row {number}, {column}: {y!r}, the reference has {x!r}"
            largest = max(largest, math.inf if math.isnan(gap) else gap)
    return largest, None


_BLOCK = re.compile(r"(<!-- (figures/\S+\.md) -->\n).*?(<!-- end -->)", re.DOTALL)


def fill(document: str) -> str:
    """``document`` with the tables of the committed reference between its ``<!-- figures/….md -->`` and ``<!-- end -->``.

    A README's numbers are thus copied by the machine that made them; a test says that they are the current ones.
    """

    def block(match: re.Match[str]) -> str:
        file = paths.figures().parent / match[2]
        if not file.exists():
            return match[0]
        lines = file.read_text(encoding="utf-8").splitlines()
        table = [line for line in lines if line.startswith("|")]
        return match[1] + "\n" + "\n".join(table) + "\n\n" + match[3]

    return _BLOCK.sub(block, document)
