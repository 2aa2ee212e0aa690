"""The folder of a finished encoder: what ``transformers`` loads, in half precision, and the model card."""

import csv
import hashlib
import json
from collections import Counter
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerFast, RobertaForMaskedLM

from paperkit.corpora import public
from paperkit.pretraining.tokenizer import SPECIAL
from paperkit.pretraining.train import CURVE, Recipe, Shape

FACTS, CARD = "pretraining.json", "README.md"


def export(
    model: RobertaForMaskedLM, tokenizer: Tokenizer, folder: Path, shape: Shape, recipe: Recipe, facts: dict
) -> None:
    """Write ``config.json``, ``model.safetensors`` (float16), the tokeniser and ``pretraining.json`` into ``folder``.

    The facts are what a model card states: sizes of the texts, recipe, hardware, and the last row of the loss curve.
    """
    model.config.architectures = ["RobertaForMaskedLM"]
    model.config.dtype = "float16"
    model.config.save_pretrained(folder)
    # the output matrix is the word embedding and is not written twice
    state = {name: value.to(torch.float16).contiguous() for name, value in model.named_parameters()}
    save_file(state, folder / "model.safetensors", {"format": "pt"})
    pad, start, end, unknown, mask = SPECIAL
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token=pad, bos_token=start, eos_token=end, cls_token=start, sep_token=end,
        unk_token=unknown, mask_token=mask, model_max_length=shape.positions, padding_side="right",
    ).save_pretrained(folder)  # fmt: skip
    last = (folder / CURVE).read_text().splitlines()
    scores = dict(zip(last[0].split(","), last[-1].split(","), strict=True))
    facts = {"parameters": sum(p.numel() for p in model.parameters()), "shape": asdict(shape),
             "recipe": asdict(recipe), "steps": recipe.steps, "reached": scores, **facts}  # fmt: skip
    (folder / FACTS).write_text(json.dumps(facts, indent=1, ensure_ascii=False) + "\n")


def write_card(folder: Path, command: str) -> None:
    """The model card, from the facts beside the weights: nothing in it is typed that a run could tell."""
    facts = json.loads((folder / FACTS).read_text())
    shape, recipe, numerics = facts["shape"], facts["recipe"], facts["numerics"]
    with (folder / CURVE).open(newline="") as file:
        curve = list(csv.DictReader(file))
    last = curve[-1]
    weights = (folder / "model.safetensors").read_bytes()
    code = f", with the code of commit {facts['commit']}" if "commit" in facts else ""
    epochs = int(last["tokens"]) / facts["train_tokens"]
    counts = sorted(Counter(recipe["lengths"]).items())
    lengths = ", ".join(
        f"{count / len(recipe['lengths']):.0%} of them {length} tokens long" for length, count in counts
    )
    sources = "\n".join(
        f"| `{name}` | {count:,} | {public.manifest()[name].licence} | {public.manifest()[name].citation} |"
        for name, count in sorted(facts["characters"].items())
    )
    (folder / CARD).write_text(
        f"""---
language: [zh, en]
license: other
library_name: transformers
pipeline_tag: fill-mask
---

# mini: a small encoder of Chinese and English

A RoBERTa of {shape["layers"]} layers, {shape["width"]} wide ({facts["parameters"] / 1e6:.1f} million parameters), so that
pretrained representations can be had offline and fine-tuned in minutes on two cores. It stands in for the RoBERTa of the paper
that this project reproduces; it is **no** general-purpose language model.

```python
from transformers import AutoModel, AutoTokenizer
model, tokenizer = AutoModel.from_pretrained("paperkit/models/mini"), AutoTokenizer.from_pretrained("paperkit/models/mini")
```

## Text

{facts["documents"]:,} documents, {facts["train_tokens"]:,} tokens after one in {facts.get("held_out_one_in", 100)} was held out.
No text that a corpus of this project selects or tests on, compared after normalisation. Some sources state no licence or allow
research only, so the weights are **for research use**.

| source | characters | licence | origin |
| --- | --- | --- | --- |
{sources}

## Recipe

- Vocabulary: {shape["vocabulary"]:,} pieces, byte-pair encoding over characters, lower case, NFKC; merges never cross a word of
  jieba; a Chinese character is never split.
- Masked language modelling after RoBERTa: full sequences without padding, other words hidden at every reading; whole words
  (jieba's words of Chinese), 15 % of them; of their tokens 80 % become `<mask>`, 10 % another token, 10 % stay.
- {facts["steps"]:,} steps of {recipe["batch_tokens"]:,} tokens, {int(last["tokens"]):,} in all ({epochs:.1f} epochs), in sequences,
  {lengths}.
- Embeddings start from CBOW vectors of the same tokens ({recipe["vector_epochs"]} passes); everything else from random weights.
- Muon for the matrices of the layers (peak rate {recipe["matrix_rate"]:g}), AdamW for the rest ({recipe["learning_rate"]:g});
  {recipe["warmup"]:.0%} warm-up, linear decay, weight decay {recipe["weight_decay"]:g}, gradient norm at most {recipe["clip"]:g},
  dropout {recipe["dropout"]:g}, {recipe["dtype"]}, seed {recipe["seed"]}.
- Hardware: {numerics["device"]} ({numerics["chip"]}), {facts.get("threads", 1)} thread(s),
  {float(last["seconds"]) / 3600:.1f} hours;
  torch {numerics["torch"]}, transformers {numerics["transformers"]}.

The exact command: `{command}`{code}. The loss curve is `loss.csv`, the facts above are `{FACTS}`.

## What it reached

| held-out text | masked tokens guessed right | cross-entropy |
| --- | --- | --- |
| Chinese | {float(last["zh_accuracy"]):.1%} | {float(last["zh_loss"]):.2f} |
| English | {float(last["en_accuracy"]):.1%} | {float(last["en_loss"]):.2f} |

What that is worth in classification stands in the table `x_encoder_table` (notebook 08_encoder).

## Limits

{epochs:.1f} epochs over some {facts["train_tokens"] / 1e6:.0f} million tokens are very little beside what RoBERTa read. Chinese is
mostly news, reviews, abstracts and examination questions, English mostly news wires of 1987, film reviews and speeches; it
will know little of anything else. It reads at most {shape["positions"]} tokens. Biases of its texts were not examined.

sha256 of `model.safetensors`: `{hashlib.sha256(weights).hexdigest()}`
""",
        encoding="utf-8",
    )
