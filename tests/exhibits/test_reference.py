"""The committed reference: what is promoted, what stays private, and what a comparison says."""

import json
import math
from dataclasses import asdict, make_dataclass
from types import MappingProxyType, SimpleNamespace

import pandas as pd
import pytest

from paperkit import paths, report
from paperkit.claims import check
from paperkit.errors import InputError
from paperkit.exhibits.exhibit import records, said_of_others, show
from paperkit.exhibits.ledger import redraw
from paperkit.exhibits.reference import TOLERANCE, _trained, fill, publish, verify
from paperkit.study import Study
from tests.small import SETTINGS, reviews, write_csv

SECRET = "这句话不公开"
Profile = make_dataclass("Profile", [("name", str, "smoke"), ("gamma", float, 2.0), ("seeds", int, 5)])


@pytest.fixture
def build(home):
    """A stand-in for a study, and a way to put an exhibit into its folder as `write` would."""

    def study(kind: str) -> SimpleNamespace:
        folder = paths.build(kind, "smoke")
        folder.mkdir(parents=True, exist_ok=True)
        reviews = SimpleNamespace(load=lambda: SimpleNamespace(checksum="0"))
        return SimpleNamespace(kind=kind, name=kind, folder=folder, profile=Profile(), sources=(reviews,))

    def put(study, name: str, quotes=False, columns=(), profile=MappingProxyType({}), **files: str) -> None:
        for suffix, text in files.items():
            suffix = suffix.replace("runs", "_runs.csv") if suffix == "runs" else f".{suffix}"
            (study.folder / f"{name}{suffix}").write_text(text, encoding="utf-8")
        facts = {"exhibit": name, "caption": "Table.", "caption_zh": "表", "note": "", "quotes_texts": quotes,
                 "text_columns": list(columns), "profile": asdict(study.profile) | profile,
                 "corpora": [{"name": "reviews", "sha256": "0", "texts": 9}]}  # fmt: skip
        (study.folder / f"{name}.provenance.json").write_text(json.dumps(facts), encoding="utf-8")

    return study, put


def files(study) -> dict[str, bytes]:
    folder = paths.figures() / study.name
    return {file.name: file.read_bytes() for file in folder.iterdir()} if folder.exists() else {}


PLAIN = {
    "csv": "model,accuracy_mean,n\nA,0.9,3\nB,,3\n",
    "md": "| A |\n",
    "tex": "A\n",
    "runs": "seed,accuracy\n0,0.9\n",
}
TEXTS = f"id,platform,votes,length,text\nx:1,001,010,1.5,{SECRET}\nx:2,002,111,0.25,'=cmd\n"


@pytest.mark.parametrize("kind", ["embedded", "public", "table"])
def test_what_quotes_no_text_is_promoted_as_it_is(build, kind):
    make, put = build
    study = make(kind)
    put(study, "b_table_4", **PLAIN)
    put(study, "b_fig_5", svg="<svg/>\n", png="P", csv="a\n1\n")
    written = publish(study)
    assert {file.name for file in written} == set(files(study)) == {file.name for file in study.folder.iterdir()}
    assert all((study.folder / name).read_bytes() == content for name, content in files(study).items())
    lines, good = verify(study)
    assert good and [line.split()[:2] for line in lines] == [
        ["identical", name] for name in ("b_fig_5.csv", "b_table_4.csv", "b_table_4_runs.csv")
    ]


def test_texts_of_the_embedded_reviews_are_ours_to_publish(build):
    make, put = build
    study = make("embedded")
    put(study, "b_table_1", quotes=True, columns=["text"], csv=TEXTS, md=SECRET, tex=SECRET)
    put(study, "x_b_attention", quotes=True, svg=SECRET)
    publish(study)
    assert files(study)["b_table_1.csv"] == TEXTS.encode() and SECRET.encode() in files(study)["x_b_attention.svg"]
    assert verify(study)[1]


