"""What the papers claim, read from ``claims.yml`` and checked before anything is measured."""

import inspect
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from paperkit.claims import measures_a, measures_b  # noqa: F401 (they register what they measure)
from paperkit.claims.evidence import MEASURES
from paperkit.errors import InputError

FILE = Path(__file__).resolve().parents[1] / "claims.yml"
RULES = ("more than", "less than", "at least", "at most", "differs from")
"""How the measured quantity is compared with the threshold."""
UNITS = ("points", "share", "loss", "logits", "steps", "models")
"""What it counts in; points are hundredths of a share."""
FAMILIES = ("ledger", "none")
"""Claims of the ledger share Holm's correction; a claim without a p value belongs to none."""
LANGUAGES = ("en", "zh")
NAMED = re.compile(r"\{(\w+)\}")
"""A statement whose threshold a title names."""


@dataclass(frozen=True)
class Group:
    """A claim of EXHIBITS, whose parts are the entries of the ledger."""

    id: str
    title: dict[str, str]
    """The claim in a line; ``{B5a}`` stands for the threshold of its statement B5a, with the unit."""
    advice: dict[str, str]
    """What we would tell the authors about it, whatever the verdict."""


@dataclass(frozen=True)
class Claim:
    """One part of a claim: one number, one rule, one verdict."""

    id: str
    paper: str
    place: str
    short: str
    """The measured quantity in a few words, for pictures."""
    sentence: dict[str, str]
    """The claim in our words; ``{threshold}`` stands for the threshold with its unit."""
    measurement: dict[str, Any]
    """``name`` of a function of :mod:`paperkit.claims.measures_a` or ``measures_b``, and its arguments."""
    rule: str
    threshold: float
    unit: str
    paired: bool
    """Whether the seeds of what is compared belong together."""
    family: str
    caution: dict[str, str] | None = None
    """What a reader must know where the claim is supported; most need none."""

    @property
    def border(self) -> float:
        """What the measured quantity is compared with: the threshold, or where so many models must be at least, half a model
        less, from which the mean over seeds rounds to it. (With the threshold itself, 4 in every seed would be enough, and 4 in
        all but one that has 5 would not.)"""
        return self.threshold - 0.5 * (self.unit == "models" and self.rule == "at least")

    @property
    def group(self) -> str:
        """``"B1"`` of ``"B1a"``."""
        return re.match(r"[AB]\d+", self.id)[0]

    @property
    def exhibits(self) -> tuple[str, ...]:
        """Exhibits whose files the measurement reads."""
        return tuple(self.measurement[name] for name in ("exhibit", "beside") if name in self.measurement)


def claims() -> tuple[Claim, ...]:
    """Every entry, in the order of the papers."""
    return load(FILE)[1]


def groups() -> dict[str, Group]:
    """Every claim by its number."""
    return load(FILE)[0]


@cache
def load(path: Path) -> tuple[dict[str, Group], tuple[Claim, ...]]:
    """Read and check a file of claims.

    Raises:
        InputError: the file, the entry and what is wrong with it, in one sentence.
    """
    try:
        tree = yaml.load(path.read_text(encoding="utf-8"), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"{path.name}: cannot be read as YAML: {' '.join(str(error).split())}") from None
    _keys(tree, ("groups", "claims"), path.name)
    _kind(tree["groups"], dict, f"{path.name}, groups")
    _kind(tree["claims"], list, f"{path.name}, claims")
    parents = {name: _group(name, node, f"{path.name}, group {name}") for name, node in tree["groups"].items()}
    entries = []
    for number, node in enumerate(tree["claims"], start=1):
        where = f"{path.name}, claim {node.get('id', number) if isinstance(node, dict) else number}"
        entries.append(_claim(node, where, parents))
    ids = [entry.id for entry in entries]
    if twice := sorted({name for name in ids if ids.count(name) > 1}):
        raise InputError(f"{path.name}: {', '.join(twice)} is there more than once")
    if empty := [name for name in parents if name not in {entry.group for entry in entries}]:
        raise InputError(f"{path.name}: the group {', '.join(empty)} has no claim")
    for name, group in parents.items():
        named = {part for language in LANGUAGES for part in NAMED.findall(group.title[language])}
        if unknown := sorted(named - {entry.id for entry in entries if entry.group == name}):
            raise InputError(f"{path.name}, group {name}, title: {{{unknown[0]}}} is no statement of it")
    return parents, tuple(entries)


