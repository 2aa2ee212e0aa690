"""The embedded corpus ``reviews``: a generated stand-in for paper B's 24,190 travel reviews, which are private.

Everything Chinese lies in ``data/reviews/*.yaml`` and may be edited there; this file is the process. For review i::

    g          ~ a generator seeded by (seed, i) alone, so a review does not depend on how many there are
    site       ~ Bernoulli(ctrip)                  the sites share most words and differ in the rest, and in length
    y ∈ {−1,1} ~ Bernoulli(1 − negative)           the true polarity
    form       ~ Categorical(forms[y])             how the clauses add up to y
    clause k   = subject + predicate of one aspect, polarity s_k = (−1)^negated · polarity(word)
    y          = sign Σ_k c_k·s_k                  the coefficients c_k follow from the form, see below
    vote_j     = y, or −y with probability error[form],  j = 1, 2, 3
    label      = majority of the votes, truth = y

=============  ===================================================  ==============================================
form           text                                                 c
=============  ===================================================  ==============================================
plain          clauses of polarity y                                1 each
negated        不, 没有想象中那么, … before words of polarity −y    1 each, s turned round by the negation
implicit       facts, no word of judgement                          1 each
contrast       clauses of −y, a turn (但是 …), clauses of y         after the turn more than all before it together
concession     虽然 −y, 但是 y; also the other way round            granted: small, ruling: large
afterthought   clauses of y, then one exception of −y               exception: small
reported       others, earlier, elsewhere: −y; here and now: y      reported: 0
remark         praise (blame) on a fact of polarity y = −1 (+1)     remark: 0, fact: 1 (irony, mock indignation)
structured     sections 【…】 of either polarity, then a verdict     verdict: more than all sections together
undecided      clauses of both polarities without a connective      the last one a little more than the others
=============  ===================================================  ==============================================

Sentences without polarity (where, when, with whom, advice) stand around these. Some degrees, such as 不是一般的, hold a
negation and do not negate: neither a word nor its neighbour decides. A tenth of the rows is non-core.
"""

import re
from bisect import bisect
from itertools import accumulate
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import yaml

from paperkit import paths
from paperkit.corpora.corpus import UNLABELLED, Corpus, assemble
from paperkit.corpora.noncore import status_of
from paperkit.errors import InputError
from paperkit.seeds import python_generator

LABEL_NAMES = ("negative", "positive")
SITES = ("ctrip", "qunar")
ASPECTS, STYLE = "aspects.yaml", "style.yaml"
OPEN = ("plain", "negated", "implicit", "remark")  # the author takes one side, and says it twice more readily

_SLOT = re.compile(r"<(\w+)>")
_SET_BY_PROGRAM = {"here", "a", "x", "lesser", "ruling", "own", "view", "event", "fact", "praise"}

# What the two files must hold, and nothing else: the type of each entry; ... stands for any name
_BOTH = {"positive": list, "negative": list}
_SIDE = dict.fromkeys(("adjectives", "phrases", "facts"), list)
_ASPECT = {"heading": str, "weight": int, "subjects": list, "positive": _SIDE, "negative": _SIDE, "neutral": list}
_CHANCES = ("opening", "filler", "advice", "verdict", "second", "remark", "lead_in", "essay", "emoji", "typo")
_LISTS = ("degrees", "lead_ins", "joiners", "concessions", "reports", "verdict_leads", "verdict_headings", "openings")
_STYLE = {
    **dict.fromkeys((*_LISTS, "fillers", "stages", "advice", "same_throughout"), list),
    **{name: {"any": list, **_BOTH} for name in ("negations", "turns", "afterthoughts")},
    **{name: dict.fromkeys(SITES, list) for name in ("ends", "last")},
    **{name: {...: list} for name in ("slots", "typos")},
    "remarks": {"praise": list, "blame": list, "words": list},
    "verdicts": _BOTH,
    "longest": int,
    "own_words": int,
    "per_mille": dict.fromkeys(("non_core", "ctrip", "negative"), int),
    "forms": {...: dict.fromkeys(("positive", "negative", "error"), int)},
    "second": {...: int},
    "clauses": dict.fromkeys(("adjective", "negation", "phrase", "fact"), int),
    "sites": {site: {"chances": dict.fromkeys(_CHANCES, int), "sizes": {...: int}} for site in SITES},
    "non_core": {...: {"weight": int, "positive": int, "texts": list}},
}


