import itertools
import logging
import re
import warnings

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib import font_manager
from matplotlib import pyplot as plt
from matplotlib.colors import to_rgb

from paperkit.errors import InputError
from paperkit.exhibits import fonts, style

PAPER_B = ["Bi-LSTM", "Bi-LSTM-Att", "Bi-LSTM-Att-Focal", "TF-IDF + SVM", "Majority"]
PAPER_A = ["Baseline", "Baseline+PGD", "Baseline+FGM", "UDA", "Baseline+ESimCSE", "UDA+ESimCSE", "UDA+PGD", "UDA+FGM",
           "UDA+ESimCSE+FGM", "UDA+ESimCSE+PGD"]  # fmt: skip

# Machado, Oliveira and Fernandes (2009), severity 1, on linear RGB.
DEFICIENCIES = {
    "none": np.eye(3),
    "protan": np.array([[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]]),
    "deutan": np.array([[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]]),
}


def chart():
    style.apply()
    figure, axes = plt.subplots()
    generator = np.random.default_rng(0)
    for model in PAPER_B:
        look = style.look(model)
        axes.bar(model, generator.random(), color=look.color, hatch=look.hatch)
        axes.plot(generator.random(5), color=look.color, marker=look.marker, ls=look.line)
    axes.set_title(style.label("accuracy", "准确率"), weight="bold")
    axes.set_xlabel(style.label(r"$\gamma$ of the loss", "损失的参数"))
    return figure


def seen(color: str, deficiency: np.ndarray) -> np.ndarray:
    """A colour in CIE Lab as an eye with that deficiency sees it."""
    rgb = np.array(to_rgb(color))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    ratio = xyz @ np.clip(deficiency @ linear, 0, 1) / np.array([0.9505, 1, 1.089])
    f = np.where(ratio > 0.008856, np.cbrt(ratio), 7.787 * ratio + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("eye", DEFICIENCIES)
def test_the_models_of_a_figure_are_told_apart_by_every_eye(eye):
    for models, least in ((PAPER_B, 12), (PAPER_A, 5)):
        for one, other in itertools.combinations(models, 2):
            apart = seen(style.look(one).color, DEFICIENCIES[eye]) - seen(style.look(other).color, DEFICIENCIES[eye])
            assert np.linalg.norm(apart) > least, (one, other)


def test_hatches_and_markers_differ_in_black_and_white():
    assert len({style.look(model).hatch for model in PAPER_B}) == len(PAPER_B)
    assert len({style.look(model).marker for model in PAPER_B}) == len(PAPER_B)
    assert len({(style.look(model).marker, style.look(model).line) for model in PAPER_A}) == len(PAPER_A)


def test_an_unknown_model_keeps_its_look_and_takes_no_known_one():
    known = {style.look(model).color for model in PAPER_A + PAPER_B}
    names = [f"model {i}" for i in range(50)]
    assert style.look("my model") == style.look("my model") == style.Look("#117733", "++", "<", (0, (4, 1, 1, 1)))
    assert not known & {style.look(name).color for name in names}
    assert len({(style.look(name).color, style.look(name).hatch) for name in names}) > 20


def test_label_has_both_languages_where_a_font_was_installed_after_matplotlibs_cache(with_font):
    assert style.label("accuracy", "准确率") == "accuracy\n准确率"
    assert style.label("seeds", "个种子", " ") == "seeds 个种子"
    assert style.cjk_font() == "Squares SC"


def test_label_is_english_with_one_warning_where_there_is_no_font(without_font):
    with pytest.warns(UserWarning, match="English only") as caught:
        assert [style.label("accuracy", "准确率"), style.label("loss", "损失")] == ["accuracy", "loss"]
    assert len(caught) == 1
    assert style.cjk_font() is None


def test_a_font_without_the_very_character_gives_english(with_font):
    with pytest.warns(UserWarning, match="English only"):
        assert style.label("rare", "\U00020000") == "rare"


def test_fonts_that_are_gone_or_broken_are_passed_over(monkeypatch, with_font, tmp_path):
    broken = tmp_path / "broken.ttf"
    broken.write_bytes(b"not a font")
    gone = font_manager.FontEntry(fname=str(tmp_path / "gone.ttf"), name="Noto Sans CJK SC", weight=400)
    font_manager.fontManager.ttflist.append(gone)
    monkeypatch.setattr(font_manager, "findSystemFonts", lambda: [str(broken), str(with_font)])
    fonts.cjk_font.cache_clear()
    assert style.cjk_font() == "Squares SC"


def test_the_font_that_draws_boxes_for_everything_is_not_taken(without_font):
    names = {entry.name for entry in font_manager.fontManager.ttflist}
    assert any("Last Resort" in name for name in names), "matplotlib no longer brings it: this test can go"
    assert style.cjk_font() is None


def test_the_variable_names_a_font_or_none(monkeypatch, without_font, chinese_font, tmp_path):
    monkeypatch.setenv("PAPERKIT_FONT", str(chinese_font))
    assert style.cjk_font() == "Squares SC"
    for value in (str(tmp_path / "missing.ttf"), font_manager.findfont("DejaVu Sans")):
        monkeypatch.setenv("PAPERKIT_FONT", str(value))
        fonts.cjk_font.cache_clear()
        with pytest.raises(InputError, match="PAPERKIT_FONT"):
            style.cjk_font()
    monkeypatch.setenv("PAPERKIT_FONT", "none")
    assert style.cjk_font() is None


@pytest.mark.parametrize("text", [("$x$ 损失", ""), ("loss", "损失 $x$")])
def test_a_formula_beside_chinese_is_refused_with_and_without_a_font(with_font, text):
    with pytest.raises(ValueError, match="formula"):
        style.label(*text)


def test_text_from_data_is_drawn_only_if_it_can_be(with_font):
    assert style.drawable("价格 $5 to\n$6") == r"价格 \$5 to \$6"
    assert style.drawable("\U00020000") is None
    assert style.drawable("\U00020000", instead="#7") == "#7"


def test_text_from_data_without_a_font(without_font):
    assert style.drawable("plain é ≥ α") == "plain é ≥ α"
    assert style.drawable("_alpha") == " _alpha", "matplotlib leaves what begins with _ out of legends"
    assert style.drawable("景色") is None


@pytest.mark.parametrize("machine", ["with_font", "without_font"])
def test_a_chart_draws_without_missing_glyphs_and_saves_the_same_bytes_twice(machine, request, tmp_path, caplog):
    request.getfixturevalue(machine)
    with warnings.catch_warnings(), caplog.at_level(logging.WARNING):
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", message=".*English only")
        first = style.save(chart(), tmp_path / "one" / "b_fig_1.5")
        second = style.save(chart(), tmp_path / "two" / "b_fig_1.5")
    assert not caplog.records  # matplotlib logs about fonts and glyphs as well
    assert [path.name for path in first] == ["b_fig_1.5.svg", "b_fig_1.5.png"]
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]
    assert sorted(path.name for path in (tmp_path / "one").iterdir()) == ["b_fig_1.5.png", "b_fig_1.5.svg"]
    assert not plt.get_fignums()


