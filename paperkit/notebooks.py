"""Notebooks as functions: what they take, whether they must run again, running them, keeping the committed ones fit.

papermill does the running. It accepts parameters that a notebook does not have, leaves its output behind when a cell
fails, and reports success when a cell leaves early by ``sys.exit(0)``; all that is decided here instead.
"""

from __future__ import annotations

import ast
import contextlib
import hashlib
import json
import logging
import os
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import zmq
from jupyter_client.manager import AsyncKernelManager
from traitlets import default

from paperkit import paths
from paperkit.errors import InputError

if TYPE_CHECKING:
    from nbformat import NotebookNode

KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
KEPT_CELL_METADATA = ("nbgrader", "slideshow", "tags")
CHECKED = "nbval-check-output"
WIDGET = "application/vnd.jupyter.widget-view+json"
TYPES = {kind.__name__ for kind in (bool, dict, float, int, list, str, tuple)} | {"None"}
_MACHINE_PATH = re.compile(r"(?<![\w.:/~-])/(?:home|Users|root|tmp|var|private|opt|usr|mnt|srv)/\w|\b[A-Z]:\\\w")


class NotebookError(RuntimeError):
    """A notebook did not run to its end; says which, in which cell, and why."""


class KernelManager(AsyncKernelManager):
    """Starts kernels that compute on one thread and show nothing interactive."""

    @default("transport_encryption")
    def _encrypt_where_possible(self) -> str:
        # Without encryption ipykernel writes a warning to stderr at every start.
        return "auto" if zmq.has("curve") else "disabled"

    async def start_kernel(self, **options: Any) -> None:  # type: ignore[override]
        env = {"OMP_NUM_THREADS": "1"} | dict(os.environ) | {"PAPERKIT_HEADLESS": "1"}
        await super().start_kernel(env=env, **options)


PAPERMILL = dict(kernel_name="python3", kernel_manager_class=KernelManager, progress_bar=False, start_timeout=120)


@dataclass(frozen=True)
class Parameter:
    """One assignment of the cell tagged ``parameters``."""

    name: str
    default: Any
    types: tuple[str, ...]
    """Names of accepted types, from the annotation if there is one, else of the default; empty: anything."""

    def accepts(self, value: Any) -> bool:
        """Whether ``value`` may be given. An int will do for a float, a list for a tuple; a bool is not a number."""
        given = "None" if value is None else type(value).__name__
        wider = {"int": "float", "list": "tuple"}.get(given)
        return not self.types or given in self.types or wider in self.types

    def convert(self, value: Any) -> Any:
        """``value`` in the declared type, so that 1 and 1.0 name the same run."""
        return float(value) if type(value) is int and "float" in self.types and "int" not in self.types else value


def _types(annotation: ast.expr) -> tuple[str, ...]:
    """The types of ``int | None``, ``Optional[float]`` or ``list[int]``, by name and without what is in them."""
    match annotation:
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return _types(left) + _types(right)
        case ast.Subscript(value=ast.Name(id="Optional"), slice=inner):
            return (*_types(inner), "None")
        case ast.Subscript(value=inner):
            return _types(inner)
    return (ast.unparse(annotation),)


def parameters_of(path: Path) -> dict[str, Parameter]:
    """The parameters of a notebook, in order; none if no cell is tagged ``parameters``.

    Raises InputError if that cell holds anything but assignments of literals. (papermill's own reading is a regular
    expression that misses ``int | None`` and stumbles over ``=`` in a comment.)
    """
    found = {}
    for source in (source for _, source, tags in _cells(path) if "parameters" in tags):
        try:
            for statement in ast.parse(source).body:
                match statement:
                    case ast.Assign(targets=[ast.Name(id=name)], value=literal):
                        value = ast.literal_eval(literal)
                        types = () if value is None else (type(value).__name__,)
                    case ast.AnnAssign(target=ast.Name(id=name), annotation=annotation, value=ast.expr() as literal):
                        value = ast.literal_eval(literal)
                        types = tuple(dict.fromkeys(_types(annotation) + ("None",) * (value is None)))
                    case _:
                        raise ValueError(f"line {statement.lineno} is no plain assignment")
                found[name] = Parameter(name, value, types if TYPES.issuperset(types) else ())
        except (SyntaxError, ValueError) as error:
            raise InputError(f"{path.name}: the parameters cell may only assign literals: {error}") from None
    return found