def _check(node, schema, where: str, slots: set[str]) -> None:
    """Refuse what the generator cannot use; ``where`` names file and key."""

    def refuse(problem: str):
        raise InputError(f"{where}: {problem}")

    kind = dict if isinstance(schema, dict) else schema
    if not isinstance(node, kind) or isinstance(node, bool) or not (node or kind is int) or (kind is int and node < 0):
        names = {dict: "keys with entries", list: "a list with entries", str: "a text", int: "a whole number ≥ 0"}
        refuse(f"found {node!r:.60}, expected {names[kind]}")
    if kind is dict:
        if missing := [name for name in schema if name is not ... and name not in node]:
            refuse(f"lacks the key {', '.join(missing)}")
        if ... not in schema and (unknown := [str(name) for name in node if name not in schema]):
            refuse(f"holds the unknown key {', '.join(unknown)}; accepted are {', '.join(schema)}")
        for name, below in node.items():
            _check(below, schema.get(name, schema.get(...)), f"{where}, key {name}", slots)
    for entry in node if kind is list else ():
        if not isinstance(entry, str):
            refuse(f"found {entry!r}, expected a text (put quotes around a number)")
        if "@" in entry and entry.partition("@")[2] not in SITES:
            refuse(f"found {entry!r}, expected {' or '.join(SITES)} after @")
        if unknown := [name for name in _SLOT.findall(entry) if name not in slots]:
            refuse(f"found {entry!r} with the unknown slot <{'>, <'.join(unknown)}>")
    for site in SITES if kind is list else ():
        if not any("@" not in entry or entry.endswith(f"@{site}") for entry in node):
            refuse(f"has no entry for {site}")


def _read(path: Path):
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"{path}: cannot be read as YAML: {' '.join(str(error).split())}") from None


class Pool:
    """Things to draw from, with whole numbers as weights: nothing is rounded, so every machine draws the same."""

    def __init__(self, weights: dict) -> None:
        self.items = tuple(weights)
        self.cumulative = tuple(accumulate(weights.values()))

    def draw(self, rng):
        return self.items[bisect(self.cumulative, int(rng.random() * self.cumulative[-1]))]


def _pools(node, site: str, own_words: int):
    """What one site uses of a YAML tree, as attributes, lists being pools of templates.

    Entry r (from 0) of a list has weight ∝ 1/(r + 1), as in Zipf's law, times ``own_words`` if only this site has it.
    """
    if isinstance(node, list):
        weights: dict[tuple[str, ...], int] = {}
        for rank, entry in enumerate(entry for entry in node if "@" not in entry or entry.endswith(f"@{site}")):
            text, _, own = entry.partition("@")
            template = tuple(_SLOT.split(text))  # (text, slot, text, slot, …, text)
            weights[template] = weights.get(template, 0) + 10_000 * (own_words if own else 1) // (rank + 1)
        return Pool(weights)
    if not isinstance(node, dict):
        return node
    if all(type(value) is int for value in node.values()):
        return Pool(node)
    return SimpleNamespace(**{name: _pools(value, site, own_words) for name, value in node.items()})


class Lexicon:
    """The two files, checked: numbers in ``style``, words as pools, one set for each site."""

    def __init__(self, folder: Path) -> None:
        aspects, style = _read(folder / ASPECTS), _read(folder / STYLE)
        named = [
            part for part in (aspects, style, isinstance(style, dict) and style.get("slots")) if isinstance(part, dict)
        ]
        slots = _SET_BY_PROGRAM.union(*named)
        _check(aspects, {...: _ASPECT}, str(folder / ASPECTS), slots)
        _check(style, _STYLE, str(folder / STYLE), slots)
        self.style, self.sites = style, {}
        self.aspects = Pool({name: aspect["weight"] for name, aspect in aspects.items()})
        self.non_core = Pool({name: kind["weight"] for name, kind in style["non_core"].items()})
        self.forms = [Pool({name: form[y] for name, form in style["forms"].items()}) for y in LABEL_NAMES]
        for site in SITES:
            pools = self.sites[site] = _pools(style, site, style["own_words"])
            pools.aspects = {name: _pools(aspect, site, style["own_words"]) for name, aspect in aspects.items()}
            pools.slots, pools.typos = vars(pools.slots), vars(pools.typos)
            pools.ends, pools.last = getattr(pools.ends, site), getattr(pools.last, site)
            pools.sizes, pools.chances = getattr(pools.sites, site).sizes, style["sites"][site]["chances"]


