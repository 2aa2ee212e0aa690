"""Profiles: how much is computed, as data."""

import math
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field, fields, is_dataclass, replace
from functools import cache, partial
from typing import Any, get_args, get_type_hints

from paperkit import paths
from paperkit.errors import InputError
from paperkit.papers import FGM, PGD
from paperkit.terms import (
    DIVERGENCES,
    POSITIVES,
    RAMPS,
    SCOPES,
    STARTS,
    TARGETS,
    TSA,
    VIEWS,
    Attack,
    Consistency,
    Contrast,
)
from paperkit.text.prepare import TextOptions
from paperkit.text.tokens import TokenOptions
from paperkit.training.methods import Schedule

DATA_KINDS = ("embedded", "public", "table")


@dataclass(frozen=True)
class Profile:
    """One profile of ``profiles.toml``, resolved for one kind of data."""

    name: str
    seeds: int = 3
    """Runs per model; seeds are 0, 1, … Intervals and tests are over them."""
    ablation_seeds: int = 2
    """Runs per row of the ablation tables."""
    reviews: int = 4500
    """Texts of the embedded ``reviews`` corpus; the paper has 24,190."""
    tickets: int = 16_000
    """Texts of the embedded ``tickets`` corpus, unlabelled ones included."""
    newswire: int = 12_000
    """Texts of the embedded ``newswire`` corpus, unlabelled ones included."""
    robustness: int = 500
    """Test texts drawn for standard and robust accuracy (paper A, SA and RA)."""
    reworded: int = 200
    """Of these, texts whose words are changed."""
    word_shares: tuple[float, ...] = (0.05, 0.1, 0.2)
    """Shares of a text's words that are changed at most."""
    encoder_seeds: int = 3
    """Runs per row of the comparison of encoders."""
    label_shares: tuple[float, ...] = (0.01, 0.1, 1.0)
    """Shares of the labels with which encoders are compared."""
    b_label_shares: tuple[float, ...] = (0.1, 0.3)
    """Shares of the labels at which paper B's models are compared, beside all of them."""
    backbone_en: str = "mini"
    """Encoder of English corpora; see :func:`paperkit.models.backbones.find`."""
    backbone_zh: str = "mini"
    """Encoder of Chinese corpora."""
    gamma: float = 2.0
    """γ of the focal model, in [0, 5]."""
    alpha: str | float | None = "inverse"
    """α of the focal model; see :class:`paperkit.training.methods.Method`."""
    gammas: tuple[float, ...] = (0.0, 1.0, 2.0, 5.0)
    """Values of γ over which the surface of the focal model's scores is drawn."""
    n_alphas: int = 4
    """How many of the values of α in :data:`paperkit.papers.ALPHAS` it is drawn over, the first ones."""
    text: TextOptions = field(default_factory=TextOptions)
    schedule: Schedule = field(default_factory=Schedule)
    """Training of paper B's models."""
    tokens: TokenOptions = field(default_factory=TokenOptions)
    """Texts of paper A's models; the backbone is the one of the corpus' language."""
    finetune: Schedule = field(default_factory=partial(
        Schedule, epochs=5, batch_size=32, learning_rate=5e-4, head_learning_rate=2e-3, dropout=(0.0, 0.0, 0.1), dtype="auto"
    ))  # fmt: skip
    """Training of paper A's models."""
    large_seeds: int = 5
    """Runs per model of paper A."""
    labelled: float = 1.0
    """Share of the labels that paper A's models train on; the other training texts join the unlabelled ones."""
    uda: Consistency = field(default_factory=Consistency)
    """Paper A's L_cons, its TSA included."""
    esimcse: Contrast = field(default_factory=Contrast)
    """Paper A's L_sim."""
    fgm: Attack = FGM
    """How FGM models are trained."""
    pgd: Attack = PGD
    """How PGD models are trained; the community's setting."""
    epsilons: tuple[float, ...] = (0.05, 0.1, 0.2, 0.4)
    """Radii of the attacks that models are evaluated with, in norms of the text's embeddings."""
    attack_steps: int = 3
    """K of the PGD that models are evaluated with; it has the same budget as FGM."""
    curve_seeds: int = 2
    """Runs per point of paper A's curves and variants."""
    curve_shares: tuple[float, ...] = (0.05, 0.1, 0.3)
    """Shares of the labels at which single terms are compared, beside ``labelled``."""
    lengths: tuple[float, ...] = (1, 4)
    """How many times the epochs of ``finetune`` single terms are trained, to see whether they had time to act."""
    noise_rates: tuple[float, ...] = (0.0, 0.2, 0.4)
    """Shares of wrong labels at which models are compared, where the truth is known."""
    pool_shares: tuple[float, ...] = (0.1, 0.3)
    """Shares of UDA's unlabelled texts with which it is compared with all of them; the largest below 1 is also drawn evenly
    over the classes."""
    branch_shares: tuple[float, ...] = (0.5,)
    """Shares of the branches of the label tree whose labels are mixed up, beside none of them."""


