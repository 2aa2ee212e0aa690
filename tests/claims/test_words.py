"""The ledger in plain words: what was found comes first, and what was not run is not called untestable."""

import re
from dataclasses import replace
from string import Formatter

import numpy as np
import pytest

from paperkit import paths
from paperkit.claims import Evidence, Finding, claims, ledger, words
from paperkit.claims.evidence import Sample
from paperkit.claims.ledger import CONTRADICTED, INCONCLUSIVE, NOT_TESTABLE, SUPPORTED, judge
from paperkit.claims.reasons import TEXTS, Reason
from paperkit.claims.reasons import reason as because

ENTRIES = {claim.id: claim for claim in claims()}
CHINESE = re.compile("[\u4e00-\u9fff]")
WORSE = Reason("worse", "更差")


def finding(name: str, verdict: str, n: int = 10, **more) -> Finding:
    sample = Sample(np.zeros(n), tuple(range(n)), "reviews") if n else None
    numbers = {"corpus": "reviews", "measured": 0.5, "low": 0.4, "high": 0.6} if n else {}
    return Finding(
        ENTRIES[name], verdict=verdict, n=n, sample=sample, reasons=(Reason("because", "因为"),), **numbers, **more
    )


def unrun(name: str) -> Finding:
    return replace(
        finding(name, NOT_TESTABLE, 0, missing=True), reasons=(because("not run", name="x_runs.csv", exhibit="x"),)
    )


def untestable(name: str) -> Finding:
    return replace(finding(name, NOT_TESTABLE, 0), reasons=(because("undefined", metric="f1", models="Bi-LSTM"),))


@pytest.mark.parametrize(
    ("members", "state"),
    [
        ([finding("B4a", SUPPORTED), finding("B4b", SUPPORTED)], "holds"),
        ([finding("B4a", SUPPORTED), finding("B4b", INCONCLUSIVE)], "holds in part"),
        ([finding("B4a", SUPPORTED), untestable("B4b")], "holds in part"),
        ([finding("B4a", SUPPORTED), finding("B4b", CONTRADICTED)], "mixed"),
        ([finding("B4a", CONTRADICTED)], "fails"),
        ([finding("B4a", CONTRADICTED), unrun("B4b")], "fails in part"),
        ([finding("B4a", INCONCLUSIVE), unrun("B4b")], "open"),
        ([untestable("B4a"), unrun("B4b")], "unrun"),
        ([untestable("B4a"), untestable("B4b")], "untestable"),
    ],
)
def test_what_becomes_of_a_claim(members, state):
    assert words.state(members) == state
    assert words.whole(members) == words.STATES_SAID[state]


@pytest.mark.parametrize(
    ("members", "en", "zh"),
    [
        ([finding("B4a", SUPPORTED, remark=WORSE)], "Holds, but worse", "成立，但更差"),
        ([finding("B4a", SUPPORTED, remark=WORSE), finding("B4b", INCONCLUSIVE)],
         "Every part that could be decided holds, but worse", "可判定的部分均成立，但更差"),
        ([finding("B4a", SUPPORTED, remark=WORSE), finding("B4b", SUPPORTED)], "Holds", "成立"),
    ],
)  # fmt: skip
def test_a_claim_holds_with_a_but_if_each_part_of_it_that_holds_does(members, en, zh):
    assert words.whole(members) == (en, zh)


@pytest.mark.parametrize(("side", "verdict", "said"), [(1, SUPPORTED, True), (-1, CONTRADICTED, False)])
def test_a_supported_claim_says_what_its_reader_must_know(side, verdict, said):
    asked = finding("B3a", NOT_TESTABLE)
    low, high = sorted((side * 0.2, side * 0.4))
    judged = judge(replace(asked, measured=side * 0.3, low=low, high=high, p=1e-6, p_holm=1e-4))
    assert judged.verdict == verdict and (judged.remark is not None) == said
    assert ("below cross-entropy anyway" in judged.reason) == said
    assert ("but at equal outputs" in words.whole([judged])[0]) == said


def test_few_seeds_have_no_interval():
    two, three = (replace(finding("B4a", INCONCLUSIVE, n), measured=-0.01, low=-0.01, high=-0.01) for n in (2, 3))
    assert words.measured(two) == "−1.0 points"
    assert words.measured(three) == "−1.0 [−1.0, −1.0] points"


def test_what_was_not_run_is_counted_and_listed_apart_from_what_these_data_cannot_test():
    found = [unrun("B4a"), untestable("B6a"), finding("B1a", CONTRADICTED)]
    assert words.counts(found) == {
        SUPPORTED: 0, CONTRADICTED: 1, INCONCLUSIVE: 0, NOT_TESTABLE: 1, words.NOT_RUN: 1
    }  # fmt: skip
    english, chinese = ("\n".join(words.story(found, language)["B"]) for language in ("en", "zh"))
    assert "1 contradicted, 1 not testable here, 1 not run yet" in english
    assert re.search("^Not run yet: B4 ", english, re.M) and re.search(
        "^Not testable on these data: B6 ", english, re.M
    )
    assert "共 3 条陈述：1 条被否定，1 条此处无法检验，1 条尚未运行" in chinese
    assert re.search("^尚未运行：B4 ", chinese, re.M) and re.search("^这些数据无法检验：B6 ", chinese, re.M)
    assert [*words.readable(found).verdict] == [
        "not run yet 尚未运行",
        "not testable here 此处无法检验",
        "contradicted 被否定",
    ]


