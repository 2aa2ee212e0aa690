"""What was aimed at, what was measured, and what stands between the two (notebook 07_claims).

Reference points and goals are those of ``limits.toml``. What was measured is read from the files that other exhibits wrote, those
of the build or else the committed ones, and from ``docs/``; nothing is trained here.
"""

import json
import math
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from paperkit import contract, paths
from paperkit.evaluate import statistics
from paperkit.evaluate.statistics import Interval
from paperkit.exhibits.exhibit import Content, exhibit, nothing
from paperkit.exhibits.ledger import NOTEBOOK, Known
from paperkit.exhibits.tables import text, with_interval
from paperkit.papers import SVM, SVM_CUT
from paperkit.study import Study
from paperkit.wording import points

DOCS = paths.ROOT / "docs"
WHOLE_TEXTS, NONE = "whole texts", "none"
NUMBERS = ("measured_mean", "measured_low", "measured_high", "n_seeds", "n_train", "labels")
BESIDE = ("ceiling", "ceiling_low", "ceiling_high", "all_labels", "svm", "svm_cut")
COLUMNS = ("corpus", "what", "metric", "reference", "source", *NUMBERS, "reads", "encoder", "gap", *BESIDE, "limits")
CAUSES = {"first topic": "texts of several labels", "wrong labels": "wrong labels"}


def plan() -> dict[str, Any]:
    """``limits.toml``: the rows, and which of our readings of errors counts."""
    return tomllib.loads((paths.ROOT / "paperkit" / "limits.toml").read_text(encoding="utf-8"))


@dataclass(frozen=True)
class Filed:
    """The files of one exhibit, as a build or the committed reference has them."""

    exhibit: str
    folder: Path

    @cached_property
    def runs(self) -> pd.DataFrame:
        return contract.read_csv(self.folder / f"{self.exhibit}_runs.csv")

    @cached_property
    def table(self) -> pd.DataFrame:
        return contract.read_csv(self.folder / f"{self.exhibit}.csv")

    @cached_property
    def provenance(self) -> dict[str, Any]:
        return json.loads((self.folder / f"{self.exhibit}.provenance.json").read_text(encoding="utf-8"))


class Files:
    """Exhibits by name: what this study has built comes before what is committed."""

    def __init__(self, study: Study) -> None:
        self.build, self.reference = study.folder, paths.figures() / study.name
        self.read: dict[str, Filed | None] = {}

    def find(self, name: str) -> Filed | None:
        if name not in self.read:
            there = (folder for folder in (self.build, self.reference)
                     if all((folder / f"{name}{suffix}").exists() for suffix in ("_runs.csv", ".provenance.json")))  # fmt: skip
            self.read[name] = next((Filed(name, folder) for folder in there), None)
        return self.read[name]

    def runs(self, name: str, **where: Any) -> pd.DataFrame:
        """The rows of an exhibit's runs that have certain values; none where it, or one of the columns, is not there."""
        found = self.find(name)
        rows = found.runs if found else pd.DataFrame()
        for column, value in where.items():
            rows = rows[rows[column] == value] if column in rows else rows.iloc[:0]
        return rows


# --- wrong labels ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Reading:
    """What our reading of always-wrong texts says of the labels of a test set."""

    read: int
    wrong: int
    mixed: int
    always: int
    """Test texts that every run gets wrong, of which ``read`` were read."""
    n_test: int

    @property
    def share(self) -> Interval:
        """Share of wrong labels among the texts that were read, with Wilson's interval."""
        return statistics.wilson(self.wrong, self.read)

    @property
    def ceiling(self) -> Interval:
        """Accuracy of a model that gives every text its right class, if as many of all ``always`` labels are wrong."""
        lost = self.always / self.n_test
        share = self.share
        return Interval(1 - share.mean * lost, 1 - share.high * lost, 1 - share.low * lost, self.read)


