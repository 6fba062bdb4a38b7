"""How well are learning curves extrapolated? Any file of curves with columns Domain, Task, Model, Seen Examples, Loss, Training.

    python benchmarks/learning_curves.py ../shared/data/scaling_runs/learning_curves/revisiting_vision.csv \
        --json benchmarks/results/learning_curves.json

A curve is one (Domain, Task, Model). Rows with Training = 1 are fitted, rows with Training = 0 are judged: root mean squared
error of ln loss, and the share of rows within the 90 % interval, each for a curve and then averaged over curves. Repeated x of a
curve are averaged before the fit. Beside the package's `extrapolate` stand the power law (M1), the power law with floor (M2,
Alabdulmohsin et al., 2022, arXiv:2209.06640), and M2 with residuals weighted by x.

The figure on revisiting_vision.csv is not blind: some hundred variants of the extrapolation were compared while its held-out error
was in sight (docs/log.md). No held-out row is used in a fit.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table

from allometry.fit.curves.extrapolate import extrapolate
from allometry.fit.solve import project
from allometry.flow import Refusal

MARGIN = 0.005  # ln loss; a task is worse than the power law if its error is larger by more
METHODS = ("M1", "M2", "M2 by x", "ours")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("curves", type=Path, help="CSV: Domain, Task, Model, Seen Examples, Loss, Training")
    parser.add_argument("--json", type=Path, help="write the figures here")
    asked = parser.parse_args()
    found = benchmark(pd.read_csv(asked.curves))
    show(found)
    if asked.json:
        asked.json.parent.mkdir(parents=True, exist_ok=True)
        command = f"python benchmarks/learning_curves.py {asked.curves.name} --json {asked.json.name}"
        asked.json.write_text(json.dumps({"command": command, **found}, indent=1) + "\n")


def benchmark(table: pd.DataFrame) -> dict:
    """All figures of a table of curves."""
    began = time.perf_counter()
    tasks, refused, spent = [], [], 0.0
    for key, rows in table.groupby(["Domain", "Task", "Model"], sort=True):
        name = " ".join(str(part) for part in key)
        fitted = rows[rows["Training"] == 1].groupby("Seen Examples")["Loss"].mean()
        judged = rows[rows["Training"] == 0]
        if not len(judged):
            refused.append({"task": name, "reason": "no rows with Training = 0"})
            continue
        x, loss = fitted.index.to_numpy(dtype=float), fitted.to_numpy()
        at, truth = judged["Seen Examples"].to_numpy(dtype=float), judged["Loss"].to_numpy()
        start = time.perf_counter()
        try:
            ours = extrapolate(x, loss, at, level=0.9)
        except Refusal as refusal:
            refused.append({"task": name, "reason": str(refusal)})
            continue
        spent += time.perf_counter() - start
        predicted = {"M1": power(x, loss, at), "M2": power_floor(x, loss, at, 0.0), "M2 by x": power_floor(x, loss, at, 1.0)}
        predicted["ours"] = np.log(ours.loss)
        errors = {method: float(np.sqrt(np.mean((predicted[method] - np.log(truth)) ** 2))) for method in METHODS}
        inside = (truth >= ours.low) & (truth <= ours.high)
        tasks.append(
            {
                "task": name,
                "rows": len(x),
                "judged": len(at),
                "errors": errors,
                "covered": float(inside.mean()),
                "width": float(np.median(np.log(ours.high / ours.low))),
                "flags": list(ours.flags),
            }
        )
    if not tasks:
        raise SystemExit("No curve could be fitted: " + "; ".join(one["reason"] for one in refused[:3]))
    error = {method: np.array([task["errors"][method] for task in tasks]) for method in METHODS}
    covered = np.array([task["covered"] for task in tasks])
    return {
        "tasks": len(tasks),
        "refused": refused,
        "error": {
            method: {"mean": float(values.mean()), "median": float(np.median(values))} for method, values in error.items()
        },
        "worse_than_M1": {method: float((values > error["M1"] + MARGIN).mean()) for method, values in error.items()},
        "coverage": {
            "level": 0.9,
            "mean_over_tasks": float(covered.mean()),
            "standard_error": float(covered.std(ddof=1) / np.sqrt(len(covered))) if len(covered) > 1 else None,
            "median_width": float(np.median([task["width"] for task in tasks])),
        },
        "seconds": {"ours": spent, "all": time.perf_counter() - began},
        "by_task": tasks,
    }


def power(x: np.ndarray, loss: np.ndarray, at: np.ndarray) -> np.ndarray:
    """M1: a line in log-log."""
    centre = np.log(x).mean()
    return np.polyval(np.polyfit(np.log(x) - centre, np.log(loss), 1), np.log(at) - centre)


def power_floor(x: np.ndarray, loss: np.ndarray, at: np.ndarray, weight: float) -> np.ndarray:
    """M2: least squares of ln loss by variable projection, residuals weighted by x^weight."""
    last = np.log(x[-1])
    logs = np.stack([np.zeros(len(x)), np.log(x) - last])[:, None, :]
    # Far beyond any residual, so that Huber's loss is the square.
    problem = project.Problem(logs=logs, mask=np.ones((2, len(x))), low=np.array([0.002]), high=np.array([8.0]), delta=1e6)
    weights = (x / x[-1]) ** (2 * weight)
    found = project.solve(problem, loss[None], weights[None], project.exponent_grid(1), steps=200)
    floor, scale = found.coefficients[0]
    return np.log(floor + scale * np.exp(-found.exponents[0, 0] * (np.log(at) - last)))


def show(found: dict) -> None:
    """The figures as tables."""
    console = Console()
    table = Table(title=f"{found['tasks']} curves, root mean squared error of ln loss on the held-out part")
    for heading in ("method", "mean", "median", f"worse than M1 by more than {MARGIN}"):
        table.add_column(heading, justify="left" if heading == "method" else "right")
    for method in METHODS:
        error = found["error"][method]
        table.add_row(method, f"{error['mean']:.4f}", f"{error['median']:.4f}", f"{found['worse_than_M1'][method]:.1%}")
    console.print(table)
    coverage = found["coverage"]
    doubt = f" (standard error {coverage['standard_error']:.1%})" if coverage["standard_error"] is not None else ""
    console.print(
        f"90 % intervals hold {coverage['mean_over_tasks']:.1%} of the held-out rows, mean over curves{doubt}; "
        f"median width {coverage['median_width']:.3f} in ln loss."
    )
    console.print(f"{found['seconds']['ours']:.1f} s for ours, {found['seconds']['all']:.1f} s for all.")
    for one in found["refused"]:
        console.print(f"refused {one['task']}: {one['reason']}")


if __name__ == "__main__":
    main()
