"""The committed reference: promoted from a build, and compared with one."""

import csv
import json
import math
import shutil
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from paperkit import paths
from paperkit.errors import InputError
from paperkit.exhibits import tables
from paperkit.store import write_atomically
from paperkit.study import Study

TOLERANCE = 0.02
"""How far a number may lie from the reference: another processor changes the last digits, and a text or two with them."""


def publish(study: Study) -> list[Path]:
    """Promote every exhibit of a build to ``figures/<data>/``; returns the files written.

    What quotes texts is promoted for embedded data only; of other corpora, tables lose their text columns and pictures
    of texts stay behind.
    """
    built = sorted(study.folder.glob("*.provenance.json"))
    if not built:
        raise InputError(f"nothing is built in {study.folder}; run make paper with the same DATA and PROFILE first")
    target = paths.figures() / study.name
    target.mkdir(parents=True, exist_ok=True)
    written = []
    for record in built:
        facts = json.loads(record.read_text(encoding="utf-8"))
        name, columns = facts["exhibit"], facts["text_columns"]
        private = facts["quotes_texts"] and study.kind != "embedded"
        if private and not columns:
            continue
        for file in _files(study.folder, name):
            if private and file.suffix in (".md", ".tex"):
                continue
            copy = target / file.name
            if private and file.name == f"{name}.csv":
                bare = pd.read_csv(file, keep_default_na=False).drop(columns=columns)
                note = "Texts are not republished; the ids name the rows."
                write_atomically(copy, tables.to_csv(bare))
                write_atomically(target / f"{name}.md", tables.to_markdown(bare, facts["caption"], facts["caption_zh"], note))
                write_atomically(target / f"{name}.tex", tables.to_latex(bare, facts["caption"], name))
                written += [target / f"{name}.md", target / f"{name}.tex"]
            else:
                shutil.copyfile(file, copy)
            written.append(copy)
    return written


def _files(folder: Path, name: str) -> Iterator[Path]:
    for suffix in (".csv", ".md", ".tex", ".svg", ".png", "_runs.csv", ".provenance.json"):
        if (folder / f"{name}{suffix}").exists():
            yield folder / f"{name}{suffix}"


def verify(study: Study) -> tuple[list[str], bool]:
    """Compare a build's tables with the committed reference: one line per exhibit, and whether all agree."""
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
        if ours.read_bytes() == theirs.read_bytes():
            lines.append(f"identical  {theirs.name}")
            continue
        largest, problem = _difference(_read(theirs), _read(ours))
        fine = problem is None and largest <= TOLERANCE
        good &= fine
        what = problem or f"largest difference {largest:.4f} (accepted: {TOLERANCE})"
        lines.append(f"{'close' if fine else 'different':9s}  {theirs.name}: {what}")
    return lines, good


def _read(file: Path) -> list[list[str]]:
    with file.open(encoding="utf-8", newline="") as lines:
        return list(csv.reader(lines))


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
            try:
                largest = max(largest, abs(float(x) - float(y)))
            except ValueError:
                if x != y:
                    return math.inf, f"row {number}, {column}: {y!r}, the reference has {x!r}"
    return largest, None