SHORT = ("text", "schedule")
"""Parts whose settings may be named without the part: paper B's."""

FIXED = ("name", "tokens.backbone", "fgm.kind", "fgm.steps", "fgm.step_size", "pgd.kind", "uda.virtual.kind",
         "uda.virtual.step_size", "uda.virtual.scope")  # fmt: skip
"""What is no setting: something else says it, or what it belongs to is of one kind, which does not read it."""

COUNTS = ("seeds", "ablation_seeds", "encoder_seeds", "reviews", "tickets", "newswire", "robustness", "reworded", "n_alphas",
          "max_length", "min_count", "vector_size", "window", "vector_epochs",
          "epochs", "batch_size", "threads", "views", "large_seeds", "curve_seeds", "attack_steps", "ratio", "steps")  # fmt: skip
RANGES = dict.fromkeys(COUNTS, (1, math.inf)) | {
    "gamma": (0, math.inf), "label_shares": (1e-6, 1), "b_label_shares": (1e-6, 1), "alpha": (0, 1),
    "learning_rate": (0, math.inf), "warmup": (0, 1),
    "weight_decay": (0, math.inf), "head_learning_rate": (0, math.inf), "patience": (0, math.inf), "min_steps": (0, math.inf),
    "clip": (1e-6, math.inf), "dropout": (0, 0.99), "lengths": (1, math.inf), "noise_rates": (0, 0.99), "curve_shares": (1e-6, 1),
    "pool_shares": (1e-6, 1), "branch_shares": (1e-6, 1), "labelled": (1e-6, 1), "epsilons": (1e-9, math.inf),
    "gammas": (0, math.inf), "word_shares": (1e-6, 1),
    "weight": (0, math.inf), "temperature": (1e-6, math.inf), "confidence": (0, 1), "pool": (1e-6, 1), "entropy": (0, math.inf),
    "ramp_length": (1e-6, 1), "average": (0, 1), "momentum": (0, 1), "queue": (0, math.inf), "epsilon": (0, math.inf),
    "step_size": (1e-9, math.inf), "augmentation.temperature": (0, math.inf),
}  # fmt: skip
"""Smallest and largest value of settings with this last name, or these last two where they differ from the others."""
CHOICES = {
    "alpha": ("inverse",), "stop_words": ("keep-negations", "literal", "none"), "vocabulary": ("train", "all"),
    "algorithm": ("cbow", "skip-gram"), "select": ("accuracy", "f1_macro", "loss"), "device": ("cpu", "cuda", "auto"),
    "dtype": ("float32", "bfloat16", "auto"), "pooling": ("cls", "mean"), "target": TARGETS, "view": VIEWS,
    "divergence": DIVERGENCES, "divisor": ("batch", "kept"), "tsa": TSA, "ramp": RAMPS, "positive": POSITIVES,
    "start": STARTS, "head": ("random", "probe"), "scope": SCOPES,
}  # fmt: skip


@cache
def _read() -> dict[str, Any]:
    return tomllib.loads((paths.ROOT / "paperkit" / "profiles.toml").read_text(encoding="utf-8"))


def names() -> tuple[str, ...]:
    """The profiles there are."""
    return tuple(_read())


def load(name: str, kind: str = "embedded", overrides: dict[str, Any] | None = None) -> Profile:
    """The profile ``name`` for one kind of data, with single fields overridden.

    Args:
        kind: ``"embedded"``, ``"public"`` or ``"table"``.
        overrides: setting to value. A field of ``text`` or ``schedule`` (paper B) may be named alone, ``{"epochs": 5}``; one
            of another part (paper A) with it, ``{"finetune.epochs": 5, "uda.augmentation.kind": "eda"}``.

    Raises:
        InputError: an unknown profile or field, or a value of the wrong type, with what is accepted.
    """
    tables = _read()
    if name not in tables:
        raise InputError(f"profile is {name!r}; accepted are {', '.join(map(repr, tables))}")
    table = dict(tables[name])
    variants = {k: table.pop(k, {}) for k in DATA_KINDS}
    profile = Profile(name)
    for layer, where in ((table, name), (variants[kind], f"{name}.{kind}")):
        profile = override(profile, dict(_flat(layer)), f"profiles.toml [{where}]")
    return override(profile, overrides or {}, "an override")


