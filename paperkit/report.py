"""The report: everything that was built for one data set, as one HTML file that needs nothing else.

Where nothing is built, it is drawn from the committed reference of these data, and says so.
"""

import base64
import csv
import html
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from paperkit import paths
from paperkit.claims import Evidence, ledger, words
from paperkit.claims.ledger import Finding
from paperkit.errors import InputError
from paperkit.exhibits.exhibit import REGISTRY, check_same_table, command, find, records
from paperkit.exhibits.ledger import EXHIBITS as LEDGER_EXHIBITS
from paperkit.store import write_atomically
from paperkit.study import Study

NAME = "paper.html"
TEMPLATE = "report.html"
TITLES = {
    "01_data": ("The data", "数据"),
    "02_bilstm_focal": ("Paper B: Bi-LSTM, attention, focal loss", "论文 B：双向 LSTM、注意力与 Focal 损失"),
    "03_uda": ("Paper A: UDA", "论文 A：UDA 半监督"),
    "04_esimcse": ("Paper A: ESimCSE", "论文 A：ESimCSE 对比学习"),
    "05_adversarial": ("Paper A: adversarial training and the ten models", "论文 A：对抗训练与十个模型"),
    "06_robustness": ("Paper A: robustness", "论文 A：鲁棒性"),
    "07_claims": ("The claims", "论断"),
    "08_encoder": ("The encoder", "编码器"),
}
STAYS = Markup(' class="stays"')
SHORT = 26
"""A cell of so few characters is not broken into lines on a screen."""
KINDS = dict(zip(words.OUTCOMES, ("supported", "contradicted", "inconclusive", "not", "unrun"), strict=True))
STATES = {"holds": "supported", "holds in part": "supported", "mixed": "mixed", "fails": "contradicted",
          "fails in part": "contradicted", "open": "inconclusive", "unrun": "unrun", "untestable": "not"}  # fmt: skip
"""How the page colours each outcome of a statement, and what becomes of a claim as a whole."""
FACTS = ("command", "notebook", "data", "seeds", "runs", "train_seconds", "commit", "made")


@dataclass(frozen=True)
class Item:
    """One exhibit as the report shows it."""

    name: str
    caption: str
    caption_zh: str
    notebook: str
    body: Markup
    note: str
    facts: dict[str, str]
    profile: str
    record: str
    """Its whole provenance, as JSON."""


def write(study: Study) -> Path:
    """Write ``paper.html`` into the study's folder, from what is built there or else from the committed reference, and return
    its path.

    Raises:
        InputError: there is neither, or what is built is of another table of that name.
    """
    find("claims")  # registers every exhibit
    folder, reference = study.folder, paths.figures() / study.name
    items = collect(folder)
    if items:
        check_same_table(study)
    else:
        folder, items = reference, collect(reference)
    if not items:
        raise InputError(f"nothing is built in {study.folder}, and {reference} holds no exhibit; run make paper with the same "
                         "DATA and PROFILE first")  # fmt: skip
    findings = ledger(Evidence(folder, tuple(REGISTRY)))
    path = study.folder / NAME
    page = render(study, items, findings, folder)
    if not path.exists() or path.read_text(encoding="utf-8") != page:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, page)
    return path


def collect(folder: Path) -> list[Item]:
    """Every exhibit of a folder, notebook by notebook, in the order in which the notebooks show them."""
    found = []
    for path, facts in records(folder):
        body = _body(folder, facts["exhibit"], facts["caption"])
        if body is not None:
            shown = {name: ", ".join(map(str, v)) if isinstance(v := facts[name], list) else str(v) for name in FACTS}
            notebook = Path(facts["notebook"]).stem
            note = " ".join(filter(None, (facts["note"], _left_out(folder, facts["exhibit"], facts["text_columns"]))))
            found.append(Item(facts["exhibit"], facts["caption"], facts["caption_zh"], notebook, body, note, shown,
                              facts["profile"]["name"], path.read_text(encoding="utf-8")))  # fmt: skip
    order = {name: place for place, name in enumerate(_shown())}
    return sorted(found, key=lambda item: (item.notebook, order.get(item.name, len(order)), item.name))


def _left_out(folder: Path, name: str, text_columns: Sequence[str]) -> str:
    """What the table of an exhibit lacks, since texts of others are not committed."""
    if not text_columns:
        return ""
    with (folder / f"{name}.csv").open(encoding="utf-8", newline="") as lines:
        head = next(csv.reader(lines))
    missing = [column for column in text_columns if column not in head]
    return f"The texts are not republished: {', '.join(missing)}." if missing else ""


def _shown() -> list[str]:
    """Exhibits in the order of the notebooks' cells."""
    names = []
    for path in sorted(paths.NOTEBOOKS.glob("0*.ipynb")):
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
            names += re.findall(r'show\(study, "(\w+)"\)', "".join(cell["source"]))
    return names


