"""The training loop against a plain one, and against being interrupted at every epoch."""

import itertools
import math
import weakref
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook

from paperkit.errors import InputError
from paperkit.losses import focal
from paperkit.models.bilstm import BiLSTM
from paperkit.text.batches import training_batches
from paperkit.text.vocabulary import Encoded
from paperkit.training import loop
from paperkit.training.checkpoint import FILE
from paperkit.training.loop import Data, fit, predict, rate_factor
from paperkit.training.methods import Method, Schedule
from paperkit.training.objective import Objective

WORDS, SIZE, CLASSES = 24, 6, 3
TEXTS, DEV_WORD = 60, 23
PLAIN = Method("plain")
TRAIN, DEV = np.arange(42), np.arange(42, 60)
SCHEDULE = Schedule(epochs=5, batch_size=8, learning_rate=0.05, warmup=0.2, clip=0.5)
NO_DROPOUT = replace(SCHEDULE, dropout=(0.0, 0.0, 0.0))


def _texts() -> tuple[Encoded, np.ndarray]:
    """Texts whose class shows in some of their words; every dev text has a word that no training text has."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, CLASSES, TEXTS)
    texts = [
        rng.choice(np.r_[2:22, np.repeat(2 + 4 * label + np.arange(4), 4)], rng.integers(1, 9)) for label in labels
    ]
    texts = [np.append(text, DEV_WORD) if row in DEV else text for row, text in enumerate(texts)]
    offsets = np.concatenate([[0], np.cumsum([len(text) for text in texts])])
    return Encoded(np.concatenate(texts).astype(np.int32), offsets), labels


CORPUS, LABELS = _texts()
TURNED = np.where(np.isin(np.arange(TEXTS), DEV), (LABELS + 1) % CLASSES, LABELS)
"""Dev texts have wrong labels: the more is learned, the worse on dev."""


def network(schedule=SCHEDULE, seed=0) -> BiLSTM:
    torch.manual_seed(seed)
    vectors = torch.randn(WORDS, SIZE)
    vectors[0] = 0
    return BiLSTM(vectors, CLASSES, dropout=schedule.dropout)


def loss(logits, y):
    return focal(logits, y, 2.0, torch.tensor([0.2, 0.3, 0.5]))


def train(folder, schedule=SCHEDULE, seed=0, *, model=None, labels=LABELS, rows=TRAIN, dev=DEV, on_epoch=None):
    """The model and its history."""
    folder.mkdir(exist_ok=True)
    model = model or network(schedule)
    objective = Objective(PLAIN, model, loss, batch_size=schedule.batch_size, seed=seed, dtype=schedule.dtype)
    data = Data(CORPUS, labels, rows, dev)
    progress = fit(model, objective, data, schedule, seed, folder, on_epoch or (lambda epoch: None))
    return model, progress.history


def same(one, other) -> bool:
    """Equal to the last bit."""
    (a, history), (b, other_history) = one, other
    weights, others = a.state_dict(), b.state_dict()
    return history == other_history and all(torch.equal(weights[name], others[name]) for name in weights)


CASES = {"gets better on dev": (SCHEDULE, LABELS), "gets worse on dev": (replace(SCHEDULE, select="loss"), TURNED)}


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    """A run of each case."""
    runs = {}
    for case, (schedule, labels) in CASES.items():
        runs[case] = train(tmp_path_factory.mktemp("run"), schedule, labels=labels)
    worse = [row["dev_ce"] for row in runs["gets worse on dev"][1]]
    assert worse[-1] > 1.1 * min(worse), "the best epoch is not the last"
    return runs


class Interrupted(Exception):
    pass


def interrupting(at):
    def on_epoch(epoch):
        if epoch == at:
            raise Interrupted

    return on_epoch


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("epoch", [1, 2, 3, 4, 5])
def test_a_resumed_run_is_an_uninterrupted_one(uninterrupted, tmp_path, epoch, case):
    schedule, labels = CASES[case]
    with pytest.raises(Interrupted):
        train(tmp_path, schedule, labels=labels, on_epoch=interrupting(epoch))
    epochs = []
    # everything comes from the checkpoint: another network, and other random numbers drawn before
    resumed = train(tmp_path, schedule, labels=labels, model=network(seed=99), on_epoch=epochs.append)
    assert epochs == list(range(epoch + 1, 6))
    assert same(resumed, uninterrupted[case])
    rows = np.arange(TEXTS)
    assert predict(resumed[0], CORPUS, rows).tobytes() == predict(uninterrupted[case][0], CORPUS, rows).tobytes()


def test_interrupted_after_every_epoch_and_within_one(uninterrupted, tmp_path, monkeypatch):
    original, count = loop.training_batches, itertools.count()

    def breaking(*arguments):
        for batch in original(*arguments):
            if next(count) == 9:  # in the second epoch
                raise Interrupted
            yield batch

    monkeypatch.setattr(loop, "training_batches", breaking)
    with pytest.raises(Interrupted):
        train(tmp_path)
    monkeypatch.setattr(loop, "training_batches", original)
    for epoch in (2, 3, 4):
        with pytest.raises(Interrupted):
            train(tmp_path, on_epoch=interrupting(epoch))
    assert same(train(tmp_path), uninterrupted["gets better on dev"])


def test_a_finished_run_is_not_trained_again(uninterrupted, tmp_path, monkeypatch):
    train(tmp_path)
    monkeypatch.setattr(loop, "training_batches", None)
    assert same(train(tmp_path, model=network(seed=5)), uninterrupted["gets better on dev"])


def test_the_checkpoint_is_one_file_of_tensors(tmp_path):
    train(tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == [FILE]
    with safe_open(tmp_path / FILE, framework="pt") as file:
        parts = {name.split(".")[0] for name in file.keys()}  # noqa: SIM118 (not a dict)
    assert parts == {"model", "best", "optimizer0", "steps"}


def test_twice_the_same_whatever_random_numbers_others_draw(uninterrupted, tmp_path):
    def draw(epoch):
        torch.rand(epoch)
        np.random.rand(epoch)

    torch.manual_seed(123)
    first = uninterrupted["gets better on dev"]
    assert same(train(tmp_path / "again", on_epoch=draw), first)
    assert not same(train(tmp_path / "other", seed=1), first)


def test_dropout_differs_from_epoch_to_epoch_and_from_seed_to_seed(tmp_path):
    seeds = []
    for seed in (0, 1):
        train(tmp_path / str(seed), seed=seed, on_epoch=lambda _: seeds.append(torch.initial_seed()))
    assert len(set(seeds)) == 10
    order, dropout = (replace(SCHEDULE, learning_rate=0.0, dropout=p, epochs=3) for p in ((0.0,) * 3, (0.5,) * 3))
    without = [row["train_ce"] for row in train(tmp_path / "without", order)[1]]
    assert without == pytest.approx([without[0]] * 3, rel=1e-5), "nothing is learned, nothing differs"
    assert np.ptp([row["train_ce"] for row in train(tmp_path / "with", dropout)[1]]) > 1e-3


# A plain loop


def plain_rate(step, total, schedule) -> float:
    warm = max(1, round(schedule.warmup * total))
    rates = [schedule.learning_rate * (i + 1) / warm for i in range(warm)]
    rates += [schedule.learning_rate * (1 - i / (total - warm)) for i in range(total - warm)]
    return rates[step]


@settings(max_examples=50)
@given(st.integers(1, 100), st.floats(0, 1), st.floats(1e-5, 1))
def test_the_learning_rate_is_a_loop(total, warmup, peak):
    schedule = Schedule(learning_rate=peak, warmup=warmup)
    rates = [schedule.learning_rate * rate_factor(step, total, warmup) for step in range(total)]
    assert rates == pytest.approx([plain_rate(step, total, schedule) for step in range(total)])
    top = rates.index(max(rates))
    assert max(rates) == pytest.approx(peak) and min(rates) > 0
    assert rates[: top + 1] == sorted(rates[: top + 1]) and rates[top:] == sorted(rates[top:], reverse=True)


@pytest.mark.parametrize("head_rate", [None, 0.2, 0.0])
def test_it_is_a_plain_loop(tmp_path, head_rate):
    """Clipping, decoupled decay and Adam's moments written out; dropout off, so that nothing is random but the order."""
    schedule = replace(NO_DROPOUT, epochs=2, weight_decay=0.1, clip=0.1, head_learning_rate=head_rate)
    of_head = replace(schedule, learning_rate=schedule.learning_rate if head_rate is None else head_rate)
    model = network(schedule).double()
    parameters = [p.detach().clone().requires_grad_() for p in model.parameters()]
    names = [name for name, _ in model.named_parameters()]
    first, second = ([torch.zeros_like(p) for p in parameters] for _ in range(2))
    total, step, history, clipped = 2 * 6, 0, [], set()
    plain = network(schedule).double()
    for epoch in range(2):
        losses, ces, norms = [], [], []
        for batch in training_batches(CORPUS, TRAIN, 8, 7, epoch):
            y = torch.tensor(LABELS)[batch.rows]
            logits = torch.func.functional_call(
                plain, dict(zip(names, parameters, strict=True)), (batch.ids, batch.lengths)
            )
            each = loss(logits, y)
            gradients = torch.autograd.grad(sum(each) / len(y), parameters)
            losses += each.tolist()
            ces += F.cross_entropy(logits, y, reduction="none").tolist()
            norms.append(math.sqrt(sum(float((g**2).sum()) for g in gradients)))
            below, above, step = plain_rate(step, total, schedule), plain_rate(step, total, of_head), step + 1
            for at, g in enumerate(gradients):
                rate = above if names[at] in ("output.weight", "output.bias") else below
                g = g * min(1, schedule.clip / norms[-1])
                first[at] = 0.9 * first[at] + 0.1 * g
                second[at] = 0.999 * second[at] + 0.001 * g**2
                update = first[at] / (1 - 0.9**step) / ((second[at] / (1 - 0.999**step)).sqrt() + 1e-8)
                parameters[at] = (parameters[at] * (1 - rate * 0.1) - rate * update).detach().requires_grad_()
        history.append({"train_loss": np.mean(losses), "train_ce": np.mean(ces), "gradient_norm": np.mean(norms)})
        clipped |= {norm > schedule.clip for norm in norms}
    assert clipped == {True, False}, "some steps are clipped, some are not"
    # without dev texts the last epoch's weights are kept
    fitted, rows = train(tmp_path, schedule, 7, model=model, dev=np.array([], dtype=int))
    for row, expected in zip(rows, history, strict=True):
        assert {name: row[name] for name in expected} == pytest.approx(expected, rel=1e-4)
    for name, mine, theirs in zip(names, fitted.parameters(), parameters, strict=True):
        assert torch.allclose(mine, theirs, atol=1e-4), name