def override(profile: Profile, values: dict[str, Any], where: str) -> Profile:
    """``profile`` with some settings replaced; ``where`` names the source of the values in error messages."""
    known = settings()
    short = {path.partition(".")[2]: path for path in known if path.startswith(tuple(f"{part}." for part in SHORT))}
    changes: dict[str, Any] = {}
    for given, value in values.items():
        path = short.get(given, given)
        if path not in known:
            accepted = sorted([*short, *(path for path in known if path.partition(".")[0] not in SHORT)])
            raise InputError(f"{where} sets {given!r}, which is no setting; accepted are {', '.join(accepted)}")
        value = _typed(value, known[path], f"{where} sets {given}")
        _check_range(path, value, f"{where} sets {given}")
        *parts, name = path.split(".")
        place = changes
        for part in parts:
            place = place.setdefault(part, {})
        place[name] = value
    return _replaced(profile, changes)


def settings() -> dict[str, Any]:
    """Every setting with its type: ``"seeds"``, and of parts ``"finetune.epochs"``, ``"uda.augmentation.kind"``."""
    return {path: hint for path, hint in _leaves(Profile) if path not in FIXED}


def _leaves(cls: type, prefix: str = "") -> Iterator[tuple[str, Any]]:
    hints = get_type_hints(cls)
    for each in fields(cls):
        hint = hints[each.name]
        if is_dataclass(hint):
            yield from _leaves(hint, f"{prefix}{each.name}.")
        else:
            yield prefix + each.name, hint


def _flat(table: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """A nested table as dotted names."""
    for name, value in table.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def _replaced(whole: Any, changes: dict[str, Any]) -> Any:
    """All changes of one part at once: some are right only together."""
    inner = {name: _replaced(getattr(whole, name), value) if isinstance(value, dict) else value
             for name, value in changes.items()}  # fmt: skip
    return replace(whole, **inner)


def _typed(value: Any, hint: Any, what: str) -> Any:
    """``value`` if it fits the annotation; an int stands for a float, a list for a tuple, ``"none"`` for nothing."""
    accepted = get_args(hint) if type(None) in get_args(hint) else (hint,)
    if value == "none" and type(None) in accepted:
        return None
    if tuple in (getattr(kind, "__origin__", None) for kind in accepted):
        items = get_args(accepted[0])
        length = len(value) if isinstance(value, list | tuple) else 0
        fits = length > 0 if Ellipsis in items else length == len(items)
        if fits and all(_is_number(v) for v in value):
            return tuple(float(v) for v in value)
        raise InputError(
            f"{what} to {value!r}; accepted is a list of {'' if Ellipsis in items else f'{len(items)} '}numbers"
        )
    for kind in accepted:
        if kind is float and _is_number(value):
            return float(value)
        if type(value) is kind:
            return value
    kinds = " or ".join("nothing" if kind is type(None) else kind.__name__ for kind in accepted)
    raise InputError(f"{what} to {value!r}, of type {type(value).__name__}; accepted is {kinds}")


def _check_range(path: str, value: Any, what: str) -> None:
    """Refuse what would be found out only after minutes of training, or never."""
    *_, name = path.split(".")
    low, high = RANGES.get(".".join(path.split(".")[-2:]), RANGES.get(name, (-math.inf, math.inf)))
    if isinstance(value, str):
        fine = name not in CHOICES or value in CHOICES[name]
    else:
        numbers = value if isinstance(value, tuple) else () if value is None else (value,)
        fine = all(low <= number <= high and math.isfinite(number) for number in numbers)
    if not fine:
        accepted = [repr(choice) for choice in CHOICES.get(name, ())]
        if name in RANGES:
            accepted.append(f"a number from {low:g} " + ("up" if high == math.inf else f"to {high:g}"))
        raise InputError(f"{what} to {value!r}; accepted is {' or '.join(accepted)}")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
