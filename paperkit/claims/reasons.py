"""Why a claim has the outcome it has: every sentence stands here once, in both languages side by side."""

from typing import NamedTuple


class Reason(NamedTuple):
    """A part of an explanation. What is said in names and numbers only has no Chinese form, and is left out there."""

    en: str
    zh: str = ""


TEXTS = {
    "few seeds": ("a verdict needs at least {least} seeds", "判定至少需要 {least} 个种子"),
    "open": ("the interval holds the threshold", "区间包含阈值"),
    "lost to Holm": (
        "the interval excludes the threshold, but not after Holm's correction over {tests} tests (p = {p:.3f})",
        "区间不含阈值，但对 {tests} 项检验做 Holm 校正后不显著（p = {p:.3f}）",
    ),
    "seeds needed": (
        "if the true value is the one measured, about {needed:.0f} seeds would decide it with 80 % power",
        "若真值等于实测值，约 {needed:.0f} 个种子有 80% 的把握定论",
    ),
    "too many needed": (
        "if the true value is the one measured, more than {most:,} seeds would be needed to decide it",
        "若真值等于实测值，需要 {most:,} 个以上的种子才能定论",
    ),
    "same so far": (
        "all of them give the same value; {least} seeds that do so would decide it",
        "这些种子取值相同；{least} 个如此一致的种子即可定论",
    ),
    "above": ("wholly above the threshold", "整个区间高于阈值"),
    "below": ("wholly below the threshold", "整个区间低于阈值"),
    "above after Holm": ("wholly above the threshold (p {p} after Holm)", "整个区间高于阈值（Holm 校正后 p {p}）"),
    "below after Holm": ("wholly below the threshold (p {p} after Holm)", "整个区间低于阈值（Holm 校正后 p {p}）"),
    "same above": ("every seed gives the same value, above the threshold", "每个种子取值相同，且高于阈值"),
    "same below": ("every seed gives the same value, below the threshold", "每个种子取值相同，且低于阈值"),
    "rounded": (
        "counted from {limit:g}, which rounds to {threshold:g}",
        "自 {limit:g} 起算，四舍五入为 {threshold:g}",
    ),
    "exact": ("exactly the threshold with every seed", "每个种子都恰好等于阈值"),
    "disadvantage": ("the difference is to the disadvantage of the paper's model", "差异不利于论文的模型"),
    "not run": ("needs {name}, which `make {exhibit}` writes", "需要 {name}，由 `make {exhibit}` 生成"),
    "not made": (
        "needs {name}, which no exhibit of this version writes",
        "需要 {name}，本版本没有哪一项生成它",
    ),
    "nothing to show": ("{exhibit} has no runs to show on these data", "{exhibit} 在这些数据上没有运行可展示"),
    "no column": ("{name} has no column {columns}", "{name} 没有 {columns} 列"),
    "no model": ("there is no run of {models}", "没有 {models} 的运行"),
    "no other model": ("there is no run of another model", "没有其他模型的运行"),
    "no attack": ("there is no run of {model} attacked with {attack}", "没有 {model} 受 {attack} 攻击的运行"),
    "no first corpus": ("these data have no runs on the paper's first corpus", "这些数据没有论文第一个语料上的运行"),
    "no second corpus": ("these data have no runs on the paper's second corpus", "这些数据没有论文第二个语料上的运行"),
    "repeated seeds": ("a model has more than one row per seed", "同一模型同一种子有多行"),
    "undefined": ("{metric} is not defined on these data for {models}", "{metric} 在这些数据上对 {models} 没有定义"),
    "one value": ("{column} takes one value only", "{column} 只有一个取值"),
    "no common seed": ("no seed has all the runs that are compared", "没有哪个种子具备全部要比较的运行"),
    "one platform": (
        "these data come from one platform, so there is no other one to test on",
        "这些数据只来自一个平台，没有其他平台可供测试",
    ),
    "undefined everywhere": ("{metrics}: 0/0 on every pair of platforms", "{metrics} 在每一对平台上均为 0/0"),
    "few epochs": ("fewer than three epochs have no spread of changes", "不足三轮训练，变化没有离散程度可言"),
    "same size": (
        "{column} is {size:,.0f} for {model!r} and {other_size:,.0f} for {other!r}: on these data there is next to "
        "nothing to compare",
        "{column} 在“{model}”中为 {size:,.0f}，在“{other}”中为 {other_size:,.0f}：这些数据上几乎没有可比较的差别",
    ),
    "never reached": ("no run gets there: {column} is 0 in all {n}", "全部 {n} 次运行都未达到（{column} 为 0）"),
}


def reason(name: str, /, **fields: object) -> Reason:
    """One of :data:`TEXTS` with its fields filled in."""
    return Reason(*(text.format(**fields) for text in TEXTS[name]))


class NotTestableError(Exception):
    """What a claim needs is not here: one of :data:`TEXTS` says what, and how to make it."""

    def __init__(self, name: str, /, **fields: object) -> None:
        self.reason = reason(name, **fields)
        super().__init__(self.reason.en)


class NotRunError(NotTestableError):
    """What a claim needs was not computed yet: an exhibit writes it, and these data may well decide the claim."""
