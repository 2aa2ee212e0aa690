"""Plain text for pretraining language models: paragraphs out of the manifest's sources of text."""

import html
import re
from collections.abc import Iterable, Iterator, Mapping

from paperkit.corpora import public
from paperkit.corpora.topics import json_lines
from paperkit.errors import InputError

PRETRAINING = {"zh": "pretraining-zh", "en": "pretraining-en"}
"""The source of each language."""

_FIELDS = ("sentence", "abst", "content")  # where FewCLUE's tasks have their text
_SENTENCE = re.compile(r"[^。！？!?]*[。！？!?”」]*")
_LEFT, _RIGHT = set(",.;:?!)]%"), set("([")  # written without a space before, or after
_LOST_BIT = {at: bytes([at + 0x80]).decode("cp1252", "ignore") for at in range(0x20) if not chr(at).isspace()}
_PARAGRAPH = re.compile(r"\n\s*\n")


def sentences(name: str) -> Iterator[str]:
    """The different texts of a source, in the order of the names of its files: sentences, paragraphs or whole reviews.

    A text is on one line and has from a few to some thousands of characters; what trains on it cuts and packs.
    Texts that a public corpus holds too are not removed: csldcp has eleven of the abstracts, two of them in its test part.

    Raises:
        InputError: unknown name, or its files are missing or altered.
    """
    if name not in PRETRAINING.values():
        raise InputError(
            f"{name!r} is no source of text for pretraining: accepted are {', '.join(PRETRAINING.values())}"
        )
    return _different(public.files(name))


def _different(contents: Mapping[str, bytes]) -> Iterator[str]:
    seen = set()
    for member in sorted(contents):
        for text in _paragraphs(member, contents[member]):
            text = " ".join(text.split())
            if text and text not in seen:
                seen.add(text)
                yield text


def _paragraphs(member: str, content: bytes) -> Iterable[str]:
    folder, _, file = member.rpartition("/")
    if folder.startswith("__MACOSX") or file in ("README", "CONTENTS", "cats.txt"):
        return []
    if file.endswith(".json"):
        return (_without_gap(row[field]) for row in json_lines(content) for field in _FIELDS if field in row)
    lines = [_decoded(line, member) for line in content.splitlines()]
    if file == "dh_msra.txt":
        return _untagged(lines)
    if folder == "brown":
        tagged = _PARAGRAPH.split("\n".join(lines))
        return (detokenised(token.rpartition("/")[0] for token in paragraph.split()) for paragraph in tagged)
    if folder.startswith("movie_reviews"):
        return [" ".join(detokenised(line.split()) for line in lines)]
    # in some lines typographic marks have lost their highest bit
    return (html.unescape(line).translate(_LOST_BIT) for line in lines)


def _decoded(line: bytes, member: str) -> str:
    """UTF-8, else what NLTK's collections turn out to hold: some of Nixon's speeches passed through a Chinese system."""
    for encoding in ("utf-8", "big5" if "Nixon" in member else "cp1252"):
        try:
            return line.decode(encoding)
        except UnicodeDecodeError:
            continue
    return line.decode("cp1252", "ignore")


def _without_gap(text: str) -> str:
    """Without the sentence whose idiom was cut out: what stood there is not published."""
    if "#idiom" not in text:
        return text
    return "".join(sentence for sentence in _SENTENCE.findall(text) if "#idiom" not in sentence)


def _untagged(lines: list[str]) -> Iterator[str]:
    """One character and its tag per line, an empty line between sentences; the repacked file has sentences.

    Follows the description beside the published file, which was not at hand: number of sentences and format agree.
    """
    characters: list[str] = []
    for line in [*lines, ""]:
        if line.strip():
            characters.append(line.split()[0])
        elif characters:
            yield "".join(characters)
            characters = []


def detokenised(tokens: Iterable[str]) -> str:
    """Words and marks, written as usual: no space before a comma, quotation marks at what they enclose."""
    text, glue, opened, last = "", True, False, ""
    for token in tokens:
        if token == last and token in ("?", "!", ";"):  # Brown writes these twice
            continue
        last = token
        if token in ("``", "''", '"'):
            opening = token == "``" or (token == '"' and not opened)
            opened = opening
            text += ("" if glue or not opening else " ") + '"'
            glue = opening
            continue
        text += ("" if glue or token in _LEFT else " ") + token
        glue = token in _RIGHT
    return text
