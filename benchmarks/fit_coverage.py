"""How often the intervals of `fit` hold the truth, and how often equal groups are called different, by simulation.

    python benchmarks/fit_coverage.py [--studies 200]     # 15 minutes on two cores; writes its results and docs/coverage.md

Runs are drawn from a known law with noise in ln loss (normal, as between seeds), fitted as a user would, and counted: the
draws' interval and the profile interval of each exponent and floor, the interval of the law at 10 times the largest run, of a
new run there, of the compute-optimal N and of its exponent, of the speedup of one group over another, and the tests of equal
exponents and floors on two groups that have them. Two groups are fitted apart, and with one floor for both.
"""

# ruff: noqa: N806 - E, N and C are the letters of the field

import argparse
import json
import warnings
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from _result import command, keep

from allometry.fit.estimate import fit
from allometry.fit.laws.chinchilla import Chinchilla
from allometry.fit.laws.power_floor import PowerFloor
from allometry.fit.optimum import split
from allometry.fit.sharing import share
from allometry.fit.speedup import speedup
from allometry.flow import Refusal

LEVEL = 0.95
DRAWS = 400
FLOOR = {"E": 1.7, "A": 30.0, "alpha": 0.08}  # of C, in FLOPs
BETTER = {"E": 1.7, "A": 30.0 * 0.97, "alpha": 0.08}  # the same loss for 1.46 times less compute
OTHER = {"E": 1.62, "A": 30.0 * 1.03, "alpha": 0.08}  # a lower floor, approached from higher up
SPLIT = {"E": 1.8, "A": 480.0, "B": 2100.0, "alpha": 0.35, "beta": 0.37}
NOISES = (0.002, 0.01, 0.03)
CELLS = [("one law of C", runs, noise) for runs in (5, 10, 30, 50) for noise in NOISES]
CELLS += [("one law of N and D", runs, noise) for runs in (12, 25, 50) for noise in NOISES]
CELLS += [(kind, runs, noise) for kind in ("two, one floor", "two, own floors") for runs in (5, 10, 25) for noise in NOISES]
PAGE = Path(__file__).parents[1] / "docs" / "coverage.md"
PART = Path(__file__).parent / "results" / "fit_coverage.part.jsonl"  # cells of a run that has not ended
Hits = dict[str, list[bool]]


def of_compute(truth: dict[str, float], runs: int, noise: float, generator: np.random.Generator) -> pd.DataFrame:
    columns = {"C": np.geomspace(1e17, 1e21, runs)}
    shake = np.exp(noise * generator.standard_normal(runs))
    return pd.DataFrame(columns | {"loss": PowerFloor().predict(truth, columns) * shake})


def one_law(runs: int, noise: float, studies: int, generator: np.random.Generator) -> Hits:
    hits: Hits = {}
    for index in range(studies):
        found = fit(of_compute(FLOOR, runs, noise, generator), by=None, draws=DRAWS, seed=index, level=LEVEL, reach=1e3)[
            "all"
        ]
        parameters(hits, found, FLOOR, ("E", "alpha"))
        ahead(hits, found, FLOOR, {"C": 1e22}, noise, generator)
    return hits


def two_variables(runs: int, noise: float, studies: int, generator: np.random.Generator) -> Hits:
    hits: Hits = {}
    for index in range(studies):
        columns = {"N": 10 ** generator.uniform(7, 9.5, runs), "D": 10 ** generator.uniform(9, 11.5, runs)}
        shake = np.exp(noise * generator.standard_normal(runs))
        table = pd.DataFrame(columns | {"loss": Chinchilla().predict(SPLIT, columns) * shake})
        found = fit(table, law="chinchilla", by=None, draws=DRAWS, seed=index, level=LEVEL, reach=1e3)["all"]
        parameters(hits, found, SPLIT, ("E", "alpha", "beta"))
        ahead(hits, found, SPLIT, {name: ends[1] * 10**0.5 for name, ends in found.range.items()}, noise, generator)
        C = 1e21
        G = (SPLIT["alpha"] * SPLIT["A"] / (SPLIT["beta"] * SPLIT["B"])) ** (1 / (SPLIT["alpha"] + SPLIT["beta"]))
        power = SPLIT["beta"] / (SPLIT["alpha"] + SPLIT["beta"])
        try:
            best = split(found, C)
        except Refusal:
            continue  # the optimum is beyond the reach of the fit, which then gives no interval
        hit(hits, "best N at a compute", best.N[1:], G * (C / 6) ** power)
        hit(hits, "exponent of the best N", best.exponent[1:], power)
    return hits


def two_groups(runs: int, noise: float, studies: int, generator: np.random.Generator, shared: bool) -> Hits:
    hits: Hits = {}
    truths = {"a": FLOOR, "b": BETTER if shared else OTHER}
    for index in range(studies):
        parts = [of_compute(truth, runs, noise, generator).assign(family=name) for name, truth in truths.items()]
        table = pd.concat(parts, ignore_index=True)
        fits = fit(table, shared=("E",) if shared else (), draws=DRAWS, seed=index, level=LEVEL, reach=1e3)
        hit(hits, "floor E, draws", ends(fits["a"], "E"), FLOOR["E"])
        hit(hits, "exponent alpha, draws", ends(fits["a"], "alpha"), FLOOR["alpha"])
        C = 1e21
        loss = float(PowerFloor().predict(truths["b"], {"C": C}))
        truth = (FLOOR["A"] / (loss - FLOOR["E"])) ** (1 / FLOOR["alpha"]) / C if loss > FLOOR["E"] else np.inf
        asked = speedup(fits, "a", "b", compute=C)
        hit(hits, "speedup at the largest run", (asked.low, asked.high), truth)
        if shared:
            hits.setdefault("equal floors called different", []).append(share(table, ("E",), level=LEVEL).distinguishable)
        hits.setdefault("equal exponents called different", []).append(share(table, ("alpha",), level=LEVEL).distinguishable)
    return hits


