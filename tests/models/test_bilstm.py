"""The Bi-LSTM against its equations, one text and one word at a time, and against packed sequences."""

import copy
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from paperkit.errors import InputError
from paperkit.models.bilstm import BiLSTM, PeepholeLSTM, last_state, masked_attention, reverse

WORDS, SIZE, CLASSES = 12, 5, 3
KINDS = [(attention, peephole) for attention in (True, False) for peephole in ("none", "paper", "graves")]
TEXTS = ([3, 1, 7, 11, 2, 7], [5], [4, 4, 9], [10, 2, 1, 6])


def network(attention=True, peephole="none", dropout=(0.0, 0.0, 0.0), dtype=torch.float64, seed=0) -> BiLSTM:
    """A network in ``eval()`` mode of which no parameter is zero, so that none can be forgotten unseen."""
    torch.manual_seed(seed)
    vectors = torch.randn(WORDS, SIZE)
    vectors[0] = 0
    model = BiLSTM(vectors, CLASSES, attention=attention, peephole=peephole, dropout=dropout).to(dtype)
    for name, parameter in model.named_parameters():
        if name != "embedding.weight":
            nn.init.uniform_(parameter, -0.9, 0.9)
    return model.eval()


def batch(texts, width=None, filler=0):
    """Padded ids and lengths."""
    width = max(width or 0, 1, *map(len, texts))
    ids = torch.tensor([[*text, *[filler] * (width - len(text))] for text in texts])
    return ids, torch.tensor([len(text) for text in texts])


# The equations, in the paper's symbols and order.


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def directed(module, xs) -> list[np.ndarray]:
    """h_1 … h_T of one direction, eqs (1)-(6), in the order in which ``xs`` is read."""
    p = {name: value.detach().numpy() for name, value in module.named_parameters()}
    if isinstance(module, nn.LSTM):
        W_x, W_h, b = p["weight_ih_l0"], p["weight_hh_l0"], p["bias_ih_l0"] + p["bias_hh_l0"]
        W_c = np.zeros((4 * SIZE, SIZE))
    else:
        W_x, W_h, b, W_c = p["weight_x"], p["weight_h"], p["bias"], p["weight_c"]
    graves = isinstance(module, PeepholeLSTM) and module.kind == "graves"
    W_xi, W_xf, W_xc, W_xo = np.split(W_x, 4)
    W_hi, W_hf, W_hc, W_ho = np.split(W_h, 4)
    b_i, b_f, b_c, b_o = np.split(b, 4)
    if graves:
        W_ci, W_cf, W_co = (np.diag(w) for w in W_c)
        W_cc = np.zeros((SIZE, SIZE))
    else:
        W_ci, W_cf, W_cc, W_co = np.split(W_c, 4)
    h = c = np.zeros(SIZE)
    states = []
    for x in xs:
        before = c
        i = sigmoid(W_xi @ x + W_hi @ h + W_ci @ before + b_i)  # (1)
        f = sigmoid(W_xf @ x + W_hf @ h + W_cf @ before + b_f)  # (2)
        g = np.tanh(W_xc @ x + W_hc @ h + W_cc @ before + b_c)  # (3)
        c = i * g + f * before  # (4)
        o = sigmoid(W_xo @ x + W_ho @ h + W_co @ (c if graves else before) + b_o)  # (5)
        h = o * np.tanh(c)  # (6)
        states.append(h)
    return states


def attend(H, w) -> tuple[np.ndarray, np.ndarray]:
    """Eqs (8)-(10) for one text, ``H`` of shape (T, d)."""
    scores = np.array([w @ np.tanh(h) for h in H])
    a = np.exp(scores - scores.max()) / np.exp(scores - scores.max()).sum()
    return sum(weight * h for weight, h in zip(a, H, strict=True)), a


def naive(model: BiLSTM, text) -> tuple[np.ndarray, np.ndarray]:
    """Logits and attention weights of one unpadded text."""
    xs = [model.embedding.weight.detach().numpy()[word] for word in text]
    forward, backward = directed(model.forward_lstm, xs), directed(model.backward_lstm, xs[::-1])
    H = np.array([f + b for f, b in zip(forward, backward[::-1], strict=True)])  # (7)
    if model.w is None:
        represented, a = forward[-1] + backward[-1], None
    else:
        r, a = attend(H, model.w.detach().numpy())
        represented = np.tanh(r)  # (11)
    return model.output.weight.detach().numpy() @ represented + model.output.bias.detach().numpy(), a


