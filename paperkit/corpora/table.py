"""A user's own table as a corpus: which columns, which labels, which splits. Files: :mod:`paperkit.corpora.sheet`.

What is wrong in a way that only its owner can mend is refused, naming file, row and column. What can be handled the
same way for everybody is handled, and counted in the corpus' notes.
"""

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import regex

from paperkit.corpora.corpus import (
    CONTRADICTING,
    CORE,
    CROSSING,
    SMALLEST_SPLITTABLE,
    UNLABELLED,
    Corpus,
    Note,
    assemble,
    drop_unusable,
    guess_language,
)
from paperkit.corpora.noncore import DEFAULT_PRAISE, status_of
from paperkit.corpora.sheet import Sheet, one_line, read_sheet, refuse

LONGEST = 20_000
"""Characters of a text that are kept."""
WORDS = {"en": regex.compile(r"\p{Latin}"), "zh": regex.compile(r"\p{Han}")}
"""What paper B's words are made of, see :mod:`paperkit.text.words`."""

NAMES = {
    "text": "text content review reviewtext comment sentence body message document utterance question description "
    "文本 内容 评论 评论内容 点评 评价 评价内容 正文 句子 工单内容 投诉内容 问题 描述",
    "label": "label labels class category target sentiment polarity topic intent y leaf rating score stars "
    "标签 类别 分类 类目 情感 情感倾向 极性 主题 意图 评分 星级",
    "split": "split subset partition 划分 数据划分",
    "platform": "platform site channel source 平台 渠道 来源",
}
SPLIT_NAMES = {
    **dict.fromkeys(("train", "training", "训练", "训练集"), "train"),
    **dict.fromkeys(("dev", "val", "valid", "validation", "验证", "验证集"), "dev"),
    **dict.fromkeys(("test", "测试", "测试集"), "test"),
    **dict.fromkeys(("unlabelled", "unlabeled", "未标注"), "unlabelled"),
}
NEGATIVE = {"0", "-1", "no", "false", "neg", "negative", "bad", "消极", "差评", "负面", "负向", "负", "不满意", "否"}
POSITIVE = {"1", "yes", "true", "pos", "positive", "good", "积极", "好评", "正面", "正向", "正", "满意", "是"}
MISSING = {"nan", "none", "null", "n/a", "na", "#n/a"}  # as programs write an empty cell; "none" may also be a class
MOST_PLATFORMS = 20  # a guessed platform column with more values is something else


