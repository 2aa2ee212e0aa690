"""Every exhibit as files: names, formats, provenance, bytes; for the embedded reviews and for tables of all kinds."""

import json
import re
import shlex
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.figure import Figure

from paperkit import paths
from paperkit.corpora.corpus import UNLABELLED
from paperkit.errors import InputError
from paperkit.exhibits.exhibit import REGISTRY, Content, command, find, show
from paperkit.exhibits.ledger import evidence
from paperkit.runs import _load
from paperkit.study import Study
from paperkit.training.numerics import threads
from tests.small import DRAWINGS, SETTINGS, reviews, tickets, write_csv

find("b_table_1")
ALL = sorted(REGISTRY)
PROMISED = {
    "01_data": {"b_table_1", "a_fig_2", "a_table_2"},
    "02_bilstm_focal": {*(f"b_table_{n}" for n in range(2, 6)), *(f"b_fig_{n}" for n in range(1, 7))},
    "05_adversarial": {"a_table_1", "a_table_3", "a_fig_3", "a_fig_4", "a_fig_5"},
    "06_robustness": {"a_table_4"},
}
ONE = SETTINGS | {"seeds": 1, "ablation_seeds": 1}


@pytest.mark.parametrize("notebook", PROMISED)
def test_every_exhibit_of_the_paper_is_there(notebook):
    assert PROMISED[notebook] <= {name for name, item in REGISTRY.items() if item.notebook == notebook}


@pytest.mark.parametrize("name", ALL)
def test_a_name_follows_the_contract_and_both_captions_are_there(name):
    item = REGISTRY[name]
    assert re.fullmatch(r"[ab]_(table|fig)_[1-9]|x_[a-z0-9_]+|claims", name)
    assert item.name == name and item.caption.endswith((".", "?"))
    assert not re.search(r"[\u4e00-\u9fff]", item.caption)
    assert re.search(r"[\u4e00-\u9fff]", item.caption_zh)
    if name[0] in "ab":
        kind, number = name.split("_")[1:]
        assert item.caption.startswith(f"{kind.capitalize()} {number}." if kind == "table" else f"Fig. {number}.")
        assert item.caption_zh.startswith(f"{'表' if kind == 'table' else '图'}{number} ")


def test_every_exhibit_is_shown_once_in_the_notebook_that_it_names():
    shown = {}
    for path in paths.NOTEBOOKS.glob("0*.ipynb"):
        for cell in nbformat.read(path, as_version=4).cells:
            for name in re.findall(r'^show\(study, "(\w+)"\)', cell.source, flags=re.MULTILINE):
                assert name not in shown, f"{name} is shown twice"
                shown[name] = path.stem
    assert shown == {name: REGISTRY[name].notebook for name in ALL}


def test_an_unknown_exhibit_is_refused_and_the_sentence_lists_those_there_are():
    with pytest.raises(InputError) as caught:
        find("b_table_9")
    assert str(caught.value) == f"no exhibit is called 'b_table_9'; there are {', '.join(ALL)}"


def suffixes(folder: Path, name: str) -> set[str]:
    return {
        file.name.removeprefix(name) for file in folder.glob(f"{name}[._]*") if not file.name[len(name) + 1].isdigit()
    }


@pytest.mark.parametrize("name", ALL)
def test_an_exhibit_is_written_in_all_its_formats(embedded, name):
    study, shown = embedded
    content = shown[name].content
    expected = {".provenance.json"}
    if isinstance(content.body, pd.DataFrame):
        expected |= {".csv", ".md", ".tex"}
    else:
        expected |= {".svg", ".png"} if isinstance(content.body, Figure) else {".svg"}
    expected |= {".csv"} if content.numbers is not None else set()
    expected |= {"_runs.csv"} if content.per_seed is not None else set()
    written = {file.name.removeprefix(name) for file in shown[name].files}
    assert written == expected
    for file in shown[name].files:
        assert file.parent == study.folder and file.stat().st_size > 0
        if file.suffix == ".png":
            assert file.read_bytes().startswith(b"\x89PNG\r\n")
        else:
            text = file.read_text(encoding="utf-8")
            assert text.endswith("\n") and "\r" not in text
            assert file.suffix != ".svg" or "</svg>" in text[-20:]
    if ".md" in expected:
        lines = (study.folder / f"{name}.md").read_text(encoding="utf-8").splitlines()
        assert lines[:2] == [f"**{REGISTRY[name].caption}**", REGISTRY[name].caption_zh]
        assert content.body.empty or sum(line.startswith("| ") for line in lines) == len(content.body) + 2


