"""The stated search behind paper A's settings in the cpu profile: one term and one change at a time, on dev, never on test.

    python benchmarks/tune_paper_a.py [public]            # writes docs/tuning_paper_a_<data>.csv

What all models share is judged by the Baseline; what belongs to a term by Baseline with that term alone, so that the
final model is not favoured. The profile takes what is near the best on all corpora; twice the epochs it does not take, for
time. Runs come from the store: a second call computes nothing.
"""

import sys
from dataclasses import replace

import pandas as pd

from paperkit import paths
from paperkit.contract import to_csv
from paperkit.exhibits.beyond_a import dev_accuracy
from paperkit.papers import BASELINE, ESIMCSE, FGM, PGD, UDA
from paperkit.study import Study

SEEDS = 2
SHARED = [{}, {"learning_rate": 5e-4, "head_learning_rate": 5e-3}, {"learning_rate": 2e-3}, {"head": "random"},
          {"epochs": 2}]  # fmt: skip
"""Of the training; epochs in multiples of the profile's."""
TERMS = {
    "UDA": (UDA, "consistency", [{}, {"weight": 0.3}, {"weight": 0.3, "tsa": "none"}, {"tsa": "none"},
                                 {"weight": 0.3, "temperature": 0.4, "confidence": 0.5}]),
    "Baseline+ESimCSE": (ESIMCSE, "contrast", [{}, {"weight": 0.1}, {"weight": 0.02}, {"weight": 0.1, "temperature": 0.1},
                                               {"weight": 0.1, "queue": 0.0}]),
    "Baseline+FGM": (FGM, "adversarial", [{}, {"epsilon": 0.5}, {"epsilon": 0.25}, {"epsilon": 0.1}, {"epsilon": 0.05}]),
    "Baseline+PGD": (PGD, "adversarial", [{}, {"epsilon": 0.5, "step_size": 0.15}, {"epsilon": 0.25, "step_size": 0.075},
                                          {"epsilon": 0.1, "step_size": 0.03}, {"epsilon": 0.05, "step_size": 0.015}]),
}  # fmt: skip
"""Of each term the papers' or the community's setting first; five trials each, as for what is shared."""


def candidates(data: str):
    """Study, model and what it changes."""
    epochs = Study(data, "cpu").profile.finetune.epochs
    for change in SHARED:
        of_training = {
            f"finetune.{name}": value * epochs if name == "epochs" else value for name, value in change.items()
        }
        study = Study(data, "cpu", overrides=of_training)
        yield study, replace(BASELINE, labelled=study.profile.labelled), change
    study = Study(data, "cpu")
    base = replace(BASELINE, labelled=study.profile.labelled)
    for name, (term, switch, changes) in TERMS.items():
        for change in changes:
            yield study, replace(base, name=name, **{switch: replace(term, **change)}), change


def said(name: str, value: float | str) -> str:
    return f"{value} times the epochs" if name == "epochs" else f"{name}={value}"


def main(data: str = "embedded") -> None:
    lines = []
    for study, method, change in candidates(data):
        for source in study.large:
            runs = study.get(study.large_specs(source, method, SEEDS))
            scores = [dev_accuracy(run) for run in runs]
            lines.append({"corpus": source.load().name, "model": method.name,
                          "change": ", ".join(said(name, value) for name, value in change.items()) or "the start",
                          "n_train": runs[0].result["n_train"], "n_dev": len(runs[0].on(None, "dev")[0]), "n_seeds": len(scores),
                          "dev_accuracy": pd.Series(scores).mean()})  # fmt: skip
            print(lines[-1], flush=True)
    table = pd.DataFrame(lines).sort_values(["corpus", "model"], kind="stable")
    (paths.ROOT / "docs" / f"tuning_paper_a_{data}.csv").write_text(to_csv(table), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
