"""An exhibit: a table or figure with its caption, its per-seed numbers and its provenance, and how it becomes files."""

import json
import os
import platform
import shlex
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from paperkit import __version__, code, contract
from paperkit.corpora.corpus import Corpus
from paperkit.errors import InputError
from paperkit.exhibits import style, tables
from paperkit.runs import Run
from paperkit.store import write_atomically
from paperkit.study import Study
from paperkit.training.numerics import numerics, threads

LIBRARIES = ("gensim", "jieba", "transformers", "tokenizers", "pandas", "scipy", "matplotlib", "seaborn")
"""Their versions stand in the provenance beside those that every run has in its identity."""

SUFFIXES = (".csv", ".md", ".tex", ".svg", ".png", "_runs.csv")
"""What the files of an exhibit end in, its provenance apart."""


@dataclass
class Content:
    """What the function of an exhibit returns."""

    body: pd.DataFrame | Figure | str
    """A table as it goes into the CSV, a figure, or an SVG text (then ``html`` is what a notebook shows)."""
    runs: Sequence[Run] = ()
    """The runs it rests on, for the provenance."""
    display: pd.DataFrame | None = None
    """The table as people read it (Markdown, LaTeX, notebook); the CSV's when None."""
    per_seed: pd.DataFrame | None = None
    """Rows for ``<name>_runs.csv``, one per run."""
    numbers: pd.DataFrame | None = None
    """The data behind a figure, for ``<name>.csv``."""
    quotes: bool = False
    """Whether it shows texts of the corpus: then it is committed for embedded data only."""
    text_columns: tuple[str, ...] = ()
    """Columns of ``body`` that quote texts; without them the table may be committed."""
    html: str = ""
    """What a notebook shows of an SVG text: JupyterLab does not draw SVG of a notebook that it does not trust."""
    note: str = ""
    """What a reader must know to read it right; stands under the exhibit."""
    corpora: Sequence[Corpus] = ()
    """The corpora it shows, for the provenance; those of the runs, or else paper B's, when empty."""


def nothing(note: str, columns: Sequence[str] = (), **more: Any) -> Content:
    """What stands for an exhibit that these data do not allow: a table of ``columns`` without rows, or a picture of the note."""
    if columns:
        return Content(pd.DataFrame(columns=[*columns]), display=pd.DataFrame({"result": ["n/a"]}), note=note, **more)
    return Content(style.message(note), note=note, **more)


@dataclass(frozen=True)
class Exhibit:
    """A registered exhibit: name, captions, the notebook that shows it and the function that makes it."""

    name: str
    notebook: str
    caption: str
    caption_zh: str
    make: Callable[[Study], Content] = field(repr=False)


REGISTRY: dict[str, Exhibit] = {}


def exhibit(name: str, notebook: str, caption: str, caption_zh: str):
    """Register the decorated function ``(study) -> Content`` as an exhibit."""

    def register(make: Callable[[Study], Content]) -> Callable[[Study], Content]:
        REGISTRY[name] = Exhibit(name, notebook, caption, caption_zh, make)
        return make

    return register


def find(name: str) -> Exhibit:
    """The exhibit of that name.

    Raises:
        InputError: there is none; the sentence lists those there are.
    """
    import paperkit.exhibits.catalogue  # noqa: F401 (registers them all)

    if name not in REGISTRY:
        raise InputError(f"no exhibit is called {name!r}; there are {', '.join(sorted(REGISTRY))}")
    return REGISTRY[name]


def records(folder: Path) -> Iterator[tuple[Path, dict]]:
    """The provenance file of every exhibit in a folder, and what it says; what other code left there is no exhibit."""
    find("claims")  # registers every exhibit
    for path in sorted(folder.glob("*.provenance.json")):
        facts = json.loads(path.read_text(encoding="utf-8"))
        if facts["exhibit"] in REGISTRY:
            yield path, facts


def check_same_table(study: Study) -> None:
    """Refuse to read a build of another table of the same name, or of an earlier state of it; other data have one build each.

    Raises:
        InputError: an exhibit in the study's folder is of other texts.
    """
    for _, facts in records(study.folder):
        if study.kind == "table" and "texts" in unlike(study, facts):
            raise InputError(f"{study.folder} holds {facts['exhibit']} of another table called {study.name}, or of an earlier "
                             "state of this one; run make paper with this table, or rename it")  # fmt: skip


def as_recorded(study: Study) -> dict:
    """The study's profile as a provenance file has it."""
    return json.loads(json.dumps(asdict(study.profile)))


def unlike(study: Study, facts: dict, *, texts: bool = True) -> list[str]:
    """Settings by which an exhibit of this provenance differs from what the study would make, and ``"texts"`` if it is of others;
    without ``texts`` no corpus is read."""
    wanted, had = as_recorded(study), facts["profile"]
    found = [name for name in wanted | had if name not in wanted or name not in had or wanted[name] != had[name]]
    if not texts:
        return found
    known = {source.load().checksum for source in study.sources}
    return found + ["texts"] * any(each["sha256"] not in known for each in facts["corpora"])


def made_otherwise(study: Study, seeds: bool = False) -> dict[str, list[str]]:
    """Exhibits of a build that were made with other settings than the study's, and which these are; or of other texts, where
    these need no download. Numbers of ``seeds`` change how sure a number is and not what it is of: they count only where that is
    asked."""
    found = {}
    for _, facts in records(study.folder):
        others = unlike(study, facts, texts=study.kind != "public")
        if others := [name for name in others if seeds or not name.endswith("seeds")]:
            found[facts["exhibit"]] = others
    return found


