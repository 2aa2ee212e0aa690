"""How the corpora of many classes are read: news by topic, examination questions and two sets of FewCLUE."""

import csv
import html
import io
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

import pandas as pd

from paperkit.corpora.corpus import UNLABELLED, Note, Rows, normalise

PARTS = ("train", "test")
"""Of ModApte, beside the unused stories."""
R8 = ("acq", "crude", "earn", "grain", "interest", "money-fx", "ship", "trade")
SMALLEST_LEAF = 6
"""Rows that a leaf of the examination questions has, or is left out."""

DISCIPLINES = {  # the categories of the Chinese catalogue of academic disciplines (2011); a double one by its first half
    "哲学": "哲学",
    "经济学": "理论经济学 应用经济学",
    "法学": "法学 政治学 社会学 民族学",
    "教育学": "教育学 心理学 体育学",
    "文学": "中国语言文学 新闻传播学",
    "历史学": "历史学",
    "理学": "数学 物理学 化学/化学工程与技术 天文学 地理学 大气科学 海洋科学 地球物理学 "
    "地质学/地质资源与地质工程 生物学/生物科学与工程",
    "工学": "力学 机械工程 光学工程 材料科学与工程 冶金工程 动力工程及工程热物理 电气工程 电子科学与技术 "
    "信息与通信工程 控制科学与工程 计算机科学与技术 建筑学 土木工程 水利工程 测绘科学与技术 矿业工程 "
    "石油与天然气工程 纺织科学与工程 交通运输工程 船舶与海洋工程 航空宇航科学与技术 兵器科学与技术 "
    "核科学与技术 农业工程 环境科学与工程 食品科学与工程",
    "农学": "作物学 园艺学 农业资源利用 植物保护 畜牧学/兽医学 林学/林业工程 水产",
    "医学": "基础医学/临床医学 口腔医学 公共卫生与预防医学 中医学/中药学 药学",
    "军事学": "军事学",
    "管理学": "工商管理 农林经济管理 公共管理 图书馆、情报与档案管理",
    "艺术学": "艺术学",
}


def tree_path(*steps: str) -> str:
    """``"A/B/C"``; a slash within a step becomes a full-width one."""
    return "/".join(step.replace("/", "／") for step in steps)


def json_lines(content: bytes) -> list[dict]:
    """The rows of a JSON Lines file; its texts may hold every line separator but ``\\n``."""
    return [json.loads(line) for line in content.decode("utf-8-sig").split("\n") if line.strip()]


@dataclass(frozen=True)
class Story:
    """One document of Reuters-21578."""

    number: int
    """NEWID"""
    split: str
    """ModApte's: ``train``, ``test`` or ``unused``."""
    topics: tuple[str, ...]
    """In the order of the source."""
    title: str
    body: str


def stories(contents: Mapping[str, bytes]) -> list[Story]:
    """Reuters-21578 from its SGML files, or from the parsed copy."""
    found = []
    for name in sorted(contents):
        if name.endswith(".jsonl"):
            for row in json_lines(contents[name]):
                split = _modapte(row["topics_attr"], row["lewissplit"])
                found.append(Story(row["newid"], split, tuple(row["topics"]), row["title"], row["body"]))
        elif name.endswith(".sgm"):
            found += _from_sgml(contents[name].decode("latin-1"))
    return found


def _from_sgml(page: str) -> Iterator[Story]:
    for attributes, inner in re.findall(r"<REUTERS(.*?)>(.*?)</REUTERS>", page, re.DOTALL):
        given = dict(re.findall(r'(\w+)="(.*?)"', attributes))
        kind, text = re.search(r"<TEXT(.*?)>(.*?)</TEXT>", inner, re.DOTALL).groups()
        # unprocessed stories have neither title nor body marked, and mostly are tables
        body = text if "UNPROC" in kind else _element("BODY", text)
        title, body = (html.unescape(part).strip() for part in (_element("TITLE", text), body))
        topics = re.findall(r"<D>(.*?)</D>", _element("TOPICS", inner))
        yield Story(int(given["NEWID"]), _modapte(given["TOPICS"], given["LEWISSPLIT"]), tuple(topics), title, body)


