"""Paper B's diagrams, drawn by code: Fig. 1 the network, Fig. 2 word2vec, Fig. 3 the attention mechanism.

A `Canvas` measures in millimetres of the printed page, its origin at the lower left, so that a box is as large as it
says and text is set in points beside it. The weights in the pictures are computed from a random example matrix by the
equations that the pictures show.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from matplotlib.colors import LinearSegmentedColormap, to_rgb
from matplotlib.figure import Figure
from matplotlib.layout_engine import PlaceHolderLayoutEngine
from matplotlib.patches import Circle, FancyArrowPatch, FancyBboxPatch, Rectangle
from matplotlib.path import Path
from scipy.special import softmax

from paperkit.exhibits import style
from paperkit.exhibits.style import BLUE, GREEN, GREY, INK, ORANGE, PINK, label

MM = 25.4
GROUND = 0.07
WORDS = (("view", "景色"), ("so", "很"), ("lovely", "美"), ("worth", "值得"), ("a visit", "一游"))
_DIVERGING = LinearSegmentedColormap.from_list("paperkit", [BLUE, "#FFFFFF", ORANGE])

Point = tuple[float, float]


def tint(color: str, strength: float) -> tuple[float, float, float]:
    """A colour mixed with white; `strength` 1 is the colour itself."""
    return tuple(1 - strength * (1 - part) for part in to_rgb(color))


@dataclass(frozen=True)
class Box:
    """Where something was drawn, for arrows to meet it."""

    x: float
    y: float
    width: float
    height: float

    def top(self, shift: float = 0) -> Point:
        return self.x + shift, self.y + self.height / 2

    def bottom(self, shift: float = 0) -> Point:
        return self.x + shift, self.y - self.height / 2

    def left(self, shift: float = 0) -> Point:
        return self.x - self.width / 2, self.y + shift

    def right(self, shift: float = 0) -> Point:
        return self.x + self.width / 2, self.y + shift


class Canvas:
    """A blank page of `width` × `height` mm with the few shapes that the diagrams are made of."""

    def __init__(self, width: float, height: float):
        style.apply()
        # Not layout="none": after one save matplotlib would take that for "not set" and apply the default.
        layout = PlaceHolderLayoutEngine(adjust_compatible=True, colorbar_gridspec=True)
        self.figure = Figure(figsize=(width / MM, height / MM), layout=layout)
        self.axes = self.figure.add_axes((0, 0, 1, 1))
        self.axes.set(xlim=(0, width), ylim=(0, height))
        self.axes.axis("off")

    def text(self, x: float, y: float, text: str, size: float = 8, color: str = INK, ha: str = "center", **more):
        """Lines of text around the height `y`, on baselines that do not depend on which letters they hold."""
        lines, unit = text.split("\n"), size / 72 * MM
        for place, line in enumerate(lines):
            baseline = y + ((len(lines) - 1) / 2 - place) * 1.38 * unit - 0.36 * unit
            self.axes.text(x, baseline, line, size=size, color=color, ha=ha, va="baseline", zorder=5, **more)

    def turned(self, x: float, top: float, text: str, size: float = 7, color: str = INK):
        """Text read from below, ending at the height `top`."""
        self.axes.text(x, top, text, size=size, color=color, ha="center", va="top", rotation=90, zorder=5)

    def box(self, x, y, width, height, text="", color=BLUE, size=8, strength=0.16, radius=1.2, line=True) -> Box:
        """A rounded box centred at (x, y)."""
        corner, shape = (x - width / 2, y - height / 2), f"round,pad=0,rounding_size={radius}"
        edge = {"edgecolor": color, "linewidth": 0.9} if line else {"edgecolor": "none"}
        face = tint(color, strength)
        self.axes.add_patch(FancyBboxPatch(corner, width, height, shape, facecolor=face, zorder=3 * line, **edge))
        self.text(x, y, text, size)
        return Box(x, y, width, height)

    def circle(self, x, y, text, color=INK, radius=2.4, size=9) -> Box:
        """An operation: a sign in a circle."""
        self.axes.add_patch(Circle((x, y), radius, facecolor="white", edgecolor=color, linewidth=0.9, zorder=3))
        self.text(x, y, text, size)
        return Box(x, y, 2 * radius, 2 * radius)

    def vector(self, x, y, color=BLUE, count=4, radius=1.15, upright=False) -> Box:
        """A row, or an upright column, of nodes in a capsule: one vector."""
        step, across = 2.6 * radius, 4 * radius
        size = (count * step + 2 * radius, across)
        capsule = self.box(x, y, *(reversed(size) if upright else size), color=color, radius=across / 2.01)
        for place in range(count):
            along = (place - (count - 1) / 2) * step
            centre = (x, y + along) if upright else (x + along, y)
            self.axes.add_patch(Circle(centre, radius, facecolor="white", edgecolor=color, linewidth=0.9, zorder=4))
        return capsule

    def grid(self, x, y, values: np.ndarray, cell=3.4, largest: float | None = None) -> Box:
        """A matrix centred at (x, y), one coloured cell per value: blue below zero, white at it, orange above."""
        rows, columns = values.shape
        largest = largest or np.abs(values).max()
        left, top = x - columns * cell / 2, y + rows * cell / 2
        for (row, column), value in np.ndenumerate(values):
            corner, face = (left + column * cell, top - (row + 1) * cell), _DIVERGING(0.5 + 0.5 * value / largest)
            self.axes.add_patch(Rectangle(corner, cell, cell, facecolor=face, edgecolor=INK, linewidth=0.4, zorder=3))
        return Box(x, y, columns * cell, rows * cell)

    def bar(self, x, bottom, width, height, color=ORANGE):
        """One upright bar of a chart, centred at `x`."""
        corner = (x - width / 2, bottom)
        self.axes.add_patch(Rectangle(corner, width, height, facecolor=color, edgecolor=INK, linewidth=0.4, zorder=3))

    def arrow(self, *points: Point, color=INK, width=0.9, head=True, zorder=2):
        """A line through the points with a head at the last."""
        style = {"arrowstyle": "-|>,head_length=2.6,head_width=1.3" if head else "-", "mutation_scale": 1.6}
        line = {"color": color, "linewidth": width, "joinstyle": "miter", "capstyle": "butt"}
        self.axes.add_patch(FancyArrowPatch(path=Path(points), zorder=zorder, shrinkA=0, shrinkB=0, **style, **line))

    def gap(self, x, y, color="white"):
        """Interrupt the line below (zorder 1) where another one crosses it."""
        self.axes.add_patch(Rectangle((x - 0.7, y - 0.7), 1.4, 1.4, color=color, linewidth=0, zorder=1.5))

    def band(self, top, bottom, number, name, color):
        """One layer of a network: a tinted strip over the whole width with the layer's number and name at its left."""
        width, y = self.axes.get_xlim()[1] - 2, (top + bottom) / 2
        self.box(width / 2 + 1, y, width, top - bottom, color=color, strength=GROUND, radius=2, line=False)
        self.axes.add_patch(Circle((7, y), 3, color=color, zorder=3))
        self.text(7, y, str(number), 9, "white", weight="bold")
        self.text(12, y, name, 8.5, ha="left")


