"""Notebooks as functions: every way to give them wrong parameters, and every way for them to fail."""

import io
import json
import os
import time

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from paperkit import notebooks
from paperkit.errors import InputError
from paperkit.notebooks import NotebookError

PARAMETERS = """\
# what a run takes
epochs: int = 2
lr: float = 1e-2  # lr >= 0, a=b
limit: int | None = None
ratio = 0.5
name = "focal"  # one of a = b, c
quick = True
anything = None
seeds: list[int] = [0, 1]
"""


def write(path, *cells, parameters=None):
    """A notebook of code cells; a pair is (source, tag)."""
    made = [new_code_cell(parameters, metadata={"tags": ["parameters"]})] if parameters is not None else []
    for number, cell in enumerate(cells):
        source, *tags = (cell,) if isinstance(cell, str) else cell
        made.append(new_code_cell(source, id=f"c{number}", metadata={"tags": tags}))
    metadata = {"kernelspec": {"name": "another-environment", "display_name": "x", "language": "python"}}
    nbformat.write(new_notebook(cells=made, metadata=metadata), path)
    return path


def files(folder):
    return sorted(p.name for p in folder.iterdir())


@pytest.fixture
def path(tmp_path):
    folder = tmp_path / "notebooks"
    folder.mkdir()
    return folder / "02_x.ipynb"


@pytest.fixture
def output(tmp_path):
    return tmp_path / "build" / "02_x.ipynb"


def test_parameters_are_read_as_python_reads_them(path):
    found = notebooks.parameters_of(write(path, parameters=PARAMETERS))
    assert {p.name: (p.default, p.types) for p in found.values()} == {
        "epochs": (2, ("int",)),
        "lr": (0.01, ("float",)),
        "limit": (None, ("int", "None")),
        "ratio": (0.5, ("float",)),
        "name": ("focal", ("str",)),
        "quick": (True, ("bool",)),
        "anything": (None, ()),
        "seeds": ([0, 1], ("list",)),
    }


@pytest.mark.parametrize(
    ("line", "types"),
    [
        ("x: Optional[int] = None", ("int", "None")),
        ("x: int = None", ("int", "None")),
        ("x: int | str | None = 3", ("int", "str", "None")),
        ("x: dict[str, list[int]] | None = None", ("dict", "None")),
        ("x: list[int] | dict[str, int] = []", ("list", "dict")),
        ("x: Path = 'a'", ()),
        ("x = -1", ("int",)),
    ],
)
def test_annotations(path, line, types):
    assert notebooks.parameters_of(write(path, parameters=line))["x"].types == types


@pytest.mark.parametrize("source", ["import os", "x = f()", "x += 1", "%time x = 1", "x: int"])
def test_a_parameters_cell_holds_only_literals(path, source):
    with pytest.raises(InputError, match=r"02_x\.ipynb: the parameters cell may only assign literals"):
        notebooks.parameters_of(write(path, parameters=source))


def test_resolved_parameters_are_the_defaults_and_what_is_given(path):
    write(path, parameters=PARAMETERS)
    resolved = notebooks.check_parameters(path, {"lr": 1, "limit": 5, "anything": "x"})
    assert resolved["lr"] == 1.0 and type(resolved["lr"]) is float
    assert (resolved["limit"], resolved["anything"], resolved["epochs"]) == (5, "x", 2)


def test_unknown_parameters_are_refused(path):
    write(path, parameters="epochs: int = 2\nlr = 0.1")
    with pytest.raises(InputError) as caught:
        notebooks.check_parameters(path, {"epoch": 3})
    assert str(caught.value) == "unknown parameters for 02_x.ipynb: ['epoch'] (known: ['epochs', 'lr'])"
    with pytest.raises(InputError, match=r"\(known: \[\]\)"):
        notebooks.check_parameters(write(path, "1"), {"epoch": 3})


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"lr": "1e-3"}, "lr: expected float, got '1e-3'"),
        ({"epochs": 2.0}, "epochs: expected int, got 2.0"),
        ({"epochs": True}, "epochs: expected int, got True"),
        ({"ratio": False}, "ratio: expected float, got False"),
        ({"quick": 1}, "quick: expected bool, got 1"),
        ({"limit": "5"}, "limit: expected int or None, got '5'"),
        ({"name": None}, "name: expected str, got None"),
        ({"name": 1, "seeds": 3}, "name: expected str, got 1; seeds: expected list, got 3"),
    ],
)
def test_values_of_another_type_are_refused(path, given, message):
    with pytest.raises(InputError) as caught:
        notebooks.check_parameters(write(path, parameters=PARAMETERS), given)
    assert str(caught.value) == f"02_x.ipynb: {message}"


