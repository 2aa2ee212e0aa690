"""What every corpus is, wherever it comes from: a table of texts with labels, splits and, where known, the truth."""

import hashlib
import json
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
import pandas as pd
import regex

from paperkit.seeds import derive

SPLITS = ("train", "dev", "test", "unlabelled")
UNLABELLED = -1
CORE = "core"
CONTRADICTING = "contradicting"
SPLIT_SEED = 20231113  # splits are fixed; the seed of a run never moves a text between them
TEST_SHARE, DEV_SHARE = 0.15, 0.085
SMALLEST_SPLITTABLE = 5  # a class with fewer rows is trained on, not tested
SMALLEST_PLATFORM = 10  # one with fewer labelled texts is neither trained on nor tested on by itself
CROSSING = "text in two of the given splits: kept in one"  # the note on them
PRIORITY = {"test": 0, "dev": 1, "train": 2, "unlabelled": 3}  # which of equal texts in given splits is kept

_NON_WORD = regex.compile(r"[^\w]+|_+")
_HAN = regex.compile(r"\p{Han}")


@dataclass(frozen=True)
class Note:
    """Something that was done to the rows while a corpus was made, with how many rows it touched."""

    reason: str
    """What and why, e.g. ``"duplicate text: one kept"``."""
    count: int
    """Number of rows (or classes) touched."""
    detail: str = ""
    """Names or a breakdown, never texts."""


class Rows(NamedTuple):
    """What a reader of files gives to :func:`assemble`."""

    table: pd.DataFrame
    label_names: tuple[str, ...]
    notes: tuple[Note, ...] = ()


@dataclass(frozen=True, eq=False)
class Corpus:
    """Texts, labels, splits.

    ``table`` has one row per text and these columns:

    ==========  ========  =========================================================================================
    id          str       stable and unique, e.g. ``"ctrip-hotels:17"``
    text        str       as its author wrote it
    label       int64     index into ``label_names``; −1 when unlabelled
    truth       int64     the true label where it is known beside a noisy one; −1 where unknowable
    platform    str       where the text was published; the corpus' name when there is only one
    split       str       ``train``, ``dev``, ``test`` or ``unlabelled``
    status      str       ``core``; ``contradicting`` (equal texts had several labels); or the kind of non-core text
    votes       str       labels given by the annotators, one digit or ``a|b|c`` name list each; empty where unknown
    ==========  ========  =========================================================================================

    A label name may be a path in a tree, ``"subject/theme/point"``.
    """

    name: str
    table: pd.DataFrame = field(repr=False)
    label_names: tuple[str, ...] = field(repr=False)
    language: str
    """``"zh"`` or ``"en"``."""
    notes: tuple[Note, ...] = field(default=(), repr=False)

    def __len__(self) -> int:
        return len(self.table)

    @property
    def n_classes(self) -> int:
        return len(self.label_names)

    @cached_property
    def parents(self) -> np.ndarray:
        """The parent of each label in the tree, ``"subject/theme"`` of ``"subject/theme/point"``, str ``(K,)``; empty for a
        label without one."""
        return parents(self.label_names)

    @cached_property
    def platforms(self) -> tuple[str, ...]:
        """Platforms that can be trained on, in order of size: with texts of two classes, and not too few. At least one."""
        labelled = self.table[self.table.label >= 0]
        train = labelled[labelled.split == "train"]
        sizes = train.platform.value_counts().sort_index().sort_values(ascending=False, kind="stable")
        several = train.groupby("platform").label.nunique() > 1
        enough = labelled.platform.value_counts() >= SMALLEST_PLATFORM
        return tuple(name for name in sizes.index if several[name] and enough[name]) or tuple(sizes.index[:1])

    @cached_property
    def tested_platforms(self) -> tuple[str, ...]:
        """Platforms that can be tested on after training on another one: some may have no training texts."""
        labelled = self.table[(self.table.label >= 0) & (self.table.status == CORE)]
        sizes = labelled.platform.value_counts().sort_index()
        return tuple(dict.fromkeys([*self.platforms, *sizes.index[sizes >= SMALLEST_PLATFORM]]))

    def rows(self, split: str, platform: str | None = None, core_only: bool = True) -> pd.DataFrame:
        """The rows of one split, optionally of one platform; non-core texts only when asked for."""
        table = self.table[self.table.split == split]
        if platform is not None:
            table = table[table.platform == platform]
        return table[table.status == CORE] if core_only else table

    @cached_property
    def checksum(self) -> str:
        """sha256 of everything above but the notes, equal on every platform for equal content."""
        digest = hashlib.sha256()
        # JSON keeps the cells apart whatever they hold: separators, line ends, lone surrogates
        for row in ([self.name, self.language, *self.label_names], *self.table.itertuples(index=False)):
            digest.update(json.dumps([str(cell) for cell in row]).encode() + b"\n")
        return digest.hexdigest()


