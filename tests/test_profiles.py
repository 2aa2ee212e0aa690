"""Profiles: every one loads, every wrong setting is refused in one sentence, and what is set arrives."""

from dataclasses import asdict, replace

import pytest

from paperkit import profiles, runs
from paperkit.claims.ledger import MIN_SEEDS
from paperkit.errors import InputError
from paperkit.papers import paper_b
from paperkit.profiles import CHOICES, DATA_KINDS, RANGES, SHORT, load
from paperkit.runs import RunSpec, Source
from paperkit.store import canonical
from paperkit.text.prepare import VOCABULARIES
from paperkit.text.words import STOP_WORDS
from paperkit.training import methods


def refused(overrides, kind="embedded"):
    with pytest.raises(InputError) as caught:
        load("smoke", kind, overrides)
    sentence = str(caught.value)
    assert "\n" not in sentence
    return sentence


def test_there_are_exactly_three():
    assert profiles.names() == ("smoke", "cpu", "gpu")


@pytest.mark.parametrize("kind", DATA_KINDS)
@pytest.mark.parametrize("name", profiles.names())
def test_every_profile_loads_for_every_kind_of_data(name, kind):
    profile = load(name, kind)
    assert profile.name == name and profile.seeds >= 2 and profile.ablation_seeds >= 2
    for schedule in (profile.schedule, profile.finetune):
        assert {type(value) for value in asdict(schedule).values()} <= {int, float, str, tuple, type(None)}
    assert profile == load(name, kind, {})


def test_every_profile_keeps_the_promises_of_the_documents():
    assert load("smoke").seeds == 2
    assert 2 <= load("cpu").seeds <= 3 and load("gpu").seeds >= 5
    assert load("cpu", "public").seeds >= 10 and load("gpu", "public").seeds >= 10
    assert load("gpu").reviews == 24190
    full = load("gpu", "public")
    assert min(full.large_seeds, full.ablation_seeds, full.curve_seeds, full.encoder_seeds) >= MIN_SEEDS


def test_a_variant_for_one_kind_of_data_changes_what_it_names_and_nothing_else():
    plain, public = load("smoke"), load("smoke", "public")
    assert public.schedule.epochs == 1 != plain.schedule.epochs
    assert profiles.override(public, {"epochs": plain.schedule.epochs}, "here") == plain


@pytest.mark.parametrize(
    ("overrides", "where"),
    [
        ({"gamma": 3.5}, lambda p: p.gamma == 3.5),
        ({"alpha": None}, lambda p: p.alpha is None),
        ({"alpha": "none"}, lambda p: p.alpha is None),
        ({"alpha": 0.25}, lambda p: p.alpha == 0.25),
        ({"stop_words": "none"}, lambda p: p.text.stop_words == "none"),
        ({"vector_size": 7}, lambda p: p.text.vector_size == 7),
        ({"epochs": 9}, lambda p: p.schedule.epochs == 9),
        ({"dropout": [0, 0.5, 0]}, lambda p: p.schedule.dropout == (0.0, 0.5, 0.0)),
        ({"schedule.epochs": 9}, lambda p: p.schedule.epochs == 9),
        ({"dtype": "bfloat16", "seeds": 4}, lambda p: (p.schedule.dtype, p.seeds) == ("bfloat16", 4)),
    ],
)
def test_an_override_reaches_its_place_and_no_other(overrides, where):
    plain, changed = load("smoke"), load("smoke", overrides=overrides)
    assert where(changed)
    back = {name: value for part in (plain, plain.text, plain.schedule) for name, value in vars(part).items()}
    back |= {f"schedule.{name}": value for name, value in vars(plain.schedule).items()}
    assert profiles.override(changed, {name: back[name] for name in overrides}, "here") == plain


def test_settings_of_paper_a_are_named_with_their_part():
    plain = load("smoke")
    changed = load("smoke", overrides={"finetune.epochs": 9, "tokens.max_length": 33, "backbone_en": "tiny"})
    assert (changed.finetune.epochs, changed.tokens.max_length, changed.backbone_en) == (9, 33, "tiny")
    assert (
        changed.schedule == plain.schedule and changed.text == plain.text and changed.backbone_zh == plain.backbone_zh
    )
    assert "sets 'tokens.backbone', which is no setting" in refused({"tokens.backbone": "tiny"})


