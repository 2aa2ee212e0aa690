"""Methods as switches: each row of a table is what its name says."""

from dataclasses import asdict, fields, replace

import pytest

from paperkit.errors import InputError
from paperkit.papers import (
    ESIMCSE,
    FGM,
    MAJORITY,
    PGD,
    SVM,
    UDA,
    ablations,
    paper_a,
    paper_b,
    relatives,
    sentence_encoders,
    uda_full,
    variants,
)
from paperkit.terms import Attack, Consistency, Contrast
from paperkit.text.augment import Augmentation
from paperkit.text.prepare import TextOptions
from paperkit.training.methods import Method


def differences(one, other) -> set[str]:
    return {name for name, value in asdict(one).items() if name != "name" and value != asdict(other)[name]}


def test_wrong_labels_are_drawn_so_a_reference_row_with_some_has_seeds():
    assert (
        replace(SVM, noise=0.2).seeded and replace(SVM, labelled=0.5).seeded and replace(SVM, mixed_branches=0.5).seeded
    )


def test_each_term_costs_the_passes_that_it_takes():
    plain, *_, final = paper_a()
    costs = {method.name: method.cost for method in paper_a()}
    assert plain.cost == 1
    assert costs["Baseline+FGM"] == 2, "another pass, at the perturbed embeddings"
    assert costs["Baseline+PGD"] == pytest.approx(2 + 2 * 0.7), "two more gradients of the embeddings alone"
    assert costs["UDA"] == pytest.approx(1 + UDA.ratio * 4 / 3), (
        "one pass with gradient of each unlabelled text, one without"
    )
    assert final.cost == max(costs.values())
    longer = replace(final, contrast=replace(ESIMCSE, eda_negatives=True))
    assert longer.cost == pytest.approx(final.cost + ESIMCSE.ratio)


def test_the_three_models_of_the_paper():
    plain, attention, focal = paper_b(2.5, 0.75)
    assert [each.name for each in (plain, attention, focal)] == ["Bi-LSTM", "Bi-LSTM-Att", "Bi-LSTM-Att-Focal"]
    assert differences(plain, attention) == {"attention"} and not plain.attention
    assert differences(attention, focal) == {"gamma", "alpha"}
    assert (attention.gamma, attention.alpha) == (0, None), "cross-entropy"
    assert (focal.gamma, focal.alpha) == (2.5, 0.75)
    assert all(each.seeded and not each.non_core for each in (plain, attention, focal))


def test_the_reference_rows_have_one_result():
    assert (SVM.classifier, MAJORITY.classifier) == ("svm", "majority")
    assert not SVM.seeded and not MAJORITY.seeded


def test_an_ablation_changes_what_it_names():
    focal = paper_b(2.0, "inverse")[-1]
    rows = ablations(focal)
    assert {name: differences(method, focal) | set(text) for name, (method, text) in rows.items()} == {
        "as published": set(),
        "γ = 0 (weighted cross-entropy)": {"gamma"},
        "α = none (focusing only)": {"alpha"},
        "non-core reviews kept": {"non_core"},
        "under-sampling 欠采样, cross-entropy": {"gamma", "alpha", "undersample"},
        "skip-gram vectors": {"algorithm"},
        "literal stop list": {"stop_words"},
        "no stop list": {"stop_words"},
    }
    known = {field.name for field in fields(TextOptions)}
    for method, text in rows.values():
        assert set(text) <= known
        assert bool(text) == (replace(TextOptions(), **text) != TextOptions())
        assert method.seeded


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"classifier": "bert"}, r"^classifier is 'bert'; accepted are 'bilstm', 'encoder', 'svm', 'majority'$"),
        ({"alpha": "balanced"}, r"^alpha is 'balanced'; accepted are 'inverse', a number from 0 to 1, or nothing$"),
        ({"mixup": "word"}, r"^mixup is 'word'; accepted are 'none', 'embedding', 'sentence'$"),
        ({"mixup_alpha": 0}, r"^mixup_alpha is 0; accepted is a number from 0.001 up$"),
        ({"adversarial_weight": -1}, r"^adversarial_weight is -1; accepted is a number from 0 up$"),
    ],
)
def test_an_unknown_option_is_refused(options, sentence):
    with pytest.raises(InputError, match=sentence):
        Method("mine", **options)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"classifier": "svm", "adversarial": Attack()}, "sets adversarial, which nothing reads with classifier 'svm'"),
        ({"classifier": "majority", "gamma": 2.0, "contrast": Contrast()}, "sets gamma, contrast, which nothing reads with "
         "classifier 'majority'"),
        ({"classifier": "encoder", "peephole": "graves"}, "sets peephole, which nothing reads with classifier 'encoder'"),
        ({"contrast": Contrast(weight=1), "mixup": "sentence", "consistency": UDA}, "sets consistency, mixup, which nothing "
         "reads with classifier 'bilstm' and a contrast of weight 1"),
    ],
)  # fmt: skip
def test_a_switch_that_nothing_reads_is_refused(options, sentence):
    with pytest.raises(InputError, match=f"^method 'mine' {sentence}$"):
        Method("mine", **options)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: Attack("cw"), r"^attack: kind is 'cw'; accepted are "),
        (lambda: Attack("noise", scope="matrix"), r"^attack: scope is 'matrix'; 'noise' has no gradient"),
        (lambda: Consistency(target="label", temperature=0.4), r"^consistency: target 'label' .* temperature 0.4 and view "),
        (lambda: Consistency(target="label", view="virtual"), r"^consistency: target 'label' .* view 'virtual' were given"),
        (lambda: Consistency(target="ensemble", average=1), r"^consistency: average is 1; accepted is a number from 0 to "),
        (lambda: Consistency(virtual=Attack("pgd")), r"^consistency: virtual is .*; of an attack it has epsilon, relative"),
        (lambda: Consistency(virtual=Attack(step_size=None)), r"^consistency: virtual is "),
        (lambda: Consistency(virtual=Attack(scope="matrix")), r"^consistency: virtual is "),
        (lambda: Contrast(augmentation=Augmentation("tfidf")), r"^contrast: augmentation kind is 'tfidf'; accepted are "
         r"'repetition', 'repetition-one'$"),
    ],
)  # fmt: skip
def test_an_option_that_would_be_ignored_is_refused(make, sentence):
    with pytest.raises(InputError, match=sentence):
        make()


