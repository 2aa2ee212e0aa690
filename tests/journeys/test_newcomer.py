"""Someone types `make paper`, is interrupted, types it again; has one core, or two. The numbers are the same."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time

import pytest

from paperkit import paths
from paperkit.exhibits.exhibit import show
from paperkit.study import Study
from tests.journeys.conftest import ONE, Home, settings

LONGER = ONE | {"reviews": 120, "epochs": 5, "batch_size": 16}
TABLES = ("b_table_3", "b_table_4", "b_table_5", "x_b_ablations")


def tables(home: Home) -> dict[str, bytes]:
    """The tables that follow from the runs in a home's store, which must hold them all."""
    study = Study("embedded", "smoke", overrides=LONGER, workers=1)
    assert all(spec.find(study.store) for spec in study.plan())
    for name in TABLES:
        show(study, name)
    return home.files("build/embedded/smoke/*.csv") | home.files("store/runs/*/*.safetensors")


@pytest.fixture
def undisturbed(new_home) -> dict[str, bytes]:
    home = new_home("undisturbed")
    study = Study("embedded", "smoke", overrides=LONGER, workers=1)
    study.get(study.plan())
    return tables(home)


def processes(group: int) -> list[int]:
    """Living processes of a process group."""
    listing = subprocess.run(["ps", "-A", "-o", "pid=,pgid=,stat="], capture_output=True, text=True, check=True).stdout
    lines = (line.split() for line in listing.splitlines())
    return [int(pid) for pid, of, state, *_ in lines if int(of) == group and not state.startswith("Z")]


def wait_for(condition, seconds: float) -> bool:
    end = time.monotonic() + seconds
    while not (met := condition()) and time.monotonic() < end:
        time.sleep(0.05)
    return met


def kill_while_training(home: Home, workers: int, whole_group: bool, after: int, delay: float = 0.0) -> bool:
    """Start, wait until ``after`` runs are finished and one is being trained, then a little longer, and kill.

    Every process must be gone soon, those that only lost their parent too. False if it came to its end before.
    """
    process = home.start("train", *settings(LONGER), "--workers", str(workers))
    working, finished = home.root / "store" / "working", home.root / "store" / "runs"
    before = len(list(finished.glob("*")))

    def reached() -> bool:
        if process.poll() is not None:
            return True
        if after < 0:  # before the first run: while workers start
            return len(processes(process.pid)) > 1
        return len(list(finished.glob("*"))) >= before + after and any(working.glob("runs-*/checkpoint.safetensors"))

    try:
        assert wait_for(reached, 300)
        time.sleep(delay)
        if process.poll() is not None:
            assert process.returncode == 0, process.stderr.read()
            return False
        os.kill(-process.pid if whole_group else process.pid, signal.SIGKILL)
        process.wait(10)
        assert wait_for(lambda: not processes(process.pid), 60), "orphans go on computing"
        return True
    finally:
        for pid in processes(process.pid):
            os.kill(pid, signal.SIGKILL)
        process.stderr.close()


def test_killed_with_two_workers_and_finished_with_one_the_tables_are_the_same(undisturbed, new_home):
    home = new_home("killed")
    assert kill_while_training(home, workers=2, whole_group=False, after=2)
    assert 2 <= len(list((home.root / "store" / "runs").glob("*"))) < len(undisturbed)
    study = Study("embedded", "smoke", overrides=LONGER, workers=1)
    study.get(study.plan())
    assert tables(home) == undisturbed
    assert not list((home.root / "store" / "working").glob("*/*")), "nothing of the killed attempt is left"


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_killed_at_any_moment_any_number_of_times_the_tables_are_the_same(undisturbed, new_home, seed):
    draw = random.Random(seed)
    home, killed = new_home("killed"), []
    for whole_group in draw.sample([True, True, False, False], 3):
        moment = {"after": draw.randint(-1, 3), "delay": draw.uniform(0, 1)}
        killed.append(kill_while_training(home, workers=draw.randint(1, 2), whole_group=whole_group, **moment))
    assert any(killed)
    home.run("train", *settings(LONGER), "--workers", "2")
    assert tables(home) == undisturbed
    assert not list((home.root / "store" / "working").glob("*/*"))


@pytest.mark.slow
def test_two_workers_make_what_one_makes(undisturbed, new_home):
    home = new_home("two")
    home.run("train", *settings(LONGER), "--workers", "2")
    assert tables(home) == undisturbed


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("make"), reason="needs make")
def test_make_paper_from_nothing_and_again(new_home):
    """The whole of it, as the README says; a second time nothing is computed, and `make plan` says so."""
    home = new_home("newcomer")

    def make(target: str) -> str:
        words = " ".join(f"{name}={value}" for name, value in ONE.items())
        given = ["VENV=none", f"PYTHON={sys.executable}", "PROFILE=smoke", f"SET={words}"]
        command = ["make", "--no-print-directory", "-C", str(paths.ROOT), target, *given]
        done = subprocess.run(command, env=home.environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    assert "are missing" in make("plan") and not (home.root / "store").exists()
    first = make("paper")
    built = home.root / "build" / "embedded" / "smoke"
    assert "01_data: wrote" in first and "02_bilstm_focal: wrote" in first
    assert first.rstrip().endswith(f"{os.path.relpath(built, paths.ROOT)}/")
    names = {"01_data.ipynb", "02_bilstm_focal.ipynb", "b_table_3.csv", "b_table_5.tex", "b_fig_4.svg", "b_fig_6.png"}
    assert names <= {file.name for file in built.iterdir()}
    before = {file: file.stat().st_mtime_ns for file in home.root.rglob("*") if file.is_file()}
    second = make("paper")
    assert "01_data: up to date" in second and "02_bilstm_focal: up to date" in second
    after = {file: file.stat().st_mtime_ns for file in home.root.rglob("*") if file.is_file()}
    assert before == after
    assert "of which 0 are missing" in make("plan")