def parameters(hits: Hits, found: Any, truth: dict[str, float], names: tuple[str, ...]) -> None:
    for name in names:
        word = f"{'floor' if name == 'E' else 'exponent'} {name}"
        hit(hits, f"{word}, draws", ends(found, name), truth[name])
        hit(hits, f"{word}, profile", found.diagnosis.profile[name], truth[name])


def ahead(
    hits: Hits, found: Any, truth: dict[str, float], place: dict[str, float], noise: float, generator: np.random.Generator
) -> None:
    exact = float(found.law.predict(truth, place))
    hit(hits, "law at 10 x", found.curve(**place)[1:], exact)
    hit(hits, "new run at 10 x", found.predict(**place)[1:], exact * np.exp(noise * generator.standard_normal()))


def ends(found: Any, name: str) -> tuple[float, float]:
    value = found.parameters[name]
    return value["low"], value["high"]


def hit(hits: Hits, name: str, interval: tuple[float, float], truth: float) -> None:
    hits.setdefault(name, []).append(bool(interval[0] <= truth <= interval[1]))


def count(kind: str, runs: int, noise: float, studies: int) -> dict[str, Any]:
    generator = np.random.default_rng([runs, int(noise * 1e6), len(kind)])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if kind == "one law of C":
            hits = one_law(runs, noise, studies, generator)
        elif kind == "one law of N and D":
            hits = two_variables(runs, noise, studies, generator)
        else:
            hits = two_groups(runs, noise, studies, generator, shared=kind == "two, one floor")
    return {"kind": kind, "runs": runs, "noise": noise} | {name: float(np.mean(rows)) for name, rows in hits.items()}


def counted(studies: int) -> list[dict[str, Any]]:
    """All cells, in their order. Each is kept when it ends, so that the same command goes on where it was."""
    done = {}
    for line in PART.read_text().splitlines() if PART.exists() else []:
        row = json.loads(line)
        if row.pop("studies") == studies:
            done[row["kind"], row["runs"], row["noise"]] = row
    left = [cell for cell in reversed(CELLS) if cell not in done]  # the longest first
    with ProcessPoolExecutor() as pool:
        for future in as_completed([pool.submit(count, *cell, studies) for cell in left]):
            row = future.result()
            done[row["kind"], row["runs"], row["noise"]] = row
            with PART.open("a") as file:
                file.write(json.dumps(row | {"studies": studies}) + "\n")
            print(f"{len(done)} of {len(CELLS)} cells", flush=True)
    return [done[cell] for cell in CELLS]


def page(rows: list[dict[str, Any]], studies: int) -> str:
    """The table of docs/coverage.md."""
    error = (LEVEL * (1 - LEVEL) / studies) ** 0.5
    lines = [
        "# Do the intervals hold the truth?",
        "",
        f"Share of {studies} simulated tables in which an interval at {LEVEL:.0%} held the truth, and in which equal groups were",
        f"called different (should be at most {1 - LEVEL:.0%}). The standard error is {error:.1%}. Runs are of each group;",
        "noise is the standard deviation of ln loss between seeds. Written by the command",
        "",
        f"    {command()}",
        "",
        "which says in its first lines what is drawn. The studies of `compare`, with rates, documents and seeds, are simulated by",
        "`benchmarks/coverage.py`; what it found stands in `benchmarks/README.md`.",
    ]
    for kind in dict.fromkeys(row["kind"] for row in rows):
        some = [row for row in rows if row["kind"] == kind]
        names = [name for name in some[0] if name not in ("kind", "runs", "noise")]
        lines += ["", f"## {kind[0].upper()}{kind[1:]}", "", "| runs | noise | " + " | ".join(names) + " |"]
        lines += ["|---" * (len(names) + 2) + "|"]
        for row in some:
            lines.append(
                f"| {row['runs']} | {row['noise']:.1%} | " + " | ".join(f"{row[name]:.1%}" for name in names) + " |"
            )
    return "\n".join(lines) + "\n"


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--studies", type=int, default=200)
    asked = words.parse_args()
    rows = counted(asked.studies)
    figures = []
    for row in rows:
        for name, measured in row.items():
            if name in ("kind", "runs", "noise"):
                continue
            error = np.sqrt(LEVEL * (1 - LEVEL) / asked.studies)
            if name.startswith("equal"):
                bar, holds = "at most 5 %, 2 standard errors aside", measured <= 1 - LEVEL + 2 * error
            else:
                bar, holds = "93 to 97 %, 2 standard errors aside", abs(measured - LEVEL) <= 0.02 + 2 * error
            title = f"{row['kind']}, {row['runs']} runs, {row['noise']:.1%}: {name}"
            figures.append({"figure": title, "measured": measured, "unit": "", "bar": bar, "holds": bool(holds)})
    keep(figures, studies=asked.studies, level=LEVEL)
    PAGE.write_text(page(rows, asked.studies))
    PART.unlink()


if __name__ == "__main__":
    main()
