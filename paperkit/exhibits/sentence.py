"""Attention weights over the words of a sentence, as HTML for a page and as SVG for print.

Text stays text here and whoever shows it brings the fonts, so Chinese is readable even where matplotlib has no font
for it. A word's ground is the more opaque the larger its weight, relative to the sentence's largest.
"""

import html
import math
import re
import unicodedata
from collections.abc import Iterable, Sequence

from paperkit.errors import InputError

FONTS = (
    "system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', 'PingFang SC', 'Hiragino Sans GB', 'Microsoft YaHei', "
    "'Noto Sans CJK SC', 'Source Han Sans SC', 'WenQuanYi Micro Hei', sans-serif"
)
EMPTY = "(no words)"
_ORANGE, _STRONGEST = "230,159,0", 0.55  # black on it over white, and white on it over black, both stay readable
_SIZE, _PAD, _EDGE, _LINE = 16, 5, 16, 46  # of the SVG, in pixels: letters, word, card, from line to line
_FORBIDDEN = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # what XML 1.0 cannot hold


def attention_html(words: Sequence[str], weights: Iterable[float], title: str | None = None) -> str:
    """The sentence as one self-contained HTML block; a word's tooltip is its weight.

    The letters take the colour of the page, so it reads in light and dark themes, and the words wrap on a phone.
    Raises InputError unless there is one finite weight ≥ 0 per word.
    """
    words, weights, largest = _checked(words, weights)
    parts = [f'<div{_language(words)} style="font-family:{FONTS};line-height:1.9;margin:.5em 0">']
    if title:
        parts.append(f'<div style="font-weight:600">{_escape(title)}</div>')
    if not words:
        return "".join([*parts, f'<span style="opacity:.6">{EMPTY}</span></div>'])
    look = "padding:.15em .3em;border-radius:.25em;overflow-wrap:anywhere;box-decoration-break:clone"
    for word, weight in zip(words, weights, strict=True):
        ground = f"background-color:rgba({_ORANGE},{_STRONGEST * weight / largest:.3f})"
        parts.append(f'<span title="{weight:.3f}" style="{ground};{look}">{_escape(word)}</span> ')
    if max(weights) == 0:
        return "".join([*parts, "</div>"])
    fade = f"background-image:linear-gradient(to right,rgba({_ORANGE},0),rgba({_ORANGE},{_STRONGEST}))"
    bar = f'<span style="display:inline-block;width:5em;height:.7em;margin:0 .4em;border-radius:.2em;{fade}"></span>'
    parts.append(f'<div style="font-size:.8em;opacity:.8">0{bar}{max(weights):.3f}</div></div>')
    return "".join(parts)


def attention_svg(words: Sequence[str], weights: Iterable[float], title: str | None = None, width: int = 720) -> str:
    """The sentence as an SVG document of `width` pixels on a white card; weights above the average are printed.

    Raises InputError unless there is one finite weight ≥ 0 per word.
    """
    return attention_svg_list([(title, words, weights)], width)


def attention_svg_list(sentences: Iterable[tuple[str | None, Sequence[str], Iterable[float]]], width: int = 720) -> str:
    """Several sentences, each ``(title, words, weights)``, one below the other as `attention_svg` draws them."""
    sentences, body, y = list(sentences), [], _EDGE
    for title, words, weights in sentences:
        y = _draw(body, y, title, *_checked(words, weights), width) + _EDGE // 2
    return _card(body, y, width, [word for _, words, _ in sentences for word in words])


def message_svg(message: str, width: int = 720) -> str:
    """A sentence that stands where words would, on the same card."""
    text = _text(_EDGE, _EDGE + 19, _shortened(message, (width - 2 * _EDGE) / 14), 'font-size="14" fill="#595959"')
    return _card([text], _LINE + _EDGE, width, [message])