def test_the_rate_of_the_head_reaches_the_head_alone(tmp_path):
    still = replace(NO_DROPOUT, epochs=1, weight_decay=0.0)
    starts = network(NO_DROPOUT).state_dict()
    for rates, moved in (((0.05, 0.0), False), ((0.0, 0.05), True)):
        schedule = replace(still, learning_rate=rates[0], head_learning_rate=rates[1])
        model, _ = train(tmp_path / str(moved), schedule)
        for name, value in model.state_dict().items():
            assert torch.equal(value, starts[name]) == (name.startswith("output.") != moved), name


def test_rate_and_clip_reach_the_optimizer(tmp_path):
    rates, norms = [], []

    def before(optimizer, *_):
        rates.append({group["lr"] for group in optimizer.param_groups})
        assert {group["weight_decay"] for group in optimizer.param_groups} == {SCHEDULE.weight_decay}
        gradients = [p.grad for group in optimizer.param_groups for p in group["params"]]
        norms.append(math.sqrt(sum(float((g**2).sum()) for g in gradients)))

    hook = register_optimizer_step_pre_hook(before)
    try:
        _, history = train(tmp_path, replace(SCHEDULE, clip=0.05))
    finally:
        hook.remove()
    assert len(rates) == 5 * 6
    assert [rate for (rate,) in rates] == pytest.approx([plain_rate(step, 30, SCHEDULE) for step in range(30)])
    assert max(norms) <= 0.05 * (1 + 1e-4)
    assert min(row["gradient_norm"] for row in history) > 0.05, "the history has them as they were before"