@pytest.mark.parametrize("kind", ["public", "table"])
def test_texts_of_others_stay_in_the_build(build, kind):
    make, put = build
    study = make(kind)
    put(study, "b_table_1", quotes=True, columns=["text"], csv=TEXTS, md=SECRET, tex=SECRET)
    put(study, "x_b_attention", quotes=True, svg=SECRET)
    publish(study)
    public = files(study)
    assert set(public) == {f"b_table_1.{suffix}" for suffix in ("csv", "md", "tex", "provenance.json")}
    assert not any(SECRET.encode() in content for content in public.values())
    assert public["b_table_1.csv"].decode() == "id,platform,votes,length\nx:1,001,010,1.5\nx:2,002,111,0.25\n"
    assert "| x:1 | 001 | 010 | 1.500 |" in public["b_table_1.md"].decode()
    assert r"x:2 & 002 & 111 & 0.250 \\" in public["b_table_1.tex"].decode()


@pytest.mark.parametrize("kind", ["public", "table"])
def test_a_build_with_texts_agrees_with_its_reference_without_them(build, kind):
    make, put = build
    study = make(kind)
    put(study, "b_table_1", quotes=True, columns=["text"], csv=TEXTS)
    publish(study)
    assert verify(study) == (["identical  b_table_1.csv"], True)


def test_a_table_of_ones_own_reaches_the_reference_without_a_word_of_its_texts(home):
    rows = [(text, label) for text, label, _ in reviews(60, ("",))]
    table = write_csv(home / "mine.csv", ("评论", "标签"), rows)
    overrides = SETTINGS | {"seeds": 1, "ablation_seeds": 1}
    study = Study(str(table), "smoke", quote_texts=True, overrides=overrides, workers=1)
    for name in ("b_table_1", "b_table_2", "x_b_attention", "x_corpus", "x_notes"):
        show(study, name)
    publish(study)
    words = {word for words in study.prepared("mine").words for word in words if len(word) > 1}
    assert len(words) > 20
    for name, content in files(study).items():
        found = [word for word in words if word.encode() in content]
        assert not found, f"{name} holds {found}"
    assert set(files(study)) >= {"b_table_1.csv", "b_table_2.csv", "x_corpus.md"}
    assert verify(study)[1]


def test_a_whole_study_agrees_with_itself(embedded):
    study, _ = embedded
    publish(study)
    lines, good = verify(study)
    assert good and {line.split()[0] for line in lines} == {"identical"}
    assert len(lines) == len(list(study.folder.glob("*.csv")))


def reference(build, csv: str) -> tuple:
    make, put = build
    study = make("embedded")
    put(study, "b_table_4", csv=csv)
    publish(study)
    return study, lambda text: (study.folder / "b_table_4.csv").write_text(text, encoding="utf-8")


@pytest.mark.parametrize(
    ("ours", "says", "good"),
    [
        ("model,a,b\nA,0.9,1\n", "identical  b_table_4.csv", True),
        ("model,a,b\nA,0.915,1\n", "close      b_table_4.csv: largest difference 0.0150 (accepted: 0.02)", True),
        (
            "model,a,b\nA,0.900000001,1.0\n",
            "close      b_table_4.csv: largest difference 0.0000 (accepted: 0.02)",
            True,
        ),
        ("model,a,b\nA,0.95,1\n", "different  b_table_4.csv: largest difference 0.0500 (accepted: 0.02)", False),
        ("model,a,b\nA,inf,1\n", "different  b_table_4.csv: largest difference inf (accepted: 0.02)", False),
        ("model,a,b\nA,nan,1\n", "different  b_table_4.csv: largest difference inf (accepted: 0.02)", False),
        ("model,a,b\nA,,1\n", "different  b_table_4.csv: row 2, a: '', the reference has '0.9'", False),
        ("model,a,b\nB,0.9,1\n", "different  b_table_4.csv: row 2, model: 'B', the reference has 'A'", False),
        ("model,a,b\nA,0.9,1\nB,0.9,1\n", "different  b_table_4.csv: 2 rows, the reference has 1", False),
        ("model,a\nA,0.9\n", "different  b_table_4.csv: other columns (of the reference's, ['b'] differs)", False),
        (
            "model,b,a\nA,1,0.9\n",
            "different  b_table_4.csv: other columns (of the reference's, the order differs)",
            False,
        ),
        (None, "missing    b_table_4.csv: not built here", False),
    ],
)
def test_what_a_comparison_says(build, ours, says, good):
    study, write = reference(build, "model,a,b\nA,0.9,1\n")
    if ours is None:
        (study.folder / "b_table_4.csv").unlink()
    else:
        write(ours)
    assert verify(study) == ([says], good)


