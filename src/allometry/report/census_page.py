"""The page of a census: where the gates are, the table, and what was not counted."""

from pathlib import Path
from typing import Any

from allometry.record.store import write_text
from allometry.report.census_tables import GATING, KINDS, UNSEEN, census_lines, census_table, not_counted_table
from allometry.report.figures.census import census_figure
from allometry.report.numbers import plain
from allometry.report.page import draw


def write_census(content: dict[str, Any], path: Path) -> Path:
    """Write the page of `Census.to_json()` with the name that was asked."""
    write_text(path, render_census(content))
    return path


def render_census(content: dict[str, Any]) -> str:
    """The page as one HTML text."""
    content = plain(dict(content))
    return draw(
        "census.html",
        f"Gates of {content['asked']}",
        {"census": census_figure(content, KINDS, GATING)},
        {},
        content=content,
        total=content["total"],
        table=census_table(content),
        not_counted=not_counted_table(content),
        unseen=sum(one["reason"] in UNSEEN for one in content["not_counted"]),
        lines=census_lines(content),
    )
