"""Random numbers that depend on what they are for, not on when they are drawn.

A run has one seed. Every use of randomness in it (initial weights, order of an epoch, dropout of an epoch, the
augmentation of one example) gets its own seed, derived from the run's seed and the purpose. So nothing changes when
batches are formed differently, when a run is resumed, or when runs share a process.
"""

import hashlib
import random

import numpy as np


def derive(seed: int, *purpose: str | int) -> int:
    """A seed in [0, 2**63) for one purpose: ``derive(seed, "dropout", epoch)``."""
    words = "\x1f".join(map(str, (seed, *purpose)))
    return int.from_bytes(hashlib.sha256(words.encode()).digest()[:8], "big") >> 1


def numpy_generator(seed: int, *purpose: str | int) -> np.random.Generator:
    """A NumPy generator for one purpose."""
    return np.random.default_rng(derive(seed, *purpose))


def python_generator(seed: int, *purpose: str | int) -> random.Random:
    """A generator of the standard library for one purpose; its stream is the same on every platform and version."""
    return random.Random(derive(seed, *purpose))
