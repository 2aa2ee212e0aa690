"""Notebooks 05 and 06 on somebody's table: every number recomputed from the runs, nothing quoted, nothing computed twice."""

import csv
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from matplotlib import pyplot

from paperkit import attacks
from paperkit.contract import to_csv
from paperkit.corpora.pools import pools
from paperkit.evaluate import projection, rewording, statistics
from paperkit.evaluate.calibration import calibration, fit_temperature
from paperkit.exhibits import adversarial, beyond_a, controls, robustness
from paperkit.exhibits import rewording as reworded
from paperkit.exhibits.exhibit import REGISTRY, Content, find, show
from paperkit.exhibits.paper_a import METRICS, trained_sizes
from paperkit.papers import EQUAL_BUDGET, SVM_CUT, WHOLE
from paperkit.store import Store
from paperkit.study import Study
from paperkit.text.batches import evaluation_batches
from paperkit.training.loop import predict
from tests.exhibits.conftest import ROOMS
from tests.small import SETTINGS, tickets, write_csv

find("a_table_3")
MINE = sorted(name for name, item in REGISTRY.items() if item.notebook in ("05_adversarial", "06_robustness"))
SIZES = {"it/billing": 50, "it/network": 40, "other": 30}
OVERRIDES = SETTINGS | {"robustness": 14, "epsilons": [0.2, 0.6], "finetune.batch_size": 16,
                        "finetune.learning_rate": 5e-3, "finetune.head_learning_rate": 2e-2}  # fmt: skip


@pytest.fixture(scope="module")
def _made(tmp_path_factory) -> tuple[Path, Study, dict[str, Content]]:
    root = tmp_path_factory.mktemp("adversarial")
    table = write_csv(root / "calls.csv", ("text", "label"), tickets(SIZES))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PAPERKIT_HEADLESS", "1")
        for room in ROOMS:
            patch.setenv(f"PAPERKIT_{room}", str(root / room.lower()))
        study = Study(str(table), "smoke", overrides=OVERRIDES, workers=1)
        made = {name: find(name).make(study) for name in MINE}
        show(study, "a_table_4")
        pyplot.close("all")
        return root, study, made


@pytest.fixture
def made(_made, monkeypatch) -> tuple[Study, dict[str, Content]]:
    root, study, contents = _made
    for room in ROOMS:
        monkeypatch.setenv(f"PAPERKIT_{room}", str(root / room.lower()))
    return study, contents


def rows_of(study: Study, file: str) -> list[dict[str, str]]:
    with (study.folder / file).open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


def runs_of(study: Study, model: str):
    return study.get(study.ten_specs()[study.source, model])


def test_no_exhibit_holds_a_text(made):
    study, contents = made
    texts = [text[:25] for text in study.corpus.table.text]
    for name, content in contents.items():
        tables = (content.body, content.display, content.numbers, content.per_seed)
        said = content.note + "".join(to_csv(each) for each in tables if isinstance(each, pd.DataFrame))
        assert not content.quotes and not any(text in said for text in texts), name


def test_attacks_are_computed_once(made, monkeypatch):
    study, _ = made
    entries = list((study.store.root / "attacks").iterdir())
    assert len(entries) == 10 + 6, "every run once, and those of Table 4 on an independent draw"
    monkeypatch.setattr("paperkit.evaluate.robustness.perturbed", lambda *_: pytest.fail("computed again"))
    monkeypatch.setattr("paperkit.evaluate.projection.placed", lambda *_: pytest.fail("computed again"))
    monkeypatch.setattr("paperkit.evaluate.rewording.reworded", lambda *_: pytest.fail("computed again"))
    assert len(list((study.store.root / "rewordings").iterdir())) == 7
    for name in ("a_fig_3", "a_table_4", "x_text_budget"):
        find(name).make(study)
    pyplot.close("all")


# --- 05 --------------------------------------------------------------------------------------------------------------


