"""Tables as Markdown, LaTeX and HTML. Whatever a cell holds, it stays text: nothing in it can act as markup."""

import html
import math

import pandas as pd


def text(cell: object, digits: int = 3) -> str:
    """A cell as people read it: numbers rounded, what is unknowable ``n/a``, line breaks gone."""
    if cell is None or (isinstance(cell, float) and math.isnan(cell)):
        return "n/a"
    if isinstance(cell, float):
        return f"{cell:.{digits}f}"
    return " ".join(str(cell).split())


def with_interval(mean: float, low: float, high: float, digits: int = 3) -> str:
    """``"0.912 [0.905, 0.919]"``; without an interval the mean alone."""
    if math.isnan(mean):
        return "n/a"
    if math.isnan(low):
        return f"{mean:.{digits}f}"
    return f"{mean:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"


def to_markdown(table: pd.DataFrame, caption: str, caption_zh: str, note: str = "") -> str:
    """A GitHub table under its caption."""

    def line(cells) -> str:
        return "| " + " | ".join(escape_markdown(text(cell)) for cell in cells) + " |"

    rows = [line(table.columns), "|" + " --- |" * len(table.columns), *map(line, table.itertuples(index=False))]
    below = f"\n\n{escape_markdown(note)}" if note else ""
    return f"**{caption}**\n{caption_zh}\n\n" + "\n".join(rows) + below + "\n"


def escape_markdown(words: str) -> str:
    """Text that reads as it stands, in Markdown with GitHub's and Jupyter's extensions (tables, formulas, HTML)."""
    return "".join(_HTML.get(c, "\\" + c if c in "\\`*_[]|#~$" else c) for c in words)


_HTML = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


def to_latex(table: pd.DataFrame, caption: str, label: str) -> str:
    """A ``table`` with ``booktabs`` rules; Chinese cells need XeLaTeX or LuaLaTeX with ctex."""
    shown = table.map(text).map(_latex)
    shown.columns = [_latex(str(column)) for column in table.columns]
    return shown.to_latex(index=False, escape=False, caption=_latex(caption), label=f"tab:{label}", position="tbp")


_LATEX = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}


def _latex(cell: str) -> str:
    escaped = "".join(_LATEX.get(c, "\\" + c if c in "&%$#_{}" else c) for c in cell)
    return f"{{{escaped}}}" if cell.startswith(("[", "*")) else escaped  # after \\ they would be its argument


def to_html(table: pd.DataFrame) -> str:
    """A plain HTML table, words on the left and numbers on the right; every cell escaped."""

    def row(cells, tag: str = "td") -> str:
        marked = ((html.escape(text(cell)), "left" if isinstance(cell, str) else "right") for cell in cells)
        return "<tr>" + "".join(f'<{tag} style="text-align:{side}">{cell}</{tag}>' for cell, side in marked) + "</tr>"

    body = "".join(map(row, table.itertuples(index=False)))
    # a price such as $5 must not be set as a formula
    return (
        '<table class="tex2jax_ignore mathjax_ignore">'
        f"<thead>{row(map(str, table.columns), 'th')}</thead><tbody>{body}</tbody></table>"
    )