def read(
    path: str | Path,
    text: str | None = None,
    label: str | None = None,
    split: str | None = None,
    platform: str | None = None,
) -> Corpus:
    """Read a CSV, TSV, JSONL, Parquet or XLSX file. Columns that are not given are guessed, and said in the notes.

    A row without a label belongs to the unlabelled pool. A label may be a path in a tree, ``A/B/C``. A split column may
    hold train, dev, test and unlabelled (or the usual other names); a test or dev part that it lacks is carved out of
    its training rows by the rule for tables without splits. A text of the test part is taken out of all others.

    Raises:
        InputError: one sentence with file, row and column; nothing has been written.
    """
    path = Path(path)
    given = {"text": text or None, "label": label or None, "split": split or None, "platform": platform or None}
    sheet = read_sheet(path, [column for column in given.values() if column])
    chosen = _choose_columns(sheet, given)
    notes = [Note("rows read", len(sheet), sheet.how)]
    for role, column in chosen.items():
        if column:
            how = "" if given[role] else ", guessed (say which with " + role.upper() + "=column)"
            notes.append(Note(f"column used as {role}", len(sheet), one_line(column) + how))
    free = [column for column in sheet.columns if column not in chosen.values()]
    if not chosen["split"] and (passed := _named(free, "split")):
        reason = "column not used as split: none of its values is train, dev, test or unlabelled"
        notes.append(Note(reason, len(sheet), ", ".join(map(one_line, passed))))

    name = slug(path)
    table = pd.DataFrame({"id": [f"{name}:{number}" for number in sheet.numbers]})
    table["text"], cut = _texts(sheet, chosen["text"])
    names, table["label"], of_labels = _labels(sheet, chosen["label"])
    notes += of_labels
    table["platform"] = _platforms(sheet, chosen["platform"], name)
    notes.append(Note(f"text longer than {LONGEST:,} characters: cut", cut))
    notes.append(Note("row without a label: unlabelled", int((table.label < 0).sum())))
    notes.append(Note("row without a platform: unknown", int((table.platform == "unknown").sum())))
    if chosen["split"]:
        table["split"] = _splits(sheet, chosen["split"])

    table, names, made = _finish(path, table, names, chosen["label"])
    language = guess_language(table.text)
    # only the phrases that no person writes: a short or Latin text may be a fine example of a user's own classes
    silent = table.text.map(lambda each: status_of(each, language) == DEFAULT_PRAISE)
    table["status"] = silent.map({True: DEFAULT_PRAISE, False: CORE})
    table.loc[table.contradicting & (table.label >= 0) & ~silent, "status"] = CONTRADICTING
    notes += made
    notes.append(Note(f"non-core text ({DEFAULT_PRAISE}): neither trained on nor tested", int(silent.sum())))
    notes = [note for note in notes if note.count]
    corpus = assemble(name, table, names, language, notes, deduplicate=False)
    _check_usable(path, corpus, chosen["label"])
    if corpus.rows("train", corpus.platforms[0]).label.nunique() < 2:  # it is the largest, for want of one to train on
        what = "no platform that is large enough has training rows of two classes"
        if given["platform"]:
            refuse(path, f"{what}: expected one that has", column=chosen["platform"])
        notes = [note for note in notes if "platform" not in note.reason]
        notes.append(Note(f"column not used as platform: {what}", len(table), one_line(chosen["platform"])))
        corpus = assemble(name, table.assign(platform=name), names, language, notes, deduplicate=False)
        _check_usable(path, corpus, chosen["label"])
    return corpus


def slug(path: Path) -> str:
    """A corpus name from a file name: letters of any script, digits, ``-``, ``_``; never that of a corpus we have."""
    from paperkit.corpora import names

    stem = unicodedata.normalize("NFC", path.name)
    while Path(stem).suffix.lower() in (".gz", ".csv", ".tsv", ".tab", ".jsonl", ".ndjson", ".parquet", ".xlsx"):
        stem = Path(stem).stem
    stem = re.sub(r"[^\w]+", "-", stem.encode("utf-8", "replace").decode()).strip("-_")[:60] or "table"
    return f"{stem}-table" if stem in names() else stem


def _choose_columns(sheet: Sheet, given: dict[str, str | None]) -> dict[str, str | None]:
    """A column for each role, as given or guessed; None for an absent split or platform."""
    chosen: dict[str, str | None] = {}
    for role, column in given.items():
        if column is not None:
            column = column.strip()
            if column not in sheet.columns:
                refuse(sheet.path, f"there is no such column: it has {_listed(sheet.columns)}", column=column)
            if column in chosen.values():
                refuse(sheet.path, f"given both as {role} and as another: expected different columns", column=column)
        chosen[role] = column
    taken = {column for column in chosen.values() if column}
    for role in ("text", "label", "split", "platform"):
        if chosen[role] is None:
            free = [column for column in sheet.columns if column not in taken]
            chosen[role] = _by_name(sheet, role, free) or _by_content(sheet, role, free)
            if chosen[role]:
                taken.add(chosen[role])
            elif role in ("text", "label"):
                refuse(
                    sheet.path,
                    f"no column could be guessed to be the {role}: say which with {role.upper()}=column, "
                    f"it has {_listed(sheet.columns)}",
                )
    return chosen


def _named(free: list[str], role: str) -> list[str]:
    """The columns whose name says that role, the likeliest first."""
    plain = {re.sub(r"[\W_]+", "", column).casefold(): column for column in reversed(free)}
    return [plain[name] for name in NAMES[role].split() if name in plain]


