"""What a result rests on besides its inputs: our code, as a fingerprint, and the versions of libraries."""

import ast
import hashlib
import subprocess
from functools import cache
from importlib import metadata
from pathlib import Path

from paperkit import paths


def _file(module: str) -> Path | None:
    base = paths.ROOT.joinpath(*module.split("."))
    for candidate in (base.with_suffix(".py"), base / "__init__.py"):
        if candidate.exists():
            return candidate
    return None


@cache
def _meaning(file: Path) -> ast.Module:
    """The syntax tree without docstrings: a better comment must not make anyone train again."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = [s for s in body if not (isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant))]
    return tree


@cache
def closure(module: str) -> tuple[str, ...]:
    """``module`` and every paperkit module it imports, directly or not, at the top of a file or inside a function."""
    found: set[str] = set()
    waiting = [module]
    while waiting:
        name = waiting.pop()
        file = _file(name)
        if name in found or file is None:
            continue
        found.add(name)
        for node in ast.walk(_meaning(file)):
            if isinstance(node, ast.Import):
                waiting += [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                waiting += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return tuple(sorted(name for name in found if name.split(".")[0] == "paperkit"))


@cache
def digest(module: str) -> str:
    """sha256 of the code that ``module`` reaches inside paperkit; comments, docstrings and layout do not count."""
    sources = (f"{name}\n{ast.dump(_meaning(_file(name)))}\n" for name in closure(module))
    return hashlib.sha256("".join(sources).encode()).hexdigest()


def versions(*packages: str) -> dict[str, str]:
    """Installed versions, for identities and provenance."""
    return {package: metadata.version(package) for package in packages}


@cache
def commit() -> str | None:
    """The commit of the working copy, ``-dirty`` if changed; None outside git."""
    try:
        done = subprocess.run(["git", "describe", "--always", "--dirty", "--abbrev=12"], cwd=paths.ROOT, check=True,
                              capture_output=True, text=True, timeout=10)  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
