"""What is still to be computed, and about how long it takes."""

import json
import statistics
from collections import Counter

from paperkit.runs import KIND, RunSpec, cores
from paperkit.study import Study

WORDS_PER_SECOND = 25_000
"""Training speed of one thread at vectors 100 wide, where the store holds no run to measure it by."""
BYTES_PER_RUN = 8_000_000


def describe(study: Study) -> str:
    """Runs missing, minutes and disk, as text. Minutes are measured by this machine's finished runs if there are any."""
    specs = study.plan()
    missing = [spec for spec in specs if spec.find(study.store) is None]
    speed, size, measured = _experience(study)
    workers = study.workers or cores()
    seconds = sum(_words(spec) / speed for spec in missing) / workers
    lines = [study.summary(), f"runs     {len(specs)}, of which {len(missing)} are missing"]
    for (platform, method), count in Counter((spec.train_on, spec.method.name) for spec in missing).items():
        lines.append(f"           {count:3d} × {method} on {platform}")
    basis = f"as {measured} finished runs took here" if measured else "by a guess: no run has been finished here yet"
    lines.append(f"time     about {seconds / 60:.1f} minutes with {workers} at a time ({basis})")
    lines.append(f"disk     about {len(missing) * size / 1e6:.0f} MB more in {study.store.root}")
    return "\n".join(lines)


def _words(spec: RunSpec) -> float:
    """Words that a run computes on; two characters make a word, cleaning leaves about half, wider vectors cost more."""
    if not spec.method.seeded:
        return WORDS_PER_SECOND * 5
    texts = spec.source.load().rows("train", spec.train_on).text
    width = (spec.text.vector_size / 100) ** 1.5
    return float(texts.str.len().clip(upper=2 * spec.text.max_length).sum()) / 2.5 * spec.schedule.epochs * width


def _experience(study: Study) -> tuple[float, float, int]:
    """Words per second and bytes per run of the networks in the store, and how many were looked at."""
    speeds, sizes = [], []
    folder = study.store.root / KIND
    for run in sorted(folder.iterdir())[:200] if folder.exists() else []:
        try:
            result = json.loads((run / "run.json").read_text())
            manifest = json.loads((run / "manifest.json").read_text())
        except (OSError, ValueError):
            continue
        if result["history"]:
            width = (manifest["identity"]["text"]["vector_size"] / 100) ** 1.5
            speeds.append(result["train_words"] * len(result["history"]) * width / max(result["seconds"], 0.1))
            sizes.append(sum(manifest["files"].values()))
    if not speeds:
        return WORDS_PER_SECOND, BYTES_PER_RUN, 0
    return statistics.median(speeds), statistics.mean(sizes), len(speeds)
