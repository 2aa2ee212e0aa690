"""Accuracy under changed words against searches written out, one text and one query at a time; what is kept."""

import math

import numpy as np
import pytest
import torch

from paperkit import runs
from paperkit.evaluate import rewording
from paperkit.evaluate.rewording import CANDIDATES, MOST_WORDS, TRIES, WAYS, budget, reworded, trials, wordings
from paperkit.papers import BASELINE
from paperkit.runs import RunSpec, Source
from paperkit.store import Store
from paperkit.text.lexicon import lexicon
from paperkit.text.pieces import joined
from paperkit.text.tokens import TokenOptions
from paperkit.training.methods import Schedule
from tests.small import reviews, tickets, write_csv

SCHEDULE = Schedule(epochs=3, batch_size=8, learning_rate=1e-2, head_learning_rate=3e-2, dropout=(0, 0, 0.1))
SHARES = (0.1, 0.3)
ODD = [("42 !", "billing"), ("invoice", "billing"), ("an it at", "network")]
"""Texts without a word, of one word, and of none that can be changed."""


def train(folder, rows, max_length=24):
    table = write_csv(folder / "mine.csv", ("text", "label", "split"), rows)
    source = Source(str(table), text="text", label="label", split="split")
    store = Store(folder / "store")
    spec = RunSpec(source, None, BASELINE, TokenOptions("tiny", max_length=max_length), SCHEDULE, 0)
    (run,) = runs.get([spec], store, 1)
    return store, run, source.load().rows("test").index.to_numpy()


@pytest.fixture(scope="module")
def english(tmp_path_factory):
    rows = [(text, label, ("train", "test", "train", "dev")[number % 4])
            for number, (text, label) in enumerate(tickets({"billing": 60, "network": 50, "other": 40}))]  # fmt: skip
    rows += [(text, label, "test") for text, label in ODD]
    return train(tmp_path_factory.mktemp("english"), rows)


@pytest.fixture(scope="module")
def chinese(tmp_path_factory):
    rows = [
        (text, label, "test" if number % 3 == 0 else "train")
        for number, (text, label, _) in enumerate(reviews(120, ("",)))
    ]
    return train(tmp_path_factory.mktemp("chinese"), rows, 20)


def ask(network, prepared, label, pieces, language):
    """One query, computed alone."""
    encoded = prepared.encode([joined(pieces, language)])
    ids = torch.tensor(np.array(encoded[0], dtype=np.int64))[None]
    with torch.no_grad():
        z = network(ids, torch.tensor([ids.shape[1]]))[0]
    return z.argmax().item() == label, z.softmax(-1)[label].item()


def by_hand(text, way, share, network, prepared, label, language):
    """Whether a text stands, and the share of its words that were changed, by a greedy search without any sharing."""
    now, most = list(text.pieces), budget(share, len(text.words))
    right, p = ask(network, prepared, label, now, language)
    if not right:
        return False, 0
    drops = {}
    for place in text.asked:
        if place in text.others[way]:
            drops[place] = p - ask(network, prepared, label, now[:place] + now[place + 1 :], language)[1]
    made = 0
    for tried, place in enumerate(sorted(drops, key=drops.get, reverse=True)):
        if made == most or tried == TRIES * budget(max(SHARES), len(text.words)):
            break
        best = (math.inf, None, None)
        for form in text.others[way][place]:
            still, left = ask(network, prepared, label, [*now[:place], form, *now[place + 1 :]], language)
            if left < best[0]:
                best = (left, form, still)
        if best[0] < p:
            p, now[place], made = best[0], best[1], made + 1
            if not best[2]:
                return False, made
    return True, made