def test_table_1_takes_the_steps_that_training_takes(made):
    study, contents = made
    chosen = adversarial.example(study)
    victim, run = chosen.victim, chosen.run
    network, prepared = run.model(study.store)
    logits = predict(network, prepared.texts, np.array([chosen.row]), "float32")  # the run itself may have bfloat16
    clean = F.cross_entropy(torch.tensor(logits), victim.labels).item()
    table = contents["a_table_1"].body
    assert table.loss[0] == pytest.approx(clean, rel=1e-4)
    for name, attack in adversarial.settings(study).items():
        delta = attacks.perturb(victim.network, victim.losses, victim.embedded, victim.batch.inside, attack)
        mine = table[table.attack.str.startswith(f"{name} (")]
        assert len(mine) == (attack.steps if attack.kind == "pgd" else 1) + 1
        assert mine.delta.iloc[-1] == pytest.approx(delta.norm().item(), rel=1e-4)
        assert mine.loss.iloc[-1] == pytest.approx(victim.losses(victim.embedded + delta).item(), rel=1e-3)
    assert "yes" not in set(table[table.attack.str.startswith("PGD (")].projected), (
        "the community's budget stays inside"
    )
    assert "yes" in set(table[table.attack.str.startswith("PGD, equal")].projected)


def test_table_3_prints_every_metric_and_says_which_are_unknowable(made):
    _, contents = made
    shown = contents["a_table_3"].display
    assert list(shown.columns) == ["corpus", "model", "n_seeds", *METRICS]
    unknown = {metric for metric in METRICS if (shown[metric] == "n/a").all()}
    assert unknown == {"manual_accuracy", "any_topic_accuracy"}, "a table knows neither truths nor further topics"


def test_differences_are_paired_by_seed(made, monkeypatch):
    study, contents = made
    draw = np.random.default_rng(0)
    rows = pd.DataFrame([{"corpus": corpus, "model": method.name, "seed": seed, "accuracy": draw.random(),
                          "f1_macro": draw.random(), "manual_accuracy": math.nan}
                         for corpus in ("x", "y") for method in study.ten for seed in (2, 0, 1)])  # fmt: skip
    monkeypatch.setattr(beyond_a, "per_seed", lambda study, models: (rows, []))
    content = beyond_a.differences(study)
    table = content.body.set_index(["corpus", "model_a", "model_b"])
    assert len(table) == 2 * (9 + 3) and set(table.n_seeds) == {3}
    for a, b in (("UDA+ESimCSE+PGD", "Baseline"), ("UDA+PGD", "UDA+FGM")):
        scores = [rows[(rows.corpus == "y") & (rows.model == model)].f1_macro for model in (a, b)]
        test = statistics.paired_t(*scores)
        line = table.loc["y", a, b]
        assert (line.f1_macro_difference, line.f1_macro_low, line.f1_macro_p) == pytest.approx(
            (test.difference, test.low, test.p)
        )
    p = table[["accuracy_p", "f1_macro_p"]].to_numpy().ravel()
    assert np.allclose(table[["accuracy_p_holm", "f1_macro_p_holm"]].to_numpy().ravel(), statistics.holm(p))
    assert "over all 48 tests" in content.note and "Δ manual accuracy" not in content.display
    assert contents["x_table_3_differences"].body.accuracy_low.isna().all(), "one seed has no interval"
    rows = rows[rows.seed < 2]
    content = beyond_a.differences(study)
    assert content.body.accuracy_p.isna().all() and content.body.accuracy_low.notna().all(), "two are not tested"
    assert "nothing is tested" in content.note


def test_classes_of_equal_size_are_in_one_bin():
    sizes = np.array([5, 1, 1, 1, 9, 2, 0, 30])
    tested = np.array([0, 0, 1, 2, 3, 4, 5, 7])
    bins = beyond_a.frequency_bins(sizes, tested)
    assert [(name, classes.tolist()) for name, classes in bins] == [
        ("1", [1, 2, 3]),
        ("2", [5]),
        ("5", [0]),
        ("9–30", [4, 7]),
    ]
    assert [name for name, _ in beyond_a.frequency_bins(np.array([8, 8]), np.array([0, 1]))] == ["8"]


