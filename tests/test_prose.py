"""Numbers in prose come from results by substitution: none is typed where a later run would make it false."""

import ast
import re

import nbformat
import pytest
import yaml

from paperkit import paths

NUMBER = re.compile(r"(?<![\w.])\d*\.\d+(?![\w.])|\d+(?:\.\d+)? ?[%％]|\d+(?:\.\d+)? (?:percent|points)\b")
FORMAL = re.compile(
    r"```.*?```|`[^`]*`|\$\$.*?\$\$|\$[^$]*\$"  # code and formulas: hyper-parameters and their values
    r"|\[[^\]]*\]\([^)]*\)|https?://\S+|doi \S+|arXiv\S*"  # links
    r"|(?:§+|[Ee]qs?\.?|[Ss]ections?|[Ff]igs?\.?|[Tt]ables?|[图表]) ?\d+(?:\.\d+)*"  # places in the papers
    r"|^>.*?$",  # a claim, quoted: the number is the paper's
    re.DOTALL | re.MULTILINE,
)
ALLOWED = {"95 %", ".05", ".25", "99.9 %"}
"""The level of intervals and of tests; Lin et al.'s α."""


def typed(text: str) -> list[str]:
    """Decimals and percentages in prose that no substitution put there."""
    text = re.sub(r"^>(?:.*\n)+?(?=\n|\Z)", "", text, flags=re.MULTILINE)
    return [found for found in NUMBER.findall(FORMAL.sub(" ", text)) if found.strip() not in ALLOWED]


@pytest.mark.parametrize("text", ["accuracy is .93 here", "reaches 0.987", "a gain of 8 %", "提升 8%", "by 3.5 points"])
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
