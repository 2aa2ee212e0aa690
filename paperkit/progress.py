"""Progress: a bar in a terminal and in JupyterLab, plain lines in a log, nothing where nobody watches."""

import os
import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")


def headless() -> bool:
    """Whether a notebook is executed without anyone looking (papermill, nbval): no bars, no sliders."""
    return os.environ.get("PAPERKIT_HEADLESS") == "1"


def progress_bar(items: Iterable[T], *, total: int, unit: str, title: str) -> Iterator[T]:
    """``items``, with their progress and an estimate of the time left while they are consumed."""
    if total == 0 or headless():
        yield from items
    elif sys.stderr.isatty() or "ipykernel" in sys.modules:
        from tqdm.auto import tqdm

        yield from tqdm(items, total=total, unit=unit, desc=title, leave=False)
    else:
        started = time.monotonic()
        for count, item in enumerate(items, start=1):
            yield item
            left = (time.monotonic() - started) / count * (total - count)
            print(
                f"{title}: {count} of {total} {unit}s, about {left / 60:.1f} minutes left", file=sys.stderr, flush=True
            )