def test_history(tmp_path):
    frozen = replace(NO_DROPOUT, learning_rate=0.0, weight_decay=0.0, epochs=1)
    model, (row,) = train(tmp_path, frozen)
    assert row["epoch"] == 1
    for name, rows in (("train", TRAIN), ("dev", DEV)):  # 42 texts make five batches of 8 and one of 2
        logits, y = torch.tensor(predict(model, CORPUS, rows)), torch.tensor(LABELS[rows])
        assert row[f"{name}_loss"] == pytest.approx(loss(logits, y).mean().item(), rel=1e-5)
        assert row[f"{name}_ce"] == pytest.approx(F.cross_entropy(logits, y).item(), rel=1e-5)
    predicted = logits.argmax(1).tolist()
    truth = LABELS[DEV].tolist()
    assert row["dev_accuracy"] == pytest.approx(np.mean([p == t for p, t in zip(predicted, truth, strict=True)]))
    f1 = []
    for k in sorted({*predicted, *truth}):
        both = sum(p == t == k for p, t in zip(predicted, truth, strict=True))
        f1.append(2 * both / (predicted.count(k) + truth.count(k)))
    assert row["dev_f1_macro"] == pytest.approx(np.mean(f1))
    assert set(row) == {"epoch", "train_loss", "train_sup", "train_ce", "gradient_norm", "dev_loss", "dev_ce", "dev_accuracy",
                        "dev_f1_macro"}  # fmt: skip


