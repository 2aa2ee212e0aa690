"""What is trained and how long: a model of a table is a set of switches over one loop."""

import math
from dataclasses import dataclass, fields, replace

from paperkit.errors import InputError
from paperkit.terms import MIXUPS, Attack, Consistency, Contrast, accept, within

CLASSIFIERS = ("bilstm", "encoder", "svm", "majority")
TERMS = ("consistency", "adversarial", "mixup")
"""What L_UDA is made of beside L_sup."""


@dataclass(frozen=True)
class Method:
    """One model of a table; its name is printed as the paper prints it."""

    name: str
    classifier: str = "bilstm"
    """``"bilstm"`` (paper B), ``"encoder"`` (paper A: a pretrained transformer), or a reference row: ``"svm"`` (TF-IDF +
    linear SVM), ``"majority"`` (the most frequent class)."""
    attention: bool = True
    """Attention over all states, or the last states only."""
    peephole: str = "none"
    """``"none"``, ``"paper"`` (eqs (1)-(6) to the letter) or ``"graves"``; see :class:`~paperkit.models.bilstm.PeepholeLSTM`."""
    gamma: float = 0.0
    """γ of the focal loss; 0 is cross-entropy."""
    alpha: str | float | None = None
    """α of the focal loss: None, ``"inverse"`` (inverse class frequency), or with two classes the weight of class 1."""
    non_core: bool = False
    """Train on the non-core texts as well, which the paper removes."""
    undersample: bool = False
    """Train on as many texts of each class as the smallest one has (the paper's conclusion names 欠采样)."""
    labelled: float = 1.0
    """Share of the training texts of each class whose labels are used, at least one each; which ones, the seed says."""
    noise: float | None = None
    """Share of the labels used that are wrong, where the truth is known: 0 trains on the truth. None leaves them as they
    are."""
    consistency: Consistency | None = None
    """L_cons on unlabelled texts."""
    contrast: Contrast | None = None
    """L_sim on unlabelled texts."""
    adversarial: Attack | None = None
    """L_adv: how the labelled texts are perturbed."""
    adversarial_weight: float = 1.0
    """α_adv."""
    mixup: str = "none"
    """The supervised term on mixtures of two texts, of their ``"embedding"`` or of their ``"sentence"`` representation."""
    mixup_alpha: float = 0.4
    """a of λ ~ Beta(a, a)."""

    def __post_init__(self):
        within(
            "",
            mixup_alpha=(self.mixup_alpha, 1e-3, math.inf),
            adversarial_weight=(self.adversarial_weight, 0, math.inf),
        )
        accept("", classifier=(self.classifier, CLASSIFIERS), mixup=(self.mixup, MIXUPS))
        if self.noise is not None and not 0 <= self.noise < 1:
            raise InputError(f"noise is {self.noise}; accepted is a share from 0, below 1, or nothing")
        if not 0 < self.labelled <= 1:
            raise InputError(f"labelled is {self.labelled}; accepted is a share above 0, up to 1")
        if isinstance(self.alpha, str) and self.alpha != "inverse":
            raise InputError(f"alpha is {self.alpha!r}; accepted are 'inverse', a number from 0 to 1, or nothing")
        unread = {"bilstm": (), "encoder": ("attention", "peephole")}.get(
            self.classifier, ("attention", "peephole", "gamma", "alpha", *TERMS, "contrast")
        )
        unread += TERMS if not self.supervised else ()
        given = [each.name for each in fields(self) if each.name in unread and getattr(self, each.name) != each.default]
        if given:
            alone = "" if self.supervised else " and a contrast of weight 1"
            raise InputError(f"method {self.name!r} sets {', '.join(given)}, which nothing reads with classifier "
                             f"{self.classifier!r}{alone}")  # fmt: skip

    @property
    def seeded(self) -> bool:
        """Whether another seed gives another result; reference rows have one result."""
        return self.network or self.labelled < 1 or self.noise is not None

    @property
    def network(self) -> bool:
        """Whether it is trained by gradient steps, in epochs."""
        return self.classifier in ("bilstm", "encoder")

    @property
    def cost(self) -> float:
        """About how many plain supervised steps one step costs; a pass without gradient is a third."""
        passes = 1.0 if self.supervised else 0.0
        if self.adversarial and self.supervised:
            passes += 1 + (self.adversarial.steps - 1) * 0.7 * (self.adversarial.kind == "pgd")
        if self.consistency and self.supervised:
            passes += self.consistency.ratio * (4 / 3 + 0.7 * (self.consistency.view == "virtual"))
        if self.contrast:
            passes += self.contrast.ratio * (2 + (self.contrast.queue > 0) / 3 + self.contrast.eda_negatives)
        return passes

    @property
    def supervised(self) -> float:
        """w, the share of the loss that rests on the classifier; 0 leaves only sentence embeddings to train."""
        return 1.0 if self.contrast is None else 1.0 - self.contrast.weight


