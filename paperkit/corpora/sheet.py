"""A user's file as rows of cells, strictly: what would have to be guessed at is refused, with the row in question.

The csv module and plain JSON are used where pandas would mend a broken row or rename a repeated column silently.
"""

import codecs
import contextlib
import csv
import datetime
import decimal
import gzip
import io
import json
import math
import re
import warnings
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from paperkit.errors import InputError

ACCEPTED = ".csv, .tsv, .jsonl (each also .gz), .parquet, .xlsx"
DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab"}

Row = tuple[int, list[object]]


@dataclass(frozen=True)
class Unreadable:
    """A cell that holds no value of its own: refused, with this reason, where its column is used."""

    reason: str

    def __str__(self) -> str:
        return ""


@dataclass(frozen=True)
class Sheet:
    """The cells of a file. Rows are numbered as a person sees them: in CSV and XLSX the header counts."""

    path: Path
    columns: tuple[str, ...]
    """Distinct names, stripped; columns without a name are left out."""
    numbers: tuple[int, ...]
    cells: dict[str, list[object]]
    """The values of each column, as the format gives them."""
    how: str
    """Format, encoding, delimiter or sheet that was read."""

    def __len__(self) -> int:
        return len(self.numbers)

    def strings(self, column: str) -> list[str]:
        """One column as text: nothing for None and NaN, 1 for 1.0, 1 and 0 for booleans.

        Raises:
            InputError: a cell holds a list, an object or bytes, a NUL character, or (XLSX) a formula or an error, or lies in
                merged cells.
        """
        return [
            self._string(value, number, column) for value, number in zip(self.cells[column], self.numbers, strict=True)
        ]

    def _string(self, value: object, number: int, column: str) -> str:
        if isinstance(value, Unreadable):
            refuse(self.path, value.reason, number, column)
        text = scalar(value)
        if text is None:
            kind = {dict: "an object", list: "a list", bytes: "bytes"}.get(type(value), type(value).__name__)
            refuse(self.path, f"a cell holds {kind}: expected text, a number or nothing", number, column)
        if "\0" in text:
            refuse(self.path, "a cell holds a NUL character: expected text", number, column)
        return re.sub("[\ud800-\udfff]", "\ufffd", text)  # half of a character, which no encoding can write


