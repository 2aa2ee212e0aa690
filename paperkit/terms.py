"""The switches of losses and attacks, as data: what a model of a table is made of, readable without torch."""

import math
from dataclasses import dataclass, field

from paperkit.errors import InputError
from paperkit.text.augmentation import Augmentation

KINDS = ("fgm", "pgd", "fgsm", "noise")
SCOPES = ("example", "matrix")
TSA = ("none", "linear", "log", "exp")
DIVERGENCES = ("kl", "ce", "mse")
RAMPS = ("none", "linear", "gaussian")
TARGETS = ("current", "live", "label", "ensemble", "teacher")
VIEWS = ("augmentation", "dropout", "virtual")
POSITIVES = ("repetition", "dropout", "consert")
REPETITIONS = ("repetition", "repetition-one")
STARTS = ("copy", "random")
MIXUPS = ("none", "embedding", "sentence")
NEGATIVES = Augmentation("eda-negative")
"""How paper A's negatives are made."""


def accept(where: str, **given: tuple) -> None:
    """Refuse a value that is not among the accepted: ``name=(value, accepted)``."""
    for name, (value, accepted) in given.items():
        if value not in accepted:
            raise InputError(f"{where}{name} is {value!r}; accepted are {', '.join(map(repr, accepted))}")


def within(where: str, **given: tuple) -> None:
    """Refuse a number outside its range: ``name=(value, lowest, highest)``."""
    for name, (value, low, high) in given.items():
        if not low <= value <= high:
            most = "up" if high == math.inf else f"to {high:g}"
            raise InputError(f"{where}{name} is {value}; accepted is a number from {low:g} {most}")


@dataclass(frozen=True)
class Attack:
    """How embeddings are perturbed, and how far."""

    kind: str = "fgm"
    """``"fgm"``: one step along the gradient; ``"pgd"``: several smaller ones, each projected back into the ball;
    ``"fgsm"``: one step along the gradient's sign, as long as FGM's; ``"noise"``: a random direction, the control."""
    epsilon: float = 1.0
    """Radius of the ball."""
    relative: bool = False
    """Whether ε and step size count in norms of the example's clean embeddings, so that encoders compare."""
    steps: int = 3
    """K, gradients that PGD takes."""
    step_size: float | None = 0.3
    """α of one PGD step. None is 2.5 ε / K, which can reach the border and come back. The community's ε = 1, α = 0.3,
    K = 3 never reach it (K α < ε): that "PGD" has a smaller budget than FGM, and comparing the two compares budgets."""
    scope: str = "example"
    """``"example"``: a norm for each example; ``"matrix"``: the community's, one norm over the batch's embedding matrix."""

    def __post_init__(self):
        accept("attack: ", kind=(self.kind, KINDS), scope=(self.scope, SCOPES))
        if not self.epsilon >= 0 or self.steps < 1 or not (self.step_size is None or self.step_size > 0):
            raise InputError(f"attack: epsilon {self.epsilon}, steps {self.steps}, step_size {self.step_size}; accepted are "
                             "epsilon from 0, steps from 1, step_size above 0 or none")  # fmt: skip
        if self.scope == "matrix" and self.relative:
            raise InputError(
                "attack: a relative epsilon belongs to an example; scope 'matrix' has one norm for the batch"
            )
        if self.scope == "matrix" and self.kind == "noise":
            raise InputError("attack: scope is 'matrix'; 'noise' has no gradient to sum, accepted is 'example'")

    @property
    def stride(self) -> float:
        """Length of one PGD step, in the unit of ε."""
        return 2.5 * self.epsilon / self.steps if self.step_size is None else self.step_size


