"""Which texts are trained on and tested on, and what a finished run consists of."""

import json
import warnings
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from safetensors.torch import load_file as load_weights

from paperkit.corpora.corpus import assemble
from paperkit.errors import InputError
from paperkit.models.linear import linear_svm
from paperkit.papers import MAJORITY, SVM, paper_b
from paperkit.text.prepare import TextOptions, prepare
from paperkit.training import execute as module
from paperkit.training import loop
from paperkit.training.execute import build_model, execute, test_rows, training_rows
from paperkit.training.methods import Schedule
from tests.tiny import tiny_table

test_rows.__test__ = False  # not a test, whatever its name

TEXT = TextOptions(vector_size=6, vector_epochs=1)
SCHEDULE = Schedule(epochs=3, batch_size=16, learning_rate=0.02)
PLAIN, ATTENTION, FOCAL = paper_b(2.0, "inverse")


def run(corpus, store, folder, method=FOCAL, train_on="ctrip", schedule=SCHEDULE, text=TEXT, seed=0, **options):
    """``run.json`` and the outputs."""
    folder.mkdir(exist_ok=True)
    execute(corpus, train_on, method, text, schedule, seed, store, folder, **options)
    return json.loads((folder / "run.json").read_text()), load_file(folder / "outputs.safetensors")


@pytest.fixture(scope="module")
def three() -> object:
    """The tiny corpus with a third class."""
    table = tiny_table()
    table.loc[table.text.str.contains("泳池|空调") & (table.label >= 0), "label"] = 2
    return assemble("three", table, ("negative", "positive", "mixed"), "zh")


def rows_where(corpus, condition) -> list[int]:
    return [row for row, each in enumerate(corpus.table.itertuples()) if condition(each)]


def test_training_rows_are_a_loop(tiny):
    for platform in ("ctrip", "qunar"):
        expected = rows_where(tiny, lambda t: t.platform == platform and t.split == "train" and t.status == "core")  # noqa: B023
        assert training_rows(tiny, platform, ATTENTION, 0).tolist() == expected
        assert all(tiny.table.label[row] >= 0 for row in expected)


def test_non_core_texts_are_trained_on_when_asked_for_but_no_contradictions(tiny):
    core = training_rows(tiny, "ctrip", ATTENTION, 0).tolist()
    with_all = training_rows(tiny, "ctrip", replace(ATTENTION, non_core=True), 0).tolist()
    more = sorted(set(with_all) - set(core))
    assert set(core) < set(with_all) and tiny.table.text[more].tolist() == ["该用户评价默认好评"]
    assert "contradicting" in set(tiny.table.status), "there is one, and it is in no list"


def test_under_sampling(tiny, three):
    for corpus in (tiny, three):
        labels = corpus.table.label.to_numpy()
        every = training_rows(corpus, "ctrip", ATTENTION, 0)
        picked = [training_rows(corpus, "ctrip", replace(ATTENTION, undersample=True), seed) for seed in (0, 0, 1)]
        sizes = Counter(labels[every].tolist())
        assert len(set(sizes.values())) > 1
        assert Counter(labels[picked[0]].tolist()) == dict.fromkeys(sizes, min(sizes.values()))
        assert set(picked[0]) <= set(every) and len(set(picked[0])) == len(picked[0])
        assert picked[0].tolist() == picked[1].tolist() != picked[2].tolist()


SHARES = (0.01, 0.1, 0.25, 0.5, 0.9, 1.0)


def labelled_ids(corpus, share, seed=0) -> list[str]:
    rows = training_rows(corpus, "ctrip", replace(ATTENTION, labelled=share), seed)
    assert rows.dtype == np.int64 and sorted(rows.tolist()) == rows.tolist()
    return corpus.table.id[rows].tolist()


@pytest.mark.parametrize("seed", [0, 1])
def test_labelled_shares_are_stratified_and_nested(three, seed):
    every = training_rows(three, "ctrip", ATTENTION, seed)
    sizes = Counter(three.table.label[every])
    label_of = dict(zip(three.table.id, three.table.label, strict=True))
    smaller = set()
    for share in SHARES:
        kept = labelled_ids(three, share, seed)
        expected = {label: max(1, round(share * size)) for label, size in sizes.items()}
        assert Counter(label_of[each] for each in kept) == expected and len(set(kept)) == len(kept)
        assert smaller <= set(kept)
        smaller = set(kept)
    assert smaller == set(three.table.id[every])


def test_which_texts_are_labelled_depends_on_the_seed_and_not_on_their_order(three):
    turned = replace(three, table=three.table[::-1].reset_index(drop=True))
    for share in SHARES:
        assert sorted(labelled_ids(turned, share)) == sorted(labelled_ids(three, share))
    assert labelled_ids(three, 0.25, seed=0) != labelled_ids(three, 0.25, seed=1)


