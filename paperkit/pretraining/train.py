"""Masked-language-model pretraining after RoBERTa: full sequences, dynamic whole-word masks, no next-sentence task."""

import csv
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import RobertaConfig, RobertaForMaskedLM

from paperkit.errors import InputError
from paperkit.pretraining.stream import IGNORED, Stream, mask
from paperkit.pretraining.tokenizer import END, PAD, START
from paperkit.seeds import derive, numpy_generator
from paperkit.training import checkpoint
from paperkit.training.loop import rate_factor
from paperkit.training.numerics import precision

CURVE = "loss.csv"


@dataclass(frozen=True)
class Shape:
    """The encoder: a RoBERTa of this size."""

    layers: int = 2
    width: int = 192
    heads: int = 3
    inner: int = 768
    """Width of the feed-forward layers."""
    positions: int = 256
    """Longest input in tokens."""
    vocabulary: int = 16_000


@dataclass(frozen=True)
class Recipe:
    """The training."""

    tokens: int = 54_000_000
    """Tokens read in all, over as many epochs as that takes."""
    batch_tokens: int = 4_096
    """Tokens per step."""
    lengths: tuple[int, ...] = (128, 128, 128, 256)
    """Sequence length of each step, over and over: every position is trained from the start, mostly on short ones, which
    are cheaper."""
    learning_rate: float = 2e-3
    """Peak of AdamW's rate, for embeddings, biases and norms: linear warm-up, then linear decay to 0."""
    matrix_rate: float = 0.02
    """The same of Muon's rate, for the matrices of the layers; Muon orthogonalises their updates and needs fewer steps."""
    vector_epochs: int = 3
    """Passes of CBOW over the text, from whose vectors the embeddings start; 0 starts from noise."""
    warmup: float = 0.04
    weight_decay: float = 0.01
    clip: float = 1.0
    dropout: float = 0.0
    """None by default: a model this small does not fit the text by heart."""
    dtype: str = "bfloat16"
    device: str = "cpu"
    seed: int = 0
    save_every: int = 250
    """Steps from one checkpoint to the next; at most these are lost by a kill."""

    @property
    def steps(self) -> int:
        return self.tokens // self.batch_tokens

    def place(self, step: int) -> tuple[int, int]:
        """Sequence length of ``step``, and how many steps had this length before it."""
        turn, place = divmod(step, len(self.lengths))
        length = self.lengths[place]
        return length, turn * self.lengths.count(length) + self.lengths[:place].count(length)


def build(shape: Shape, dropout: float = 0.0, attention: str = "eager") -> RobertaForMaskedLM:
    """The untrained model. ``eager`` attention is a third faster than ``sdpa`` on CPUs in bfloat16, where we measured it."""
    return RobertaForMaskedLM(
        RobertaConfig(
            vocab_size=shape.vocabulary, hidden_size=shape.width, num_hidden_layers=shape.layers,
            num_attention_heads=shape.heads, intermediate_size=shape.inner, type_vocab_size=1,
            max_position_embeddings=shape.positions + PAD + 1, hidden_dropout_prob=dropout,
            attention_probs_dropout_prob=dropout, pad_token_id=PAD, bos_token_id=START, eos_token_id=END,
            attn_implementation=attention,
        )
    )  # fmt: skip


def build_optimizers(model: RobertaForMaskedLM, recipe: Recipe) -> list[torch.optim.Optimizer]:
    """Muon for the matrices inside the layers, AdamW for everything else; each group with the ``peak`` of its rate."""
    matrices = [p for p in model.roberta.encoder.parameters() if p.ndim == 2]
    inner = {id(p) for p in matrices}
    others = [p for p in model.parameters() if id(p) not in inner]
    groups = [{"params": [p for p in others if p.ndim > 1], "weight_decay": recipe.weight_decay},
              {"params": [p for p in others if p.ndim <= 1], "weight_decay": 0.0}]  # fmt: skip
    optimizers = [torch.optim.Muon(matrices, lr=recipe.matrix_rate, weight_decay=recipe.weight_decay),
                  torch.optim.AdamW(groups, lr=recipe.learning_rate, betas=(0.9, 0.98), eps=1e-6, fused=True)]  # fmt: skip
    for group in chain.from_iterable(optimizer.param_groups for optimizer in optimizers):
        group["peak"] = group["lr"]
    return optimizers