def test_accuracy_by_frequency_adds_up(made):
    study, contents = made
    table = contents["x_frequency"].numbers
    for model in ("UDA", "TF-IDF + SVM"):
        mine = table[table.model == model]
        right = [
            (logits.argmax(1) == labels).sum() for _, labels, logits in (run.on(None) for run in runs_of(study, model))
        ]
        assert (mine.accuracy_mean * mine.n_test).sum() == pytest.approx(np.mean(right))
        assert mine.classes.sum() == 3


def test_classes_are_counted_by_the_labels_that_the_runs_used(made):
    study, _ = made
    source = study.source
    for share in (1.0, 0.4):
        baseline = replace(study.baseline, labelled=share)
        first, other = (study.get(study.large_specs(source, baseline, 2))[seed] for seed in (0, 1))
        sizes = beyond_a.learned_sizes(first)
        assert sizes.sum() == first.result["n_train"] and (sizes == beyond_a.learned_sizes(other)).all()
        every = trained_sizes(source.load())
        assert sizes.tolist() == [max(1, round(share * n)) for n in every.tolist()]


def test_relations_in_the_tree():
    related = beyond_a.relations(("a/x/1", "a/x/2", "a/y/1", "b", "c"))
    assert related[0].tolist() == [0, 1, 2, 3, 3] and related[3].tolist() == [3, 3, 3, 0, 3], (
        "leaves of the first level have no parent"
    )


def test_sibling_errors_agree_with_table_3(made):
    _, contents = made
    shares = contents["x_siblings"].per_seed.set_index(["model", "seed"])
    scores = contents["a_table_3"].per_seed.set_index(["model", "seed"])
    assert np.allclose(shares[list(beyond_a.RELATIONS)].sum(axis=1), 1)
    for key in shares.index:
        assert shares.right[key] == pytest.approx(scores.accuracy[key])
        wrong = 1 - shares.right[key]
        expected = shares.sibling[key] / wrong if wrong else math.nan
        assert expected == pytest.approx(scores.sibling_confusion[key], nan_ok=True)


def test_what_these_data_do_not_allow_is_said(made):
    study, contents = made
    assert contents["x_wrong_labels"].note == f"{study.corpus.name}: n/a, nobody knows the true labels."
    assert contents["a_fig_4"].note == "n/a: one corpus only.", "a table stands for the second corpus"


def test_mixed_up_branches_are_scored_at_every_level(made):
    study, contents = made
    assert study.branches == ("it",), "'other' stands alone"
    names = study.corpus.label_names
    table = contents["x_branches"].body.set_index(["branches", "model"])
    assert list(table.index) == [
        (share, model) for share in (0.0, 1.0) for model in ("Baseline", "Baseline+FGM", "Baseline+PGD")
    ], "half of one branch is that one"
    for (model, share), specs in study.branch_specs().items():
        (run,) = study.get(specs)
        _, labels, logits = run.on(None)
        line, classes = table.loc[share, model], logits.argmax(1)
        it = {k for k, name in enumerate(names) if name.startswith("it/")}
        right = [a == b or {a, b} <= it for a, b in zip(labels.tolist(), classes.tolist(), strict=True)]
        assert line.accuracy_mean == pytest.approx((labels == classes).mean())
        assert line.parent_accuracy_mean == pytest.approx(np.mean(right))
        assert (line.changed_mean > 0) == (share > 0) and line.changed_mean < 0.7
        if model != "Baseline":
            gain = line.accuracy_mean - table.accuracy_mean[share, "Baseline"]
            assert line.accuracy_difference == pytest.approx(gain) and np.isnan(line.accuracy_difference_low)
    assert "manual_accuracy" not in contents["x_branches"].display, "nobody knows the truth"


