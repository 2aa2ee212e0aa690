"""The command line: what it prints, what it returns, and that a mistake costs one sentence and writes nothing."""

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

import paperkit.__main__ as cli
from paperkit import paths, report, runs
from paperkit.__main__ import main
from paperkit.errors import InputError
from paperkit.exhibits.exhibit import as_recorded, made_otherwise, show
from paperkit.notebooks import KERNEL, NotebookError
from paperkit.study import Study
from tests.small import SETTINGS, reviews, tickets, write_csv

TINY = [f"{name}={value}" for name, value in (SETTINGS | {"seeds": 1, "ablation_seeds": 1, "reviews": 80}).items()]
REST = ["--profile", "smoke", "--workers", "1", "--set", *TINY]


@pytest.fixture
def home(tmp_path, monkeypatch):
    """An empty working directory that is also every place where the project may write."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PAPERKIT_HEADLESS", "1")
    monkeypatch.delenv("PAPERKIT_DATA", raising=False)
    for room in ("STORE", "BUILD", "FIGURES", "DOWNLOADS"):
        monkeypatch.setenv(f"PAPERKIT_{room}", str(tmp_path / room.lower()))
    return tmp_path


def mistake(capsys, home, *arguments) -> str:
    """The sentence that a mistake costs; what is in the folder stays as it was."""
    before = sorted(home.rglob("*"))
    assert main([*arguments]) == 2
    out, err = capsys.readouterr()
    assert err.startswith("paperkit: ") and err.count("\n") == 1 and "Traceback" not in err, err
    assert out == "" and sorted(home.rglob("*")) == before
    return err.removeprefix("paperkit: ").rstrip("\n")


COMMANDS = [
    ["paper"],
    ["train"],
    ["plan"],
    ["where"],
    ["exhibit", "b_table_4"],
    ["notebook", "01_data"],
    ["publish"],
    ["verify"],
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--profile", "big"], "profile is 'big'; accepted are 'smoke', 'cpu', 'gpu'"),
        (["--set", "gama=3"], "an override sets 'gama', which is no setting; accepted are "),
        (["--set", "gamma=high"], "an override sets gamma to 'high', of type str; accepted is float"),
        (["--set", "epochs=0"], "an override sets epochs to 0; accepted is a number from 1 up"),
        (["--set", "gamma"], "SET holds 'gamma'; accepted is NAME=VALUE, e.g. SET=\"gamma=3 epochs=5\""),
        (["--set", "=3"], "SET holds '=3'; accepted is NAME=VALUE, e.g. SET=\"gamma=3 epochs=5\""),
        (["--seeds", "0"], "an override sets seeds to 0; accepted is a number from 1 up"),
        (["--seeds", "two"], "an override sets seeds to 'two', of type str; accepted is int"),
        (["--workers", "0"], "WORKERS is '0'; accepted is a whole number from 1 up"),
        (["--workers", "-2"], "WORKERS is '-2'; accepted is a whole number from 1 up"),
        (["--workers", "1.5"], "WORKERS is '1.5'; accepted is a whole number from 1 up"),
        (["--workers", "²"], "WORKERS is '²'; accepted is a whole number from 1 up"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_wrong_option_is_refused_by_every_command(capsys, home, command, options, sentence):
    assert mistake(capsys, home, *command, *options).startswith(sentence)


@pytest.mark.parametrize(
    "command", [["train"], ["plan"], ["exhibit", "b_table_4"], ["notebook", "01_data"]], ids=" ".join
)
@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "mine.csv"),
        ("", "mine.csv"),
        ("text\nonly texts\n", "label"),
        ("text,label\n" + "".join(f"text {n},a\n" for n in range(20)), "one class only"),
        ("text,label\n" + "".join(f"text {n},{'ab'[n % 2]}/\n" for n in range(20)), "has an empty step"),
        ("text,label\na,b,c\n" * 9, "mine.csv"),
        ("text,label\n" + "".join(f"text {n},{'ab'[n % 2]}\n" for n in range(6)), "no class has 5 different texts"),
    ],
    ids=["missing", "empty", "no label", "one class", "tree", "broken rows", "too few"],
)
def test_a_broken_table_is_refused(capsys, home, command, content, sentence):
    if content is not None:
        (home / "mine.csv").write_text(content)
    said = mistake(capsys, home, *command, "--data", "mine.csv", *REST)
    assert "mine.csv" in said and sentence in said


@pytest.mark.parametrize(
    "command", [["train"], ["plan"], ["exhibit", "b_table_4"], ["notebook", "01_data"]], ids=" ".join
)
def test_a_wrong_column_of_a_table_is_refused(capsys, home, command):
    write_csv(home / "mine.csv", ("text", "label"), tickets({"a": 12, "b": 12}))
    said = mistake(capsys, home, *command, "--data", "mine.csv", "--text", "review", *REST)
    assert "mine.csv" in said and "'review'" in said and "'text', 'label'" in said


def test_make_data_fetches_what_the_profile_reads(monkeypatch):
    asked = []
    monkeypatch.setattr("paperkit.corpora.fetch", lambda: asked.append("corpora"))
    monkeypatch.setattr("paperkit.models.backbones.find", asked.append)
    assert main(["data"]) == 0 and asked == ["corpora", "mini"]
    assert main(["data", "--profile", "gpu"]) == 0
    assert asked[2:] == ["corpora", "roberta-base", "hfl/chinese-roberta-wwm-ext"]


@pytest.mark.parametrize("data", ["embedded", "public"])
def test_columns_without_a_table_are_refused(capsys, home, data):
    """Someone forgot DATA=: they must not get the results of other data."""
    said = mistake(capsys, home, "train", "--data", data, "--text", "review", *REST)
    assert said.startswith("text given for the corpus ") and said.endswith("accepted for a table only, e.g. mine.csv")


@pytest.mark.parametrize("command", [["train"], ["exhibit", "b_table_4"], ["notebook", "01_data"]], ids=" ".join)
def test_public_data_that_are_not_here_are_asked_for(capsys, home, command):
    assert "`make data` downloads it" in mistake(capsys, home, *command, "--data", "public", *REST)


def test_data_that_are_neither_a_name_nor_a_file_are_refused(capsys, home):
    said = mistake(capsys, home, "train", "--data", "public.csv", *REST)
    assert "public.csv" in said


@pytest.mark.parametrize("command", [["train"], ["plan"], ["where"], ["notebook", "01_data"]], ids=" ".join)
def test_a_path_that_leads_nowhere_is_refused(capsys, home, command):
    (home / "loop.csv").symlink_to("loop.csv")
    for data in ("loop.csv", "~nobody-of-that-name/mine.csv"):
        assert data in mistake(capsys, home, *command, "--data", data, *REST)


@pytest.mark.parametrize("command", [["train"], ["plan"], ["exhibit", "x_encoder_table"]], ids=" ".join)
@pytest.mark.parametrize("length", [2, 9999])
def test_a_length_that_no_encoder_reads_is_refused_before_anything_is_trained(capsys, home, command, length):
    write_csv(home / "mine.csv", ("text", "label"), tickets({"a": 12, "b": 12}))
    said = mistake(capsys, home, *command, "--data", "mine.csv", *REST, f"tokens.max_length={length}")
    assert said.startswith(f"tokens.max_length is {length}; accepted are 3 to ")


@pytest.mark.parametrize("command", [["train"], ["plan"], ["exhibit", "b_table_4"]], ids=" ".join)
def test_one_alpha_for_many_classes_is_refused_before_anything_is_trained(capsys, home, command):
    write_csv(home / "mine.csv", ("text", "label"), tickets({"a": 12, "b": 12, "c": 12}))
    said = mistake(capsys, home, *command, "--data", "mine.csv", *REST, "alpha=0.25")
    assert said == "alpha is a number, which means two classes; mine has 3: accepted are inverse and none"


def test_a_plan_says_which_columns_were_guessed(capsys, home):
    write_csv(home / "mine.csv", ("body", "category"), tickets({"a": 12, "b": 12}))
    assert main(["plan", "--data", "mine.csv", "--text", "body", *REST]) == 0
    assert "\ncolumns  text: body; label: category, guessed (say which with LABEL=column)\n" in capsys.readouterr().out
    assert main(["plan", *REST]) == 0
    assert "\ncolumns" not in capsys.readouterr().out


@pytest.mark.parametrize("name", ["b_table_9", "b_table", "", "../b_table_4"])
def test_an_unknown_exhibit_is_refused(capsys, home, name):
    said = mistake(capsys, home, "exhibit", name, *REST)
    assert said.startswith(f"no exhibit is called {name!r}; there are a_")


@pytest.mark.parametrize("name", ["08_x", "", "01_data.ipynb"])
def test_an_unknown_notebook_is_refused(capsys, home, name):
    said = mistake(capsys, home, "notebook", name, *REST)
    assert said.startswith(f"no notebook is called {name!r}; there are 01_data, 02_bilstm_focal")


def test_a_name_is_refused_where_none_is_taken_or_none_is_so_called(capsys, home):
    assert mistake(capsys, home, "plan", "01_data").startswith("plan takes no name, and '01_data' was given")
    assert mistake(capsys, home, "refresh", "99_x").startswith("no notebook is called '99_x'; there are 01_data")


@pytest.mark.parametrize("command", ["exhibit", "notebook"])
def test_a_name_that_is_not_given_is_refused(capsys, home, command):
    assert f"no {command} is called " in mistake(capsys, home, command, *REST)


@pytest.mark.parametrize(
    ("command", "sentence"),
    [("publish", "nothing is built in"), ("verify", "there is no committed reference in")],
)
def test_before_anything_is_built(capsys, home, command, sentence):
    assert mistake(capsys, home, command, *REST).startswith(sentence)


def test_an_unknown_command_is_refused_with_those_there_are(capsys, home):
    with pytest.raises(SystemExit) as caught:
        main(["pubish"])
    assert caught.value.code == 2
    err = capsys.readouterr().err
    assert all(command in err for command in cli.COMMANDS) and not list(home.iterdir())


@pytest.mark.parametrize(("raised", "code"), [(KeyboardInterrupt, 130), (BrokenPipeError, 1)])
def test_interrupted_from_outside(capsys, home, monkeypatch, raised, code):
    def command(options):
        raise raised

    monkeypatch.setitem(cli.COMMANDS, "plan", command)
    assert main(["plan"]) == code
    err = capsys.readouterr().err
    assert "Traceback" not in err and (code == 1 or "goes on from here" in err)


@pytest.mark.parametrize("name", ["tickets/tree.yaml", "newswire/style.yaml", "words/stop_zh.txt", "manifest.toml"])
def test_a_notebook_runs_again_when_a_file_of_ours_has_changed(name, tmp_path, monkeypatch):
    shutil.copytree(paths.DATA, tmp_path / "data", ignore=shutil.ignore_patterns("downloads"))
    before = cli._files()
    monkeypatch.setattr(paths, "DATA", tmp_path / "data")
    assert cli._files() == before
    with (tmp_path / "data" / name).open("a", encoding="utf-8") as file:
        file.write("\n")
    assert cli._files() != before


@pytest.mark.parametrize("name", ["paperkit/claims.yml", "paperkit/limits.toml", "docs/minilm_reuters.csv"])
def test_the_ledger_runs_again_when_an_aim_or_a_measurement_beside_the_build_has_changed(name, tmp_path, monkeypatch):
    for kept in (
        "paperkit/claims.yml",
        "paperkit/limits.toml",
        *(f"docs/{file.name}" for file in (paths.ROOT / "docs").glob("*.csv")),
    ):
        (tmp_path / kept).parent.mkdir(exist_ok=True)
        shutil.copy(paths.ROOT / kept, tmp_path / kept)
    before = cli._aims("mine")
    monkeypatch.setattr(paths, "ROOT", tmp_path)
    assert cli._aims("mine") == before
    with (tmp_path / name).open("a", encoding="utf-8") as file:
        file.write("#\n")
    assert cli._aims("mine") != before


def test_the_ledger_runs_again_when_the_reference_has_changed(tmp_path, monkeypatch):
    monkeypatch.setenv("PAPERKIT_FIGURES", str(tmp_path))
    (tmp_path / "mine").mkdir()
    before = cli._aims("mine")
    (tmp_path / "mine" / "b_table_4.csv").write_text("a\n1\n")
    assert cli._aims("mine") != before


def test_every_notebook_runs_again_when_a_corpus_of_either_paper_has_changed(home, monkeypatch):
    """The texts of paper A's generated corpora come from modules that no exhibit imports."""
    keys, changed, load = [], None, runs._load

    def loaded(source):
        corpus = load(source)
        return replace(corpus, table=corpus.table.assign(text=corpus.table.text + ".")) if source == changed else corpus

    monkeypatch.setattr(runs, "_load", loaded)
    monkeypatch.setattr("paperkit.notebooks.made_under", lambda output, key: keys.append(key) or True)
    study = Study("embedded", "smoke")
    for changed in (None, None, study.source, *study.large):  # noqa: B007 (``loaded`` reads it)
        assert main(["notebook", "03_uda", "--profile", "smoke"]) == 0, "up to date, whatever the key"
    assert keys[0] == keys[1] and len({*keys}) == 4


