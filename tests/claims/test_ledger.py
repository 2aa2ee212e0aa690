"""From per-seed numbers to verdicts: against a recomputation that shares no code, at the borders, and when tampered with."""

import json
import math
import re
import shutil
from dataclasses import asdict, replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import stats

from paperkit import paths
from paperkit.__main__ import main
from paperkit.claims import Claim, Evidence, check, claims, ledger
from paperkit.claims.ledger import (
    COLUMNS,
    INCONCLUSIVE,
    MIN_SEEDS,
    NOT_TESTABLE,
    VERDICTS,
    _test,
    per_seed,
    questions,
    table,
)
from paperkit.contract import to_csv
from paperkit.evaluate import statistics
from paperkit.study import Study

COMMITTED = [paths.ROOT / "figures" / data for data in ("embedded", "public")]
RULES = ("more than", "less than", "at least", "at most", "differs from")


def entry(number: int, rule: str = "more than", threshold: float = 0.0, **measurement) -> Claim:
    text = {"en": "x", "zh": "字"}
    given = {"name": "level", "exhibit": f"x_{number}", "metric": "accuracy", "model": "M"} | measurement
    return Claim(f"A{number}", "A", "§1", "x", text, given, rule, threshold, "points", True, "ledger")


def put(folder, number: int, values) -> None:
    rows = {"corpus": "tickets", "model": "M", "seed": range(len(values)), "accuracy": values}
    pd.DataFrame(rows).to_csv(folder / f"x_{number}_runs.csv", index=False)


def naive(samples, rules, thresholds) -> list[str]:
    """The rule in words, with SciPy's one-sample test and Holm by counting."""
    p = []
    for values, c in zip(samples, thresholds, strict=True):
        flat = len(values) > 1 and max(values) == min(values)
        p.append(1.0 if flat or len(values) < 5 else stats.ttest_1samp(values, c).pvalue)
    order = sorted(range(len(p)), key=p.__getitem__)
    passes = set()
    for rank, i in enumerate(order):
        if p[i] * (len(order) - rank) >= 0.05:
            break
        passes.add(i)
    verdicts = []
    for i, (values, rule, c) in enumerate(zip(samples, rules, thresholds, strict=True)):
        if len(values) < 5:
            verdicts.append("inconclusive")
        elif max(values) == min(values) == c:
            verdicts.append("supported" if rule in ("at least", "at most") else "contradicted")
        elif i not in passes and max(values) > min(values):
            verdicts.append("inconclusive")
        elif rule == "differs from":
            verdicts.append("supported")
        else:
            upward = rule in ("more than", "at least")
            verdicts.append("supported" if (np.mean(values) > c) == upward else "contradicted")
    return verdicts


numbers = st.integers(-40, 40).map(lambda k: k / 64)  # whole in binary: no rounding decides
samples = st.lists(numbers, min_size=1, max_size=9)
rows = st.lists(st.tuples(samples, st.sampled_from(RULES), st.sampled_from([0.0, 0.25])), min_size=1, max_size=6)


@settings(max_examples=25)
@example([([0.0] * 5, rule, 0.0) for rule in RULES])
@example([([0.5] * 5, "differs from", 0.25), ([0.5, 0.5625] * 3, "at most", 0.25)])
@example([([0.25, 0.5, 0.375, 0.3125, 0.25], "more than", 0.0)] * 6)
@given(rows)
def test_verdicts_are_those_of_a_naive_recomputation(tmp_path_factory, given_rows):
    folder = tmp_path_factory.mktemp("numbers")
    for number, (values, _, _) in enumerate(given_rows, start=1):
        put(folder, number, values)
    entries = [entry(n, rule, c) for n, (_, rule, c) in enumerate(given_rows, start=1)]
    found = ledger(Evidence(folder), entries)
    assert [f.verdict for f in found] == naive(*zip(*given_rows, strict=True))
    for f, (values, _, _) in zip(found, given_rows, strict=True):
        assert f.n == len(values) and math.isclose(f.measured, np.mean(values), abs_tol=1e-12)
        if len(values) > 1 and max(values) > min(values):
            low, high = stats.t.interval(0.95, len(values) - 1, np.mean(values), stats.sem(values))
            assert np.allclose([f.low, f.high], [low, high])


