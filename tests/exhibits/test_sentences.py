"""Notebook 04_esimcse: what its exhibits say follows from the runs by other means."""

import numpy as np
import pandas as pd
import pytest

from paperkit.evaluate import embeddings
from paperkit.exhibits import sentences
from paperkit.exhibits.exhibit import REGISTRY, find, show
from paperkit.study import Study
from paperkit.text.augment import Augmentation, augmented
from paperkit.text.edits import edit_similarity
from paperkit.text.vocabulary import Encoded
from tests.small import SETTINGS, tickets, write_csv

find("b_table_1")
NAMES = ["x_eda_negatives", "x_length_bias", "x_queue", "x_sentence_probes", "x_table_3_esimcse"]
TRAINED = ["SimCSE", "ConSERT", "ESimCSE", "ESimCSE, random start"]


def read(study: Study, file: str) -> pd.DataFrame:
    return pd.read_csv(study.folder / file)


def test_every_exhibit_of_the_notebook_is_here():
    assert sorted(name for name, item in REGISTRY.items() if item.notebook == "04_esimcse") == NAMES


def test_every_encoder_is_probed_on_every_corpus(embedded):
    study, shown = embedded
    table = read(study, "x_sentence_probes.csv")
    triples = [f"{probe}_{part}" for probe in sentences.PROBES for part in ("mean", "low", "high")]
    assert list(table.columns) == ["corpus", "model", "n_seeds", *triples]
    for corpus in ("newswire", "tickets"):
        mine = table[table.corpus == corpus].set_index("model")
        assert list(mine.index) == ["untrained", "untrained, whitened", *TRAINED]
        assert abs(mine.anisotropy_mean["untrained, whitened"]) < 0.05
        assert mine[["knn_accuracy_mean", "linear_accuracy_mean"]].stack().between(0, 1).all()
    content = shown["x_sentence_probes"].content
    assert len(content.runs) == len(TRAINED) * 2 and "One seed" in content.note


def test_alignment_and_nearest_neighbours_by_hand(embedded):
    """Of the states that the encoder pools, each text on its own, without padding or projection."""
    import torch

    study, _ = embedded
    source = study.hard
    run = study.get(study.sentence_specs()[source, "ESimCSE"])[0]
    model, prepared = run.model(study.store)
    corpus = source.load()
    rows = {split: embeddings.sample(corpus, split, 60) for split in ("train", "dev", "test")}

    def states(texts: Encoded, which) -> np.ndarray:
        with torch.no_grad():
            return np.array([
                model.body(input_ids=torch.tensor(texts[i])[None].long()).last_hidden_state[0].mean(dim=0).numpy() for i in which
            ])  # fmt: skip

    def unit(x):
        return x / np.linalg.norm(x, axis=1, keepdims=True)

    found = embeddings.probed(run, "trained", study.store, 60, 60)
    train, test = unit(states(prepared.texts, rows["train"])), unit(states(prepared.texts, rows["test"]))
    repeated = prepared.encode(
        augmented(corpus, rows["train"], Augmentation("repetition"), embeddings.SAMPLE_SEED, 0, study.store)
    )
    positives = unit(states(repeated, range(60)))
    assert found["alignment"] == pytest.approx(((train - positives) ** 2).sum(axis=1).mean(), rel=1e-3)
    assert found["anisotropy"] == pytest.approx((train @ train.T)[np.triu_indices(60, 1)].mean(), rel=1e-3)
    assert 0 <= found["knn_accuracy"] <= 1 and found["n_test"] == len(test) <= 60


def test_an_untrained_encoder_is_the_one_that_training_starts_from(embedded):
    study, _ = embedded
    runs = [study.get(specs)[0] for (source, _), specs in study.sentence_specs().items() if source == study.hard]
    before = [embeddings.network(run, "untrained", study.store)[0].state_dict() for run in runs]
    for name, value in before[0].items():
        assert all((value == other[name]).all() for other in before[1:])
    after = runs[0].model(study.store)[0].state_dict()
    assert any((value != after[name]).any() for name, value in before[0].items())
    assert len({str(embeddings._identity(run, "untrained", 9, 9)) for run in runs}) == 1, "probed once, kept for all"