FILE = "b_table_4.csv: largest difference"
ABACUS = "the reference is of another processor, Abacus"


def computed_on(study: Study, theirs: str, ours: str, runs: int) -> None:
    """Name the processors of the reference and of the build, and how many runs were made."""
    for folder, name in ((paths.figures() / study.name, theirs), (study.folder, ours)):
        record = folder / "b_table_4.provenance.json"
        record.write_text(json.dumps(json.loads(record.read_text()) | {"processor": name, "runs": runs}))


NEAR = f"{FILE} 0.0500"


def test_a_processor_that_the_reference_does_not_name_may_be_another_one(build):
    study, write = reference(build, "model,n_seeds,a\nA,5,0.5\nB,5,0.8\n")
    write("model,n_seeds,a\nA,5,0.55\nB,5,0.8\n")
    record = study.folder / "b_table_4.provenance.json"
    record.write_text(json.dumps(json.loads(record.read_text()) | {"processor": "Curta", "runs": 9}))
    assert verify(study) == ([f"elsewhere  {NEAR}; the reference is of another processor, which is not known"], True)


def test_a_build_of_several_settings_is_not_published(build):
    make, put = build
    study = make("embedded")
    put(study, "b_table_4", **PLAIN)
    put(study, "b_table_3", profile={"gamma": 4.0}, **PLAIN)
    with pytest.raises(
        InputError,
        match=r"made with other settings \(gamma\): b_table_3; give those of the build",
    ):
        publish(study)
    put(study, "b_table_3", profile={"seeds": 9}, **PLAIN)
    assert said_of_others(study) == "", "more seeds are surer, not of something else"
    with pytest.raises(InputError, match=r"\(seeds\)"):
        publish(study)
    assert not paths.figures().exists()
    put(study, "b_table_3", **PLAIN)
    put(study, "x_of_other_code", profile={"gamma": 4.0}, **PLAIN)
    publish(study)
    study.sources = ()
    with pytest.raises(InputError, match=r"\(texts\)"):
        publish(study)
    study.kind = "public"
    publish(study)  # what is asked of a download is asked where it is read


@pytest.mark.parametrize("path", sorted(paths.ROOT.glob("README*.md")), ids=lambda path: path.name)
def test_the_tables_of_the_readmes_are_those_of_the_reference(path, monkeypatch):
    monkeypatch.delenv("PAPERKIT_FIGURES", raising=False)
    text = path.read_text(encoding="utf-8")
    assert "<!-- figures/" in text and fill(text) == text


def test_the_ledger_rests_on_runs_of_others(tmp_path):
    assert _trained(tmp_path, "claims") and _trained(tmp_path, "claims_runs") and not _trained(tmp_path, "x_corpus")


@pytest.mark.parametrize(
    ("ours", "runs", "says"),
    [
        ("model,n_seeds,a\nA,5,0.55\nB,5,0.8\n", 9, f"elsewhere  {NEAR}; {ABACUS}"),
        ("model,n_seeds,a\nA,5,0.51\nB,5,0.8\n", 9, f"close      {FILE} 0.0100 (accepted: 0.02)"),
        ("model,n_seeds,a\nA,5,0.55\nB,5,0.8\n", 0, f"different  {NEAR}, though nothing was trained for it; {ABACUS}"),
        ("model,n_seeds,a\nA,6,0.5\nB,5,0.8\n", 9, f"different  {FILE} 0.2000, n_seeds is another one; {ABACUS}"),
        ("model,n_seeds,a\nA,5,0\nB,5,0\n", 9, f"different  {FILE} 0.8000, the mean of a is another one; {ABACUS}"),
        ("model,n_seeds,a\nA,5,nan\nB,5,0.8\n", 9, f"different  {FILE} inf (accepted: 0.02)"),
        ("model,n_seeds,a\nA,5,0.55\n", 9, "different  b_table_4.csv: 1 rows, the reference has 2"),
    ],
)
def test_another_processor_explains_what_another_seed_would_and_no_more(build, ours, runs, says):
    study, write = reference(build, "model,n_seeds,a\nA,5,0.5\nB,5,0.8\n")
    write(ours)
    computed_on(study, theirs="Abacus", ours="Curta", runs=runs)
    assert verify(study) == ([says], says[:9] != "different")
    computed_on(study, theirs="Abacus", ours="Abacus", runs=runs)
    assert verify(study)[1] == says.startswith("close"), "on the same processor the tolerance decides"