def _group(name: str, node: Any, where: str) -> Group:
    _keys(node, ("title", "advice"), where)
    return Group(name, _bilingual(node["title"], f"{where}, title"), _bilingual(node["advice"], f"{where}, advice"))


def _claim(node: Any, where: str, parents: Iterable[str]) -> Claim:
    fields = tuple(Claim.__dataclass_fields__)
    _keys(node, fields, where, optional=("caution",))
    for name in ("id", "paper", "place", "short", "rule", "unit", "family"):
        _kind(node[name], str, f"{where}, {name}")
    if not re.fullmatch(r"[AB]\d+([a-z]\d?)?", node["id"]) or node["id"][0] != node["paper"]:
        raise InputError(
            f"{where}: id {node['id']!r} of paper {node['paper']!r}; accepted is A or B, a number, a part: A9b2"
        )
    for name, accepted in (("rule", RULES), ("unit", UNITS), ("family", FAMILIES)):
        if node[name] not in accepted:
            raise InputError(f"{where}: {name} is {node[name]!r}; accepted are {', '.join(accepted)}")
    if type(node["threshold"]) not in (int, float):
        raise InputError(f"{where}: threshold is {node['threshold']!r}; accepted is a number")
    _kind(node["paired"], bool, f"{where}, paired")
    sentence = _bilingual(node["sentence"], f"{where}, sentence")
    _kind(node["measurement"], dict, f"{where}, measurement")
    _arguments(node["measurement"], f"{where}, measurement")
    if "caution" in node:
        _bilingual(node["caution"], f"{where}, caution")
    claim = Claim(**node | {"sentence": sentence, "threshold": float(node["threshold"])})
    if claim.group not in parents:
        raise InputError(f"{where}: the group {claim.group} is missing")
    return claim


def _arguments(node: dict, where: str) -> None:
    function = MEASURES.get(node.get("name"))
    if function is None:
        raise InputError(f"{where}: name is {node.get('name')!r}; accepted are {', '.join(MEASURES)}")
    known = arguments_of(function)
    if unknown := sorted(set(node) - {"name", *known}):
        raise InputError(f"{where}: unknown argument {unknown[0]!r} of {node['name']}; accepted are {', '.join(known)}")
    if missing := [name for name, optional in known.items() if not optional and name not in node]:
        raise InputError(f"{where}: {node['name']} needs {', '.join(missing)}")


def arguments_of(function: Callable) -> dict[str, bool]:
    """Arguments of a measuring function beside the evidence, and whether each may be left out."""
    _, *rest = inspect.signature(function).parameters.values()
    return {each.name: each.default is not inspect.Parameter.empty for each in rest}


def _bilingual(node: Any, where: str) -> dict[str, str]:
    _keys(node, LANGUAGES, where)
    for language in LANGUAGES:
        _kind(node[language], str, f"{where}, {language}")
    return node


def _keys(node: Any, expected: tuple[str, ...], where: str, optional: tuple[str, ...] = ()) -> None:
    _kind(node, dict, where)
    if unknown := [name for name in node if name not in expected]:
        raise InputError(f"{where}: unknown key {unknown[0]!r}, expected {', '.join(expected)}")
    if missing := [name for name in expected if name not in node and name not in optional]:
        raise InputError(f"{where}: lacks the key {', '.join(missing)}")


def _kind(node: Any, kind: type, where: str) -> None:
    if type(node) is not kind or (kind is not bool and not node):
        name = {dict: "keys", list: "a list", str: "a text", bool: "true or false"}[kind]
        raise InputError(f"{where}: found {node!r:.60}, expected {name}, not empty")
