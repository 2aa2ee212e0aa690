"""`make plan`: what is missing is what training would train, and minutes come from this machine's own runs."""

import json
import re
from dataclasses import replace

import pytest

from paperkit import runs
from paperkit.plan import BYTES_PER_RUN, SPEED, _seconds, describe
from paperkit.store import Store
from paperkit.study import Study
from paperkit.training.loop import total_steps
from tests.small import SETTINGS, tickets, write_csv


@pytest.fixture
def study(tiny, store, monkeypatch) -> Study:
    """A study of the hand-made corpus whose store is empty: two platforms, two seeds."""
    monkeypatch.setattr(runs, "_load", lambda source: tiny)
    monkeypatch.setattr(Store, "default", lambda: store)
    return Study("embedded", "smoke", overrides=SETTINGS | {"vector_size": 100}, workers=2)


def finish(study, specs, seconds=2.0, words=1000, epochs=2, size=500):
    """Make runs look finished, as training would leave them."""
    for spec in specs:

        def build(folder, spec=spec):
            history = [{"epoch": n} for n in range(epochs if spec.method.seeded else 0)]
            (folder / "run.json").write_text(json.dumps({"history": history, "train_words": words, "seconds": seconds}))
            (folder / "weights.safetensors").write_bytes(b"w" * size)

        study.store.get(runs.KIND, spec.identity, build)


def test_one_run_at_a_time_on_a_gpu_unless_asked_and_one_per_core_elsewhere(monkeypatch):
    monkeypatch.setattr(runs, "cores", lambda: 16)
    for there, expected in ((True, 1), (False, 16)):
        monkeypatch.setattr("torch.cuda.is_available", lambda there=there: there)
        assert Study("embedded", "gpu").at_once == expected
        assert Study("embedded", "cpu").at_once == 16
        assert Study("embedded", "gpu", workers=3).at_once == 3


def line(text: str, name: str) -> str:
    (found,) = (line for line in text.splitlines() if line.startswith(name))
    return found


def test_an_empty_store_misses_everything_and_says_that_it_guesses(study):
    said = describe(study)
    specs = study.plan()
    assert len(set(study.paper_b_specs())) == 2 * (3 * 2 + 2)
    assert sum(len(specs) for specs in study.ablation_specs().values()) == 8 * 2, "of which the first is in the tables"
    assert sum(len(specs) for specs in study.ten_specs().values()) == 2 * (10 + 2)
    assert sum(len(specs) for specs in study.learning_specs().values()) == 2 * 2 * 2, "of which half are in the tables"
    tables = (study.ablation_specs, study.surface_specs, study.learning_specs, study.encoder_specs, study.ten_specs,
              study.relative_specs, study.sentence_specs, study.share_specs, study.length_specs, study.noise_specs,
              study.pool_specs, study.branch_specs, study.budget_specs, study.variant_specs, study.further_specs)  # fmt: skip
    asked = [spec for table in tables for row in table().values() for spec in row] + study.paper_b_specs()
    assert set(specs) <= set(asked)
    nameless = [replace(spec, method=replace(spec.method, name="")) for spec in specs]
    assert len(nameless) == len(set(nameless)), "a run that has two names is planned once"
    assert set(nameless) == {replace(spec, method=replace(spec.method, name="")) for spec in asked}
    assert line(said, "runs") == f"runs     {len(specs)}, of which {len(specs)} are missing"
    assert said.startswith(study.summary())
    assert sum(int(count) for count in re.findall(r"^ +(\d+) × ", said, flags=re.MULTILINE)) == len(specs)
    assert "  2 × Bi-LSTM on ctrip" in said and "  1 × Majority on qunar" in said
    assert "with 2 at a time (by a guess: no run of this size was finished here yet)" in line(said, "time")
    assert f"about {len(specs) * BYTES_PER_RUN / 1e6:.0f} MB more in {study.store.root}" in line(said, "disk")


def test_a_run_with_few_labels_takes_the_steps_of_one_with_all(study):
    few, all_ = (study.learning_specs()["Bi-LSTM-Att", share] for share in (0.3, 1.0))
    assert all_ == study.specs(study.models[1], "ctrip", 2), "those of the tables"
    assert {spec.method.labelled for spec in few} == {0.3} and [spec.seed for spec in few] == [0, 1]
    schedule, texts = few[0].schedule, len(study.corpus.rows("train", "ctrip"))
    assert (
        schedule.min_steps == total_steps(texts, all_[0].schedule) > total_steps(round(0.3 * texts), all_[0].schedule)
    )
    assert total_steps(round(0.3 * texts), schedule) >= schedule.min_steps
    assert replace(schedule, min_steps=0) == all_[0].schedule


