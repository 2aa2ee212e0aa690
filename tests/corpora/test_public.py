"""Public corpora: found, verified, fetched, read; on made-up files, and on the real ones where they lie at hand."""

import csv
import functools
import gzip
import hashlib
import io
import shutil
import threading
from dataclasses import replace
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import pytest

from paperkit import corpora, paths
from paperkit.corpora import public, readers
from paperkit.corpora.corpus import leaks
from paperkit.corpora.download import download
from paperkit.errors import InputError

HOTELS = [(n % 2, f"房间第{n}次很好") for n in range(40)]
MOUNTAIN = [  # score, review, is Tongcheng
    *((score, f"山第{n}座{score}", True) for n in range(10) for score in (3, 6, 10)),
    *((score, f"山第{n}座{score}星", False) for n in range(10) for score in (1, 2, 3, 4, 5)),
]


def as_csv(header, rows) -> bytes:
    out = io.StringIO()
    csv.writer(out).writerows([header, *rows])
    return out.getvalue().encode()


def source(path: str, content: bytes, address: str = "") -> public.Source:
    return public.Source(path, hashlib.sha256(content).hexdigest(), len(content), address)


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture
def world(tmp_path, watch, monkeypatch):
    """Made-up corpora in both forms, a server for each form, and no network beyond."""
    files = {
        "hotels/hotels.csv": as_csv(("label", "review"), HOTELS),
        "mountain/Comments.csv": "\ufeff".encode()
        + as_csv(
            ("评论时间", "IP", "用户ID", "昵称", "评论", "评分"),
            [("0.0", "x", "x", "x", text, score) for score, text, _ in MOUNTAIN],
        ),
    }
    packed = {
        "hotels/hotels.csv.gz": gzip.compress(files["hotels/hotels.csv"]),
        "mountain/reviews.csv.gz": gzip.compress(
            as_csv(
                ("platform", "month", "score", "review"),
                [("tongcheng" if tongcheng else "ctrip", "x", score, text) for score, text, tongcheng in MOUNTAIN],
            )
        ),
    }
    folders = SimpleNamespace(upstream=tmp_path / "web", repacked=tmp_path / "copy", downloads=paths.downloads())
    for folder, contents in ((folders.upstream, files), (folders.repacked, packed)):
        for path, content in contents.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(content)

    handler = functools.partial(Quiet, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        folders.address = f"http://127.0.0.1:{server.server_port}"

        def entry(name, rows, **more):
            upstream = [
                source(path, content, f"{folders.address}/web/{path}")
                for path, content in files.items()
                if path.startswith(name)
            ]
            repacked = [source(path, content) for path, content in packed.items() if path.startswith(name)]
            fixed = {"title": name, "stands_for": "", "language": "zh", "licence": "", "citation": ""}
            kinds = {"upstream": tuple(upstream), "repacked": tuple(repacked)}
            return public.Entry(name, rows=rows, prepared_sha256="", **fixed, **kinds, **more)

        entries = {"hotels": entry("hotels", 40), "mountain": entry("mountain", 80)}
        entries["pool"] = entry("pool", 120, parts=("hotels", "mountain"))
        monkeypatch.setattr(public, "manifest", lambda: entries)
        by_name = {"hotels": readers.READERS["ctrip-hotels"], "mountain": readers.READERS["laojunshan"]}
        monkeypatch.setattr(public, "READERS", by_name)
        monkeypatch.setattr(readers, "TONGCHENG_ROWS", 30)
        monkeypatch.setattr(public, "download", functools.partial(download, pause=0, timeout=(2, 2)))
        for variable in ("PAPERKIT_DATA", "PAPERKIT_MIRROR"):
            monkeypatch.delenv(variable, raising=False)
        folders.entries = entries
        yield folders
        server.shutdown()
        thread.join()


def put(world, name, **changes):
    world.entries[name] = replace(world.entries[name], **changes)


def unplug(world, name):
    """Let the pinned addresses of a corpus lead nowhere."""
    put(world, name, upstream=tuple(replace(s, address="http://127.0.0.1:1/x") for s in world.entries[name].upstream))


def test_missing_corpus_says_the_commands(world):
    with pytest.raises(InputError) as refusal:
        corpora.load("pool")
    for words in (
        "corpus hotels",
        "hotels/hotels.csv",
        "`make data`",
        "PAPERKIT_DATA=folder make paper DATA=public",
        "MB",
    ):
        assert words in str(refusal.value)
    assert len(str(refusal.value).splitlines()) == 1
    assert not list(world.downloads.parent.iterdir())


def test_both_kinds_of_files_give_the_same_corpus(world, monkeypatch):
    checksums = {}
    for folder in (world.upstream, world.repacked):
        monkeypatch.setenv("PAPERKIT_DATA", str(folder))
        checksums[folder] = {name: public.prepare(name).checksum for name in public.names()}
    assert checksums[world.upstream] == checksums[world.repacked]


def test_files_may_lie_loose_in_the_data_folder(world, monkeypatch, tmp_path):
    (tmp_path / "loose").mkdir()
    shutil.copy(world.upstream / "hotels/hotels.csv", tmp_path / "loose")
    monkeypatch.setenv("PAPERKIT_DATA", str(tmp_path / "loose"))
    assert len(public.prepare("hotels")) == 40


def test_the_mountains_labels_and_platforms(world, monkeypatch):
    monkeypatch.setenv("PAPERKIT_DATA", str(world.upstream))
    table = public.prepare("mountain").table
    counts = table.groupby(["platform", "label"]).size().to_dict()
    assert counts == {
        ("laojunshan-ctrip", 0): 30,
        ("laojunshan-ctrip", 1): 20,
        ("laojunshan-tongcheng", 0): 20,
        ("laojunshan-tongcheng", 1): 10,
    }
    assert table.id.tolist()[0] == "laojunshan:0"


def test_a_checksum_is_demanded_of_the_prepared_corpus(world, monkeypatch):
    monkeypatch.setenv("PAPERKIT_DATA", str(world.repacked))
    with pytest.raises(InputError, match=r"corpus hotels, prepared .*manifest"):
        public.load("hotels")
    put(world, "hotels", prepared_sha256=public.prepare("hotels").checksum)
    assert len(public.load("hotels")) == 40


@pytest.mark.parametrize("kind", ["upstream", "repacked"])
def test_a_wrong_local_copy_is_named(world, monkeypatch, kind):
    folder = getattr(world, kind)
    path = next((folder / "hotels").iterdir())
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    monkeypatch.setenv("PAPERKIT_DATA", str(folder))
    for action in (lambda: public.load("hotels"), lambda: public.fetch(["hotels"])):
        with pytest.raises(InputError) as refusal:
            action()
        for words in (str(path), "expected sha256 " + getattr(world.entries["hotels"], kind)[0].sha256, "got "):
            assert words in str(refusal.value)
    assert path.exists() and not world.downloads.exists()


def test_a_data_folder_that_is_none(world, monkeypatch):
    monkeypatch.setenv("PAPERKIT_DATA", str(world.upstream / "nowhere"))
    with pytest.raises(InputError, match=r"PAPERKIT_DATA=.*nowhere"):
        public.load("hotels")


def test_fetch_then_load_then_fetch_again(world, capsys):
    public.fetch()
    first = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in first] == ["hotels/hotels.csv", "mountain/Comments.csv"]
    assert all("verified" in line for line in first)
    assert len(public.prepare("pool")) == 120
    shutil.rmtree(world.upstream)
    public.fetch(["pool", "hotels"])
    again = capsys.readouterr().out.splitlines()
    assert len(again) == 2 and all("present, verified" in line for line in again)