def network() -> Figure:
    """Fig. 1: the words of a review through embedding, Bi-LSTM and attention to the two classes."""
    page, alpha = Canvas(183, 172), example()["alpha"]
    columns = [57 + 20 * t for t in range(len(WORDS))]
    middle, blue = columns[2], tint(BLUE, GROUND)
    page.band(171, 156, 1, label("Input", "输入层"), GREY)
    page.band(154, 140, 2, label("Embedding", "编码层"), PINK)
    page.band(138, 80, 3, label("Bi-LSTM", "双向 LSTM 层"), BLUE)
    page.band(78, 27, 4, label("Attention", "注意力层"), ORANGE)
    page.band(25, 1, 5, label("Output", "输出层"), GREEN)
    for y, english, chinese in ((129, "forward", "前向"), (114, "backward", "后向"), (101, "sum", "逐元素求和")):
        page.text(45, y, label(english, chinese), 7.5, ha="right")

    forward, backward, weights = [], [], []
    for t, (x, words) in enumerate(zip(columns, WORDS, strict=True)):
        word = page.box(x, 163.5, 17, 10, label(*words), GREY)
        embedded, summed = page.vector(x, 147, PINK), page.vector(x, 88, BLUE)
        forward.append(page.box(x - 4, 129, 12, 8, "LSTM", BLUE, 7.5))
        backward.append(page.box(x + 4, 114, 12, 8, "LSTM", BLUE, 7.5, strength=0.35))
        add = page.circle(x, 101, "+", BLUE)
        share = alpha[t] / alpha.max()
        weights.append(page.box(x, 55, 15, 7, rf"$\alpha_{t + 1}={alpha[t]:.2f}$", ORANGE, 7.5, strength=0.6 * share))
        page.arrow(word.bottom(), embedded.top())
        page.arrow(embedded.bottom(-5), forward[t].top(-1))
        page.arrow(embedded.bottom(5), backward[t].top(1))
        page.arrow(forward[t].bottom(-1), (x - 5, 101), add.left())
        page.arrow(backward[t].bottom(1), (x + 5, 101), add.right())
        page.arrow(add.bottom(), summed.top())
        page.arrow(summed.bottom(), (x, 73))
        page.arrow((x, 65), weights[t].top())
        end = (middle + (x - middle) * 0.1, 44)
        page.arrow(weights[t].bottom(), end, color=ORANGE, width=0.5 + 5 * alpha[t], head=False)
    for t in range(len(WORDS) - 1):
        page.arrow(forward[t].right(), forward[t + 1].left(), color=BLUE, zorder=1)
        page.arrow(backward[t + 1].left(), backward[t].right(), color=BLUE, zorder=1)
        page.gap(columns[t] + 5, 129, blue)
        page.gap(columns[t + 1] - 5, 114, blue)

    page.box(middle, 69, 97, 8, r"$M=\tanh(H)$,   $\alpha=\mathrm{softmax}(w^{\mathsf{T}}M)$", ORANGE)
    pooled, sentence = page.vector(middle, 43, ORANGE), page.vector(middle, 32, ORANGE)
    page.arrow(pooled.bottom(), sentence.top())
    page.text(middle + 2, 37.5, "tanh", 7.5, ha="left")
    page.text(middle - 9, 43, "$r$", ha="right")
    page.text(middle - 9, 32, "$h^{*}$", ha="right")
    output = page.box(middle, 18, 50, 7, r"$p=\mathrm{softmax}(W h^{*}+b)$", GREEN)
    page.arrow(sentence.bottom(), output.top())
    for x, words in ((middle - 14, ("negative (0)", "消极")), (middle + 14, ("positive (1)", "积极"))):
        page.arrow(output.bottom(x - middle), page.box(x, 7, 22, 9, label(*words), GREEN, 7.5).top())

    for y, text in (
        (163.5, "word ids\n$(N,T)$"),
        (147, "word2vec\n$(N,T,d)$"),
        (129, "$\\overrightarrow{h}_t$  (1)–(6)\n$(N,T,d)$"),
        (114, "$\\overleftarrow{h}_t$  (1)–(6)\n$(N,T,d)$"),
        (101, r"$h_t=\overrightarrow{h}_t+\overleftarrow{h}_t$  (7)"),
        (88, r"$H$:  $(N,T,d)$"),
        (69, "(8), (9)\n$M$:  $(N,T,d)$"),
        (55, r"$\alpha$:  $(N,T)$"),
        (43, r"$r=H\alpha^{\mathsf{T}}$  (10)" + "\n$(N,d)$"),
        (32, r"$h^{*}=\tanh(r)$  (11)" + "\n$(N,d)$"),
        (18, "$(N,K)$,  $K=2$"),
        (7, "focal loss  (13)"),
    ):
        page.text(151, y, text, 7.5, ha="left")
    return page.figure


