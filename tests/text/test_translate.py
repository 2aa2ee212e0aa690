"""Back-translation: which paraphrases are taken, sentence by sentence, by models or out of a file."""

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paperkit import code
from paperkit.errors import InputError
from paperkit.text.augment import Augmentation, rests_on
from paperkit.text.translate import BackTranslation, Marian, checked, read_paraphrases

LETTERS = st.text(st.sampled_from("ab好"), max_size=24)


@given(st.lists(st.tuples(LETTERS, LETTERS), max_size=6))
def test_the_original_is_kept_by_the_rule(pairs):
    texts, kept = [], 0
    for old, new in pairs:
        fit = len(old) >= 10 and len(new) >= 10 and len(old) / 2 <= len(new) <= len(old) * 3 / 2
        texts.append(new if fit else old)
        kept += not fit
    assert checked([old for old, _ in pairs], [new for _, new in pairs]) == (texts, kept)


def test_the_borders_of_the_rule():
    ten, fifteen, sixteen = "a" * 10, "b" * 15, "c" * 16
    assert checked([ten, ten, ten[:9], ten], [fifteen, sixteen, ten, ten[:9]]) == ([fifteen, ten, ten[:9], ten], 3)


class Upper:
    """A translator that leaves its seed at the end."""

    def __init__(self):
        self.seen = []

    def __call__(self, texts, seeds):
        self.seen += zip(texts, seeds, strict=True)
        return [f"{text.upper()}{seed % 10}" for text, seed in zip(texts, seeds, strict=True)]


def plain(texts, seeds):
    return [text.swapcase() for text in texts]


def test_sentences_are_translated_one_by_one_and_put_back():
    forward = Upper()
    texts = ["好a。 坏b！c", "One. Two 1.5 pct;\n\n", "", " 。"]
    assert BackTranslation(plain, plain)(texts, range(4)) == texts, "what stands between them is kept"
    BackTranslation(forward, plain)(texts, range(4))
    assert [text for text, _ in forward.seen] == ["好a。", "坏b！", "c", "One.", "Two 1.5 pct;", "。"]
    assert len({seed for _, seed in forward.seen}) == 6, "each draws for itself"


def test_a_text_does_not_depend_on_the_others():
    both = BackTranslation(Upper(), Upper())
    texts, seeds = ["好a。坏b。", "c d e", "f"], [7, 8, 9]
    together = both(texts, seeds)
    assert [both([text], [seed])[0] for text, seed in zip(texts, seeds, strict=True)] == together
    assert both(texts[::-1], seeds[::-1]) == together[::-1]
    assert both(texts, [1, 2, 3]) != together and both([], []) == []


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A Marian model of random weights over twenty words, with a tokeniser that needs no sentencepiece."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import MarianConfig, MarianMTModel, PreTrainedTokenizerFast

    words = ["<pad>", "</s>", "<unk>", *(f"w{number}" for number in range(20))]
    tokeniser = Tokenizer(models.WordLevel({word: at for at, word in enumerate(words)}, unk_token="<unk>"))
    tokeniser.pre_tokenizer = pre_tokenizers.Whitespace()
    fast = PreTrainedTokenizerFast(tokenizer_object=tokeniser, pad_token="<pad>", eos_token="</s>", unk_token="<unk>")
    torch.manual_seed(0)
    config = MarianConfig(
        vocab_size=len(words), d_model=16, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2,
        decoder_attention_heads=2, encoder_ffn_dim=16, decoder_ffn_dim=16, max_position_embeddings=16, max_length=10,
        pad_token_id=0, eos_token_id=1, decoder_start_token_id=0, forced_eos_token_id=1,
    )  # fmt: skip
    folder = tmp_path_factory.mktemp("marian")
    MarianMTModel(config).save_pretrained(folder)
    fast.save_pretrained(folder)
    return folder


TEXTS = ["w1 w2 w3", "w4", "w5 w6 " * 20, "w7 w8"]


def test_marian_samples_by_text_not_by_batch(folder):
    model = Marian(str(folder), temperature=1.0)
    together = model(TEXTS, [1, 2, 3, 4])
    assert len(together) == 4 and all(isinstance(text, str) for text in together)
    assert model(TEXTS, [1, 2, 3, 4]) == together
    for batch_size in (1, 3):
        assert Marian(str(folder), 1.0, batch_size=batch_size)(TEXTS, [1, 2, 3, 4]) == together
    assert model(TEXTS[::-1], [4, 3, 2, 1]) == together[::-1]
    assert model(TEXTS, [5, 6, 7, 8]) != together
    assert model([], []) == []


