"""Someone with a table of their own types `make paper DATA=mine.csv`."""

import json
import shlex

import nbformat
import pandas as pd
import pytest

from paperkit.notebooks import check_parameters, parameters_of
from paperkit.paths import NOTEBOOKS
from paperkit.text.words import segment
from tests.journeys.conftest import ONE, Home, settings
from tests.small import reviews, write_csv

SECRET = "私密"


@pytest.fixture
def home(new_home) -> Home:
    home = new_home("practitioner")
    rows = [(f"{text}{SECRET}", label, platform) for text, label, platform in reviews(120, ("携程", "去哪儿"))]
    write_csv(home.root / "my reviews.csv", ("评论内容", "好评", "平台"), rows)
    return home


OPTIONS = ["--data", "my reviews.csv", "--text", "评论内容", "--label", "好评", "--platform", "平台", "--workers", "1"]


def texts(path) -> str:
    """Everything that an executed notebook shows as text."""
    cells = nbformat.read(path, as_version=4).cells
    assert all(cell.execution_count for cell in cells if cell.cell_type == "code" and cell.source.strip())
    return json.dumps([cell.get("outputs", []) for cell in cells], ensure_ascii=False)


def test_the_first_notebook_from_a_table_to_its_exhibits(home):
    said = home.run("notebook", "01_data", *OPTIONS, *settings(ONE))
    built = home.root / "build" / "my-reviews" / "smoke"
    assert said == "01_data: wrote build/my-reviews/smoke/01_data.ipynb\n"
    counts = pd.read_csv(built / "x_corpus.csv")
    assert set(counts.platform) == {"携程", "去哪儿"} and counts["all"].sum() == 120
    assert {"b_table_1.md", "x_lengths.svg", "x_leakage.csv", "x_notes.tex"} <= {file.name for file in built.iterdir()}
    command = json.loads((built / "b_table_1.provenance.json").read_text(encoding="utf-8"))["command"]
    words = shlex.split(command)
    assert words[:6] == ["make", "b_table_1", "DATA=my reviews.csv", "TEXT=评论内容", "LABEL=好评", "PLATFORM=平台"]
    shown = texts(built / "01_data.ipynb")
    assert "texts 120  platforms 2  classes 2" in shown and "texts in two splits: 0" in shown
    assert SECRET not in shown, "texts are quoted only when asked"
    assert not list(built.glob("*.failed.ipynb")) and not list(built.glob(".*"))

    before = home.files("build/**/*")
    assert home.run("notebook", "01_data", *OPTIONS, *settings(ONE)).startswith("01_data: up to date, ")
    assert home.files("build/**/*") == before


@pytest.mark.slow
def test_the_second_notebook_answers_for_the_table(home):
    home.run("train", *OPTIONS, *settings(ONE))
    trained = set((home.root / "store" / "runs").iterdir())
    said = home.run("notebook", "02_bilstm_focal", *OPTIONS, *settings(ONE))
    assert said == "02_bilstm_focal: wrote build/my-reviews/smoke/02_bilstm_focal.ipynb\n"
    built = home.root / "build" / "my-reviews" / "smoke"
    cross = pd.read_csv(built / "b_table_3.csv")
    assert {*zip(cross.train_on, cross.test_on, strict=True)} == {("携程", "去哪儿"), ("去哪儿", "携程")}
    suspects = pd.read_csv(built / "x_b_errors_runs.csv")
    assert list(suspects.columns) == ["id", "label", "suggested", "p_of_label"]
    shown = texts(built / "02_bilstm_focal.ipynb")
    assert "every network beats the majority class" in shown
    for words in segment((text for text, *_ in reviews(120, ("携程",))), "zh"):
        assert " ".join(words[:4]) not in shown and "".join(words[:4]) not in shown, "texts are quoted only when asked"
    assert set((home.root / "store" / "runs").iterdir()) == trained, "the notebook asks for no run that train left out"


@pytest.mark.slow
def test_a_changed_table_is_other_data(home):
    home.run("notebook", "01_data", *OPTIONS, *settings(ONE))
    table = home.root / "my reviews.csv"
    table.write_text(table.read_text(encoding="utf-8") + "又一条很好的评论,1,携程\n", encoding="utf-8")
    assert home.run("notebook", "01_data", *OPTIONS, *settings(ONE)).startswith("01_data: wrote ")
    assert pd.read_csv(home.root / "build" / "my-reviews" / "smoke" / "x_corpus.csv")["all"].sum() == 121


@pytest.mark.parametrize("name", ["01_data", "02_bilstm_focal"])
def test_a_notebook_takes_what_make_gives_it(name):
    parameters = parameters_of(NOTEBOOKS / f"{name}.ipynb")
    given = {"data": "/x/mine.csv", "profile": "smoke", "text": None, "label": "l", "split": None, "platform": None,
             "overrides": {"gamma": 3.0}, "workers": 2}  # fmt: skip
    resolved = check_parameters(NOTEBOOKS / f"{name}.ipynb", given)
    assert set(resolved) == set(parameters) and resolved["quote_texts"] is False
