"""The encoder against transformers and plain loops: whatever batch a text travels in, its logits are its own."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from paperkit.errors import InputError
from paperkit.models import backbones
from paperkit.models.encoder import Encoder, Projection, mean_pool
from paperkit.papers import BASELINE
from paperkit.text.batches import collate
from paperkit.text.tokens import TokenOptions
from paperkit.text.vocabulary import Encoded
from paperkit.training.execute import build_model
from paperkit.training.methods import Schedule
from tests.encoders import POSITIONS, SAVE

CLASSES, SIZE = 3, 16
TEXTS = ("山水好！", "我们的房间很好，早餐很坏。", "the room", "good breakfasts ! the bad room", "a")


@pytest.fixture(scope="module", params=SAVE)
def backbone(request, tmp_path_factory) -> backbones.Backbone:
    """One of each family."""
    return backbones.find(str(SAVE[request.param](tmp_path_factory.mktemp(request.param))))


def network(backbone, pooling="mean", attention="eager", dropout=0.1, seed=1) -> Encoder:
    torch.manual_seed(seed)
    model = Encoder(backbone, CLASSES, pooling=pooling, attention=attention, dropout=dropout).eval()
    nn.init.normal_(model.output.weight)
    return model


def batch_of(backbone, texts=TEXTS):
    """Token numbers and lengths."""
    tokeniser, pad, _ = backbone.tokeniser()
    numbers = [tokeniser.encode(text).ids for text in texts]
    offsets = np.cumsum([0, *map(len, numbers)])
    batch = collate(Encoded(np.concatenate(numbers).astype(np.int32), offsets, pad), np.arange(len(texts)))
    assert (batch.ids[torch.arange(batch.ids.shape[1]) >= batch.lengths[:, None]] == pad).all()
    return batch.ids, batch.lengths


def wider(ids, columns, fill):
    return torch.cat([ids, torch.full((len(ids), columns), fill)], dim=1)


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
@pytest.mark.parametrize("pooling", ["cls", "mean"])
@torch.no_grad()
def test_padding_changes_nothing(backbone, pooling, attention):
    model = network(backbone, pooling, attention)
    ids, lengths = batch_of(backbone)
    assert len(set(lengths.tolist())) > 2
    together = model(ids, lengths)
    alone = torch.cat([model(*batch_of(backbone, [text])) for text in TEXTS])
    assert torch.allclose(together, alone, atol=1e-5)
    assert torch.pdist(together).min() > 0.1, "the tolerance tells one text from another"
    for fill in (ids[0, 0].item(), ids[0, 1].item(), 1, 0):  # whatever it is filled with
        assert torch.allclose(model(wider(ids, 5, fill), lengths), together, atol=1e-5)


@torch.no_grad()
def test_pooling_is_a_loop(backbone):
    ids, lengths = batch_of(backbone)
    inside = (torch.arange(ids.shape[1]) < lengths[:, None]).long()
    for pooling in ("cls", "mean"):
        model = network(backbone, pooling).double()
        states = model.body(input_ids=ids, attention_mask=inside).last_hidden_state.tolist()
        for row, pooled in enumerate(model.represent(model.embed(ids), lengths).tolist()):
            n = int(lengths[row])
            mean = [sum(states[row][t][k] for t in range(n)) / n for k in range(SIZE)]
            assert pooled == pytest.approx(states[row][0] if pooling == "cls" else mean, abs=1e-12)


@settings(max_examples=30)
@given(st.lists(st.integers(0, 5), min_size=1, max_size=4), st.integers(0, 2**32))
def test_a_mean_is_over_the_tokens_of_each_text(lengths, seed):
    states = torch.randn(len(lengths), 5, 2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    pooled = mean_pool(states, torch.tensor(lengths))
    for row, n in enumerate(lengths):
        assert pooled[row].tolist() == pytest.approx(states[row, :n].mean(0).tolist() if n else [0, 0])


@pytest.mark.parametrize("pooling", ["cls", "mean"])
def test_perturbations_enter_at_the_word_embeddings(backbone, pooling):
    model = network(backbone, pooling)
    ids, lengths = batch_of(backbone)
    embedded = model.embed(ids).detach().requires_grad_()
    assert embedded.shape == (*ids.shape, SIZE)
    assert torch.equal(embedded, model.body.embeddings.word_embeddings.weight[ids]), "before positions and LayerNorm"
    logits = model.classify(embedded, lengths)
    assert torch.equal(logits, model(ids, lengths))
    (gradient,) = torch.autograd.grad(logits.logsumexp(1).sum(), embedded)
    inside = torch.arange(ids.shape[1]) < lengths[:, None]
    assert ((gradient.norm(dim=-1) > 0) == inside).all(), "every token of every text and no padding"
    moved = model.classify(embedded + 0.1 * gradient / gradient.norm(), lengths)
    assert moved.logsumexp(1).sum() > logits.logsumexp(1).sum()


@torch.no_grad()
def test_positions_are_those_of_transformers(backbone):
    model = network(backbone)
    ids, lengths = batch_of(backbone)
    inside = (torch.arange(ids.shape[1]) < lengths[:, None]).long()
    theirs = model.body(input_ids=ids, attention_mask=inside).last_hidden_state
    ours = model.body(inputs_embeds=model.embed(ids), attention_mask=inside).last_hidden_state
    assert torch.allclose(theirs[inside.bool()], ours[inside.bool()], atol=1e-6)
    first = 2 if model.body.config.model_type == "roberta" else 0  # RoBERTa counts from the padding token's number
    counted = torch.arange(first, first + ids.shape[1]).expand(len(ids), -1)
    explicit = model.body(input_ids=ids, attention_mask=inside, position_ids=counted).last_hidden_state
    assert torch.allclose(explicit[inside.bool()], ours[inside.bool()], atol=1e-6)
    shifted = model.body(input_ids=ids, attention_mask=inside, position_ids=counted.flip(1)).last_hidden_state
    assert (shifted - ours)[inside.bool()].abs().max() > 0.1, "they matter"


def test_the_longest_text_that_a_backbone_takes(backbone):
    assert backbone.positions == POSITIONS
    model = network(backbone)
    longest = torch.full((1, POSITIONS), 7)
    assert model(longest, torch.tensor([POSITIONS])).isfinite().all()
    with pytest.raises((IndexError, RuntimeError)):
        model(wider(longest, 1, 7), torch.tensor([POSITIONS + 1]))


@torch.no_grad()
def test_both_kinds_of_attention_agree(backbone):
    ids, lengths = batch_of(backbone)
    eager, sdpa = (network(backbone, attention=kind) for kind in ("eager", "sdpa"))
    assert {model.body.config._attn_implementation for model in (eager, sdpa)} == {"eager", "sdpa"}
    assert torch.allclose(eager(ids, lengths), sdpa(ids, lengths), atol=1e-5)


def weights(model) -> list[torch.Tensor]:
    return list(model.state_dict().values())


def equal(one, other) -> list[bool]:
    return [torch.equal(a, b) for a, b in zip(weights(one), weights(other), strict=True)]


def test_random_weights_depend_on_the_seed_alone(backbone):
    def build(seed, name="tiny", **options):
        text, schedule = TokenOptions(name, **options), Schedule(dropout=(0.0, 0.0, 0.1))
        return build_model(None, CLASSES, BASELINE, schedule, seed, text)

    first = build(0)
    torch.rand(5)
    assert all(equal(first, build(0, pooling="cls")))
    other = build(1)
    assert not torch.equal(first.body.embeddings.word_embeddings.weight, other.body.embeddings.word_embeddings.weight)
    assert not torch.equal(first.output.weight, other.output.weight)
    assert first.body.config.hidden_size == 32 and first.body.config.hidden_dropout_prob == 0.1

    one, two = build(0, str(backbone.folder)), build(1, str(backbone.folder))
    assert all(equal(one.body, two.body)), "pretrained weights are nobody's choice"
    assert not torch.equal(one.output.weight, two.output.weight)
    assert torch.equal(build(1, str(backbone.folder)).output.weight, two.output.weight)
    assert (one.output.bias == 0).all()


def test_every_weight_is_used(backbone):
    model = network(backbone, dropout=0.0)
    assert not [name for name, _ in model.named_parameters() if "pooler" in name]
    ids, lengths = batch_of(backbone)
    model(ids, lengths).square().sum().backward()
    for name, parameter in model.named_parameters():
        # a bias of the keys adds the same to all scores of a softmax
        assert parameter.grad.abs().max() > (-1 if name.endswith("key.bias") else 0), name
        assert parameter.grad.isfinite().all()
    inside = torch.arange(ids.shape[1]) < lengths[:, None]
    words = model.body.get_input_embeddings().weight.grad.abs().sum(1).nonzero().flatten()
    assert words.tolist() == sorted(set(ids[inside].tolist())), "the words of the texts, and padding is none"


def test_dropout_is_as_asked_for_and_acts_in_training_alone(backbone):
    ids, lengths = batch_of(backbone)
    model = network(backbone, dropout=0.3)
    rates = {module.p for module in model.modules() if isinstance(module, nn.Dropout)}
    assert rates == {0.3} and model.body.config.attention_probs_dropout_prob == 0.3
    assert torch.equal(model(ids, lengths), network(backbone, dropout=0.0)(ids, lengths))
    assert not torch.allclose(model.train()(ids, lengths), model(ids, lengths))
    plain = network(backbone, dropout=0.0).train()
    assert torch.equal(plain(ids, lengths), plain(ids, lengths))


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
@torch.no_grad()
def test_a_text_without_tokens_harms_nobody(backbone, attention):
    model = network(backbone, attention=attention)
    ids, lengths = batch_of(backbone)
    emptied = torch.where(torch.arange(len(lengths)) == 2, 0, lengths)
    logits = model(ids, emptied)
    others = torch.arange(len(lengths)) != 2
    assert torch.allclose(logits[others], model(ids, lengths)[others], atol=1e-5)
    assert torch.allclose(logits[2], model.output.bias)


def test_mixed_precision(backbone):
    model = network(backbone)
    ids, lengths = batch_of(backbone)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rough = model(ids, lengths).float()
    rough.sum().backward()
    assert all(parameter.grad.isfinite().all() for parameter in model.parameters())
    exact = model(ids, lengths)
    assert torch.allclose(rough, exact, atol=0.05 * exact.abs().max().item()) and not torch.equal(rough, exact)


def test_half_precision_files_are_computed_in_full(tmp_path):
    folder = SAVE["bert"](tmp_path / "bert")
    from transformers import AutoModelForMaskedLM

    AutoModelForMaskedLM.from_pretrained(folder).half().save_pretrained(folder)
    model = network(backbones.find(str(folder)))
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}
    word = model.body.embeddings.word_embeddings.weight
    assert torch.equal(word, word.half().float())


def test_the_projection_is_a_layer_and_tanh():
    torch.manual_seed(0)
    projection, pooled = Projection(4).double(), torch.randn(3, 4).double()
    weight, bias = projection.dense.weight.tolist(), projection.dense.bias.tolist()
    for row, projected in zip(pooled.tolist(), projection(pooled).tolist(), strict=True):
        sums = [sum(w * x for w, x in zip(weight[k], row, strict=True)) + bias[k] for k in range(4)]
        assert projected == pytest.approx(np.tanh(sums), abs=1e-12)


def test_an_unknown_pooling_is_refused(backbone):
    with pytest.raises(InputError, match=r"^pooling is 'max'; accepted are 'cls', 'mean'$"):
        Encoder(backbone, CLASSES, pooling="max")
