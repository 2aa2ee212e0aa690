"""CSV, the contract of every exhibit: what the ledger, the tests and anyone else recompute from."""

import csv
import io
import math
import re
from pathlib import Path

import pandas as pd

_FORMULA = ("=", "+", "-", "@", "\t", "\n")
_NUMBER = re.compile(r"[+-][0-9]+(\.[0-9]+)?(e-?[0-9]+)?")  # a label such as -1
_NAMES = ("corpus", "train_on", "test_on", "model", "platform", "label", "suggested", "id")


def to_csv(table: pd.DataFrame) -> str:
    """CSV with ten significant digits; a text that a spreadsheet would run as a formula gets a leading apostrophe."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(table.columns)
    for row in table.itertuples(index=False):
        writer.writerow([_plain(cell) for cell in row])
    return buffer.getvalue()


def _plain(cell: object) -> object:
    if isinstance(cell, str):
        cell = cell.replace("\r\n", "\n").replace("\r", "\n")  # before 3.13, csv leaves a lone \r unquoted: two rows
        return "'" + cell if _formula(cell) and not _NUMBER.fullmatch(cell) else cell
    if cell is None or (isinstance(cell, float) and math.isnan(cell)):
        return ""
    return f"{cell:.10g}" if isinstance(cell, float) else cell


def _formula(cell: str) -> bool:
    """Whether a spreadsheet would run it, or it would pass for one that was kept from that."""
    return cell.lstrip("'").startswith(_FORMULA)


def read_csv(path: Path) -> pd.DataFrame:
    """A table that :func:`to_csv` wrote, its texts as they were. What is unknown is empty there: "NA" may be the name of a
    table or of a platform, and so may "007"."""
    names = dict.fromkeys(_NAMES, str)
    table = pd.read_csv(path, encoding="utf-8", keep_default_na=False, na_values=[""], dtype=names)
    for column in table.select_dtypes(exclude=["number", "bool"]):
        table[column] = table[column].map(_as_it_was)
    return table


def _as_it_was(cell: object) -> object:
    return cell[1:] if isinstance(cell, str) and cell.startswith("'") and _formula(cell) else cell