@pytest.mark.parametrize("name", ["english", "chinese"])
def test_the_search_is_that_written_by_hand_one_query_at_a_time(name, request):
    store, run, rows = request.getfixturevalue(name)
    rows = rows[::2]
    corpus = run.spec.source.load()
    found = reworded(run, SHARES, rows, store)
    texts = wordings(corpus, tuple(rows.tolist()), store, run.spec.text)
    network, prepared = run.model(store)
    labels = corpus.table.label.to_numpy()[rows]
    names, differing = trials(SHARES), 0
    assert found.right.shape == found.changed.shape == (1 + 8, len(rows))
    tested, _, logits = run.on(None)
    assert (found.right[0] == (logits[np.isin(tested, rows)].argmax(axis=1) == labels)).all()
    for i, (text, label) in enumerate(zip(texts, labels.tolist(), strict=True)):
        words = max(1, len(text.words))
        for number, (way, choice, share) in enumerate(names, start=1):
            if choice == "random":
                new, changed = list(text.pieces), list(text.others[way])[: budget(share, len(text.words))]
                for place in changed:
                    new[place] = text.others[way][place][0]
                right, made = ask(network, prepared, label, new, corpus.language)[0], len(changed)
            else:
                right, made = by_hand(text, way, share, network, prepared, label, corpus.language)
            # a batch may round a tie another way
            differing += found.right[number, i] != right or found.changed[number, i] != pytest.approx(made / words)
    assert differing <= 0.01 * len(rows) * len(names)
    at = {trial: number for number, trial in enumerate(names, start=1)}
    for way in WAYS:
        assert (found.right[at[way, "greedy", 0.3]] <= found.right[at[way, "greedy", 0.1]]).all(), (
            "one search, ended later"
        )
    assert found.right[at["typos", "greedy", 0.3]].mean() < found.right[0].mean(), "it is an attack"
    assert found.queries.max() <= MOST_WORDS + TRIES * CANDIDATES * budget(0.3, int(found.words.max()))


def test_texts_without_a_word_to_change_stay_as_they_are(english):
    store, run, rows = english
    corpus = run.spec.source.load()
    chosen = [row for row in rows.tolist() if corpus.table.text[row] in dict(ODD)]
    assert len(chosen) == len(ODD)
    found = reworded(run, SHARES, np.array(chosen), store)
    words = dict(zip(corpus.table.text[chosen], zip(found.words, *found.changeable, strict=True), strict=True))
    assert words["42 !"] == (0, 0, 0) and words["an it at"] == (3, 0, 0)
    assert words["invoice"][0] == 1 and words["invoice"][2] == 1
    stuck = found.changeable.sum(axis=0) == 0
    assert (found.right[:, stuck] == found.right[0, stuck]).all() and (found.changed[:, stuck] == 0).all()
    assert (found.queries[:, stuck] == 0).all()
    nothing = reworded(run, SHARES, np.empty(0, dtype=np.int64), store)
    assert nothing.right.shape == (9, 0) and nothing.queries.shape == nothing.changeable.shape == (2, 0)


def test_candidates_are_forms_of_the_word_and_lie_in_what_the_encoder_reads(english, chinese):
    for store, run, rows in (english, chinese):
        corpus = run.spec.source.load()
        whole = wordings(corpus, tuple(rows.tolist()), store)
        read = wordings(corpus, tuple(rows.tolist()), store, TokenOptions("tiny", max_length=8))
        assert sum(len(text.words) for text in read) < sum(len(text.words) for text in whole)
        for short, text in zip(read, whole, strict=True):
            assert joined(text.pieces, corpus.language) in set(corpus.table.text)
            assert short.words == text.words[: len(short.words)]
            assert (
                set(text.asked) <= {place for way in WAYS for place in text.others[way]}
                and len(text.asked) <= MOST_WORDS
            )
            for place, forms in text.others["synonyms"].items():
                assert set(forms) <= set(lexicon(corpus.language).synonyms(text.pieces[place]))
            for place, forms in (each for way in WAYS for each in text.others[way].items()):
                assert place in text.words and 1 <= len(forms) <= CANDIDATES and text.pieces[place] not in forms


def test_budgets_count_as_eda_counts():
    assert [budget(0.1, n) for n in (0, 1, 9, 10, 25)] == [0, 1, 1, 1, 2]
    assert budget(0, 30) == 0 and budget(1.0, 4) == 4
    assert trials((0.1,)) == [("synonyms", "random", 0.1), ("synonyms", "greedy", 0.1), ("typos", "random", 0.1),
                              ("typos", "greedy", 0.1)]  # fmt: skip


def test_what_was_computed_is_read(english, monkeypatch):
    store, run, rows = english
    before = sorted((store.root / "tokens").iterdir())
    first = rewording.reword([run], SHARES, [rows], store, 1)[0]

    def refuse(*_):
        raise AssertionError("computed again")

    monkeypatch.setattr(rewording, "reworded", refuse)
    again = rewording.reword([run], SHARES, [rows], store, 1)[0]
    for part in ("right", "changed", "words", "changeable", "queries"):
        assert np.array_equal(getattr(first, part), getattr(again, part))
    for shares, some in (((0.1,), rows), (SHARES, rows[1:])):
        with pytest.raises(AssertionError, match="computed again"):
            rewording.reword([run], shares, [some], store, 1)
    assert sorted((store.root / "tokens").iterdir()) == before, "what the model was asked about is not kept"
