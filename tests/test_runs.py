"""Runs as their users meet them: asked for, trained once, the same bytes however many workers there are."""

import os
import pickle
import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from safetensors.numpy import load_file

from paperkit import code, paths, runs
from paperkit.papers import MAJORITY, SVM, paper_b
from paperkit.runs import RunSpec, Source
from paperkit.store import Store
from paperkit.terms import Contrast
from paperkit.text import words
from paperkit.text.lexicon import lexicon
from paperkit.text.prepare import TextOptions
from paperkit.training import execute
from paperkit.training.methods import Schedule
from paperkit.training.numerics import numerics
from tests.tiny import tiny_table

PLAIN, ATTENTION, FOCAL = paper_b(2.0, "inverse")


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> Source:
    """The tiny corpus as somebody's table."""
    path = tmp_path_factory.mktemp("data") / "mine.csv"
    table = tiny_table()
    table["label"] = table.label.map({0: "bad", 1: "good", -1: ""})
    table[["text", "label", "split", "platform"]].to_csv(path, index=False)
    return Source(str(path), text="text", label="label", split="split", platform="platform")


@pytest.fixture(scope="module")
def spec(source) -> RunSpec:
    text, schedule = TextOptions(vector_size=6, vector_epochs=1), Schedule(epochs=2, batch_size=16, learning_rate=0.02)
    return RunSpec(source, "ctrip", FOCAL, text, schedule, seed=0)


@pytest.fixture(scope="module")
def specs(spec) -> list[RunSpec]:
    return [spec, replace(spec, method=SVM), replace(spec, seed=1), replace(spec, train_on="qunar", method=PLAIN)]


