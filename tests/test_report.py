"""The report: one file that needs nothing else, in which everything that was built can be found."""

import json
import re
import shutil
from html.parser import HTMLParser

import pandas as pd
import pytest

from paperkit import paths, report
from paperkit.__main__ import main
from paperkit.claims import Evidence, claims, groups, ledger, words
from paperkit.exhibits import tables
from paperkit.study import Study

VOID = {"meta", "img", "br", "link", "input", "hr"}


class Page(HTMLParser):
    """What a browser would load or jump to, and whether every tag is closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids, self.links, self.sources, self.tags, self.open, self.text = [], [], [], [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        facts = dict(attributes)
        self.tags.append((tag, facts))
        self.ids += [facts["id"]] if "id" in facts else []
        self.links += [facts["href"]] if "href" in facts else []
        self.sources += [facts[name] for name in ("src", "srcset", "poster", "data", "action") if name in facts]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if not {"style", "script"} & set(self.open):
            self.text.append(data)


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A build that holds what is committed for public data, and the page made of it."""
    root = tmp_path_factory.mktemp("report")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PAPERKIT_BUILD", str(root))
        study = Study("public", "cpu")
        shutil.copytree(paths.ROOT / "figures" / "public", study.folder)
        path = report.write(study)
    return path.parent, path.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def page(built):
    return Page(built[1])


@pytest.fixture(scope="module")
def committed(tmp_path_factory):
    """The page of a clone in which nothing is built for public data, and where it lies."""
    root = tmp_path_factory.mktemp("clone")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PAPERKIT_BUILD", str(root / "build"))
        path = report.write(Study("public", "cpu"))
    assert [file for file in root.rglob("*") if file.is_file()] == [path]
    return path, path.read_text(encoding="utf-8")


def test_without_a_build_the_committed_reference_is_reported_and_that_is_said(committed):
    path, text = committed
    assert path.parts[-4:] == ("build", "public", "cpu", report.NAME)
    summary = text[text.index('<section id="summary">') : text.index('<section id="ledger">')]
    assert "Nothing is built here" in summary and "<code>figures/public/</code>" in summary
    assert "build/public/cpu/paper.html</code>" in summary and "make paper DATA=public" in summary
    findings = ledger(Evidence(paths.ROOT / "figures" / "public"))
    assert all(line in Page(text).text for lines in words.story(findings).values() for line in lines)
    assert '">not run yet</span>' not in text, "the reference measures every claim, or says why these data cannot"


def test_the_reported_reference_says_how_it_was_made_and_quotes_no_text(committed):
    folder, text = paths.ROOT / "figures" / "public", committed[1]
    records = [json.loads(file.read_text(encoding="utf-8")) for file in folder.glob("*.provenance.json")]
    quoting = []
    for facts in (facts for facts in records if facts["exhibit"] != "claims"):
        part = text[text.index(f'<figure id="{facts["exhibit"]}"') :]
        part = part[: part.index("</figure>")]
        for value in (facts["command"], facts["notebook"], facts["commit"]):
            assert str(report.Markup.escape(value)) in part, facts["exhibit"]
        head = set(re.findall(r"<th[^>]*>([^<]+)", part))
        quoting += [(facts["exhibit"], head & set(facts["text_columns"]))] if facts["quotes_texts"] else []
        assert ("The texts are not republished: text." in part) == facts["quotes_texts"]
    assert sorted(quoting) == [("b_table_1", set()), ("x_augmentations", set())]


def test_what_is_built_is_what_is_reported(built, tmp_path, monkeypatch):
    assert "Shown is what is built in" in built[1] and "Nothing is built" not in built[1]
    monkeypatch.setenv("PAPERKIT_BUILD", str(tmp_path))
    study = Study("public", "cpu")
    study.folder.mkdir(parents=True)
    for file in (paths.ROOT / "figures" / "public").glob("x_non_core.*"):
        shutil.copy(file, study.folder)
    text = report.write(study).read_text(encoding="utf-8")
    assert re.findall(r'<figure id="(\w+)"', text) == ["x_non_core"] and "Shown is what is built in" in text
    assert "make a_table_3 DATA=public" in text[text.index('<section id="missing">') :]


def test_nothing_is_loaded_from_anywhere(built, page):
    assert all(source.startswith("data:image/") for source in page.sources) and len(page.sources) > 5
    outside = [link for link in page.links if not link.startswith("#")]
    assert outside and all(link.startswith("https://doi.org/") for link in outside), "citations only"
    assert not re.search(r"url\(|@import|<link|<iframe|<object|<base", built[1].split("</style>")[0])
    scripts = [facts for tag, facts in page.tags if tag == "script"]
    assert scripts == [{}], "one script, written into the page"


def test_every_exhibit_is_there_once_and_can_be_found_from_the_contents(built, page):
    folder, text = built
    names = {json.loads(file.read_text())["exhibit"] for file in folder.glob("*.provenance.json")}
    assert names <= set(page.ids) and len(page.ids) == len(set(page.ids))
    contents = text[text.index("<nav") : text.index("</nav>")]
    for name in names - {"claims"}:
        assert f'href="#{name}"' in contents, name
    assert '<a href="#x_claims">x_claims' not in contents, "every entry has a caption"
    assert {link[1:] for link in page.links if link.startswith("#")} <= set(page.ids)