def _by_name(sheet: Sheet, role: str, free: list[str]) -> str | None:
    for column in _named(free, role):
        values = {value.strip() for value in _lenient(sheet, column)} - {""}
        # one known name makes it the split column: an unknown one beside it is refused later, where ignoring the column
        # would train on given test rows
        if role == "split" and not any(value.casefold() in SPLIT_NAMES for value in values):
            continue
        if role == "platform" and not 1 < len(values) <= MOST_PLATFORMS:
            continue
        return column
    return None


def _by_content(sheet: Sheet, role: str, free: list[str]) -> str | None:
    """Text: the longest values on average. Label: the fewest distinct values, at least two, repeated on average."""
    if role == "text":
        return max(free, key=lambda column: sum(map(len, _lenient(sheet, column))), default=None)
    if role == "label":
        distinct = {column: len({value.strip() for value in _lenient(sheet, column)} - {""}) for column in free}
        fitting = [column for column in free if 2 <= distinct[column] <= len(sheet) / 2]
        return min(fitting, key=distinct.__getitem__, default=None)
    return None


def _lenient(sheet: Sheet, column: str) -> list[str]:
    """Values for guessing only, where a cell that cannot be text is no reason to refuse the file."""
    return [value if isinstance(value, str) else "" if value is None else str(value) for value in sheet.cells[column]]


def _listed(columns: Sequence[str]) -> str:
    shown = ", ".join(f"'{one_line(column, 30)}'" for column in columns[:12])
    return shown + (f" and {len(columns) - 12} more" if len(columns) > 12 else "")


def _texts(sheet: Sheet, column: str) -> tuple[list[str], int]:
    texts = sheet.strings(column)
    cut = sum(len(text) > LONGEST for text in texts)
    return [text[:LONGEST] for text in texts], cut


def _labels(sheet: Sheet, column: str) -> tuple[tuple[str, ...], list[int], list[Note]]:
    """Class names in order, for each row its class or −1, and what was done to the names."""
    given = [" ".join(label.split()) for label in sheet.strings(column)]
    labels = [_visible(label) for label in given]
    changed = sum(label != before for label, before in zip(labels, given, strict=True))
    notes = [Note("label with invisible or decomposed letters: taken as it looks", changed)]
    for number, label in zip(sheet.numbers, labels, strict=True):
        if "/" in label and not all(step.strip() for step in label.split("/")):
            refuse(
                sheet.path,
                f"'{one_line(label)}' has an empty step: expected a class, or a path in a tree such as A/B/C",
                number,
                column,
            )
    labels = ["/".join(step.strip() for step in label.split("/")) for label in labels]
    missing = Counter(label for label in labels if label.casefold() in MISSING)
    reason = "label that may stand for none is taken as a class: leave the cell empty for unlabelled rows"
    notes.append(Note(reason, missing.total(), ", ".join(sorted(missing))))
    present = set(labels) - {""}
    if not present:
        refuse(sheet.path, "holds no labels: expected one for each row that is not to be unlabelled", column=column)
    if all(label.casefold() in ("true", "false") for label in present):
        rename = {label: str(int(label.casefold() == "true")) for label in present}
    elif all(re.fullmatch(r"[+-]?[0-9]{1,15}(\.0*)?", label) for label in present) and any("." in p for p in present):
        rename = {label: str(int(float(label))) for label in present}
    else:
        rename = {label: label for label in present}
    names = in_order(set(rename.values()))
    index = {name: at for at, name in enumerate(names)}
    return names, [index[rename[label]] if label else UNLABELLED for label in labels], notes


def _visible(label: str) -> str:
    """A label without control and format characters, such as a zero-width space, in NFC: what looks equal is equal."""
    letters = (letter for letter in label if letter.isspace() or unicodedata.category(letter) not in ("Cc", "Cf"))
    return " ".join(unicodedata.normalize("NFC", "".join(letters)).split())


def in_order(names: set[str]) -> tuple[str, ...]:
    """Class names sorted as a person would, numbers by value; of two polar ones the positive is last, so class 1."""
    if len(names) == 2:
        negative = [name for name in names if name.casefold() in NEGATIVE]
        positive = [name for name in names if name.casefold() in POSITIVE]
        if len(negative) == len(positive) == 1:
            return (negative[0], positive[0])
    return tuple(sorted(names, key=_natural))