def _element(name: str, text: str) -> str:
    found = re.search(f"<{name}>(.*?)</{name}>", text, re.DOTALL)
    return found[1] if found else ""


def _modapte(topics: str, split: str) -> str:
    return split.lower() if topics == "YES" and split in ("TRAIN", "TEST") else "unused"


def read_reuters(contents: Mapping[str, bytes], rule: str = "source") -> Rows:
    """Reuters-21578 in the split ModApte, with one label per story by one of four rules.

    Only the 90 topics that occur in both of its parts count. Under ``"source"`` a story's label is the first of its
    topics in the order of the source, under ``"alphabetical"`` the first in alphabetical order; stories without one of
    the 90 are left out. No rule of this kind leaves 90 classes: 72 and 79 remain. ``"r52"`` and ``"r8"`` are the
    literature's subsets: stories with a single topic, of the 52 classes that both parts then have, or of the eight in
    :data:`R8`. The unlabelled pool is the same under every rule: the unused stories that have a body.

    Text is title, line end, body; a brief story has no body, an unprocessed one no title. ``votes`` holds all of a
    story's topics among the 90, ``"a|b"``, in the order of the source.
    """
    if rule not in ("source", "alphabetical", "r52", "r8"):
        raise ValueError(f"rule={rule!r}: accepted are source, alphabetical, r52, r8")
    found = stories(contents)
    topics = {split: {topic for each in found if each.split == split for topic in each.topics} for split in PARTS}
    ninety = topics["train"] & topics["test"]

    def label(story: Story) -> str:
        if rule in ("r52", "r8"):
            return story.topics[0] if len(story.topics) == 1 else ""
        among = [topic for topic in story.topics if topic in ninety]
        return next(iter(sorted(among) if rule == "alphabetical" else among), "")

    labelled = [(each, label(each)) for each in found if each.split in PARTS]
    classes = {split: {name for each, name in labelled if each.split == split} - {""} for split in PARTS}
    if rule in ("r52", "r8"):
        both = classes["train"] & classes["test"]
        classes = dict.fromkeys(PARTS, both & set(R8) if rule == "r8" else both)
    labelled = [(each, name) for each, name in labelled if name in classes[each.split]]
    names = sorted(classes["train"] | classes["test"])
    index = {name: at for at, name in enumerate(names)}
    rows = [
        (each, each.split, index[name], "|".join(topic for topic in each.topics if topic in ninety))
        for each, name in labelled
    ]
    rows += [(each, "unlabelled", UNLABELLED, "") for each in found if each.split == "unused" and each.body]
    rows.sort(key=lambda row: row[0].number)
    table = pd.DataFrame(
        {
            "id": [f"reuters21578:{each.number}" for each, *_ in rows],
            "text": ["\n".join(filter(None, (each.title, each.body))) for each, *_ in rows],
            "label": [label for _, _, label, _ in rows],
            "split": [split for _, split, _, _ in rows],
            "votes": [votes for *_, votes in rows],
        }
    )
    left_out = sum(each.split in PARTS for each in found) - len(labelled)
    only = {split: sorted(classes[split] - classes[other]) for split, other in (PARTS, PARTS[::-1])}
    notes = [Note(f"class of the {split} stories only", len(only[split]), ", ".join(only[split])) for split in PARTS]
    notes = [Note(f"story without a label by the rule {rule}: left out", left_out), *notes]
    return Rows(table, tuple(names), tuple(note for note in notes if note.count))