def test_the_ten_models_are_their_names():
    for method in paper_a():
        has = (method.consistency, method.contrast, method.adversarial)
        assert [each is not None for each in has] == [
            "UDA" in method.name, "ESimCSE" in method.name, method.name.endswith(("FGM", "PGD"))]  # fmt: skip
        assert not method.adversarial or method.adversarial.kind.upper() == method.name.rpartition("+")[2]
        assert method.mixup == "none" and method.supervised == (0.5 if method.contrast else 1)


def test_relatives_of_uda_have_none_of_what_uda_adds():
    fillings = {method.name: method.consistency for method in relatives(uda=uda_full(replace(UDA, target="ensemble")))}
    for name in ("Pseudo-Label", "Π-Model", "Temporal Ensembling", "Mean Teacher", "VAT"):
        filling = fillings[name]
        assert (filling.temperature, filling.confidence, filling.tsa) == (1, 0, "none")
    assert fillings["UDA, no TSA"] == replace(fillings["UDA"], tsa="none")
    fillings = {method.name: method.consistency for method in relatives(uda=replace(UDA, tsa="none"))}
    assert fillings["UDA, linear TSA"] == UDA and fillings["UDA"].tsa == "none" and "UDA, no TSA" not in fillings
    assert fillings["VAT"].target == fillings["UDA, all of it"].target == "current"
    for target in ("label", "ensemble", "teacher", "live"):
        relatives(uda=replace(UDA, target=target))
    relatives(uda=replace(UDA, view="virtual"))


def test_a_variant_changes_one_setting_of_its_plain_member():
    ten, every = {method.name: method for method in paper_a()}, variants()
    assert (
        set(every) == {"UDA", "Baseline+ESimCSE", "Baseline+FGM", "Baseline+PGD"}
        and sum(map(len, every.values())) == 19
    )
    for plain, changed in every.items():
        (slot,) = differences(ten[plain], ten["Baseline"])
        for method in changed:
            assert method.name.startswith(f"{plain}, ") and differences(method, ten[plain]) == {slot}
            assert len(differences(getattr(method, slot), getattr(ten[plain], slot))) == 1, method.name
    assert len({method.name for changed in every.values() for method in changed}) == 19


def test_a_variant_that_is_the_plain_member_or_does_not_go_with_it_is_left_out():
    def names(every) -> set[str]:
        return {method.name.partition(", ")[2] for changed in every.values() for method in changed}

    given = variants(uda=replace(UDA, tsa="none", target="label"), esimcse=replace(ESIMCSE, positive="dropout", queue=0.0),
                     fgm=replace(FGM, relative=True), pgd=replace(PGD, relative=True, step_size=None))  # fmt: skip
    assert names(variants()) - names(given) == {
        "no TSA",
        "T_s = 0.4",
        "dup_rate = 0.1",
        "no queue",
        "matrix",
        "equal budget",
    }
    assert names(given) - names(variants()) == {"linear TSA"}
    other = replace(ESIMCSE, augmentation=Augmentation("repetition-one"))
    assert names(variants()) - names(variants(esimcse=other)) == {"dup_rate = 0.1"}, (
        "which this repetition does not have"
    )


def test_sentence_encoders_train_nothing_else():
    assert all(not method.supervised and not method.consistency for method in sentence_encoders())
