"""The fingerprint of our code: what changes it, what does not, and how far it reaches."""

import ast
import textwrap

import pytest

from paperkit import code, paths

FILES = {
    "paperkit/__init__.py": '"""The package."""\n',
    "paperkit/base.py": '''
        """Numbers."""

        RATE = 0.5


        def rate(x):
            """The rate."""
            return RATE * x  # half
        ''',
    "paperkit/models/__init__.py": "",
    "paperkit/models/net.py": """
        import numpy as np

        from paperkit.base import rate


        class Net:
            def forward(self, x):
                from paperkit import late

                return late.add(rate(x))
        """,
    "paperkit/late.py": """
        def add(x):
            import paperkit.deep

            return x + paperkit.deep.ONE
        """,
    "paperkit/deep.py": "ONE = 1\n",
    "paperkit/alone.py": "from paperkit.models import net\n",
}


@pytest.fixture
def project(tmp_path, monkeypatch):
    """``write(path, text)`` into a small project that stands in for ours."""

    def write(path, text):
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(textwrap.dedent(text), encoding="utf-8")
        for cached in (code._meaning, code.closure, code.digest):
            cached.cache_clear()

    monkeypatch.setattr(paths, "ROOT", tmp_path)
    for path, text in FILES.items():
        write(path, text)
    yield write
    for cached in (code._meaning, code.closure, code.digest):
        cached.cache_clear()


def test_it_follows_every_import(project):
    reached = ("paperkit.base", "paperkit.deep", "paperkit.late", "paperkit.models.net")
    assert set(reached) <= set(code.closure("paperkit.models.net"))
    assert not {"paperkit.alone", "numpy"} & set(code.closure("paperkit.models.net"))
    assert set(reached) < set(code.closure("paperkit.alone"))
    assert code.closure("paperkit.deep") == ("paperkit.deep",)


@pytest.mark.parametrize(
    ("path", "old", "new"),
    [
        ("paperkit/base.py", "# half", "# a half"),
        ("paperkit/base.py", "Numbers.", "Better words."),
        ("paperkit/base.py", "The rate.", "What it gives."),
        ("paperkit/base.py", "return RATE * x", "return (\n                RATE\n                * x\n            )"),
        ("paperkit/base.py", "RATE = 0.5", "RATE = 5e-1"),
        ("paperkit/alone.py", "net", "other"),
    ],
)
def test_what_does_not_matter(project, path, old, new):
    before = code.digest("paperkit.models.net")
    assert old in FILES[path]
    project(path, FILES[path].replace(old, new))
    assert code.digest("paperkit.models.net") == before


@pytest.mark.parametrize(
    ("path", "old", "new"),
    [
        ("paperkit/base.py", "RATE = 0.5", "RATE = 0.6"),
        ("paperkit/base.py", "RATE * x", "RATE + x"),
        ("paperkit/models/net.py", "rate(x)", "rate(-x)"),
        ("paperkit/models/net.py", "def forward", "def backward"),
        ("paperkit/late.py", "x +", "x -"),
        ("paperkit/deep.py", "ONE = 1", "ONE = 1.0"),
        ("paperkit/deep.py", "ONE = 1", "ONE = '1'"),
    ],
)
def test_what_matters_wherever_it_is_reached(project, path, old, new):
    before = code.digest("paperkit.models.net")
    assert old in FILES[path]
    project(path, FILES[path].replace(old, new))
    assert code.digest("paperkit.models.net") != before


def test_modules_have_digests_of_their_own(project):
    names = ("paperkit.base", "paperkit.late", "paperkit.deep", "paperkit.models.net", "paperkit.alone")
    assert len({code.digest(name) for name in names}) == len(names)


def test_a_line_may_not_move_between_modules_unseen(project):
    before = code.digest("paperkit.models.net")
    project("paperkit/deep.py", "")
    project("paperkit/late.py", "ONE = 1\n" + textwrap.dedent(FILES["paperkit/late.py"]))
    assert code.digest("paperkit.models.net") != before


def test_training_reaches_everything_that_decides_a_result():
    reached = set(code.closure("paperkit.training.execute"))
    for part in ("models.bilstm", "models.linear", "losses", "seeds", "training.loop", "training.methods"):
        assert f"paperkit.{part}" in reached
    assert {f"paperkit.text.{part}" for part in ("words", "vocabulary", "vectors", "batches", "prepare")} <= reached
    assert not any(name.startswith(("paperkit.exhibits", "paperkit.evaluate")) for name in reached)


def test_all_our_imports_can_be_followed():
    """A relative import, or one by a name made at run time, would escape the fingerprint.

    Of those that read lists and sheets the content is a part of the identity, so how files are found and checked is not.
    """
    readers = {"paperkit.text.lexicon", "paperkit.text.translate"}
    for name in set(code.closure("paperkit.training.execute")) - readers:
        for node in ast.walk(code._meaning(code._file(name))):
            assert not (isinstance(node, ast.ImportFrom) and node.level), name
            assert not (isinstance(node, ast.Name | ast.Attribute) and "import_module" in ast.dump(node)), name


def test_versions():
    assert code.versions("numpy", "pytest") == {"numpy": __import__("numpy").__version__, "pytest": pytest.__version__}


HEAVY = {"gensim", "jieba", "papermill", "nbclient", "matplotlib", "pandas"}
"""Packages that a machine which only trains encoders need not have."""


@pytest.mark.parametrize("name", ["losses", "attacks", "models.momentum", "training.methods", "training.objective"])
def test_what_steps_are_made_of_is_light(name):
    for module in code.closure(f"paperkit.{name}"):
        for node in ast.walk(code._meaning(code._file(module))):
            names = [node.module] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            assert not HEAVY & {imported.partition(".")[0] for imported in names}, module
