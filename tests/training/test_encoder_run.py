"""A pretrained encoder through the one loop: whole runs in both languages, interrupted ones, and where they can travel."""

import json
import shutil
import subprocess
import sys
import textwrap
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import load_file
from safetensors.torch import load_file as load_weights

from paperkit import code, paths, runs
from paperkit.corpora.corpus import assemble
from paperkit.models import backbones
from paperkit.models.linear import linear_svm
from paperkit.papers import BASELINE, SVM, paper_b
from paperkit.runs import RunSpec, Source
from paperkit.store import Store
from paperkit.text.prepare import TextOptions
from paperkit.text.tokens import TokenOptions, tokenise
from paperkit.training import loop
from paperkit.training.execute import build_model, execute, test_rows, training_rows
from paperkit.training.methods import Schedule
from tests.encoders import save_bert
from tests.small import tickets, write_csv

test_rows.__test__ = False  # not a test, whatever its name

TEXT = TokenOptions("tiny", max_length=24)
SCHEDULE = Schedule(epochs=3, batch_size=16, learning_rate=5e-3, head_learning_rate=2e-2, dropout=(0, 0, 0.1))


@pytest.fixture(scope="module")
def english():
    """Tickets of three kinds, on one platform."""
    rows = tickets({"billing": 24, "network": 20, "other": 16})
    names = ("billing", "network", "other")
    table = pd.DataFrame([(text, names.index(label)) for text, label in rows], columns=["text", "label"])
    table["id"] = [f"e:{row}" for row in range(len(table))]
    return assemble("english", table, names, "en")


@pytest.fixture
def corpora(tiny, english):
    return {"tiny": (tiny, "ctrip"), "english": (english, None)}


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """A store for the tokens, which are the same in every test."""
    return Store(tmp_path_factory.mktemp("tokens"))


def run(corpus, train_on, store, folder, text=TEXT, schedule=SCHEDULE, method=BASELINE, seed=0, **options):
    """``run.json`` and the outputs."""
    folder.mkdir(exist_ok=True)
    execute(corpus, train_on, method, text, schedule, seed, store, folder, **options)
    return json.loads((folder / "run.json").read_text()), load_file(folder / "outputs.safetensors")


@pytest.mark.parametrize("name", ["tiny", "english"])
def test_a_run_is_whole(corpora, shared, tmp_path, name):
    corpus, train_on = corpora[name]
    result, outputs = run(corpus, train_on, shared, tmp_path / "run", schedule=replace(SCHEDULE, epochs=8))
    tokens = tokenise(corpus, TEXT, shared)
    dev = corpus.rows("dev", train_on).index.tolist()
    rows = dev + test_rows(corpus, train_on).tolist()
    assert outputs["rows"].tolist() == rows, "no text is without tokens"
    assert outputs["logits"].shape == (len(rows), corpus.n_classes) and np.isfinite(outputs["logits"]).all()
    trained = training_rows(corpus, train_on, BASELINE, 0)
    assert result["n_train"] == len(trained) and result["n_words"] == tokens.vocabulary_size
    assert result["train_words"] == sum(len(tokens.texts[row]) for row in trained)
    assert {file.name for file in (tmp_path / "run").iterdir()} == {
        "run.json", "outputs.safetensors", "weights.safetensors", "steps.safetensors"}  # fmt: skip
    losses = [row["train_ce"] for row in result["history"]]
    assert len(losses) == 8 and losses[-1] < 0.8 * losses[0], "it learns"

    model = build_model(tokens, corpus.n_classes, BASELINE, SCHEDULE, seed=9, text=TEXT)
    model.load_state_dict(load_weights(tmp_path / "run" / "weights.safetensors"))
    assert np.array_equal(loop.predict(model, tokens.texts, outputs["rows"]), outputs["logits"])
    chosen = max(row["dev_accuracy"] for row in result["history"])
    right = outputs["logits"][: len(dev)].argmax(1) == corpus.table.label.to_numpy()[dev]
    assert right.mean() == pytest.approx(chosen)


class Killed(Exception):
    pass


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_run_killed_between_epochs_goes_on(english, shared, tmp_path, dtype):
    schedule = replace(SCHEDULE, dtype=dtype)

    def kill(at):
        def on_epoch(epoch):
            if epoch == at:
                raise Killed

        return on_epoch

    whole, _ = run(english, None, shared, tmp_path / "whole", schedule=schedule)
    for at in (1, 2):
        with pytest.raises(Killed):
            run(english, None, shared, tmp_path / "parts", schedule=schedule, on_epoch=kill(at))
        assert "checkpoint.safetensors" in {file.name for file in (tmp_path / "parts").iterdir()}
    resumed, _ = run(english, None, shared, tmp_path / "parts", schedule=schedule)
    for file in ("outputs.safetensors", "weights.safetensors", "steps.safetensors"):
        assert (tmp_path / "parts" / file).read_bytes() == (tmp_path / "whole" / file).read_bytes()
    assert resumed | {"seconds": 0} == whole | {"seconds": 0}
    assert len(list((tmp_path / "parts").iterdir())) == 4


def test_seeds_and_pooling_differ(english, shared, tmp_path):
    once = replace(SCHEDULE, epochs=1)
    variants = {"a": {}, "again": {}, "seed": {"seed": 1}, "cls": {"text": replace(TEXT, pooling="cls")}}
    logits = {name: run(english, None, shared, tmp_path / name, schedule=once, **given)[1]["logits"]
              for name, given in variants.items()}  # fmt: skip
    assert np.array_equal(logits["a"], logits["again"])
    assert not np.allclose(logits["a"], logits["seed"]) and not np.allclose(logits["a"], logits["cls"])


