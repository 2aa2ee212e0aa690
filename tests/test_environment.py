"""One truth about versions: requirements.txt pins, and everything else that speaks of versions agrees with it."""

import ast
import re
import subprocess
import sys
import tomllib
from importlib.metadata import distributions, packages_distributions
from pathlib import Path

import nbformat
import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from paperkit.paths import ROOT

PYTORCH = "https://download.pytorch.org/whl/cpu"
LINES = [line for line in (ROOT / "requirements.txt").read_text().splitlines() if line and not line.startswith("#")]
PINS = {canonicalize_name(pin.name): pin for pin in map(Requirement, LINES)}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
CODE = ("paperkit", "tests", "benchmarks", "notebooks")
DIRECT = [Requirement(line) for line in PROJECT["dependencies"]]
OPTIONAL = [Requirement(line) for group in PROJECT["optional-dependencies"].values() for line in group]


def version(pin):
    return next(iter(pin.specifier)).version


def test_every_pin_is_exact_and_available_to_everyone():
    assert len(PINS) == len(LINES)
    for name, pin in PINS.items():
        (specifier,) = pin.specifier
        assert specifier.operator == "==" and "*" not in specifier.version, name
        assert "+" not in specifier.version, f"{name}: a local version is on no public index"
        assert not pin.url and not pin.extras, name
    assert str(PINS["torch"]) == "torch==2.13.0"


@pytest.mark.parametrize("direct", DIRECT, ids=lambda direct: direct.name)
def test_a_direct_dependency_is_pinned_within_its_range(direct):
    assert direct.specifier.contains(version(PINS[canonicalize_name(direct.name)]))
    assert not any(specifier.operator == "==" for specifier in direct.specifier), "a range, not a pin"


def test_the_pins_are_complete_and_agree_with_each_other():
    """Every requirement of every pinned package that is installed is pinned too, in a version it accepts."""
    wrong = []
    for package in distributions():
        if canonicalize_name(package.name) not in PINS:
            continue
        for need in map(Requirement, package.requires or ()):
            if need.marker and not need.marker.evaluate({"extra": ""}):
                continue
            if re.match(r"nvidia-|triton|cuda-", need.name):
                continue  # torch pins its own CUDA libraries
            pin = PINS.get(canonicalize_name(need.name))
            if pin is None or not need.specifier.contains(version(pin), prereleases=True):
                wrong.append(f"{package.name} needs {need}, pinned: {pin}")
    assert not wrong


def test_what_is_installed_is_what_is_pinned():
    if Path(sys.prefix) != ROOT / ".venv":
        pytest.skip("not in the environment that make sets up")
    installed = {canonicalize_name(package.name): package.version.split("+")[0] for package in distributions()}
    pinned = {name: version(pin) for name, pin in PINS.items() if not pin.marker or pin.marker.evaluate()}
    assert {name: installed.get(name) for name in pinned} == pinned


def test_the_pins_serve_every_python_and_platform():
    assert PROJECT["requires-python"] == ">=3.11,<3.14"
    # papermill 2.7 asks for it on 3.12 alone
    assert PINS["aiohttp"].marker.evaluate({"python_version": "3.12"})
    assert PINS["appnope"].marker.evaluate({"sys_platform": "darwin"})


def test_conda_reads_the_same_pins():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    assert environment["channels"] == ["conda-forge"]
    *conda, pip = environment["dependencies"]
    assert pip == {"pip": [f"--extra-index-url {PYTORCH}", "-r requirements.txt", "-e ."]}
    assert conda == ["python=3.11", "pip", "make"]
    assert SpecifierSet(PROJECT["requires-python"]).contains("3.11")


def tracked():
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    if listing.returncode:
        pytest.skip("not a git repository")
    for path in (ROOT / name for name in listing.stdout.split("\0") if name):
        if path.is_file() and path.stat().st_size < 2_000_000:
            yield path, path.read_text(encoding="utf-8", errors="replace")


def test_no_package_index_is_named_but_pytorchs():
    option = re.compile(
        r"(?:index[-_]url|find[-_]links|UV_INDEX\w*|\bindexes)[\"']?[ =:]+[\"']?((?:https?|file):[^\s\"']+)", re.I
    )
    host = re.compile(
        r"https?://(?:[\w.-]*pythonhosted\.org|pypi\.[\w.-]+/simple|[\w.-]+/(?:pypi/)?simple)\b[^\s\"']*", re.I
    )
    for path, text in tracked():
        if path == Path(__file__):
            continue
        named = {*option.findall(text), *host.findall(text)} - {PYTORCH}
        assert not named, f"{path.relative_to(ROOT)} names {named}"


def imported(path, text):
    """Top-level modules that a file or the code cells of a notebook import."""
    if path.suffix == ".ipynb":
        cells = [cell.source for cell in nbformat.reads(text, as_version=4).cells if cell.cell_type == "code"]
        text = "\n".join(line for cell in cells for line in cell.splitlines() if not line.startswith(("%", "!")))
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield node.module.split(".")[0]


def test_what_is_imported_is_declared():
    declared = {canonicalize_name(need.name) for need in (*DIRECT, *OPTIONAL)}
    providers = packages_distributions()
    undeclared = set()
    for path, text in tracked():
        place = path.relative_to(ROOT)
        if path.suffix not in (".py", ".ipynb") or place.parts[0] not in CODE:
            continue
        beside = {other.stem for other in path.parent.glob("*.py")}
        for module in {*imported(path, text)} - {*sys.stdlib_module_names, "paperkit", "tests", *beside}:
            if not declared & {canonicalize_name(name) for name in providers.get(module, [module])}:
                undeclared.add(f"{place}: {module}")
    assert not undeclared