def one_line(text: object, limit: int = 60) -> str:
    """For error messages: a name or value on one line, cut after ``limit`` characters."""
    line = " ".join("".join(letter if letter.isprintable() else " " for letter in str(text)).split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def refuse(path: Path, sentence: str, row: int | None = None, column: str | None = None) -> NoReturn:
    """Raise the InputError that says where in a file what is wrong."""
    where = [one_line(path, 300)]
    if row is not None:
        where.append(f"row {row}")
    if column is not None:
        where.append(f"column '{one_line(column)}'")
    raise InputError(f"{', '.join(where)}: {sentence}")


def scalar(value: object) -> str | None:
    """A cell as text, or None if it is no single value."""
    match value:
        case None:
            return ""
        case str():
            return value
        case bool():
            return str(int(value))
        case int():
            return str(value) if value.bit_length() < 10_000 else None
        case float() | decimal.Decimal() if math.isnan(value):
            return ""
        case float() if value.is_integer() and abs(value) < 1e15:
            return str(int(value))
        case datetime.datetime() if value.time() == datetime.time():
            return value.date().isoformat()
        case float() | decimal.Decimal() | datetime.date() | datetime.time() | datetime.timedelta():
            return str(value)
    return None


def read_sheet(path: Path, wanted: Iterable[str] = ()) -> Sheet:
    """Read a file of one of the :data:`ACCEPTED` formats. ``wanted`` columns help to recognise the delimiter.

    Raises:
        InputError: anything that cannot be read with certainty.
    """
    name = path.name.lower()
    packed = name.endswith(".gz")
    suffix = Path(name.removesuffix(".gz")).suffix
    reader = _READERS.get(suffix)
    try:
        if path.is_dir():
            refuse(path, f"this is a folder: expected a file ({ACCEPTED})")
        if reader is None or (packed and reader in (_parquet, _xlsx)):
            refuse(path, f"files that end in '{one_line(path.suffix)}' are not read: accepted are {ACCEPTED}")
        if not path.exists():
            refuse(path, "this file does not exist")
        if not path.is_file():
            refuse(path, "this is not a regular file")
        data = path.read_bytes()
    except (OSError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        refuse(path, f"cannot be read: {one_line(getattr(error, 'strerror', None) or error)}")
    if packed:
        try:
            data = gzip.decompress(data)
        except (OSError, EOFError, zlib.error):
            refuse(path, "is not a complete gzip file, in spite of its suffix")
    header, rows, how = reader(path, data, tuple(wanted))
    return _checked(path, header, rows, how)


def _checked(path: Path, header: list[str], rows: list[Row], how: str) -> Sheet:
    """Columns by name; repeated names and missing rows refused."""
    header = [name.replace("\ufeff", "").strip() for name in header]
    repeated = [name for name, count in Counter(header).items() if name and count > 1]
    if repeated:
        refuse(
            path, f"{Counter(header)[repeated[0]]} columns have this name: expected each name once", column=repeated[0]
        )
    if not any(header):
        refuse(path, "has no rows" if not rows else "has no column names")
    if not rows:
        refuse(path, "has no rows below its column names")
    cells = {name: [values[at] for _, values in rows] for at, name in enumerate(header) if name}
    return Sheet(path, tuple(cells), tuple(number for number, _ in rows), cells, how)


def _decoded(path: Path, data: bytes) -> tuple[str, str]:
    """Text without marks, and the encoding that fits."""
    if data.startswith(codecs.BOM_UTF8):
        encodings = ["utf-8-sig"]
    elif data.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        encodings = []
    elif data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encodings = ["utf-16"]
    elif data.count(0) > len(data) // 4:  # utf-16 without its mark, or not text at all
        encodings = []
    else:
        encodings = ["utf-8", "gb18030"]
    for encoding in encodings:
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        if encoding == "gb18030" and _swallowed_letters(text):
            refuse(path, "its encoding looks like Windows-1252 or Latin-1, which is not read: save the file as UTF-8")
        # files that were joined have marks in the middle, where one hides an opening quote
        return text.replace("\ufeff", ""), encoding
    refuse(path, "its encoding is unreadable: accepted are utf-8, utf-8-sig, utf-16 with a byte order mark, gb18030")


def _swallowed_letters(text: str) -> bool:
    """Whether gb18030 read Latin-1: there an accented letter takes the letter behind it for the second byte of a character,
    so that most characters beyond ASCII have such a byte and stand within a word: ``schön`` becomes ``sch鰊``.

    Neither alone would do: a quarter of traditional characters have such a byte, and ``A座`` stands within a word.
    """
    letters = Counter(re.findall(r"[^\W\x00-\x7f]", text))
    within = Counter(re.findall(r"(?<=[A-Za-z])[^\W\x00-\x7f]|[^\W\x00-\x7f](?=[A-Za-z])", text))
    swallowing = sum(count for letter, count in within.items() if letter.encode("gb18030")[1:].isalpha())
    return 2 * swallowing > letters.total()


@contextlib.contextmanager
def _fields_of_any_size() -> Iterator[None]:
    before = csv.field_size_limit(2**31 - 1)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def _csv(path: Path, data: bytes, wanted: tuple[str, ...]) -> tuple[list[str], list[Row], str]:
    text, encoding = _decoded(path, data)
    with _fields_of_any_size():
        delimiter = _delimiter(
            text, wanted, "\t" if path.name.lower().removesuffix(".gz").endswith(("tsv", "tab")) else ","
        )
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True, skipinitialspace=True)
        header: list[str] = []
        rows: list[Row] = []
        number = 0
        while True:
            number += 1
            try:
                fields = next(reader, None)
            except csv.Error as error:
                what = "is opened and never closed" if "end of data" in str(error) else "closes before its cell ends"
                refuse(path, f"a quotation mark {what}: expected those inside a quoted cell to be doubled", number)
            if fields is None:
                break
            if not header:
                header = fields if any(map(str.strip, fields)) else []
            elif len(fields) == len(header):
                rows.append((number, list(fields)))
            elif any(map(str.strip, fields)):
                refuse(
                    path,
                    f"has {len(fields)} cells where the header has {len(header)}, {DELIMITERS[delimiter]}s between",
                    number,
                )
    return header, rows, f"{'TSV' if delimiter == chr(9) else 'CSV'}, {encoding}, {DELIMITERS[delimiter]}"


def _delimiter(text: str, wanted: tuple[str, ...], usual: str) -> str:
    """The delimiter that finds the wanted columns, else the most columns, in the header."""

    def columns(delimiter: str) -> tuple[bool, int, bool]:
        lines = io.StringIO(text.lstrip("\r\n"), newline="")
        try:
            header = next(csv.reader(lines, delimiter=delimiter, strict=True, skipinitialspace=True), [])
        except csv.Error:
            return False, 0, False
        return set(wanted) <= {name.strip() for name in header}, len(header), delimiter == usual

    return max(DELIMITERS, key=columns)


def _jsonl(path: Path, data: bytes, wanted: tuple[str, ...]) -> tuple[list[str], list[Row], str]:
    text, encoding = _decoded(path, data)
    objects: list[tuple[int, dict[str, object]]] = []
    # not splitlines(): U+2028 and others are legal inside a JSON string
    for number, line in enumerate(re.split(r"\r\n|\n|\r", text), start=1):
        if not line.strip():
            continue
        try:
            value = json.loads(line, object_pairs_hook=_distinct_keys)
        except KeyError as error:
            refuse(path, "a key occurs twice in one object: expected each once", number, error.args[0])
        except json.JSONDecodeError as error:
            refuse(
                path, f"invalid JSON ({error.msg} at character {error.pos + 1}): expected one object per line", number
            )
        except (ValueError, RecursionError):
            refuse(path, "invalid JSON (a number too long or nesting too deep): expected one object per line", number)
        if not isinstance(value, dict):
            refuse(path, f"expected a JSON object such as {{'text': …, 'label': …}}, got {_kind(value)}", number)
        objects.append((number, value))
    header = list(dict.fromkeys(key for _, value in objects for key in value))
    return (
        header,
        [(number, [value.get(key) for key in header]) for number, value in objects],
        f"JSON lines, {encoding}",
    )


def _distinct_keys(pairs: list[tuple[str, object]]) -> dict[str, object]:
    value = {}
    for key, item in pairs:
        key = key.strip()
        if key in value:
            raise KeyError(key)
        value[key] = item
    return value


def _kind(value: object) -> str:
    return {list: "a list", str: "a string", bool: "a boolean", type(None): "null"}.get(type(value), "a number")


def _parquet(path: Path, data: bytes, wanted: tuple[str, ...]) -> tuple[list[str], list[Row], str]:
    import pyarrow
    import pyarrow.parquet

    try:
        table = pyarrow.parquet.read_table(io.BytesIO(data), use_threads=False)
    except (pyarrow.ArrowException, OSError, ValueError):
        refuse(path, "is not a Parquet file, in spite of its suffix")
    columns = [_column(column) for column in table.columns]
    rows = list(zip(*columns, strict=True)) if columns else []
    return list(table.column_names), [(number, list(row)) for number, row in enumerate(rows, start=1)], "Parquet"


def _column(column: Any) -> list:
    """The cells of a Parquet column; where they are beyond Python's types, such as dates of the year 10,000, none is readable."""
    try:
        return column.to_pylist()
    except Exception:  # overflows, unknown time zones: whatever the types' own conversions raise
        return [Unreadable("the column holds a value that cannot be read: expected text or numbers")] * len(column)


def _xlsx(path: Path, data: bytes, wanted: tuple[str, ...]) -> tuple[list[str], list[Row], str]:
    import openpyxl

    try:
        with warnings.catch_warnings(action="ignore"):
            book = openpyxl.load_workbook(io.BytesIO(data), read_only=True, data_only=False)
            sheets = book.worksheets
            if sheets:
                sheets[0].reset_dimensions()  # some writers state them wrong
            lines = [[_value(cell) for cell in line] for line in sheets[0].iter_rows()] if sheets else []
            merged = _merged(data, sheets[0]) if sheets else {}
    except Exception:  # openpyxl lets through whatever its zip and XML readers raise
        refuse(path, "is not an XLSX workbook, in spite of its suffix")
    header: list[str] = []
    rows: list[Row] = []
    for number, line in enumerate(lines, start=1):
        while line and (last := scalar(line[-1])) is not None and not last.strip():
            line.pop()
        if not line:
            continue
        if not header:
            for cell in line:
                if isinstance(cell, Unreadable):
                    refuse(path, f"in the column names, {cell.reason}", number)
            header = [scalar(cell) or "" for cell in line]
        elif len(line) > len(header):
            refuse(path, f"has {len(line)} cells where the header has {len(header)}", number)
        else:
            rows.append((number, line + [None] * (len(header) - len(line))))
    numbered = dict(rows)
    for place, (left, top, right, bottom) in merged.items():
        reason = f"lies in the merged cells {place}: expected a cell of its own, unmerge them and fill each one"
        for number in range(top, min(bottom, len(lines)) + 1):
            line = numbered.get(number, [])
            line[left - 1 : right] = [Unreadable(reason)] * len(line[left - 1 : right])
    which = (
        f", sheet '{one_line(sheets[0].title)}'" + (f", the first of {len(sheets)}" if len(sheets) > 1 else "")
        if sheets
        else ""
    )
    return header, rows, f"XLSX{which}"


def _value(cell) -> object:
    """What a cell of a workbook holds. Formulas are never computed, and what was once computed may be long out of date."""
    if cell.data_type == "f":
        return Unreadable("a cell holds a formula: expected its value, paste values only or save the sheet as CSV")
    if cell.data_type == "e":
        return Unreadable(f"a cell holds the error {one_line(cell.value, 30)}: expected a value or an empty cell")
    return cell.value


def _merged(data: bytes, sheet) -> dict[str, tuple[int, int, int, int]]:
    """Merged ranges, ``"A2:B3"`` as (left, top, right, bottom) from 1. openpyxl tells them only of a sheet that it keeps in
    memory as a whole, at some fifty times the size of the file."""
    from openpyxl.utils import range_boundaries

    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        source = archive.read(sheet._worksheet_path)
    places = re.findall(rb'<(?:\w+:)?mergeCell\s[^>]*?ref="([^"]+)"', source)
    return {place.decode(): range_boundaries(place.decode()) for place in places}


_READERS = {
    ".csv": _csv,
    ".tsv": _csv,
    ".tab": _csv,
    ".jsonl": _jsonl,
    ".ndjson": _jsonl,
    ".parquet": _parquet,
    ".xlsx": _xlsx,
}