SCRIPT = {
    "dev_accuracy": [1, 3, 2, 3, 1],
    "dev_f1_macro": [1, 2, 2, 3, 3],
    "dev_ce": [2, 2, 1, 1, 3],
    "dev_loss": [5, 4, 3, 2, 1],
}


PATIENT = [1, 3, 2, 3, 1, 4, 1, 1, 1, 9]


@pytest.mark.parametrize(("patience", "epochs"), [(0, 10), (1, 3), (2, 4), (3, 5), (4, 10), (5, 10)])
@pytest.mark.parametrize("interrupted", [None, 3])
def test_patience_is_a_count_of_epochs_without_a_better_one(tmp_path, monkeypatch, patience, epochs, interrupted):
    """Epoch 2 is the best until epoch 6, and that one until epoch 10; a tie is not better."""
    done = itertools.count()
    monkeypatch.setattr(loop, "_dev_scores", lambda *_: {name: PATIENT[min(len(seen), 9)] for name in SCRIPT})
    seen = []
    schedule = replace(NO_DROPOUT, epochs=10, patience=patience)

    def on_epoch(epoch):
        seen.append(epoch)
        if epoch == interrupted and next(done) == 0:
            raise Interrupted

    if interrupted is not None and interrupted <= epochs:
        with pytest.raises(Interrupted):
            train(tmp_path, schedule, on_epoch=on_epoch)
    _, history = train(tmp_path, schedule, on_epoch=on_epoch)
    assert seen == list(range(1, epochs + 1)) and [row["epoch"] for row in history] == seen


