"""Whatever a cell holds, in every format it reads as it stands and acts as nothing."""

import csv
import html
import io
import math
import re
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from paperkit.contract import read_csv, to_csv
from paperkit.exhibits.tables import escape_markdown, text, to_html, to_latex, to_markdown, with_interval

NASTY = (
    "a|b",
    "<script>alert(1)</script>",
    "costs $5 and $10",
    "snake_case_name and *stars*",
    "[link](https://example.org)",
    "![x](y)",
    "`code` \\| ~~gone~~ # head",
    "&lt;b&gt; & 100 % {x} ^2",
    "two\nlines\r\nand\rmore\ttabs",
    "=cmd|' /C calc'!A0",
    "+1+cmd",
    "-2+3",
    "@SUM(A1)",
    "\t=1",
    "「服务」，很好！",
    'say "hi", she said',
    "",
    "   ",
)


def frame(*cells):
    return pd.DataFrame({"text": list(cells), "n": range(len(cells))})


def markdown_cells(line):
    """The cells of a line of a GitHub table: split at pipes that no backslash precedes, then read back."""
    assert line.startswith("| ") and line.endswith(" |")
    return [html.unescape(re.sub(r"\\(.)", r"\1", cell)) for cell in re.split(r"(?<!\\) \| ", line[2:-2])]


class Cells(HTMLParser):
    """The texts of the cells of an HTML table, and every tag in it."""

    def __init__(self, source):
        super().__init__()
        self.cells, self.tags = [], set()
        self.feed(source)

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        if tag in ("td", "th"):
            self.cells.append("")

    def handle_data(self, data):
        self.cells[-1] += data


@given(st.lists(st.tuples(st.text(), st.text()), max_size=4), st.lists(st.text(min_size=1), min_size=2, max_size=2))
@example([("\\", "|"), ("\\|", "|\\"), ("a\\", "")], ["x|y", "z\\"])
def test_a_markdown_table_has_its_columns_and_its_texts_whatever_they_are(rows, columns):
    lines = to_markdown(pd.DataFrame(rows, columns=columns), "C", "标题").split("\n")
    body = lines[3:-1]
    assert len(body) == len(rows) + 2
    for line, cells in zip(body, [columns, None, *rows], strict=True):
        if cells is None:
            assert line == "| --- | --- |"
            continue
        pipes = re.findall(r"(\\*)\|", line)
        assert sum(len(backslashes) % 2 == 0 for backslashes in pipes) == 3, "an odd number of backslashes escapes"
        assert not re.search(r"(?<!\\)[*_`$~]|<|>", re.sub(r"\\\\", "", line)), "nothing that Markdown would act on"


@pytest.mark.parametrize("cell", NASTY)
def test_markdown_reads_as_the_text_stands(cell):
    *_, line, end = to_markdown(frame(cell), "C", "标题").split("\n")
    assert end == ""
    assert markdown_cells(line) == [" ".join(cell.split()), "0"]


@pytest.mark.parametrize("cell", NASTY)
def test_html_holds_texts_and_no_tag_of_theirs(cell):
    parsed = Cells(to_html(frame(cell)))
    assert parsed.cells == ["text", "n", " ".join(cell.split()), "0"]
    assert parsed.tags == {"table", "thead", "tbody", "tr", "th", "td"}


def test_nobody_sets_a_price_as_a_formula():
    assert 'class="tex2jax_ignore mathjax_ignore"' in to_html(frame("from $5 to $9"))


@pytest.mark.parametrize("cell", NASTY)
def test_csv_keeps_every_row_one_row(cell):
    header, row, last = csv.reader(io.StringIO(to_csv(frame(cell, "next")), newline=""))
    assert header == ["text", "n"] and last == ["next", "1"]
    lines = cell.replace("\r\n", "\n").replace("\r", "\n")
    assert row[1] == "0" and row[0] in (lines, "'" + lines)
    assert not row[0].startswith(("=", "+", "-", "@", "\t", "\n")), "no spreadsheet may run it"
    assert row[0].startswith("'") == cell.startswith(("=", "+", "-", "@", "\t"))


@given(st.lists(st.tuples(st.text(), st.text()), min_size=1, max_size=4))
def test_csv_reads_back(rows):
    got = list(csv.reader(io.StringIO(to_csv(pd.DataFrame(rows, columns=["a", "b"])), newline="")))
    assert [len(row) for row in got] == [2] * (len(rows) + 1)
    for row, back in zip(rows, got[1:], strict=True):
        for cell, read in zip(row, back, strict=True):
            assert read.removeprefix("'") == cell.replace("\r\n", "\n").replace("\r", "\n").removeprefix("'")


@given(st.lists(st.text(alphabet="'=+-@1a\"\n,"), min_size=1, max_size=4))
@example(["=x", "'=x", "''=x", "-1", "'-1", "it's"])
def test_a_name_is_read_as_it_was_written(tmp_path_factory, names):
    path = tmp_path_factory.mktemp("contract") / "table.csv"
    path.write_text(to_csv(pd.DataFrame({"corpus": names, "n": 1})), encoding="utf-8")
    assert ["" if pd.isna(name) else name for name in read_csv(path).corpus] == names