def test_fetch_leaves_a_local_folder_alone(world, monkeypatch, capsys):
    monkeypatch.setenv("PAPERKIT_DATA", str(world.repacked))
    public.fetch()
    assert capsys.readouterr().out.count("present, verified") == 2
    assert not world.downloads.exists()


@pytest.mark.parametrize("kind", ["upstream", "repacked"])
def test_a_mirror_of_either_kind_wins(world, monkeypatch, kind):
    monkeypatch.setenv("PAPERKIT_MIRROR", f"{world.address}/{'web' if kind == 'upstream' else 'copy'}/")
    unplug(world, "hotels")
    public.fetch(["hotels"])
    (file,) = (world.downloads / "hotels").iterdir()
    assert file.name == ("hotels.csv" if kind == "upstream" else "hotels.csv.gz")
    assert len(public.prepare("hotels")) == 40


def test_without_its_file_a_mirror_is_passed_over(world, monkeypatch, capsys):
    monkeypatch.setenv("PAPERKIT_MIRROR", f"{world.address}/nothing")
    public.fetch(["hotels"])
    assert "verified" in capsys.readouterr().out


def test_a_mirror_that_is_no_address(world, monkeypatch):
    monkeypatch.setenv("PAPERKIT_MIRROR", "/some/folder")
    with pytest.raises(InputError, match="PAPERKIT_MIRROR=/some/folder: expected an http"):
        public.fetch(["hotels"])


def test_a_damaged_download_is_fetched_again(world):
    public.fetch(["hotels"])
    file = world.downloads / "hotels/hotels.csv"
    file.write_bytes(b"damaged")
    with pytest.raises(InputError, match="remove it and repeat `make data`"):
        public.load("hotels")
    public.fetch(["hotels"])
    assert len(public.prepare("hotels")) == 40


