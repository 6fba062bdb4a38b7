"""A table, said once: the page writes it in HTML and the terminal prints it with rich.

A `Grid` has `__rich__`, so `console.print(grid)` works, with or without a terminal.
"""

import dataclasses
from typing import Any

from allometry.report.numbers import MISSING


@dataclasses.dataclass(frozen=True, kw_only=True)
class Column:
    """A column. What is `page_only`, or only its intervals (`brief`), is left out in the terminal, where width is dear."""

    name: str
    unit: str = ""
    text: bool = False  # words stand left, numbers right
    page_only: bool = False
    brief: bool = False
    tip: str = ""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cell:
    """A written value; `tip` says why it is missing or what it rests on, `family` puts the family's mark before it."""

    text: str
    aside: str = ""  # an interval: written smaller
    tip: str = ""
    family: str = ""
    tone: str = ""  # "" | "strong" | "soft" | "loud"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Grid:
    """A table with a heading, which is also its caption for readers who cannot see it."""

    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    empty: str = "Nothing to show."  # said in place of a table without rows

    def __rich__(self) -> Any:
        from rich import box
        from rich.table import Table
        from rich.text import Text

        if not self.rows:
            return Text(f"{self.title}: {self.empty}")
        shown = [i for i, column in enumerate(self.columns) if not column.page_only]
        table = Table(
            title=Text(self.title), box=box.SIMPLE_HEAD, title_justify="left", pad_edge=False, collapse_padding=True
        )
        rows = [[_rich_cell(row[i], self.columns[i].brief) for i in shown] for row in self.rows]
        for place, i in enumerate(shown):
            column = self.columns[i]
            head = f"{column.name}\n{column.unit}" if column.unit else column.name
            # Where width is short, names are broken before numbers are.
            words = [word for row in rows for word in str(row[place]).split()]
            least = 8 if column.text else max(8, *map(len, words))
            table.add_column(Text(head), justify="left" if column.text else "right", overflow="fold", min_width=least)
        for row in rows:
            table.add_row(*row)
        return table


def cell(text: str, aside: str = "", tip: str = "", tone: str = "", why: str | None = "") -> Cell:
    """Make a cell. A missing number says why on the page, where the reader points at it; `why` is for that case alone."""
    if text == MISSING:
        return Cell(text=text, tip=why or tip or "not measured", tone="soft")
    return Cell(text=text, aside=aside, tip=tip, tone=tone)


def family_cell(name: str) -> Cell:
    """The cell that names a family, with its mark on the page."""
    return Cell(text=name, family=name)


def _rich_cell(item: Cell, brief: bool) -> Any:
    from rich.text import Text

    style = {"strong": "bold", "soft": "dim", "loud": "yellow"}.get(item.tone, "")
    # Without spaces, so that a narrow column puts an interval on a line of its own, whole.
    aside = "" if brief else item.aside.replace(", ", ",")
    return Text(f"{item.text} {aside}".rstrip(), style=style)