def test_a_run_takes_longer_by_its_labels_and_by_the_passes_of_its_terms(study):
    plain, *_, final = (study.ten_specs()[study.large[0], name][0] for name in ("Baseline", "UDA", "UDA+ESimCSE+PGD"))
    assert _seconds(final, SPEED) == pytest.approx(_seconds(plain, SPEED) * final.method.cost / plain.method.cost)
    half = replace(plain, method=replace(plain.method, labelled=0.5))
    whole = replace(plain, method=replace(plain.method, labelled=1.0))
    assert _seconds(half, SPEED) < _seconds(whole, SPEED)


def test_one_text_of_each_class_costs_time_however_small_the_share(study):
    plain = study.ten_specs()[study.large[0], "Baseline"][0]
    tiny, smaller = (replace(plain, method=replace(plain.method, labelled=share)) for share in (1e-3, 1e-4))
    assert _seconds(tiny, SPEED) == _seconds(smaller, SPEED) > 0


def test_steps_beyond_the_epochs_cost_time(study):
    specs = study.learning_specs()["Bi-LSTM-Att", 0.3]
    usual = [replace(spec, schedule=replace(spec.schedule, min_steps=0)) for spec in specs]
    longer, plain = (sum(_seconds(spec, SPEED) for spec in each) for each in (specs, usual))
    rows = round(0.3 * len(study.corpus.rows("train", "ctrip")))
    steps = total_steps(rows, specs[0].schedule) / total_steps(rows, usual[0].schedule)
    assert steps > 1.5 and longer == pytest.approx(steps * plain)


def test_a_table_with_fewer_texts_than_a_share_asks_for_has_a_plan(tmp_path, store, monkeypatch):
    monkeypatch.setattr(Store, "default", lambda: store)
    table = write_csv(tmp_path / "small.csv", ("text", "label"), tickets({"billing": 20, "network": 20}))
    said = describe(Study(str(table), "cpu", workers=1))
    assert float(re.search(r"about ([\d.]+) minutes", said)[1]) > 0


def test_finished_runs_are_not_missing_and_are_what_time_is_measured_by(study):
    specs = study.plan()
    finish(study, specs[:5])
    said = describe(study)
    assert line(said, "runs") == f"runs     {len(specs)}, of which {len(specs) - 5} are missing"
    assert "(as 5 finished runs took here)" in line(said, "time")
    finish(study, specs[5:])
    said = describe(study)
    assert line(said, "runs").endswith("of which 0 are missing") and "about 0.0 minutes" in said
    assert "×" not in said and "about 0 MB" in said


def test_time_follows_the_speed_measured_here_and_the_number_of_workers(study):
    """Ten million words twice in 4,000 s is 5,000 words a second, a fifth of the guess; a small run says nothing of large ones."""
    long = replace(study, overrides=SETTINGS | {"epochs": 20_000, "vector_size": 100})

    def minutes(workers: int) -> float:
        return float(re.search(r"about ([\d.]+) minutes", describe(replace(long, workers=workers)))[1])

    finish(long, [spec for spec in long.plan() if not spec.method.seeded])
    guessed = minutes(2)
    finish(long, [long.spec(long.models[0], "ctrip", seed) for seed in range(90, 99)], seconds=0.4)
    assert minutes(2) == pytest.approx(guessed, rel=0.05)
    finish(long, [long.spec(long.models[0], "ctrip", seed) for seed in range(100, 104)], words=10**7, seconds=4000)
    assert minutes(2) == pytest.approx(guessed * SPEED["bilstm"] / 5000, rel=0.05)
    assert minutes(1) == pytest.approx(2 * minutes(2), rel=0.05)
    assert minutes(8) == pytest.approx(minutes(2) / 4, rel=0.05)


def test_an_encoder_costs_what_its_matrices_do_and_only_its_own_kind_is_measured(study):
    specs = [spec for row in study.ten_specs().values() for spec in row if spec.method.name == "Baseline"]
    tiny = [replace(spec, text=replace(spec.text, backbone="tiny")) for spec in specs]
    mini = [replace(spec, text=replace(spec.text, backbone="mini")) for spec in specs]
    layers = 4 * 192**2 + 2 * 192 * 768, 4 * 32**2 + 2 * 32 * 64
    assert _seconds(mini[0], SPEED) / _seconds(tiny[0], SPEED) == pytest.approx(layers[0] / layers[1])
    finish(study, [spec for spec in study.plan() if spec.method.classifier == "bilstm"])
    finish(study, mini, words=10**9)  # another encoder than this plan's, tiny
    assert "(by a guess" in describe(study), "what is missing are encoders, and no run of theirs was finished"


def test_what_is_no_run_in_the_store_is_passed_over(study):
    folder = study.store.root / runs.KIND
    (folder / "0-damaged").mkdir(parents=True)
    (folder / "0-damaged" / "run.json").write_text("{")
    (folder / "a-file").write_text("")
    finish(study, study.plan()[:1])
    assert "(as 1 finished runs took here)" in describe(study)


def test_planning_computes_nothing(study):
    describe(study)
    assert not study.store.root.exists()