def test_a_notebook_that_fails_is_said_and_costs_1(capsys, home, monkeypatch):
    def fail(*_, **__):
        raise NotebookError("01_data.ipynb, cell 2: ValueError: no; kept: x.failed.ipynb")

    monkeypatch.setattr("paperkit.notebooks.execute", fail)
    monkeypatch.setattr("paperkit.notebooks.refresh", fail)
    expected = "paperkit: 01_data.ipynb, cell 2: ValueError: no; kept: x.failed.ipynb\n"
    for command in (["notebook", "01_data"], ["refresh", "01_data"]):
        assert main([*command, *REST]) == 1
        assert capsys.readouterr() == ("", expected)


PARAMETERS = """data: str = "embedded"
profile: str = "smoke"
text: str | None = None
label: str | None = None
split: str | None = None
platform: str | None = None
overrides: dict = {}
workers: int | None = None"""


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_notebook_that_fails_stops_the_ledger_alone_and_the_next_time_only_what_is_missing_runs(
    capfd, home, monkeypatch, workers
):
    cells = {"01_well": "1", "02_badly": "1 / 0", "03_well": "2", "04_claims": "3"}
    monkeypatch.setattr(paths, "NOTEBOOKS", home)
    for command in ("_train", "_report"):
        monkeypatch.setattr(cli, command, lambda options: None)
    options = ["paper", *REST, "--workers", workers]

    def write(name: str, source: str) -> None:
        parameters = new_code_cell(PARAMETERS, id="a", metadata={"tags": ["parameters"]})
        made = new_notebook(cells=[parameters, new_code_cell(source, id="b")], metadata={"kernelspec": KERNEL})
        nbformat.write(made, home / f"{name}.ipynb")

    def said(status: int) -> list[str]:
        assert main(options) == status
        out, err = capfd.readouterr()
        assert ("paperkit: 02_badly.ipynb, cell 3: ZeroDivisionError" in err) == bool(status)
        return sorted(line.split(",")[0].split(" build")[0] for line in out.splitlines() if line[0] == "0")

    for name, source in cells.items():
        write(name, source)
    assert said(1) == ["01_well: wrote", "03_well: wrote"]
    write("02_badly", "1 / 1")
    assert said(0) == ["01_well: up to date", "02_badly: wrote", "03_well: up to date", "04_claims: wrote"]
    assert said(0) == [f"{name}: up to date" for name in cells]
    built = home / "build" / "embedded" / "smoke"
    assert {file.name for file in built.iterdir()} == {f"{name}.ipynb" for name in cells}


