"""The embedded corpus ``tickets``: a generated stand-in for paper A's complaint tickets, which are private.

Everything Chinese lies in ``data/tickets/*.yaml`` and may be edited there; this file is the process. Leaves of the label
tree are paths, line / stage / problem or line / stage / group / problem, e.g. 宽带/安装/超时未上门. For ticket i::

    g         ~ a generator seeded by (seed, i) alone, so a ticket does not depend on how many there are
    truth     ~ Categorical(1 / (rank + tail))     the true leaf; ranks are a fixed order of the leaves
    size      ~ Categorical(sizes)                 short or long: lengths have two modes
    clue      ~ Categorical(clues)                 where the ticket says which problem it is about, see below
    text      = layout of (time, cause, course, handling, reply), see below
    label     = −1 with probability unlabelled, else what one annotator a ~ Categorical(annotators) wrote:
                truth, or with probability business_error
                    a sibling (80 %) or a cousin of it: with probability habit the one that a always takes it
                    for, else any

    part of the text             words that it shares
    product, scene of the stage  with every leaf of the line; with every leaf of this stage, or group, in any line
    problem, word on the course  clue says, both: with this problem anywhere in the tree; else with its whole family
    finding                      clue found, both: with this problem; else with all tickets
    demand, fix                  with the family
    extras, in long tickets      standard sentences, other products, and complaints that the ticket is *not* about: solved
                                 earlier, ruled out, somebody else's

Siblings have the same parent; the cousins of a leaf are the leaves of the same problem elsewhere (超时未上门 in 宽带/维修,
电视/安装), or, where it occurs only once, the other leaves of its line. A leaf whose problem occurs elsewhere has no word
of its own: it takes product, stage and problem, and a problem has about nine wordings, of which some also stand for a
sibling. Unlabelled tickets keep their truth.
"""

import datetime
from pathlib import Path

import pandas as pd

from paperkit import paths
from paperkit.corpora.corpus import UNLABELLED, Corpus, assemble
from paperkit.corpora.lexicon import SLOT, Pool, check, read
from paperkit.errors import InputError
from paperkit.seeds import derive, python_generator

PARTS = ("cause", "course", "handling", "reply")
DAYS = {"earlier": (-30, -2), "date": (0, 0), "later": (1, 3), "after": (4, 8)}
"""Slots for dates: days after the call, from and to."""
NEW_YEAR = datetime.date(2023, 1, 1).toordinal()