@pytest.mark.parametrize(("attention", "peephole"), KINDS)
def test_it_is_the_equations(attention, peephole):
    model = network(attention, peephole)
    ids, lengths = batch(TEXTS, width=9)
    logits = model(ids, lengths)
    assert logits.shape == (len(TEXTS), CLASSES)
    for row, text in enumerate(TEXTS):
        expected, weights = naive(model, text)
        assert logits[row].tolist() == pytest.approx(expected.tolist(), abs=1e-10)
        if attention:
            a = model.attention_weights(ids, lengths)[row]
            assert a.tolist() == pytest.approx([*weights, *[0] * (9 - len(text))], abs=1e-10)


def test_float32_is_as_good_as_float32_gets():
    model = network()
    ids, lengths = batch(TEXTS)
    expected = model(ids, lengths)
    assert torch.allclose(model.float()(ids, lengths).double(), expected, atol=1e-6)


def test_it_equals_packed_sequences():
    model = network()
    ids, lengths = batch(TEXTS, width=8)
    lstm = nn.LSTM(SIZE, SIZE, batch_first=True, bidirectional=True).double()
    own = {**{n: p for n, p in model.forward_lstm.named_parameters()},
           **{f"{n}_reverse": p for n, p in model.backward_lstm.named_parameters()}}  # fmt: skip
    lstm.load_state_dict(own)
    packed = pack_padded_sequence(model.embed(ids), lengths, batch_first=True, enforce_sorted=False)
    states, (last, _) = lstm(packed)
    states, _ = pad_packed_sequence(states, batch_first=True, total_length=8)
    H = states[..., :SIZE] + states[..., SIZE:]
    mine = model.encode(model.embed(ids), lengths)
    for row, length in enumerate(lengths):
        assert torch.allclose(mine[row, :length], H[row, :length], atol=1e-12)
    r, _ = masked_attention(H, model.w, lengths)
    assert torch.allclose(model(ids, lengths), model.output(r.tanh()), atol=1e-12)
    model.w = None
    assert torch.allclose(model(ids, lengths), model.output(last.sum(dim=0)), atol=1e-12)


texts_of_words = st.lists(st.integers(1, WORDS - 1), min_size=1, max_size=7)


@pytest.mark.parametrize(("attention", "peephole"), KINDS)
@settings(max_examples=20)
@given(
    texts=st.lists(texts_of_words, min_size=1, max_size=5),
    wider=st.integers(0, 5),
    filler=st.integers(0, WORDS - 1),
    data=st.data(),
)
def test_a_text_sees_neither_its_batch_mates_nor_padding(attention, peephole, texts, wider, filler, data):
    model = network(attention, peephole)
    row = data.draw(st.integers(0, len(texts) - 1))
    alone = model(*batch([texts[row]]))
    width = max(map(len, texts)) + wider
    together = model(*batch(texts, width, filler))  # even words instead of padding, beyond the length, must not count
    assert torch.allclose(together[row], alone[0], atol=1e-10)


@pytest.mark.parametrize(("attention", "peephole"), KINDS)
def test_a_row_of_padding_alone(attention, peephole):
    model = network(attention, peephole)
    ids, lengths = batch(([3, 1], []))
    logits = model(ids, lengths)
    assert logits[1].tolist() == pytest.approx(model.output.bias.tolist()), "its representation is zero"
    logits.sum().backward()
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters())
    if attention:
        assert model.attention_weights(ids, lengths)[1].tolist() == [0, 0]
    assert torch.allclose(logits[0], model(*batch([[3, 1]]))[0])
    assert model(*batch([[]])).isfinite().all(), "also alone in its batch"


def test_one_word_gets_all_attention():
    model = network()
    assert model.attention_weights(*batch([[5]])).tolist() == [[1.0]]
    assert model.attention_weights(*batch([[5]], width=4)).tolist() == [[1.0, 0, 0, 0]]


