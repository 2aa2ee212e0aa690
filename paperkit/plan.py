"""What is still to be computed, and about how long it takes."""

import json
import math
import statistics
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from functools import cache
from typing import Any

from paperkit.models import backbones
from paperkit.runs import KIND, RunSpec
from paperkit.store import canonical
from paperkit.study import Study
from paperkit.text.tokens import TokenOptions
from paperkit.training.loop import total_steps

SPEED = {"bilstm": 25_000, "encoder": 8_000}
"""Words of a Bi-LSTM with vectors 100 wide, and tokens of ``mini``, that one thread trains on in a second, where the store
holds no run to measure it by."""
BYTES_PER_RUN = 8_000_000
TERMS = ("consistency", "contrast", "adversarial")
SVM_SECONDS = 1.2e-5
"""Per text, class and value of C."""


def describe(study: Study) -> str:
    """Runs missing, minutes and disk, as text. Minutes are measured by this machine's finished runs if there are any."""
    specs = study.plan()
    missing = [spec for spec in specs if spec.find(study.store) is None]
    work: dict[str, list[float]] = {}
    for spec in missing:
        if spec.method.network:
            work.setdefault(spec.method.classifier, []).append(_seconds(spec, dict.fromkeys(SPEED, 1.0)))
    least = {kind: statistics.median(each) / 10 for kind, each in work.items()}
    speed, size, measured = _experience(study, least, _encoders(specs))
    seconds = sum(_seconds(spec, speed) for spec in missing) / study.at_once
    lines = [study.summary(), f"runs     {len(specs)}, of which {len(missing)} are missing"]
    for (place, method), count in Counter((_place(spec), spec.method.name) for spec in missing).items():
        lines.append(f"           {count:3d} × {method} on {place}")
    basis = (
        f"as {measured} finished runs took here"
        if measured
        else "by a guess: no run of this size was finished here yet"
    )
    lines.append(f"time     about {seconds / 60:.1f} minutes with {study.at_once} at a time ({basis})")
    lines.append(f"disk     about {len(missing) * size / 1e6:.0f} MB more in {study.store.root}")
    return "\n".join(lines)


def _place(spec: RunSpec) -> str:
    return spec.train_on or spec.source.load().name


def _seconds(spec: RunSpec, speed: dict[str, float]) -> float:
    """What a run takes on one thread.

    Two characters make a word of Chinese and cleaning leaves about half; a token has 1.4 characters, of English 3.9.
    """
    corpus = spec.source.load()
    texts = corpus.rows("train", spec.train_on).text.str.len()
    rows = max(corpus.n_classes, round(len(texts) * spec.method.labelled))  # one of each class is kept
    if not spec.method.network:
        return SVM_SECONDS * 4 * rows * corpus.n_classes + 5
    if isinstance(spec.text, TokenOptions):
        per_token = 1.4 if corpus.language == "zh" else 3.9
        units = (texts / per_token).clip(upper=spec.text.max_length).sum()
    else:
        units = texts.clip(upper=2 * spec.text.max_length).sum() / 2.5 * _width(asdict(spec.text))
    passes = total_steps(rows, spec.schedule) / -(-rows // spec.schedule.batch_size)
    units *= _size(spec.text.backbone) if isinstance(spec.text, TokenOptions) else 1
    return float(units) * rows / max(1, len(texts)) * passes * spec.method.cost / speed[spec.method.classifier]


def _width(text: Mapping[str, Any]) -> float:
    """How much more a Bi-LSTM with wider vectors costs."""
    return (text["vector_size"] / 100) ** 1.5 if "vector_size" in text else 1.0


@cache
def _size(backbone: str) -> float:
    """How much more a token costs in an encoder than in ``mini``: parameters of the matrices that it passes."""
    weights = []
    for found in (backbones.find(backbone), backbones.find("mini")):
        config = json.loads((found.folder / "config.json").read_text(encoding="utf-8")) | dict(found.changes)
        width, inner = config["hidden_size"], config["intermediate_size"]
        weights.append(config["num_hidden_layers"] * (4 * width**2 + 2 * width * inner))
    return weights[0] / weights[1]


def _encoders(specs: Iterable[RunSpec]) -> dict[str, float]:
    """The encoders of these runs, by what the store knows them by, and their :func:`_size`."""
    names = {spec.text.backbone for spec in specs if isinstance(spec.text, TokenOptions)}
    return {canonical(backbones.find(name).identity): _size(name) for name in names}


def _experience(
    study: Study, least: Mapping[str, float], encoders: Mapping[str, float]
) -> tuple[dict[str, float], float, int]:
    """Words or tokens per second and bytes per run of the networks in the store, and how many runs say so.

    Speed is that of supervised runs: what a run with more terms takes beside one, :attr:`Method.cost` says. Runs that read
    fewer words than ``least``, a tenth of those to come, say nothing: most of their seconds are not training. Nor do runs of a
    kind that is not to come, or of none of these ``encoders``.
    """
    speeds: dict[str, list[float]] = {}
    sizes = []
    folder = study.store.root / KIND
    for run in sorted(folder.iterdir())[:400] if folder.exists() else []:
        try:
            result = json.loads((run / "run.json").read_text())
            manifest = json.loads((run / "manifest.json").read_text())
        except (OSError, ValueError):
            continue
        if result["history"]:
            identity = manifest["identity"]
            sizes.append(sum(manifest["files"].values()))
            if any(identity["method"][term] for term in TERMS) or identity["schedule"]["min_steps"]:
                continue
            text = identity["text"]
            size = encoders.get(canonical(text["backbone"]), math.nan) if "backbone" in text else _width(text)
            words = result["train_words"] * len(result["history"]) * size
            kind = identity["method"]["classifier"]
            if words >= least.get(kind, math.inf):
                speeds.setdefault(kind, []).append(words / max(result["seconds"], 0.1))
    measured = {kind: statistics.median(values) for kind, values in speeds.items()}
    return SPEED | measured, statistics.mean(sizes) if sizes else BYTES_PER_RUN, sum(map(len, speeds.values()))