def test_a_reference_row_with_fewer_labels_has_a_run_of_each_seed():
    assert not SVM.seeded and replace(SVM, labelled=0.5).seeded
    for share in (0, -0.1, 1.1, float("nan")):
        with pytest.raises(InputError, match=r"^labelled is .*; accepted is a share above 0, up to 1$"):
            replace(SVM, labelled=share)


@pytest.mark.parametrize(("platform", "other"), [("ctrip", "qunar"), ("qunar", "ctrip")])
def test_rows_to_test_on_are_a_loop(tiny, platform, other):
    own = rows_where(tiny, lambda t: t.platform == platform and t.split == "test" and t.status == "core")
    others = rows_where(tiny, lambda t: t.platform == other and t.label >= 0 and t.status == "core")
    assert test_rows(tiny, platform).tolist() == own + others
    assert len(others) == 67, "of every split"
    for method in (ATTENTION, replace(ATTENTION, non_core=True)):
        assert not set(test_rows(tiny, platform)) & set(training_rows(tiny, platform, method, 0))


@pytest.mark.parametrize(
    "method",
    [PLAIN, ATTENTION, FOCAL, replace(FOCAL, peephole="paper"), SVM, MAJORITY],
    ids=lambda method: f"{method.name}, {method.peephole}",
)
def test_a_run_is_whole(tiny, store, tmp_path, method):
    result, outputs = run(tiny, store, tmp_path / "run", method)
    prepared = prepare(tiny, "ctrip", TEXT, store)
    dev = rows_where(tiny, lambda t: t.platform == "ctrip" and t.split == "dev")
    expected = [row for row in [*dev, *test_rows(tiny, "ctrip")] if prepared.words[row]]
    assert outputs["rows"].tolist() == expected
    assert outputs["logits"].shape == (len(expected), 2) and outputs["logits"].dtype == np.float32
    trained = [row for row in training_rows(tiny, "ctrip", method, 0) if prepared.words[row]]
    assert result["n_train"] == len(trained) == len(training_rows(tiny, "ctrip", method, 0)) - 1
    assert result["train_words"] == sum(len(prepared.words[row]) for row in trained)
    assert result["n_words"] == len(prepared.vocabulary) and result["seconds"] > 0
    files = {"run.json", "outputs.safetensors"} | (
        {"weights.safetensors", "steps.safetensors"} if method.seeded else set()
    )
    assert {file.name for file in (tmp_path / "run").iterdir()} == files
    assert [row["epoch"] for row in result["history"]] == ([1, 2, 3] if method.seeded else [])


def test_the_weights_are_those_that_gave_the_logits(tiny, store, tmp_path):
    _, outputs = run(tiny, store, tmp_path / "run")
    prepared = prepare(tiny, "ctrip", TEXT, store)
    model = build_model(prepared, 2, FOCAL, SCHEDULE, seed=5)
    assert not np.allclose(loop.predict(model, prepared.texts, outputs["rows"]), outputs["logits"])
    model.load_state_dict(load_weights(tmp_path / "run" / "weights.safetensors"))
    assert np.array_equal(loop.predict(model, prepared.texts, outputs["rows"]), outputs["logits"])