@dataclass(frozen=True)
class Schedule:
    """The training budget, the same for every model of a table."""

    epochs: int = 4
    """Passes over the training texts, at most; the weights of the best one on dev are kept (early stopping)."""
    patience: int = 0
    """Stop after this many epochs without a better one; 0 runs them all."""
    batch_size: int = 64
    """Texts per step."""
    min_steps: int = 0
    """At least so many steps in all: where the texts are few, an epoch goes through them several times."""
    learning_rate: float = 4e-3
    """Peak of AdamW's learning rate: linear warm-up, then linear decay to 0."""
    head_learning_rate: float | None = None
    """The same for the layers that start from random weights on top of a pretrained encoder; as above where None."""
    head: str = "random"
    """How the classifier on top starts: from ``"random"`` weights, or from a linear ``"probe"`` of the encoder's frozen
    representations, see :mod:`paperkit.training.probe`: many classes, few steps."""
    warmup: float = 0.1
    """Share of the steps that warm up."""
    weight_decay: float = 0.01
    """Decoupled weight decay of AdamW."""
    clip: float = 1.0
    """Largest L2 norm of the gradient of one step."""
    dropout: tuple[float, float, float] = (0.3, 0.3, 0.5)
    """On word vectors, LSTM output and sentence representation (Zhou et al. 2016). An encoder uses the last alone, within
    and on its output."""
    select: str = "accuracy"
    """What the best epoch is best at, on dev: ``"accuracy"``, ``"f1_macro"`` or ``"loss"`` (cross-entropy, lowest)."""
    device: str = "cpu"
    """``"cpu"``, ``"cuda"``, or ``"auto"``: a GPU if there is one."""
    dtype: str = "float32"
    """``"float32"``, ``"bfloat16"`` for mixed precision, or ``"auto"``: bfloat16 where the processor computes in it."""
    views: int = 2
    """Versions of each augmented text; epochs take turns."""
    threads: int = 1
    """CPU threads of one run. One makes results independent of how many runs share the machine."""


def paper_b(gamma: float, alpha: str | float | None) -> tuple[Method, ...]:
    """The three models of paper B; same data, seeds and budget."""
    return (
        Method("Bi-LSTM", attention=False),
        Method("Bi-LSTM-Att"),
        Method("Bi-LSTM-Att-Focal", gamma=gamma, alpha=alpha),
    )


def ablations(focal: Method) -> dict[str, tuple[Method, dict[str, str]]]:
    """Variations of the focal model, one thing changed in each: a method, and options of the text."""
    return {
        "as published": (focal, {}),
        "γ = 0 (weighted cross-entropy)": (replace(focal, gamma=0.0), {}),
        "α = none (focusing only)": (replace(focal, alpha=None), {}),
        "non-core reviews kept": (replace(focal, non_core=True), {}),
        "under-sampling 欠采样, cross-entropy": (replace(focal, gamma=0.0, alpha=None, undersample=True), {}),
        "skip-gram vectors": (focal, {"algorithm": "skip-gram"}),
        "literal stop list": (focal, {"stop_words": "literal"}),
        "no stop list": (focal, {"stop_words": "none"}),
    }


