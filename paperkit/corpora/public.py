"""The public corpora that stand in for the papers' private data: found, verified, read.

``data/manifest.toml`` says what they are. Their files are looked for in the folder ``PAPERKIT_DATA``, then among the
downloads. :func:`fetch` downloads what is missing, from ``PAPERKIT_MIRROR`` if that is set, else from the pinned
address; :func:`load` never touches the network. Either kind of files, as published or repacked, gives the same rows,
and the finished corpus is held against a checksum too.
"""

import hashlib
import os
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

import pandas as pd

from paperkit import paths
from paperkit.corpora.archive import unpack
from paperkit.corpora.corpus import CORE, Corpus, Note, assemble
from paperkit.corpora.download import Unreachable, download, sha256_of
from paperkit.corpora.readers import READERS
from paperkit.errors import InputError


@dataclass(frozen=True)
class Source:
    """One file of a corpus."""

    path: str
    """``folder/file``: where it lies below a data folder, the downloads, or a mirror."""
    sha256: str
    bytes: int
    address: str = ""
    """Pinned address; empty for a repacked file."""


@dataclass(frozen=True)
class Entry:
    """One corpus of the manifest, or one source of plain text; see the comments there."""

    name: str
    title: str
    stands_for: str
    language: str
    licence: str
    citation: str
    rows: int = 0
    prepared_sha256: str = ""
    upstream: tuple[Source, ...] = ()
    repacked: tuple[Source, ...] = ()
    parsed: tuple[Source, ...] = ()
    parts: tuple[str, ...] = ()
    files: str = ""
    kind: str = "corpus"

    @property
    def kinds(self) -> tuple[tuple[Source, ...], ...]:
        """The sets of files of which one is enough, in the order in which they are looked for."""
        return tuple(kind for kind in (self.parsed, self.repacked, self.upstream) if kind)

    @property
    def folder(self) -> str:
        """Where the files lie below a data folder."""
        return os.path.commonpath([os.path.dirname(file.path) for kind in self.kinds for file in kind])

    @property
    def owners(self) -> tuple[str, ...]:
        """The entries whose files this one is made of."""
        return self.parts or (self.files or self.name,)

    @property
    def bytes(self) -> int:
        """Size of the download."""
        return sum(file.bytes for owner in self.owners for file in manifest()[owner].upstream)


@cache
def manifest() -> dict[str, Entry]:
    """Every public corpus and source of plain text by name."""
    with open(paths.DATA / "manifest.toml", "rb") as file:
        entries = tomllib.load(file)
    for name, entry in entries.items():
        for kind in ("upstream", "repacked", "parsed"):
            entry[kind] = tuple(Source(**source) for source in entry.get(kind, ()))
        entry["parts"] = tuple(entry.get("parts", ()))
        entries[name] = Entry(name, **entry)
    return entries


def names() -> tuple[str, ...]:
    """Names of the public corpora."""
    return tuple(name for name, entry in manifest().items() if entry.kind == "corpus")


def _folders() -> list[tuple[str, Path]]:
    """Where files are looked for, with what to call the place."""
    given = os.environ.get("PAPERKIT_DATA")
    folders = [("the downloads", paths.downloads())]
    if given:
        folder = Path(given).expanduser()
        if not folder.is_dir():
            raise InputError(
                f"PAPERKIT_DATA={given}: expected a folder that holds the public corpora, and there is none"
            )
        folders.insert(0, ("PAPERKIT_DATA", folder))
    return folders


def _lying(source: Source, folder: Path) -> Path | None:
    """The file in its corpus' folder or loose in the data folder."""
    path, loose = folder / source.path, folder / Path(source.path).name
    if path.is_file():
        return path
    # files of several corpora are called train.json or the like: a loose one of another size is another's
    return loose if loose.is_file() and loose.stat().st_size == source.bytes else None


def _located(entry: Entry) -> dict[Source, Path] | None:
    """A complete set of files of one corpus, of one kind, from one place; not verified yet."""
    for _, folder in _folders():
        for kind in entry.kinds:
            found = {source: path for source in kind if (path := _lying(source, folder))}
            if len(found) == len(kind):
                return found
    return None


def _read(entry: Entry) -> dict[str, bytes]:
    """Verified and unpacked content of one corpus' files, by their names below its folder."""
    located = _located(entry)
    if located is None:
        searched = " nor in ".join(f"{name} ({folder})" for name, folder in _folders())
        if not entry.upstream:
            raise InputError(
                f"{entry.name} is not on this machine: {entry.kinds[0][0].path} is neither in {searched}, and is not "
                "published in this form; PAPERKIT_DATA=folder reads a copy"
            )
        raise InputError(
            f"{entry.kind} {entry.name} is not on this machine, neither as {entry.upstream[0].path} nor repacked, "
            f"in {searched}: `make data` downloads it ({entry.bytes / 1e6:.1f} MB), or "
            "`PAPERKIT_DATA=folder make paper DATA=public` reads a copy"
        )
    contents: dict[str, bytes] = {}
    for source, path in located.items():
        content = path.read_bytes()
        _verify(path, hashlib.sha256(content).hexdigest(), source)
        for name, unpacked in unpack(source.path.removeprefix(entry.folder + "/"), content).items():
            # an archive may hold the folder or what lies in it
            contents[name.removeprefix(Path(entry.folder).name + "/")] = unpacked
    return contents


def _verify(path: Path, got: str, source: Source) -> None:
    if got != source.sha256:
        raise InputError(
            f"{path} is not the file that the manifest describes: expected sha256 {source.sha256} "
            f"({source.bytes} bytes), got {got} ({path.stat().st_size} bytes); remove it and repeat `make data`"
        )


