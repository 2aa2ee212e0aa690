"""The embedded corpus ``newswire``: a generated stand-in for Reuters-21578 (ModApte, first topic as label), 90 topics.

Every English word lies in ``data/newswire/*.yaml`` and may be edited there; this file is the process. For item i::

    g           ~ a generator seeded by (seed, i) alone, so an item does not depend on how many there are
    t₁          ~ Categorical(weight)               the topic that the item is truly about: two giants, then a Zipf tail
    m           = 1, or more with probability several[group of t₁]
    t₂ … t_m    ~ the topics related to t₁, the closest first
    text        = headline(t₁), table(t₁) or lead(t₁), sentences
    listing     = (t₁ … t_m) in an order ~ Categorical(order): as the item treats them, alphabetical, or arbitrary
    label       = the first topic listed;  truth = t₁;  votes = the listing, joined by "|"
    unlabelled  ~ Bernoulli(unlabelled)             label −1, no votes, the truth kept

    sentence    about                                  says
    tell        t₁                                     what only this topic has, often without its name
    fact        t₁                                     what all topics of its group, or of its kind, have
    aside       a topic near t₁ that is not listed     a tell or a fact
    passing     nothing                                the name of another topic
    background  nothing                                nothing to do with any topic

Near are related topics and those of the group. Each of t₂ … t_m has a sentence or two after these. So a topic that is
listed and one that is only mentioned share their words, and what comes first decides, which a bag of words does not
see. An oblique item calls its topics by aliases that others have too. The first topic listed is an ambiguous label, as
in Reuters; here it is known how often.
"""

from itertools import pairwise
from pathlib import Path

import pandas as pd

from paperkit import paths
from paperkit.corpora.corpus import UNLABELLED, Corpus, assemble
from paperkit.corpora.lexicon import SLOT, Pool, check, read
from paperkit.errors import InputError
from paperkit.seeds import python_generator

GENERAL = ("dateline", "attributions", "passing", "links", "background")


class Topic:
    """One of the 90, with all that may be said about it; ``siblings`` are the other topics of its group."""

    def __init__(self, own: dict, group: dict, kind: dict, siblings: list[str], flatness: int) -> None:
        self.several, self.tabular, self.sizes = group["several"], group["tabular"], Pool(kind["sizes"])
        self.names, self.aliases, self.related = (ranked(flatness, own[key]) for key in ("names", "aliases", "related"))
        self.near = ranked(flatness, siblings, own["related"])
        self.tells, self.tables = templates(flatness, own["tells"]), templates(flatness, kind["tables"])
        shared = (templates(flatness, group[key], kind[key]) for key in ("heads", "leads", "facts"))
        self.heads, self.leads, self.facts = shared


