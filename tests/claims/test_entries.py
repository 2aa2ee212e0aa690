"""claims.yml: every claim of the papers is there, and a fault in the file costs one sentence."""

import copy
import re

import pytest
import yaml

from paperkit.claims import claims, groups
from paperkit.claims.entries import FILE, LANGUAGES, load
from paperkit.claims.words import sentence, threshold, title
from paperkit.errors import InputError

PARTS = {
    "B1": 16, "B2": 4, "B3": 3, "B4": 4, "B5": 3, "B6": 2, "A1": 3, "A2": 3, "A3": 3, "A4": 5, "A5": 4, "A6": 4, "A7": 4,
    "A8": 6, "A9": 8, "A10": 1, "A11": 4, "A12": 1, "A13": 1,
}  # fmt: skip
"""One row per metric, rival and protocol (B1); per corpus (A6 to A9): what EXHIBITS asks for, counted."""
TREE = yaml.load(FILE.read_text(encoding="utf-8"), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
LETTERS = [
    "B3a",
    "B3b",
    "B3c",
    "B5a",
    "B5b",
    "B5c",
    "A1a",
    "A1b",
    "A1c",
    "A2a",
    "A2b",
    "A2c",
    "A3a",
    "A3b",
    "A3c",
    "A4a",
]


def test_every_claim_and_every_part_is_there():
    assert {name: sum(claim.group == name for claim in claims()) for name in groups()} == PARTS
    ids = {claim.id for claim in claims()}
    assert set(LETTERS) <= ids
    for part in ("A4b", "A5a", "A5b", "A7a", "A7b", "A8a", "A8b", "A8c", "A9a", "A9b", "A11a", "A11b"):
        assert any(name.startswith(part) for name in ids)


def test_every_entry_speaks_both_languages_and_types_no_number_of_the_paper():
    for claim in claims():
        for language in LANGUAGES:
            said = claim.sentence[language]
            assert bool(re.search("[\u4e00-\u9fff]", said)) == (language == "zh"), claim.id
            assert ("{threshold}" in said) == (claim.threshold != 0), claim.id
            assert not re.search(r"\d", re.sub(r"A\d|B\d|F1", "", said)), claim.id
            assert threshold(claim, language) in sentence(claim, language) or not claim.threshold


def test_chinese_keeps_its_distance_from_latin_letters_and_digits():
    """One space between them, everywhere; signs such as % and brackets stand without."""
    said = [claim.sentence["zh"] for claim in claims()] + [sentence(claim, "zh") for claim in claims()]
    said += [title(name, "zh") for name in groups()] + [group.advice["zh"] for group in groups().values()]
    touching = re.compile("[\u4e00-\u9fff][A-Za-z0-9]|[A-Za-z0-9][\u4e00-\u9fff]")
    assert [text for text in said if touching.search(text)] == []


def test_the_title_of_a_claim_names_the_numbers_of_its_statements():
    assert title("B5") == "95 % accuracy on the same and 93 % on another platform"
    assert "8 points" in title("A1") and "98 %" in title("A1") and "10 个百分点" in title("A2", "zh")
    assert not [name for name in groups() for language in LANGUAGES if "{" in title(name, language)]


def test_thresholds_read_as_the_papers_print_them():
    said = {claim.id: (threshold(claim), threshold(claim, "zh")) for claim in claims()}
    assert (
        said["A1b"] == ("8 points", "8 个百分点") and said["A3a"][0] == "15 points" and said["A10"][0] == "0.5 points"
    )
    assert said["A1c"] == ("98 %", "98%") and said["B5a"][0] == "95 %" and said["A9a1"] == ("4", "4")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda t: t.pop("groups"), "claims.yml: lacks the key groups"),
        (lambda t: t.update(more=1), "claims.yml: unknown key 'more', expected groups, claims"),
        (lambda t: t["claims"][0].pop("rule"), "claims.yml, claim B1a: lacks the key rule"),
        (lambda t: t["claims"][0].update(verdict="supported"), "claims.yml, claim B1a: unknown key 'verdict'"),
        (lambda t: t["claims"][0].update(rule=">"), "claim B1a: rule is '>'; accepted are more than, less than"),
        (lambda t: t["claims"][0].update(unit="percent"), "claim B1a: unit is 'percent'; accepted are points"),
        (lambda t: t["claims"][0].update(family="B"), "claim B1a: family is 'B'; accepted are ledger, none"),
        (lambda t: t["claims"][0].update(threshold="0"), "claim B1a: threshold is '0'; accepted is a number"),
        (lambda t: t["claims"][0].update(threshold=True), "claim B1a: threshold is True; accepted is a number"),
        (lambda t: t["claims"][0].update(paired=1), "claim B1a, paired: found 1, expected true or false"),
        (lambda t: t["claims"][0].update(short=""), "claim B1a, short: found '', expected a text, not empty"),
        (lambda t: t["claims"][0].update(id="C1"), "claim C1: id 'C1' of paper 'B'; accepted is A or B"),
        (lambda t: t["claims"][0].update(id="B99a"), "claim B99a: the group B99 is missing"),
        (lambda t: t["claims"][0].update(id="B1b"), "claims.yml: B1b is there more than once"),
        (lambda t: t["claims"][0]["sentence"].pop("zh"), "claim B1a, sentence: lacks the key zh"),
        (lambda t: t["claims"][0].update(caution={"en": "mind"}), "claim B1a, caution: lacks the key zh"),
        (
            lambda t: t["claims"][0]["measurement"].update(name="guess"),
            "measurement: name is 'guess'; accepted are gain, ",
        ),
        (lambda t: t["claims"][0]["measurement"].update(model="x"), "unknown argument 'model' of platform_gain"),
        (lambda t: t["claims"][0]["measurement"].pop("rival"), "measurement: platform_gain needs rival"),
        (lambda t: t["claims"].append(7), "claims.yml, claim 80: found 7, expected keys, not empty"),
        (lambda t: t["groups"].update(A14=t["groups"]["A13"]), "claims.yml: the group A14 has no claim"),
        (
            lambda t: t["groups"]["B5"]["title"].update(zh="{B1a}"),
            "claims.yml, group B5, title: {B1a} is no statement of it",
        ),
        (lambda t: t["groups"]["B1"].pop("advice"), "claims.yml, group B1: lacks the key advice"),
    ],
)
def test_a_fault_costs_one_sentence(tmp_path, change, sentence):
    tree = copy.deepcopy(TREE)
    change(tree)
    path = tmp_path / "claims.yml"
    path.write_text(
        yaml.dump(tree, Dumper=getattr(yaml, "CSafeDumper", yaml.SafeDumper), allow_unicode=True), encoding="utf-8"
    )
    with pytest.raises(InputError) as caught:
        load(path)
    assert sentence in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["a: [", "[]", ""])
def test_what_is_no_list_of_claims_is_refused(tmp_path, text):
    path = tmp_path / "claims.yml"
    path.write_text(text)
    with pytest.raises(InputError, match=r"^claims\.yml: "):
        load(path)
