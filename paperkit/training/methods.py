"""What is trained and how long: a model of a table is a set of switches over one loop."""

from dataclasses import dataclass, replace

from paperkit.errors import InputError

CLASSIFIERS = ("bilstm", "encoder", "svm", "majority")


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

    def __post_init__(self):
        if self.classifier not in CLASSIFIERS:
            raise InputError(f"classifier is {self.classifier!r}; accepted are {', '.join(map(repr, CLASSIFIERS))}")
        if not 0 < self.labelled <= 1:
            raise InputError(f"labelled is {self.labelled}; accepted is a share above 0, up to 1")
        if isinstance(self.alpha, str) and self.alpha != "inverse":
            raise InputError(f"alpha is {self.alpha!r}; accepted are 'inverse', a number from 0 to 1, or nothing")

    @property
    def seeded(self) -> bool:
        """Whether another seed gives another result; reference rows have one result."""
        return self.network or self.labelled < 1

    @property
    def network(self) -> bool:
        """Whether it is trained by gradient steps, in epochs."""
        return self.classifier in ("bilstm", "encoder")


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


def references() -> tuple[Method, ...]:
    """Rows beside the models: what is reached without a network, and without reading."""
    return Method("TF-IDF + SVM", classifier="svm"), Method("Majority", classifier="majority")
