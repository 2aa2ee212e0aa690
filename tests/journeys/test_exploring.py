"""Someone moves a slider: what depends on it is computed again, and nothing else."""

import pytest

from paperkit.exhibits import explore
from paperkit.exhibits.exhibit import show
from paperkit.study import Study
from paperkit.text.words import segment
from tests.journeys.conftest import ONE
from tests.small import reviews, write_csv


@pytest.fixture
def table(new_home) -> str:
    home = new_home("explorer")
    rows = [(text, label) for text, label, _ in reviews(80, ("",))]
    return str(write_csv(home.root / "mine.csv", ("评论", "标签"), rows))


def entries(study: Study, kind: str) -> dict[str, list[tuple]]:
    """What lies in the store, with what would betray that it was written again."""
    folder = study.store.root / kind
    return {
        entry.name: [(file.name, file.stat().st_ino, file.stat().st_mtime_ns) for file in sorted(entry.iterdir())]
        for entry in folder.iterdir()
    }


def test_another_gamma_trains_the_focal_model_alone(table):
    study = Study(table, "smoke", overrides=ONE, workers=1)
    first = show(study, "b_table_4").content.body.set_index("model")
    before = {kind: entries(study, kind) for kind in ("runs", "words", "vectors")}
    assert len(before["runs"]) == 5

    moved = Study(table, "smoke", overrides=ONE | {"gamma": 4}, workers=1)
    assert [spec.method.name for spec in moved.paper_b_specs() if spec.find(moved.store) is None] == [
        "Bi-LSTM-Att-Focal"
    ]
    second = show(moved, "b_table_4").content.body.set_index("model")
    after = {kind: entries(study, kind) for kind in ("runs", "words", "vectors")}
    assert before["words"] == after["words"] and before["vectors"] == after["vectors"]
    assert {name: after["runs"][name] for name in before["runs"]} == before["runs"], "the others are as they were"
    assert len(after["runs"]) == 6
    others = [model for model in first.index if model != "Bi-LSTM-Att-Focal"]
    assert first.loc[others].equals(second.loc[others])

    back = Study(table, "smoke", overrides=ONE | {"gamma": 2}, workers=1)
    assert show(back, "b_table_4").content.body.set_index("model").equals(first)
    assert {kind: entries(study, kind) for kind in after} == after, "moved back: nothing is computed"


@pytest.mark.parametrize(
    ("setting", "value", "networks", "vectors"),
    [
        ("gamma", 2.0, 0, 0),
        ("seeds", 2, 3, 0),
        ("alpha", None, 1, 0),
        ("epochs", 3, 3, 0),
        ("max_length", 20, 3, 0),
        ("algorithm", "skip-gram", 3, 1),
        ("ablation_seeds", 5, 0, 0),
    ],
)
def test_what_a_setting_makes_necessary(table, setting, value, networks, vectors):
    study = Study(table, "smoke", overrides=ONE, workers=1)
    study.prepared("mine")
    known = {tuple(spec.identity.items()).__repr__() for spec in study.paper_b_specs() if spec.method.seeded}
    moved = Study(table, "smoke", overrides=ONE | {setting: value}, workers=1)
    asked = {tuple(spec.identity.items()).__repr__() for spec in moved.paper_b_specs() if spec.method.seeded}
    assert len(asked - known) == networks
    moved.prepared("mine")
    assert len(entries(study, "vectors")) == 1 + vectors and len(entries(study, "words")) == 1


def test_words_are_cut_once(table, monkeypatch):
    study = Study(table, "smoke", overrides=ONE, workers=1)
    study.prepared("mine")
    monkeypatch.setattr("paperkit.text.prepare.segment", lambda *_: pytest.fail("cut again"))
    Study(table, "smoke", overrides=ONE | {"gamma": 1}, workers=1).prepared("mine")
    assert segment(["很好"], "zh")


def test_a_slider_is_a_picture_where_nobody_looks(monkeypatch):
    calls = []
    monkeypatch.setenv("PAPERKIT_HEADLESS", "1")
    explore.explore(lambda gamma, alpha: calls.append((gamma, alpha)), gamma=(0, 5, 0.5, 2.0), alpha=(0, 1, 0.05, 0.25))
    assert calls == [(2.0, 0.25)]


def test_a_slider_draws_where_someone_looks(monkeypatch):
    shown = []
    monkeypatch.delenv("PAPERKIT_HEADLESS", raising=False)
    monkeypatch.setattr("ipywidgets.interact", lambda draw, **controls: shown.append((draw, controls)))

    def draw(gamma):
        pytest.fail("only the widget draws")

    explore.explore(draw, gamma=(0, 5, 0.5, 2.0))
    ((called, controls),) = shown
    slider = controls["gamma"]
    assert called is draw and (slider.min, slider.max, slider.step, slider.value) == (0, 5, 0.5, 2.0)
