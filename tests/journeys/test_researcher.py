"""Someone with public data: every direction between three platforms, one exhibit at a time, compared with a reference."""

import json

import pandas as pd
import pytest

from paperkit import runs
from paperkit.corpora.corpus import assemble
from paperkit.exhibits.exhibit import show
from paperkit.exhibits.reference import publish, verify
from paperkit.study import Study
from tests.journeys.conftest import ONE
from tests.small import reviews

PLATFORMS = ("ctrip", "laojunshan-tongcheng", "laojunshan-ctrip")


@pytest.fixture
def travel(monkeypatch) -> None:
    """A small stand-in for the public reviews, with their name and platforms."""
    table = pd.DataFrame(reviews(150, PLATFORMS), columns=["text", "label", "platform"])
    table["id"] = [f"travel:{number}" for number in range(len(table))]
    corpus = assemble("travel", table, ("negative", "positive"), "zh")
    monkeypatch.setattr(runs, "_load", lambda source: {"travel": corpus}[source.name])


def test_tables_of_public_data_are_published_without_texts_and_compared(travel, new_home):
    home = new_home("researcher")
    study = Study("public", "gpu", overrides=ONE, workers=1)
    assert study.folder == home.root / "build" / "public" / "gpu"
    assert study.profile.schedule.device == "auto" and Study("public", "gpu").profile.seeds >= 10
    show(study, "x_b_attention")
    assert len(list((home.root / "store" / "runs").iterdir())) == 1, "one exhibit trains what it needs"
    cross = show(study, "b_table_3").content.body
    assert len(list((home.root / "store" / "runs").iterdir())) == len(study.paper_b_specs()) == 15
    pairs = [(a, b) for a in PLATFORMS for b in PLATFORMS if a != b]
    assert sorted(dict.fromkeys(zip(cross.train_on, cross.test_on, strict=True))) == sorted(pairs)
    for name in ("b_table_1", "b_fig_4"):
        show(study, name)

    publish(study)
    reference = home.files("figures/public/*")
    assert "figures/public/b_fig_4.svg" in reference and "figures/public/b_table_3_runs.csv" in reference
    texts = set(study.corpus.table.text)
    assert any(text in (study.folder / "b_table_1.md").read_text(encoding="utf-8") for text in texts)
    assert not any(text.encode() in content for text in texts for content in reference.values())
    facts = json.loads(reference["figures/public/b_table_3.provenance.json"])
    assert facts["command"].startswith("make b_table_3 DATA=public PROFILE=gpu SET=")
    assert [corpus["sha256"] for corpus in facts["corpora"]] == [study.corpus.checksum]

    lines, good = verify(study)
    assert good and {line.split()[0] for line in lines} == {"identical"}
    other = Study("public", "gpu", overrides=ONE | {"gamma": 5.0, "alpha": 0.99}, workers=1)
    show(other, "b_table_3")
    lines, good = verify(other)
    assert not good and any(line.startswith("different  b_table_3_runs.csv") for line in lines)