@pytest.fixture(scope="module")
def finished(specs, tmp_path_factory):
    """The runs of one worker, which is this process."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("alone")
        patch.setenv("PAPERKIT_STORE", str(folder))
        done = runs.get(specs, workers=1)
        assert {run.folder.parent for run in done} == {folder / "runs"}, "the default store"
        return done


def test_the_runs_in_the_order_asked_for(specs, finished):
    assert [run.spec for run in finished] == specs
    assert [len(run.history) for run in finished] == [2, 0, 2, 2]


def test_workers_change_the_time_and_nothing_else(specs, finished, store):
    for one, other in zip(finished, runs.get(specs, store, workers=2), strict=True):
        assert one.folder != other.folder and one.folder.name == other.folder.name
        assert one.result | {"seconds": 0} == other.result | {"seconds": 0}
        for file in ("outputs.safetensors", "weights.safetensors", "steps.safetensors"):
            if (one.folder / file).exists() or file.startswith("outputs"):
                assert (one.folder / file).read_bytes() == (other.folder / file).read_bytes()


def test_finished_runs_are_read(specs, finished, monkeypatch):
    def never(*_):
        raise AssertionError("trained again")

    monkeypatch.setattr(runs, "train", never)
    store = Store(finished[0].folder.parent.parent)
    again = runs.get([specs[2], specs[0], specs[2]], store)
    assert [run.folder for run in again] == [finished[i].folder for i in (2, 0, 2)]
    assert specs[0].find(store).folder == finished[0].folder
    assert replace(specs[0], seed=7).find(store) is None
    assert runs.get([], store) == []


def test_each_run_is_trained_once(spec, store, monkeypatch):
    trained = []
    monkeypatch.setattr(runs, "train", lambda each, _: trained.append(each.identity))
    equal_but_for_a_dot = replace(spec, method=replace(FOCAL, gamma=2))
    assert equal_but_for_a_dot == spec and equal_but_for_a_dot.identity is not spec.identity
    renamed = replace(spec, method=replace(FOCAL, name="Another name"))
    asked = [spec, spec, equal_but_for_a_dot, renamed]
    got = runs.get(asked, store, workers=1)
    folders = {store.folder(runs.KIND, each.identity) for each in asked}
    assert {run.folder for run in got} == folders == {store.folder(runs.KIND, identity) for identity in trained}
    assert len(trained) == len(folders)


def test_an_interrupted_run_goes_on(spec, finished, store, monkeypatch):
    original = execute._train

    def interrupted(*arguments):
        def stop(epoch):
            raise KeyboardInterrupt

        return original(*arguments[:-1], stop)

    monkeypatch.setattr(execute, "_train", interrupted)
    with pytest.raises(KeyboardInterrupt):
        runs.get([spec], store, workers=1)
    assert spec.find(store) is None
    monkeypatch.setattr(execute, "_train", original)
    epochs = []

    def counting(*arguments):
        return original(*arguments[:-1], lambda epoch: (epochs.append(epoch), arguments[-1](epoch)))

    monkeypatch.setattr(execute, "_train", counting)
    (run,) = runs.get([spec], store, workers=1)
    assert epochs == [2]
    for file in ("outputs.safetensors", "weights.safetensors", "steps.safetensors"):
        assert (run.folder / file).read_bytes() == (finished[0].folder / file).read_bytes()
    assert run.result["history"] == finished[0].result["history"]


def test_which_rows_a_run_was_tested_on(spec, finished):
    run = finished[0]
    table = spec.source.load().table
    has_words = [bool(each) for each in words.segment(table.text, "zh")]

    def expected(platform, *splits):
        return [
            row
            for row, each in enumerate(table.itertuples())
            if each.platform == platform and each.split in splits and each.status == "core" and has_words[row]
        ]

    for platform, split, rows in (
        ("ctrip", "test", expected("ctrip", "test")),
        ("ctrip", "dev", expected("ctrip", "dev")),
        ("qunar", "test", expected("qunar", "train", "dev", "test")),
        ("qunar", "dev", []),
        ("nowhere", "test", []),
    ):
        found, labels, logits = run.on(platform, split)
        assert found.tolist() == rows
        assert labels.tolist() == table.label[rows].tolist()
        place = {row: at for at, row in enumerate(run.outputs["rows"].tolist())}
        assert logits.tolist() == [run.outputs["logits"][place[row]].tolist() for row in rows]
    assert run.on("ctrip")[0].tolist() == expected("ctrip", "test"), "test is the default"
    assert len(expected("ctrip", "test")) == 13 and len(expected("qunar", "train", "dev", "test")) == 65


CHANGES = {
    "train_on": "qunar",
    "method": ATTENTION,
    "text": TextOptions(vector_size=7, vector_epochs=1),
    "schedule": Schedule(epochs=3, batch_size=16, learning_rate=0.02),
    "seed": 1,
}


@pytest.mark.parametrize("field", CHANGES)
def test_every_part_of_a_run_is_in_its_identity(spec, field):
    assert replace(spec, **{field: CHANGES[field]}).identity != spec.identity


def test_a_run_is_known_by_the_device_that_it_is_trained_on_not_by_how_that_was_asked_for(spec, monkeypatch):
    asked = [replace(spec, schedule=replace(spec.schedule, device=device)) for device in ("cpu", "auto")]
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert asked[0].identity == asked[1].identity


def test_names_are_not_in_its_identity(spec, tmp_path):
    assert replace(spec, method=replace(FOCAL, name="Another name")).identity == spec.identity
    elsewhere = shutil.copy(spec.source.name, tmp_path)
    assert replace(spec, source=replace(spec.source, name=str(elsewhere))).identity == spec.identity
    runs._load.cache_clear()
    with open(elsewhere, "a", encoding="utf-8") as file:
        file.write("很干净,good,train,ctrip\n")
    other = replace(spec, source=replace(spec.source, name=str(elsewhere)))
    assert other.identity != spec.identity, "but the texts are"
    runs._load.cache_clear()


def test_code_and_numerics_are_in_its_identity(spec, monkeypatch):
    def fresh():
        return replace(spec).identity

    before = fresh()
    digest = code.digest
    monkeypatch.setattr(
        code, "digest", lambda module: "other" if module == "paperkit.training.execute" else digest(module)
    )
    assert fresh() != before
    monkeypatch.setattr(code, "digest", digest)
    assert fresh() == before
    monkeypatch.setattr(runs, "numerics", lambda device: {"chip": "another"})
    assert fresh() != before


def test_the_lexicon_of_negatives_is_in_its_identity(spec, tmp_path, monkeypatch):
    plain, negative = (
        replace(spec, method=replace(FOCAL, contrast=Contrast(eda_negatives=each))) for each in (False, True)
    )
    before = [replace(each).identity for each in (plain, negative)]
    shutil.copytree(paths.DATA / "lexicon", tmp_path / "lexicon")
    shutil.copytree(paths.DATA / "words", tmp_path / "words")
    with open(tmp_path / "lexicon" / "antonyms_zh.txt", "a", encoding="utf-8") as file:
        file.write("山顶 | 山脚\n")
    monkeypatch.setattr(paths, "DATA", tmp_path)
    lexicon.cache_clear()
    try:
        assert replace(plain).identity == before[0] and replace(negative).identity != before[1]
    finally:
        lexicon.cache_clear()


def test_the_stop_list_is_in_its_identity(spec, tmp_path, monkeypatch):
    before = replace(spec).identity
    shutil.copytree(paths.DATA / "words", tmp_path / "words")
    with open(tmp_path / "words" / "stop_zh.txt", "a", encoding="utf-8") as file:
        file.write("酒店\n")
    monkeypatch.setattr(paths, "DATA", tmp_path)
    words.word_list.cache_clear()
    try:
        assert replace(spec).identity != before
    finally:
        words.word_list.cache_clear()


def test_a_reference_row_has_one_run(spec):
    svm = replace(spec, method=SVM)
    assert replace(svm, seed=5, schedule=Schedule(epochs=9)).identity == svm.identity
    assert svm.identity != replace(spec, method=MAJORITY).identity
    assert replace(svm, text=TextOptions(stop_words="none")).identity != svm.identity


def test_numerics_name_what_can_change_a_digit():
    found = numerics("cpu")
    assert set(found) == {"torch", "numpy", "scikit-learn", "python", "machine", "device", "chip"}
    assert found["device"] == "cpu" and found["torch"] == code.versions("torch")["torch"]
    assert numerics("auto")["device"] in ("cpu", "cuda")


def test_a_spec_travels(spec):
    there = pickle.loads(pickle.dumps(spec))
    assert there == spec and there.identity == spec.identity


def test_long_runs_come_first(spec):
    short, long = replace(spec, schedule=Schedule(epochs=1)), replace(spec, schedule=Schedule(epochs=9))
    svm = replace(spec, method=SVM)
    assert runs.in_good_order([svm, spec, long]) == [long, spec, svm]
    assert runs.in_good_order([short, spec])[0] == spec


def test_workers_are_as_many_as_asked_for_and_never_more_than_runs(spec, store, monkeypatch):
    import joblib

    asked = []

    class Recording:
        def __init__(self, n_jobs, **_):
            asked.append(n_jobs)

        def __call__(self, jobs):
            return (None for _ in jobs)

    monkeypatch.setattr(joblib, "Parallel", Recording)
    many = [replace(spec, seed=seed) for seed in range(4)]
    monkeypatch.setattr(runs, "train", lambda *_: asked.append("here"))
    for has_affinity in (True, False):  # macOS has none
        if not has_affinity:
            monkeypatch.delattr(os, "sched_getaffinity", raising=False)
        for workers, expected in ((2, [2]), (3, [3]), (9, [4]), (1, ["here"] * 4)):
            asked.clear()
            runs.get(many, store, workers)
            assert asked == expected
        assert runs.cores() >= 1


ORPHAN = """
import os, sys, time
from paperkit import runs