def word2vec() -> Figure:
    """Fig. 2: CBOW predicts a word from its neighbours, skip-gram the neighbours from the word."""
    page, rows, middle = Canvas(183, 97), [73, 62, 51, 40, 29], len(WORDS) // 2
    cbow = label("CBOW: a word from its context", "连续词袋模型：由上下文预测词"), label("mean", "求均值")
    skip = label("Skip-gram: a context from its word", "连续跳字模型：由词预测上下文"), label("row of $W$", "查表")
    panels = (
        (1, BLUE, *cbow, r"maximise  $\log\,p(w_t\mid w_{t-2},w_{t-1},w_{t+1},w_{t+2})$"),
        (93, GREEN, *skip, r"maximise  $\Sigma_{j}\,\log\,p(w_{t+j}\mid w_t),\;\; j\in\{{\pm}1,{\pm}2\}$"),
    )
    for left, color, title, operation, objective in panels:
        skipgram = color == GREEN
        page.box(left + 44.5, 48.5, 89, 95, color=color, strength=GROUND, radius=2, line=False)
        page.text(left + 5, 88.5, title, 9, ha="left")
        hidden = page.vector(left + 44.5, rows[middle], color, upright=True, count=5)
        page.text(left + (41 if skipgram else 48), rows[middle] + 13, operation, 7.5)
        for t, (y, words) in enumerate(zip(rows, WORDS, strict=True)):
            offset = t - middle
            source = (offset == 0) == skipgram
            strength = 0.3 if offset == 0 else 0.1
            word = page.box(left + (20.5 if source else 68.5), y, 18, 9, label(*words), color, strength=strength)
            name = f"$w_{{t{offset:+d}}}$" if offset else "$w_t$"
            page.text(left + (10 if source else 79), y, name, 8, ha="right" if source else "left")
            ends = (word.right(), hidden.left(-2.6 * offset)) if source else (hidden.right(-2.6 * offset), word.left())
            page.arrow(*ends)
        for x, name, shape in (
            (20.5, label("one-hot input", "独热输入"), "$V$"),
            (33.2, "$W$", r"$V\times d$"),
            (44.5, label("projection", "投影"), "$d$"),
            (54.8, r"$W^{\prime}$", r"$d\times V$"),
            (68.5, label("softmax output", "归一化输出"), "$V$"),
        ):
            page.text(left + x, 18.5, name, 7.5)
            page.text(left + x, 12.5, shape, 7.5)
        page.text(left + 44.5, 5.5, objective, 8)
    return page.figure


