"""Small tables with an answer to learn, and settings so small that a whole study trains in seconds."""

import csv
import random
from pathlib import Path

SETTINGS = {
    "reviews": 260,
    "tickets": 900,
    "newswire": 600,
    "robustness": 40,
    "reworded": 10,
    "seeds": 2,
    "ablation_seeds": 2,
    "epochs": 2,
    "batch_size": 32,
    "learning_rate": 0.02,
    "vector_size": 8,
    "vector_epochs": 2,
    "max_length": 40,
    "encoder_seeds": 1,
    "label_shares": [1.0],
    "backbone_en": "tiny",
    "backbone_zh": "tiny",
    "tokens.max_length": 12,
    "finetune.epochs": 1,
    "finetune.batch_size": 64,
    "large_seeds": 1,
    "curve_seeds": 1,
    "labelled": 1.0,
    "noise_rates": [0.2],
    "curve_shares": [0.5],
    "pool_shares": [0.3],
    "epsilons": [0.2],
}
DRAWINGS = ("b_fig_1", "b_fig_2", "b_fig_3", "x_b_focal")
"""Exhibits that are the same whatever the data."""

THINGS = ["风景", "服务", "缆车", "门票", "酒店", "早餐", "导游", "停车", "卫生", "索道"]
GOOD = ["很美", "不错", "值得", "舒服", "干净", "热情", "方便"]
BAD = ["很差", "失望", "太贵", "难看", "脏乱", "冷淡", "拥挤"]
WHEN = ["周末去", "和家人", "第二次来", "下雨天", "早上到", "坐地铁"]

ENGLISH = {"billing": "invoice charge refund", "network": "router signal cable", "other": "opening hours address"}
FILLER = ["please", "help", "me", "with", "the", "and", "my", "since", "yesterday", "again", "thanks"]


def reviews(count: int, platforms: tuple[str, ...], seed: int = 0) -> list[tuple[str, int, str]]:
    """Chinese (text, label, platform), three of four positive, every text another one."""
    draw = random.Random(seed)
    rows: dict[str, tuple[int, str]] = {}
    while len(rows) < count:
        label = int(draw.random() < 0.75)
        clauses = (draw.choice(THINGS) + draw.choice(GOOD if label else BAD) for _ in range(draw.randint(2, 4)))
        text = draw.choice(WHEN) + "，" + "，".join(clauses) + "。"
        rows.setdefault(text, (label, platforms[len(rows) % len(platforms)]))
    return [(text, *rest) for text, rest in rows.items()]


def tickets(per_class: dict[str, int], seed: int = 0) -> list[tuple[str, str]]:
    """English (text, label); a label's words follow from its last step, an empty label stands for none."""
    draw = random.Random(seed)
    rows = []
    for label, count in per_class.items():
        topic = ENGLISH.get(label.rpartition("/")[2], "nothing known").split()
        for number in range(count):
            words = draw.sample(FILLER, 5) + draw.sample(topic, 2)
            draw.shuffle(words)
            rows.append((" ".join(words) + f" case {label[:1]}{number}", label))
    draw.shuffle(rows)
    return rows


def write_csv(path: Path, header: tuple[str, ...], rows: list[tuple]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return path
