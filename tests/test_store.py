"""The store under everything that can go wrong: errors, kills, races, damage."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paperkit import paths
from paperkit.store import MANIFEST, Store, canonical, key, write_atomically

IDENTITY = {"corpus": "abc", "seed": 3, "rate": 0.5, "options": {"a": [1, 2], "b": None}, "text": "不"}


def writes(content="done", name="result.txt"):
    def build(folder: Path) -> None:
        write_atomically(folder / name, content)

    return build


def never(folder: Path) -> None:
    raise AssertionError("built again")


def process(script: str, *arguments) -> subprocess.Popen:
    """Another process with a store in its first argument."""
    head = (
        "import os, sys, time; from pathlib import Path; from paperkit.store import *\n"
        "store, IDENTITY = Store(Path(sys.argv[1])), {'n': 1}\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(paths.ROOT)}
    command = [sys.executable, "-c", head + script, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)


def test_built_once_then_read(store):
    assert store.find("things", IDENTITY) is None
    folder = store.get("things", IDENTITY, writes())
    assert (folder / "result.txt").read_text() == "done"
    assert folder == store.folder("things", IDENTITY) == store.find("things", IDENTITY)
    assert store.get("things", IDENTITY, never) == folder
    assert store.find("other things", IDENTITY) is None, "kinds do not mix"


def test_an_entry_says_what_it_is(store):
    folder = store.get("things", IDENTITY, writes("不"))
    manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    assert manifest == {"identity": IDENTITY, "files": {"result.txt": 3}}
    assert sorted(file.name for file in folder.iterdir()) == [MANIFEST, "result.txt"]


def test_nothing_is_seen_before_all_is_there(store):
    def build(folder: Path) -> None:
        assert store.find("things", IDENTITY) is None
        assert not store.folder("things", IDENTITY).exists()
        writes()(folder)
        assert store.find("things", IDENTITY) is None

    store.get("things", IDENTITY, build)
    assert store.find("things", IDENTITY)


def test_a_build_that_raises_leaves_no_entry_and_the_next_goes_on_from_it(store):
    def fails(folder: Path) -> None:
        writes("half", "checkpoint")(folder)
        (folder / ".result.txt.123.tmp").write_text("killed while it wrote")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.get("things", IDENTITY, fails)
    assert store.find("things", IDENTITY) is None
    assert not store.folder("things", IDENTITY).exists()
    other = store.get("things", {**IDENTITY, "seed": 4}, writes())
    assert not (other / "checkpoint").exists(), "what is left behind is nobody else's"

    def resumes(folder: Path) -> None:
        assert (folder / "checkpoint").read_text() == "half"
        (folder / "checkpoint").unlink()
        writes()(folder)

    folder = store.get("things", IDENTITY, resumes)
    assert sorted(file.name for file in folder.iterdir()) == [MANIFEST, "result.txt"]


def truncate(folder: Path) -> None:
    (folder / "result.txt").write_text("don")


def remove(folder: Path) -> None:
    (folder / "result.txt").unlink()


def cut_manifest(folder: Path) -> None:
    (folder / MANIFEST).write_bytes((folder / MANIFEST).read_bytes()[:-5])


def no_manifest(folder: Path) -> None:
    (folder / MANIFEST).unlink()


@pytest.mark.parametrize("damage", [truncate, remove, cut_manifest, no_manifest])
def test_a_damaged_entry_is_built_again(store, damage):
    folder = store.get("things", IDENTITY, writes())
    damage(folder)
    assert store.find("things", IDENTITY) is None
    assert store.get("things", IDENTITY, writes("anew")) == folder
    assert (folder / "result.txt").read_text() == "anew"
    assert store.find("things", IDENTITY) == folder


def changed(value):
    """Every way to change one thing in a nested value."""
    if isinstance(value, dict):
        for name in value:
            yield {k: v for k, v in value.items() if k != name}
            yield from ({**value, name: other} for other in changed(value[name]))
    elif isinstance(value, list):
        yield value[::-1]
        yield value[:-1]
    else:
        yield from ("other", 7, None if value is not None else 0)


def test_every_field_of_the_identity_counts():
    keys = [key(IDENTITY), *(key(other) for other in changed(IDENTITY))]
    assert len(keys) > 15 and len(set(keys)) == len(keys)


def test_the_key_does_not_depend_on_the_order_of_fields():
    turned = {name: IDENTITY[name] for name in reversed(IDENTITY)}
    assert key(turned) == key(IDENTITY)
    text = '{"corpus":"abc","options":{"a":[1,2],"b":null},"rate":0.5,"seed":3,"text":"不"}'
    assert key(IDENTITY) == hashlib.sha256(text.encode()).hexdigest()[:32]
    assert canonical((1, 2)) == canonical([1, 2]) == "[1,2]"
    with pytest.raises(ValueError):
        key({"rate": float("nan")})  # not equal to itself, so no name for anything


@given(st.binary(max_size=50) | st.text(max_size=50))
def test_a_file_is_written_whole(tmp_path_factory, content):
    folder = tmp_path_factory.mktemp("files")
    (folder / "x").write_text("something that was there before")
    write_atomically(folder / "x", content)
    assert (folder / "x").read_bytes() == (content.encode() if isinstance(content, str) else content)
    assert [file.name for file in folder.iterdir()] == ["x"]


def test_a_file_is_never_half_written(tmp_path, monkeypatch):
    (tmp_path / "x").write_text("before")

    def no_space(path, data):
        with open(path, "wb") as file:
            file.write(data[: len(data) // 2])
        raise OSError("no space left on device")

    monkeypatch.setattr(Path, "write_bytes", no_space)
    with pytest.raises(OSError):
        write_atomically(tmp_path / "x", "after, and longer")
    assert (tmp_path / "x").read_text() == "before"


RACE = """
def build(folder):
    with open(sys.argv[2], "a") as log:
        log.write("built\\n")
    time.sleep(0.3)
    write_atomically(folder / "result.txt", "done")

