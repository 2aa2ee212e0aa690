"""Paper A's Fig. 1, drawn by code: three streams of texts through one encoder to four losses and their sum."""

from matplotlib.figure import Figure

from paperkit.exhibits.diagrams import GROUND, Canvas
from paperkit.exhibits.style import BLUE, GREEN, GREY, INK, ORANGE, PINK, RED, label


def framework() -> Figure:
    """Fig. 1: labelled texts, unlabelled texts of UDA and unlabelled texts of ESimCSE, clean and changed.

    Symbols are those of :mod:`paperkit.training.objective`: L = w (L_sup + λ_u L_cons + α_adv L_adv) + (1 − w) L_sim.
    """
    page = Canvas(183, 132)
    bands = ((131, 90, BLUE, "labelled texts", "有标注文本"), (88, 52, GREEN, "unlabelled texts: UDA", "无标注文本：UDA"),
             (50, 1, ORANGE, "unlabelled texts: ESimCSE", "无标注文本：ESimCSE"))  # fmt: skip
    for top, bottom, color, english, chinese in bands:
        page.box(75.5, (top + bottom) / 2, 149, top - bottom, color=color, strength=GROUND, radius=2, line=False)
        page.text(3.5, top - 4, label(english, chinese, "  "), 8, ha="left")

    page.box(87, 75.25, 20, 104.5, color=GREY, strength=0.25)
    page.text(87, 94.5, label("shared\nencoder", "共享编码器") + "\n$f_\\theta$", 8)

    x = page.box(20, 116, 32, 10, label("text $x$, label $y$", "文本与标签"), BLUE, 7.5)
    perturbed = page.box(56, 98, 29, 10, label(r"embedding $+\,\Delta x$", "对抗扰动"), RED, 7.5)
    unlabelled = page.box(20, 76, 32, 10, label("text $x_u$", "文本"), GREEN, 7.5)
    augmented = page.box(56, 60, 29, 10, label(r"augmented $\hat{x}_u$", "数据增强"), GREEN, 7.5)
    similar = page.box(20, 38, 32, 10, label("text $x_i$", "文本"), ORANGE, 7.5)
    repeated = page.box(56, 26.5, 29, 10, label("words repeated $x_i^{+}$", "词重复"), ORANGE, 7.5)
    momentum = page.box(87, 9, 26, 10, label(r"momentum $\theta_m$", "动量编码器"), PINK, 7.5)
    queue = page.box(119, 9, 28, 10, label("queue $k_q$", "队列"), PINK, 7.5)

    out = {}
    for name, y, text, color in (
        ("clean", 116, r"$p_\theta(y\mid x)$", BLUE),
        ("adversarial", 98, r"$p_\theta(y\mid x+\Delta x)$", RED),
        ("target", 76, "$p_{\\tilde\\theta}(y\\mid x_u)$\n" + label("no gradient", "停止梯度", " "), GREEN),
        ("view", 60, r"$p_\theta(y\mid \hat{x}_u)$", GREEN),
        ("anchor", 38, label("projected $h_i$", "投影向量"), ORANGE),
        ("positive", 26.5, label("projected $h_i^{+}$", "投影向量"), ORANGE),
    ):
        out[name] = page.box(119, y, 28, 9, text, color, 7.5, strength=0.05)
        page.arrow((97, y), out[name].left())

    def loss(y: float, name: str, kind: str, color: str):
        return page.box(142.5, y, 14, 11, f"{name}\n{kind}", color, 7.5, strength=0.35)

    sup, adv = loss(116, r"$L_{\mathrm{sup}}$", "CE", BLUE), loss(98, r"$L_{\mathrm{adv}}$", "CE", RED)
    cons, sim = loss(68, r"$L_{\mathrm{cons}}$", "KL", GREEN), loss(26.5, r"$L_{\mathrm{sim}}$", "InfoNCE", ORANGE)
    for box in (x, unlabelled, similar):
        page.arrow(box.right(), (77, box.y))
    for box, other in ((x, perturbed), (unlabelled, augmented)):
        page.arrow(box.bottom(), (box.x, other.y), other.left())
    page.arrow(similar.bottom(4), (similar.x + 4, repeated.y), repeated.left())
    page.arrow(similar.bottom(-4), (similar.x - 4, momentum.y), momentum.left())
    for box in (perturbed, augmented, repeated):
        page.arrow(box.right(), (77, box.y))
    page.arrow(momentum.right(), queue.left())
    page.arrow((87, 23), momentum.top())
    page.text(89, 18.9, label(r"after each step: $m\,\theta_m+(1-m)\,\theta$", "每步之后"), 7, ha="left")

    page.arrow(out["clean"].right(), sup.left())
    page.arrow(out["adversarial"].right(), adv.left())
    page.arrow(out["target"].right(), (cons.x, out["target"].y), cons.top())
    page.arrow(out["view"].right(), (cons.x, out["view"].y), cons.bottom())
    page.arrow(out["anchor"].right(), (sim.x, out["anchor"].y), sim.top())
    page.arrow(out["positive"].right(), sim.left())
    page.arrow(queue.right(), (sim.x, queue.y), sim.bottom())
    # the gradient goes back to the embedding: behind the encoder, which it passes through
    page.arrow(sup.bottom(), (sup.x, 107), (perturbed.x, 107), perturbed.top(), color=RED, zorder=1.6)
    page.text(56, 109.5, label("gradient: FGM, PGD", "梯度", " "), 7, RED)

    uda = page.box(170, 98, 22, 13, "$L_{\\mathrm{UDA}}$\n" + label("weighted sum", "加权和"), INK, 7.5, strength=0.08)
    total = page.box(170, 47, 22, 13, "$L$\n" + label("total loss", "总损失"), INK, 7.5, strength=0.2)
    page.arrow(sup.right(), (uda.x, sup.y), uda.top())
    page.arrow(adv.right(), uda.left())
    page.arrow(cons.right(), (uda.x - 6, cons.y), uda.bottom(-6))
    page.arrow(uda.bottom(4), total.top(4))
    page.arrow(sim.right(), (total.x, sim.y), total.bottom())
    for where, weight in (((154.3, 100.5), r"$\alpha_{\mathrm{adv}}$"), ((154.3, 70.5), r"$\lambda_u$"),
                          ((177, 73), "$w$"), ((158, 29), "$1-w$")):  # fmt: skip
        page.text(*where, weight, 7.5)
    page.text(170, 126, r"$L=w\,L_{\mathrm{UDA}}$", 7)
    page.text(170, 122.5, r"$\;+\,(1-w)\,L_{\mathrm{sim}}$", 7)
    return page.figure