def _pools(node, head: int):
    """A YAML tree with its lists as pools of templates: entry r (from 0) of a list has weight ∝ 1/(r + head)."""
    if isinstance(node, list):
        return Pool({tuple(SLOT.split(entry)): 100_000 // (rank + head) for rank, entry in enumerate(node)})
    return {name: _pools(value, head) for name, value in node.items()} if isinstance(node, dict) else node


class Leaf:
    """A label: its place in the tree and, once the tree is known, its relatives as indices of leaves."""

    siblings: list[int]
    cousins: list[int]
    elsewhere: list[int]
    """Leaves of the other stages of its line."""

    def __init__(self, line: str, stage: str, entry: str) -> None:
        self.name, self.line, self.stage = f"{line}/{stage}/{entry}", line, stage
        self.parent, _, self.problem = self.name.rpartition("/")
        self.group = entry.rpartition("/")[0]  # empty for a leaf of depth 3


class Lexicon:
    """The three files, checked: leaves in the order of the tree, and words as pools."""

    def __init__(self, folder: Path) -> None:
        schemas = read(paths.DATA / "tickets" / "schema.yaml")
        files = {name: read(folder / name) for name in schemas}
        tree, families, style = files.values()
        own = style.get("slots")
        drawn = set(own if isinstance(own, dict) else ())
        if twice := sorted(drawn & {*RULES, *PARTS}):
            raise InputError(f"{folder / 'style.yaml'}, key slots: {', '.join(twice)} is set by the program")
        for name, schema in schemas.items():
            check(files[name], schema, str(folder / name), drawn | {*RULES, *PARTS})
        if stray := {*PARTS} & {*SLOT.findall(str([tree, families, style | {"layouts": {}}]))}:
            raise InputError(
                f"{folder}: found <{stray.pop()}> outside of the layouts in style.yaml, where alone it is filled"
            )
        for key, known in (("same_throughout", style["slots"]), ("owned", tree["lines"]), ("one_thing", tree["lines"])):
            if unknown := [name for name in style[key] if name not in known]:
                raise InputError(
                    f"{folder / 'style.yaml'}, key {key}: found {', '.join(unknown)}, expected {', '.join(known)}"
                )
        self.style, self.words = style, _pools(style, 4)
        self.scenes, self.matters = (_pools(tree[key], 1) for key in ("scenes", "matters"))
        self.things = {line: _pools(about["things"], 1) for line, about in tree["lines"].items()}
        self.family, self.problem = {}, {}
        for family in _pools(families, 1).values():
            self.problem |= family["problems"]
            self.family |= dict.fromkeys(family["problems"], family)
        self.leaves = self._leaves(tree, folder / "tree.yaml")
        self.names = tuple(leaf.name for leaf in self.leaves)
        self.annotators = Pool(style["annotators"])
        # the order does not depend on the order of the file, so a leaf may be moved, and another one added
        ranked = sorted(range(len(self.leaves)), key=lambda k: derive(0, "tickets", self.names[k]))
        self.shares = Pool({k: 10**9 // (rank + max(style["tail"], 1)) for rank, k in enumerate(ranked)})
        self.clues = Pool(style["clues"])
        self.sizes = Pool({name: size["weight"] for name, size in style["sizes"].items()})
        self.layouts = {
            size: Pool({name: layout[size] for name, layout in style["layouts"].items()}) for size in style["sizes"]
        }
        self._relate()

    def _leaves(self, tree: dict, where: Path) -> list[Leaf]:
        """The leaves of the tree, refused where the files do not fit together."""
        leaves: dict[str, Leaf] = {}
        for line, about in tree["lines"].items():
            for stage, entries in about["stages"].items():
                at = f"{where}, key lines, key {line}, key stages, key {stage}"
                if stage not in self.scenes:
                    raise InputError(f"{at}: the key scenes has no entry for this stage")
                for leaf in (Leaf(line, stage, entry) for entry in entries):
                    if not all(step.strip() for step in leaf.name.split("/")):
                        raise InputError(f"{at}: found an empty step in the path {leaf.name}")
                    if leaf.problem not in self.problem:
                        raise InputError(f"{at}: found {leaf.problem!r}, expected a problem of problems.yaml")
                    if lacking := {stage, leaf.group or stage} - {*self.matters}:
                        raise InputError(f"{at}: the key matters has no entry for {', '.join(sorted(lacking))}")
                    if leaf.name in leaves:
                        raise InputError(f"{at}: found {leaf.name} twice")
                    leaves[leaf.name] = leaf
        parents = [leaf.parent for leaf in leaves.values()]
        if alone := [leaf.name for leaf in leaves.values() if parents.count(leaf.parent) < 2]:
            raise InputError(
                f"{where}: found {', '.join(alone)} without siblings, expected two leaves or more per branch"
            )
        return list(leaves.values())

    def _relate(self) -> None:
        """Siblings and cousins of each leaf, and what it may be mistaken for by whom."""
        groups: dict[tuple[str, str], list[int]] = {}
        for k, leaf in enumerate(self.leaves):
            for group in (("parent", leaf.parent), ("line", leaf.line), ("problem", leaf.problem)):
                groups.setdefault(group, []).append(k)
        for k, leaf in enumerate(self.leaves):
            siblings = groups["parent", leaf.parent]
            leaf.siblings = [j for j in siblings if j != k]
            leaf.elsewhere = [
                j for j in groups["line", leaf.line] if self.leaves[j].stage != leaf.stage
            ] or leaf.siblings
            same = [j for j in groups["problem", leaf.problem] if j != k]
            leaf.cousins = same or [j for j in groups["line", leaf.line] if j not in siblings] or leaf.siblings

    def annotate(self, rng, truth: int, annotator: str) -> int:
        """The label that one annotator gives to a ticket of leaf ``truth``."""
        rate, leaf = self.style["per_mille"], self.leaves[truth]
        if rng.random() * 1000 >= rate["business_error"]:
            return truth
        taken_for = leaf.siblings if rng.random() * 1000 < rate["sibling"] else leaf.cousins
        if rng.random() * 1000 < rate["habit"]:
            return taken_for[derive(0, "tickets", annotator, leaf.name) % len(taken_for)]
        return taken_for[int(rng.random() * len(taken_for))]


class Writer:
    """Writes one ticket of a leaf. Every choice comes from ``rng``."""

    def __init__(self, rng, lexicon: Lexicon, leaf: Leaf, clue: str) -> None:
        self.rng, self.lexicon, self.leaf = rng, lexicon, leaf
        self.words, self.family = lexicon.words, lexicon.family[leaf.problem]
        about, vague = lexicon.problem[leaf.problem], self.family["vague"]
        self.says = about["says"] if clue in ("says", "both") else vague
        self.found = about["found"] if clue in ("found", "both") else self.words["confirmed"]
        self.day = NEW_YEAR + 31 + self.upto(300)
        self.kept: dict[str, str] = {}  # slots that do not change within a ticket
        self.seen: set[tuple[str, ...]] = set()  # templates that it already holds

    def upto(self, most: int) -> int:
        return 1 + int(self.rng.random() * most)  # 1 … most, each as likely

    def draw(self, pool: Pool, **given: str) -> str:
        """A template from the pool with its slots filled."""
        return self.fill(pool.draw(self.rng), **given)

    def unseen(self, pool: Pool) -> str:
        """One whose template this ticket does not hold yet, if four draws find it."""
        for _ in range(4):
            if (template := pool.draw(self.rng)) not in self.seen:
                break
        self.seen.add(template)
        return self.fill(template)

    def fill(self, template: tuple[str, ...], **given: str) -> str:
        pieces = list(template)
        for i in range(1, len(pieces), 2):
            pieces[i] = given.get(pieces[i]) or self.kept.get(pieces[i]) or self.value(pieces[i])
        return "".join(pieces)

    def value(self, slot: str) -> str:
        if rule := RULES.get(slot):
            return rule(self, slot)
        value = self.draw(self.words["slots"][slot])
        if slot in self.lexicon.style["same_throughout"]:
            self.kept[slot] = value
        return value

    def date(self, slot: str) -> str:
        first, last = DAYS[slot]
        day = datetime.date.fromordinal(self.day + first - 1 + self.upto(last - first + 1))
        return f"{day.month}月{day.day}日"

    def complaint(self, leaves: list[int]) -> str:
        """What the customer would say if the ticket were about one of ``leaves``."""
        other = self.lexicon.leaves[leaves[self.upto(len(leaves)) - 1]]
        return self.unseen(self.lexicon.problem[other.problem]["says"])

    def thing(self) -> str:
        thing = self.draw(self.lexicon.things[self.leaf.line])
        if self.leaf.line in self.lexicon.style["one_thing"]:
            self.kept["thing"] = thing
        return thing

    def other_thing(self) -> str:
        owned = self.lexicon.style["owned"]
        lines = [line for line in owned if line != self.leaf.line] or owned
        return self.draw(self.lexicon.things[lines[self.upto(len(lines)) - 1]])

    def ticket(self, size: str) -> str:
        style, words = self.lexicon.style["sizes"][size], self.words["sizes"][size]
        target = style["centre"] - style["spread"] + self.upto(style["spread"]) + self.upto(style["spread"])
        parts = {part: [self.draw(words["parts"][part])] for part in PARTS}
        length = 24 + sum(len(sentences[0]) for sentences in parts.values())  # a layout has some 24 characters
        while length < target - 8:
            part = PARTS[self.upto(len(PARTS)) - 1]
            parts[part].append(self.unseen(words["extras"][part]))
            length += len(parts[part][-1]) + 1
        layout = self.lexicon.layouts[size].draw(self.rng)
        join = self.lexicon.style["layouts"][layout]["join"]
        texts = {part: join.join(dict.fromkeys(sentences)) for part, sentences in parts.items()}
        return self.draw(self.words["layouts"][layout]["texts"], **texts)


RULES = {  # slots that are written rather than drawn from a list; style.yaml explains what they hold
    "thing": lambda w, _: w.thing(),
    "scene": lambda w, _: w.draw(w.lexicon.scenes[w.leaf.stage]),
    "matter": lambda w, _: w.draw(w.lexicon.matters[w.leaf.group if w.leaf.group and w.upto(2) > 1 else w.leaf.stage]),
    "problem": lambda w, _: w.unseen(w.says),
    "more": lambda w, _: w.unseen(w.says if w.upto(2) > 1 else w.family["vague"]),
    "found": lambda w, _: w.draw(w.found),
    "demand": lambda w, _: w.draw(w.family["demands"]),
    "fix": lambda w, _: w.draw(w.family["fixes"]),
    "sibling": lambda w, _: w.complaint(w.leaf.siblings),
    "elsewhere": lambda w, _: w.complaint(w.leaf.elsewhere),
    "other_thing": lambda w, _: w.other_thing(),
    **dict.fromkeys(DAYS, Writer.date),
}


def write(seed: int, index: int, lexicon: Lexicon) -> dict:
    """Raw row ``index`` of the corpus, whatever its size, with its size, clue and annotator."""
    rng = python_generator(seed, "tickets", index)
    truth, size, clue = (pool.draw(rng) for pool in (lexicon.shares, lexicon.sizes, lexicon.clues))
    text = Writer(rng, lexicon, lexicon.leaves[truth], clue).ticket(size)
    unlabelled = rng.random() * 1000 < lexicon.style["per_mille"]["unlabelled"]
    annotator = "" if unlabelled else lexicon.annotators.draw(rng)
    label = lexicon.annotate(rng, truth, annotator) if annotator else UNLABELLED
    row = {"id": f"tickets:{index}", "text": text, "label": label, "truth": truth}
    return row | {"size": size, "clue": clue, "annotator": annotator}


def generate(size: int = 16000, seed: int = 0, folder: Path | None = None) -> Corpus:
    """The corpus from ``size`` raw rows, labelled and unlabelled; equal texts are dropped as everywhere.

    ``votes`` is empty: one annotator labelled each ticket. ``folder`` holds the three YAML files (default
    ``data/tickets``). Raises :class:`InputError` for files that lack something or hold something unknown or do not fit
    together, and for a size below 1.
    """
    if size < 1:
        raise InputError(f"size is {size}; accepted is a whole number ≥ 1")
    lexicon = Lexicon(folder or paths.DATA / "tickets")
    try:
        table = pd.DataFrame([write(seed, index, lexicon) for index in range(size)])
    except RecursionError:
        raise InputError(f"{folder or paths.DATA / 'tickets'}: slots fill each other in a circle") from None
    return assemble("tickets", table, lexicon.names, "zh")
