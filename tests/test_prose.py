"""Numbers in prose come from results by substitution: none is typed where a later run would make it false."""

import ast
import re

import nbformat
import pytest
import yaml

from paperkit import paths

NUMBER = re.compile(r"(?<![\w.])\d*\.\d+(?!\w|\.\d)|\d+(?:\.\d+)? ?[%％]|\d+(?:\.\d+)? (?:percent|points)\b")
FORMAL = re.compile(
    r"```.*?```|`[^`]*`|\$\$.*?\$\$|\$[^$]*\$"  # code and formulas: hyper-parameters and their values
    r"|\[[^\]]*\]\([^)]*\)|https?://\S+|doi \S+|arXiv\S*"  # links
    r"|(?:§+|[Ee]qs?\.?|[Ss]ections?|[Ff]igs?\.?|[Tt]ables?|[图表]) ?\d+(?:\.\d+)*"  # places in the papers
    r"|^>.*?$",  # a claim, quoted: the number is the paper's
    re.DOTALL | re.MULTILINE,
)
ALLOWED = {"95 %", ".05", ".25", "99.9 %"}
"""The level of intervals and of tests; Lin et al.'s α."""


DOCUMENTS = [*sorted(paths.ROOT.glob("README*.md")), *sorted((paths.ROOT / "docs").glob("*.md"))]
GENERATED = re.compile(r"<!-- figures/\S+\.md -->.*?<!-- end -->", re.DOTALL)
"""A table that ``make publish`` copies in."""
INDENTED = re.compile(r"^(?: {4}|\t).*$", re.MULTILINE)
"""Code."""
SETTINGS = re.compile(r"(?:1 − w|\b[wmK]|[αβγετλη](?:<sub>\w+</sub>)?) = \.?\d[\d.]*|Beta\([^)]*\)|step \.\d+")
VERSIONS = re.compile(r"Python \d+\.\d+(?:-\d+\.\d+)?")
MEASURED = re.compile(r"^(?:Measured on|在共享服务器的两个核上测得).*?(?=\n\n)", re.DOTALL | re.MULTILINE)
"""The paragraph of what the program takes, and on which machine that was measured."""
TAKES = re.compile(r"\d+(?:\.\d+)? ?(?:GB|minutes|hours|times as fast|分钟|小时|倍)")
PHRASES = {
    "settings": (
        "splits 76.5 / 8.5 / 15 %",
        ".3 / .3 / .5 on vectors, LSTM output, representation",
        "labels made wrong at a rate set to 16 %",
        "1; in the cpu profile .3, and no TSA",
        "30 % of the words",
        "sampling at .9",
        "label ⌊s + .5⌋",
        "(2.5 ε / K)",
    ),
    "of the papers and the literature, and what follows from them alone": (
        "93 % across platforms",
        "跨平台 93 %",
        '"8 % and 10 %"',
        "with 515 test texts an accuracy of .95 is ± 1.9 points",
        ".32, the release's for BERT (.30 for RoBERTa)",
        "2.5 batches (release)",
    ),
    "results, which are to be said in words or copied in": (
        "Accuracy near .95 on Laojunshan",
        "老君山上接近 .95 的准确率",
    ),
}
"""What no rule above knows, word for word, by kind."""


def unsettled(document: str) -> str:
    """A document without the numbers that it may type: settings, quotations, versions, what was measured of the machine."""
    text = INDENTED.sub(" ", GENERATED.sub(" ", document))
    text = MEASURED.sub(lambda paragraph: TAKES.sub(" ", paragraph[0]), text)
    text = VERSIONS.sub(" ", SETTINGS.sub(" ", text))
    for phrase in (each for phrases in PHRASES.values() for each in phrases):
        text = text.replace(phrase, " ")
    return text