def test_a_notebook_runs_again_after_an_exhibit_of_it_was_made_with_other_settings(capfd, home, monkeypatch):
    monkeypatch.setattr(paths, "NOTEBOOKS", home)
    parameters = new_code_cell(PARAMETERS, id="a", metadata={"tags": ["parameters"]})
    for name in ("01_data", "02_bilstm_focal"):
        nbformat.write(new_notebook(cells=[parameters], metadata={"kernelspec": KERNEL}), home / f"{name}.ipynb")

    def runs_again() -> set[str]:
        for name in ("01_data", "02_bilstm_focal"):
            assert main(["notebook", name, *REST]) == 0
        return {line.split(":")[0] for line in capfd.readouterr().out.splitlines() if ": wrote" in line}

    assert runs_again() == {"01_data", "02_bilstm_focal"} and runs_again() == set()
    study = Study("embedded", "smoke", overrides=cli.overrides(TINY, None))
    record = study.folder / "b_table_4.provenance.json"
    facts = {"exhibit": "b_table_4", "profile": as_recorded(study), "corpora": [{"sha256": study.corpus.checksum}]}
    others = [facts | {"profile": facts["profile"] | changed} for changed in ({"gamma": 4.0}, {"seeds": 9})]
    for other in (*others, facts | {"corpora": [{"sha256": "0"}]}):
        record.write_text(json.dumps(other))
        assert runs_again() == {"02_bilstm_focal"}
    record.write_text(json.dumps(facts))
    assert runs_again() == set()