def test_texts_are_cut_at_lengths_that_their_ids_draw():
    lengths = [3, 4, 10, 40]
    flat = np.concatenate([[1, *range(10, 8 + n), 2] for n in lengths]).astype(np.int32)
    texts = Encoded(flat, np.concatenate([[0], np.cumsum(lengths)]), special=(1, 2))
    rows = np.array([3, 2, 1, 0] * 50)
    cut = embeddings.shortened(texts, rows, [str(number) for number in range(200)])
    for number, row in enumerate(rows):
        tokens = cut[number].tolist()
        assert 3 <= len(tokens) <= lengths[row] and tokens[-1] == 2
        assert tokens[:-1] == texts[row][: len(tokens) - 1].tolist()
    assert np.ptp(cut.lengths[rows == 3]) > 30 and len(set(cut.lengths[rows == 3].tolist())) > 15
    assert set(cut.lengths[rows == 1].tolist()) == {3, 4} and set(cut.lengths[rows == 0].tolist()) == {3}


def test_bins_of_length_difference(embedded):
    study, shown = embedded
    numbers = read(study, "x_length_bias.csv")
    content = shown["x_length_bias"].content
    assert [axis.get_title() for axis in content.body.axes] == ["newswire", "tickets"]
    for (_, _), mine in numbers.groupby(["corpus", "model"]):
        assert np.average(mine.centred_mean, weights=mine.pairs) == pytest.approx(0, abs=1e-6)
        assert (mine["to"] >= mine["from"]).all()
    assert set(numbers.model) == set(sentences.DRAWN)
    assert numbers.groupby("corpus").pairs.apply(list).map(lambda pairs: len(pairs) % 3 == 0).all()


def test_negatives_are_counted_by_the_papers_rule(embedded):
    study, _ = embedded
    table = read(study, "x_eda_negatives.csv")
    assert table.rate.tolist() == [*sentences.RATES] * 2
    source = study.hard
    rows = sentences.sample(source.load(), sentences.NEGATIVES)
    texts = source.load().table.text.iloc[rows]
    for line in table[table.corpus == source.name].itertuples():
        new = augmented(source.load(), rows, Augmentation("eda-negative", line.rate), 0, 0, study.store)
        similarity = [edit_similarity(*pair) for pair in zip(texts, new, strict=True)]
        assert line.negatives == sum(each < 0.5 for each in similarity)
        assert line.lowest == pytest.approx(min(similarity)) and line.n_texts == len(texts)
    assert table.negatives[table.rate == 0.1].sum() == 0 < table.negatives[table.rate == 0.8].sum()


def test_the_queue_fills_and_stays_full(embedded):
    study, shown = embedded
    numbers = read(study, "x_queue.csv")
    size = round(2.5 * study.profile.finetune.batch_size)
    filled = numbers[numbers.what == "queue"]
    assert set(filled.model) == {"ESimCSE", "ESimCSE, random start", "UDA+ESimCSE"}
    for _, mine in filled.groupby("model"):
        assert mine["mean"].is_monotonic_increasing and mine["mean"].iloc[-1] <= size
    assert set(numbers.model[numbers.what == "sim"]) == {*TRAINED, "UDA+ESimCSE"}
    assert f"a queue of {size}" in shown["x_queue"].content.note


def test_esimcse_is_compared_with_what_it_is_added_to(embedded):
    study, _ = embedded
    table = read(study, "x_table_3_esimcse.csv")
    assert table.accuracy_difference.notna().tolist() == table.model.str.contains("ESimCSE").tolist()
    for corpus, mine in table.groupby("corpus"):
        mine = mine.set_index("model")
        for model, without in sentences.FOUR.items():
            gain = mine.accuracy_mean[model] - mine.accuracy_mean[without]
            assert mine.accuracy_difference[model] == pytest.approx(gain), corpus
    assert table.sibling_confusion_mean[table.corpus == "newswire"].isna().all()


def test_a_table_with_a_tree_and_rare_classes(home):
    rows = tickets({"a/billing": 30, "a/network": 25, "b/other": 20, "b/rare": 2, "": 15})
    table = write_csv(home / "mine.csv", ("text", "label"), [(f"{text} secret", label) for text, label in rows])
    study = Study(str(table), "smoke", overrides=SETTINGS | {"esimcse.queue": 0.0}, workers=1)
    made = {name: show(study, name).content for name in NAMES}
    assert made["x_queue"].numbers.what.eq("sim").all(), "without a queue there is nothing to fill"
    assert made["x_eda_negatives"].body.n_texts.max() <= 100
    assert made["x_sentence_probes"].body.corpus.eq("mine").all()
    written = [file for file in study.folder.iterdir() if file.suffix in (".csv", ".md", ".tex", ".json")]
    assert written and not any("secret" in file.read_text(encoding="utf-8") for file in written)