def test_differences_under_mixed_up_branches_are_paired_by_seed(made):
    study, _ = made
    study = Study(study.data, "smoke", overrides=OVERRIDES | {"curve_seeds": 3}, workers=1)
    content = find("x_branches").make(study)
    rows = content.per_seed[content.per_seed.branches == 1].set_index(["model", "seed"]).accuracy
    line = content.body.set_index(["branches", "model"]).loc[1, "Baseline+PGD"]
    test = statistics.paired_t(rows["Baseline+PGD"], rows["Baseline"])
    found = (line.accuracy_difference, line.accuracy_difference_low, line.accuracy_difference_high)
    assert found == pytest.approx((test.difference, test.low, test.high), nan_ok=True) and line.n_seeds == 3


def test_further_corpora_have_baseline_the_whole_method_and_both_svms(made, monkeypatch):
    study, contents = made
    assert contents["x_further_corpora"].body.empty and contents["x_further_corpora"].note.startswith("n/a")
    monkeypatch.setattr(Study, "further", property(lambda self: self.large))  # as if they were others
    content = beyond_a.further_corpora(study)
    table = content.body.set_index("model")
    assert list(table.index) == ["Baseline", WHOLE, SVM_CUT, "TF-IDF + SVM"]
    used = {run.folder for model in table.index for run in runs_of(study, model)}
    assert {run.folder for run in content.runs} == used
    rows = content.per_seed.set_index("model")
    assert table.accuracy_difference[WHOLE] == pytest.approx((rows.accuracy[WHOLE] - rows.accuracy["Baseline"]).mean())
    assert table.accuracy_difference.drop(WHOLE).isna().all()
    assert set(study.further_specs()[study.hard, "Baseline"]) <= set(study.plan())


def test_equal_budgets_are_compared_by_seed(made):
    study, contents = made
    content = contents["x_equal_budget"]
    table = content.body.set_index("model")
    assert list(table.index) == ["Baseline", "Baseline+FGM", "Baseline+PGD", EQUAL_BUDGET]
    specs = {model: each for (_, model), each in study.budget_specs().items()}
    attack = specs[EQUAL_BUDGET][0].method.adversarial
    assert attack.stride * attack.steps == pytest.approx(2.5 * study.profile.fgm.epsilon)
    scores = {model: [np.mean(np.equal(*(lambda _, y, z: (y, z.argmax(1)))(*run.on(None)))) for run in study.get(each)]
              for model, each in specs.items()}  # fmt: skip
    for model, other in (
        (EQUAL_BUDGET, "Baseline+FGM"),
        ("Baseline+PGD", "Baseline+FGM"),
        ("Baseline+FGM", "Baseline"),
    ):
        assert table.accuracy_mean[model] == pytest.approx(np.mean(scores[model]))
        assert table.accuracy_difference[model] == pytest.approx(np.mean(scores[model]) - np.mean(scores[other]))
    assert np.isnan(table.accuracy_difference["Baseline"])
    twins = (study.get(study.ten_specs()[study.source, "Baseline+PGD"])[0], study.get(specs["Baseline+PGD"])[0])
    assert twins[0].folder == twins[1].folder, "trained once"


@pytest.mark.parametrize("labels", [("billing", "network"), ("it/billing", "tv/network")])
def test_labels_without_a_branch_cannot_be_mixed_up(home, labels):
    table = write_csv(home / "flat.csv", ("text", "label"), tickets(dict.fromkeys(labels, 40)))
    study = Study(str(table), "smoke", overrides=OVERRIDES, workers=1)
    content = show(study, "x_branches").content
    assert content.note == "n/a: no two labels of flat have a parent in common, so no branch can be mixed up."
    assert content.body.empty and study.branch_specs() == {} and content.per_seed is None


