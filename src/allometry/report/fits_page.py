"""The page of fits to a user's own table: the figure first, then what the fits say, and what not to trust."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from allometry.record.store import write_text
from allometry.report import fit_tables
from allometry.report.figures.law import law_figure, residual_figure
from allometry.report.numbers import plain
from allometry.report.page import draw
from allometry.report.palette import marks
from allometry.report.tables import fits_table


def write_fits(fits: Any, content: Mapping[str, Any], path: Path) -> Path:
    """Write the page. `content` is `fits.to_json()` with whatever else was asked."""
    write_text(path, render_fits(fits, content))
    return path


def render_fits(fits: Any, content: Mapping[str, Any]) -> str:
    """The page as one HTML text."""
    content = plain(dict(content))
    known = marks(fit.group for fit in fits)
    found = content["fits"]
    beside = {key: value for key, value in content.items() if key not in ("report", "saved", "fits")}
    return draw(
        "fits.html",
        f"{found[0]['equation'].split(',')[0]}",
        {"law": law_figure(fits, known), "residuals": residual_figure(fits, known)},
        known,
        content=content,
        grids=[fits_table(found, flags=False), *fit_tables.grids(content)[1:]],
        findings=fit_tables.findings_table(found),
        diagnosis=fit_tables.diagnosis_table(found),
        lines=fit_tables.lines(beside),
        count=sum(fit["points"] for fit in found),
        level=f"{100 * found[0]['level']:.0f} %",
    )