print("ready", flush=True)
while not Path(sys.argv[3]).exists():
    time.sleep(0.01)
print((store.get("things", IDENTITY, build) / "result.txt").read_text())
"""


def test_of_several_processes_one_builds_and_all_read(store, tmp_path):
    log, start = tmp_path / "log", tmp_path / "start"
    racers = [process(RACE, store.root, log, start) for _ in range(2)]
    for racer in racers:
        assert racer.stdout.readline() == "ready\n"
    start.touch()
    assert [racer.communicate(timeout=60)[0] for racer in racers] == ["done\n"] * 2
    assert log.read_text() == "built\n"


KILLED = """
def build(folder):
    write_atomically(folder / "checkpoint", "half")
    print("building", flush=True)
    time.sleep(600)

store.get("things", IDENTITY, build)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL here")
def test_a_killed_build_is_continued_by_the_next(store):
    victim = process(KILLED, store.root)
    assert victim.stdout.readline() == "building\n"
    assert store.find("things", {"n": 1}) is None
    os.kill(victim.pid, signal.SIGKILL)
    victim.wait()
    assert store.find("things", {"n": 1}) is None

    def build(folder: Path) -> None:
        assert (folder / "checkpoint").read_text() == "half"
        writes()(folder)

    started = time.monotonic()
    folder = store.get("things", {"n": 1}, build)
    assert time.monotonic() - started < 10, "the lock died with its holder"
    assert (folder / "result.txt").read_text() == "done"


def test_the_default_store_is_a_setting(monkeypatch, tmp_path):
    monkeypatch.setenv("PAPERKIT_STORE", str(tmp_path / "elsewhere"))
    assert Store.default().root == tmp_path / "elsewhere"
    assert not (tmp_path / "elsewhere").exists(), "nothing is written by asking"