def test_the_contents_come_first_and_open_then_the_summary_and_nothing_else_stands_open(built, page):
    text = built[1]
    assert text.index("</h1>") < text.index("<nav") < text.index('id="summary"') < text.index('id="ledger"')
    between = text[text.index("</header>") + len("</header>") : text.index("<nav")]
    assert not between.strip(), "the contents are the first thing after the title"
    assert [facts.get("id") for tag, facts in page.tags if tag == "details" and "open" in facts] == ["contents"]
    script = text[text.index("<script>") :]
    assert re.search(r'if \(matchMedia\("\(max-width: 46rem\)"\).matches\) .*"contents"\).open = false', script)
    assert "beforeprint" in script and "nav { display: none" not in text, "printed, all that was folded is open"


def test_captions_commands_notebooks_and_provenance_stand_with_the_exhibits(built):
    folder, text = built
    for file in folder.glob("*.provenance.json"):
        facts = json.loads(file.read_text(encoding="utf-8"))
        if facts["exhibit"] == "claims":
            continue
        part = text[text.index(f'<figure id="{facts["exhibit"]}"') :]
        part = part[: part.index("</figure>")]
        for value in (facts["caption"], facts["caption_zh"], facts["command"], facts["notebook"], facts["note"]):
            assert str(report.Markup.escape(value)) in part, facts["exhibit"]


def test_the_ledger_is_all_there(built, page):
    text = "".join(page.text)
    findings = ledger(Evidence(built[0]))
    assert {f"claim-{claim.id}" for claim in claims()} <= set(page.ids) and set(groups()) <= set(page.ids)
    for f in findings:
        assert words.sentence(f.claim) in text and words.sentence(f.claim, "zh") in text and words.measured(f) in text
    for language in ("en", "zh"):
        for lines in words.story(findings, language).values():
            assert all(line in text for line in lines)
    assert all(advice in text for _, _, _, advice in words.letter(findings))


@pytest.mark.parametrize(
    "cell", ["a|b", "a\\", "\\|", "x_y*z", "<b>&amp;", "$5 ~ #", "`code`", "价格 [1]", "−0.5 [−1, 0]"]
)
def test_a_table_is_read_back_as_it_was_written(cell):
    written = tables.to_markdown(pd.DataFrame({"a|b": [cell, "1"], "c": ["x", cell]}), "Caption.", "表")
    rows = [report.cells(line) for line in written.splitlines() if line.startswith("|")]
    assert rows == [["a|b", "c"], ["---", "---"], [cell, "x"], ["1", cell]]


def test_the_column_that_says_whose_a_row_is_stays_in_sight():
    frame = pd.DataFrame({"train_on": ["ctrip"], "model": ["Bi-LSTM"], "f1": ["0.5"]})
    for shown, stays in ((frame, "Bi-LSTM"), (frame.drop(columns="model"), "ctrip")):
        page = report.table(tables.to_markdown(shown, "C.", "表"))
        assert re.findall(r'<td class="\w+ stays">([^<]+)', page) == [stays] and page.count('<th class="stays">') == 1


def test_no_cell_acts_as_markup():
    shown = report.table(tables.to_markdown(pd.DataFrame({"a": ["<script>alert(1)</script>"]}), "C.", "表"))
    assert "<script" not in shown and "&lt;script&gt;" in shown


def test_a_report_of_the_same_build_is_not_written_again(built, monkeypatch):
    monkeypatch.setenv("PAPERKIT_BUILD", str(built[0].parents[1]))
    before = (built[0] / report.NAME).stat().st_mtime_ns
    assert report.write(Study("public", "cpu")).stat().st_mtime_ns == before


def test_without_build_and_reference_there_is_no_report(tmp_path, monkeypatch, capsys):
    for room in ("BUILD", "FIGURES"):
        monkeypatch.setenv(f"PAPERKIT_{room}", str(tmp_path))
    assert main(["report", "--data", "public"]) == 2
    assert "run make paper" in capsys.readouterr().err and not list(tmp_path.iterdir())


def test_the_committed_reference_holds_no_report(built):
    assert not list((paths.ROOT / "figures").rglob("*.html"))


def test_a_claims_row_says_what_was_found_of_it_and_each_bar_counts_its_paper(built):
    text, findings = built[1], ledger(Evidence(built[0]))
    for f in findings:
        row = text[text.index(f'id="claim-{f.claim.id}"') :].split('<div class="why">')[0]
        outcome = words.outcome(f)
        assert f'<span class="chip {report.KINDS[outcome]}">{outcome}</span>' in row
        assert f"; n = {f.n}<" in row
        assert str(report.Markup.escape(f"{f.claim.rule} {words.threshold(f.claim)}")) in row
    said = re.findall(r'class="bar" role="img" aria-label="([^"]*)"', text)
    for paper, label in zip("BA", said, strict=True):
        counts = words.counts(f for f in findings if f.claim.paper == paper)
        assert label == "".join(f"{counts[outcome]} {outcome}; " for outcome in words.OUTCOMES if counts[outcome])
