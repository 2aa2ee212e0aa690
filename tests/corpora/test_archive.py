"""Packed files: every kind gives back what was put in, and names that lead elsewhere are refused."""

import gzip
import io
import lzma
import tarfile
import zipfile

import pytest

from paperkit.corpora import archive
from paperkit.errors import InputError

FILES = {"folder/一.txt": "一".encode() * 5000, "folder/empty": b"", "two.csv": b"a,b\r\n"}


def tarred(files, mode="w:xz") -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as tar:
        folder = tarfile.TarInfo("folder")
        folder.type = tarfile.DIRTYPE
        tar.addfile(folder)
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return out.getvalue()


def zipped(files) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archived:
        archived.mkdir("folder")
        for name, content in files.items():
            archived.writestr(name, content)
    return out.getvalue()


@pytest.mark.parametrize(
    ("name", "content"),
    [("x.tar.xz", tarred(FILES)), ("x.tar.gz", tarred(FILES, "w:gz")), ("x.zip", zipped(FILES))],
)
def test_archives(name, content):
    assert archive.unpack(name, content) == FILES
    assert list(archive.unpack(name, content)) == list(FILES)


@pytest.mark.parametrize("pack", [gzip, lzma])
def test_single_files(pack):
    suffix = {gzip: ".gz", lzma: ".xz"}[pack]
    assert archive.unpack(f"a/b.csv{suffix}", pack.compress(b"1,2")) == {"a/b.csv": b"1,2"}
    assert archive.unpack("a/b.csv", b"1,2") == {"a/b.csv": b"1,2"}


@pytest.mark.parametrize("name", ["../x", "folder/../../x", "/etc/x"])
def test_a_name_that_leads_elsewhere_is_refused(name):
    for packed, content in (("x.tar.xz", tarred({name: b"1"})), ("x.zip", zipped({name: b"1"}))):
        with pytest.raises(InputError, match=r"expected names that occur once"):
            archive.unpack(packed, content)


def test_links_are_left_out():
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:xz") as tar:
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    assert archive.unpack("x.tar.xz", out.getvalue()) == {}


@pytest.mark.parametrize(
    ("name", "content"), [("x.zip", zipped(FILES)), ("x.gz", gzip.compress(b"1" * 9999, mtime=0))], ids=["zip", "gz"]
)
def test_what_unpacks_to_too_much_is_refused(name, content, monkeypatch):
    monkeypatch.setattr(archive, "LARGEST", 9000)
    with pytest.raises(InputError, match="unpacks to more than"):
        archive.unpack(name, content)