@pytest.mark.parametrize(("select", "best"), [("accuracy", 1), ("f1_macro", 3), ("loss", 2)])  # the first of equals
def test_the_best_dev_epoch_is_what_is_left(tmp_path, monkeypatch, select, best):
    steps = itertools.count()

    def scripted(*_):
        return {name: scores[at] for at in [next(steps)] for name, scores in SCRIPT.items()}

    monkeypatch.setattr(loop, "_dev_scores", scripted)
    weights = []
    model = network()

    def keep(epoch):
        weights.append({name: value.clone() for name, value in model.state_dict().items()})

    train(tmp_path, replace(SCHEDULE, select=select), model=model, on_epoch=keep)
    for epoch, then in enumerate(weights):
        assert (epoch == best) == all(torch.equal(value, then[name]) for name, value in model.state_dict().items())
    assert not model.training


def test_the_history_of_the_best_epoch_is_that_of_the_network_left(uninterrupted):
    for case, (_, labels) in CASES.items():
        model, history = uninterrupted[case]
        column = "dev_ce" if case == "gets worse on dev" else "dev_accuracy"
        scores = [row[column] for row in history]
        best = history[scores.index(min(scores) if column == "dev_ce" else max(scores))]
        logits, y = torch.tensor(predict(model, CORPUS, DEV)), torch.tensor(labels[DEV])
        assert best["dev_ce"] == pytest.approx(F.cross_entropy(logits, y).item(), rel=1e-6)
        assert best["dev_accuracy"] == pytest.approx((logits.argmax(1) == y).double().mean().item())


def test_a_network_that_diverges_does_not_win(tmp_path):
    def poison(epoch):
        if epoch == 4:
            with torch.no_grad():
                model.output.weight.fill_(torch.nan)

    model = network()
    _, history = train(tmp_path, model=model, on_epoch=poison)
    assert math.isnan(history[-1]["dev_ce"]) and not math.isnan(history[-2]["dev_ce"])
    assert model.output.weight.isfinite().all()


def test_without_dev_texts_the_last_epoch_wins(tmp_path):
    last = []
    model = network()
    _, history = train(
        tmp_path, model=model, dev=np.array([], dtype=int), on_epoch=lambda _: last.append(model.output.weight.detach().clone())
    )  # fmt: skip
    assert all(math.isnan(row[name]) for row in history for name in row if name.startswith("dev_"))
    assert torch.equal(model.output.weight, last[-1]) and not torch.equal(last[-1], last[-2])


def test_dev_texts_are_never_trained_on(tmp_path):
    schedule = replace(SCHEDULE, weight_decay=0.0)
    start = network(schedule).embedding.weight[DEV_WORD].clone()
    model, history = train(tmp_path / "a", schedule)
    assert torch.equal(model.embedding.weight[DEV_WORD], start)
    assert not torch.equal(model.embedding.weight[2], network(schedule).embedding.weight[2])
    _, with_other = train(tmp_path / "b", schedule, labels=TURNED)
    for name in ("train_loss", "train_ce", "gradient_norm"):
        assert [row[name] for row in with_other] == [row[name] for row in history]
    assert [row["dev_loss"] for row in with_other] != [row["dev_loss"] for row in history]


def test_every_training_text_is_trained_on_once_an_epoch(tmp_path):
    seen, steps = [], []
    model = network()
    model.embedding.register_forward_hook(
        lambda module, given, _: seen.append(len(given[0])) if module.training else None
    )
    hook = register_optimizer_step_post_hook(lambda *_: steps.append(1))
    try:
        train(tmp_path, model=model)
    finally:
        hook.remove()
    assert sum(seen) == 5 * len(TRAIN) and len(steps) == len(seen) == 5 * 6


def test_it_learns(tmp_path):
    _, history = train(tmp_path, replace(NO_DROPOUT, epochs=12))
    assert history[-1]["train_ce"] < 0.5 * history[0]["train_ce"]


@settings(max_examples=20)
@given(st.permutations(range(12)), st.integers(1, 8))
def test_a_prediction_belongs_to_its_row(rows, count):
    model, rows = network(), np.array(rows[:count])
    alone = np.concatenate([predict(model, CORPUS, np.array([row])) for row in rows])
    assert predict(model, CORPUS, rows) == pytest.approx(alone, abs=1e-6)


