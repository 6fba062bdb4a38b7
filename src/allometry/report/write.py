"""Write the report of a study: from its folder to the page."""

from pathlib import Path
from typing import Any

from allometry.record.store import write_text
from allometry.report.gather import bundle as gather
from allometry.report.page import render


def write_report(folder: Path, out: Path | None = None, target: float | None = None) -> tuple[dict[str, Any], Path]:
    """Draw the page of the study in `folder` and return what it shows, and where it is (default: report.html there)."""
    bundle = gather(folder, target=target)
    page = out or folder / "report.html"
    write_text(page, render(bundle))
    return bundle, page