def said_of_others(study: Study, seeds: bool = False) -> str:
    """One sentence on what :func:`made_otherwise` finds; empty where that is nothing."""
    if not (others := made_otherwise(study, seeds)):
        return ""
    settings = sorted(set().union(*others.values()))
    more = f" and {len(others) - 3} more" if len(others) > 3 else ""
    return (f"{study.folder} holds exhibits that were made with other settings ({', '.join(settings)}): "
            f"{', '.join([*others][:3])}{more}; give those of the build (PROFILE, SEEDS, SET), or run make paper with "
            "these")  # fmt: skip


@dataclass(frozen=True)
class Shown:
    """An exhibit that has been made and written; displays itself in a notebook."""

    exhibit: Exhibit
    content: Content
    files: tuple[Path, ...]

    def _ipython_display_(self) -> None:
        from IPython.display import HTML, Image, Markdown, display

        item, content = self.exhibit, self.content
        display(Markdown(f"**{item.name}** {item.caption}  \n{item.caption_zh}"))
        if isinstance(content.body, pd.DataFrame):
            display(HTML(tables.to_html(content.body if content.display is None else content.display)))
        elif isinstance(content.body, Figure):
            png = next(file for file in self.files if file.suffix == ".png")
            display(Image(png.read_bytes(), width=int(content.body.get_figwidth() * 110)))
        else:
            display(HTML(content.html))
        if content.note:
            display(Markdown(tables.escape_markdown(content.note)))


def show(study: Study, name: str) -> Shown:
    """Make an exhibit, write its files into the study's folder, and return it for display."""
    item = find(name)
    started = time.perf_counter()
    style.apply()
    with threads(1):  # whatever ran before in this process, what an exhibit computes itself has the same last digits
        content = item.make(study)
    seconds = time.perf_counter() - started
    return Shown(item, content, write(study, item, content, seconds))


def write(study: Study, item: Exhibit, content: Content, seconds: float) -> tuple[Path, ...]:
    """Write every format of an exhibit, each file atomically, its provenance last; files of an earlier one go."""
    folder = study.folder
    folder.mkdir(parents=True, exist_ok=True)
    base, record = folder / item.name, folder / f"{item.name}.provenance.json"
    record.unlink(missing_ok=True)  # it vouches for the others: last to come, first to go
    files: list[Path] = []

    def put(suffix: str, text: str) -> None:
        path = folder / f"{item.name}{suffix}"
        write_atomically(path, text)
        files.append(path)

    if isinstance(content.body, pd.DataFrame):
        display = content.body if content.display is None else content.display
        put(".csv", contract.to_csv(content.body))
        put(".md", tables.to_markdown(display, item.caption, item.caption_zh, content.note))
        put(".tex", tables.to_latex(display, item.caption, item.name))
    elif isinstance(content.body, Figure):
        files += style.save(content.body, base)
    else:
        put(".svg", content.body)
    if content.numbers is not None:
        put(".csv", contract.to_csv(content.numbers))
    if content.per_seed is not None:
        put("_runs.csv", contract.to_csv(content.per_seed))
    for suffix in SUFFIXES:  # other data may have left what these data do not have
        if (old := folder / f"{item.name}{suffix}") not in files:
            old.unlink(missing_ok=True)
    put(".provenance.json", json.dumps(provenance(study, item, content, seconds), indent=1, ensure_ascii=False) + "\n")
    return tuple(files)


def provenance(study: Study, item: Exhibit, content: Content, seconds: float) -> dict:
    """Where an exhibit comes from: data, settings, code, machine, time."""
    profile = study.profile
    sources = dict.fromkeys(run.spec.source for run in content.runs)
    corpora = content.corpora or [source.load() for source in sources] or [study.corpus]
    return {
        "exhibit": item.name,
        "caption": item.caption,
        "caption_zh": item.caption_zh,
        "note": content.note,
        "data": study.name,
        "corpora": [{"name": each.name, "sha256": each.checksum, "texts": len(each)} for each in corpora],
        "profile": asdict(profile),
        "seeds": sorted({run.spec.seed for run in content.runs if run.spec.method.seeded}),
        "runs": len({run.folder.name for run in content.runs}),
        "train_seconds": round(sum({run.folder.name: run.result["seconds"] for run in content.runs}.values()), 1),
        "wall_seconds": round(seconds, 2),
        "numerics": numerics(profile.schedule.device),
        "processor": processor(),
        "versions": {"paperkit": __version__} | code.versions(*LIBRARIES),
        "commit": code.commit(),
        "notebook": f"notebooks/{item.notebook}.ipynb",
        "command": command(study, item.name),
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "quotes_texts": content.quotes,
        "text_columns": list(content.text_columns),
    }


@cache
def processor() -> str:
    """The name of this machine's processor, empty where it is not told: another one rounds differently, and few steps, few
    texts and few seeds make much of that."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.processor()
    )


def command(study: Study, target: str) -> str:
    """The command that makes ``target`` again; the data of a table are named without their folder. The exhibit ``claims`` has
    none of its own: the target of that name prints it."""
    target = Path(REGISTRY["claims"].notebook).stem if target == "claims" else target
    columns = {name.upper(): getattr(study, name) for name in ("text", "label", "split", "platform")}
    settings = (f"{name}={value}".replace(" ", "") for name, value in study.overrides.items())
    given = {"DATA": "" if study.kind == "embedded" else os.path.basename(study.data), **columns,
             "PROFILE": study.profile.name, "SET": " ".join(settings)}  # fmt: skip
    return " ".join(["make", target, *(f"{name}={shlex.quote(value)}" for name, value in given.items() if value)])
