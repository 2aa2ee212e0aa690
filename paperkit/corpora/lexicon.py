"""What the generated corpora share: their YAML files, checked against a schema, and weighted things to draw from."""

import re
from bisect import bisect
from itertools import accumulate
from pathlib import Path

import yaml

from paperkit.errors import InputError

SLOT = re.compile(r"<(\w+)>")
_TYPES = {"text": str, "number": int, "list": list, "keys": dict}


def read(path: Path) -> dict:
    """A YAML file of keys with entries; InputError names file and fault."""
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"{path}: cannot be read as YAML: {' '.join(str(error).split())}") from None
    if not isinstance(tree, dict):
        raise InputError(f"{path}: found {type(tree).__name__}, expected keys with entries")
    return tree


def check(node, schema, where: str, slots: set[str], sites: tuple[str, ...] = ()) -> None:
    """Refuse what a generator cannot use; ``where`` names file and key.

    ``schema`` is ``"text"``, ``"number"`` (whole, ≥ 0), ``"list"`` (of texts) or a dict of schemas, in which ``"*"`` stands
    for any name. Texts may hold ``<slot>``, and end in ``@site`` if only one of ``sites`` uses them.
    """
    kind = "keys" if isinstance(schema, dict) else schema
    if type(node) is not _TYPES[kind] or (node < 0 if kind == "number" else not node):
        raise InputError(f"{where}: found {node!r:.60}, expected {kind} (not empty, not negative)")
    if kind == "keys":
        if missing := [name for name in schema if name not in {"*", *node}]:
            raise InputError(f"{where}: lacks the key {', '.join(missing)}")
        for name, below in node.items():
            if name not in schema and "*" not in schema:
                raise InputError(f"{where}: unknown key {name!r}, expected {', '.join(schema)}")
            check(below, schema.get(name, schema.get("*")), f"{where}, key {name}", slots, sites)
    elif kind == "list":
        for entry in node:
            if not isinstance(entry, str):
                raise InputError(f"{where}: found {entry!r}, expected a text (put quotes around a number)")
            if unknown := set(SLOT.findall(entry)) - slots:
                raise InputError(f"{where}: found {entry!r} with the unknown slot {', '.join(sorted(unknown))}")
        found = {entry.partition("@")[2] for entry in node} if sites else {""}
        if not found <= {"", *sites} or not ("" in found or found >= {*sites}):
            wanted = " or ".join(sites)
            raise InputError(f"{where}: after @ found {sorted(found)}, expected {wanted}, and a word for either")


class Pool:
    """Things to draw from, with whole numbers as weights: nothing is rounded, so every machine draws the same."""

    def __init__(self, weights: dict) -> None:
        self.items, self.cumulative = tuple(weights), tuple(accumulate(weights.values()))
        if not self.cumulative[-1]:
            raise InputError(f"the weights of {', '.join(map(str, weights))} are all 0, expected one above")

    def draw(self, rng):
        return self.items[bisect(self.cumulative, int(rng.random() * self.cumulative[-1]))]