def typed(text: str) -> list[str]:
    """Decimals and percentages in prose that no substitution put there."""
    text = re.sub(r"^>(?:.*\n)+?(?=\n|\Z)", "", text, flags=re.MULTILINE)
    return [found for found in NUMBER.findall(FORMAL.sub(" ", text)) if found.strip() not in ALLOWED]


@pytest.mark.parametrize(
    "text", ["accuracy is .93 here", "reaches 0.987", "It is .93.", "a gain of 8 %", "提升 8%", "by 3.5 points"]
)
def test_a_typed_number_is_found(text):
    assert typed(text)


@pytest.mark.parametrize(
    "text",
    ["95 % intervals, p < .05", "see §4.2 and Table 3.1", "`gamma = 0.5`", "$\\alpha = .3$", "> **Claim.** accuracy of 95 %",
     "[doi 10.12677/CSA.2023.1311197](https://doi.org/10.12677/CSA.2023.1311197)", "two seeds", "notebook 07"],
)  # fmt: skip
def test_what_is_no_result_is_left_alone(text):
    assert typed(text) == []


NOTEBOOKS = sorted(path for path in paths.NOTEBOOKS.glob("0*.ipynb") if not path.name.endswith(".failed.ipynb"))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_no_notebook_types_a_result(path):
    prose = [cell.source for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "markdown"]
    found = {
        text[:60]: typed(text) for text in prose if not text.startswith("## Exercises")
    }  # those may suppose a number
    assert {place: numbers for place, numbers in found.items() if numbers} == {}


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_no_document_types_a_result(path):
    assert typed(unsettled(path.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize("phrase", [each for phrases in PHRASES.values() for each in phrases])
def test_no_phrase_is_allowed_that_no_document_has(phrase):
    assert any(phrase in path.read_text(encoding="utf-8") for path in DOCUMENTS)


@pytest.mark.parametrize(
    "text",
    ["Measured on two cores: 17 minutes, an accuracy of .93.\n\n", "17.5 minutes\n\n", "| §3.1 | w | .87 on dev | – |",
     "the gain is 1.2 points", "<!-- figures/public/b_table_4.md -->\n| .9 |\n<!-- end -->\nIt reaches 91 %."],
)  # fmt: skip
def test_a_result_in_a_document_is_found(text):
    assert len(typed(unsettled(text))) == 1


@pytest.mark.parametrize(
    "text",
    ["Measured on two cores: 2.1 GB, 3.8 times as fast.\n\n", "ε = .1, λ<sub>u</sub> = .3, 1 − w = .1", "Python 3.11-3.13",
     "    make paper SET=gamma=.5", "<!-- figures/public/b_table_4.md -->\n| .9 |\n<!-- end -->"],
)  # fmt: skip
def test_what_a_document_may_type_is_left_alone(text):
    assert typed(unsettled(text)) == []


def test_the_report_types_no_result():
    page = (paths.ROOT / "paperkit" / "report.html").read_text(encoding="utf-8")
    prose = re.sub(
        r"<style>.*?</style>|<script>.*?</script>|<meta[^>]*>|\{[%{].*?[%}]\}|<[^>]*>", " ", page, flags=re.DOTALL
    )
    assert "Not built" in prose and typed(prose) == []


def test_the_words_of_the_ledger_type_no_result():
    words = ast.parse((paths.ROOT / "paperkit" / "claims" / "words.py").read_text(encoding="utf-8"))
    texts = [node.value for node in ast.walk(words) if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    prose = [text for text in texts if " " in text and "``" not in text]
    assert len(prose) > 15 and [text for text in prose if typed(text)] == []


def test_the_claims_type_no_result():
    tree = yaml.safe_load((paths.ROOT / "paperkit" / "claims.yml").read_text(encoding="utf-8"))
    prose = [text for group in tree["groups"].values() for part in group.values() for text in part.values()]
    prose += [text for claim in tree["claims"] for text in claim["sentence"].values()]
    assert [text for text in prose if typed(text)] == []