def check_parameters(path: Path, given: Mapping[str, Any]) -> dict[str, Any]:
    """All parameters of a notebook: its defaults, replaced by what is given.

    Raises InputError for names the notebook does not have and for values of another type.
    """
    known = parameters_of(path)
    if unknown := sorted(set(given) - set(known)):
        raise InputError(f"unknown parameters for {path.name}: {unknown} (known: {sorted(known)})")
    wrong = {name: value for name, value in given.items() if not known[name].accepts(value)}
    if wrong:
        reasons = (f"{name}: expected {' or '.join(known[name].types)}, got {wrong[name]!r}" for name in wrong)
        raise InputError(f"{path.name}: {'; '.join(reasons)}")
    return {name: known[name].convert(given.get(name, known[name].default)) for name in known}


def key(path: Path, parameters: Mapping[str, Any], inputs: Mapping[str, str]) -> str:
    """sha256 of all that an executed notebook depends on.

    Its cells with their tags (text too: the report shows it), the resolved parameters, and ``inputs``, which names
    what lies outside: digests of code, checksums of data. Outputs, counts and other metadata do not matter.
    """
    content = json.dumps([_cells(path), dict(parameters), dict(inputs)], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()


def made_under(output: Path, key: str) -> bool:
    """Whether ``output`` is a whole executed notebook, made under the same ``key``."""
    with contextlib.suppress(OSError, ValueError, LookupError, TypeError):
        return json.loads(output.read_text(encoding="utf-8"))["metadata"]["paperkit"]["key"] == key
    return False


def execute(path: Path, output: Path, parameters: Mapping[str, Any], key: str, *, log: TextIO | None = None) -> bool:
    """Run a notebook with resolved parameters into ``output``, unless ``output`` was made under the same ``key``.

    Returns whether it ran. ``output`` appears complete or not at all; what a failed run wrote is kept beside it as
    ``<name>.failed.ipynb``. What cells print goes to ``log`` as well, as it comes. Raises NotebookError.
    """
    if made_under(output, key):
        return False
    notebook = _run(path, output, parameters, log)
    notebook.metadata.papermill.update(input_path=path.name, output_path=output.name)
    notebook.metadata.paperkit = {"key": key}
    _write(output, notebook)
    return True


def _run(path: Path, output: Path, parameters: Mapping[str, Any], log: TextIO | None) -> NotebookNode:
    import papermill

    # It warns about parameters that its own reading of the notebook misses; ours has checked them.
    logging.getLogger("papermill").setLevel(logging.CRITICAL)
    folder = {"metadata": {"path": str(path.resolve().parent)}}  # cwd= would change the folder of this process
    failed = output.with_suffix(".failed.ipynb")
    with _temporary(output) as temporary:
        for last_try in (False, True):
            reason = "the kernel left before the end of the notebook"
            try:
                notebook = papermill.execute_notebook(
                    path, temporary, dict(parameters), stdout_file=log, resources=folder, **PAPERMILL
                )
                if all(cell.metadata.papermill.status == "completed" for cell in notebook.cells):
                    failed.unlink(missing_ok=True)
                    return notebook
            except papermill.PapermillExecutionError as error:
                reason = f"{error.ename}: {error.evalue}"
            except RuntimeError as error:
                reason = f"{error} (a kernel is killed from outside most often for want of memory)"
            # Not the execution counts: a kernel that dies at once may take the message that brings the count with it.
            cell = sum(bool(cell.metadata.get("papermill", {}).get("start_time")) for cell in _code(_read(temporary)))
            if cell or last_try:  # else the kernel did not even start: two that start at once can get the same port
                os.replace(temporary, failed)
                place = f"cell {cell}" if cell else "before its first cell"
                raise NotebookError(f"{path.name}, {place}: {reason}; kept: {failed}")
    raise AssertionError("unreachable")


@contextlib.contextmanager
def _temporary(target: Path) -> Iterator[Path]:
    """A name beside ``target`` that is gone afterwards; removes those that killed processes left."""
    target.parent.mkdir(parents=True, exist_ok=True)
    for left in target.parent.glob(".*.tmp.ipynb"):
        if time.time() - left.stat().st_mtime > 3600:  # papermill would only write it again
            left.unlink(missing_ok=True)
    temporary = target.with_name(f".{target.stem}.{os.getpid()}.tmp.ipynb")
    try:
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


def _cells(path: Path) -> list[tuple[str, str, list[str]]]:
    """Type, source and tags of every cell. As plain JSON: to import nbformat takes seconds, more than all else that has to
    be done to find a notebook up to date."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return [(cell["cell_type"], "".join(cell["source"]), sorted(cell["metadata"].get("tags", []))) for cell in cells]


def _read(path: Path) -> NotebookNode:
    import nbformat

    return nbformat.read(path, as_version=4)


def _code(notebook: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code" and cell.source.strip()]


def _write(path: Path, notebook: NotebookNode) -> None:
    import nbformat

    with _temporary(path) as temporary:
        temporary.write_text(nbformat.writes(notebook).rstrip("\n") + "\n", encoding="utf-8")
        os.replace(temporary, path)


def clean(notebook: NotebookNode) -> NotebookNode:
    """A copy fit to be committed: outputs and counts stay; times, widget state and traces of a machine go."""
    import nbformat

    copy = nbformat.from_dict(json.loads(json.dumps(notebook)))
    copy.metadata = nbformat.from_dict({"kernelspec": KERNEL, "language_info": {"name": "python"}})
    copy.nbformat, copy.nbformat_minor = 4, 5
    for number, cell in enumerate(copy.cells, start=1):
        cell.setdefault("id", f"cell-{number}")
        cell.metadata = nbformat.from_dict({k: cell.metadata[k] for k in KEPT_CELL_METADATA if cell.metadata.get(k)})
        joined: list[NotebookNode] = []
        for output in cell.get("outputs", ()):
            output.get("data", {}).pop(WIDGET, None)
            # How a printed text was cut into messages depends on timing; one output holds it all.
            if joined and output.get("name", 0) == joined[-1].get("name"):
                joined[-1].text += output.text
            elif output.get("data") != {}:
                joined.append(output)
        if "outputs" in cell:
            cell.outputs = joined
    return copy


def refresh(path: Path) -> None:
    """Execute a committed notebook with its own defaults and write it back, cleaned.

    Raises NotebookError; the notebook is then as it was, and the failed run lies in the build folder.
    """
    _write(path, clean(_run(path, paths.build("embedded", "smoke") / path.name, {}, None)))


def check(path: Path) -> list[str]:
    """What makes a committed notebook unfit as the reference of its own test, in sentences; empty if nothing does.

    nbval compares no cell without an execution count, so a notebook without counts passes whatever it computes.
    """
    notebook = _read(path)
    code = _code(notebook)
    tags = [tag for cell in notebook.cells for tag in cell.metadata.get("tags", [])]
    found = {
        "its kernel is not python3": notebook.metadata.get("kernelspec", {}).get("name") != "python3",
        f"{tags.count('parameters')} cells are tagged parameters, not one": tags.count("parameters") != 1,
        f"no cell is tagged {CHECKED}": CHECKED not in tags,
        "a cell is tagged raises-exception, where papermill stops: use try": "raises-exception" in tags,
        "its code cells are not counted 1, 2, 3, …: it was not run from top to bottom": (
            [cell.execution_count for cell in code] != list(range(1, len(code) + 1))
        ),
        "it carries metadata of an execution or a widget: make refresh": clean(notebook) != notebook,
    }
    try:
        for parameter in parameters_of(path).values():
            found[f"the default of {parameter.name} has another type"] = not parameter.accepts(parameter.default)
    except InputError as error:
        found[str(error)] = True
    for number, cell in enumerate(code, start=1):
        text = "\n".join(_texts(cell))
        checked = CHECKED in cell.metadata.get("tags", [])
        names = {output.get("name", output.output_type) for output in cell.outputs}
        found |= {
            f"cell {number} shows an error": "error" in names,
            f"cell {number} shows a path of a machine": bool(_MACHINE_PATH.search(text)) or f"{paths.ROOT}/" in text,
            f"checked cell {number} writes to stderr": checked and "stderr" in names,
            f"checked cell {number} shows no text, and nothing else is compared": checked and not text.strip(),
        }
    return [sentence for sentence, holds in found.items() if holds]


def _texts(cell: NotebookNode) -> Iterator[str]:
    for output in cell.outputs:
        yield output.get("text", "")
        yield from (value for kind, value in output.get("data", {}).items() if kind.startswith(("text/", "image/svg")))
