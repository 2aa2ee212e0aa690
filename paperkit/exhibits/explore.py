"""Sliders for someone exploring; a still picture for everyone else."""

from collections.abc import Callable
from typing import Any

from paperkit.progress import headless


def explore(draw: Callable[..., Any], **sliders: tuple[float, float, float, float]) -> None:
    """Call ``draw`` with a slider per argument: ``name=(lowest, highest, step, start)``.

    Executed without anyone looking (papermill, nbval), ``draw`` is called once with the starting values instead, so that
    the saved notebook shows a picture and not a dead widget.
    """
    if headless():
        draw(**{name: start for name, (*_, start) in sliders.items()})
        return
    from ipywidgets import FloatSlider, interact

    controls = {name: FloatSlider(min=low, max=high, step=step, value=start, continuous_update=False)
                for name, (low, high, step, start) in sliders.items()}  # fmt: skip
    interact(draw, **controls)
