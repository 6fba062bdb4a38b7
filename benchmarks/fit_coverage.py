"""How often the intervals of `fit` hold the truth, and how often equal groups are called different, by simulation.

    python benchmarks/fit_coverage.py [--studies 200]        # about 10 minutes; writes results/fit_coverage.json

Runs are drawn from a known law with noise in ln loss (normal, as between seeds), fitted as a user would, and counted: the
draws' interval and the profile interval of each exponent and floor, the interval of the law at 10 times the largest run, the
interval of a new run there, and the test of equal exponents on two groups with one law.
"""

import argparse
import warnings
from typing import Any

import numpy as np
import pandas as pd
from _result import keep

from allometry.fit.estimate import fit
from allometry.fit.laws.chinchilla import Chinchilla
from allometry.fit.laws.power_floor import PowerFloor
from allometry.fit.sharing import share

LEVEL = 0.95
FLOOR = {"E": 1.7, "A": 30.0, "alpha": 0.08}  # of C, in FLOPs
SPLIT = {"E": 1.8, "A": 480.0, "B": 2100.0, "alpha": 0.35, "beta": 0.37}
CELLS = [("power_floor", runs, noise) for runs in (6, 10, 30) for noise in (0.002, 0.01)]
CELLS += [("chinchilla", runs, noise) for runs in (12, 25, 50) for noise in (0.002, 0.01, 0.03)]


def study(law: str, runs: int, noise: float, generator: np.random.Generator) -> tuple[pd.DataFrame, dict[str, float]]:
    shake = np.exp(noise * generator.standard_normal(runs))
    if law == "power_floor":
        columns = {"C": np.geomspace(1e17, 1e21, runs)}
        return pd.DataFrame(columns | {"loss": PowerFloor().predict(FLOOR, columns) * shake}), FLOOR
    columns = {"N": 10 ** generator.uniform(7, 9.5, runs), "D": 10 ** generator.uniform(9, 11.5, runs)}
    return pd.DataFrame(columns | {"loss": Chinchilla().predict(SPLIT, columns) * shake}), SPLIT


def count(law: str, runs: int, noise: float, studies: int, draws: int = 200) -> dict[str, Any]:
    generator = np.random.default_rng([runs, int(noise * 1e6), len(law)])
    names = ["E", "alpha"] if law == "power_floor" else ["E", "alpha", "beta"]
    hits: dict[str, list[bool]] = {f"{name}, {kind}": [] for name in names for kind in ("draws", "profile")}
    hits |= {"law at 10 x": [], "new run at 10 x": [], "equal exponents called different": []}
    for index in range(studies):
        table, truth = study(law, runs, noise, generator)
        found = fit(table, law=law, by=None, draws=draws, seed=index, level=LEVEL, reach=1e3)["all"]
        for name in names:
            ends = found.parameters[name]
            hits[f"{name}, draws"].append(ends["low"] <= truth[name] <= ends["high"])
            low, high = found.diagnosis.profile[name]
            hits[f"{name}, profile"].append(low <= truth[name] <= high)
        place = {name: ends[1] * (10 if law == "power_floor" else 10**0.5) for name, ends in found.range.items()}
        exact = float(found.law.predict(truth, place))
        _, low, high = found.curve(**place)
        hits["law at 10 x"].append(low <= exact <= high)
        _, low, high = found.predict(**place)
        hits["new run at 10 x"].append(low <= exact * np.exp(noise * generator.standard_normal()) <= high)
        other, _ = study(law, runs, noise, generator)
        both = pd.concat([table.assign(family="a"), other.assign(family="b")], ignore_index=True)
        hits["equal exponents called different"].append(share(both, ("alpha",), law=law, level=LEVEL).distinguishable)
    return {"law": law, "runs": runs, "noise": noise} | {name: float(np.mean(rows)) for name, rows in hits.items()}


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--studies", type=int, default=200)
    asked = words.parse_args()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rows = [count(*cell, asked.studies) for cell in CELLS]
    figures = []
    for row in rows:
        for name, share_of in row.items():
            if name in ("law", "runs", "noise"):
                continue
            false = name.startswith("equal")
            error = np.sqrt(0.05 * 0.95 / asked.studies)
            figure = {
                "figure": f"{row['law']}, {row['runs']} runs, {row['noise']:.1%}: {name}",
                "measured": share_of,
                "unit": "",
            }
            if false:
                figure |= {"bar": "at most 5 %, 2 standard errors aside", "holds": share_of <= 0.05 + 2 * error}
            else:
                figure |= {"bar": "93 to 97 %, 2 standard errors aside", "holds": abs(share_of - 0.95) <= 0.02 + 2 * error}
            figures.append(figure)
    keep(figures, studies=asked.studies, level=LEVEL)


if __name__ == "__main__":
    main()
