"""Planted effects through the whole pipeline, tuning included: what `allometry calibrate` finds in 20 studies of each kind.

python benchmarks/calibrate.py [FOLDER]      # 40 studies, about an hour on two cores; goes on where it was
"""

import sys
from pathlib import Path

from _result import keep

import allometry as al
from allometry.report.calibration import summary

STUDIES = 20


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path("allometry-studies/calibration")
    rows = al.calibrate(folder, studies=STUDIES).to_dict("records")
    equal, billed = summary(rows)
    figures = [
        {"figure": "two equal families: cannot tell", "measured": equal["right"], "unit": f"of {STUDIES}", "bar": "at least 18",
         "holds": equal["right"] >= 18},
        {"figure": "a copy billed 1.5x: found, with 1.5 in its interval", "measured": billed["right_and_holds"],
         "unit": f"of {STUDIES}", "bar": "at least 17", "holds": billed["right_and_holds"] >= 17},
    ]  # fmt: skip
    keep(figures, summary=[equal, billed], studies=rows)


if __name__ == "__main__":
    main()