def test_prediction_over_several_batches(monkeypatch):
    model = network().train()
    rows = np.random.default_rng(0).permutation(TEXTS)
    at_once = predict(model, CORPUS, rows)
    assert not model.training and at_once.dtype == np.float32 and at_once.shape == (TEXTS, CLASSES)
    original = loop.evaluation_batches
    monkeypatch.setattr(loop, "evaluation_batches", lambda texts, rows: original(texts, rows, 7))
    assert predict(model, CORPUS, rows) == pytest.approx(at_once, abs=1e-6)
    assert predict(model, CORPUS, np.array([], dtype=int)).shape == (0, CLASSES)


def test_mixed_precision(tmp_path):
    schedule = replace(NO_DROPOUT, epochs=1, dtype="bfloat16")
    (rough, (row,)), (_, (exact,)) = (
        train(tmp_path / "a", schedule),
        train(tmp_path / "b", replace(schedule, dtype="float32")),
    )
    assert row["train_loss"] == pytest.approx(exact["train_loss"], rel=0.05) and row != exact
    assert all(parameter.dtype == torch.float32 for parameter in rough.parameters())
    logits = predict(rough, CORPUS, DEV, "bfloat16")
    assert logits.dtype == np.float32
    assert logits == pytest.approx(predict(rough, CORPUS, DEV), abs=0.1)
    assert not np.array_equal(logits, predict(rough, CORPUS, DEV))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"select": "f1"}, r"^select is 'f1'; accepted are 'accuracy', 'f1_macro', 'loss'$"),
        ({"dtype": "float16"}, r"^dtype is 'float16'; accepted are 'float32', 'bfloat16', 'auto'$"),
        ({"dtype": "auto"}, r"^dtype is 'auto'; accepted are 'float32', 'bfloat16'$"),
        ({"head": "linear"}, r"^head is 'linear'; accepted are 'random', 'probe'$"),
        ({"epochs": 0}, r"^epochs is 0; accepted is a number from 1 up$"),
        ({"clip": 0}, r"^clip is 0; accepted is a number from 1e-06 up$"),
    ],
)
def test_an_unknown_option_is_refused(tmp_path, options, sentence):
    with pytest.raises(InputError, match=sentence):
        train(tmp_path, replace(SCHEDULE, **options))
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
def test_on_a_gpu_as_on_a_cpu(tmp_path):
    def weighed(logits, y):
        return focal(logits, y, 2.0, torch.tensor([0.2, 0.3, 0.5], device=logits.device))

    histories = []
    for device in ("cpu", "cuda"):
        (tmp_path / device).mkdir()
        model = network(NO_DROPOUT).to(device)

        def go(on_epoch, model=model, folder=tmp_path / device):
            objective = Objective(PLAIN, model, weighed, batch_size=NO_DROPOUT.batch_size)
            return fit(model, objective, Data(CORPUS, LABELS, TRAIN, DEV), NO_DROPOUT, 0, folder, on_epoch).history

        with pytest.raises(Interrupted):
            go(interrupting(2))
        histories.append([row["train_loss"] for row in go(lambda epoch: None)])
    assert histories[1] == pytest.approx(histories[0], rel=1e-2)


def test_nothing_of_a_step_outlives_the_next_one(tmp_path, monkeypatch):
    """A small tensor kept of every step, between large ones that come and go, makes the process grow by megabytes a step."""
    alive: list[list[weakref.ref]] = []
    backward = Objective.backward

    def watched(self, model, step):
        terms = backward(self, model, step)
        alive.append([weakref.ref(value) for value in terms.values()])
        return terms

    monkeypatch.setattr(Objective, "backward", watched)
    left = []
    monkeypatch.setattr(Objective, "after_step",
                        lambda self, model: left.extend(each() for earlier in alive[:-1] for each in earlier))  # fmt: skip
    train(tmp_path / "run", replace(SCHEDULE, epochs=2))
    assert len(alive) == 12
    assert left
    assert all(value is None for value in left)