parent = os.getpid()
alive, tell = os.pipe()
if os.fork() == 0:
    runs._exit_with(parent)
    print("watching", flush=True)
    os.write(tell, b"!")
    time.sleep(600)
os.read(alive, 1)
os._exit(0)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_worker_ends_with_its_parent():
    environment = {**os.environ, "PYTHONPATH": str(paths.ROOT)}
    # its output ends when the last process that holds it has ended
    done = subprocess.run(
        [sys.executable, "-c", ORPHAN], stdout=subprocess.PIPE, text=True, timeout=60, env=environment
    )
    assert done.stdout == "watching\n"


def test_nothing_in_the_store_is_a_pickle(finished):
    root = finished[0].folder.parent.parent
    files = [file for kind in ("runs", "vectors", "words") for file in (root / kind).rglob("*") if file.is_file()]
    assert {file.suffix for file in files} == {".json", ".safetensors", ".txt"}
    assert all(load_file(file) for file in files if file.suffix == ".safetensors")
    assert [f.name for f in (root / "working").iterdir() if f.suffix != ".lock"] == [], "nothing is left over"


def test_arrays_are_what_they_should_be(finished):
    for run in finished:
        assert run.outputs["rows"].dtype == np.int64 and run.outputs["logits"].dtype == np.float32
        assert len(run.outputs["rows"]) == len(run.outputs["logits"]) == len(set(run.outputs["rows"].tolist()))