@pytest.mark.parametrize("start", ["a_", ""])
@pytest.mark.parametrize(
    ("ours", "apart"),
    [
        (["0.9,0.71,0.95", "0.9,0.71,0.95"], 0),  # within the tolerance of its end
        (["0.9,0.73,0.95"], 0),  # 1 of 20 is accepted
        (["0.9,0.9,0.9", "0.4,0.4,0.4"], 0),  # no spread to speak of
        (["0.9,0.73,0.95", "0.4,0.3,0.47"], 2),
    ],
)
def test_intervals_beside_the_reference_are_a_disagreement_on_any_processor(build, ours, apart, start):
    head, same, single = f"a_mean,{start}low,{start}high\n", "0.6,0.5,0.7", "0.6,,"
    study, write = reference(build, head + "\n".join([same] * 20 + [single]) + "\n")
    write(head + "\n".join([*ours, *[same] * (20 - len(ours)), "0.9,,"]) + "\n")
    computed_on(study, theirs="Abacus", ours="Curta", runs=20)
    (line,), good = verify(study)
    assert line.startswith("elsewhere" if good else "different") and good == (not apart)
    assert (f"{apart} of 20 intervals lie apart; {ABACUS}" in line) == bool(apart)


@pytest.mark.parametrize(("steps", "good"), [("50", True), ("480", False)])
def test_a_column_without_intervals_is_looked_at_beside_those_with(build, steps, good):
    study, write = reference(build, "steps,a_mean,a_low,a_high\n48,0.5,0.4,0.6\n52,0.6,0.5,0.7\n")
    write(f"steps,a_mean,a_low,a_high\n{steps},0.55,0.45,0.65\n{steps},0.6,0.5,0.7\n")
    computed_on(study, theirs="Abacus", ours="Curta", runs=20)
    (line,), agrees = verify(study)
    assert agrees == good and ("the mean of steps is another one" in line) == (not good)


def test_what_is_unknowable_on_both_sides_agrees(build):
    study, write = reference(build, "model,a,b\nA,,inf\nB,0.5,\n")
    write("model,a,b\nA,,inf\nB,0.51,\n")
    assert verify(study) == (["close      b_table_4.csv: largest difference 0.0100 (accepted: 0.02)"], True)
    assert math.isclose(TOLERANCE, 0.02)


def test_a_build_may_hold_more_than_the_reference(build):
    study, _ = reference(build, "a\n1\n")
    (study.folder / "x_new.csv").write_text("a\n1\n")
    assert verify(study) == (["identical  b_table_4.csv"], True)


def test_without_a_build_there_is_nothing_to_publish_and_nothing_is_written(build):
    make, _ = build
    study = make("embedded")
    with pytest.raises(
        InputError, match=r"nothing is built in .*; run make paper with the same DATA and PROFILE first"
    ):
        publish(study)
    assert not paths.figures().exists()


def test_without_a_reference_there_is_nothing_to_compare_with(build):
    make, put = build
    study = make("embedded")
    put(study, "b_table_4", **PLAIN)
    with pytest.raises(InputError, match=r"there is no committed reference in .*; make publish makes one"):
        verify(study)
    assert not paths.figures().exists()


def test_publishing_again_replaces(build):
    study, write = reference(build, "a\n1\n")
    write("a\n5\n")
    publish(study)
    assert pd.read_csv(paths.figures() / "embedded" / "b_table_4.csv").a.tolist() == [5]