def parents(label_names: Sequence[str]) -> np.ndarray:
    """The path of each label without its last step, str ``(K,)``."""
    return np.array([name.rpartition("/")[0] for name in label_names], dtype=object)


def normalise(text: str) -> str:
    """The form in which two texts count as the same: NFKC, lower case, only word characters."""
    return _NON_WORD.sub("", unicodedata.normalize("NFKC", text).lower())


def guess_language(texts: Iterable[str]) -> str:
    """``"zh"`` if more than a tenth of the non-blank characters are Han, else ``"en"``."""
    sample = "".join(text[:200] for text, _ in zip(texts, range(2000), strict=False))
    visible = len("".join(sample.split()))
    return "zh" if len(_HAN.findall(sample)) > 0.1 * max(visible, 1) else "en"


def drop_unusable(table: pd.DataFrame) -> tuple[pd.DataFrame, list[Note]]:
    """Drop rows without any word character and all but one of equal texts.

    Equal texts with different labels keep the majority label (the first one on a tie) and are marked in a new boolean
    column ``contradicting``, because nobody can be tested on them. A labelled copy stands for its text rather than an
    unlabelled one, otherwise the first; where splits are given, one in test goes before dev, train and unlabelled, and
    contradicting texts are moved to train. Rows must carry ``text`` and ``label``; order and index are kept, so that a
    caller sees which rows are gone, and the normalised text is left in a column ``key``.
    """
    place = np.arange(len(table))
    if "split" in table:
        place = np.argsort(table.split.map(PRIORITY), kind="stable").to_numpy()
    table = table.iloc[place]
    key = table.text.map(normalise).astype(object)
    blank = (key == "").to_numpy()
    notes = [Note("no letter or digit in the text: dropped", int(blank.sum()))]
    table, key, place = table[~blank].copy(), key[~blank].to_numpy(), place[~blank]

    labelled = (table.label >= 0).to_numpy()
    votes = pd.Series(
        1, index=pd.MultiIndex.from_arrays([key[labelled], table.label[labelled]], names=["key", "label"])
    )
    votes = votes.groupby(level=[0, 1], sort=False).sum().reset_index(name="votes")
    kinds = votes.key.value_counts()
    contradicting = set(kinds[kinds > 1].index)
    # a stable sort leaves the label seen first in front on a tie
    majority = votes.sort_values("votes", ascending=False, kind="stable").drop_duplicates("key").set_index("key").label
    labels = pd.Series(key, dtype=object).map(majority).fillna(UNLABELLED).astype("int64")
    table["label"], table["key"] = labels.to_numpy(), key
    table["contradicting"] = [each in contradicting for each in key]

    order = np.argsort(~labelled, kind="stable")
    kept = np.zeros(len(table), dtype=bool)
    kept[order[~pd.Series(key[order], dtype=object).duplicated().to_numpy()]] = True
    crossing = _crossing(table, kept) if "split" in table else []
    notes.append(Note("duplicate text: one kept", int((~kept).sum()) - sum(note.count for note in crossing)))
    notes.append(
        Note("same text under different labels: majority label, kept out of training and tests", len(contradicting))
    )
    notes += crossing
    table = table[kept].iloc[np.argsort(place[kept])]
    if "split" in table:
        table.loc[table.contradicting & (table.label >= 0), "split"] = "train"
    return table, [note for note in notes if note.count]


def _crossing(table: pd.DataFrame, kept: np.ndarray) -> list[Note]:
    """Count texts that stood in two given splits, apart from plain duplicates."""
    home = dict(zip(table.key[kept], table.split[kept], strict=True))
    gone = zip(table.split[~kept], table.key[~kept], strict=True)
    pairs = Counter((split, home[key]) for split, key in gone if split != home[key])
    detail = ", ".join(f"{count} from {split} also in {other}" for (split, other), count in sorted(pairs.items()))
    return [Note(CROSSING, sum(pairs.values()), detail)]