def test_the_key_follows_content_and_nothing_else(path):
    write(path, "a = 1", ("print(a)", notebooks.CHECKED), parameters="x = 1")
    notebook = nbformat.read(path, as_version=4)
    notebook.cells.append(new_markdown_cell("The end."))
    nbformat.write(notebook, path)
    original = notebooks.key(path, {"x": 1, "y": 2}, {"code": "c", "data": "d"})
    assert notebooks.key(path, {"y": 2, "x": 1}, {"data": "d", "code": "c"}) == original

    def changed(edit):
        copy = nbformat.from_dict(json.loads(json.dumps(notebook)))
        edit(copy)
        nbformat.write(copy, path)
        return notebooks.key(path, {"x": 1, "y": 2}, {"code": "c", "data": "d"}) != original

    assert not changed(lambda n: n.cells[1].outputs.append(new_output("stream", text="1")))
    assert not changed(lambda n: n.cells[1].update(execution_count=7, id="other"))
    assert not changed(lambda n: n.cells[1].metadata.update(collapsed=True))
    assert not changed(lambda n: n.metadata.update(papermill={"duration": 1}))
    assert changed(lambda n: n.cells[1].update(source="a = 2"))
    assert changed(lambda n: n.cells[2].metadata.update(tags=[]))
    assert changed(lambda n: n.cells[3].update(source="The very end."))
    assert changed(lambda n: n.cells.reverse())
    nbformat.write(notebook, path)
    others = [({"x": 1.5, "y": 2}, {"code": "c", "data": "d"}), ({"x": 1, "y": 2}, {"code": "c2", "data": "d"})]
    assert original not in {notebooks.key(path, *other) for other in others}


def test_a_notebook_runs_once_per_key(path, output, capfd):
    write(
        path,
        "import os\nopen('ran', 'a').write('x')\nprint(epochs, limit, lr)",
        "print(os.environ['PAPERKIT_HEADLESS'], os.environ['OMP_NUM_THREADS'], os.path.basename(os.getcwd()))",
        parameters=PARAMETERS,
    )
    before, log = os.getcwd(), io.StringIO()
    parameters = notebooks.check_parameters(path, {"epochs": 5, "limit": 7})
    output.parent.mkdir()
    output.with_suffix(".failed.ipynb").write_text("of an earlier run")
    left = output.with_name(".02_x.123.tmp.ipynb")
    left.write_text("of a killed run")
    os.utime(left, (time.time() - 9999,) * 2)

    assert notebooks.execute(path, output, parameters, "k1", log=log) is True
    assert log.getvalue() == "5 7 0.01\n1 1 notebooks\n"
    assert files(output.parent) == ["02_x.ipynb"]
    assert os.getcwd() == before
    out, err = capfd.readouterr()
    # once, under two test processes, there was something else in err that never came again; ours must not be
    assert out == "" and not any(word in err for word in ("Executing", "cell", "Traceback", "5 7 0.01"))

    stamp = output.stat().st_mtime_ns
    assert notebooks.execute(path, output, parameters, "k1") is False
    assert output.stat().st_mtime_ns == stamp
    assert notebooks.execute(path, output, parameters, "k2") is True
    assert (path.parent / "ran").read_text() == "xx"
    output.write_text("{}")
    assert notebooks.execute(path, output, parameters, "k2") is True


FAILURES = {
    "error": ("raise ValueError('no such\\nthing')", "02_x.ipynb, cell 2: ValueError: no such\nthing; kept: "),
    "killed": ("import os; os.kill(os.getpid(), 9)", "02_x.ipynb, cell 2: Kernel died"),
    "left": ("import sys; sys.exit(0)", "02_x.ipynb, cell 2: the kernel left before the end of the notebook"),
    "ended": ("import os; os._exit(0)", "02_x.ipynb, cell 2: Kernel died"),
}