LARGE = {"newswire", "tickets"}
BOTH = (
    "a_fig_2", "a_fig_3", "a_table_2", "a_table_3", "a_table_4", "x_label_tree", "x_class_sizes_a", "x_similarity_by_prefix",
    "x_label_noise", "x_encoder_table", "x_encoder_curve", "x_table_3_differences", "x_frequency", "x_wrong_labels",
    "x_attacks", "x_epsilon", "x_equal_budget", "x_ra_above_sa", "x_augmentations", "x_eda_negatives", "x_length_bias",
    "x_sentence_probes", "x_table_3_esimcse", "x_table_3_uda", "x_tsa", "x_text_attacks", "x_text_budget", "x_calibration",
    "x_further_corpora",
)  # fmt: skip
TREE = (
    "a_fig_5", "x_siblings", "x_scope", "a_table_1", "x_noise_curve", "x_share_curve", "x_uda_family", "x_pool_size",
    "x_branches", "x_ablations_a", "x_queue", "x_longer",
)  # fmt: skip
ALL_THREE = ("x_leakage", "x_notes", "claims", "x_claims", "x_verdicts")
CORPORA = (
    {name: LARGE for name in BOTH}
    | {name: {"tickets"} for name in TREE}
    | {name: LARGE | {"reviews"} for name in ALL_THREE}
    | {"a_fig_4": {"newswire"}, "x_first_topic": {"newswire"}}
)
KEYS = {
    "exhibit", "caption", "caption_zh", "note", "data", "corpora", "profile", "seeds", "runs", "train_seconds",
    "wall_seconds", "numerics", "processor", "versions", "commit", "notebook", "command", "made", "quotes_texts", "text_columns",
}  # fmt: skip


@pytest.mark.parametrize("name", ALL)
def test_provenance_says_where_an_exhibit_comes_from(embedded, name):
    study, shown = embedded
    facts = json.loads((study.folder / f"{name}.provenance.json").read_text(encoding="utf-8"))
    assert set(facts) == KEYS
    assert facts["exhibit"] == name and facts["note"] == shown[name].content.note
    assert facts["data"] == "embedded"
    known = {each.name: each for each in (study.corpus, *(source.load() for source in study.large))}
    expected = CORPORA.get(name, {"reviews"})
    assert {corpus["name"] for corpus in facts["corpora"]} == expected and len(facts["corpora"]) == len(expected)
    for corpus in facts["corpora"]:
        assert corpus["sha256"] == known[corpus["name"]].checksum and corpus["texts"] == len(known[corpus["name"]])
    assert facts["profile"]["name"] == "smoke" and facts["profile"]["schedule"]["epochs"] == SETTINGS["epochs"]
    assert facts["seeds"] in ([], [0], [0, 1])
    assert (facts["runs"] > 0) == (facts["train_seconds"] > 0) == bool(shown[name].content.runs)
    assert {"torch", "numpy", "python", "device", "chip"} <= set(facts["numerics"])
    assert facts["numerics"]["device"] == "cpu" and facts["wall_seconds"] >= 0
    assert (paths.ROOT / facts["notebook"]).exists()
    target = {"claims": "07_claims"}.get(name, name)  # make claims prints it
    assert facts["command"].startswith(f"make {target} PROFILE=smoke SET=")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", facts["made"])
    assert facts["commit"] is None or re.fullmatch(r"[0-9a-f]{12,}(-dirty)?", facts["commit"])


def test_no_file_names_a_folder_of_this_machine(embedded):
    study, _ = embedded
    for file in study.folder.iterdir():
        assert str(paths.ROOT).encode() not in file.read_bytes(), file.name


def test_a_second_call_writes_the_same_bytes_provenance_aside_and_leaves_nothing_else(embedded):
    study, _ = embedded
    before = {file.name: file.read_bytes() for file in study.folder.iterdir()}
    with threads(torch.get_num_threads() + 1):  # nor does what else the process does matter
        for name in set(ALL) - set(DRAWINGS):
            show(study, name)
    after = {file.name: file.read_bytes() for file in study.folder.iterdir()}
    assert set(before) == set(after)
    changed = {name for name in before if before[name] != after[name]}
    assert {name for name in changed if not name.endswith(".provenance.json")} == set()
    for name in changed:
        facts = [json.loads(files[name]) for files in (before, after)]
        assert {key for key in KEYS if facts[0][key] != facts[1][key]} <= {"made", "wall_seconds", "commit"}


