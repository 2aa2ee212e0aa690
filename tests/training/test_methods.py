"""Methods as switches: each row of a table is what its name says."""

from dataclasses import asdict, fields, replace

import pytest

from paperkit.errors import InputError
from paperkit.text.prepare import TextOptions
from paperkit.training.methods import Method, ablations, paper_b, references


def differences(one, other) -> set[str]:
    return {name for name, value in asdict(one).items() if name != "name" and value != asdict(other)[name]}


def test_the_three_models_of_the_paper():
    plain, attention, focal = paper_b(2.5, 0.75)
    assert [each.name for each in (plain, attention, focal)] == ["Bi-LSTM", "Bi-LSTM-Att", "Bi-LSTM-Att-Focal"]
    assert differences(plain, attention) == {"attention"} and not plain.attention
    assert differences(attention, focal) == {"gamma", "alpha"}
    assert (attention.gamma, attention.alpha) == (0, None), "cross-entropy"
    assert (focal.gamma, focal.alpha) == (2.5, 0.75)
    assert all(each.seeded and not each.non_core for each in (plain, attention, focal))


def test_the_reference_rows_have_one_result():
    assert [each.classifier for each in references()] == ["svm", "majority"]
    assert not any(each.seeded for each in references())


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
    ],
)
def test_an_unknown_option_is_refused(options, sentence):
    with pytest.raises(InputError, match=sentence):
        Method("mine", **options)
