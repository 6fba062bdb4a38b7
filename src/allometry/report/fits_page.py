"""The page of fits to a user's own table: the figure first, then what the fits say, and what not to trust."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from allometry.fit import rows
from allometry.record.store import write_text
from allometry.report import fit_tables
from allometry.report.figures.law import law_figure, residual_figure
from allometry.report.numbers import plain
from allometry.report.page import draw
from allometry.report.palette import marks
from allometry.report.tables import fits_table


def write_fits(
    fits: Any, content: Mapping[str, Any], path: Path, columns: Mapping[str, str] | None = None, by: str | None = None
) -> Path:
    """Write the page. `content` is `fits.to_json()` with whatever else was asked; `columns` and `by` are as they were for fit."""
    write_text(path, render_fits(fits, content, columns, by))
    return path


def render_fits(
    fits: Any, content: Mapping[str, Any], columns: Mapping[str, str] | None = None, by: str | None = None
) -> str:
    """The page as one HTML text."""
    content = plain(dict(content))
    known = marks(fit.group for fit in fits)
    seen = _seen(fits, columns or {}, by)
    found = content["fits"]
    return draw(
        "fits.html",
        f"{found[0]['equation'].split(',')[0]}",
        {"law": law_figure(fits, known, seen), "residuals": residual_figure(fits, known, seen)},
        known,
        content=content,
        grids=[fits_table(found, flags=False), *fit_tables.grids(content)[1:]],
        findings=fit_tables.findings_table(found),
        diagnosis=fit_tables.diagnosis_table(found),
        lines=fit_tables.lines({key: value for key, value in content.items() if key not in ("report", "saved", "fits")}),
        count=sum(fit["points"] for fit in found),
        level=f"{100 * found[0]['level']:.0f} %",
    )


def _seen(fits: Any, columns: Mapping[str, str], by: str | None) -> dict[str, dict[str, np.ndarray]]:
    """The rows that were fitted, by group."""
    law = next(iter(fits)).law
    named = dict(columns)
    table = fits.source
    if "loss" not in named and "loss" not in table and "bpb" in table:
        named["loss"] = "bpb"
    read = rows.read(table, law.variables, by, named, observed=law.observed, mixed=True)
    return {
        group: {name: values[read.group == index] for name, values in read.columns.items()}
        | {"loss": read.loss[read.group == index]}
        for index, group in enumerate(read.groups)
    }