def read_exams(contents: Mapping[str, bytes]) -> Rows:
    """Questions of Chinese upper-school examinations, by subject, theme and rarest knowledge point.

    A question has several knowledge points; its leaf is the one that fewest questions have (of equally rare ones, the
    first by code point). Of equal questions the first is kept, and ``votes`` holds the leaves of all of them. Leaves
    with fewer than six questions are left out.
    """
    rows = []
    for name in sorted(contents):
        rows += json_lines(contents[name]) if name.endswith(".jsonl") else _from_crawl(name, contents[name])
    counts = Counter(point for row in rows for point in row["knowledge_points"])
    first: dict[str, dict] = {}
    blank = 0
    for row in rows:
        if not (key := normalise(row["question"])):
            blank += 1
            continue
        rarest = min(row["knowledge_points"], key=lambda point: (counts[point], point))
        leaf = tree_path(row["subject"], row["theme"], rarest)
        kept = first.setdefault(key, {**row, "leaf": leaf, "leaves": {}})
        kept["leaves"][leaf] = None
    sizes = Counter(row["leaf"] for row in first.values())
    kept = [row for row in first.values() if sizes[row["leaf"]] >= SMALLEST_LEAF]
    names = sorted({row["leaf"] for row in kept})
    index = {name: at for at, name in enumerate(names)}
    table = pd.DataFrame(
        {
            "id": [f"exam-tree:{row['id']}" for row in kept],
            "text": [row["question"] for row in kept],
            "label": [index[row["leaf"]] for row in kept],
            "votes": ["|".join(row["leaves"]) for row in kept],
        }
    )
    notes = (
        Note("no letter or digit in the text: dropped", blank),
        Note("duplicate text: one kept", len(rows) - blank - len(first)),
        Note("same text under different labels: the first kept", sum(len(row["leaves"]) > 1 for row in first.values())),
        Note(
            f"leaf of fewer than {SMALLEST_LEAF} questions: left out",
            len(first) - len(kept),
            f"{len(sizes) - len(names)} leaves",
        ),
    )
    return Rows(table, tuple(names), tuple(note for note in notes if note.count))


def _from_crawl(name: str, content: bytes) -> Iterator[dict]:
    """The questions of one theme as crawled, cut off before the answer; those without knowledge points are left out."""
    path = PurePosixPath(name)
    for row in csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline=""), strict=True):
        found = re.match(r"\[题目\](.*?)题型:.*\[知识点：\]\n(.*)$", row["item"], re.DOTALL)
        if found:
            yield {
                "id": row["web-scraper-order"],
                "subject": path.parts[0].removeprefix("高中_"),
                "theme": path.stem,
                "question": " ".join(found[1].split()),
                "knowledge_points": [point.strip() for point in found[2].split(",") if point.strip()],
            }


def read_iflytek(contents: Mapping[str, bytes]) -> Rows:
    """Descriptions of apps in 119 classes, numbered as published."""
    numbers = {
        row["label_des"]: int(row["label"])
        for split in ("train_few_all", "dev_few_all", "test_public")
        for row in json_lines(contents[f"{split}.json"])
    }
    names = sorted(numbers, key=numbers.__getitem__)
    return _fewclue("iflytek", contents, "sentence", "label_des", {name: name for name in names})


def read_csldcp(contents: Mapping[str, bytes]) -> Rows:
    """Abstracts of Chinese papers by discipline, under the categories to which the disciplines belong."""
    paths = {leaf: tree_path(parent, leaf) for parent, leaves in DISCIPLINES.items() for leaf in leaves.split()}
    return _fewclue("csldcp", contents, "content", "label", paths)


def _fewclue(name: str, contents: Mapping[str, bytes], text: str, label: str, names: Mapping[str, str]) -> Rows:
    """All of FewCLUE's labelled rows; its five small samples of train and dev hold no others.

    ``names`` maps what the files call a class to its name here, in the order of the classes.
    """
    index = {each: at for at, each in enumerate(names)}
    files = {"train": "train_few_all", "dev": "dev_few_all", "test": "test_public", "unlabelled": "test"}
    rows = [
        (f"{name}:{file}:{number}", row[text], index[row[label]] if split != "unlabelled" else UNLABELLED, split)
        for split, file in files.items()
        for number, row in enumerate(json_lines(contents[f"{file}.json"]))
    ]
    return Rows(pd.DataFrame(rows, columns=["id", "text", "label", "split"]), tuple(names.values()))