def fetch(wanted: Iterable[str] | None = None) -> None:
    """Download the files of some public corpora and sources of text, of all by default; those that are here stay.

    Prints one line per file. One corpus that fails does not keep the others from being fetched.

    Raises:
        InputError: unknown name, or some corpus could not be had; the sentence says why.
    """
    wanted = list(dict.fromkeys(owner for name in wanted or manifest() for owner in _entry(name).owners))
    silent: set[str] = set()
    failures = []
    for name in wanted:
        try:
            _fetch_one(manifest()[name], silent)
        except InputError as failure:
            print(f"{name}: failed: {failure}", flush=True)
            failures.append(str(failure))
    if failures:
        raise InputError("; ".join(failures) + " (a copy can be used without a network: PAPERKIT_DATA=folder)")


def _fetch_one(entry: Entry, silent: set[str]) -> None:
    """Bring one corpus here by the first way that works. ``silent`` collects hosts that do not answer."""
    located = _located(entry) or {}
    ours = paths.downloads()
    damaged = [path for source, path in located.items() if sha256_of(path) != source.sha256]
    if located and not damaged:
        for source, path in located.items():
            print(f"{source.path}: present, verified ({path})", flush=True)
        return
    for source, path in located.items():
        if path in damaged and ours not in path.resolve().parents:
            _verify(path, sha256_of(path), source)  # somebody else's copy is not ours to replace

    reasons = []
    ways = _ways(entry)
    if not ways:
        print(f"{entry.name}: not published in this form; a copy (PAPERKIT_DATA) or a mirror has it", flush=True)
        return
    for base, sources in ways:
        try:
            for source in sources:
                _fetch_file(f"{base}/{source.path}" if base else source.address, source, ours, silent)
        except InputError as failure:
            reasons.append(str(failure))
        else:
            # a damaged file of the other kind would be found first and stand in the way
            for path in damaged:
                if path not in [ours / source.path for source in sources]:
                    path.unlink(missing_ok=True)
            return
    raise InputError(f"corpus {entry.name} could not be fetched: " + "; ".join(dict.fromkeys(reasons)))


def _ways(entry: Entry) -> list[tuple[str, tuple[Source, ...]]]:
    """Base address (empty: each file's own) and files, in the order in which they are tried."""
    mirror = os.environ.get("PAPERKIT_MIRROR", "").rstrip("/")
    if mirror and urlsplit(mirror).scheme not in ("http", "https"):
        raise InputError(
            f"PAPERKIT_MIRROR={mirror}: expected an http:// or https:// address; a folder goes in PAPERKIT_DATA"
        )
    ways = [(mirror, kind) for kind in entry.kinds] if mirror else []
    return [*ways, ("", entry.upstream)] if entry.upstream else ways


def _fetch_file(address: str, source: Source, folder: Path, silent: set[str]) -> None:
    target = folder / source.path
    host = urlsplit(address).netloc
    if target.is_file() and sha256_of(target) == source.sha256:
        print(f"{source.path}: present, verified ({target})", flush=True)
        return
    if host in silent:
        raise Unreachable(f"{host} does not answer")
    try:
        download(address, target, source.sha256, source.bytes)
    except Unreachable:
        silent.add(host)
        raise
    print(f"{source.path}: {source.bytes / 1e6:.1f} MB from {host}, verified", flush=True)


def _entry(name: str, kind: str = "") -> Entry:
    accepted = [each for each, entry in manifest().items() if kind in ("", entry.kind)]
    if name not in accepted:
        raise InputError(f"there is no public {kind or 'corpus'} {name!r}: accepted are {', '.join(accepted)}")
    return manifest()[name]


def prepare(name: str) -> Corpus:
    """A public corpus from its verified files, before it is held against the manifest's checksum.

    A pool is deduplicated and split as a whole, so that no text is in two splits across its parts.
    """
    entry = _entry(name, "corpus")
    rows = [
        READERS[part](_read(manifest()[owner]))
        for part, owner in zip(entry.parts or (name,), entry.owners, strict=True)
    ]
    table = pd.concat([each.table for each in rows], ignore_index=True)
    notes = [note for each in rows for note in each.notes]
    corpus = assemble(name, table, rows[0].label_names, entry.language, notes)
    return replace(corpus, notes=(*corpus.notes, *_noncore(corpus)))


def files(name: str) -> dict[str, bytes]:
    """Verified and unpacked content of a source of plain text, by file name; never from the network.

    Raises:
        InputError: unknown name, or files missing (the sentence gives the command that gets them) or altered.
    """
    return _read(_entry(name, "text"))


def _noncore(corpus: Corpus) -> list[Note]:
    """How many texts are not core texts, of which kind, per class; of more than two classes, those that have some."""
    notes = []
    for kind, rows in corpus.table[corpus.table.status != CORE].groupby("status"):
        counts = [(name, (rows.label == label).sum()) for label, name in enumerate(corpus.label_names)]
        detail = ", ".join(f"{name} {count}" for name, count in counts if count or corpus.n_classes == 2)
        notes.append(Note(f"non-core text ({kind}): neither trained on nor tested", len(rows), detail))
    return notes


def load(name: str) -> Corpus:
    """A public corpus; never from the network.

    Raises:
        InputError: unknown name; files missing (the sentence gives the command that gets them) or altered; or the
            prepared corpus differs from the one that the manifest was written for.
    """
    corpus, entry = prepare(name), _entry(name)
    if corpus.checksum != entry.prepared_sha256:
        raise InputError(
            f"corpus {name}, prepared from verified files, has checksum {corpus.checksum} where data/manifest.toml "
            f"expects {entry.prepared_sha256}: the code or a library that prepares it has changed (rules, Unicode)"
        )
    return corpus


if __name__ == "__main__":
    for each in names():
        print(each, prepare(each).checksum)
