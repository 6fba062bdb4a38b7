"""Tables of runs that follow a law that we wrote down, for the tests of all laws."""

import numpy as np
import pandas as pd

from allometry.find import member
from allometry.fit.laws._law import Law
from allometry.fit.solve.pose import pose
from allometry.fit.solve.search import Found, search

LAWS = "allometry.fit.laws"
COMMON = {"E": 1.7, "A": 400.0, "B": 900.0, "alpha": 0.33, "beta": 0.29}
TRUTHS = {
    "power": COMMON,
    "power_floor": COMMON,
    "chinchilla": COMMON,
    "over_training": {"E": 1.7, "a": 141.0, "b": 190.0, "eta": 0.121},
    "width_depth": {"E": 1.5, "A": 20.0, "B": 2.0, "G": 900.0, "alpha": 0.6, "beta": 1.0, "gamma": 0.3},
    "width_depth_parameters": {
        "E": 1.5, "A": 20.0, "B": 2.0, "F": 400.0, "G": 900.0, "alpha": 0.6, "beta": 1.0, "phi": 0.33, "gamma": 0.3,
    },
    "repetition": {"E": 1.87, "A": 521.0, "B": 1488.0, "alpha": 0.353, "beta": 0.353, "R_D": 15.0, "R_N": 5.0},
    "broken_power": {"a": 1.0, "b": 300.0, "c0": 0.15, "c1": 0.2, "d1": 3e17, "f1": 0.3},
    "downstream": {"floor": 0.25, "gain": 0.6, "middle": 2.4, "width": 0.2},
}  # fmt: skip


def law_named(name: str) -> Law:
    return member(LAWS, name)()


def places(rows: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Values of every variable that a law may read."""
    generator = np.random.default_rng(seed)
    found = {"N": 10 ** generator.uniform(6, 9, rows), "D": 10 ** generator.uniform(8, 11, rows)}
    found |= {"width": 2 ** generator.uniform(6, 12, rows), "depth": 2 ** generator.uniform(0, 6, rows)}
    found["C"] = 6 * found["N"] * found["D"]
    found["M"] = found["D"] / found["N"]
    found["U"] = found["D"] / 10 ** generator.uniform(0, 2, rows)
    found["L"] = generator.uniform(1.5, 4.0, rows)
    return found


def runs(law: Law, rows: int = 24, seed: int = 0, noise: float = 0.0) -> pd.DataFrame:
    """A table with all variables; the fitted column has multiplicative noise."""
    columns = places(rows, seed)
    exact = law.predict(TRUTHS[law.name], columns)
    shake = np.exp(noise * np.random.default_rng(seed + 1).standard_normal(rows))
    return pd.DataFrame(columns | {law.observed: exact * shake})


def solved(law: Law, table: pd.DataFrame) -> tuple[dict[str, float], Found]:
    """The estimate alone, without draws and intervals."""
    columns = {name: table[name].to_numpy(dtype=float) for name in law.variables}
    posed = pose(law, columns, law.criterion, {})
    found = search(posed, table[law.observed].to_numpy(dtype=float), np.ones(len(table)))
    return {name: float(value[0]) for name, value in posed.named(found.values[None]).items()}, found