@pytest.mark.parametrize("name", ["b_table_1", "b_fig_4", "x_b_attention", "x_leakage"])
def test_a_notebook_shows_caption_exhibit_and_note(embedded, name, monkeypatch):
    _, shown = embedded
    output = []
    monkeypatch.setattr("IPython.display.display", output.append)
    shown[name]._ipython_display_()
    kinds = [type(part).__name__ for part in output]
    item, note = REGISTRY[name], shown[name].content.note
    assert kinds == ["Markdown", "Image" if "fig" in name else "HTML"] + ["Markdown"] * bool(note)
    assert output[0].data == f"**{name}** {item.caption}  \n{item.caption_zh}"
    assert not note or "<" not in output[-1].data


def test_the_text_of_a_note_cannot_act_as_markup_in_a_notebook(monkeypatch):
    from paperkit.exhibits.exhibit import Shown

    output = []
    monkeypatch.setattr("IPython.display.display", output.append)
    Shown(REGISTRY["x_notes"], Content(pd.DataFrame(), note="on <img src=x> $a_b$"), ())._ipython_display_()
    assert output[-1].data == r"on &lt;img src=x&gt; \$a\_b\$"


def test_the_command_makes_the_same_exhibit_again(tmp_path):
    table = write_csv(tmp_path / "it's my table.csv", ("my text", "stars"), tickets({"a": 12, "b": 12}))
    overrides = {"gamma": 3.0, "dropout": [0.1, 0.2, 0.3], "alpha": None}
    study = Study(str(table), "smoke", text="my text", label="stars", overrides=overrides)
    words = shlex.split(command(study, "b_table_4"))
    assert words == ["make", "b_table_4", "DATA=it's my table.csv", "TEXT=my text", "LABEL=stars", "PROFILE=smoke",
                     "SET=gamma=3.0 dropout=[0.1,0.2,0.3] alpha=None"]  # fmt: skip
    from paperkit.__main__ import overrides as read

    assert Study(str(table), "smoke", overrides=read(words[-1][4:].split(" "), None)).profile == study.profile


# --- the whole chain, for tables of all kinds ------------------------------------------------------------------------


def make_all(study: Study) -> dict[str, Content]:
    study.get(study.plan())
    return {name: show(study, name).content for name in ALL if name not in DRAWINGS}


def test_english_tree_labels_one_platform_unlabelled_rows_and_a_class_too_small(home):
    rows = tickets({"phone/billing": 40, "net/network": 40, "other": 30, "rare": 3, "": 12})
    table = write_csv(home / "calls.csv", ("text", "label"), rows)
    study = Study(str(table), "smoke", overrides=ONE, workers=1)
    made = make_all(study)
    assert study.corpus.language == "en" and study.corpus.n_classes == 4
    assert study.folder.parent.name == "calls"

    assert made["b_table_3"].body.empty and made["b_table_3"].note.startswith("n/a: ")
    assert (study.folder / "b_table_3.csv").read_text().startswith("train_on,test_on,model,n_seeds,accuracy_mean,")
    assert "| n/a |" in (study.folder / "b_table_3.md").read_text()
    assert isinstance(made["b_fig_4"].body, Figure) and made["b_fig_4"].note.startswith("n/a: ")
    assert set(made["b_table_4"].body.test_on) == {"calls"}
    assert "macro" in made["b_table_4"].note
    assert made["x_agreement"].body.empty and made["x_agreement"].note.startswith("n/a: ")

    counts = made["x_corpus"].body.set_index("label")
    assert counts.loc["rare", ["train", "dev", "test"]].tolist() == [3, 0, 0]
    assert counts.loc["(unlabelled)", "unlabelled"] == 12
    assert "rare" in made["x_notes"].body.set_index("what").detail["class too small to split: trained on, not tested"]
    svm = made["b_table_4"].body.set_index("model").loc["TF-IDF + SVM"]
    assert svm.accuracy_mean > 0.8, "these tickets can be told apart"