@pytest.mark.parametrize("interrupted_after", [1, 3])
def test_an_interrupted_run_goes_on(tiny, store, tmp_path, interrupted_after):
    def interrupt(epoch):
        if epoch == interrupted_after:
            raise KeyboardInterrupt

    result, _ = run(tiny, store, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        run(tiny, store, tmp_path / "parts", on_epoch=interrupt)
    (tmp_path / "parts" / "seconds.json").write_text("1000.0")
    resumed, _ = run(tiny, store, tmp_path / "parts")
    for file in ("outputs.safetensors", "weights.safetensors", "steps.safetensors"):
        assert (tmp_path / "parts" / file).read_bytes() == (tmp_path / "whole" / file).read_bytes()
    assert 1000 < resumed.pop("seconds") < 1100, "the time of all attempts"
    result.pop("seconds")
    assert resumed == result
    assert len(list((tmp_path / "parts").iterdir())) == 4


def test_the_loss_is_the_methods(tiny, store, tmp_path, monkeypatch):
    seen = []
    original = module.focal

    def spy(logits, y, gamma, alpha):
        seen.append((gamma, alpha))
        return original(logits, y, gamma, alpha)

    monkeypatch.setattr(module, "focal", spy)
    once = replace(SCHEDULE, epochs=1)
    run(tiny, store, tmp_path / "a", ATTENTION, schedule=once)
    assert set(seen) == {(0.0, None)}
    seen.clear()
    run(tiny, store, tmp_path / "b", replace(FOCAL, gamma=1.5, alpha=0.3), schedule=once)
    assert set(seen) == {(1.5, 0.3)}
    seen.clear()
    run(tiny, store, tmp_path / "c", FOCAL, schedule=once)
    labels = tiny.table.label.to_numpy()[training_rows(tiny, "ctrip", FOCAL, 0)].tolist()
    negative, positive = labels.count(0), labels.count(1) - 1  # without the text that has no words
    assert {gamma for gamma, _ in seen} == {2.0}
    assert seen[0][1].tolist() == pytest.approx([positive / len(labels[1:]), negative / len(labels[1:])])


def test_the_majority_row(tiny, store, tmp_path):
    _, outputs = run(tiny, store, tmp_path / "run", MAJORITY)
    labels = tiny.table.label.to_numpy()[training_rows(tiny, "ctrip", MAJORITY, 0)].tolist()
    n = len(labels) - 1
    shares = [labels.count(0) / n, (labels.count(1) - 1) / n]
    assert outputs["logits"] == pytest.approx(np.tile(shares, (len(outputs["rows"]), 1)), rel=1e-6)


def test_the_svm_row(tiny, store, tmp_path):
    _, outputs = run(tiny, store, tmp_path / "run", SVM)
    prepared = prepare(tiny, "ctrip", TEXT, store)
    train = prepared.usable(training_rows(tiny, "ctrip", SVM, 0))
    dev = [row for row in tiny.rows("dev", "ctrip").index if prepared.words[row]]
    text, label = tiny.table.text, tiny.table.label.to_numpy()
    expected = linear_svm(text[train], label[train], text[dev], label[dev], text[outputs["rows"]], 2, "zh")
    assert outputs["logits"] == pytest.approx(expected, abs=1e-6)
    assert np.mean(outputs["logits"].argmax(1) == label[outputs["rows"]]) > 0.9


def test_more_than_two_classes(three, store, tmp_path):
    for method in (FOCAL, SVM, MAJORITY):
        _, outputs = run(three, store, tmp_path / method.name, method)
        assert outputs["logits"].shape[1] == 3 and np.isfinite(outputs["logits"]).all()
        assert len(outputs["rows"]) > 60


def test_a_platform_whose_training_texts_have_one_class(tiny, store, tmp_path):
    table = tiny_table()
    table = table[~((table.platform == "ctrip") & (table.label == 0) & (table.split == "train"))]
    corpus = assemble("one", table, ("negative", "positive"), "zh")
    for method in (FOCAL, MAJORITY):
        _, outputs = run(corpus, store, tmp_path / method.name, method)
        assert set(outputs["logits"].argmax(1)) == {1}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        assert set(run(corpus, store, tmp_path / "svm", SVM)[1]["logits"].argmax(1)) == {1}


def test_the_seed_decides_and_nothing_else_does(tiny, store, tmp_path):
    prepared = prepare(tiny, "ctrip", TEXT, store)

    def weights(seed):
        return torch.cat([p.flatten() for p in build_model(prepared, 2, FOCAL, SCHEDULE, seed).parameters()])

    torch.manual_seed(1)
    first = weights(0)
    assert torch.equal(weights(0), first) and not torch.equal(weights(1), first)
    embedding = build_model(prepared, 2, FOCAL, SCHEDULE, 0).embedding.weight
    assert np.array_equal(embedding.detach(), prepared.vectors), "word2vec's vectors"
    outputs = {}
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        np.random.seed(ord(name))
        torch.manual_seed(ord(name))
        run(tiny, store, tmp_path / name, seed=seed)
        outputs[name] = (tmp_path / name / "outputs.safetensors").read_bytes()
    assert outputs["a"] == outputs["b"] != outputs["c"]


def test_threads_are_put_back(tiny, store, tmp_path):
    before = torch.get_num_threads()
    inside = []
    run(tiny, store, tmp_path / "run", schedule=replace(SCHEDULE, threads=before + 1, epochs=1),
        on_epoch=lambda _: inside.append(torch.get_num_threads()))  # fmt: skip
    assert inside == [before + 1] and torch.get_num_threads() == before


def test_it_learns(tiny, store, tmp_path):
    schedule = replace(SCHEDULE, epochs=12, dropout=(0.0, 0.0, 0.0))
    _, outputs = run(tiny, store, tmp_path / "run", schedule=schedule)
    assert np.mean(outputs["logits"].argmax(1) == tiny.table.label.to_numpy()[outputs["rows"]]) > 0.9
