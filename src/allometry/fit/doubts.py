"""What to distrust in a study, in sentences; the report shows them and the headline names the first."""

from typing import Any

import numpy as np

from allometry.fit.cells import Warning_
from allometry.fit.study import Study

POOR = 0.02  # ln loss; a hold-out error beyond it is worth a word
OFF = 0.05  # share of the budget by which a run's compute may differ from what was asked


def doubts(study: Study, protocol: str, held: list[dict[str, Any]]) -> list[Warning_]:
    """The most damaging first."""
    found: list[Warning_] = []

    def warn(kind: str, text: str) -> None:
        found.append({"kind": kind, "text": text})

    frontier = study.frontier
    absent = [name for index, name in enumerate(frontier.families) if not frontier.present[index].any()]
    if absent:
        warn("missing", f"No scored run of {', '.join(absent)} ended with a loss.")
    if len(frontier.budgets) < 4:
        warn("budgets", f"Only {len(frontier.budgets)} budgets can be compared; laws and slopes need at least four.")
    if protocol == "frontier":
        for family, name in enumerate(frontier.families):
            here = frontier.present[family]
            edge = here & ~frontier.interior[family]
            if edge.any():
                text = f"The best size of {name} is not inside the sizes run at {edge.sum()} of {here.sum()} budgets."
                warn("size edge", text + " Its loss there may be too high; add smaller or larger sizes.")
        off = np.abs(np.log(study.cells.costs["C"] / study.cells.levels[study.cells.level]))
        if len(off) and off.max() > OFF:
            warn(
                "budget missed",
                f"Runs differ by up to {off.max():.0%} from their budget, which is what they are compared at.",
            )
    elif len(study.cells.levels) > 1:
        text = (
            "Only the runs with the largest number of tokens are compared; under fixed-tokens one number is one comparison."
        )
        warn("token levels", text)
    found += _rates(study)
    found += study.cells.warnings
    if not study.noise.measured:
        warn("seeds", study.noise.text)
    if not np.isfinite(study.drawn.documents_ln):
        warn(
            "documents", "Losses per held-out document are not known, so intervals leave out the sampling of held-out text."
        )
    poor = {row["family"]: row for row in held if row["law"] == "power_floor_shared" and abs(row["ln_error"]) > POOR}
    for name, row in poor.items():
        warn("hold-out", f"Smaller budgets predicted the largest one of {name} wrongly by {row['ln_error']:+.1%}.")
    return found


def _rates(study: Study) -> list[Warning_]:
    found: list[Warning_] = []
    for name, surface in study.surfaces.items():
        if surface.note:
            found.append({"kind": "rates", "text": f"{name}: {surface.note}."})
            continue
        largest = max(surface.cells, key=lambda cell: cell.C)
        if not surface.best(largest.N, largest.C).interior:
            text = f"The best learning rate of {name} is not bracketed at the largest budget where rates were tried."
            found.append({"kind": "rate edge", "text": text})
    return found
