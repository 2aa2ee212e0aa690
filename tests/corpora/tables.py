"""Tables for the tests, in every format."""

import csv
import io
import json

import openpyxl
import pandas as pd

GOOD = [(f"text number {n}", "ab"[n % 2]) for n in range(40)]


def table(rows=GOOD, header="text,label", delimiter=",") -> str:
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter)
    writer.writerows([header.split(","), *rows])
    return out.getvalue()


def with_row(*cells, at=2, header="text,label") -> str:
    """A good table with one more row, so that ``at`` is its number in a spreadsheet."""
    return table([*GOOD[: at - 2], cells, *GOOD[at - 2 :]], header)


def workbook(*sheets, merge=()) -> bytes:
    """Sheets of rows, the ranges ``merge`` of the first one merged; what starts with = is a formula."""
    book = openpyxl.Workbook()
    book.remove(book.active)
    for number, rows in enumerate(sheets, start=1):
        sheet = book.create_sheet(f"Sheet{number}")
        for row in rows:
            sheet.append(list(row))
    for cells in merge:
        book.worksheets[0].merge_cells(cells)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def parquet(frame: pd.DataFrame) -> bytes:
    return frame.to_parquet()


def lines(*values) -> str:
    return "\n".join(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False) for value in values)


OBJECTS = [{"text": text, "label": label} for text, label in GOOD]
FRAME = pd.DataFrame(GOOD, columns=["text", "label"])


def write(path, content):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path