def _natural(name: str) -> tuple:
    with_number = re.fullmatch(r"[+-]?[0-9]+(\.[0-9]+)?", name)
    if with_number and math.isfinite(float(name)):
        return (0, float(name), name)
    pieces = re.split(r"([0-9]+)", name.casefold())
    # a run of digits compares by its length without leading zeros, then by its digits
    return (1, [(len(p.lstrip("0")), p.lstrip("0")) if at % 2 else (0, p) for at, p in enumerate(pieces)], name)


def _platforms(sheet: Sheet, column: str | None, name: str) -> list[str]:
    if column is None:
        return [name] * len(sheet)
    return [" ".join(value.split()) or "unknown" for value in sheet.strings(column)]


def _splits(sheet: Sheet, column: str) -> list[str]:
    splits = []
    for number, value in zip(sheet.numbers, sheet.strings(column), strict=True):
        split = SPLIT_NAMES.get(value.strip().casefold())
        if split is None:
            refuse(
                sheet.path, f"'{one_line(value, 30)}' given: accepted are train, dev, test, unlabelled", number, column
            )
        splits.append(split)
    return splits


def _finish(path: Path, table: pd.DataFrame, names: tuple[str, ...], column: str) -> tuple:
    """Drop what cannot be used, leave out classes that have no row any more."""
    notes = []
    if "split" in table:
        hidden = (table.split == "unlabelled") & (table.label >= 0)
        table.loc[hidden, "label"] = UNLABELLED
        table.loc[table.label < 0, "split"] = "unlabelled"
        notes.append(Note("label of a row in the unlabelled split: not used", int(hidden.sum())))
    kept, dropped = drop_unusable(table)
    notes += dropped

    present = sorted(set(kept.label[kept.label >= 0]))
    if len(present) < 2:
        if present:
            what = f"holds one class only ('{one_line(names[present[0]])}')"
        elif count := int((table.label >= 0).sum()):
            what = f"holds no labels of usable texts ({count} labelled ones hold no letter or digit)"
        else:
            what = "holds no labels of usable texts (all labels are in the unlabelled split)"
        refuse(path, f"{what}: expected two classes or more", column=column)
    kept["label"] = kept.label.map({old: new for new, old in enumerate(present)}).fillna(UNLABELLED).astype("int64")
    names = tuple(names[old] for old in present)
    return kept, names, notes


def _check_usable(path: Path, corpus: Corpus, column: str) -> None:
    """Refuse a corpus on which nothing can be trained, chosen or tested."""
    if len(set(corpus.rows("train").label)) < 2:
        crossing = next((note.detail for note in corpus.notes if note.reason == CROSSING), "")
        why = f", once texts of several given splits are kept in one ({crossing})" if crossing else ""
        refuse(path, f"the training rows hold fewer than two classes{why}: expected two or more", column=column)
    for platform in (None, *corpus.platforms):
        training = corpus.rows("train", platform)
        if not len(training):
            refuse(path, f"no row of platform '{one_line(platform)}' can be trained on, since all are default praise or have a "
                   "text with several labels: expected others, or another column as platform")  # fmt: skip
        readable = training.label[training.text.map(lambda text: bool(WORDS[corpus.language].search(text)))]
        if len(set(readable)) < 2 <= len(set(training.label)):
            letters = {"zh": "Chinese characters", "en": "Latin letters"}[corpus.language]
            of = f" of platform '{one_line(platform)}'" if platform and len(corpus.platforms) > 1 else ""
            refuse(path, f"the training rows{of} of fewer than two classes hold {letters}, of which words are made here, "
                   "as most of the table does: expected texts in them")  # fmt: skip
    for split in ("test", "dev"):
        if not len(corpus.rows(split)):
            refuse(
                path,
                f"no class has {SMALLEST_SPLITTABLE} different texts to take {split} rows from: "
                f"expected at least one that has",
                column=column,
            )