def test_fewer_labels_are_fewer_training_texts(english, shared, tmp_path):
    few = replace(BASELINE, labelled=0.2)
    result, outputs = run(english, None, shared, tmp_path / "run", method=few, schedule=replace(SCHEDULE, epochs=1))
    everything = training_rows(english, None, BASELINE, 0)
    labels = english.table.label.to_numpy()[everything]
    assert result["n_train"] == sum(max(1, round(0.2 * (labels == k).sum())) for k in range(3)) < len(everything)
    assert len(outputs["rows"]) == len(english.rows("dev")) + len(english.rows("test"))


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """Tickets as somebody's table."""
    return write_csv(
        tmp_path_factory.mktemp("data") / "mine.csv", ("text", "label"), tickets({"billing": 20, "network": 20})
    )


def test_an_svm_reads_no_more_than_the_encoder_beside_it(english, shared, tmp_path):
    short = replace(TEXT, max_length=6)
    _, outputs = run(english, None, shared, tmp_path / "cut", text=short, method=SVM)
    prepared, table = tokenise(english, short, shared), english.table
    tokeniser = backbones.find("tiny").tokeniser()[0]
    seen = pd.Series([tokeniser.decode(prepared.texts[row].tolist()) for row in range(len(table))])
    train, dev = training_rows(english, None, SVM, 0), english.rows("dev").index
    expected = linear_svm(seen[train], table.label.to_numpy()[train], seen[dev], table.label.to_numpy()[dev],
                          seen[outputs["rows"]], 3, "en")  # fmt: skip
    assert outputs["logits"] == pytest.approx(expected, abs=1e-6)
    _, whole = run(english, None, shared, tmp_path / "whole", text=None, method=SVM)
    assert not np.allclose(outputs["logits"], whole["logits"], atol=1e-3)


def spec_of(table, **options) -> RunSpec:
    return RunSpec(
        Source(str(table), text="text", label="label"), None, BASELINE, TEXT, replace(SCHEDULE, epochs=1), 0, **options
    )


def test_a_run_is_found_by_what_its_encoder_is(table, tmp_path):
    spec = spec_of(table)

    def identity(text):
        return replace(spec, text=text).identity

    folder = save_bert(tmp_path / "bert")
    other = shutil.copytree(folder, tmp_path / "other")
    named = [identity(replace(TEXT, backbone=str(name))) for name in (folder, other)]
    assert named[0] == named[1], "a folder's name is not what it holds"
    shutil.copytree(save_bert(tmp_path / "trained", seed=1), other, dirs_exist_ok=True)
    assert identity(replace(TEXT, backbone=str(other))) != named[0]
    for text in (replace(TEXT, pooling="cls"), replace(TEXT, max_length=20), replace(TEXT, backbone="mini-random")):
        assert identity(text) != spec.identity
    assert replace(spec, schedule=replace(spec.schedule, dtype="auto")).identity in [
        replace(spec, schedule=replace(spec.schedule, dtype=dtype)).identity for dtype in ("float32", "bfloat16")]  # fmt: skip


def test_libraries_are_in_the_identity_of_the_runs_that_use_them(table):
    encoder = spec_of(table)
    words = replace(encoder, method=paper_b(2.0, None)[0], text=TextOptions())
    for spec, used, unused in ((encoder, ("transformers", "tokenizers"), ("gensim", "jieba")),
                               (words, ("gensim", "jieba"), ("transformers", "tokenizers"))):  # fmt: skip
        found = spec.identity["text"]
        assert {name: found[name] for name in used} == code.versions(*used)
        assert not set(unused) & {*found, *spec.identity["numerics"]}


ELSEWHERE = """
    import importlib.metadata, sys

    absent = ("gensim", "jieba", "papermill")
    for name in absent:
        sys.modules[name] = None

    def version(package, installed=importlib.metadata.version):
        if package in absent:
            raise importlib.metadata.PackageNotFoundError(package)
        return installed(package)

    importlib.metadata.version = version

    import paperkit.losses, paperkit.models.backbones, paperkit.models.encoder, paperkit.training.execute
    from paperkit import runs
    from paperkit.runs import RunSpec, Source
    from paperkit.text.tokens import TokenOptions
    from paperkit.papers import BASELINE
    from paperkit.training.methods import Schedule

    source = Source(sys.argv[1], text="text", label="label")
    schedule = Schedule(epochs=1, batch_size=16, learning_rate=5e-3, head_learning_rate=2e-2, dropout=(0, 0, 0.1))
    (run,) = runs.get([RunSpec(source, None, BASELINE, TokenOptions("tiny", max_length=24), schedule, 0)])
    print(run.folder)
    """


def test_an_encoder_is_trained_where_gensim_jieba_and_papermill_are_not(table, tmp_path, monkeypatch):
    monkeypatch.setenv("PAPERKIT_STORE", str(tmp_path / "there"))
    script = textwrap.dedent(ELSEWHERE)
    done = subprocess.run([sys.executable, "-c", script, str(table)], cwd=paths.ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    (here,) = runs.get([spec_of(table)], Store(tmp_path / "here"))
    there = tmp_path / "there" / "runs" / here.folder.name
    assert done.stdout.strip() == str(there), "the same identity in both places"
    for file in ("outputs.safetensors", "weights.safetensors", "steps.safetensors"):
        assert (there / file).read_bytes() == (here.folder / file).read_bytes()