class Writer:
    """Writes one text. Every choice comes from ``rng``; polarities are −1 and 1."""

    def __init__(self, rng, lexicon: Lexicon, site: str) -> None:
        self.rng, self.lexicon, self.site, self.words = rng, lexicon, site, lexicon.sites[site]
        self.kept: dict[str, str] = {}  # slots that do not change within a review
        self.seen: set[str] = set()  # aspects and values that it already holds
        self.kept["here"] = self.draw(self.words.slots["place"])

    def chance(self, name: str) -> bool:
        return self.rng.random() * 100 < self.words.chances[name]

    def upto(self, most: int) -> int:
        """1 … ``most``, each as likely."""
        return 1 + int(self.rng.random() * most)

    def unseen(self, draw) -> str:
        """Something that this review does not hold yet, if four draws find it."""
        for _ in range(4):
            if (value := draw()) not in self.seen:
                break
        self.seen.add(value)
        return value

    def aspect(self) -> str:
        return self.unseen(lambda: self.lexicon.aspects.draw(self.rng))

    def draw(self, pool: Pool, **given: str) -> str:
        return self.fill(pool.draw(self.rng), **given)

    def fill(self, template: tuple[str, ...], **given: str) -> str:
        """The text of a template; slots that are not given are drawn, and filled in turn."""
        pieces = list(template)
        for i in range(1, len(pieces), 2):
            pieces[i] = given.get(pieces[i]) or self.kept.get(pieces[i]) or self.value(pieces[i])
        return "".join(pieces)

    def value(self, slot: str) -> str:
        value = self.unseen(lambda: self.draw(self.words.slots[slot]))
        if slot in self.lexicon.style["same_throughout"]:
            self.kept[slot] = value
        return value

    def either(self, pools, polarity: int) -> Pool:
        """Three times in four what serves both polarities, else what serves this one."""
        return pools.any if self.upto(4) > 1 else pools.positive if polarity > 0 else pools.negative

    def clause(self, polarity: int, kind: str = "", aspect: str = "") -> str:
        """One statement of this polarity about one aspect."""
        about = self.words.aspects[aspect or self.aspect()]
        same, opposite = (about.positive, about.negative)[::polarity]
        kind = kind or self.words.clauses.draw(self.rng)
        if kind == "fact":
            return self.draw(same.facts)
        subject = self.draw(about.subjects)
        if kind == "phrase":
            return subject + self.draw(same.phrases)
        negated = kind == "negation"
        around = self.either(self.words.negations, -polarity) if negated else self.words.degrees
        adjective = self.draw((opposite if negated else same).adjectives)
        template = around.draw(self.rng)
        while template[0].endswith(adjective[0]):  # 别提多多了
            template = around.draw(self.rng)
        return subject + self.fill(template, a=adjective)

    def clauses(self, polarity: int, number: int, kind: str = "") -> str:
        lead = self.draw(self.words.lead_ins) if kind != "fact" and self.chance("lead_in") else ""
        first, *rest = (self.clause(polarity, kind) for _ in range(number))
        return lead + first + "".join(self.draw(self.words.joiners) + clause for clause in rest)

    # The forms of the table above

    def plain(self, y: int) -> str:
        return self.remark(y, face=y) if self.chance("remark") else self.clauses(y, self.words.sizes.draw(self.rng))

    def negated(self, y: int) -> str:
        return self.clauses(y, min(3, self.words.sizes.draw(self.rng)), "negation")

    def implicit(self, y: int) -> str:
        return self.clauses(y, min(3, self.words.sizes.draw(self.rng)), "fact")

    def contrast(self, y: int) -> str:
        before, turn = self.clauses(-y, self.upto(2)), self.draw(self.either(self.words.turns, y))
        return before + turn + self.clauses(y, self.upto(2))

    def concession(self, y: int) -> str:
        lesser = "，".join(self.clause(-y) for _ in range(1 + self.upto(3) // 3))
        return self.draw(self.words.concessions, lesser=lesser, ruling=self.clause(y))

    def afterthought(self, y: int) -> str:
        main = self.clauses(y, min(2, self.words.sizes.draw(self.rng))) + self.draw(self.words.ends)
        return main + self.draw(self.either(self.words.afterthoughts, y), x=self.clause(-y))

    def reported(self, y: int) -> str:
        aspect = self.aspect()
        view = self.clause(-y, ("adjective", "negation", "phrase")[self.upto(3) - 1], aspect)
        event, own = self.clause(-y, aspect=aspect), self.clause(y, aspect=aspect)
        return self.draw(self.words.reports, view=view, event=event, own=own)

    def remark(self, y: int, face: int = 0) -> str:
        """A fact of polarity ``y`` under a remark of polarity ``face``, by default −y; quotation marks hint at irony."""
        remarks, praise = self.words.remarks, self.draw(self.words.remarks.words)
        if face != y and self.upto(2) > 1:
            praise = f"“{praise}”"
        pool = remarks.praise if (face or -y) > 0 else remarks.blame
        return self.draw(pool, fact=self.clause(y, "fact"), praise=praise)

    def structured(self, y: int) -> str:
        if self.site == "qunar":
            return self.contrast(y)
        sections = {name: self.clause((y, -y)[self.upto(2) - 1], aspect=name) for name in
                    [self.aspect() for _ in range(2 + self.upto(3))]}  # fmt: skip
        texts = [
            f"【{self.words.aspects[name].heading}】{text}{self.draw(self.words.ends)}"
            for name, text in sections.items()
        ]
        return "".join(texts) + f"【{self.draw(self.words.verdict_headings)}】{self.verdict(y)}"

    def undecided(self, y: int) -> str:
        return f"{self.clauses(-y, self.upto(2))}，{self.clauses(y, self.upto(2))}"

    def verdict(self, y: int) -> str:
        return self.draw(self.words.verdict_leads) + self.draw(getattr(self.words.verdicts, LABEL_NAMES[y > 0]))

    def account(self, y: int) -> list[str]:
        """The sentences of a long account; two statements in three have no polarity."""

        def statement(aspect: str) -> str:
            return self.clause(y, aspect=aspect) if self.upto(3) == 1 else self.draw(self.words.aspects[aspect].neutral)

        known = self.words.aspects
        return [self.fill(stage, **{name: statement(name) for name in stage[1::2] if name in known})
                for stage in self.words.stages.items]  # fmt: skip

    def review(self, y: int) -> tuple[str, str]:
        """A text of polarity ``y``, and its form."""
        words, form = self.words, self.lexicon.forms[y > 0].draw(self.rng)
        body, after = [getattr(self, form)(y)], []
        before = [
            self.draw(pool)
            for name, pool in (("opening", words.openings), ("filler", words.fillers))
            if self.chance(name)
        ]
        if self.chance("essay"):
            before += self.account(y)
        if self.chance("second"):
            body.append(getattr(self, words.second.draw(self.rng))(y))
        if self.chance("verdict") and (form in OPEN or (form != "structured" and self.upto(2) > 1)):
            after.append(self.verdict(y))
        if self.chance("advice"):
            after.append(self.draw(words.advice))
        room = self.lexicon.style["longest"] - 8  # for emoji, exclamation marks and a longer misspelling
        while sum(len(sentence) + 2 for sentence in before + body + after) > room:
            (before or body).pop()
        *sentences, last = before + body + after
        text = "".join(sentence + self.draw(words.ends) for sentence in sentences) + last + self.draw(words.last)
        if self.chance("emoji"):
            text += self.draw(words.slots["emoji"])
        if self.chance("typo") and (found := [word for word in words.typos if word in text]):
            word = found[self.upto(len(found)) - 1]
            text = text.replace(word, self.draw(words.typos[word]), 1)
        return text, form


def write(seed: int, index: int, lexicon: Lexicon) -> dict:
    """Raw row ``index`` of the corpus, whatever its size; ``form`` is the form, or the kind of a non-core text."""
    rng, style = python_generator(seed, "reviews", index), lexicon.style
    site = SITES[rng.random() * 1000 >= style["per_mille"]["ctrip"]]
    writer = Writer(rng, lexicon, site)
    if rng.random() * 1000 < style["per_mille"]["non_core"]:
        form, truth = lexicon.non_core.draw(rng), UNLABELLED  # nothing to be known: the votes are guesses
        text = writer.draw(getattr(writer.words.non_core, form).texts)
        votes = [int(rng.random() * 100 < style["non_core"][form]["positive"]) for _ in range(3)]
    else:
        truth = int(rng.random() * 1000 >= style["per_mille"]["negative"])
        text, form = writer.review(2 * truth - 1)
        votes = [truth ^ (rng.random() * 1000 < style["forms"][form]["error"]) for _ in range(3)]
    row = {"id": f"reviews:{index}", "text": text, "label": int(sum(votes) > 1), "truth": truth, "platform": site}
    return row | {"votes": "".join(map(str, votes)), "form": form}


def generate(size: int = 24190, seed: int = 0, folder: Path | None = None) -> Corpus:
    """The corpus from ``size`` raw rows; fewer remain, since empty and equal texts are dropped as everywhere.

    ``folder`` holds the two YAML files (default ``data/reviews``). Raises :class:`InputError` for files that lack
    something or hold something unknown, and for a size below 1.
    """
    if size < 1:
        raise InputError(f"size is {size}; accepted is a whole number ≥ 1")
    lexicon = Lexicon(folder or paths.DATA / "reviews")
    table = pd.DataFrame([write(seed, index, lexicon) for index in range(size)])
    table["status"] = [status_of(text, "zh") for text in table.text]
    return assemble("reviews", table, LABEL_NAMES, "zh")