def reading(files: Files, of: Mapping[str, str], label: str | None = None) -> Reading | None:
    """Our reading against the texts that every run gets wrong, of all labels or of one; None where neither is there."""
    found = files.find("x_b_errors")
    if not found or not (DOCS / of["file"]).exists():
        return None
    counts = found.table[found.table.platform == of["platform"]]
    listed = found.runs[found.runs.id.str.startswith(of["ids"])]
    read = contract.read_csv(DOCS / of["file"])
    if label is not None:
        counts, listed = counts[counts.label == label], listed[listed.label == label]
    judged = read[read.id.isin(listed.id)].judgement
    if judged.empty or not counts.n_test.sum():
        return None
    return Reading(len(judged), int((judged == "label wrong").sum()), int((judged == "mixed").sum()),
                   int(counts.wrong_in_every_run.sum()), int(counts.n_test.sum()))  # fmt: skip


def said_of(found: Reading | None, of: Mapping[str, str]) -> str:
    """The reading in words, for the note."""
    if not found:
        return (
            f"How many labels of {of['platform']} are wrong is not estimated: no text that x_b_errors lists was read."
        )
    share, ceiling = found.share, found.ceiling
    return (
        f"Wrong labels of {of['platform']}: {found.always} of {found.n_test:,} test texts are wrong in every run. We read "
        f"{found.read} of them (docs/{of['file']}): {found.wrong} labels contradict their text, {found.mixed} texts are "
        f"mixed, so {with_interval(share.mean, share.low, share.high, 2)} of these labels are wrong (95 % Wilson "
        f"interval). If that holds of all {found.always}, a model that is right about every text has an accuracy of "
        f"{with_interval(ceiling.mean, ceiling.low, ceiling.high)}. An estimate, no bound: we read the least plausible "
        "labels, so of the others fewer may be wrong; and wrong labels that some run agrees with are not counted."
    )


# --- the table -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Measured:
    """One model on one corpus: its runs, and what they were trained with."""

    rows: pd.DataFrame
    """One row per run; or one row of means, as docs/ has them."""
    missing: str = ""
    """Why there is none."""
    n_train: float = math.nan
    labels: float = math.nan
    reads: str = ""
    encoder: str = ""

    def interval(self, metric: str) -> Interval:
        """The metric's mean over seeds."""
        if not self.missing and f"{metric}_mean" in self.rows:
            line = self.rows.iloc[0]
            return Interval(*(float(line[f"{metric}_{part}"]) for part in ("mean", "low", "high")), int(line.n_seeds))
        return statistics.mean_interval([] if self.missing else self.rows[metric])


def measured(files: Files, row: Mapping[str, Any]) -> Measured:
    """What was measured of a row of ``limits.toml``."""
    if "file" in row:
        path = DOCS / row["file"]
        rows = contract.read_csv(path) if path.exists() else pd.DataFrame({"corpus": []})
        rows = rows[rows.corpus == row["corpus"]]
        if rows.empty:
            return Measured(
                rows, f"not measured: {f'docs/{path.name} lacks it' if path.exists() else f'no docs/{path.name}'}"
            )
        return Measured(rows, "", float(rows.n_train.iloc[0]), row["labels"], row["reads"], row["encoder"])
    name, model = row["exhibit"], row["where"]["model"]
    rows = files.runs(name, corpus=row["corpus"], **row["where"])
    if rows.empty:
        return Measured(rows, f"not measured: {f'no such run in {name}' if files.find(name) else f'make {name}'}")
    profile = files.find(name).provenance["profile"]
    n_train = float(rows.n_train.max()) if "n_train" in rows else math.nan
    if name.startswith("b_"):
        words = f"{profile['text']['max_length']} words"
        return Measured(rows, "", n_train, 1.0, WHOLE_TEXTS if model == SVM.name else words,
                        NONE if model == SVM.name else "word2vec")  # fmt: skip
    reads = WHOLE_TEXTS if model == SVM.name else f"{profile['tokens']['max_length']} tokens"
    compared = name == "x_encoder_table"  # whose models are encoders
    encoder = NONE if model in (SVM.name, SVM_CUT) else model if compared else profile[f"backbone_{row['language']}"]
    return Measured(rows, "", n_train, row["where"].get("labels", profile["labelled"]), reads, encoder)