@pytest.mark.parametrize(
    ("pair", "value"),
    [
        ("gamma=3", 3),
        ("gamma=3.5", 3.5),
        ("learning_rate=1e-3", 0.001),
        ("alpha=inverse", "inverse"),
        ("alpha=None", None),
        ("alpha=none", "none"),
        ("stop_words=none", "none"),
        ("stop_words=keep-negations", "keep-negations"),
        ("dropout=[0.1,0.2,0.3]", [0.1, 0.2, 0.3]),
        ("epochs=True", True),
        ("epochs=true", True),
        ("epochs=", ""),
        ("select='loss'", "loss"),
        ("device=a=b", "a=b"),
        ("gamma=__import__('os')", "__import__('os')"),
        ("gamma=1\0", "gamma=1\0".partition("=")[2]),
    ],
)
def test_settings_are_read_as_what_they_look_like(pair, value):
    ((name, got),) = cli.overrides([pair], None).items()
    assert (name, got, type(got)) == (pair.partition("=")[0], value, type(value))


def test_the_later_of_two_settings_counts_and_seeds_are_a_setting():
    assert cli.overrides(["gamma=1", "gamma=2"], "4") == {"gamma": 2, **dict.fromkeys(cli.SEED_COUNTS, 4)}
    assert cli.overrides([], None) == {}