def test_what_other_data_left_behind_is_gone_and_counts_as_no_evidence(home):
    """The same file name with a platform column, and later without one."""
    rows = [(text, label, "ab"[number % 2]) for number, (text, label, _) in enumerate(reviews(80, ("",)))]
    for columns in (("text", "label", "platform"), ("text", "label")):
        table = write_csv(home / "mine.csv", columns, [row[: len(columns)] for row in rows])
        _load.cache_clear()  # another process
        study = Study(str(table), "smoke", overrides=ONE, workers=1)
        show(study, "b_table_3")
        rows_of_runs = (study.folder / "b_table_3_runs.csv").read_text().splitlines()
        assert rows_of_runs[0].startswith("data,corpus,train_on,test_on,model,") and (len(rows_of_runs) > 1) == (
            len(columns) == 3
        )
    write_csv(table, ("text", "label"), [(f"{text} again", label) for text, label, _ in rows])
    _load.cache_clear()
    asked = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("paperkit.exhibits.ledger.show", lambda study, name: asked.append(name))
        evidence(Study(str(table), "smoke", overrides=ONE, workers=1))
    assert "b_table_3" in asked, "it was made of other texts"


def test_an_exhibit_whose_writing_was_interrupted_has_nothing_that_vouches_for_it(home, monkeypatch):
    table = write_csv(home / "mine.csv", ("text", "label"), [row[:2] for row in reviews(60, ("",))])
    study = Study(str(table), "smoke", overrides=ONE, workers=1)
    record = study.folder / "x_corpus.provenance.json"
    show(study, "x_corpus")
    assert record.exists()

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("paperkit.exhibits.tables.to_latex", interrupted)
    with pytest.raises(KeyboardInterrupt):
        show(study, "x_corpus")
    assert not record.exists()


def test_two_languages_of_names_a_platform_without_dev_one_without_training_texts(home):
    """Names that are no names: a pipe, a formula, a tag."""
    rows = []
    for number, (text, label, _) in enumerate(reviews(127, ("",))):
        if number < 85:
            rows.append((text, label, "携程", "test" if number % 5 == 0 else "train"))
        elif number < 115:
            rows.append((text, label, "驴妈妈 $x$ <b>", "test"))
        else:
            rows.append((text, label, "tiny|one", "dev" if number % 2 else "train"))
    table = write_csv(home / "odd.csv", ("评论", "标签", "平台", "split"), rows)
    study = Study(str(table), "smoke", overrides=ONE, workers=1)
    made = make_all(study)
    assert study.corpus.platforms == ("携程", "tiny|one")
    cross = made["b_table_3"].body
    assert set(zip(cross.train_on, cross.test_on, strict=True)) == {
        ("携程", "tiny|one"), ("携程", "驴妈妈 $x$ <b>"), ("tiny|one", "携程"), ("tiny|one", "驴妈妈 $x$ <b>"),
    }  # fmt: skip
    assert np.isfinite(cross.accuracy_mean).all()
    same = made["b_table_4"].body.set_index("test_on")
    assert same.loc["tiny|one", "accuracy_mean"].isna().all(), "no test texts: unknowable, not 0"
    for file in study.folder.glob("*.md"):
        assert "<b>" not in file.read_text(encoding="utf-8"), file.name


def test_nothing_is_quoted_from_a_users_table_unless_asked(home):
    rows = [(f"{text}私密{number}", label) for number, (text, label, _) in enumerate(reviews(80, ("",)))]
    table = write_csv(home / "mine.csv", ("评论", "标签"), rows)
    quiet = Study(str(table), "smoke", overrides=ONE, workers=1)
    for name in ("b_table_1", "b_table_2", "x_b_attention", "x_b_errors", "x_notes", "x_corpus", "x_leakage"):
        show(quiet, name)
    every = "".join(file.read_text(encoding="utf-8") for file in quiet.folder.iterdir() if file.suffix != ".png")
    assert "私密" not in every and not any(text[:6] in every for text, _ in rows)
    words = show(quiet, "b_table_2").content.body
    assert set(words.word) == {f"word {n}" for n in range(1, 9)} and words.nearest.str.fullmatch(r"[-.\d ]+").all()
    asked = Study(str(table), "smoke", overrides=ONE, workers=1, quote_texts=True)
    shown = show(asked, "b_table_1")
    texts = {text for text, _ in rows}
    assert set(shown.content.body.text) <= texts and shown.content.quotes
    assert (asked.corpus.table.truth == UNLABELLED).all()
