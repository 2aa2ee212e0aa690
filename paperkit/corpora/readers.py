"""How each public corpus is read from its files, as published or repacked, into the same rows.

The reviews are read here, corpora of many classes in :mod:`paperkit.corpora.topics`.

A reader takes the unpacked content of the files by name and returns the columns that
:func:`paperkit.corpora.corpus.assemble` wants, in the order of the source, with the label names.
"""

import csv
import io
from collections.abc import Callable, Mapping
from functools import partial

import pandas as pd

from paperkit.corpora import topics
from paperkit.corpora.corpus import Rows
from paperkit.corpora.noncore import status_of

POLARITY = ("negative", "positive")
TONGCHENG_ROWS = 3676  # the crawler wrote Tongcheng's reviews first, then Ctrip's


def _records(contents: Mapping[str, bytes]) -> list[dict[str, str]]:
    """The rows of a corpus that is one CSV file."""
    ((_, content),) = contents.items()
    return list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline=""), strict=True))


def _reviews(name: str, texts: list[str], labels: list[int], platforms: list[str]) -> Rows:
    # line ends within a review depend on who packed the file
    texts = [text.replace("\r\n", "\n") for text in texts]
    table = pd.DataFrame(
        {
            "id": [f"{name}:{row}" for row in range(len(texts))],
            "text": texts,
            "label": labels,
            "platform": platforms,
            "status": [status_of(text, "zh") for text in texts],
        }
    )
    return Rows(table, POLARITY)


def _read_hotels(contents: Mapping[str, bytes]) -> Rows:
    rows = _records(contents)
    return _reviews("ctrip-hotels", [r["review"] for r in rows], [int(r["label"]) for r in rows], ["ctrip"] * len(rows))


def _read_sights(contents: Mapping[str, bytes]) -> Rows:
    rows = _records(contents)
    labels = [int(row["sentiment"]) for row in rows]
    return _reviews("ctrip-sights", [row["reviewtext"] for row in rows], labels, ["ctrip"] * len(rows))


def _read_laojunshan(contents: Mapping[str, bytes]) -> Rows:
    """Negative are Tongcheng's scores 3 and 6 (of 3, 6, 10) and Ctrip's 1 to 3 stars (of 5).

    The published file names its columns in Chinese and has none for the platform, which follows from the row; the
    repacked one has it. Header, first and last rows of the published file were compared with the repacked copy; that
    the rows between agree is what the prepared checksum verifies when the published file is read.
    """
    rows = _records(contents)
    review, score = ("评论", "评分") if "评论" in rows[0] else ("review", "score")
    tongcheng = [
        row["platform"] == "tongcheng" if "platform" in row else n < TONGCHENG_ROWS for n, row in enumerate(rows)
    ]
    positive = [float(row[score]) > (6 if ours else 3) for row, ours in zip(rows, tongcheng, strict=True)]
    platforms = [f"laojunshan-{'tongcheng' if ours else 'ctrip'}" for ours in tongcheng]
    return _reviews("laojunshan", [row[review] for row in rows], list(map(int, positive)), platforms)


READERS: dict[str, Callable[[Mapping[str, bytes]], Rows]] = {
    "ctrip-hotels": _read_hotels,
    "ctrip-sights": _read_sights,
    "laojunshan": _read_laojunshan,
    "reuters21578": topics.read_reuters,
    "reuters21578-alphabetical": partial(topics.read_reuters, rule="alphabetical"),
    "r8": partial(topics.read_reuters, rule="r8"),
    "r52": partial(topics.read_reuters, rule="r52"),
    "exam-tree": topics.read_exams,
    "iflytek": topics.read_iflytek,
    "csldcp": topics.read_csldcp,
}
