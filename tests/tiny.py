"""The rows of a corpus made by hand, small enough to train on in a second."""

import pandas as pd

from paperkit.corpora.noncore import DEFAULT_PRAISE

THINGS = ("房间", "早餐", "服务", "前台", "位置", "泳池", "空调", "床单")
GOOD = ("干净", "热情", "方便", "满意", "舒服")
BAD = ("肮脏", "冷淡", "失望")
WHERE = {"ctrip": "酒店", "qunar": "客栈"}
ONLY_IN = {"train": "学校", "dev": "机场", "test": "火车站", "unlabelled": "码头"}
"""A word that stands in the texts of one split alone."""


def tiny_table() -> pd.DataFrame:
    """Two platforms of 40 positive and 24 negative texts of different lengths, and one of each kind of odd row."""
    rows = []
    for platform, house in WHERE.items():
        for label, opinions in ((1, GOOD), (0, BAD)):
            pairs = [(thing, opinion) for opinion in opinions for thing in THINGS]
            for number, (thing, opinion) in enumerate(pairs):
                split = {0: "test", 1: "dev"}.get(number % 5, "train")
                text = f"{house}的{thing}很{opinion}！" + f"附近有{ONLY_IN[split]}，" * (number % 3)
                rows.append((text, label, platform, split))
        rows += [
            (f"{house}：ok666👍", 1, platform, "train"),
            (f"{platform} wifi ok", 1, platform, "train"),  # no word is left
            (f"{platform} ok", 0, platform, "test"),  # here neither
            (f"{house}靠近{ONLY_IN['unlabelled']}", -1, platform, "unlabelled"),
        ]
    table = pd.DataFrame(rows, columns=["text", "label", "platform", "split"])
    table["status"] = "core"
    odd = pd.DataFrame(
        [
            ("该用户评价默认好评", 1, "ctrip", "train", DEFAULT_PRAISE),
            ("毁誉参半", 1, "ctrip", "train", "core"),
            ("毁誉参半！", 0, "ctrip", "train", "core"),
        ],
        columns=table.columns,
    )
    table = pd.concat([table, odd], ignore_index=True)
    table["id"] = [f"tiny:{number}" for number in range(len(table))]
    return table