@pytest.mark.parametrize("label", ["-1", "+1", "-0.5", "-1e-05"])
def test_a_label_that_is_a_number_is_no_formula(label):
    assert to_csv(frame(label)) == f"text,n\n{label},0\n"


def test_what_is_unknowable_is_empty_for_machines_and_says_so_for_people():
    table = pd.DataFrame({"a": [math.nan, 0.5], "b": [None, "x"], "c": np.array([np.nan, 1.0])})
    assert to_csv(table) == "a,b,c\n,,\n0.5,x,1\n"
    assert to_markdown(table, "C", "标题").endswith("| n/a | n/a | n/a |\n| 0.500 | x | 1.000 |\n")
    assert "n/a & n/a & n/a" in to_latex(table, "C", "l")
    assert Cells(to_html(table)).cells[3:6] == ["n/a"] * 3


def test_csv_keeps_ten_digits_and_whole_numbers_whole():
    table = pd.DataFrame({"a": [1 / 3, 12345.0], "b": [2, 3], "c": [True, False], "d": [math.inf, -math.inf]})
    assert to_csv(table) == "a,b,c,d\n0.3333333333,2,True,inf\n12345,3,False,-inf\n"


@pytest.mark.parametrize("cell", [cell for cell in NASTY if cell.strip()])
def test_latex_escapes_every_special_character(cell):
    table = to_latex(frame(cell), "50 % of $x_i$", "b_table_9")
    (line,) = [line for line in table.split("\n") if line.endswith(r" & 0 \\")]
    shown = line.removesuffix(r" & 0 \\")
    commands = re.sub(r"\\(textbackslash|textasciitilde|textasciicircum)\{\}|\\[&%$#_{}]", "", shown)
    if cell.startswith(("[", "*")):
        assert (commands[0], commands[-1]) == ("{", "}")
        commands = commands[1:-1]
    assert not re.search(r"[\\~^&%$#_{}]", commands)
    assert r"\caption{50 \% of \$x\_i\$}" in table and r"\label{tab:b_table_9}" in table


@pytest.mark.parametrize("cell", ["[0.9, 1.0]", "*"])
def test_latex_takes_no_first_cell_for_an_argument_of_the_line_above(cell):
    assert f"\n{{{cell}}} & 0" in to_latex(frame(cell), "C", "l")


def test_latex_reads_back():
    unescape = {r"\textbackslash{}": "\\", r"\textasciitilde{}": "~", r"\textasciicircum{}": "^"}
    for cell in ("\\", "~x^2", "{a}", "100 %", "a_b & c#d $"):
        (line,) = [line for line in to_latex(frame(cell), "C", "l").split("\n") if line.endswith(r" & 0 \\")]
        back = re.sub(
            r"\\text\w+\{\}|\\(.)",
            lambda match: unescape.get(match[0], match[1]),
            line.removesuffix(r" & 0 \\"),
        )
        assert back == cell


@pytest.mark.parametrize("note", ["trained on <img src=x onerror=alert(1)>", "α_t (1 − p_t)^γ, $5, a|b"])
def test_a_note_is_text_too(note):
    assert to_markdown(frame("x"), "C", "标题", note).endswith(f"\n\n{escape_markdown(note)}\n")
    assert "<" not in escape_markdown(note)


def test_a_table_without_rows_is_a_table():
    empty = pd.DataFrame(columns=["a_b", "c"])
    assert to_csv(empty) == "a_b,c\n"
    assert to_markdown(empty, "C", "标题") == "**C**\n标题\n\n| a\\_b | c |\n| --- | --- |\n"
    assert r"a\_b & c \\" in to_latex(empty, "C", "l")
    assert Cells(to_html(empty)).cells == ["a_b", "c"]


@pytest.mark.parametrize(
    ("triple", "shown"),
    [
        ((0.9124, 0.905, 0.9196), "0.912 [0.905, 0.920]"),
        ((0.5, 0.5, 0.5), "0.500 [0.500, 0.500]"),
        ((-0.1, -0.25, 0.05), "-0.100 [-0.250, 0.050]"),
        ((0.9, math.nan, math.nan), "0.900"),
        ((math.nan, math.nan, math.nan), "n/a"),
        ((np.float64(0.25), np.float64("nan"), np.float64("nan")), "0.250"),
    ],
)
def test_a_mean_with_its_interval(triple, shown):
    assert with_interval(*triple) == shown


def test_digits_may_be_chosen():
    assert with_interval(0.98765, 0.9, 1, digits=1) == "1.0 [0.9, 1.0]"
    assert (text(0.98765), text(0.98765, 2), text(3), text("a  b\nc")) == ("0.988", "0.99", "3", "a b c")


def test_no_format_changes_the_table_it_is_given():
    table = frame("a_b", "=x")
    before = table.copy()
    for write in (to_csv, to_html, lambda t: to_markdown(t, "C", "标题"), lambda t: to_latex(t, "C", "l")):
        write(table)
    pd.testing.assert_frame_equal(table, before)
    assert to_csv(table) == "text,n\na_b,0\n'=x,1\n"
