"""Each table of runs has its own number of seeds, and each of its runs the setting that it is filed under."""

from dataclasses import replace

import pytest

from paperkit import runs
from paperkit.store import Store
from paperkit.study import Study
from tests.small import SETTINGS

SEEDS = {"seeds": 2, "ablation_seeds": 3, "large_seeds": 4, "curve_seeds": 5, "encoder_seeds": 6}
TABLES = {
    "ablation_seeds": ("ablation_specs", "surface_specs", "learning_specs", "variant_specs"),
    "large_seeds": ("ten_specs", "budget_specs"),
    "curve_seeds": ("relative_specs", "sentence_specs", "share_specs", "length_specs", "pool_specs"),
    "encoder_seeds": ("encoder_specs",),
}


@pytest.fixture
def study(tiny, store, monkeypatch) -> Study:
    monkeypatch.setattr(runs, "_load", lambda source: tiny)
    monkeypatch.setattr(Store, "default", lambda: store)
    settings = SETTINGS | SEEDS | {"label_shares": [0.5, 1.0], "backbone_zh": "mini"}
    return Study("embedded", "smoke", overrides=settings, workers=1)


@pytest.mark.parametrize(("count", "table"), [(count, table) for count, tables in TABLES.items() for table in tables])
def test_a_table_has_the_seeds_of_its_setting(study, count, table):
    seeded = [specs for specs in getattr(study, table)().values() if specs[0].method.seeded]
    assert seeded
    assert all([spec.seed for spec in specs] == list(range(SEEDS[count])) for specs in seeded)


def test_a_run_has_the_share_of_labels_and_the_encoder_that_it_is_filed_under(study):
    for (_, share), specs in study.share_specs().items():
        assert {spec.method.labelled for spec in specs} == {share}
    for (_, name, share), specs in study.encoder_specs().items():
        assert {spec.method.labelled for spec in specs} == {share}
        assert "SVM" in name or {spec.text.backbone for spec in specs} == {name}


def test_a_run_has_the_share_of_wrong_labels_that_it_is_filed_under(study, tiny, monkeypatch):
    known = replace(tiny, table=tiny.table.assign(truth=tiny.table.label))
    monkeypatch.setattr(runs, "_load", lambda source: known)
    assert study.noise_specs()
    for (_, noise), specs in study.noise_specs().items():
        assert {spec.method.noise for spec in specs} == {noise}


@pytest.mark.parametrize(("language", "encoder"), [("zh", "mini"), ("en", "tiny")])
def test_texts_are_read_by_the_encoder_of_their_language(study, tiny, monkeypatch, language, encoder):
    monkeypatch.setattr(runs, "_load", lambda source: replace(tiny, language=language))
    assert study.token_options(study.source).backbone == encoder
