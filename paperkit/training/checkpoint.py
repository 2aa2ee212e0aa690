"""A training's state in one safetensors file, written atomically: a kill loses what came after it and nothing else."""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor
from torch.optim import Optimizer

FILE = "checkpoint.safetensors"


def save(
    folder: Path, parts: Mapping[str, Mapping[str, Tensor]], optimizers: Sequence[Optimizer], progress: dict
) -> None:
    """Write the named groups of tensors, the optimizers' states, and ``progress``, anything that JSON can hold."""
    tensors = {f"{part}.{name}": value for part, group in parts.items() for name, value in group.items()}
    for place, optimizer in enumerate(optimizers):
        for number, state in optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer{place}.{number}.{name}": value for name, value in state.items()}
    temporary = folder / f".{FILE}.tmp"
    kept = {name: value.detach().contiguous().cpu() for name, value in tensors.items()}
    save_file(kept, temporary, {"progress": json.dumps(progress)})
    os.replace(temporary, folder / FILE)


def load(folder: Path, optimizers: Sequence[Optimizer]) -> tuple[dict[str, dict[str, Tensor]], Any] | None:
    """The groups of tensors and the progress, with the optimizers put back; None where nothing was saved."""
    if not (folder / FILE).exists():
        return None
    parts: dict[str, dict[str, Tensor]] = {}
    with safe_open(folder / FILE, framework="pt") as file:
        progress = json.loads(file.metadata()["progress"])
        for name in file.keys():  # noqa: SIM118 (not a dict)
            part, _, rest = name.partition(".")
            parts.setdefault(part, {})[rest] = file.get_tensor(name)
    for place, optimizer in enumerate(optimizers):
        states: dict[int, dict[str, Tensor]] = {}
        for name, value in parts.pop(f"optimizer{place}", {}).items():
            number, _, key = name.partition(".")
            states.setdefault(int(number), {})[key] = value
        optimizer.load_state_dict({"state": states, "param_groups": optimizer.state_dict()["param_groups"]})
    return parts, progress