BASELINE = Method("Baseline", classifier="encoder")
"""Paper A's Baseline: a pretrained encoder, fine-tuned on the labelled texts alone."""


UDA, ESIMCSE = Consistency(), Contrast()
FGM, PGD = Attack("fgm"), Attack("pgd")
"""The community's settings, paper A's likely ones: ε = 1, three steps of 0.3."""


def paper_a(
    base: Method = BASELINE,
    uda: Consistency = UDA,
    esimcse: Contrast = ESIMCSE,
    fgm: Attack = FGM,
    pgd: Attack = PGD,
) -> tuple[Method, ...]:
    """The ten models of paper A's Table 3, in its order: one method with its terms switched on."""
    semi, similar = {"consistency": uda}, {"contrast": esimcse}
    switches = {
        "Baseline": {},
        "Baseline+PGD": {"adversarial": pgd},
        "Baseline+FGM": {"adversarial": fgm},
        "UDA": semi,
        "Baseline+ESimCSE": similar,
        "UDA+ESimCSE": semi | similar,
        "UDA+PGD": semi | {"adversarial": pgd},
        "UDA+FGM": semi | {"adversarial": fgm},
        "UDA+ESimCSE+FGM": semi | similar | {"adversarial": fgm},
        "UDA+ESimCSE+PGD": semi | similar | {"adversarial": pgd},
    }
    return tuple(replace(base, name=name, **terms) for name, terms in switches.items())


def relatives(base: Method = BASELINE, uda: Consistency = UDA) -> tuple[Method, ...]:
    """The semi-supervised family of paper A §2.2, each a target and a view in UDA's slot, with UDA's own variants.

    Their weights are those of their papers, scaled to losses that are means over classes: MSE is small.
    """
    # what UDA adds is not theirs
    plain = replace(uda, target="current", view="augmentation", tsa="none", temperature=1.0, confidence=0.0)
    large = plain.weight * 10
    fillings = {
        "Pseudo-Label": replace(plain, target="label", view="dropout", divergence="ce", ramp="linear"),
        "Π-Model": replace(plain, target="live", divergence="mse", weight=large, ramp="gaussian"),
        "Temporal Ensembling": replace(
            plain, target="ensemble", divergence="mse", weight=large, ramp="gaussian", average=0.6
        ),
        "Mean Teacher": replace(plain, target="teacher", divergence="mse", weight=large, ramp="gaussian"),
        "VAT": replace(plain, view="virtual"),
        "UDA": uda,
        "UDA, no TSA": replace(uda, tsa="none"),
        "UDA, all of it": uda_full(uda),
        "UDA, cross-entropy": replace(uda, divergence="ce"),
    }
    mixed = (
        replace(base, name="Baseline+mixup", mixup="sentence"),
        replace(base, name="UDA+mixup", mixup="sentence", consistency=uda),
    )
    return *(replace(base, name=name, consistency=filling) for name, filling in fillings.items()), *mixed


def uda_full(uda: Consistency) -> Consistency:
    """UDA with everything that paper A's §2.2 describes and its printed loss leaves out: sharpening, mask, TSA."""
    return replace(uda, target="current", temperature=0.4, confidence=0.8, tsa="linear")


def sentence_encoders(base: Method = BASELINE, esimcse: Contrast = ESIMCSE) -> tuple[Method, ...]:
    """ESimCSE and its relatives, trained without any label."""
    alone = replace(esimcse, weight=1.0)
    kinds = {
        "SimCSE": replace(alone, positive="dropout", queue=0.0),
        "ConSERT": replace(alone, positive="consert", queue=0.0),
        "ESimCSE": alone,
        "ESimCSE, random start": replace(alone, start="random"),
    }
    return tuple(replace(base, name=name, contrast=contrast) for name, contrast in kinds.items())


def references() -> tuple[Method, ...]:
    """Rows beside the models: what is reached without a network, and without reading."""
    return Method("TF-IDF + SVM", classifier="svm"), Method("Majority", classifier="majority")
