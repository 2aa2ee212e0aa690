"""Benchmarks are not timed here, but what they import must exist."""

import importlib.util

import pytest

from paperkit import paths

SCRIPTS = sorted((paths.ROOT / "benchmarks").glob("*.py"))


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_a_benchmark_can_be_loaded_and_says_how_it_is_run(script):
    spec = importlib.util.spec_from_file_location(script.stem, script)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert callable(module.main) and f"benchmarks/{script.name}" in module.__doc__