def test_a_damaged_download_of_the_other_kind_does_not_stand_in_the_way(world):
    damaged = world.downloads / "hotels/hotels.csv.gz"
    damaged.parent.mkdir(parents=True)
    damaged.write_bytes(b"damaged")
    public.fetch(["hotels"])
    assert not damaged.exists() and len(public.prepare("hotels")) == 40


def test_one_failure_does_not_keep_the_others_away(world, capsys):
    (world.upstream / "hotels/hotels.csv").write_bytes(b"changed")
    with pytest.raises(
        InputError, match=r"corpus hotels could not be fetched: .*hotels\.csv sent a wrong file"
    ) as failure:
        public.fetch()
    assert len(str(failure.value).splitlines()) == 1
    assert "hotels: failed" in capsys.readouterr().out
    assert len(public.prepare("mountain")) == 80


def test_a_host_that_does_not_answer_is_asked_once(world, monkeypatch):
    unplug(world, "hotels")
    unplug(world, "mountain")
    asked = []

    def counting(address, *arguments):
        asked.append(address)
        download(address, *arguments, pause=0, timeout=(2, 2))

    monkeypatch.setattr(public, "download", counting)
    with pytest.raises(InputError, match=r"connection failed.*does not answer"):
        public.fetch()
    assert len(asked) == 1


def test_unknown_names(world):
    for action in (lambda: public.load("nonsense"), lambda: public.fetch(["nonsense"])):
        with pytest.raises(InputError, match="'nonsense': accepted are hotels, mountain, pool"):
            action()


def test_a_text_of_two_parts_is_in_the_pool_once(world, monkeypatch):
    monkeypatch.setenv("PAPERKIT_DATA", str(world.repacked))
    hotels = readers.READERS["ctrip-hotels"]
    monkeypatch.setattr(public, "READERS", {"hotels": hotels, "mountain": hotels})
    put(world, "mountain", upstream=(), repacked=world.entries["hotels"].repacked)
    pool = public.prepare("pool")
    assert len(pool) == 40 and leaks(pool).empty


def test_a_corpus_may_be_read_from_the_files_of_another(world, monkeypatch, capsys):
    entry = replace(world.entries["hotels"], name="other", upstream=(), repacked=(), files="hotels")
    world.entries["other"] = entry
    monkeypatch.setitem(public.READERS, "other", readers.READERS["ctrip-hotels"])
    public.fetch(["other"])
    assert [line.split(":")[0] for line in capsys.readouterr().out.splitlines()] == ["hotels/hotels.csv"]
    assert entry.bytes == world.entries["hotels"].bytes
    other = public.prepare("other")
    assert other.name == "other" and other.table.text.tolist() == public.prepare("hotels").table.text.tolist()


def test_a_loose_file_of_another_corpus_is_passed_over(world, monkeypatch, tmp_path):
    (tmp_path / "loose").mkdir()
    (tmp_path / "loose/hotels.csv").write_bytes(b"another's, of the same name")
    monkeypatch.setenv("PAPERKIT_DATA", str(tmp_path / "loose"))
    with pytest.raises(InputError, match="corpus hotels is not on this machine"):
        public.load("hotels")


@pytest.fixture
def words(world):
    """A source of text that is not published in the form in which it is used: only a copy or a mirror has it."""
    content = gzip.compress(b"one two")
    (world.repacked / "words").mkdir()
    (world.repacked / "words/list.txt.gz").write_bytes(content)
    put_there = replace(world.entries["hotels"], name="words", kind="text", rows=0, upstream=())
    world.entries["words"] = replace(put_there, repacked=(source("words/list.txt.gz", content),))
    return world


def test_a_text_is_no_corpus(words, monkeypatch):
    monkeypatch.setenv("PAPERKIT_DATA", str(words.repacked))
    assert public.files("words") == {"list.txt": b"one two"}
    assert public.names() == ("hotels", "mountain", "pool")
    with pytest.raises(InputError, match=r"'words': accepted are hotels, mountain, pool$"):
        public.load("words")
    with pytest.raises(InputError, match=r"no public text 'hotels': accepted are words$"):
        public.files("hotels")
    with pytest.raises(InputError, match="unknown corpus 'words'"):
        corpora.load("words")


def test_what_is_not_published_in_its_form_is_said_and_is_no_failure(words, monkeypatch, capsys):
    public.fetch()
    assert "words: not published in this form" in capsys.readouterr().out
    with pytest.raises(
        InputError, match=r"words is not on this machine: .* PAPERKIT_DATA=folder reads a copy"
    ) as failure:
        public.files("words")
    assert "make data" not in str(failure.value)
    monkeypatch.setenv("PAPERKIT_MIRROR", f"{words.address}/copy")
    public.fetch(["words"])
    assert public.files("words") == {"list.txt": b"one two"}