def test_every_variant_is_compared_with_its_plain_member_and_with_baseline(made):
    study, contents = made
    table = contents["x_ablations_a"].body.set_index("model")
    assert list(table.index) == [model for _, model in study.variant_specs()]
    score = {}

    def accuracy(specs, split):
        scored = (run.on(None, split) for run in study.get(specs))
        return np.mean([(labels == logits.argmax(1)).mean() for _, labels, logits in scored])

    for (_, model), specs in study.variant_specs().items():
        assert len(specs) == 2
        score[model] = accuracy(specs, "test")
        assert table.accuracy_mean[model] == pytest.approx(score[model])
        assert table.dev_accuracy_mean[model] == pytest.approx(accuracy(specs, "dev"))
    for model, line in table.iterrows():
        if model != "Baseline":
            assert line.accuracy_beyond_baseline == pytest.approx(score[model] - score["Baseline"])
        plain = model in ("Baseline", *study.variants)
        assert np.isnan(line.accuracy_difference) == plain
        assert plain or line.accuracy_difference == pytest.approx(score[model] - score[line.family])
    best = table.groupby("family", sort=False).dev_accuracy_mean.idxmax()
    assert f"prefers {'; '.join(best[1:])}." in contents["x_ablations_a"].note
    relatives = study.relative_specs()
    for model in ("UDA, cross-entropy", "UDA, no TSA"):
        once, again = (study.get(specs)[0].folder for specs in (relatives[model], study.variant_specs()["UDA", model]))
        assert once == again, "trained once"


def test_spread_is_of_the_raw_logits(made):
    study, contents = made
    table = contents["a_fig_3"].numbers.set_index("model")
    expected = [run.on(None)[2].astype(float).std(axis=1).mean() for run in runs_of(study, "UDA+FGM")]
    assert table.spread_mean["UDA+FGM"] == pytest.approx(np.mean(expected)) and len(table) == 10
    n = len(study.corpus.rows("test"))
    assert f"calls: {n} and {n}" in contents["a_fig_3"].note


