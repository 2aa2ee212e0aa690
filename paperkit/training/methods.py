"""What is trained and how long: a model of a table is a set of switches over one loop."""

import math
from dataclasses import dataclass, fields

from paperkit.errors import InputError
from paperkit.terms import MIXUPS, Attack, Consistency, Contrast, accept, within
from paperkit.training.numerics import DTYPES

CLASSIFIERS = ("bilstm", "encoder", "svm", "majority")
SELECT = ("accuracy", "f1_macro", "loss")
HEADS = ("random", "probe")
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
    mixed_branches: float = 0.0
    """Share of the branches of the label tree whose labels are mixed up: a training text of one carries any of its leaves.
    What a hierarchy does that nobody is sure of."""
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
        within("", mixed_branches=(self.mixed_branches, 0, 1))
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
        drawn = self.labelled < 1 or self.undersample or self.noise is not None or self.mixed_branches > 0
        return self.network or drawn

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

    def __post_init__(self):
        accept("", select=(self.select, SELECT), head=(self.head, HEADS), dtype=(self.dtype, (*DTYPES, "auto")))
        counts = {name: (getattr(self, name), 1, math.inf) for name in ("epochs", "batch_size", "views", "threads")}
        within("", clip=(self.clip, 1e-6, math.inf), warmup=(self.warmup, 0, 1), **counts)