def beside(
    files: Files, row: Mapping[str, Any], found: Measured, metric: str, noise: Mapping[str, str]
) -> dict[str, float]:
    """What else is known where the row was measured; nan where nothing is. See :data:`BESIDE`."""
    where = {key: value for key, value in row.get("where", {}).items() if key != "model"}
    model, corpus = row.get("where", {}).get("model"), row["corpus"]
    lines = dict.fromkeys(BESIDE, math.nan)
    if model != SVM.name:
        source = row.get("svm", row.get("exhibit", ""))
        place = {"labels": found.labels} if source == "x_encoder_table" else where
        # what docs/ has was trained on texts of another length than the networks here, so no SVM reads as much of them
        for column, name in (("svm", SVM.name), *((("svm_cut", SVM_CUT),) if "file" not in row else ())):
            lines[column] = _mean(files.runs(source, corpus=corpus, model=name, **place), metric)
        if found.labels < 1:
            lines["all_labels"] = _mean(
                files.runs("x_encoder_table", corpus=corpus, model=found.encoder, labels=1.0), metric
            )
    ceiling = None
    if row.get("ceiling") == "first topic" and metric == "accuracy":
        rows = files.runs("x_first_topic", corpus=corpus, model=model)
        ceiling = statistics.mean_interval(rows.ceiling) if "ceiling" in rows else None
    elif row.get("ceiling") == "wrong labels" and metric in ("accuracy", *row["noise_of"]):
        known = reading(files, noise, row["noise_of"].get(metric))
        ceiling = known.ceiling if known else None
    if ceiling:
        lines |= {"ceiling": ceiling.mean, "ceiling_low": ceiling.low, "ceiling_high": ceiling.high}
    return lines


def _mean(rows: pd.DataFrame, metric: str) -> float:
    return float(rows[metric].mean()) if metric in rows and len(rows) else math.nan


def limits_of(line: Mapping[str, Any], cause: str) -> str:
    """What stands between a measured value and its reference: facts of the runs, the same words for the same facts."""
    if line["measured_mean"] >= line["reference"]:
        return "reached"
    parts = ["the interval holds the reference"] if line["measured_high"] >= line["reference"] else []
    if line["labels"] < 1:
        also = " (with all of them below the reference too)" if line["all_labels"] < line["reference"] else ""
        parts.append(f"{100 * line['labels']:g} % of the labels{also}")
    parts += [f"first {line['reads']}"] if line["reads"] != WHOLE_TEXTS else []
    parts += [line["encoder"]] if line["encoder"] != NONE else []
    if line["ceiling"] < 1:
        below = "below" if line["ceiling"] < line["reference"] else "above"
        parts.append(f"{cause} (ceiling {below} the reference)")
    best = line["measured_mean"] if math.isnan(line["measured_high"]) else line["measured_high"]
    better = [said for name, said in (("svm", "whole texts"), ("svm_cut", "the same tokens")) if line[name] > best]
    parts += [f"an SVM on {' and on '.join(better)} is better"] if better else []
    return "; ".join(parts) or "none that is known: all labels, whole texts"


