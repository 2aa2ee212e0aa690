"""The store: what was computed once is never computed again.

An entry is a folder named by the hash of its *identity*, everything that determines its content. It is built in a
working folder and appears under its final name by one atomic rename, so a reader sees a whole entry or none. A process
that was killed leaves its working folder behind, and the next one to ask continues there (training finds its
checkpoint). Of several processes that ask for the same entry one builds it and the others wait; the lock belongs to
the operating system and dies with its holder.

Nothing in the store is a pickle: weights are safetensors, the rest is JSON and text.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

from paperkit import paths

MANIFEST = "manifest.json"


def canonical(value: Any) -> str:
    """JSON with sorted keys and no blanks: the same text for the same value everywhere."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def key(identity: Mapping[str, Any]) -> str:
    """The name of an entry: 32 hexadecimal digits of the sha256 of its identity."""
    return hashlib.sha256(canonical(identity).encode()).hexdigest()[:32]


def digest_of(texts: Sequence[str]) -> str:
    """What texts are known by in an identity: sha256 of all of them, in their order."""
    return hashlib.sha256(json.dumps(list(texts)).encode()).hexdigest()


def write_atomically(path: Path, content: bytes | str) -> None:
    """Write a file that is never seen half-written."""
    data = content.encode() if isinstance(content, str) else content
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    temporary.write_bytes(data)
    os.replace(temporary, path)


@dataclass(frozen=True)
class Store:
    """A folder of entries, safe for any number of processes on one file system."""

    root: Path

    @classmethod
    def default(cls) -> "Store":
        return cls(paths.store())

    def folder(self, kind: str, identity: Mapping[str, Any]) -> Path:
        """Where the entry stands, or will stand."""
        return self.root / kind / key(identity)

    def find(self, kind: str, identity: Mapping[str, Any]) -> Path | None:
        """The entry's folder if it is complete, else None."""
        folder = self.folder(kind, identity)
        return folder if _complete(folder) else None

    def get(self, kind: str, identity: Mapping[str, Any], build: Callable[[Path], None]) -> Path:
        """The entry's folder; ``build(working_folder)`` makes the content when it is missing.

        ``build`` may find files of an interrupted attempt in the working folder; what it goes on from it must have written
        atomically (see :func:`write_atomically`), and what does not belong to the entry it must remove.
        """
        folder = self.folder(kind, identity)
        if _complete(folder):
            return folder
        working = self.root / "working" / f"{kind}-{folder.name}"
        working.parent.mkdir(parents=True, exist_ok=True)
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(self.root / "working" / f"{kind}-{folder.name}.lock"):
            if _complete(folder):
                return folder
            working.mkdir(exist_ok=True)
            build(working)
            for half_written in working.glob(".*.tmp"):  # by a process that was killed meanwhile
                half_written.unlink()
            sizes = {f.name: f.stat().st_size for f in sorted(working.iterdir()) if f.name != MANIFEST}
            manifest = {"identity": identity, "files": sizes}
            write_atomically(working / MANIFEST, json.dumps(manifest, indent=1, sort_keys=True, ensure_ascii=False))
            if folder.exists():  # damaged: a complete one was returned above
                shutil.rmtree(folder)
            os.replace(working, folder)
        return folder


def _complete(folder: Path) -> bool:
    """Whether the entry is there with all its files at their full size."""
    try:
        files = json.loads((folder / MANIFEST).read_bytes())["files"]
        return all((folder / name).stat().st_size == size for name, size in files.items())
    except (OSError, ValueError, KeyError):
        return False
