"""t-SNE, which is slow with many components: kept in the store by what it is made of."""

import hashlib
import warnings
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save

from paperkit.runs import in_parallel
from paperkit.store import Store, key, write_atomically

KIND = "tsne"
FILE = "places.safetensors"
STEPS = 500
EXACT_ABOVE = 3
"""Components from which on only the exact method works."""


def tsne(
    vectors: Sequence[np.ndarray], components: int, store: Store, workers: int | None = None, seed: int = 0
) -> list[np.ndarray]:
    """Each set of vectors ``(N, d)`` in ``components`` dimensions, ``(N, components)`` float32; N at least 4."""
    identities = [_identity(each, components, seed) for each in vectors]
    missing = {key(identity): (each, components, seed, store, identity)
               for each, identity in zip(vectors, identities, strict=True) if store.find(KIND, identity) is None}  # fmt: skip
    in_parallel(_keep, list(missing.values()), workers, "t-SNE", "map")
    return [load_file(store.folder(KIND, identity) / FILE)["places"] for identity in identities]


def _identity(vectors: np.ndarray, components: int, seed: int) -> dict:
    return {"vectors": hashlib.sha256(np.ascontiguousarray(vectors).tobytes()).hexdigest(), "shape": list(vectors.shape),
            "components": components, "seed": seed, "steps": STEPS,
            "versions": [metadata.version(name) for name in ("scikit-learn", "numpy")]}  # fmt: skip


def _keep(vectors: np.ndarray, components: int, seed: int, store: Store, identity: dict) -> None:
    def build(folder: Path) -> None:
        write_atomically(folder / FILE, save({"places": placed(vectors, components, seed)}))

    store.get(KIND, identity, build)


def placed(vectors: np.ndarray, components: int, seed: int = 0) -> np.ndarray:
    """The same, computed here and now. The exact method, as the approximate one stops at three components."""
    from sklearn.manifold import TSNE

    n = len(vectors)
    method = "barnes_hut" if components <= EXACT_ABOVE else "exact"
    model = TSNE(components, perplexity=min(30.0, (n - 1) / 3), init="random", method=method, max_iter=STEPS, random_state=seed,
                 n_jobs=1)  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # texts whose logits are equal
        return model.fit_transform(np.asarray(vectors, dtype=np.float64)).astype(np.float32)