@dataclass(frozen=True)
class Consistency:
    """The consistency slot, L_cons: a *target* for an unlabelled text, and a *view* of it whose prediction must follow.

    UDA is (current, augmentation, KL). Its semi-supervised relatives are other fillings of the same slot, see
    :func:`relatives`.
    """

    weight: float = 1.0
    """λ_u; paper A sets 1, "as VAT"."""
    ratio: int = 1
    """Unlabelled texts per labelled one in a step; UDA's release has 3, USB 1."""
    pool: float = 1.0
    """Share of the unlabelled texts that is used."""
    even: bool = False
    """Whether that share is drawn as evenly over the classes as the texts allow, by labels that are otherwise hidden: to
    ask what the balance of the pool does, never to reach a better score."""
    target: str = "current"
    """Where the target comes from: ``"current"`` model, without gradient, dropout on as in UDA's release; ``"live"``: the
    same with gradient (Π-Model); ``"label"``: the most probable class of the view itself (Pseudo-Label); ``"ensemble"``:
    moving average of the text's earlier predictions (Temporal Ensembling); ``"teacher"``: a model whose parameters are the
    moving average (Mean Teacher), dropout off."""
    view: str = "augmentation"
    """What is predicted: an ``"augmentation"`` of the text, the text under other ``"dropout"``, or under a ``"virtual"``
    adversarial perturbation (VAT)."""
    augmentation: Augmentation = field(default_factory=Augmentation)
    """How the text is changed where the view is an augmentation."""
    divergence: str = "kl"
    """``"kl"``, ``"ce"`` or ``"mse"``; see :func:`paperkit.losses.divergence`."""
    temperature: float = 1.0
    """T_s of the sharpened target; UDA 0.4. 1 leaves it as it is, and a ``"label"`` is as sharp as can be."""
    confidence: float = 0.0
    """β: a text whose unsharpened target stays below it does not train; UDA 0.8."""
    divisor: str = "batch"
    """What the sum is divided by: all texts of the ``"batch"`` (UDA's release) or the ``"kept"`` ones."""
    entropy: float = 0.0
    """Weight of the entropy of the view's predictions."""
    tsa: str = "linear"
    """Training signal annealing of the *labelled* texts: ``"none"``, ``"linear"``, ``"log"`` or ``"exp"``."""
    ramp: str = "none"
    """How λ_u grows: ``"none"``, ``"linear"`` or ``"gaussian"``; see :func:`paperkit.losses.ramp`."""
    ramp_length: float = 0.4
    """Share of the steps after which it is whole."""
    average: float = 0.99
    """Of moving averages: the share that stays (Mean Teacher 0.99, Temporal Ensembling 0.6)."""
    virtual: Attack = field(default_factory=lambda: Attack(epsilon=0.5, relative=True, steps=1))
    """Radius of VAT's perturbation; ``steps`` are its power iterations."""

    def __post_init__(self):
        accept("consistency: ", target=(self.target, TARGETS), view=(self.view, VIEWS), tsa=(self.tsa, TSA),
                divergence=(self.divergence, DIVERGENCES), divisor=(self.divisor, ("batch", "kept")),
                ramp=(self.ramp, RAMPS))  # fmt: skip
        within("consistency: ", weight=(self.weight, 0, math.inf), ratio=(self.ratio, 1, math.inf),
               pool=(self.pool, 1e-6, 1), entropy=(self.entropy, 0, math.inf), temperature=(self.temperature, 1e-6, math.inf),
               confidence=(self.confidence, 0, 1), ramp_length=(self.ramp_length, 1e-6, 1),
               average=(self.average, 0, 0.999999))  # fmt: skip
        if self.target == "label" and (self.temperature != 1 or self.view == "virtual"):
            raise InputError(f"consistency: target 'label' is the most probable class of the view; temperature "
                             f"{self.temperature:g} and view {self.view!r} were given, accepted are 1, and 'augmentation' or "
                             "'dropout'")  # fmt: skip
        if self.target == "ensemble" and self.view == "virtual":
            raise InputError("consistency: target 'ensemble' is not there at a text's first visit, and view 'virtual' needs a "
                             "target; accepted are 'current', 'live', 'teacher'")  # fmt: skip
        vat = self.virtual
        if vat != Attack(epsilon=vat.epsilon, relative=vat.relative, steps=vat.steps):
            raise InputError(f"consistency: virtual is {vat}; of an attack it has epsilon, relative and steps alone")


@dataclass(frozen=True)
class Contrast:
    """L_sim: contrastive learning on unlabelled texts; the default is ESimCSE (Wu et al. 2022)."""

    weight: float = 0.5
    """1 − w, its share of the loss. With 1 nothing else is trained: sentence embeddings without labels."""
    ratio: int = 1
    """Texts per labelled one in a step."""
    temperature: float = 0.05
    """τ."""
    positive: str = "repetition"
    """What is held to be the same text: word ``"repetition"`` (ESimCSE), other ``"dropout"`` (SimCSE), or token shuffling
    against feature cutoff (``"consert"``, ConSERT's best pair)."""
    augmentation: Augmentation = field(default_factory=lambda: Augmentation("repetition"))
    """Which repetition, and how much: ``"repetition"`` with its dup_rate as ``rate``, or ``"repetition-one"``, a single
    word, as paper A's prose has it."""
    queue: float = 2.5
    """Size of the queue in batches; 0 is none, and no momentum encoder."""
    momentum: float = 0.995
    """m of the momentum encoder."""
    start: str = "copy"
    """How the momentum encoder starts: as an exact ``"copy"``, or ``"random"`` as in the authors' release."""
    eda_negatives: bool = False
    """Paper A's negatives by random insertion, antonyms and random deletion; not in its printed loss."""

    def __post_init__(self):
        accept("contrast: ", positive=(self.positive, POSITIVES), start=(self.start, STARTS))
        accept("contrast: augmentation ", kind=(self.augmentation.kind, REPETITIONS))
        within("contrast: ", weight=(self.weight, 1e-6, 1), ratio=(self.ratio, 1, math.inf), queue=(self.queue, 0, math.inf),
               temperature=(self.temperature, 1e-6, math.inf), momentum=(self.momentum, 0, 1))  # fmt: skip
