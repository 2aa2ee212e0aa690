"""Machines with and without a Chinese font, whatever the machine that runs the tests has; a tiny study, made once."""

from pathlib import Path

import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from matplotlib import font_manager

from paperkit.exhibits import fonts
from paperkit.exhibits.exhibit import REGISTRY, Shown, find, show
from paperkit.study import Study
from tests.small import SETTINGS

ROOMS = ("STORE", "BUILD", "FIGURES")


@pytest.fixture(scope="session")
def _made(tmp_path_factory) -> tuple[Path, Study, dict[str, Shown]]:
    root = tmp_path_factory.mktemp("embedded")
    find("b_table_1")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PAPERKIT_HEADLESS", "1")
        for room in ROOMS:
            patch.setenv(f"PAPERKIT_{room}", str(root / room.lower()))
        study = Study("embedded", "smoke", overrides=SETTINGS, workers=1)
        study.get(study.plan())
        return root, study, {name: show(study, name) for name in sorted(REGISTRY)}


@pytest.fixture
def embedded(_made, monkeypatch) -> tuple[Study, dict[str, Shown]]:
    """A tiny study of the embedded reviews, and what `show` returned for every exhibit; its files are there."""
    root, study, shown = _made
    monkeypatch.setenv("PAPERKIT_HEADLESS", "1")
    for room in ROOMS:
        monkeypatch.setenv(f"PAPERKIT_{room}", str(root / room.lower()))
    return study, shown


@pytest.fixture
def home(tmp_path, monkeypatch) -> Path:
    """An empty folder for store, build and figures."""
    monkeypatch.setenv("PAPERKIT_HEADLESS", "1")
    for room in ROOMS:
        monkeypatch.setenv(f"PAPERKIT_{room}", str(tmp_path / room.lower()))
    return tmp_path


@pytest.fixture(scope="session")
def chinese_font(tmp_path_factory) -> Path:
    """A font file that draws every Han character as a square, made here so that none need be installed."""
    pen = TTGlyphPen(None)
    pen.moveTo((100, 0))
    for corner in ((100, 800), (900, 800), (900, 0)):
        pen.lineTo(corner)
    pen.closePath()
    builder, square = FontBuilder(1000, isTTF=True), pen.glyph()
    builder.setupGlyphOrder([".notdef", "square"])
    characters = [*range(0x4E00, 0xA000), *range(0x3000, 0x3040), *range(0xFF00, 0xFF60)]
    builder.setupCharacterMap(dict.fromkeys(characters, "square"))
    builder.setupGlyf({".notdef": square, "square": square})
    builder.setupHorizontalMetrics({".notdef": (1000, 0), "square": (1000, 100)})
    builder.setupHorizontalHeader(ascent=880, descent=-120)
    builder.setupNameTable({"familyName": "Squares SC", "styleName": "Regular"})
    builder.setupOS2(usWeightClass=400)
    builder.setupPost()
    path = tmp_path_factory.mktemp("fonts") / "squares.ttf"
    builder.save(path)
    return path


def _machine(monkeypatch, found: list[Path]) -> None:
    """A machine whose matplotlib knows only what it brings, and whose font folders hold `found`."""
    own = [entry for entry in font_manager.fontManager.ttflist if "mpl-data" in entry.fname]
    monkeypatch.setattr(font_manager.fontManager, "ttflist", own)
    monkeypatch.setattr(font_manager, "findSystemFonts", lambda *_, **__: [str(path) for path in found])
    monkeypatch.delenv("PAPERKIT_FONT", raising=False)
    fonts.cjk_font.cache_clear()
    fonts._warn_once.cache_clear()


@pytest.fixture
def with_font(monkeypatch, chinese_font):
    """A Chinese font lies in a font folder, and matplotlib's cached list does not have it yet."""
    _machine(monkeypatch, [chinese_font])
    yield chinese_font
    fonts.cjk_font.cache_clear()


@pytest.fixture
def without_font(monkeypatch):
    """No Chinese font anywhere."""
    _machine(monkeypatch, [])
    yield
    fonts.cjk_font.cache_clear()