@pytest.mark.parametrize(("name", "whole"), [("gamma", 3), ("learning_rate", 1), ("warmup", 0), ("alpha", 1)])
def test_a_whole_number_stands_for_a_fraction_and_names_the_same_run(name, whole, tiny, monkeypatch):
    monkeypatch.setattr(runs, "_load", lambda source: tiny)
    profiles_ = [load("smoke", overrides={name: value}) for value in (whole, float(whole))]
    assert profiles_[0] == profiles_[1]
    identities = [
        canonical(RunSpec(Source("tiny"), "ctrip", paper_b(p.gamma, p.alpha)[-1], p.text, p.schedule, 0).identity)
        for p in profiles_
    ]
    assert identities[0] == identities[1]


def test_an_unknown_profile_is_refused():
    with pytest.raises(InputError) as caught:
        load("big")
    assert str(caught.value) == "profile is 'big'; accepted are 'smoke', 'cpu', 'gpu'"


def test_an_unknown_setting_is_refused_and_the_sentence_lists_all_there_are():
    sentence = refused({"epoch": 3})
    assert sentence.startswith("an override sets 'epoch', which is no setting; accepted are ")
    listed = set(sentence.rpartition("accepted are ")[2].split(", "))
    paths = set(profiles.settings())
    named_alone = {path.partition(".")[2] for path in paths if path.partition(".")[0] in SHORT}
    assert listed == named_alone | {path for path in paths if path.partition(".")[0] not in SHORT}
    assert {
        "seeds",
        "epochs",
        "finetune.epochs",
        "uda.augmentation.kind",
        "uda.virtual.epsilon",
        "fgm.relative",
    } <= listed


@pytest.mark.parametrize("name", ["name", "text", "schedule", "uda", "uda.augmentation"])
def test_what_holds_settings_is_no_setting(name):
    assert f"sets '{name}', which is no setting" in refused({name: "x"})


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        ({"epochs": "5"}, "an override sets epochs to '5', of type str; accepted is int"),
        ({"epochs": 5.0}, "an override sets epochs to 5.0, of type float; accepted is int"),
        ({"epochs": True}, "an override sets epochs to True, of type bool; accepted is int"),
        ({"seeds": None}, "an override sets seeds to None, of type NoneType; accepted is int"),
        ({"gamma": True}, "an override sets gamma to True, of type bool; accepted is float"),
        ({"gamma": "two"}, "an override sets gamma to 'two', of type str; accepted is float"),
        ({"alpha": [1]}, "an override sets alpha to [1], of type list; accepted is str or float or nothing"),
        ({"select": 1}, "an override sets select to 1, of type int; accepted is str"),
        ({"dropout": 0.3}, "an override sets dropout to 0.3; accepted is a list of 3 numbers"),
        ({"dropout": [0.3, 0.3]}, "an override sets dropout to [0.3, 0.3]; accepted is a list of 3 numbers"),
        ({"dropout": [0, 0, True]}, "an override sets dropout to [0, 0, True]; accepted is a list of 3 numbers"),
        ({"dropout": [0, 0, "0"]}, "an override sets dropout to [0, 0, '0']; accepted is a list of 3 numbers"),
        ({"dropout": [0, 0, 1]}, "an override sets dropout to (0.0, 0.0, 1.0); accepted is a number from 0 to 0.99"),
        ({"seeds": 0}, "an override sets seeds to 0; accepted is a number from 1 up"),
        ({"epochs": 0}, "an override sets epochs to 0; accepted is a number from 1 up"),
        ({"batch_size": -1}, "an override sets batch_size to -1; accepted is a number from 1 up"),
        ({"window": 0}, "an override sets window to 0; accepted is a number from 1 up"),
        ({"gamma": -1}, "an override sets gamma to -1.0; accepted is a number from 0 up"),
        ({"gamma": float("nan")}, "an override sets gamma to nan; accepted is a number from 0 up"),
        ({"learning_rate": float("inf")}, "an override sets learning_rate to inf; accepted is a number from 0 up"),
        ({"alpha": 1.5}, "an override sets alpha to 1.5; accepted is 'inverse' or a number from 0 to 1"),
        ({"alpha": "half"}, "an override sets alpha to 'half'; accepted is 'inverse' or a number from 0 to 1"),
        ({"warmup": 2}, "an override sets warmup to 2.0; accepted is a number from 0 to 1"),
        ({"device": "tpu"}, "an override sets device to 'tpu'; accepted is 'cpu' or 'cuda' or 'auto'"),
        ({"dtype": "float16"}, "an override sets dtype to 'float16'; accepted is 'float32' or 'bfloat16' or 'auto'"),
    ],
    ids=str,
)
def test_a_wrong_value_is_refused(overrides, sentence):
    assert refused(overrides) == sentence