@pytest.mark.parametrize("values", [[4, 4, 4, 4, 5, 4, 4, 3], [4] * 5, [3, 4, 3, 4, 3]])
def test_so_many_models_are_counted_from_half_a_one_less_and_the_reason_says_so(tmp_path, values):
    put(tmp_path, 1, values)
    (found,) = ledger(Evidence(tmp_path), [replace(entry(1, "at least", 4.0), unit="models")])
    assert found.verdict == ("supported" if np.mean(values) >= 4 else "inconclusive")
    assert "counted from 3.5, which rounds to 4" in found.reason


@pytest.mark.parametrize("name", ["NA", "null", "nan", "12"])
def test_a_corpus_may_be_called_what_others_call_nothing(tmp_path, name):
    put(tmp_path, 1, [0.1, 0.2, 0.15, 0.12, 0.18])
    runs = pd.read_csv(tmp_path / "x_1_runs.csv").assign(corpus=name)
    (tmp_path / "x_1_runs.csv").write_text(to_csv(runs))
    (found,) = ledger(Evidence(tmp_path), [entry(1)])
    assert found.corpus == name and found.verdict == "supported"


def test_a_claim_that_would_hold_alone_may_fail_in_company(tmp_path):
    """Holm is across the ledger: the same numbers, with more claims beside them."""
    values = [0.01, 0.05, 0.02, 0.06, 0.01]
    for number in range(1, 9):
        put(tmp_path, number, values)
    (alone,) = ledger(Evidence(tmp_path), [entry(1)])
    company = ledger(Evidence(tmp_path), [entry(n) for n in range(1, 9)])
    assert alone.verdict == "supported" and {f.verdict for f in company} == {INCONCLUSIVE}
    assert "not after Holm's correction over 8 tests" in company[0].reason
    assert math.isclose(company[0].p_holm, min(1, 8 * alone.p))


def test_holms_correction_is_over_the_whole_ledger_and_asks_each_question_once(tmp_path):
    """What else was run, and with how many seeds, makes no verdict easier."""
    values = [0.05, 0.06, 0.055, 0.06, 0.05]
    put(tmp_path, 1, values)
    (alone,) = ledger(Evidence(tmp_path), [entry(1)])
    others, same = [entry(n) for n in range(2, 9)], [entry(1), entry(1, "at least"), entry(1, "less than")]
    for seeds in (0, MIN_SEEDS - 1):  # not run, and too few
        for number in range(2, 9) if seeds else ():
            put(tmp_path, number, values[:seeds])
        found = ledger(Evidence(tmp_path), [*others, *same])
        assert [f.p_holm for f in found[7:]] == pytest.approx([8 * alone.p] * 3)
        assert questions(found) == (1, 8)
        assert [f.verdict for f in found] == [found[0].verdict] * 7 + ["supported", "supported", "contradicted"]
        assert found[0].verdict == (INCONCLUSIVE if seeds else "not testable here")


@pytest.mark.parametrize(("value", "where"), [(0.75, "above"), (0.25, "below")])
def test_seeds_that_agree_have_no_p_value_and_their_value_decides(tmp_path, value, where):
    put(tmp_path, 1, [value] * MIN_SEEDS)
    put(tmp_path, 2, [0.51, 0.53, 0.52, 0.5, 0.54])
    (alone,) = ledger(Evidence(tmp_path), [entry(2, threshold=0.5)])
    same, beside = ledger(Evidence(tmp_path), [entry(1, threshold=0.5), entry(2, threshold=0.5)])
    assert same.verdict == ("supported" if where == "above" else "contradicted")
    assert same.reason == f"every seed gives the same value, {where} the threshold" and math.isnan(same.p)
    assert math.isclose(beside.p_holm, 2 * alone.p), "it is a question like the others, which no test rejects"