def ranked(flatness: int, *lists: list) -> Pool:
    """A pool of some lists; entry r (from 0) of each has weight ∝ 1/(r + flatness), so the largest falls to the smallest."""
    return Pool({entry: 100_000 // (rank + flatness) for entries in lists for rank, entry in enumerate(entries)})


def templates(flatness: int, *lists: list[str]) -> Pool:
    """The same, of texts with slots: (text, slot, text, slot, …, text)."""
    return ranked(flatness, *([tuple(SLOT.split(entry)) for entry in entries] for entries in lists))


class Lexicon:
    """The three files, checked: numbers in ``style``, words as pools."""

    def __init__(self, folder: Path) -> None:
        schemas = read(paths.DATA / "newswire" / "schema.yaml")
        files = {name: read(folder / name) for name in schemas}
        style, kinds, topics = files.values()
        slots = set(RULES)
        for key in ("numbers", "slots"):
            own = set(style[key]) if isinstance(style.get(key), dict) else set()
            if taken := ", ".join(own & slots):
                raise InputError(f"{folder / 'style.yaml'}, key {key}: {taken} is already the name of a slot")
            slots |= own
        for name, schema in schemas.items():
            check(files[name], schema, str(folder / name), slots)
        _cross_check(folder, style, kinds, topics)
        flatness = style["flatness"]
        self.style, self.names, self.kept = style, tuple(topics), frozenset(style["same_throughout"])
        self.weights, self.stray = Pool({t: topics[t]["weight"] for t in topics}), Pool(dict.fromkeys(topics, 1))
        self.more, self.order, self.body, self.survey = (Pool(style[k]) for k in ("topics", "order", "body", "survey"))
        self.general = {name: templates(flatness, style[name]) for name in GENERAL}
        self.slots = {name: templates(flatness, entries) for name, entries in style["slots"].items()}
        self.topics = {}
        for name, own in topics.items():
            group = kinds["groups"][own["group"]]
            siblings = [other for other in topics if other != name and topics[other]["group"] == own["group"]]
            self.topics[name] = Topic(own, group, kinds["kinds"][group["kind"]], siblings, flatness)


def _require(where: str, found, accepted) -> None:
    if unknown := [str(entry) for entry in found if entry not in accepted]:
        expected = f"{accepted[0]} to {accepted[-1]}" if isinstance(accepted, range) else ", ".join(accepted)
        raise InputError(f"{where}: found {', '.join(unknown)}, expected {expected}")


def _cross_check(folder: Path, style: dict, kinds: dict, topics: dict) -> None:
    """What a schema cannot say: names that must exist elsewhere, and numbers that must fit each other."""
    at, slots, numbers = f"{folder / 'style.yaml'}, key ", [*style["slots"]], style["numbers"]
    _require(f"{at}same_throughout", style["same_throughout"], slots)
    _require(f"{at}flatness", [style["flatness"]], range(1, 1000))
    for key in ("topics", "survey"):
        _require(at + key, style[key], range(1, 1000))
    for i, (name, entries) in enumerate(style["slots"].items()):  # none holds itself, not even by way of others
        _require(f"{at}slots, key {name}", SLOT.findall(" ".join(entries)), [*slots[i + 1 :], *numbers])
    for name, number in numbers.items():
        _require(f"{at}numbers, key {name}, key least", [number["least"]], range(number["most"] + 1))
    at = f"{folder / 'kinds.yaml'}, key "
    for name, kind in kinds["kinds"].items():
        _require(f"{at}kinds, key {name}, key sizes", kind["sizes"], range(1000))
    for name, group in kinds["groups"].items():
        _require(f"{at}groups, key {name}, key kind", [group["kind"]], [*kinds["kinds"]])
    for name, topic in topics.items():
        at = f"{folder / 'topics.yaml'}, key {name}, key "
        _require(f"{at}group", [topic["group"]], [*kinds["groups"]])
        _require(f"{at}related", topic["related"], [other for other in topics if other != name])
        _require(f"{at}names or aliases", SLOT.findall(" ".join(topic["names"] + topic["aliases"])), ["no slot"])


class Writer:
    """Writes one item about ``topics``, the first of which leads. Every choice comes from ``rng``."""

    def __init__(self, rng, lexicon: Lexicon, topics: list[str]) -> None:
        self.rng, self.lexicon, self.topics = rng, lexicon, topics
        self.about = topics[0]  # what the sentence at hand is about
        self.kept: dict[str, str] = {}  # slots that do not change within an item
        self.seen: set[tuple] = set()  # sentences that it already holds
        self.oblique = self.chance("oblique")

    def chance(self, name: str) -> bool:
        return self.rng.random() * 100 < self.lexicon.style["chances"][name]

    def name(self, topic: str) -> str:
        own = self.lexicon.topics[topic]
        return (own.aliases if self.oblique and topic in self.topics else own.names).draw(self.rng)

    def near(self) -> str:
        return self.lexicon.topics[self.about].near.draw(self.rng)

    def fill(self, template: tuple[str, ...]) -> str:
        pieces = list(template)
        for i in range(1, len(pieces), 2):
            pieces[i] = self.kept.get(pieces[i]) or self.value(pieces[i])
        return "".join(pieces)

    def value(self, slot: str) -> str:
        if rule := RULES.get(slot):
            return rule(self)
        if number := self.lexicon.style["numbers"].get(slot):
            least, most, places = (number[key] for key in ("least", "most", "decimals"))
            whole, part = divmod(least + int(self.rng.random() * (most - least + 1)), 10**places)
            return f"{whole:,}.{part:0{places}}" if places else f"{whole:,}"
        for _ in range(4):  # nobody buys itself, nor exports to itself
            if (value := self.fill(self.lexicon.slots[slot].draw(self.rng))) not in self.kept.values():
                break
        if slot in self.lexicon.kept:
            self.kept[slot] = value
        return value

    def line(self, pool: Pool, about: str) -> str:
        """A template that this item does not hold yet, if four draws find one."""
        self.about = about
        for _ in range(4):
            if (template := pool.draw(self.rng)) not in self.seen:
                break
        self.seen.add(template)
        return self.fill(template)

    def sentence(self, pool: Pool | str, about: str) -> str:
        """A sentence about a topic, or, if the pool is named, one that any topic may have around it."""
        text = self.line(self.lexicon.general.get(pool, pool), about)
        sourced = pool in GENERAL or any(word in text for word in self.lexicon.style["sourced"])
        if not sourced and self.chance("attributed"):
            text += self.line(self.lexicon.general["attributions"], about)
        return f"{text[:1].upper()}{text[1:]}."

    def told(self, topic: str) -> str:
        own = self.lexicon.topics[topic]
        return self.sentence(own.tells if self.rng.random() < 0.5 else own.facts, topic)

    def filler(self, kind: str) -> str:
        """A sentence of the body, see the table at the top."""
        own = self.lexicon.topics[self.topics[0]]
        if kind == "aside" and (other := own.near.draw(self.rng)) not in self.topics:
            return self.told(other)
        return self.sentence({"tell": own.tells, "fact": own.facts, "aside": own.facts}.get(kind, kind), self.topics[0])

    def item(self) -> str:
        first, own = self.topics[0], self.lexicon.topics[self.topics[0]]
        headline = self.line(own.heads, first).upper()
        number = (self.lexicon.survey if self.chance("survey") else own.sizes).draw(self.rng)
        if self.rng.random() * 100 < own.tabular:
            opening, number = self.line(own.tables, first) + "\n", number // 2
        else:
            opening = self.line(self.lexicon.general["dateline"], first) if self.chance("dateline") else ""
            tell = self.oblique or self.chance("tell_lead")  # an alias alone would leave the topic open
            opening += self.sentence(own.tells if tell else own.leads, first) + " "
        body = [self.filler(self.lexicon.body.draw(self.rng)) for _ in range(number)]
        for before, topic in pairwise(self.topics):
            if self.chance("link"):
                body += [self.sentence("links", before), self.told(topic)]
            else:
                body.append(self.sentence(self.lexicon.topics[topic].tells, topic))
        return f"{headline}\n{opening[:1].upper()}{opening[1:]}{' '.join(body)}".rstrip()


RULES = {  # slots that are names of topics; style.yaml explains them
    "it": lambda w: w.name(w.about),
    "co": lambda w: w.name(dict(pairwise(w.topics)).get(w.about) or w.near()),
    "other": lambda w: w.name(w.near()),
    "stray": lambda w: w.name(w.lexicon.stray.draw(w.rng)),
}


def choose(rng, lexicon: Lexicon) -> list[str]:
    """The topics of an item as it treats them; fewer than intended where few are related."""
    topics = [lexicon.weights.draw(rng)]
    if rng.random() * 1000 < lexicon.topics[topics[0]].several:
        wanted = lexicon.more.draw(rng)
        for attempt in range(4 * wanted):
            near = topics[0] if attempt < 2 * wanted else topics[-1]
            if (topic := lexicon.topics[near].related.draw(rng)) not in topics and len(topics) < wanted:
                topics.append(topic)
    return topics


def write(seed: int, index: int, lexicon: Lexicon) -> dict:
    """Raw row ``index`` of the corpus, whatever its size; ``treated`` are its topics as the item treats them."""
    rng = python_generator(seed, "newswire", index)
    topics = choose(rng, lexicon)
    text = Writer(rng, lexicon, topics).item()
    order = {"prominence": topics.index, "alphabetical": str}.get(lexicon.order.draw(rng), lambda _: rng.random())
    listing = sorted(topics, key=order)
    labelled = rng.random() * 1000 >= lexicon.style["unlabelled"]
    label, truth = lexicon.names.index(listing[0]), lexicon.names.index(topics[0])
    row = {"id": f"newswire:{index}", "text": text, "label": label if labelled else UNLABELLED, "truth": truth}
    return row | {"votes": "|".join(listing) if labelled else "", "treated": "|".join(topics)}


def generate(size: int = 12_000, seed: int = 0, folder: Path | None = None) -> Corpus:
    """The corpus from ``size`` raw rows, a quarter of them unlabelled; equal texts are dropped as everywhere.

    ``folder`` holds the three YAML files (default ``data/newswire``). Raises InputError for malformed ones and size < 1.
    """
    if size < 1:
        raise InputError(f"size is {size}; accepted is a whole number ≥ 1")
    lexicon = Lexicon(folder or paths.DATA / "newswire")
    table = pd.DataFrame([write(seed, index, lexicon) for index in range(size)])
    return assemble("newswire", table, lexicon.names, "en")
