"""The models of both papers and ours beside them, by name: every row of a table is one :class:`Method`.

They stand apart from the code that trains them: a row more must not make anyone train the others again.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from paperkit.errors import InputError
from paperkit.terms import Attack, Consistency, Contrast
from paperkit.training.methods import Method


def paper_b(gamma: float, alpha: str | float | None) -> tuple[Method, ...]:
    """The three models of paper B; same data, seeds and budget."""
    return (
        Method("Bi-LSTM", attention=False),
        Method("Bi-LSTM-Att"),
        Method("Bi-LSTM-Att-Focal", gamma=gamma, alpha=alpha),
    )


ALPHAS = ("inverse", None, 0.25, 0.75)
"""α over which the surface of the focal loss is drawn: that of the data, none, and two that take no look at them; these are
weights of class 1, so only two classes know them. Lin et al.'s is .25."""


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


WHOLE = "UDA+ESimCSE+PGD"
"""Paper A's final model: the one with all its terms."""
FAMILIES = ("Baseline", "UDA", "UDA+ESimCSE")
"""Models of its Table 3 that stand there without and with each attack."""


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

    They take UDA's weight, ten times as much where the divergence is MSE, which as a mean over classes is small.
    """
    other = "linear" if uda.tsa == "none" else "none"
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
        "UDA, no TSA" if other == "none" else f"UDA, {other} TSA": replace(uda, tsa=other),
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


def variants(base: Method = BASELINE, uda: Consistency = UDA, esimcse: Contrast = ESIMCSE, fgm: Attack = FGM,
             pgd: Attack = PGD) -> dict[str, tuple[Method, ...]]:  # fmt: skip
    """Paper A's hyper-parameters, most of which it does not state, one at a time: the plain member of a family to its
    variants. What equals the plain member, or does not go with its other settings, is left out."""

    def repeated(rate: float) -> dict[str, Any]:
        known = esimcse.positive == esimcse.augmentation.kind == "repetition"
        return {"augmentation": replace(esimcse.augmentation, rate=rate)} if known else {}

    families = {
        "UDA": ("consistency", uda, {
            "λ_u = 0.3": {"weight": 0.3}, "λ_u = 1": {"weight": 1.0}, "λ_u = 3": {"weight": 3.0}, "no TSA": {"tsa": "none"},
            "linear TSA": {"tsa": "linear"}, "exp TSA": {"tsa": "exp"}, "T_s = 0.4": {"temperature": 0.4},
            "β = 0.8": {"confidence": 0.8}, "ratio 3": {"ratio": 3}, "cross-entropy": {"divergence": "ce"}}),
        "Baseline+ESimCSE": ("contrast", esimcse, {
            "1 − w = 0.1": {"weight": 0.1}, "1 − w = 0.5": {"weight": 0.5}, "τ = 0.05": {"temperature": 0.05},
            "τ = 0.1": {"temperature": 0.1}, "no queue": {"queue": 0.0},
            "m = 0.9": {"momentum": 0.9}, "dup_rate = 0.1": repeated(0.1), "EDA negatives": {"eda_negatives": True}}),
        "Baseline+FGM": ("adversarial", fgm, {
            "ε / 2": {"epsilon": fgm.epsilon / 2}, "2 ε": {"epsilon": fgm.epsilon * 2}, "ε = 1": {"epsilon": 1.0},
            "matrix": {"scope": "matrix"}}),
        "Baseline+PGD": ("adversarial", pgd, {"K = 5": {"steps": 5}, "equal budget": budget_of(fgm)}),
    }  # fmt: skip
    return {plain: tuple(_changed(base, plain, *family)) for plain, family in families.items()}


EQUAL_BUDGET = "Baseline+PGD, equal budget"


def budget_of(fgm: Attack) -> dict[str, Any]:
    """What to change in PGD so that it may go as far as FGM goes, and come back."""
    return {"epsilon": fgm.epsilon, "relative": fgm.relative, "step_size": None}


def _changed(base: Method, plain: str, slot: str, term: Any, changes: dict[str, dict[str, Any]]) -> Iterator[Method]:
    for name, change in changes.items():
        try:
            changed = replace(term, **change)
        except InputError:
            continue
        if changed != term:
            yield replace(base, name=f"{plain}, {name}", **{slot: changed})


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


SVM = Method("TF-IDF + SVM", classifier="svm")
"""What is reached without a network."""
SVM_CUT = f"{SVM.name} (cut)"
"""Name of the same where it reads no more of a text than the encoder beside it."""
MAJORITY = Method("Majority", classifier="majority")
"""What is reached without reading."""
