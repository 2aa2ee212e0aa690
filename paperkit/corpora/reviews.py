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

    form          text                                                c
    plain         clauses of polarity y                               1 each
    sincere       praise (blame) on a fact of polarity y = 1 (−1)     1 each
    negated       不, 没有想象中那么, … before words of polarity −y   1 each, s turned round by the negation
    implicit      facts, no word of judgement                         1 each
    contrast      clauses of −y, a turn (但是 …), clauses of y        after the turn more than all before it together
    concession    虽然 −y, 但是 y; also the other way round           granted: small, ruling: large
    afterthought  clauses of y, then one exception of −y              exception: small
    reported      others, earlier, elsewhere: −y; here and now: y     reported: 0
    remark        praise (blame) on a fact of polarity y = −1 (1)     remark: 0, fact: 1 (irony, mock indignation)
    structured    sections 【…】 of either polarity, then a verdict    verdict: more than all sections together
    undecided     clauses of both polarities, no connective           the last one a little more than the others

Sentences without polarity (where, when, with whom, advice) stand around these. Some degrees, such as 不是一般的, hold a
negation and do not negate: neither a word nor its neighbour decides. A tenth of the rows is non-core.
"""

from pathlib import Path

import pandas as pd

from paperkit import paths
from paperkit.corpora.corpus import UNLABELLED, Corpus, assemble
from paperkit.corpora.lexicon import SLOT, Pool, check, read
from paperkit.corpora.noncore import status_of
from paperkit.errors import InputError
from paperkit.seeds import python_generator

LABEL_NAMES = ("negative", "positive")
SITES = ("ctrip", "qunar")
OPEN = ("plain", "sincere", "negated", "implicit", "remark")  # takes one side, so a verdict comes more readily


def _pools(node, site: str, own_words: int):
    """What one site uses of a YAML tree, its lists as pools of templates.

    Entry r (from 0) of a list has weight ∝ 1/(r + 1), as in Zipf's law, times ``own_words`` if only this site has it.
    """
    if isinstance(node, list):
        weights: dict[tuple[str, ...], int] = {}
        for rank, entry in enumerate(entry for entry in node if entry.partition("@")[2] in ("", site)):
            text, _, own = entry.partition("@")
            template = tuple(SLOT.split(text))  # (text, slot, text, slot, …, text)
            weights[template] = weights.get(template, 0) + 10_000 * (own_words if own else 1) // (rank + 1)
        return Pool(weights)
    if not isinstance(node, dict):
        return node
    if all(type(value) is int for value in node.values()):
        return Pool(node)
    return {name: _pools(value, site, own_words) for name, value in node.items()}


class Lexicon:
    """The two files, checked: numbers in ``style``, words as pools, one set for each site."""

    def __init__(self, folder: Path) -> None:
        schemas = read(paths.DATA / "reviews" / "schema.yaml")
        files = {name: read(folder / name) for name in schemas}
        style, aspects = files.values()
        where, own = folder / "style.yaml", style.get("slots")
        named = ("here", "a", "praise", *RULES, *aspects, *(own if isinstance(own, dict) else ()))
        slots = set(named)
        if twice := sorted(name for name in slots if named.count(name) > 1):
            raise InputError(f"{where}, key slots: {', '.join(twice)} is also an aspect or set by the program")
        for name, schema in schemas.items():
            check(files[name], schema, str(folder / name), slots, SITES)
        kept, about = style["same_throughout"], style["remarks"]["about"]
        for key, found, known in (("same_throughout", kept, style["slots"]), ("remarks.about", about, aspects)):
            if unknown := [name for name in found if name not in known]:
                raise InputError(f"{where}, key {key}: found {', '.join(unknown)}, expected {', '.join(known)}")
        self.style, self.sites = style, {}
        self.aspects = Pool({name: aspect["weight"] for name, aspect in aspects.items()})
        self.non_core = Pool({name: kind["weight"] for name, kind in style["non_core"].items()})
        self.second = Pool({name: form["second"] for name, form in style["forms"].items()})
        self.forms = [Pool({name: form[y] for name, form in style["forms"].items()}) for y in LABEL_NAMES]
        for site in SITES:
            own = {name: style[name][site] for name in ("sizes", "ends", "last")}
            self.sites[site] = _pools(style | own | {"aspects": aspects}, site, style["own_words"])


class Writer:
    """Writes one text of polarity ``y``, −1 or 1. Every choice comes from ``rng``."""

    def __init__(self, rng, lexicon: Lexicon, site: str, y: int = 0) -> None:
        self.rng, self.lexicon, self.words, self.y = rng, lexicon, lexicon.sites[site], y
        self.chances = lexicon.style["chances"][site]
        self.topic = ""  # the aspect on which two clauses disagree
        self.kept: dict[str, str] = {}  # slots that do not change within a review
        self.seen: set[str] = set()  # aspects and values that it already holds
        self.kept["here"] = self.draw(self.words["slots"]["place"])

    def chance(self, name: str) -> bool:
        return self.rng.random() * 100 < self.chances[name]

    def upto(self, most: int) -> int:
        return 1 + int(self.rng.random() * most)  # 1 … most, each as likely

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
        """A template from the pool with its slots filled."""
        pieces = list(pool.draw(self.rng))
        for i in range(1, len(pieces), 2):
            pieces[i] = given.get(pieces[i]) or self.kept.get(pieces[i]) or self.value(pieces[i])
        return "".join(pieces)

    def value(self, slot: str) -> str:
        if rule := RULES.get(slot):
            return rule(self)
        if about := self.words["aspects"].get(slot):  # in a long account: half of the statements have no polarity
            s = (self.y, -self.y, 0, 0)[self.upto(4) - 1]
            return self.clause(s, aspect=slot) if s else self.draw(about["neutral"])
        value = self.unseen(lambda: self.draw(self.words["slots"][slot]))
        if slot in self.lexicon.style["same_throughout"]:
            self.kept[slot] = value
        return value

    def either(self, pools, polarity: int) -> Pool:
        """Three times in four what serves both polarities, else what serves this one."""
        return pools["any"] if self.upto(4) > 1 else pools[LABEL_NAMES[polarity > 0]]

    def clause(self, polarity: int, kind: str = "", aspect: str = "") -> str:
        """One statement of this polarity about one aspect."""
        about = self.words["aspects"][aspect or self.aspect()]
        same, opposite = (about["positive"], about["negative"])[::polarity]
        kind = kind or self.words["clauses"].draw(self.rng)
        if kind == "fact":
            return self.draw(same["facts"])
        subject = self.draw(about["subjects"])
        if kind == "phrase":
            return subject + self.draw(same["phrases"])
        if kind == "adjective":
            return subject + self.draw(self.either(self.words["degrees"], polarity), a=self.draw(same["adjectives"]))
        return subject + self.draw(self.either(self.words["negations"], -polarity), a=self.draw(opposite["adjectives"]))

    def clauses(self, polarity: int, number: int, kind: str = "") -> str:
        lead = self.draw(self.words["lead_ins"]) if kind != "fact" and self.chance("lead_in") else ""
        first = self.clause(polarity, kind or (lead and "adjective"))  # an opinion, as the lead-in promises
        rest = [self.clause(polarity, kind) for _ in range(number - 1)]
        return lead + first + "".join(self.draw(self.words["joiners"]) + clause for clause in rest)

    def remark(self, face: int) -> str:
        """A fact of polarity y under a remark of polarity ``face``; quotation marks may hint at irony."""
        remarks, praise = self.words["remarks"], self.draw(self.words["remarks"]["words"])
        if face != self.y and self.upto(2) > 1:
            praise = f"“{praise}”"
        return self.draw(remarks["praise"] if face > 0 else remarks["blame"], praise=praise)

    def sentence(self, form: str) -> str:
        self.topic = self.aspect()
        return self.draw(self.words["forms"][form]["texts"])

    def review(self) -> tuple[str, str]:
        """The whole text, and its form."""
        words, neutral, form = self.words, self.words["sentences"], self.lexicon.forms[self.y > 0].draw(self.rng)
        body, after = [self.sentence(form)], []
        before = [self.draw(neutral[name]) for name in ("opening", "filler") if self.chance(name)]
        if self.chance("essay"):
            before += [self.draw(Pool({stage: 1})) for stage in neutral["stages"].items]
        if self.chance("second"):
            body.append(self.sentence(self.lexicon.second.draw(self.rng)))
        if self.chance("verdict") and (form in OPEN or (form != "structured" and self.upto(2) > 1)):
            after.append(self.draw(neutral["verdict"]))
        if self.chance("advice"):
            after.append(self.draw(neutral["advice"]))
        room = self.lexicon.style["longest"] - 8  # for emoji, exclamation marks and a longer misspelling
        while sum(len(sentence) + 2 for sentence in before + body + after) > room:
            (before or body).pop()
        *sentences, last = before + body + after
        text = "".join(sentence + self.draw(words["ends"]) for sentence in sentences) + last + self.draw(words["last"])
        if self.chance("emoji"):
            text += self.draw(words["slots"]["emoji"])
        if self.chance("typo") and (found := [word for word in words["typos"] if word in text]):
            word = found[self.upto(len(found)) - 1]
            text = text.replace(word, self.draw(words["typos"][word]), 1)
        return text, form


RULES = {  # slots that are written rather than drawn from a list; style.yaml explains what they hold
    "clause": lambda w: w.clause(w.y),
    "few": lambda w: w.clauses(w.y, w.upto(2)),
    "clauses": lambda w: w.clauses(w.y, w.words["sizes"].draw(w.rng)),
    "fact": lambda w: w.clause(w.y, "fact", w.unseen(lambda: w.draw(w.words["remarks"]["about"]))),
    "facts": lambda w: w.clauses(w.y, w.upto(3), "fact"),
    "denials": lambda w: w.clauses(w.y, w.upto(3), "negation"),
    "counter": lambda w: w.clause(-w.y),
    "counters": lambda w: w.clauses(-w.y, w.upto(2)),
    "granted": lambda w: "，".join(w.clause(-w.y) for _ in range(1 + w.upto(3) // 3)),
    "own": lambda w: w.clause(w.y, aspect=w.topic),
    "event": lambda w: w.clause(-w.y, aspect=w.topic),
    "view": lambda w: w.clause(-w.y, ("adjective", "negation", "phrase")[w.upto(3) - 1], w.topic),
    "turn": lambda w: w.draw(w.either(w.words["turns"], w.y)),
    "exception": lambda w: w.draw(w.either(w.words["exceptions"], w.y)),
    "sincere": lambda w: w.remark(w.y),
    "insincere": lambda w: w.remark(-w.y),
    "judgement": lambda w: w.draw(w.words["verdicts"][LABEL_NAMES[w.y > 0]]),
}


def write(seed: int, index: int, lexicon: Lexicon) -> dict:
    """Raw row ``index`` of the corpus, whatever its size; ``form`` is the form, or the kind of a non-core text."""
    rng, style = python_generator(seed, "reviews", index), lexicon.style
    site = SITES[rng.random() * 1000 >= style["per_mille"]["ctrip"]]
    if rng.random() * 1000 < style["per_mille"]["non_core"]:
        form, truth = lexicon.non_core.draw(rng), UNLABELLED  # nothing to be known: the votes are guesses
        text = Writer(rng, lexicon, site).draw(lexicon.sites[site]["non_core"][form]["texts"])
        votes = [int(rng.random() * 100 < style["non_core"][form]["positive"]) for _ in range(3)]
    else:
        truth = int(rng.random() * 1000 >= style["per_mille"]["negative"])
        text, form = Writer(rng, lexicon, site, 2 * truth - 1).review()
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
    try:
        table = pd.DataFrame([write(seed, index, lexicon) for index in range(size)])
    except RecursionError:
        raise InputError(f"{folder or paths.DATA / 'reviews'}: slots fill each other in a circle") from None
    table["status"] = [status_of(text, "zh") for text in table.text]
    return assemble("reviews", table, LABEL_NAMES, "zh")