def test_noise_on_logits_draws_from_the_softmax():
    import torch

    from paperkit.text.translate import _gumbel

    logits = torch.tensor([2.0, 1.0, 0.0, -torch.inf])
    noisy = _gumbel(2.0, range(4000))(None, logits.expand(4000, 4))
    shares = noisy.argmax(1).bincount(minlength=4) / 4000
    assert torch.allclose(shares, (logits / 2).softmax(0), atol=0.03)


def test_without_chance_seeds_do_not_matter(folder):
    for model in (Marian(str(folder), temperature=0), Marian(str(folder), beams=3)):
        assert model(TEXTS, [1, 2, 3, 4]) == model(TEXTS, [5, 6, 7, 8])


def test_models_are_known_by_their_content(folder, tmp_path):
    identity = Marian(str(folder)).identity
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= set(identity)
    (tmp_path / "config.json").write_text("{}")
    assert set(Marian(str(tmp_path)).identity) == {"config.json"} != identity


def test_how_models_translate_is_in_the_identity_of_an_augmentation(folder, monkeypatch):
    usual = Augmentation("back-translation", forward=str(folder), backward=str(folder))
    others = [replace(usual, beams=3), replace(usual, temperature=0.5)]
    assert len({str(rests_on(each, "en")) for each in (usual, *others)}) == 3
    before = rests_on(usual, "en")
    assert set(before["numerics"]) == {"torch", "transformers", "tokenizers"}, "libraries that the texts pass through"
    monkeypatch.setattr(code, "versions", lambda *names: dict.fromkeys(names, "another"))
    assert rests_on(usual, "en") != before


def test_a_model_that_is_not_here_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(InputError, match=r"^translation model 'us/none' is not on this machine \(downloads are off.*"
                                         r"paraphrases=file$"):  # fmt: skip
        Marian("us/none")
    with pytest.raises(InputError, match=r"holds no Marian model that can be loaded: "):
        Marian(str(tmp_path))(["a"], [0])


def write(path, content):
    path.write_text(content, encoding="utf-8")
    return path


def test_files_of_paraphrases(tmp_path):
    files = [
        write(tmp_path / "a.csv", "text,paraphrase\n好,不错\n好,很好\n坏,差\n"),
        write(tmp_path / "a.tsv", "paraphrase\tid\ttext\n不错\tx:1\t另\n很好\tx:1\t另\n差\tx:2\t另\n"),
        write(tmp_path / "a.jsonl", '{"id": "x:1", "paraphrase": "不错"}\n{"id": "x:1", "paraphrase": "很好"}\n'
                                    '{"id": "x:2", "paraphrase": "差"}\n'),
    ]  # fmt: skip
    for file, key in zip(files, ("text", "id", "id"), strict=True):
        read = read_paraphrases(file)
        assert read.key == key
        drawn = {read.of("好", "x:1", random.Random(seed)) for seed in range(20)}
        assert drawn == {"不错", "很好"}
        assert read.of("坏", "x:2", random.Random(0)) == "差"
        assert read.of("另", "x:3", random.Random(0)) is None
    assert len({read_paraphrases(file).checksum for file in files}) == 3


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        (
            "a.csv",
            "text,other\na,b\n",
            "has the columns 'text', 'other': expected 'text' and 'paraphrase', or 'id' and",
        ),
        ("a.csv", "paraphrase,label\na,b\n", "expected 'text' and 'paraphrase'"),
        ("a.jsonl", '{"id": "x", "paraphrase": ["b"]}\n', "row 1, column 'paraphrase': a cell holds a list"),
        ("a.csv", "text,paraphrase\n", "has no rows below its column names"),
        ("a.txt", "a", "files that end in '.txt' are not read"),
        ("none.csv", None, "this file does not exist"),
    ],
)
def test_a_file_that_cannot_be_used_is_one_sentence(tmp_path, name, content, sentence):
    path = tmp_path / name
    if content is not None:
        write(path, content)
    with pytest.raises(InputError) as caught:
        read_paraphrases(path)
    assert str(caught.value).startswith(str(path)) and sentence in str(caught.value)
