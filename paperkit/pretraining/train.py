"""Masked-language-model pretraining after RoBERTa: full sequences, dynamic whole-word masks, no next-sentence task."""

import csv
import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers import RobertaConfig, RobertaForMaskedLM

from paperkit.errors import InputError
from paperkit.pretraining.stream import IGNORED, Stream, mask
from paperkit.pretraining.tokenizer import END, PAD, START
from paperkit.seeds import derive, numpy_generator
from paperkit.training.loop import rate_factor

CHECKPOINT, CURVE = "checkpoint.safetensors", "loss.csv"


@dataclass(frozen=True)
class Shape:
    """The encoder: a RoBERTa of this size."""

    layers: int = 2
    width: int = 256
    heads: int = 4
    inner: int = 1024
    """Width of the feed-forward layers."""
    positions: int = 256
    """Longest input in tokens."""
    vocabulary: int = 16_000


@dataclass(frozen=True)
class Recipe:
    """The training."""

    tokens: int = 42_000_000
    """Tokens read in all, over as many epochs as that takes."""
    batch_tokens: int = 4_096
    """Tokens per step."""
    lengths: tuple[tuple[float, int], ...] = ((0.9, 128), (0.1, 256))
    """Sequence length in each stage, with the stage's share of the steps (as BERT: short ones first)."""
    learning_rate: float = 1.5e-3
    """Peak of AdamW's rate: linear warm-up, then linear decay to 0."""
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

    def stage(self, step: int) -> tuple[int, int]:
        """Sequence length at ``step``, and the step at which its stage began."""
        begin, share = 0, 0.0
        for part, length in self.lengths:
            share += part
            end = round(share * self.steps)
            if step < end:
                return length, begin
            begin = end
        return self.lengths[-1][1], begin

    def rate(self, step: int) -> float:
        return self.learning_rate * rate_factor(step, self.steps, self.warmup)


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
    report: Callable[[str], None] = print,
) -> RobertaForMaskedLM:
    """Train on ``stream``, or go on from the checkpoint in ``folder``; the loss curve is kept in ``loss.csv`` there.

    ``held_out`` (name to stream) is scored at every tenth of the way: loss and accuracy on the hidden tokens.

    Raises:
        InputError: text or recipe are too small for a single step.
    """
    for _, length in recipe.lengths:
        if recipe.steps < 1 or recipe.batch_tokens < length or len(stream.tokens) < length - 1:
            raise InputError(
                f"pretraining on {recipe.tokens:,} tokens, {recipe.batch_tokens:,} a step, in sequences of {length}, from a "
                f"text of {len(stream.tokens):,}: there must be enough for one step and one sequence"
            )
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(derive(recipe.seed, "init"))
    model = build(shape, recipe.dropout, "eager" if recipe.device == "cpu" else "sdpa").to(recipe.device)
    decayed = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim <= 1]
    optimizer = torch.optim.AdamW([{"params": decayed, "weight_decay": recipe.weight_decay},
                                   {"params": others, "weight_decay": 0.0}],
                                  lr=recipe.learning_rate, betas=(0.9, 0.98), eps=1e-6, fused=True)  # fmt: skip
    step, curve = _resume(folder, model, optimizer)
    cuts = {length: stream.sequences(length) for _, length in recipe.lengths}
    started, first, losses = time.perf_counter(), step, []
    seconds = curve[-1]["seconds"] if curve else 0.0
    while step < recipe.steps:
        length, begin = recipe.stage(step)
        tokens, words = cuts[length]
        rows = _rows(len(tokens), recipe.batch_tokens // length, step - begin, recipe.seed, length)
        hidden, targets = mask(tokens[rows], words[rows], shape.vocabulary, recipe.seed, step)
        torch.manual_seed(derive(recipe.seed, "dropout", step))
        model.train()
        for group in optimizer.param_groups:
            group["lr"] = recipe.rate(step)
        with torch.autocast(recipe.device, dtype=torch.bfloat16, enabled=recipe.dtype == "bfloat16"):
            logits, y = masked_logits(model, *(torch.from_numpy(x).to(recipe.device) for x in (hidden, targets)))
        loss = F.cross_entropy(logits, y)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), recipe.clip)
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
            _save(folder, model, optimizer, step, curve)
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
        with torch.autocast(model.device.type, dtype=torch.bfloat16, enabled=recipe.dtype == "bfloat16"):
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


def _save(folder: Path, model, optimizer, step: int, curve: list[dict]) -> None:
    tensors = {f"model.{name}": value for name, value in model.named_parameters()}
    for number, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{number}.{name}": value for name, value in state.items()}
    temporary = folder / f".{CHECKPOINT}.tmp"
    metadata = {"progress": json.dumps({"step": step, "curve": curve})}
    save_file({name: value.detach().contiguous().cpu() for name, value in tensors.items()}, temporary, metadata)
    os.replace(temporary, folder / CHECKPOINT)
    write_curve(folder / CURVE, curve)


def write_curve(path: Path, curve: list[dict]) -> None:
    columns = list(dict.fromkeys(name for row in curve for name in row))
    temporary = path.with_suffix(".tmp")
    with temporary.open("w", newline="") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows({k: f"{v:.4f}" if isinstance(v, float) else v for k, v in row.items()} for row in curve)
    os.replace(temporary, path)


def _resume(folder: Path, model, optimizer) -> tuple[int, list[dict]]:
    if not (folder / CHECKPOINT).exists():
        return 0, []
    states: dict[int, dict[str, Tensor]] = {}
    with safe_open(folder / CHECKPOINT, framework="pt") as file:
        progress = json.loads(file.metadata()["progress"])
        parameters = dict(model.named_parameters())
        for name in file.keys():  # noqa: SIM118 (not a dict)
            part, _, rest = name.partition(".")
            if part == "model":
                parameters[rest].data.copy_(file.get_tensor(name))
            else:
                number, _, key = rest.partition(".")
                states.setdefault(int(number), {})[key] = file.get_tensor(name)
    optimizer.load_state_dict({"state": states, "param_groups": optimizer.state_dict()["param_groups"]})
    return progress["step"], progress["curve"]