def test_the_ledger_names_the_corpus_and_says_which_way_a_difference_goes():
    (line,) = words.readable([finding("B4a", SUPPORTED, remark=WORSE)]).to_dict("records")
    assert line["corpus"] == "reviews"
    assert line["verdict"] == f"supported (but {WORSE.en}) 得到支持（但{WORSE.zh}）"


def test_the_overview_counts_the_statements_of_every_claim():
    found = [finding("B4a", SUPPORTED), finding("B4b", CONTRADICTED), finding("B4c", CONTRADICTED), unrun("B6a")]
    mixed, open_ = words.overview(found).to_dict("records")
    assert mixed["id"] == "B4" and mixed["claim"] == words.title("B4") and mixed["论断"] == words.title("B4", "zh")
    assert mixed["verdict"] == "Some parts hold and some do not 部分成立、部分不成立"
    assert mixed["statements"] == "1 supported, 2 contradicted"
    assert open_["verdict"] == "Not run yet 尚未运行" and open_["statements"] == "1 not run yet"


def test_the_letter_says_in_one_line_what_was_not_run():
    found = [finding("B4a", SUPPORTED), unrun("B4b"), unrun("B4c")]
    (_, _, english, _), (_, _, chinese, _) = (words.letter(found, language)[0] for language in ("en", "zh"))
    assert len(english) == len(chinese) == 2
    assert english[1] == "Not run yet: B4b, B4c (needs x_runs.csv, which `make x` writes)."
    assert chinese[1] == "尚未运行：B4b、B4c（需要 x_runs.csv，由 `make x` 生成）。"


@pytest.mark.parametrize(
    ("seeds", "said"),
    [
        ([], "Nothing is measured yet."),
        ([2, 3, 3], "Too few seeds for verdicts: 2 or 3 per model, 5 are needed."),
        (
            [10, 3, 0],
            "1 of 2 statements measured can have a verdict; the others rest on 3 seeds per model, 5 are needed.",
        ),
        ([10, 10], "All 2 statements measured have seeds enough for a verdict: 10 per model, 5 are needed."),
    ],
)
def test_the_summary_says_first_how_far_verdicts_are_possible(seeds, said):
    found = [finding("B1a", INCONCLUSIVE, n) for n in seeds]
    assert words.possible(found) == said
    assert CHINESE.search(words.possible(found, "zh"))
    assert not found or words.story(found)["B"][0] == said


def test_the_summary_gives_the_numbers_of_the_best_known_statements():
    found = [finding("B1b", SUPPORTED), finding("B5a", CONTRADICTED), unrun("B5b"), finding("B1a", SUPPORTED, 1)]
    said = words.headlines(found)
    assert len(said) == 3 and "95 %" in said[0] and "Measured: 50.0 [40.0, 60.0] % over 10 seeds on reviews" in said[0]
    assert said[1].endswith("Not measured (B5b, not run yet).") and "over 1 seed on" in said[2]
    chinese = words.headlines(found, "zh")
    assert (
        "实测 50.0 [40.0, 60.0]%（B5a，reviews，10 个种子，被否定）" in chinese[0]
        and "未测量（B5b，尚未运行）" in chinese[1]
    )
    assert set(words.HEADLINES) <= set(ENTRIES)


def test_a_remark_belongs_to_its_sentence():
    found = finding("B4a", SUPPORTED, remark=WORSE)
    assert words.said_of(found).endswith("over 10 seeds on reviews (but worse).")
    assert words.said_of(found, "zh").endswith("（但更差）。")


@pytest.mark.parametrize("data", ["embedded", "public"])
def test_what_is_open_or_untestable_is_explained_in_chinese(data):
    for f in ledger(Evidence(paths.ROOT / "figures" / data)):
        if f.verdict in (INCONCLUSIVE, NOT_TESTABLE):
            assert CHINESE.search(words.reason(f, "zh")), f.reason
            assert words.reason(f, "zh") in words.said_of(f, "zh")


@pytest.mark.parametrize("name", TEXTS)
def test_both_languages_of_a_reason_say_the_same_of_the_same_things(name):
    english, chinese = ({field for _, field, *_ in Formatter().parse(text) if field} for text in TEXTS[name])
    assert chinese <= english and CHINESE.search(TEXTS[name][1])
    assert english - chinese <= ({"n"} if name == "few seeds" else set())