def test_what_other_code_left_in_a_build_is_no_exhibit(build):
    study, _ = reference(build, "a\n1\n")
    build[1](study, "x_that_was", **PLAIN)
    assert [facts["exhibit"] for _, facts in records(study.folder)] == ["b_table_4"]
    assert "x_that_was" not in [item.name for item in report.collect(study.folder)]
    publish(study)
    assert not list((paths.figures() / "embedded").glob("x_that_was*"))


def test_publishing_again_drops_what_an_exhibit_no_longer_has(build):
    study, _ = reference(build, "a\n1\n")
    old = paths.figures() / "embedded" / "b_table_4_runs.csv"
    old.write_text("seed,a\n0,1\n")
    other = old.with_name("b_table_3_runs.csv")
    other.write_text("seed,a\n0,1\n")
    publish(study)
    assert not old.exists() and other.exists(), "of another exhibit nothing is known"


def test_a_document_gets_the_tables_of_the_reference(home):
    table = paths.figures() / "public" / "b_table_4.md"
    table.parent.mkdir(parents=True)
    table.write_text("**Table 4.**\n表4\n\n| a | b |\n| --- | --- |\n| \\| 1 | 2 |\n\nA note.\n", encoding="utf-8")
    document = "# A\n\n<!-- figures/public/b_table_4.md -->\nold\n<!-- end -->\n\nB\n"
    filled = fill(document)
    rows = "| a | b |\n| --- | --- |\n| \\| 1 | 2 |"
    assert filled == f"# A\n\n<!-- figures/public/b_table_4.md -->\n\n{rows}\n\n<!-- end -->\n\nB\n"
    assert fill(filled) == filled
    missing = document.replace("b_table_4", "b_table_9")
    assert fill(missing) == missing and fill("no block") == "no block"


@pytest.fixture
def measured(build):
    """A build with the numbers of one claim's exhibit, and the ledger of it."""
    make, put = build
    study = make("embedded")
    study.profile, study.kind = Study("embedded", "smoke").profile, "embedded"
    study.text = study.label = study.split = study.platform = None
    study.overrides, study.data = {}, "embedded"

    def with_accuracy(focal: float) -> SimpleNamespace:
        names = ("Bi-LSTM", "Bi-LSTM-Att", "Bi-LSTM-Att-Focal")
        rows = ["corpus,train_on,test_on,model,seed,accuracy"]
        rows += [f"reviews,a,a,{name},{seed},{0.8 + 0.001 * seed + (focal - 0.8) * name.endswith('Focal'):.4f}"
                 for name in names for seed in range(5)]  # fmt: skip
        put(study, "b_table_4", csv="a\n1\n", runs="\n".join(rows) + "\n")
        redraw(study, study.folder)
        return study

    return with_accuracy


def verdict(folder, claim: str) -> str:
    rows = pd.read_csv(folder / "claims.csv").set_index("id")
    return rows.verdict[claim]


def test_the_committed_ledger_is_drawn_from_what_is_committed_not_from_what_the_build_wrote(measured):
    study = measured(0.99)
    target = paths.figures() / "embedded"
    assert verdict(study.folder, "B5a") == "supported"
    with (study.folder / "claims.csv").open("a") as file:
        file.write("written by a hand\n")
    written = {file.name for file in publish(study)}
    assert {"claims.csv", "claims.md", "claims_runs.csv", "x_claims.svg", "b_table_4_runs.csv"} <= written
    assert check(target) == [] and verdict(target, "B5a") == "supported"


def test_a_verdict_that_turns_at_the_border_is_said_and_is_no_difference(measured):
    publish(measured(0.959))
    lines, good = verify(measured(0.941))
    (line,) = (line for line in lines if " claims.csv" in line)
    assert good and line.startswith("close") and line.endswith("with it turns the verdict on B5a")


def test_a_claim_that_only_the_build_measures_is_no_difference(measured):
    study = measured(0.97)
    publish(study)
    runs = (study.folder / "b_table_4_runs.csv").read_text()
    (study.folder / "b_table_3_runs.csv").write_text(runs.replace(",a,a,", ",a,b,"))
    redraw(study, study.folder)
    lines, good = verify(study)
    assert verdict(study.folder, "B5b") == "supported" and good, lines
