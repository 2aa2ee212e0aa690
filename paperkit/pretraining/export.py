"""The folder of a finished encoder: what ``transformers`` loads, in half precision, and the facts of its making."""

import json
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerFast, RobertaForMaskedLM

from paperkit.pretraining.tokenizer import SPECIAL
from paperkit.pretraining.train import CURVE, Recipe, Shape

FACTS = "pretraining.json"


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