@pytest.mark.parametrize("value", [0.5, 0.0])
def test_too_few_seeds_that_agree_say_how_many_would_decide(tmp_path, value):
    put(tmp_path, 1, [value] * 2)
    (found,) = ledger(Evidence(tmp_path), [entry(1)])
    assert found.verdict == INCONCLUSIVE and found.needed == MIN_SEEDS
    assert "all of them give the same value; 5 seeds that do so would decide it" in found.reason
    put(tmp_path, 1, [value] * MIN_SEEDS)
    (found,) = ledger(Evidence(tmp_path), [entry(1)])
    assert found.verdict != INCONCLUSIVE


def test_a_remark_makes_no_test_of_its_own(tmp_path):
    """Welch's p value stands beside a claim about numbers that another claim is about as well."""
    shares = {"Bi-LSTM": 0.5, "Bi-LSTM-Att": 0.52, "Bi-LSTM-Att-Focal": 0.53}
    wiggle = [0.0, 0.01, 0.02, 0.01, 0.005, 0.02]
    rows = [{"corpus": "reviews", "train_on": "x", "test_on": "x", "model": model, "seed": seed,
             "accuracy": share + (i + 1) * each} for i, (model, share) in enumerate(shares.items())
            for seed, each in enumerate(wiggle)]  # fmt: skip
    pd.DataFrame(rows).to_csv(tmp_path / "b_table_4_runs.csv", index=False)
    asked = [claim for claim in claims() if claim.id in ("B1a", "B1e", "B4a", "B4b")]
    found = {f.claim.id: f for f in ledger(Evidence(tmp_path), asked)}
    alone = [claim for claim in asked if claim.group == "B1"]
    once = {f.claim.id: f.p_holm for f in ledger(Evidence(tmp_path), alone)}
    assert [found[name].p_holm for name in ("B1a", "B1e", "B4a", "B4b")] == [*once.values()] * 2
    assert "Welch" in found["B4a"].reason and "Welch" not in found["B1a"].reason


def test_no_two_tests_of_the_ledger_are_about_the_same_numbers():
    (folder,) = (folder for folder in COMMITTED if folder.name == "public")
    by_numbers = {}
    for f in ledger(Evidence(folder)):
        if math.isnan(f.p_holm) or f.low == f.high:  # counts, which are the same by chance
            continue
        other = b"" if f.sample.other is None else f.sample.other.tobytes()
        by_numbers.setdefault((f.sample.values.tobytes(), other, f.claim.threshold), set()).add(_test(f))
    assert len(by_numbers) > 30
    assert [tests for tests in by_numbers.values() if len(tests) > 1] == []


@pytest.mark.parametrize("n", range(1, MIN_SEEDS))
def test_below_five_seeds_there_is_no_verdict_and_it_says_how_many_would_do(tmp_path, n):
    put(tmp_path, 1, [0.5, 0.51, 0.49, 0.5][:n])
    (found,) = ledger(Evidence(tmp_path), [entry(1)])
    assert found.verdict == INCONCLUSIVE and found.n == n
    assert found.reason.startswith(f"a verdict needs at least {MIN_SEEDS} seeds")
    few = n < statistics.FEWEST  # they say nothing of the spread
    assert few != bool(re.search(r"about \d+ seeds would decide it", found.reason)) and few != (
        "effect" in found.reason
    )


def test_the_number_of_seeds_grows_as_the_effect_shrinks(tmp_path):
    for number, shift in enumerate((0.02, 0.01, 0.005, 0.0), start=1):
        put(tmp_path, number, [shift + e for e in (0.03, -0.03, 0.02, -0.02, 0.0)])
    needed = [f.needed for f in ledger(Evidence(tmp_path), [entry(n) for n in range(1, 5)])]
    assert needed == sorted(needed) and needed[0] > 5 and needed[-1] == math.inf