def test_an_unknown_word_is_a_word():
    model = network()
    unknown, other = model(*batch([[3, 1]])), model(*batch([[3, 2]]))
    assert unknown.isfinite().all() and not torch.allclose(unknown, other)
    unknown.sum().backward()
    assert model.embedding.weight.grad[1].abs().sum() > 0, "its vector is learned"


@given(st.lists(st.integers(0, 6), min_size=1, max_size=5), st.integers(0, 3))
def test_reverse_is_a_loop(lengths, wider):
    width = max(lengths) + wider
    x = torch.arange(len(lengths) * width * 2).reshape(len(lengths), width, 2)
    expected = [[*reversed(row[:n]), *row[n:]] for row, n in zip(x.tolist(), lengths, strict=True)]
    turned = reverse(x, torch.tensor(lengths))
    assert turned.tolist() == expected
    assert torch.equal(reverse(turned, torch.tensor(lengths)), x)


def test_last_state_is_a_loop():
    states = torch.randn(5, 4, SIZE)
    lengths = [4, 1, 0, 2, 3]
    expected = [states[row, n - 1].tolist() if n else [0.0] * SIZE for row, n in enumerate(lengths)]
    assert last_state(states, torch.tensor(lengths)).tolist() == expected


@given(st.lists(st.integers(0, 5), min_size=1, max_size=5), st.integers(0, 2**31))
def test_attention_is_a_loop_and_sums_to_one(lengths, seed):
    generator = torch.Generator().manual_seed(seed)
    H = torch.randn(len(lengths), 5, SIZE, generator=generator, dtype=torch.float64) * 3
    w = torch.randn(SIZE, generator=generator, dtype=torch.float64) * 10
    inside = torch.arange(5) < torch.tensor(lengths)[:, None]
    r, a = masked_attention(H.masked_fill(~inside[..., None], 1e30), w, torch.tensor(lengths))
    assert (a >= 0).all() and (a[~inside] == 0).all()
    assert a.sum(dim=1).tolist() == pytest.approx([float(n > 0) for n in lengths])
    for row, n in enumerate(lengths):
        if n:
            expected, weights = attend(H[row, :n].numpy(), w.numpy())
            assert a[row, :n].tolist() == pytest.approx(weights.tolist(), abs=1e-12)
            assert r[row].tolist() == pytest.approx(expected.tolist(), abs=1e-12)
        else:
            assert r[row].tolist() == [0] * SIZE


@pytest.mark.parametrize("kind", ["paper", "graves"])
def test_a_peephole_is_not_an_lstm(kind):
    """Both forms, alone and over more steps than the texts above have, and that their c is really read."""
    torch.manual_seed(1)
    module = PeepholeLSTM(SIZE, kind).double()
    nn.init.uniform_(module.bias, -1, 1)
    x = torch.randn(2, 15, SIZE, dtype=torch.float64)
    states, _ = module(x)
    for row in range(2):
        assert states[row].tolist() == pytest.approx(np.array(directed(module, x[row].numpy())), abs=1e-10)
    plain = copy.deepcopy(module)
    nn.init.zeros_(plain.weight_c)
    assert not torch.allclose(plain(x)[0], states)
    assert sum(p.numel() for p in module.parameters()) - 4 * SIZE * (2 * SIZE + 1) == (
        4 * SIZE**2 if kind == "paper" else 3 * SIZE
    )


@pytest.mark.parametrize(("attention", "peephole"), KINDS)
def test_gradient_reaches_every_parameter(attention, peephole):
    model = network(attention, peephole)
    model(*batch(TEXTS)).pow(2).sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad.isfinite().all()
        if name == "embedding.weight":
            used = sorted({word for text in TEXTS for word in text})
            assert parameter.grad.abs().sum(dim=1).nonzero().flatten().tolist() == used
        else:
            assert (parameter.grad != 0).all(), name


@pytest.mark.parametrize("padded", [False, True], ids=["masked", "the paper's padded form"])
@pytest.mark.parametrize(("attention", "peephole"), KINDS)
def test_the_padding_row_stays_zero(attention, peephole, padded):
    model = network(attention, peephole, dtype=torch.float32).train()
    ids, lengths = batch(TEXTS, width=9)
    if padded:  # padding as if it were words, all the way through the network
        lengths = torch.full_like(lengths, 9)
    start = model.embedding.weight.detach().clone()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1, weight_decay=0.1)
    for _ in range(5):
        optimizer.zero_grad()
        model(ids, lengths).pow(2).sum().backward()
        optimizer.step()
    assert (model.embedding.weight[0] == 0).all()
    assert ((model.embedding.weight - start)[1:].abs().sum(dim=1) > 0).all()