def _lines(files: Files, settings: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """A line of the table for every reference of every row."""
    for row in settings["row"]:
        found = measured(files, row)
        for reference in row["references"]:
            metric = reference["metric"]
            value = found.interval(metric)
            line = dict.fromkeys(COLUMNS, math.nan) | {
                "corpus": row["corpus"], "what": row["what"], "metric": metric, "reference": reference["value"],
                "source": reference["source"], "measured_mean": value.mean, "measured_low": value.low,
                "measured_high": value.high, "n_seeds": value.n, "n_train": found.n_train, "labels": found.labels,
                "reads": found.reads, "encoder": found.encoder, "gap": value.mean - reference["value"],
            }  # fmt: skip
            if not found.missing:
                line |= beside(files, row, found, metric, settings["reading"])
            line["limits"] = found.missing or limits_of(line, CAUSES.get(row.get("ceiling", ""), ""))
            yield line


def _readable(table: pd.DataFrame) -> pd.DataFrame:
    shown = table[["corpus", "what", "metric", "reference", "source"]].copy()
    shown["measured"] = [with_interval(*each) for each in zip(*(table[name] for name in NUMBERS[:3]), strict=True)]
    shown["n_seeds"] = table.n_seeds
    shown["labels"] = ["" if np.isnan(share) else f"{100 * share:g} %" + ("" if np.isnan(n) else f" ({n:,.0f})")
                       for share, n in zip(table.labels, table.n_train, strict=True)]  # fmt: skip
    shown[["reads", "encoder"]] = table[["reads", "encoder"]]
    shown["gap, points"] = ["" if np.isnan(gap) else points(gap) for gap in table.gap]
    ceilings = zip(table.ceiling, table.ceiling_low, table.ceiling_high, strict=True)
    shown["ceiling"] = ["" if np.isnan(each[0]) else with_interval(*each) for each in ceilings]
    for name, title in (("all_labels", "with all labels"), ("svm", "SVM"), ("svm_cut", "SVM (cut)")):
        shown[title] = ["" if np.isnan(value) else text(value) for value in table[name]]
    shown["limits"] = table.limits
    return shown


@exhibit(
    "x_limits",
    NOTEBOOK,
    "What was aimed at, what was measured, and what lies between.",
    "目标与参考值、实测值及其差距的来源",
)
def table(study: Study) -> Content:
    if study.kind != "public":
        return nothing("n/a: reference points and goals are known of the public corpora alone.", COLUMNS)
    files, settings = Files(study), plan()
    body = pd.DataFrame(_lines(files, settings), columns=COLUMNS)
    note = " ".join(filter(None, [
        "gap: measured − reference. labels: share of the training labels that the runs used, and how many those were; with all "
        "labels: the same encoder in x_encoder_table; SVM: on the same labels, (cut) on the same tokens. ceiling: of a model that "
        "picks topics as this one (x_first_topic), or of one that is right about every text (wrong labels). limits: facts of the "
        "runs, the most likely reasons of a gap; how much of it each of them makes is not divided up.",
        said_of(reading(files, settings["reading"]), settings["reading"]),
        _sources(files),
    ]))  # fmt: skip
    return Content(body, display=_readable(body), per_seed=_per_seed(study, files, settings), note=note,
                   corpora=_corpora(files))  # fmt: skip


def _sources(files: Files) -> str:
    """Which numbers are not of this build."""
    if files.build == files.reference:
        return ""
    names = [name for name, found in files.read.items() if found and found.folder == files.reference]
    return f"Not built here, so read from the committed reference: {', '.join(sorted(names))}." if names else ""


def _per_seed(study: Study, files: Files, settings: Mapping[str, Any]) -> pd.DataFrame:
    """The value of every run behind the table, once per metric; what docs/ has only the means of has none."""
    rows = []
    for row in settings["row"]:
        found = measured(files, row)
        if found.missing or "file" in row:
            continue
        for metric in dict.fromkeys(each["metric"] for each in row["references"]):
            rows += [{"data": study.name, "corpus": row["corpus"], "what": row["what"], "model": row["where"]["model"],
                      "exhibit": row["exhibit"], "metric": metric, "seed": "" if pd.isna(seed) else int(seed), "value": value}
                     for seed, value in zip(found.rows.seed, found.rows[metric], strict=True)]  # fmt: skip
    return pd.DataFrame(rows, columns=["data", "corpus", "what", "model", "exhibit", "metric", "seed", "value"])


def _corpora(files: Files) -> list[Known]:
    """Those of the exhibits that were read."""
    facts = [found.provenance for found in files.read.values() if found]
    every = [each for known in facts for each in known["corpora"]]
    return [Known(*key) for key in dict.fromkeys((each["name"], each["sha256"], each["texts"]) for each in every)]
