import itertools
import re
import xml.etree.ElementTree as ET
from html.parser import HTMLParser

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from paperkit.errors import InputError
from paperkit.exhibits.sentence import EMPTY, attention_html, attention_svg, attention_svg_list, message_svg

SVG = "{http://www.w3.org/2000/svg}"
NASTY = ["<script>alert(1)</script>", "a&b", "$x^2$", '"quoted"', "'", "</title>", "=1+1", "景色"]


class Page(HTMLParser):
    """Tags and text of a fragment, and whether every tag is closed."""

    def __init__(self, text: str):
        super().__init__()
        self.tags, self.open, self.text, self.titles, self.styles = [], [], [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.open.append(tag)
        self.titles += [value for name, value in attrs if name == "title"]
        self.styles += [value for name, value in attrs if name == "style"]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)


def shown(svg: str) -> list[str]:
    return [element.text for element in ET.fromstring(svg).iter(f"{SVG}text")]


def test_every_word_stands_escaped_in_both():
    weights = np.full(len(NASTY), 1 / len(NASTY))
    page = Page(attention_html(NASTY, weights, title="<i>&"))
    assert set(page.tags) == {"div", "span"} and not page.open
    assert [text.strip() for text in page.text if text.strip()][: len(NASTY) + 1] == ["<i>&", *NASTY]
    assert shown(attention_svg(NASTY, weights, title="<i>&")) == ["<i>&", *NASTY]


def test_opacity_follows_weight_and_the_tooltip_says_it():
    page = Page(attention_html(["so", "lovely", "here"], [0.1, 0.8, 0]))
    opacities = [float(re.search(r"background-color:rgba\(230,159,0,([\d.]+)\)", look)[1]) for look in page.styles[1:4]]
    assert page.titles == ["0.100", "0.800", "0.000"]
    assert opacities[1] > opacities[0] > opacities[2] == 0
    assert opacities[0] == pytest.approx(opacities[1] / 8, abs=1e-3)
    rects = list(ET.fromstring(attention_svg(["so", "lovely", "here"], [0.1, 0.8, 0])).iter(f"{SVG}rect"))[1:]
    assert [float(rect.get("fill-opacity")) for rect in rects] == [0.125, 1, 0]


@pytest.mark.parametrize(("page", "letters"), [((255, 255, 255), (0, 0, 0)), ((17, 17, 17), (255, 255, 255))])
def test_the_strongest_word_is_readable_in_light_and_dark(page, letters):
    html = attention_html(["lovely"], [1])
    assert not re.search(r"(?<!background-)color:", html), "letters must keep the page's colour"
    opacity = float(re.search(r"background-color:rgba\(230,159,0,([\d.]+)\)", html)[1])
    ground = [opacity * over + (1 - opacity) * under for over, under in zip((230, 159, 0), page, strict=True)]

    def luminance(color):
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (c / 255 for c in color)]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    dark, light = sorted([luminance(ground), luminance(letters)])
    assert (light + 0.05) / (dark + 0.05) >= 4.5  # WCAG AA


@pytest.mark.parametrize("words", [["景色", "很", "美"] * 40, ["the", "view", "was", "magnificent"] * 30, ["x" * 500]])
def test_long_sentences_wrap_inside_the_card(words):
    svg = ET.fromstring(attention_svg(words, [1] * len(words), width=400))
    rects = list(svg.iter(f"{SVG}rect"))
    card, boxes = rects[0], rects[1:]
    assert len(boxes) == len(words)
    assert all(float(box.get("x")) + float(box.get("width")) <= 400 - 16 for box in boxes)
    assert float(boxes[-1].get("y")) + 27 < float(card.get("height")) == float(svg.get("height"))
    rows: dict[str, list] = {}
    for box in boxes:
        rows.setdefault(box.get("y"), []).append(box)
    for row in rows.values():
        for left, right in itertools.pairwise(row):
            assert float(left.get("x")) + float(left.get("width")) <= float(right.get("x"))


def test_chinese_is_marked_so_that_browsers_take_simplified_forms():
    assert 'lang="zh-Hans"' in attention_html(["景色"], [1]) and 'lang="zh-Hans"' in attention_svg(["景色"], [1])
    assert "lang=" not in attention_html(["view"], [1])
    assert "Microsoft YaHei" in attention_svg(["景色"], [1])


def test_no_words_and_no_weight():
    assert EMPTY in attention_html([], []) and shown(attention_svg([], [])) == [EMPTY]
    assert "nan" not in attention_html(["a", "b"], [0, 0]) + attention_svg(["a", "b"], [0, 0])


def test_several_sentences_stand_below_each_other():
    both = attention_svg_list([("one", ["景色"], [1]), (None, ["view", "<"], [0.2, 0.8])])
    assert shown(both) == ["one", "景色", "view", "<", "0.80"]
    heights = [float(text.get("y")) for text in ET.fromstring(both).iter(f"{SVG}text")]
    assert heights[0] < heights[1] < heights[2] == heights[3] < heights[4]


@pytest.mark.parametrize(
    ("words", "weights", "message"),
    [
        (["a"], [0.5, 0.5], "one per word"),
        (["a"], [-0.1], "-0.1"),
        (["a"], [float("nan")], "nan"),
        ("ab", [1, 1], "list"),
    ],
)
@pytest.mark.parametrize("draw", [attention_html, attention_svg])
def test_what_cannot_be_drawn_is_refused(draw, words, weights, message):
    with pytest.raises(InputError, match=message):
        draw(words, weights)


@given(st.lists(st.tuples(st.text(max_size=30), st.floats(0, 1)), max_size=30), st.text(max_size=80))
def test_any_text_gives_well_formed_documents(pairs, title):
    words, weights = [word for word, _ in pairs], [weight for _, weight in pairs]
    page = Page(attention_html(words, weights, title))
    assert not page.open and set(page.tags) <= {"div", "span"}
    ET.fromstring(attention_svg(words, weights, title))


def test_a_message_stands_on_a_card_of_its_own():
    said = "Texts of your table are not quoted; quote_texts = True shows them."
    assert shown(message_svg(said)) == [said] and shown(message_svg("<&>")) == ["<&>"]
    assert shown(message_svg("景" * 80))[0].endswith("…")