def test_dropout_acts_in_training_alone_and_where_it_should():
    ids, lengths = batch(TEXTS)
    model = network(dropout=(0.3, 0.3, 0.5))
    assert torch.equal(model(ids, lengths), model(ids, lengths))
    assert torch.equal(model(ids, lengths), network()(ids, lengths)), "nothing is scaled in evaluation"
    model.train()
    assert not torch.allclose(model(ids, lengths), model(ids, lengths))

    for attention in (True, False):  # all of one place dropped, none elsewhere
        words, states, representation = (
            network(attention, dropout=tuple(float(place == at) for at in range(3))).train() for place in range(3)
        )
        intact = network(attention)
        embedded = intact.embed(ids)
        assert torch.allclose(words(ids, lengths), intact.classify(torch.zeros_like(embedded), lengths))
        assert (words.represent(embedded, lengths) != 0).any()
        assert (states.represent(embedded, lengths) == 0).all()
        assert torch.allclose(representation.represent(embedded, lengths), intact.represent(embedded, lengths))
        assert torch.allclose(representation(ids, lengths), representation.output.bias.expand(len(ids), -1))


def test_the_default_dropout_is_that_of_the_source():
    model = BiLSTM(torch.zeros(3, 4), 2)
    assert [model.embedding_dropout.p, model.lstm_dropout.p, model.output_dropout.p] == [0.3, 0.3, 0.5]


@pytest.mark.parametrize(("attention", "peephole"), KINDS)
def test_everything_is_as_wide_as_the_word_vectors(attention, peephole):
    model = network(attention, peephole)
    ids, lengths = batch(TEXTS)
    embedded = model.embed(ids)
    assert embedded.shape == (4, 6, SIZE)
    assert [states.shape for states in model.directions(embedded, lengths)] == [(4, 6, SIZE)] * 2
    assert model.encode(embedded, lengths).shape == (4, 6, SIZE)
    assert model.represent(embedded, lengths).shape == (4, SIZE)
    assert model.output.weight.shape == (CLASSES, SIZE)
    assert model.w is None or model.w.shape == (SIZE,)
    assert torch.equal(model.classify(embedded, lengths), model(ids, lengths))


def test_initial_weights():
    vectors = torch.randn(WORDS, SIZE)
    given = vectors.clone()
    torch.manual_seed(5)
    one = BiLSTM(vectors, 2)
    torch.manual_seed(5)
    other = BiLSTM(vectors, 2)
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))
    assert torch.equal(one.embedding.weight, given)
    assert 0 < one.w.abs().max() <= SIZE**-0.5 and one.w.std() > 0
    with torch.no_grad():
        one.embedding.weight.add_(1)
    assert torch.equal(vectors, given), "the caller's vectors are not trained"
    forward, backward = one.forward_lstm.weight_hh_l0, one.backward_lstm.weight_hh_l0
    assert not torch.equal(forward, backward), "two networks, not one used twice"


@pytest.mark.parametrize(("attention", "peephole"), KINDS)
def test_mixed_precision(attention, peephole):
    model = network(attention, peephole, dtype=torch.float32)
    ids, lengths = batch((*TEXTS, []))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rough = model(ids, lengths).float()
    rough.sum().backward()
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters())
    assert torch.allclose(rough, model(ids, lengths), atol=0.1)


@pytest.mark.parametrize(
    "make", [lambda kind: BiLSTM(torch.zeros(3, 4), 2, peephole=kind), lambda k: PeepholeLSTM(4, k)]
)
def test_an_unknown_peephole_is_refused(make):
    with pytest.raises(InputError, match=r"^peephole is 'gers'; accepted are 'none', 'paper', 'graves'$"):
        make("gers")


def test_attention_weights_carry_no_gradient():
    a = network().attention_weights(*batch(TEXTS))
    assert not a.requires_grad
    assert math.isclose(a.sum(), len(TEXTS))