def test_what_is_missing_is_named_with_the_command_that_makes_it(tmp_path):
    (found,) = ledger(Evidence(tmp_path), [entry(1)])
    assert (found.verdict, found.reason) == (NOT_TESTABLE, "needs x_1_runs.csv, which `make x_1` writes")
    assert found.missing
    (found,) = ledger(Evidence(tmp_path, ["b_table_3"]), [entry(1)])
    assert found.reason == "needs x_1_runs.csv, which no exhibit of this version writes" and not found.missing
    put(tmp_path, 1, [0.5] * 5)
    for changed, reason in (
        ({"metric": "f1_macro"}, "x_1_runs.csv has no column f1_macro"),
        ({"model": "N"}, "there is no run of N"),
        ({"corpus": "first"}, "these data have no runs on the paper's first corpus"),
    ):
        (found,) = ledger(Evidence(tmp_path), [entry(1, **changed)])
        assert (found.verdict, found.reason) == (NOT_TESTABLE, reason)
        assert math.isnan(found.measured) and found.n == 0 and not found.missing


@pytest.mark.parametrize(
    "folder", [*COMMITTED, paths.ROOT / "figures" / "eight_seeds" / "embedded"], ids=lambda folder: folder.name
)
def test_the_committed_ledger_follows_from_the_committed_numbers(folder):
    assert check(folder) == []
    written = pd.read_csv(folder / "claims.csv", dtype=str, keep_default_na=False)
    assert written.reason.tolist() == [f.reason for f in ledger(Evidence(folder))]


def test_every_claim_reads_what_its_exhibit_writes():
    """On the generated texts every exhibit is made, so nothing is untestable for want of a file, a column or a row."""
    (folder,) = (folder for folder in COMMITTED if folder.name == "embedded")
    wanting = ("_runs.csv, which", "has no column", "there is no run of", "more than one row", "is not defined")
    found = {f.claim.id for f in ledger(Evidence(folder)) if any(each in f.reason for each in wanting)}
    assert found <= {"A11a1", "A11a2", "A11b1", "A11b2"}, "rare classes of so few texts have none to be tested on"


@pytest.mark.parametrize("folder", COMMITTED, ids=lambda folder: folder.name)
def test_the_ledger_keeps_its_contract(folder):
    found = ledger(Evidence(folder))
    assert all(f.claim.paired == (f.sample.other is None) for f in found if f.sample), "as the entries say"
    written = table(found, folder.name)
    assert list(written) == COLUMNS and [*written.id] == [claim.id for claim in claims()]
    assert set(written.verdict) <= set(VERDICTS) and written.reason.str.len().min() > 10
    decided = written[written.verdict.isin(["supported", "contradicted"])]
    assert (decided.n >= MIN_SEEDS).all() and (decided.low <= decided.measured).all()
    seeds = per_seed(found, folder.name)
    means = seeds[seeds["sample"] == ""].groupby("id").value.mean()
    other = seeds[seeds["sample"] == "subtracted"].groupby("id").value.mean()
    means = means.sub(other, fill_value=0)
    once = written.set_index("id").loc[means.index]
    assert np.allclose(means, once.measured)


def test_every_seed_is_written_down_also_where_all_agree(tmp_path):
    rows = [{"corpus": "reviews", "model": model, "seed": seed, "epoch": epoch, "train_loss": loss / epoch}
            for model, loss in (("Bi-LSTM", 0.4), ("Bi-LSTM-Att", 0.3), ("Bi-LSTM-Att-Focal", 0.1))
            for seed in range(5) for epoch in (1, 2, 3)]  # fmt: skip
    (tmp_path / "b_fig_6.csv").write_text(to_csv(pd.DataFrame(rows)))
    (found,) = ledger(Evidence(tmp_path), [claim for claim in claims() if claim.id == "B3a"])
    assert found.n == 5 and math.isnan(found.p)
    assert per_seed([found], "embedded").seed.tolist() == [0, 1, 2, 3, 4]


