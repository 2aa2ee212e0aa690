"""Someone types `make paper`, is interrupted, types it again; has one core, or two. The numbers are the same."""

import os
import random
import signal
import subprocess
import time

import pytest

from paperkit.exhibits.exhibit import show
from paperkit.study import Study
from tests.journeys.conftest import ONE, Home, settings

LONGER = ONE | {"reviews": 160, "epochs": 6, "batch_size": 16}
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


def kill_while_training(home: Home, workers: int, whole_group: bool, delay: float) -> None:
    """Start, wait until a run is being trained, wait ``delay`` more seconds, kill, and see everything go."""
    process = home.start("train", *settings(LONGER), "--workers", str(workers))
    try:
        working = home.root / "store" / "working"
        finished = home.root / "store" / "runs"

        def training() -> bool:
            return process.poll() is not None or any(working.glob("runs-*/checkpoint.safetensors"))

        assert wait_for(training, 60)
        time.sleep(delay)
        assert process.poll() is None, f"it had ended: {process.stderr.read()}"
        print(f"killed with {len(list(finished.glob('*')))} runs finished, {processes(process.pid)}")
        os.kill(-process.pid if whole_group else process.pid, signal.SIGKILL)
        process.wait(10)
        assert wait_for(lambda: not processes(process.pid), 10), "orphans go on computing"
    finally:
        for pid in processes(process.pid):
            os.kill(pid, signal.SIGKILL)
        process.stderr.close()


def test_killed_twice_and_with_two_workers_the_tables_are_the_same(undisturbed, new_home):
    draw = random.Random(1)
    home = new_home("killed")
    kill_while_training(home, workers=2, whole_group=False, delay=draw.uniform(0, 1.5))
    kill_while_training(home, workers=1, whole_group=True, delay=draw.uniform(0, 1.5))
    home.run("train", *settings(LONGER), "--workers", "2")
    assert tables(home) == undisturbed
    assert not list((home.root / "store" / "working").glob("*/*")), "nothing of the killed attempts is left"
