"""Progress: every item comes through, and what is said depends on who is there to read it."""

import sys

import pytest

from paperkit.progress import headless, progress_bar


class Terminal:
    def __init__(self, stream):
        self.stream = stream

    def isatty(self):
        return True

    def __getattr__(self, name):
        return getattr(self.stream, name)


def consumed(total=3):
    return list(progress_bar(iter("abc"[:total]), total=total, unit="run", title="training"))


@pytest.fixture
def log(monkeypatch, capsys):
    """Nobody watches, but what is printed is kept."""
    monkeypatch.delenv("PAPERKIT_HEADLESS", raising=False)
    monkeypatch.delitem(sys.modules, "ipykernel", raising=False)
    return capsys


def test_lines_in_a_log(log):
    assert consumed() == ["a", "b", "c"]
    lines = log.readouterr().err.splitlines()
    assert lines == [f"training: {n} of 3 runs, about 0.0 minutes left" for n in (1, 2, 3)]


def test_the_time_left_is_that_of_the_items_left(log, monkeypatch):
    clock = iter([0.0, 120.0, 240.0, 360.0])
    monkeypatch.setattr("time.monotonic", lambda: next(clock))
    consumed()
    assert [line.split("about ")[1] for line in log.readouterr().err.splitlines()] == [
        "4.0 minutes left",
        "2.0 minutes left",
        "0.0 minutes left",
    ]


def test_a_bar_in_a_terminal(log, monkeypatch):
    monkeypatch.setattr(sys, "stderr", Terminal(sys.stderr))
    assert consumed() == ["a", "b", "c"]
    said = log.readouterr().err
    assert "training" in said and "0/3" in said and "minutes left" not in said


def test_silence_where_nobody_watches(log, monkeypatch):
    assert consumed(0) == [] and not headless()
    monkeypatch.setenv("PAPERKIT_HEADLESS", "1")
    assert headless() and consumed() == ["a", "b", "c"]
    assert log.readouterr() == ("", "")


def test_items_are_drawn_one_at_a_time(log):
    """A bar over running work must not wait for all of it."""
    drawn = []
    items = progress_bar((drawn.append(n) or n for n in range(3)), total=3, unit="run", title="training")
    assert next(items) == 0 and drawn == [0]