@pytest.mark.parametrize("way", FAILURES)
def test_a_failure_is_kept_aside_and_leaves_the_last_good_output(path, output, way):
    source, message = FAILURES[way]
    write(path, "open('ran', 'a').write('x')", source, "print('never')")
    output.parent.mkdir()
    output.write_text("the last good one")
    with pytest.raises(NotebookError) as caught:
        notebooks.execute(path, output, {}, "k")
    assert str(caught.value).startswith(message)
    assert str(output.with_suffix(".failed.ipynb")) in str(caught.value)
    assert files(output.parent) == ["02_x.failed.ipynb", "02_x.ipynb"]
    assert output.read_text() == "the last good one"
    assert (path.parent / "ran").read_text() == "x"  # a notebook that had begun is not run a second time
    assert "never" not in "".join(o.get("text", "") for c in read(output.with_suffix(".failed.ipynb")) for o in c)


def read(path):
    return [cell.get("outputs", []) for cell in nbformat.read(path, as_version=4).cells]


@pytest.mark.parametrize("deaths", [1, 2])
def test_a_kernel_that_does_not_start_gets_a_second_chance(path, output, monkeypatch, deaths):
    import papermill

    write(path, "print('here')")
    real, tries = papermill.execute_notebook, []

    def flaky(source, target, *args, **kwargs):
        tries.append(target)
        if len(tries) <= deaths:
            nbformat.write(nbformat.read(source, as_version=4), target)
            raise RuntimeError("Kernel died before replying to kernel_info")
        return real(source, target, *args, **kwargs)

    monkeypatch.setattr(papermill, "execute_notebook", flaky)
    if deaths == 1:
        assert notebooks.execute(path, output, {}, "k")
        assert files(output.parent) == ["02_x.ipynb"]
    else:
        with pytest.raises(NotebookError, match="before its first cell: Kernel died before replying"):
            notebooks.execute(path, output, {}, "k")
        assert len(tries) == 2


def test_an_interrupted_run_leaves_nothing(path, output, monkeypatch):
    import papermill

    def interrupted(source, target, *args, **kwargs):
        target.write_text("half a noteb")
        raise KeyboardInterrupt

    monkeypatch.setattr(papermill, "execute_notebook", interrupted)
    with pytest.raises(KeyboardInterrupt):
        notebooks.execute(write(path, "1"), output, {}, "k")
    assert files(output.parent) == []


GOOD = (
    "import sys",
    ("for i in range(3):\n    print(f'acc={i / 7:.3f}', flush=True)", notebooks.CHECKED),
    "from ipywidgets import IntSlider\nslider = IntSlider()\nslider",
)


def test_refresh_makes_a_notebook_fit_to_be_committed(path, tmp_path, monkeypatch):
    monkeypatch.setenv("PAPERKIT_BUILD", str(tmp_path / "build"))
    write(path, *GOOD, parameters=PARAMETERS)
    assert notebooks.check(path) != []
    notebooks.refresh(path)
    assert notebooks.check(path) == []
    first = path.read_bytes()
    notebook = nbformat.read(path, as_version=4)
    assert [cell.execution_count for cell in notebook.cells] == [1, 2, 3, 4]
    assert [cell.id for cell in notebook.cells[1:]] == ["c0", "c1", "c2"]
    assert notebook.cells[2].outputs == [new_output("stream", name="stdout", text="acc=0.000\nacc=0.143\nacc=0.286\n")]
    assert set(notebook.metadata) == {"kernelspec", "language_info"}
    assert all(set(cell.metadata) <= {"tags"} for cell in notebook.cells)
    assert b"widget" not in first.replace(b"ipywidgets", b"")
    notebooks.refresh(path)
    assert path.read_bytes() == first
    assert files(path.parent) == ["02_x.ipynb"]


def test_a_failed_refresh_changes_nothing(path, tmp_path, monkeypatch):
    monkeypatch.setenv("PAPERKIT_BUILD", str(tmp_path / "build"))
    write(path, "1 / 0")
    before = path.read_bytes()
    with pytest.raises(NotebookError, match="cell 1: ZeroDivisionError: division by zero"):
        notebooks.refresh(path)
    assert path.read_bytes() == before
    assert files(path.parent) == ["02_x.ipynb"]
    assert files(tmp_path / "build" / "embedded" / "smoke") == ["02_x.failed.ipynb"]


