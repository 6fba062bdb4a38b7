"""A table, said once: the page writes it in HTML and the terminal prints it with rich.

A `Grid` has `__rich_console__`, so `console.print(grid)` works, with or without a terminal. A number is never cropped.
"""

import dataclasses
from collections.abc import Iterator
from typing import Any

from allometry.report.numbers import MISSING


@dataclasses.dataclass(frozen=True, kw_only=True)
class Column:
    """A column. What is `page_only`, or only its intervals (`brief`), is left out in the terminal, where width is dear.

    Where it does not last, columns that may `drop` do, the highest first, which is said.
    """

    name: str
    unit: str = ""
    text: bool = False  # words stand left, numbers right
    page_only: bool = False
    brief: bool = False
    whole: bool = False  # its words are not broken
    drop: int = 0  # 0: it stays
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

    def __rich_console__(self, console: Any, options: Any) -> Iterator[Any]:
        from rich.text import Text

        if not self.rows:
            yield Text(f"{self.title}: {self.empty}")
            return
        shown, width = self._within(options.max_width)
        yield from console.render(self._table(shown), options.update(width=max(width, options.max_width)))
        left = [c.name for i, c in enumerate(self.columns) if not c.page_only and i not in shown]
        if left:
            yield Text(f"Left out for want of width: {', '.join(left)}.", style="dim")

    def _within(self, width: int) -> tuple[list[int], int]:
        """The columns that are shown in a width, and the width that they take at least."""
        shown = [i for i, column in enumerate(self.columns) if not column.page_only]
        while (needed := sum(self._least(i) + 2 for i in shown)) > width and any(self.columns[i].drop for i in shown):
            shown.remove(max(shown, key=lambda i: self.columns[i].drop))
        return shown, needed

    def _least(self, i: int) -> int:
        """Where width is short, names are broken before numbers are."""
        column = self.columns[i]
        words = [word for row in self.rows for word in str(_rich_cell(row[i], column.brief)).split()]
        head = column.name.split() if column.drop else []
        return 8 if column.text and not column.whole else max(8, *map(len, [*words, *head]))

    def _table(self, shown: list[int]) -> Any:
        from rich import box
        from rich.table import Table
        from rich.text import Text

        table = Table(
            title=Text(self.title), box=box.SIMPLE_HEAD, title_justify="left", pad_edge=False, collapse_padding=True
        )
        for i in shown:
            column = self.columns[i]
            head = f"{column.name}\n{column.unit}" if column.unit else column.name
            justify: Any = "left" if column.text else "right"
            table.add_column(Text(head), justify=justify, overflow="fold", min_width=self._least(i))
        for row in self.rows:
            table.add_row(*(_rich_cell(row[i], self.columns[i].brief) for i in shown))
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