@pytest.mark.filterwarnings("ignore:.*English only")
def test_files_hold_no_date_and_no_version(tmp_path, without_font):
    svg, png = style.save(chart(), tmp_path / "x")
    text = svg.read_text()
    assert "dc:date" not in text and mpl.__version__ not in text
    assert "<text" not in text, "text must be paths: the reader's machine may lack the font"
    assert b"matplotlib" not in png.read_bytes().lower()


def test_a_figure_of_many_points_stays_small(tmp_path, without_font):
    style.apply()
    figure, axes = plt.subplots()
    points = np.random.default_rng(0).normal(size=(2, 6_000))
    axes.scatter(*points, s=4, c=points[0])
    svg, _ = style.save(figure, tmp_path / "many")
    assert svg.stat().st_size < style.SVG_LIMIT
    assert "<image" in svg.read_text()


def test_identifiers_follow_from_the_picture_not_from_the_last_digits_of_a_layout(tmp_path, without_font):
    def drawn(name: str, shift: float, values) -> str:
        figure = plt.figure()
        figure.set_layout_engine("none")
        axes = figure.add_axes((0.137, 0.119, 0.7731 + shift, 0.7177))
        axes.plot(values, marker="o")
        return style.save(figure, tmp_path / name)[0].read_text()

    style.apply()
    first, again, other = drawn("a", 0, [0, 1]), drawn("b", 1e-14, [0, 1]), drawn("c", 0, [1, 0])
    assert first == again
    named = [set(re.findall(r' id="(f[0-9a-f]{8}-\d+)"', text)) for text in (first, other)]
    assert named[0] and not named[0] & named[1], "two figures of one page do not share names"
    used = set(re.findall(r'(?:url\(#|href="#)(f[0-9a-f]{8}-\d+)', first))
    assert used and used <= named[0], "what is referred to is there"
