"""Packed files in memory: what lies in a .gz, .xz, .tar.xz, .tar.gz or .zip, by name. Nothing is written to disk."""

import gzip
import io
import lzma
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import PurePosixPath

from paperkit.errors import InputError

LARGEST = 256 << 20
"""Bytes that one file may unpack to."""


def unpack(name: str, content: bytes) -> dict[str, bytes]:
    """The content of one file by name; several for an archive, in its order, under their names within it.

    Raises:
        InputError: a member's name leads out of its folder or occurs twice, or more than ``LARGEST`` bytes come out.
    """
    unpacked: dict[str, bytes] = {}
    size = 0
    for member, data in _members(name, content):
        if member in unpacked or PurePosixPath(member).is_absolute() or ".." in PurePosixPath(member).parts:
            raise InputError(f"{name} holds {member!r}: expected names that occur once, below a folder of their own")
        unpacked[member] = data
        size += len(data)
        if size > LARGEST:
            raise InputError(f"{name} unpacks to more than {LARGEST >> 20} MiB")
    return unpacked


def _members(name: str, content: bytes) -> Iterator[tuple[str, bytes]]:
    if name.endswith((".tar.xz", ".tar.gz")):
        with tarfile.open(fileobj=io.BytesIO(content)) as tar:
            for member in tar:
                if member.isfile():
                    yield member.name, tar.extractfile(member).read(LARGEST + 1)
    elif name.endswith(".zip"):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for member in archive.infolist():
                if not member.is_dir():
                    with archive.open(member) as file:
                        yield member.filename, file.read(LARGEST + 1)
    elif name.endswith((".gz", ".xz")):
        packer = gzip if name.endswith(".gz") else lzma
        with packer.open(io.BytesIO(content)) as file:
            yield name.rsplit(".", 1)[0], file.read(LARGEST + 1)
    else:
        yield name, content