def _card(body: Sequence[str], height: int, width: int, words: Sequence[str]) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
        f'{_language(words)} role="img" style="max-width:100%;height:auto" font-family="{FONTS}" fill="#1A1A1A">'
        f'<rect width="{width}" height="{height}" rx="6" fill="#FFFFFF"/>{"".join(body)}</svg>\n'
    )


def _draw(body: list[str], y: int, title: str | None, words: list, weights: list, largest: float, width: int) -> int:
    """Append one sentence's elements below `y`; returns where they end."""
    room, x = width - 2 * _EDGE, _EDGE
    average = sum(weights) / max(len(weights), 1)
    if title:
        body.append(_text(x, y + 14, _shortened(title, room / _SIZE), 'font-size="15" font-weight="600"'))
        y += 28
    if not words:
        body.append(_text(x, y + 19, EMPTY, f'font-size="{_SIZE}" fill="#767676"'))
    for word, weight in zip(words, weights, strict=True):
        shown = _shortened(word, (room - 2 * _PAD) / _SIZE)
        box = max(_width(shown) * _SIZE + 2 * _PAD, 24)
        if x > _EDGE and x + box > width - _EDGE:
            x, y = _EDGE, y + _LINE
        ground, middle = f'fill="rgb({_ORANGE})" fill-opacity="{weight / largest:.3f}"', 'text-anchor="middle"'
        body.append(f"<g><title>{_escape(word)}: {weight:.3f}</title>")
        body.append(f'<rect x="{x:.1f}" y="{y}" width="{box:.1f}" height="27" rx="4" {ground}/>')
        body.append(_text(x + box / 2, y + 19, shown, f'font-size="{_SIZE}" {middle}'))
        if weight > average:
            body.append(_text(x + box / 2, y + 38, f"{weight:.2f}", f'font-size="10" fill="#595959" {middle}'))
        body.append("</g>")
        x += box + 4
    return y + _LINE


def _checked(words: Sequence[str], weights: Iterable[float]) -> tuple[list[str], list[float], float]:
    """Words, weights and the largest weight (1 where all are zero, to divide by)."""
    if isinstance(words, str):
        raise InputError(f"words must be a list of words, one string was given: {words[:20]!r}")
    words, weights = [str(word) for word in words], [float(weight) for weight in weights]
    if len(words) != len(weights):
        raise InputError(f"{len(weights)} weights were given for {len(words)} words; one per word is needed")
    wrong = next((weight for weight in weights if not (math.isfinite(weight) and weight >= 0)), None)
    if wrong is not None:
        raise InputError(f"a weight is {wrong}; attention weights are finite and not negative")
    return words, weights, max(weights, default=0) or 1


def _text(x: float, y: float, text: str, attributes: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" {attributes}>{_escape(text)}</text>'


def _escape(text: str) -> str:
    return html.escape(_FORBIDDEN.sub("\ufffd", text))


def _language(words: Sequence[str]) -> str:
    """An attribute that makes a browser choose the simplified forms of Chinese characters."""
    return ' lang="zh-Hans"' if any("\u4e00" <= letter <= "\u9fff" for word in words for letter in word) else ""


def _width(text: str) -> float:
    """Estimated width in em: a browser's font is unknown here, so it is a little generous."""
    return sum(map(_letter_width, text))


def _letter_width(letter: str) -> float:
    if unicodedata.combining(letter) or unicodedata.category(letter) in ("Cf", "Mn", "Me"):
        return 0
    if unicodedata.east_asian_width(letter) in "WF":
        return 1
    if letter in "iIjl.,:;'|!()[] ftr":
        return 0.4
    return 0.98 if letter in "mwMW@%—…<>+=&" else 0.74 if letter.isupper() else 0.62


def _shortened(text: str, room: float) -> str:
    """The text, or as much of its beginning as fits into `room` em, with an ellipsis."""
    text = " ".join(text.split())
    if _width(text) <= room:
        return text
    while text and _width(text) > room - 1:
        text = text[:-1]
    return text + "…"