def test_losses_are_those_of_the_steps(made):
    study, contents = made
    table = contents["a_fig_5"].numbers
    runs = runs_of(study, "Baseline+PGD")
    of_each = contents["a_fig_5"].per_seed.set_index(["model", "seed"])
    assert of_each.index.is_unique and len(of_each) == 10 * len(runs), "one row per run"
    for term in ("loss", "sup", "ce"):
        for run in runs:
            found = adversarial.steadiness(run.steps[term].to_numpy())
            assert of_each[f"{term}_step_sd"]["Baseline+PGD", run.spec.seed] == pytest.approx(found["step_sd"])
        mine = table[(table.model == "Baseline+PGD") & (table.term == term)]
        steps = np.stack([adversarial.smooth(run.steps[term].to_numpy(), max(1, len(run.steps) // 20)) for run in runs])
        assert np.allclose(mine.smoothed, steps.mean(axis=0)[mine.step - 1])


def test_a_cross_entropy_that_is_the_supervised_loss_is_drawn_once(made):
    study, contents = made
    content = contents["a_fig_5"]
    alike = all(np.allclose(run.steps.sup, run.steps.ce, atol=1e-4) for model in ("Baseline", "UDA", "UDA+ESimCSE+PGD")
                for run in runs_of(study, model))  # fmt: skip
    assert len(content.body.axes) == 2 * (2 if alike else 3) and ("drawn again" in content.note) == alike
    assert set(content.numbers.term) == {"loss", "sup", "ce"}, "the numbers have them all"


def test_smooth_and_steadiness():
    assert adversarial.smooth(np.array([1.0, 2, 6, 3]), 3).tolist() == [1.5, 3, 11 / 3, 4.5]
    falling = adversarial.steadiness(np.array([8.0, 6, 4, 2, 1]))
    assert falling["steps_to_half"] == 3
    assert falling["step_sd"] == pytest.approx(np.std([-2, -2, -2, -1], ddof=1))
    assert falling["halved"] == 1
    never = adversarial.steadiness(np.array([2.0, 2.0]))
    assert (never["steps_to_half"], never["halved"]) == (2, 0), "it counts with all its steps"


def test_a_map_is_drawn_once_and_alike(tmp_path, monkeypatch):
    store, vectors = Store(tmp_path), np.random.default_rng(0).normal(size=(12, 5)).astype(np.float32)
    first = projection.tsne([vectors, vectors[:8]], 2, store, 1)
    assert [places.shape for places in first] == [(12, 2), (8, 2)]
    assert np.array_equal(first[0], projection.placed(vectors, 2))
    assert projection.placed(vectors, 64).shape == (12, 64), "more components than texts or classes, as in the paper"
    monkeypatch.setattr(projection, "placed", lambda *_: pytest.fail("computed again"))
    assert np.array_equal(projection.tsne([vectors], 2, store, 1)[0], first[0])


# --- 06 --------------------------------------------------------------------------------------------------------------


def test_table_4_keeps_its_contract(made):
    study, _ = made
    rows = rows_of(study, "a_table_4.csv")
    assert list(rows[0])[:11] == ["corpus", "model", "attack", "epsilon", "n_seeds", "sa_mean", "sa_low", "sa_high", "ra_mean",
                                  "ra_low", "ra_high"]  # fmt: skip
    assert list(rows[0])[11:] == [
        f"norm_{unit}_{part}" for unit in ("relative", "absolute") for part in ("mean", "low", "high")
    ]
    found = [(row["model"], row["attack"]) for row in rows]
    crossed = [(f"{family}+{trained}", kind) for family in ("Baseline", "UDA", "UDA+ESimCSE") for trained, kind in
               (("FGM", "pgd"), ("PGD", "fgm"))]  # fmt: skip
    assert found[:12] == [pair for model, kind in crossed for pair in ((model, kind), (model.rpartition("+")[0], kind))]
    assert found[12:] == [(model, f"{kind}, other texts") for model, kind in crossed]
    assert {(row["epsilon"], row["n_seeds"]) for row in rows} == {("0.2", "1")}


def test_standard_accuracy_is_that_of_the_saved_outputs(made):
    study, contents = made
    rows = contents["a_table_4"].per_seed
    sample = pools(study.corpus, 14).sa
    for model in ("Baseline", "UDA+ESimCSE+PGD"):
        for run in runs_of(study, model):
            tested, labels, logits = run.on(None)
            right = (logits.argmax(1) == labels)[np.isin(tested, sample)].mean()
            mine = rows[(rows.model == model) & (rows.seed == run.spec.seed)]
            assert len(mine) == 2 and np.allclose(mine.sa, right) and (mine.n_sa == 14).all()
            assert np.allclose(mine.norm_relative, 0.2, atol=1e-3)


def test_norms_are_those_of_the_texts_that_are_attacked(made):
    study, contents = made
    table = contents["a_table_4"].per_seed.set_index(["model", "attack"])
    heat = contents["x_attacks"].numbers.set_index(["model", "attack"])
    curve = contents["x_epsilon"].numbers.set_index(["model", "attack", "epsilon"])
    (run,), paired = runs_of(study, "UDA+FGM"), pools(study.corpus, 14, paired=False)
    network, prepared = run.model(study.store)
    for attack, rows in (("pgd", paired.sa), ("pgd, other texts", paired.ra)):
        lengths = [
            (network.embed(batch.ids) * batch.inside[..., None]).flatten(1).norm(dim=1)
            for batch in evaluation_batches(prepared.texts, rows)
        ]
        expected = 0.2 * torch.cat(lengths).mean().item()
        assert table.norm_absolute["UDA+FGM", attack] == pytest.approx(expected, rel=1e-3)
    assert heat.norm_absolute_mean["UDA+FGM", "pgd"] == pytest.approx(table.norm_absolute["UDA+FGM", "pgd"])
    assert heat.norm_absolute_mean["UDA+FGM", "none"] == 0
    weak, strong = (curve.norm_absolute_mean["Baseline", "fgm", epsilon] for epsilon in (0.2, 0.6))
    assert strong == pytest.approx(3 * weak, rel=1e-3) and curve.norm_absolute_mean["Baseline", "fgm", 0.0] == 0
    for name in ("a_table_4", "x_attacks", "x_epsilon"):
        assert f"‖emb‖ of a text, mean over models and texts: {study.corpus.name} " in contents[name].note


def test_exhibits_agree_on_what_they_share(made):
    _, contents = made
    table = contents["a_table_4"].body.set_index(["model", "attack"])
    heat = contents["x_attacks"].numbers.set_index(["model", "attack"])
    curve = contents["x_epsilon"].numbers.set_index(["model", "attack", "epsilon"])
    for model, attack in (("UDA+ESimCSE+FGM", "pgd"), ("Baseline", "fgm")):
        assert table.ra_mean[model, attack] == heat.accuracy_mean[model, attack] == curve.ra_mean[model, attack, 0.2]
        assert table.sa_mean[model, attack] == heat.accuracy_mean[model, "none"] == curve.ra_mean[model, attack, 0.0]
    assert len(heat) == 10 * 5 and len(curve) == 6 * 3 * 3


def test_controls_are_compared_with_what_they_say(made):
    study, contents = made
    table = contents["x_ra_above_sa"].body.set_index("control")
    tried = [
        each for each in robustness.attacked(study) if each.model in robustness.CONTROLLED and each.run.spec.seed == 0
    ]
    assert len(tried) == 4 and list(table.index) == list(controls.READINGS)
    mean = {
        name: np.mean([each.right(name).mean() for each in tried])
        for name in ("", "noise", "pgd", "restarts", "transfer")
    }
    expected = {"random noise": ("noise", ""), "PGD": ("pgd", ""), "PGD, restarts": ("restarts", "pgd"),
                "PGD, of the untrained counterpart": ("transfer", "pgd")}  # fmt: skip
    for control, (name, against) in expected.items():
        line = table.loc[control]
        assert line.accuracy == pytest.approx(mean[name]) and line.difference == pytest.approx(
            mean[name] - mean[against]
        )
        assert line.low <= line.difference <= line.high
    clean = np.mean([each.right().mean() for each in tried])
    for control, hit in (("no attack, other texts", False), ("the attack of Table 4, other texts", True)):
        line = table.loc[control]
        assert line.accuracy == pytest.approx(np.mean([each.right_of_others(hit).mean() for each in tried]))
        assert line.difference == pytest.approx(line.accuracy - clean) and line.low <= line.difference <= line.high


@pytest.mark.parametrize("common", [0, 40, 80])
def test_two_draws_of_the_same_texts_differ_as_often_as_they_should(common):
    """Half of the texts of both draws, or all of them, may be the same."""
    random, covered, widths = np.random.default_rng(common), 0, []
    rows, others = np.arange(80), np.arange(80 - common, 160 - common)
    for _ in range(60):
        hits = random.random((3, 200)) < random.random(200)  # texts differ in how hard they are
        found = controls.between_draws(hits[:, rows], rows, hits[:, others], others)
        assert found.mean == pytest.approx(hits[:, rows].mean() - hits[:, others].mean())
        covered += found.low <= 0 <= found.high
        widths.append(found.high - found.low)
    assert 52 <= covered <= 60
    if not common:  # of two samples that share nothing; three models agree on a text more often than not
        assert 0.6 < np.mean(widths) / (2 * 1.96 * np.sqrt(2 * 0.25 / 80)) < 1
    assert common < 80 or max(widths) < 1e-9, "the same texts have the same accuracy"


def test_the_communitys_radius_shrinks_with_the_batch(made):
    study, contents = made
    table = contents["x_scope"].numbers.set_index(["scope", "positions", "batch_size"]).norm_mean
    assert np.allclose(table["example"], study.profile.fgm.epsilon, atol=1e-4), "ours leaves special tokens alone"
    assert table["matrix", "words", 16] < table["matrix", "words", 1] <= table["matrix", "all", 1]


def test_changed_words_are_scored_on_the_texts_of_table_4(made):
    study, contents = made
    content = contents["x_text_attacks"]
    rows, table = content.per_seed, content.body.set_index("model")
    curve = contents["x_text_budget"].numbers.set_index(["model", "attack", "budget"])
    sample = pools(study.corpus, SETTINGS["reworded"]).sa
    assert set(rows.model) == set(reworded.MODELS) and set(rows.n_test) == {SETTINGS["reworded"]}
    assert set(sample) <= set(pools(study.corpus, 14).sa), "of the texts that embeddings are attacked on"
    tried = {each.model: each for each in robustness.attacked(study)}
    for model in ("Baseline", "UDA+ESimCSE+PGD"):
        mine = rows[rows.model == model].set_index(["attack", "budget"])
        each = tried[model]
        chosen = np.isin(each.rows, sample)
        for kind in ("fgm", "pgd"):
            right = each.right(kind)[chosen].mean()
            assert mine.accuracy[kind, 0.2] == table.loc[model, f"{kind}_mean"] == pytest.approx(right)
        assert mine.accuracy["none", 0.0] == table.clean_mean[model] == pytest.approx(each.right()[chosen].mean())
        (found,) = rewording.reword([each.run], (0.1, 0.2), [np.sort(sample)], study.store, 1)
        for number, (way, choice, share) in enumerate(rewording.trials((0.1, 0.2)), start=1):
            line = mine.loc[(f"{way}, {choice}", share)]
            assert line.accuracy == pytest.approx(found.right[number].mean())
            assert line.changed == pytest.approx(found.changed[number].mean())
            assert curve.accuracy_mean[model, f"{way}, {choice}", share] == pytest.approx(line.accuracy)
            assert share != 0.2 or table.loc[model, f"{way}_{choice}_mean"] == pytest.approx(line.accuracy)
        assert mine.accuracy["typos, greedy", 0.2] <= mine.accuracy["typos, greedy", 0.1] <= mine.accuracy["none", 0.0]
    assert list(content.display.columns[3:]) == ["clean", "synonyms_random", "synonyms_greedy", "typos_random",
                                                 "typos_greedy", "fgm", "pgd"]  # fmt: skip
    assert len(table) == 7 and table.clean_low.isna().all(), "one seed has no interval"
    could = found.changeable.sum(axis=1) / found.words.sum()
    assert f"synonyms {could[0]:.0%}, typos {could[1]:.0%}" in content.note
    assert len(curve) == 7 * (1 + 4 * 2)


def test_calibration_is_that_of_the_saved_outputs(made):
    study, contents = made
    content = contents["x_calibration"]
    table = content.body.set_index("model")
    assert len(table) == 10 and len(content.per_seed) == 2 * 10
    for model in ("Baseline", "UDA+FGM"):
        (run,) = runs_of(study, model)
        _, labels, logits = run.on(None)
        dev = [row for row in study.corpus.rows("dev").index]
        place = [run.outputs["rows"].tolist().index(row) for row in dev]
        t = fit_temperature(run.outputs["logits"][place], study.corpus.table.label.to_numpy()[dev])
        assert table.t_mean[model] == pytest.approx(t)
        plain, scaled = calibration(logits, labels), calibration(logits / t, labels)
        assert table.ece_mean[model] == pytest.approx(plain["ece"]) and table.ece_scaled_mean[model] == pytest.approx(
            scaled["ece"]
        )
        assert table.accuracy_mean[model] == pytest.approx(plain["accuracy"]) == pytest.approx(scaled["accuracy"])
        assert table.confidence_mean[model] == pytest.approx(plain["confidence"])