def test_the_manifest_is_complete():
    for name, entry in public.manifest().items():
        assert entry.licence and entry.citation and entry.title and entry.stands_for
        assert bool(entry.parts) + bool(entry.files) + bool(entry.kinds) == 1
        if entry.kind == "corpus":
            assert len(entry.prepared_sha256) == 64 and entry.rows
            assert all(part in readers.READERS for part in entry.parts or (name,))
            assert not entry.kinds or (entry.upstream and entry.folder == name)
        for file in entry.upstream:
            assert file.address.startswith("https://") and file.address.isascii()
        for file in (file for kind in entry.kinds for file in kind):
            assert len(file.sha256) == 64 and file.bytes > 0
    paths = [file.path for entry in public.manifest().values() for kind in entry.kinds for file in kind]
    assert len(set(paths)) == len(paths)
    assert set(corpora.names()) == {*corpora.EMBEDDED, *readers.READERS, "travel"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"source": "nonsense"}, "csldcp, or the path of a table"),
        ({"source": ""}, "unknown corpus ''"),
        ({"source": ".."}, "a folder"),
        ({"source": "travel", "text": "review"}, "text given for the corpus 'travel'"),
        ({"source": "travel", "size": 10}, "size=10 given for 'travel'"),
        ({"source": "some/folder"}, "accepted are .csv"),
    ],
)
def test_load_refuses(arguments, said, watch):
    with pytest.raises(InputError) as refusal:
        corpora.load(**arguments)
    assert said in str(refusal.value) and len(str(refusal.value).splitlines()) == 1


# The real files.

COUNTS = {  # platform, label → rows after empty and repeated texts are dropped
    "ctrip-hotels": {("ctrip", 0): 2443, ("ctrip", 1): 5321},
    "ctrip-sights": {("ctrip", 0): 588, ("ctrip", 1): 4553},
}


@pytest.mark.parametrize("name", ["ctrip-hotels", "ctrip-sights"])
def test_the_copy_holds_the_published_file(real, name):
    entry = public.manifest()[name]
    content = gzip.decompress((real / entry.repacked[0].path).read_bytes())
    assert len(content) == entry.upstream[0].bytes
    assert hashlib.sha256(content).hexdigest() == entry.upstream[0].sha256


@pytest.mark.parametrize("name", ["ctrip-hotels", "ctrip-sights", "laojunshan", "travel"])
def test_real_corpus(real, name):
    corpus = corpora.load(name)
    assert corpus.label_names == ("negative", "positive") and corpus.language == "zh"
    assert leaks(corpus).empty and corpus.table.id.is_unique
    dropped = sum(
        note.count
        for note in corpus.notes
        if note.reason.split(":")[0] in ("no letter or digit in the text", "duplicate text")
    )
    assert len(corpus) + dropped == public.manifest()[name].rows
    assert set(corpus.table.split) == {"train", "dev", "test"}
    for platform in corpus.platforms:
        for split in ("train", "dev", "test"):
            assert set(corpus.rows(split, platform).label) == {0, 1}
    if name in COUNTS:
        assert corpus.table.groupby(["platform", "label"]).size().to_dict() == COUNTS[name]


def test_real_platforms_of_the_pool(real):
    assert corpora.load("travel").platforms == ("ctrip", "laojunshan-tongcheng", "laojunshan-ctrip")


def test_published_files_give_the_same_prepared_corpus(real, tmp_path, monkeypatch):
    for name in ("ctrip-hotels", "ctrip-sights"):
        entry = public.manifest()[name]
        target = tmp_path / "published" / entry.upstream[0].path
        target.parent.mkdir(parents=True)
        target.write_bytes(gzip.decompress((real / entry.repacked[0].path).read_bytes()))
    monkeypatch.setenv("PAPERKIT_DATA", str(tmp_path / "published"))
    for name in ("ctrip-hotels", "ctrip-sights"):
        assert corpora.load(name).checksum == public.manifest()[name].prepared_sha256


def test_the_published_form_of_the_mountain_gives_the_same_prepared_corpus(real, tmp_path, monkeypatch):
    """Its columns put back around the repacked rows: the published file itself is not at hand."""
    entry = public.manifest()["laojunshan"]
    rows = readers._records({"x": gzip.decompress((real / entry.repacked[0].path).read_bytes())})
    header = ("评论时间", "IP", "用户ID", "昵称", "评论", "评分")
    content = as_csv(header, [("0.0", "", "", "", row["review"], row["score"]) for row in rows])
    rows = readers.READERS["laojunshan"]({"Comments.csv": content})
    monkeypatch.setattr(public, "READERS", {"laojunshan": lambda _: rows})
    assert public.load("laojunshan").checksum == entry.prepared_sha256