def _body(folder: Path, name: str, caption: str) -> Markup | None:
    """A table as HTML, a picture as a data URI: an image runs no scripts and shares no identifiers with the page."""
    for suffix, kind in ((".svg", "svg+xml"), (".png", "png")):
        if (file := folder / f"{name}{suffix}").exists():
            data = base64.b64encode(file.read_bytes()).decode()
            return Markup(
                '<div class="picture" tabindex="0"><img src="data:image/{};base64,{}" alt="{}"></div>'
            ).format(kind, data, caption)
    if (file := folder / f"{name}.md").exists():
        return table(file.read_text(encoding="utf-8"))
    return None


def table(markdown: str) -> Markup:
    """The table of an exhibit's Markdown file, as :mod:`paperkit.exhibits.tables` writes it, in HTML."""
    lines = [cells(line) for line in markdown.splitlines() if line.startswith("|")]
    head, _, *rows = lines
    stays = head.index("model") if "model" in head else 0  # a row that was scrolled sideways still says whose it is
    row = Markup("<tr>{}</tr>").format
    top = row(
        Markup("").join(
            Markup("<th{}>{}</th>").format(STAYS if i == stays else "", cell) for i, cell in enumerate(head)
        )
    )
    body = (row(Markup("").join(_cell(cell, i == stays) for i, cell in enumerate(each))) for each in rows)
    return Markup('<div class="wide" tabindex="0"><table><thead>{}</thead><tbody>{}</tbody></table></div>').format(
        top, Markup("").join(body)
    )


def cells(line: str) -> list[str]:
    """``"| a | b\\\\|c |"`` as ``["a", "b|c"]``: the escapes of ``tables.escape_markdown`` taken back."""
    parts = re.split(r"(?<!\\)((?:\\\\)*)\|", line.strip())
    joined = [a + b for a, b in zip(parts[::2], [*parts[1::2], ""], strict=True)][1:-1]
    return [html.unescape(re.sub(r"\\(.)", r"\1", part.strip())) for part in joined]


def _cell(text: str, stays: bool) -> Markup:
    number = re.match(r"[-+−]?[\d.]+(?:$|[ \[])|n/a$|< ?\.", text)
    kind = "number" if number else "short" if len(text) <= SHORT else "long"
    return Markup('<td class="{}">{}</td>').format(f"{kind} stays" if stays else kind, text)


def render(study: Study, items: Sequence[Item], findings: Sequence[Finding], folder: Path) -> str:
    """The page, of the exhibits in ``folder``."""
    environment = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined,
                              trim_blocks=True, lstrip_blocks=True)  # fmt: skip
    rest = [item for item in items if item.name not in LEDGER_EXHIBITS]
    notebooks = [(name, *TITLES.get(name, (name, "")), [item for item in rest if item.notebook == name])
                 for name in dict.fromkeys(item.notebook for item in rest)]  # fmt: skip
    there, dates = {item.name for item in items}, sorted(item.facts["made"][:10] for item in items)
    letters = {language: words.letter(findings, language) for language in ("en", "zh")}
    return environment.get_template(TEMPLATE).render(
        data=study.name,
        profile=", ".join(dict.fromkeys(item.profile for item in items)),
        built=folder == study.folder,
        folder=_named(folder),
        file=_named(study.folder / NAME),
        build=command(study, "paper"),
        made=" – ".join(dict.fromkeys((dates[0], dates[-1]))),
        notebooks=notebooks,
        ledger_items=[item for item in items if item.name in LEDGER_EXHIBITS and item.name != "claims"],
        ledger_record=next((item for item in items if item.name == "claims"), None),
        groups=_groups(findings, letters),
        bars={paper: words.counts(f for f in findings if f.claim.paper == paper) for paper in ("B", "A")},
        outcomes=[(outcome, chinese, KINDS[outcome]) for outcome, chinese in words.OUTCOMES_ZH.items()],
        story={language: words.story(findings, language) for language in ("en", "zh")},
        missing=[(name, command(study, name)) for name in REGISTRY if name not in there],
    )


def _named(path: Path) -> str:
    """A path as it is called in the repository; outside of it the last parts alone, as a page may be shown to anyone."""
    return Path(path.relative_to(paths.ROOT) if path.is_relative_to(paths.ROOT) else Path(*path.parts[-4:])).as_posix()


def _groups(findings: Sequence[Finding], letters: dict) -> list[dict]:
    """Every claim with its statements and what we would say about it."""
    found = []
    for (name, members), english, chinese in zip(
        words.by_group(findings).items(), letters["en"], letters["zh"], strict=True
    ):
        kind = "mixed" if words.common_remarks(members) else STATES[words.state(members)]
        found.append({
            "id": name, "title": english[1], "title_zh": chinese[1], "advice": english[3], "advice_zh": chinese[3],
            "state": words.whole(members), "kind": kind, "said": english[2], "said_zh": chinese[2],
            "rows": [{"id": f.claim.id, "place": f.claim.place, "en": words.sentence(f.claim), "zh": words.sentence(f.claim, "zh"),
                      "measured": words.measured(f), "rule": f"{f.claim.rule} {words.threshold(f.claim)}", "n": f.n,
                      "outcome": words.outcome(f), "outcome_zh": words.OUTCOMES_ZH[words.outcome(f)],
                      "kind": KINDS[words.outcome(f)], "reason": f.reason, "reason_zh": words.reason(f, "zh")} for f in members],
        })  # fmt: skip
    return found
