"""What the documents name must be there: settings, switches, files."""

import re
from dataclasses import fields

import pytest

from paperkit import paths, profiles
from paperkit.__main__ import overrides
from paperkit.profiles import SHORT
from paperkit.training.methods import Method

DOCUMENTS = ("docs/deviations.md", "README.md", "README.zh-CN.md")
TEXTS = {name: (paths.ROOT / name).read_text(encoding="utf-8") for name in DOCUMENTS}
SETTINGS = sorted({found for text in TEXTS.values() for found in re.findall(r'SET="([^"]*)"', text)})


@pytest.mark.parametrize("given", SETTINGS)
def test_a_setting_that_a_document_names_is_one_and_loads(given):
    pairs = given.split()
    for name in overrides(pairs, None):
        assert {name, *(f"{part}.{name}" for part in SHORT)} & set(profiles.settings())
    values = overrides([pair for pair in pairs if not pair.endswith("=…")], None)
    if values:
        changed = [name for name in profiles.names() if profiles.load(name, overrides=values) != profiles.load(name)]
        assert changed, "a setting that changes nothing is no other reading"


def test_a_switch_of_a_method_that_a_document_names_is_one():
    named = {name for text in TEXTS.values() for name in re.findall(r"`Method\((\w+)=", text)}
    assert {"adversarial_weight", "mixup", "peephole"} <= named <= {each.name for each in fields(Method)}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_file_that_a_document_names_is_there(name):
    named = re.findall(r"`((?:paperkit|benchmarks|data|docs|tests|notebooks)/[\w./-]+\.\w+)`", TEXTS[name])
    assert not [file for file in named if not (paths.ROOT / file).exists()]


def test_tables_are_whole():
    """A bar within a cell would split it."""
    rows = [line for line in TEXTS["docs/deviations.md"].splitlines() if line.startswith("|")]
    assert len(rows) > 60 and {line.count("|") for line in rows} == {5}


def test_chinese_prose_has_full_width_punctuation():
    text = (paths.ROOT / "README.zh-CN.md").read_text(encoding="utf-8")
    prose = re.sub(r"`[^`\n]*`|\]\([^)\n]*\)|<!--.*?-->|^\|.*$|^ {4}.*$|!\[", "", text, flags=re.MULTILINE)
    chinese = "[\u4e00-\u9fff“”]"
    assert re.findall(rf".*(?:{chinese}[,;:?!()]|[,;:?!()]{chinese}).*", prose) == []