def assign_splits(table: pd.DataFrame, names: tuple[str, ...]) -> tuple[pd.Series, list[Note]]:
    """A split for each row, stratified by platform, label and status; the same for the same texts on every machine.

    Within a stratum rows are ordered by a hash of their text, so neither their order nor their ids matter, and rows
    added to a stratum move only texts at the two borders. 15 % are test and 8.5 % dev. Classes (within a platform) with
    fewer than five rows, and contradicting duplicates, stay in train.
    """
    split = pd.Series("train", index=table.index)
    split[table.label < 0] = "unlabelled"
    keys = table["key"] if "key" in table else table.text.map(normalise)
    order = keys.map(lambda key: derive(SPLIT_SEED, "split", key))
    small: set[str] = set()
    pinned = table["contradicting"] if "contradicting" in table else pd.Series(False, index=table.index)
    eligible = table[(table.label >= 0) & ~pinned].assign(order=order).sort_values(["order", "id"])
    for (platform, label, status), rows in eligible.groupby(["platform", "label", "status"], sort=True):
        if len(rows) < SMALLEST_SPLITTABLE:
            if status == CORE:
                several = eligible.platform.nunique() > 1
                small.add(names[label] + (f" on {platform}" if several else ""))
            continue
        n_test = max(1, round(TEST_SHARE * len(rows)))
        n_dev = max(1, round(DEV_SHARE * len(rows)))
        split[rows.index[:n_test]] = "test"
        split[rows.index[n_test : n_test + n_dev]] = "dev"
    note = Note("class too small to split: trained on, not tested", len(small), ", ".join(sorted(small)))
    return split, [note] if small else []


def complete_splits(table: pd.DataFrame, names: tuple[str, ...]) -> list[Note]:
    """Carve the missing ones of test and dev out of the given training rows, in place."""
    missing = [split for split in ("test", "dev") if split not in set(table.split)]
    if not missing:
        return []
    training = table[table.split == "train"].assign(status=CORE)
    carved, small = assign_splits(training, names)
    carved = carved[carved.isin(missing)]
    table.loc[carved.index, "split"] = carved
    counts = Counter(carved)
    notes = [Note(f"no rows for {split} given: taken from train", counts[split]) for split in missing]
    if "test" not in missing:
        small = [replace(note, reason="class too small to take dev rows from") for note in small]
    return [*small, *(note for note in notes if note.count)]


def leaks(corpus: Corpus) -> pd.DataFrame:
    """Texts that stand in several splits after normalisation, one row each with their ids; empty when all is well."""
    keys = corpus.table.assign(key=corpus.table.text.map(normalise).astype(object))
    keys = keys[keys.groupby("key", sort=False).split.transform("nunique") > 1]
    rows = [(" ".join(each.id), " ".join(sorted(set(each.split)))) for _, each in keys.groupby("key")]
    return pd.DataFrame(rows, columns=["ids", "splits"])


def assemble(
    name: str,
    table: pd.DataFrame,
    label_names: tuple[str, ...],
    language: str,
    notes: Iterable[Note] = (),
    *,
    deduplicate: bool = True,
) -> Corpus:
    """Finish a corpus from raw rows: fill missing columns, drop what cannot be used, split.

    ``table`` needs ``id``, ``text`` and ``label``; ``platform``, ``status``, ``truth``, ``votes`` and ``split`` are
    filled in where absent. A given ``split`` is respected; test and dev rows that it lacks are taken from its training
    rows.
    """
    notes = list(notes)
    table = table.reset_index(drop=True)
    for column, default in (("platform", name), ("status", CORE), ("truth", UNLABELLED), ("votes", "")):
        if column not in table:
            table[column] = default
    if deduplicate:
        table, dropped = drop_unusable(table)
        table.loc[table.contradicting & (table.label >= 0) & (table.status == CORE), "status"] = CONTRADICTING
        notes += dropped
    if "split" not in table:
        table["split"], small = assign_splits(table, label_names)
        notes += small
    else:
        notes += complete_splits(table, label_names)
    columns = ["id", "text", "label", "truth", "platform", "split", "status", "votes"]
    table = table[columns].astype({"label": np.int64, "truth": np.int64}).reset_index(drop=True)
    corpus = Corpus(name, table, tuple(label_names), language, tuple(notes))
    if small := sorted(set(table.platform[table.label >= 0]) - set(corpus.tested_platforms)):
        note = Note("platform too small to be looked at by itself", len(small), ", ".join(small))
        corpus = replace(corpus, notes=(*notes, note))
    return corpus