@pytest.fixture
def table(home):
    rows = [(text, label) for text, label, _ in reviews(60, ("",))]
    return str(write_csv(home / "mine.csv", ("评论", "标签"), rows))


def test_train_plan_exhibit_publish_verify_in_the_order_of_a_day(capsys, home, table):
    data = ["--data", table, *REST]
    assert main(["plan", *data]) == 0
    planned = int(re.search(r"runs +(\d+), of which \1 are missing", capsys.readouterr().out)[1])

    assert main(["train", *data]) == 0
    out, err = capsys.readouterr()
    assert (
        out.splitlines()[-1] == f"runs     {planned}, of which {planned} are still to be trained"
        and "Traceback" not in err
    )
    runs = {path: path.stat().st_mtime_ns for path in (home / "store" / "runs").rglob("*")}
    assert len(list((home / "store" / "runs").iterdir())) == planned > 20 and not (home / "build").exists()

    assert main(["train", *data]) == 0
    assert "of which 0 are still to be trained" in capsys.readouterr().out
    assert {path: path.stat().st_mtime_ns for path in (home / "store" / "runs").rglob("*")} == runs

    assert main(["where", *data]) == 0
    assert capsys.readouterr().out == "Results: build/mine/smoke/\n"
    assert main(["exhibit", "b_table_4", *data]) == 0
    printed = capsys.readouterr().out.splitlines()
    suffixes = (".csv", ".md", ".tex", "_runs.csv", ".provenance.json")
    assert printed == [f"build/mine/smoke/b_table_4{suffix}" for suffix in suffixes]
    assert all((home / name).exists() for name in printed)

    assert main(["publish", *data]) == 0
    assert "figures/mine/b_table_4.csv" in capsys.readouterr().out
    assert main(["verify", *data]) == 0
    assert capsys.readouterr().out == "identical  b_table_4.csv\nidentical  b_table_4_runs.csv\n"
    wrong = home / "build" / "mine" / "smoke" / "b_table_4.csv"
    wrong.write_text(wrong.read_text().replace("Majority", "Minority"))
    assert main(["verify", *data]) == 1
    assert "different  b_table_4.csv" in capsys.readouterr().out


def test_as_a_program_a_mistake_is_one_line_and_exit_status_2(home):
    environment = os.environ | {"PYTHONPATH": str(paths.ROOT)}
    done = subprocess.run([sys.executable, "-m", "paperkit", "plan", "--profile", "huge"], capture_output=True, text=True,
                          env=environment, check=False)  # fmt: skip
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "paperkit: profile is 'huge'; accepted are 'smoke', 'cpu', 'gpu'\n"
    assert not list(home.iterdir())


def test_a_build_of_another_table_of_that_name_is_not_reported(home):
    """Nor judged by the ledger."""
    for folder, seed in (("one", 0), ("other", 1)):
        (home / folder).mkdir()
        rows = [(text, label) for text, label, _ in reviews(60, ("",), seed)]
        write_csv(home / folder / "mine.csv", ("text", "label"), rows)
    one, other = (Study(str(home / folder / "mine.csv"), "smoke", workers=1) for folder in ("one", "other"))
    show(one, "x_corpus")
    assert report.write(one).exists()
    with pytest.raises(
        InputError, match="holds x_corpus of another table called mine, or of an earlier state of this one"
    ):
        report.write(other)
    assert main(["claims", "--data", str(home / "other" / "mine.csv")]) == 2
    assert made_otherwise(one, seeds=True) == {} and made_otherwise(other) == {"x_corpus": ["texts"]}, (
        "so 01 runs again"
    )
    show(other, "x_corpus")
    assert report.write(other).exists()