def test_a_wrong_file_is_refused_by_the_name_of_its_table(monkeypatch):
    monkeypatch.setattr(profiles, "_read", lambda: {"smoke": {"public": {"schedule": {"epochs": 0}}}})
    assert load("smoke").schedule.epochs > 0
    with pytest.raises(InputError, match=r"^profiles\.toml \[smoke\.public\] sets schedule\.epochs to 0; accepted is"):
        load("smoke", "public")


def test_what_is_accepted_here_is_what_is_accepted_where_it_is_used():
    assert set(CHOICES["stop_words"]) == set(STOP_WORDS)
    assert set(CHOICES["vocabulary"]) == set(VOCABULARIES)
    assert set(CHOICES["select"]) == set(methods.SELECT)
    assert set(CHOICES["head"]) == set(methods.HEADS)
    known = {path.rpartition(".")[2] for path in profiles.settings()}
    # any folder or name; found or refused when the runs are planned
    free = {"backbone_en", "backbone_zh", "lexicon", "paraphrases", "forward", "backward"}
    # checked by what they are a part of, whose kinds differ
    free |= {"kind", "rate", "beams", "relative", "eda_negatives", "even"}
    ranges = {name.rpartition(".")[2] for name in RANGES}
    assert {*CHOICES, *ranges} == known - free, "every setting has a range or a list of choices"


@pytest.mark.parametrize(
    ("overrides", "part"),
    [({"uda.augmentation.kind": "eda"}, "uda"), ({"esimcse.weight": 0.3, "esimcse.queue": 0}, "esimcse"),
     ({"fgm.epsilon": 0.1, "fgm.relative": True}, "fgm"), ({"pgd.step_size": "none"}, "pgd")],
)  # fmt: skip
def test_terms_of_the_loss_are_set_by_their_path(overrides, part):
    plain, changed = load("smoke"), load("smoke", overrides=overrides)
    assert replace(changed, **{part: getattr(plain, part)}) == plain != changed
    for path, value in overrides.items():
        found = changed
        for name in path.split("."):
            found = getattr(found, name)
        assert found == (None if value == "none" else value)


def test_what_is_right_only_together_is_set_together():
    both = {"uda.augmentation.kind": "back-translation", "uda.augmentation.paraphrases": "p.tsv"}
    assert load("smoke", overrides=both).uda.augmentation.paraphrases == "p.tsv"
    assert "back-translation needs either" in refused({"uda.augmentation.kind": "back-translation"})
    assert "augmentation is 'cw'; accepted are 'tfidf'" in refused({"uda.augmentation.kind": "cw"})


def test_the_temperature_of_a_translation_may_be_zero():
    greedy = {"uda.augmentation.temperature": 0}
    assert load("smoke", overrides=greedy).uda.augmentation.temperature == 0
    assert "accepted is a number from 1e-06 up" in refused({"uda.temperature": 0})


@pytest.mark.parametrize("name", profiles.FIXED)
def test_what_nothing_would_read_is_no_setting(name):
    assert f"sets '{name}', which is no setting" in refused({name: 1})