def committed():
    """What refresh writes, without running anything."""
    cells = [
        new_code_cell("x = 1", id="a", metadata={"tags": ["parameters"]}, execution_count=1),
        new_markdown_cell("Text.", id="b"),
        new_code_cell("print(x)", id="c", metadata={"tags": [notebooks.CHECKED]}, execution_count=2),
        new_code_cell("x", id="d", execution_count=3),
        new_code_cell("", id="e"),
    ]
    cells[2].outputs = [new_output("stream", name="stdout", text="acc=0.707\n")]
    cells[3].outputs = [new_output("execute_result", {"text/plain": "1"}, execution_count=3)]
    return notebooks.clean(new_notebook(cells=cells))


def test_a_committed_notebook_passes(path):
    nbformat.write(committed(), path)
    assert notebooks.check(path) == []


def _home(notebook):
    notebook.cells[3].outputs[0].data["text/plain"] = "<module from '/home/" + "someone/x.py'>"


BROKEN = {
    "kernel": (lambda n: n.metadata.kernelspec.update(name="my-env"), "kernel is not python3"),
    "no parameters": (lambda n: n.cells[0].metadata.clear(), "0 cells are tagged parameters"),
    "two parameters": (lambda n: n.cells[3].metadata.update(tags=["parameters"]), "2 cells are tagged parameters"),
    "no literals": (lambda n: n.cells[0].update(source="x = f()"), "may only assign literals"),
    "default": (lambda n: n.cells[0].update(source="x: str = 1"), "default of x has another type"),
    "nothing checked": (lambda n: n.cells[2].metadata.clear(), "no cell is tagged nbval-check-output"),
    "no counts": (lambda n: [c.update(execution_count=None) for c in n.cells if "outputs" in c], "not counted"),
    "order": (lambda n: (n.cells[2].update(execution_count=3), n.cells[3].update(execution_count=2)), "not counted"),
    "papermill": (lambda n: n.metadata.update(papermill={}), "metadata of an execution"),
    "cell times": (lambda n: n.cells[0].metadata.update(execution={"iopub": "…"}), "metadata of an execution"),
    "widgets": (lambda n: n.cells[3].outputs[0].data.update({notebooks.WIDGET: {}}), "or a widget"),
    "version": (lambda n: n.metadata.language_info.update(version="3.11.7"), "metadata of an execution"),
    "no output": (lambda n: n.cells[2].update(outputs=[]), "checked cell 2 shows no text"),
    "image": (
        lambda n: n.cells[2].update(outputs=[new_output("display_data", {"image/png": "iVBORw0"})]),
        "checked cell 2 shows no text",
    ),
    "stderr": (lambda n: n.cells[2].outputs[0].update(name="stderr"), "checked cell 2 writes to stderr"),
    "error": (
        lambda n: n.cells[3].update(outputs=[new_output("error", ename="E", evalue="", traceback=[])]),
        "cell 3 shows an error",
    ),
    "path": (_home, "cell 3 shows a path of a machine"),
    "this folder": (
        lambda n: n.cells[2].outputs[0].update(text=f"{notebooks.paths.ROOT}/figures\n"),
        "cell 2 shows a path of a machine",
    ),
    "raises": (lambda n: n.cells[3].metadata.update(tags=["raises-exception"]), "tagged raises-exception"),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_the_guard_finds(path, fault):
    edit, sentence = BROKEN[fault]
    notebook = committed()
    edit(notebook)
    nbformat.write(notebook, path)
    problems = notebooks.check(path)
    assert any(sentence in problem for problem in problems), problems


@pytest.mark.parametrize("text", ["a/tmp/b", "https://x.org/home/me", "../tmp/x", "and/or", "5 /mnt"])
def test_what_is_no_path_of_a_machine(path, text):
    notebook = committed()
    notebook.cells[2].outputs[0].text = text
    nbformat.write(notebook, path)
    assert notebooks.check(path) == []
