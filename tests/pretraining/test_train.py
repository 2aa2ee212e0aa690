"""Pretraining on a toy language: the loss falls, a kill changes nothing, and what is saved is what was trained."""

import csv
import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch.optim.optimizer import register_optimizer_step_pre_hook
from transformers import AutoModel, AutoModelForMaskedLM, AutoTokenizer

from paperkit.errors import InputError
from paperkit.models import backbones
from paperkit.pretraining import train as module
from paperkit.pretraining.export import export
from paperkit.pretraining.stream import IGNORED, Stream, encode, mask
from paperkit.pretraining.tokenizer import BORDER, END
from paperkit.pretraining.train import CURVE, Recipe, Shape, build, evaluate, masked_logits, pretrain
from paperkit.pretraining.vectors import token_vectors
from paperkit.training import checkpoint
from paperkit.training.loop import rate_factor

SHAPE = Shape(layers=1, width=16, heads=2, inner=32, positions=24, vocabulary=40)
RECIPE = Recipe(tokens=60 * 96, batch_tokens=96, lengths=(8, 8, 16), learning_rate=0.02, warmup=0.1,
                dropout=0.1, dtype="float32", save_every=7)  # fmt: skip


def repeating(size: int, start: int = 0) -> Stream:
    """A language in which a token is said twenty times before the next one; its words are pairs."""
    tokens = 5 + (start + np.arange(size) // 20) % 35
    tokens[::50] = END
    return Stream(tokens.astype(np.uint16), (np.arange(size) // 2).astype(np.int32))


VECTORS = token_vectors(repeating(2000).tokens, 40, 16, epochs=1, seed=0, std=0.02)
TEXT, HELD_OUT = repeating(2000), {"zh": repeating(200, 7), "en": repeating(150, 3)}


def run(folder, recipe=RECIPE, text=TEXT, report=lambda line: None, held_out=HELD_OUT):
    """The model and the rows of its curve without the times."""
    model = pretrain(text, SHAPE, recipe, folder, held_out, VECTORS, report)
    with (folder / CURVE).open(newline="") as file:
        return model, [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(file)]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """An uninterrupted run."""
    return run(tmp_path_factory.mktemp("whole"))


def same(one, other) -> bool:
    """Equal to the last bit."""
    return all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


def test_the_loss_falls(tmp_path):
    recipe = replace(RECIPE, tokens=200 * 192, batch_tokens=192, lengths=(16,), dropout=0.0, save_every=1000)
    curve = run(tmp_path, recipe)[1]
    first, last = ({name: float(value) for name, value in row.items()} for row in (curve[0], curve[-1]))
    assert first["zh_loss"] == pytest.approx(math.log(40), rel=0.15), "nothing is known at first"
    for name in ("loss", "zh_loss", "en_loss"):
        assert last[name] < 0.85 * math.log(35), "every token is as frequent: less is read from those around it"
    assert last["en_accuracy"] > 5 / 35


def test_the_curve(whole):
    model, curve = whole
    steps = [int(row["step"]) for row in curve]
    assert steps == sorted({*range(7, 61, 7), *range(6, 61, 6)})
    assert [int(row["tokens"]) for row in curve] == [96 * step for step in steps]
    assert [step for step, row in zip(steps, curve, strict=True) if row["zh_loss"]] == list(range(6, 61, 6))
    assert not model.training
    for name, text in HELD_OUT.items():
        last = {k: float(curve[-1][f"{name}_{k}"]) for k in ("loss", "accuracy")}
        assert evaluate(model, text, RECIPE) == pytest.approx(last, abs=1e-4)


class Killed(Exception):
    pass


# at once, between checkpoints, right after one, before the last step
@pytest.mark.parametrize(("dtype", "kills"), [("float32", (0, 3, 14, 41, 42, 43, 59)), ("bfloat16", (14, 43))])
def test_a_killed_pretraining_goes_on(whole, tmp_path, monkeypatch, dtype, kills):
    recipe = replace(RECIPE, dtype=dtype)
    (tmp_path / "whole").mkdir()
    expected, curve = whole if dtype == "float32" else run(tmp_path / "whole", recipe)

    def killing(at):
        def masked(*arguments):
            if arguments[-1] == at:
                raise Killed
            return mask(*arguments)

        return masked

    for at in kills:
        with monkeypatch.context() as patch, pytest.raises(Killed):
            patch.setattr(module, "mask", killing(at))
            torch.rand(at)
            run(tmp_path / "parts", recipe)
    resumed, rows = run(tmp_path / "parts", recipe)
    assert same(resumed, expected) and rows == curve
    assert {file.name for file in (tmp_path / "parts").iterdir()} == {checkpoint.FILE, CURVE}

    monkeypatch.setattr(module, "mask", None)  # a finished one takes no step more
    assert same(run(tmp_path / "parts", recipe)[0], expected)


def test_seeds_differ_and_random_numbers_of_others_do_not_matter(tmp_path):
    short = replace(RECIPE, tokens=4 * 96)

    def trained(name, **options):
        return run(tmp_path / name, replace(short, **options), held_out=None)[0]

    first = trained("a")
    np.random.rand(3)
    assert same(trained("b"), first) and not same(trained("c", seed=1), first)


def test_what_is_read_at_each_step(tmp_path, monkeypatch):
    """Short and long sequences in turn; full batches; every sequence once an epoch; other masks every time."""
    seen = []

    def spy(tokens, words, *rest):
        masked = mask(tokens, words, *rest)
        if "held out" not in rest:
            seen.append((tokens, masked[1] != IGNORED, rest))
        return masked

    monkeypatch.setattr(module, "mask", spy)
    run(tmp_path)
    assert [tokens.shape for tokens, *_ in seen] == [(12, 8), (12, 8), (6, 16)] * 20
    assert [rest for *_, rest in seen] == [(40, 0, step) for step in range(60)]
    for length in (8, 16):
        steps = [each for each in seen if each[0].shape[1] == length]
        sequences = TEXT.sequences(length)[0]
        per_epoch = len(sequences) // (96 // length)
        known = {sequence.tobytes() for sequence in sequences}
        orders = []
        for begin in range(0, len(steps) - per_epoch + 1, per_epoch):
            rows = np.concatenate([tokens for tokens, *_ in steps[begin : begin + per_epoch]])
            orders.append([row.tobytes() for row in rows])
            assert set(orders[-1]) <= known
        assert len({tuple(order) for order in orders}) == len(orders), "in an order of its own"
    rows = [module._rows(25, 4, step, 0, 8) for step in range(12)]
    for epoch in (rows[:6], rows[6:]):
        read = np.concatenate(epoch).tolist()
        assert len(set(read)) == len(read) == 24 and set(read) <= set(range(25))


def test_lengths_take_turns_and_each_counts_its_own_steps():
    recipe = Recipe(tokens=100 * 33 + 99, batch_tokens=100, lengths=(8, 8, 16, 8, 24))
    assert recipe.steps == 33
    before = {8: 0, 16: 0, 24: 0}
    for step in range(recipe.steps):
        length = (8, 8, 16, 8, 24)[step % 5]
        assert recipe.place(step) == (length, before[length])
        before[length] += 1


def test_the_rate_and_the_decay_reach_the_optimizer(tmp_path):
    rates, decays = [], []

    def before(optimizer, *_):
        rates.append({group["lr"] for group in optimizer.param_groups})
        decays.append(
            {(p.ndim > 1, group["weight_decay"]) for group in optimizer.param_groups for p in group["params"]}
        )

    hook = register_optimizer_step_pre_hook(before)
    short = replace(RECIPE, tokens=5 * 96)
    try:
        run(tmp_path, short, held_out=None)
    finally:
        hook.remove()
    factors = [rate_factor(step, 5, RECIPE.warmup) for step in range(5)]
    # Muon has the matrices of the layers, AdamW the rest: two steps each time
    assert rates == [{peak * factor} for factor in factors for peak in (RECIPE.matrix_rate, RECIPE.learning_rate)]
    assert decays == [{(True, 0.01)}, {(True, 0.01), (False, 0.0)}] * 5, "matrices shrink, biases and norms do not"


def network(seed=0, **options):
    torch.manual_seed(seed)
    model = build(replace(SHAPE, **options)).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return model


@torch.no_grad()
def test_logits_of_the_hidden_tokens_are_those_of_transformers():
    model = network()
    hidden, targets = (torch.from_numpy(x) for x in mask(*TEXT.sequences(16), 40, 0, 0))
    logits, y = masked_logits(model, hidden, targets)
    chosen = targets != IGNORED
    assert y.tolist() == targets[chosen].tolist() and len(y) > 50
    assert torch.allclose(
        logits, model(input_ids=hidden, attention_mask=torch.ones_like(hidden)).logits[chosen], atol=1e-5
    )


@torch.no_grad()
def test_evaluation_is_a_loop_and_always_the_same():
    model = network()
    tokens, words = TEXT.sequences(16)
    hidden, targets = mask(tokens, words, 40, 0, "held out")
    losses, right = [], []
    for row in range(len(tokens)):
        logits = model(input_ids=torch.from_numpy(hidden[row : row + 1])).logits[0]
        for at in np.flatnonzero(targets[row] != IGNORED):
            losses.append(F.cross_entropy(logits[at], torch.tensor(targets[row, at])).item())
            right.append(logits[at].argmax().item() == targets[row, at])
    assert len(tokens) > 64, "several batches"
    scores = evaluate(model, TEXT, RECIPE, length=16)
    assert scores == pytest.approx({"loss": np.mean(losses), "accuracy": np.mean(right)}, rel=1e-5)
    torch.rand(3)
    assert evaluate(model.train(), TEXT, replace(RECIPE, seed=5), length=16) == scores
    assert evaluate(model, TEXT, RECIPE) == evaluate(model, TEXT, RECIPE, length=24), "as long as the model takes"
    assert evaluate(model, repeating(3), RECIPE) == {"loss": 0, "accuracy": 0}


def test_too_little_for_a_step_is_refused(tmp_path):
    for recipe, text in (
        (replace(RECIPE, tokens=95), TEXT),
        (replace(RECIPE, batch_tokens=15), TEXT),
        (RECIPE, repeating(9)),
    ):
        with pytest.raises(InputError, match=r"there must be enough for one step and one sequence$"):
            run(tmp_path / "model", recipe, text)
    assert not (tmp_path / "model").exists()


@pytest.fixture(scope="module")
def exported(learned, lines, tmp_path_factory):
    """A model pretrained on the lines of the tokeniser, and its folder."""
    folder = tmp_path_factory.mktemp("mini")
    shape = replace(SHAPE, vocabulary=learned.get_vocab_size())
    recipe = replace(RECIPE, tokens=20 * 96)
    model = pretrain(encode(lines, learned), shape, recipe, folder, report=lambda line: None)
    export(model, learned, folder, shape, recipe, {"documents": len(lines)})
    return model, folder


@torch.no_grad()
def test_what_is_saved_is_what_was_trained(exported, learned, lines):
    model, folder = exported
    tokeniser = AutoTokenizer.from_pretrained(folder)
    texts = [line.replace(BORDER, "")[:12] for line in lines[::20]]
    given = tokeniser(texts, padding=True, return_tensors="pt")
    assert [ids[: sum(inside)] for ids, inside in zip(given["input_ids"].tolist(), given["attention_mask"].tolist(), strict=True)
            ] == [learned.encode(text).ids for text in texts]  # fmt: skip
    given = {name: given[name] for name in ("input_ids", "attention_mask")}
    logits = model(**given).logits
    loaded = AutoModelForMaskedLM.from_pretrained(folder, dtype="float32").eval()
    assert torch.allclose(loaded(**given).logits, logits, atol=0.02) and logits.std() > 0.2
    rounded = dict(loaded.named_parameters())
    assert all(torch.equal(value.half().float(), rounded[name]) for name, value in model.named_parameters())
    body = AutoModel.from_pretrained(folder, dtype="float32", add_pooling_layer=False).eval()
    states = model.roberta(**given).last_hidden_state
    assert torch.allclose(body(**given).last_hidden_state, states, atol=0.02)

    found = backbones.find(str(folder))
    assert found.positions == SHAPE.positions
    ours = found.encoder("eager", 0.0).eval()
    assert torch.allclose(ours(**given).last_hidden_state, body(**given).last_hidden_state, atol=1e-5)
    inner, pad, _ = found.tokeniser()
    assert pad == 0 and inner.encode(texts[0]).ids == learned.encode(texts[0]).ids


def test_the_card_states_how_it_was_made(exported, learned, lines):
    model, folder = exported
    card = json.loads((folder / "pretraining.json").read_text())
    assert card["documents"] == len(lines) and card["steps"] == 20 and card["reached"]["step"] == "20"
    assert card["parameters"] == sum(p.numel() for p in model.parameters())
    assert card["shape"]["vocabulary"] == learned.get_vocab_size() and card["recipe"]["batch_tokens"] == 96
    assert backbones.card(str(folder)) == card