def masked_logits(model: RobertaForMaskedLM, tokens: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Logits of the hidden tokens alone ``(hidden, V)`` in float32, and what they were ``(hidden,)``."""
    n, length = tokens.shape
    positions = torch.arange(PAD + 1, PAD + 1 + length, device=tokens.device).expand(n, -1)
    states = model.roberta(input_ids=tokens, position_ids=positions).last_hidden_state
    chosen = targets != IGNORED
    return model.lm_head(states[chosen]).float(), targets[chosen]


def pretrain(
    stream: Stream,
    shape: Shape,
    recipe: Recipe,
    folder: Path,
    held_out: dict[str, Stream] | None = None,
    vectors: np.ndarray | None = None,
    report: Callable[[str], None] = print,
) -> RobertaForMaskedLM:
    """Train on ``stream``, or go on from the checkpoint in ``folder``; the loss curve is kept in ``loss.csv`` there.

    Args:
        held_out: name to stream, scored at every tenth of the way: loss and accuracy on the hidden tokens.
        vectors: ``(vocabulary, width)`` that the embeddings start from; see :mod:`paperkit.pretraining.vectors`.

    Raises:
        InputError: text or recipe are too small for a single step.
    """
    for length in recipe.lengths:
        if recipe.steps < 1 or recipe.batch_tokens < length or len(stream.tokens) < length - 1:
            raise InputError(
                f"pretraining on {recipe.tokens:,} tokens, {recipe.batch_tokens:,} a step, in sequences of {length}, from a "
                f"text of {len(stream.tokens):,}: there must be enough for one step and one sequence"
            )
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(derive(recipe.seed, "init"))
    model = build(shape, recipe.dropout, "eager" if recipe.device == "cpu" else "sdpa").to(recipe.device)
    if vectors is not None:
        model.roberta.embeddings.word_embeddings.weight.data.copy_(torch.from_numpy(vectors))
    optimizers = build_optimizers(model, recipe)
    step, curve = _resume(folder, model, optimizers)
    if curve:  # killed between the checkpoint and the curve
        write_curve(folder / CURVE, curve)
    cuts = {length: stream.sequences(length) for length in set(recipe.lengths)}
    started, first, losses = time.perf_counter(), step, []
    seconds = curve[-1]["seconds"] if curve else 0.0
    while step < recipe.steps:
        length, before = recipe.place(step)
        tokens, words = cuts[length]
        rows = _rows(len(tokens), recipe.batch_tokens // length, before, recipe.seed, length)
        hidden, targets = mask(tokens[rows], words[rows], shape.vocabulary, recipe.seed, step)
        torch.manual_seed(derive(recipe.seed, "dropout", step))
        model.train()
        factor = rate_factor(step, recipe.steps, recipe.warmup)
        for group in chain.from_iterable(optimizer.param_groups for optimizer in optimizers):
            group["lr"] = group["peak"] * factor
        with precision(torch.device(recipe.device), recipe.dtype):
            logits, y = masked_logits(model, *(torch.from_numpy(x).to(recipe.device) for x in (hidden, targets)))
        loss = F.cross_entropy(logits, y)
        model.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), recipe.clip)
        for optimizer in optimizers:
            optimizer.step()
        losses.append(loss.detach())
        step += 1
        tenth = step * 10 // recipe.steps > (step - 1) * 10 // recipe.steps
        if step % recipe.save_every == 0 or step == recipe.steps or tenth:
            spent = time.perf_counter() - started
            row = {"step": step, "tokens": step * recipe.batch_tokens, "loss": torch.stack(losses).mean().item(),
                   "seconds": round(seconds + spent, 1)}  # fmt: skip
            if held_out and tenth:
                for name, text in held_out.items():
                    row |= {f"{name}_{k}": v for k, v in evaluate(model, text, recipe).items()}
            curve.append(row)
            losses = []
            _save(folder, model, optimizers, step, curve)
            report(
                f"step {step:,} of {recipe.steps:,}, loss {row['loss']:.3f}, "
                f"{(step - first) * recipe.batch_tokens / spent:,.0f} tokens/s"
                + "".join(f", {k} {v:.3f}" for k, v in row.items() if k.endswith("accuracy"))
            )
    return model.eval()


@torch.no_grad()
def evaluate(model: RobertaForMaskedLM, stream: Stream, recipe: Recipe, length: int = 128) -> dict[str, float]:
    """Loss and accuracy on the hidden tokens of held-out text, under masks that are always the same.

    In sequences of ``length`` tokens, or as long as the model takes.
    """
    model.eval()
    tokens, words = stream.sequences(min(length, model.config.max_position_embeddings - PAD - 1))
    hidden, targets = mask(tokens, words, model.config.vocab_size, 0, "held out")
    loss = correct = count = 0.0
    for begin in range(0, len(tokens), 64):
        batch = (torch.from_numpy(x[begin : begin + 64]).to(model.device) for x in (hidden, targets))
        with precision(model.device, recipe.dtype):
            logits, y = masked_logits(model, *batch)
        loss += F.cross_entropy(logits, y, reduction="sum").item()
        correct += (logits.argmax(dim=-1) == y).sum().item()
        count += len(y)
    return {"loss": loss / max(count, 1), "accuracy": correct / max(count, 1)}


def _rows(n: int, batch: int, step: int, seed: int, length: int) -> np.ndarray:
    """The sequences of one step: every epoch goes through all full batches of ``n`` once, in an order of its own."""
    per_epoch = max(1, n // batch)
    epoch, place = divmod(step, per_epoch)
    order = numpy_generator(seed, "order", length, epoch).permutation(n)
    return order[place * batch : (place + 1) * batch]


def _save(folder: Path, model, optimizers, step: int, curve: list[dict]) -> None:
    parts = {"model": dict(model.named_parameters())}  # without the names of tied weights
    checkpoint.save(folder, parts, optimizers, {"step": step, "curve": curve})
    write_curve(folder / CURVE, curve)


def write_curve(path: Path, curve: list[dict]) -> None:
    columns = list(dict.fromkeys(name for row in curve for name in row))
    temporary = path.with_suffix(".tmp")
    with temporary.open("w", newline="") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows({k: f"{v:.4f}" if isinstance(v, float) else v for k, v in row.items()} for row in curve)
    os.replace(temporary, path)


def _resume(folder: Path, model, optimizers) -> tuple[int, list[dict]]:
    found = checkpoint.load(folder, optimizers)
    if found is None:
        return 0, []
    parts, progress = found
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(parts["model"][name])
    return progress["step"], progress["curve"]