def attention() -> Figure:
    """Fig. 3: equations (8)-(11) on a small example whose every number is computed."""
    page, values, y, cell = Canvas(183, 78), example(), 48, 5.2
    H, w, M, alpha, r, h = (values[name] for name in ("H", "w", "M", "alpha", "r", "h"))
    largest = np.abs(H).max()
    hidden = page.grid(18, y, H, cell, largest)
    squashed = page.grid(60, y, M, cell, largest)
    trained = page.grid(82, y - 20, w[:, None], cell, largest)
    score, multiply = page.circle(82, y, "×"), page.circle(140, y, "×")
    weights = Box(114, y, len(WORDS) * cell, 4 * cell)
    pooled = page.grid(152, y, r[:, None], cell, largest)
    sentence = page.grid(172, y, h[:, None], cell, largest)

    floor = weights.bottom()[1]
    page.arrow((weights.left()[0], floor), (weights.right()[0], floor), head=False)
    for t, weight in enumerate(alpha):
        shift, height = (t - (len(WORDS) - 1) / 2) * cell, weight / alpha.max() * weights.height * 0.8
        page.bar(weights.x + shift, floor, cell * 0.75, height)
        page.text(weights.x + shift, floor + height + 1.8, f"{weight:.2f}"[1:], 6.5)
        for box in (hidden, weights):
            page.turned(box.x + shift, floor - 1.5, label(*WORDS[t], separator=" "))

    steps = (hidden, squashed, score, weights, multiply, pooled, sentence)
    names = (("tanh", "(8)"), ("", ""), ("softmax", "(9)"), ("", ""), ("", ""), ("tanh", "(11)"))
    for (before, after), (above, below) in zip(pairwise(steps), names, strict=True):
        page.arrow(before.right(), after.left())
        centre = (before.right()[0] + after.left()[0]) / 2 - 0.7
        page.text(centre, y + 2.6, above, 7.5)
        page.text(centre, y - 2.8, below, 7.5)
    page.arrow(trained.top(), score.bottom())
    page.arrow(hidden.top(), (hidden.x, 66), (multiply.x, 66), multiply.top())
    page.text(multiply.x + 2.5, 66, r"$r=H\alpha^{\mathsf{T}}$  (10)", ha="left")
    page.text(score.x, y + 6, r"$w^{\mathsf{T}}M$")

    for box, name, shape in (
        (hidden, label("Bi-LSTM output $H$", "双向 LSTM 输出"), r"$d\times T$"),
        (squashed, label("nonlinear $M$", "非线性变换"), r"$d\times T$"),
        (trained, label("trained $w$", "训练参数"), "$d$"),
        (weights, label(r"weights $\alpha$", "注意力权重"), "$T$"),
        (pooled, label("sum $r$", "加权求和"), "$d$"),
        (sentence, label("sentence $h^{*}$", "句子表示"), "$d$"),
    ):
        page.text(box.x, 9.5, name, 7.5)
        page.text(box.x, 3, shape, 7.5)
    scale = page.grid(170, 75, np.linspace(-1, 1, 5)[None], 3)
    page.text(scale.left()[0] - 2, 75, "−")
    page.text(scale.right()[0] + 2, 75, "+")
    return page.figure


def example() -> dict[str, np.ndarray]:
    """Paper B's equations (8)-(11) on a small matrix: H (d, T), w (d,), M (d, T), alpha (T,), r (d,), h (d,)."""
    generator = np.random.default_rng(6)
    H, w = generator.normal(0, 0.8, (4, len(WORDS))), generator.normal(0, 1, 4)
    M = np.tanh(H)
    alpha = softmax(w @ M)
    r = H @ alpha
    return {"H": H, "w": w, "M": M, "alpha": alpha, "r": r, "h": np.tanh(r)}