@pytest.fixture
def reference(tmp_path, monkeypatch):
    """A copy of the committed public reference, in the place where the program looks for it."""
    monkeypatch.setenv("PAPERKIT_FIGURES", str(tmp_path / "figures"))
    monkeypatch.setenv("PAPERKIT_BUILD", str(tmp_path / "build"))
    shutil.copytree(COMMITTED[1], tmp_path / "figures" / "public", ignore=shutil.ignore_patterns("*.png", "*.svg"))
    return tmp_path / "figures" / "public"


def claims_command(capsys) -> tuple[int, str, list[str]]:
    code = main(["claims", "--data", "public"])
    out, err = capsys.readouterr()
    return code, out, err.splitlines()


def test_make_claims_prints_the_ledger_and_is_content_with_what_is_committed(capsys, reference):
    code, out, err = claims_command(capsys)
    assert (code, err) == (0, [])
    assert all(f"\n{claim.id} " in out for claim in claims())


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        (
            "contradicted",
            "supported",
            "B1a is written down as 'supported', but the numbers say 'contradicted': wholly below",
        ),
        ("B1a,public", "B9x,public", "B1a is not in claims.csv; from the numbers it is contradicted."),
        (",10,0,contradicted", ",12,0,contradicted", "B1a is written down with n '12', but the numbers give 10."),
    ],
)
def test_make_claims_fails_when_a_verdict_was_written_by_hand(capsys, reference, old, new, sentence):
    file = reference / "claims.csv"
    file.write_text(file.read_text(encoding="utf-8").replace(old, new, 1), encoding="utf-8")
    code, _, err = claims_command(capsys)
    assert code == 1 and sentence in err[0] and all(line.startswith("paperkit: ") for line in err)
    assert len(err) == 1 + old.startswith("B1a")


def test_make_claims_fails_when_the_numbers_were_changed_afterwards(capsys, reference):
    runs = pd.read_csv(reference / "b_table_4_runs.csv")
    focal = runs.model == "Bi-LSTM-Att-Focal"
    runs.loc[focal, "accuracy"] = 0.99 - 0.001 * (runs.seed[focal] % 3)
    runs.to_csv(reference / "b_table_4_runs.csv", index=False)
    code, _, err = claims_command(capsys)
    assert code == 1
    assert any("B5a is written down as 'contradicted', but the numbers say 'supported'" in line for line in err)


@pytest.mark.parametrize("whole", [False, True])
def test_a_build_of_one_exhibit_does_not_hide_the_reference(capsys, reference, whole):
    build = reference.parents[1] / "build" / "public" / "cpu"
    build.mkdir(parents=True)
    for name in ("b_table_4_runs.csv", *(["claims.csv"] if whole else [])):
        shutil.copyfile(reference / name, build / name)
    code, out, _ = claims_command(capsys)
    assert code == 0 and ("build/public" in out.splitlines()[0]) == whole


def test_make_claims_names_what_was_made_with_other_settings(capsys, reference):
    """Seeds may differ: they change how sure a number is, not what it is of."""
    build = reference.parents[1] / "build" / "public" / "cpu"
    build.mkdir(parents=True)
    shutil.copyfile(reference / "claims.csv", build / "claims.csv")
    profile = json.loads(json.dumps(asdict(Study("public", "cpu").profile)))
    made = {"b_table_3": {"curve_seeds": 9}, "b_table_4": {"gamma": 0.5, "seeds": 3}}
    for name, change in made.items():
        shutil.copyfile(reference / f"{name}_runs.csv", build / f"{name}_runs.csv")
        record = {"exhibit": name, "profile": profile | change}
        (build / f"{name}.provenance.json").write_text(json.dumps(record))
    _, _, err = claims_command(capsys)
    (line,) = [line for line in err if "other settings" in line]
    assert "made with other settings (gamma): b_table_4; give those of the build" in line


def test_without_build_and_reference_there_are_no_claims_to_print(capsys, tmp_path, monkeypatch):
    for room in ("FIGURES", "BUILD"):
        monkeypatch.setenv(f"PAPERKIT_{room}", str(tmp_path / room.lower()))
    assert main(["claims", "--data", "public"]) == 2
    assert "run make paper first" in capsys.readouterr().err
