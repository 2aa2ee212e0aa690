"""Numbers inside sentences and cells: one way to write each kind."""

import math


def minus(text: str) -> str:
    """The same with real minus signs."""
    return text.replace("-", "−")


def points(value: float) -> str:
    """A share or a difference of shares in points: ``"−1.2"``."""
    return minus(f"{100 * value:+.1f}")


def p_value(p: float) -> str:
    """``"0.012"``, ``"< .001"`` or, where there is none, ``"n/a"``."""
    return "n/a" if math.isnan(p) else "< .001" if p < 0.001 else f"{p:.3f}"
