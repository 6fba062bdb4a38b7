"""Are decisions right, and are their probabilities? Published runs, held out, and simulated studies of known laws.

    python benchmarks/decisions.py ../shared/data/scaling_runs     # about 3 minutes on one core; writes results/decisions.json

Every task fits the smaller runs and decides pairs of groups at a larger place, where the truth is the measured loss of the larger
runs (of the laws themselves, in simulations). Scores: accuracy over all pairs (the likelier group), accuracy and share of the
pairs that were called, and the Brier score of the probability over all pairs. Against the simplest rule, the rank at the largest
value that both groups have, taken as certain, and against that rank with the one confidence that is best in hindsight.

Pairs of one task share groups, so there are fewer independent decisions than pairs. A truth is one measurement with its own noise.
"""

# ruff: noqa: N803, N806 - C is the letter of the field

import argparse
import dataclasses
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from _result import keep
from rich.console import Console
from rich.table import Table

from allometry.fit.ask.decide import decide
from allometry.flow import Refusal

KINDS = ("ordinary", "crossing", "equal")
FAR, REACH = 1e3, 10.0  # how far is asked here; how far `decide` answers unless told otherwise


@dataclasses.dataclass(frozen=True, kw_only=True)
class Study:
    """A simulated study of two groups, and the true ln loss of a minus that of b at the place."""

    kind: str
    table: pd.DataFrame
    place: float
    difference: float
    noise: float  # standard deviation of ln loss of a run


def simulated(generator: np.random.Generator, kind: str) -> Study:
    """L = E + A C^-alpha + B C^-beta in units of the smallest C: half of the studies have the second term, which no law here has.

    `ordinary`: whatever comes, crossings too. `crossing`: the group that is better over the larger half of the runs is the worse
    one at the place. `equal`: one law.
    """
    while True:
        sizes, reach = int(generator.integers(4, 13)), float(np.exp(generator.uniform(np.log(2), np.log(30))))
        C = np.geomspace(1, np.exp(generator.uniform(np.log(10), np.log(1000))), sizes)
        E, A = generator.uniform(0.3, 1.5), generator.uniform(0.5, 2)
        alpha, beta = generator.uniform(0.05, 0.4), generator.uniform(0.3, 1.0)
        B = generator.choice([0.0, 1.0]) * A * generator.uniform(0.1, 0.5)
        laws = []
        for _ in range(2):
            apart = 0.0 if kind == "equal" else 1.0
            moved = np.exp(apart * generator.normal(0, [0.01, 0.05, 0.08, 0.3, 0.1]))
            laws.append(np.array([E, A, alpha, B, beta]) * moved)
        place = C[-1] * reach
        gap = _ln(laws[0], C) - _ln(laws[1], C)
        there = float(_ln(laws[0], place) - _ln(laws[1], place))
        half = gap[len(gap) // 2 :]
        crosses = bool((np.sign(half) == -np.sign(there)).all())
        if kind != "crossing" or crosses:
            break
    noise = float(np.exp(generator.uniform(np.log(0.002), np.log(0.03))))
    share = generator.uniform(0, 0.8)  # of the variance, through a common order of the data
    order = generator.normal(0, noise * np.sqrt(share), sizes)
    rows = [
        pd.DataFrame(
            {
                "family": name,
                "C": C,
                "loss": np.exp(_ln(law, C) + order + generator.normal(0, noise * np.sqrt(1 - share), sizes)),
            }
        )
        for name, law in zip("ab", laws, strict=True)
    ]
    return Study(kind=kind, table=pd.concat(rows, ignore_index=True), place=float(place), difference=there, noise=noise)


def _ln(law: np.ndarray, C: Any) -> Any:
    E, A, alpha, B, beta = law
    return np.log(E + A * C**-alpha + B * C**-beta)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Task:
    """Groups fitted on their smaller runs, and the losses that were then measured at one larger place."""

    source: str
    name: str
    table: pd.DataFrame  # family, C, loss
    place: float
    truth: dict[str, float]  # by group


def archscale(folder: Path) -> Iterator[Task]:
    """Five architectures over FLOPs, eleven variants over tokens; the last size, from three smaller ones and from all."""
    for name, x in (("archscale_flops_scaling", "flops"), ("archscale_data_scaling", "tokens_B")):
        table = pd.read_csv(folder / f"archscale/{name}.csv").rename(
            columns={"series": "family", x: "C", "val_loss": "loss"}
        )
        sizes = np.sort(table["C"].unique())
        for kept in (3, len(sizes) - 1):
            yield _task(name, f"{kept} sizes", table, sizes[kept - 1], sizes[-1])


def porian(folder: Path) -> Iterator[Task]:
    """Training set-ups with losses of one kind on one data set; the lowest loss of each FLOP level; 16 and 128 times beyond."""
    table = pd.read_csv(folder / "porian2024/porian_isoflop_points.csv")
    table = table[table["param_count"] != "kaplan"]  # the same runs as under the standard counting
    table["family"] = table[["hparams", "warmup", "decay"]].agg(" ".join, axis=1)
    for (source, data), part in table.groupby(["source", "dataset"]):
        frontier = part.groupby(["family", "flops"])["loss"].min().reset_index().rename(columns={"flops": "C"})
        levels = np.sort(frontier["C"].unique())
        for kept in (5, 8):
            yield _task("porian2024", f"{source} {data}, {kept} levels", frontier, levels[kept - 1], levels[-1])


def gadre(folder: Path) -> Iterator[Task]:
    """Which of three training sets gives the lower loss on each evaluation set, at 20 tokens for each parameter."""
    table = pd.read_csv(folder / "gadre2024/gadre_losses.csv")
    table = table[table["mult"] == 1].assign(C=6.0 * table["N"] * table["D"]).rename(columns={"dataset": "family"})
    sizes = np.sort(table["C"].unique())
    for column in [name for name in table if name.startswith("loss_")]:
        plain = table[["family", "C", column]].rename(columns={column: "loss"})
        yield _task("gadre2024", f"{column}, 4 sizes", plain, sizes[3], sizes[-1])


def curves(folder: Path) -> Iterator[Task]:
    """Image models over seen examples: at the largest number that all reach, from 1/2 and from 1/8 of it."""
    table = pd.read_csv(folder / "learning_curves/revisiting_vision.csv")
    table = table.rename(columns={"Model": "family", "Seen Examples": "C", "Loss": "loss"})
    for name, part in table.groupby("Task"):
        place = part.groupby("family")["C"].max().min()
        means = part.groupby(["family", "C"])["loss"].mean().reset_index()
        truth = {
            family: float(np.interp(np.log(place), np.log(curve["C"]), curve["loss"]))
            for family, curve in means.groupby("family")
        }
        for share in (2, 8):
            small = part[(part["Training"] == 1) & (part["C"] <= place / share)].groupby(["family", "C"])["loss"].mean()
            thin = pd.concat([_thinned(curve) for _, curve in small.reset_index().groupby("family")])
            yield Task(source="revisiting_vision", name=f"{name}, 1/{share}", table=thin, place=float(place), truth=truth)


def gemstones(folder: Path) -> Iterator[Task]:
    """Shapes of nearly one size, over tokens at a constant learning rate: at 350 billion, from 50 and from 150."""
    table = pd.read_json(folder / "gemstones/wandb_dfs/wandb_df_for_fitting_hot_100b+.jsonl", lines=True)
    table = table.rename(columns={"run_name": "family", "tokens": "C", "final_loss": "loss"})
    size = table["params_active_precise"]
    for low, high in ((9e7, 1.2e8), (4.5e8, 5.5e8), (1e9, 1.1e9), (1.9e9, 2.1e9)):
        part = table[(size > low) & (size < high)][["family", "C", "loss"]]
        for billions in (50, 150):
            yield _task("gemstones", f"{low:.2g} parameters, {billions} B tokens", part, billions * 1.01e9, part["C"].max())


def _task(source: str, name: str, table: pd.DataFrame, cut: float, place: float) -> Task:
    there = table[np.isclose(table["C"], place, rtol=1e-3)]
    return Task(
        source=source,
        name=name,
        table=table[table["C"] <= cut * (1 + 1e-3)][["family", "C", "loss"]],
        place=float(place),
        truth=there.groupby("family")["loss"].mean().to_dict(),
    )


def _thinned(curve: pd.DataFrame, points: int = 40) -> pd.DataFrame:
    curve = curve.sort_values("C")
    return curve.iloc[np.unique(np.linspace(0, len(curve) - 1, points).astype(int))]


def decided(task: Task) -> list[dict[str, Any]]:
    """One row for each pair whose truth is known and is no tie."""
    found = []
    for pair in decide(task.table, C=task.place, draws=400, reach=FAR):
        if pair.a not in task.truth or pair.b not in task.truth or task.truth[pair.a] == task.truth[pair.b]:
            continue
        found.append(
            {
                "task": task.name,
                "a": pair.a,
                "b": pair.b,
                "probability": pair.probability,
                "called": pair.verdict is not None,
                "rank": {pair.a: 1.0, pair.b: 0.0, None: 0.5}[pair.simple],
                "truth": float(task.truth[pair.a] < task.truth[pair.b]),
                "difference": float(np.log(task.truth[pair.a] / task.truth[pair.b])),
                "inside": bool(pair.low <= np.log(task.truth[pair.a] / task.truth[pair.b]) <= pair.high),
                "factor": pair.factor,
            }
        )
    return found


def scores(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Accuracy, calls and Brier scores of one source."""
    p, truth, rank = (np.array([row[name] for row in rows]) for name in ("probability", "truth", "rank"))
    called = np.array([row["called"] for row in rows])
    right, simple = (p > 0.5) == truth, np.where(rank == 0.5, 0.5, rank == truth)
    share = float(simple.mean())
    return {
        "pairs": len(rows),
        "accuracy": float(right.mean()),
        "rank_accuracy": share,
        "called": float(called.mean()),
        "accuracy_called": float(right[called].mean()) if called.any() else None,
        "rank_accuracy_called": float(simple[called].mean()) if called.any() else None,
        "accuracy_at_0.9": _beyond(p, right, 0.9),
        "brier": float(((p - truth) ** 2).mean()),
        "rank_brier": float(((rank - truth) ** 2).mean()),
        "rank_brier_best_confidence": share * (1 - share),
        "interval_holds": float(np.mean([row["inside"] for row in rows])),
    }


def _beyond(p: np.ndarray, right: np.ndarray, level: float) -> dict[str, Any]:
    """Pairs whose probability is beyond a level, on either side."""
    sure = np.maximum(p, 1 - p) > level
    return {"share": float(sure.mean()), "accuracy": float(right[sure].mean()) if sure.any() else None}


def simulations(studies: int, seed: int) -> dict[str, list[dict[str, Any]]]:
    generator = np.random.default_rng(seed)
    found: dict[str, list[dict[str, Any]]] = {f"simulated: {kind}": [] for kind in KINDS}
    for index in range(studies):
        study = simulated(generator, KINDS[(0, 0, 1, 2)[index % 4]])
        truth = {"a": float(np.exp(study.difference)), "b": 1.0}
        if study.kind == "equal":
            truth["a"] = 1 + 1e-12  # neither is right; only whether it is called counts
        task = Task(source=study.kind, name=str(index), table=study.table, place=study.place, truth=truth)
        found[f"simulated: {study.kind}"] += decided(task)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="shared/data/scaling_runs")
    parser.add_argument("--studies", type=int, default=120, help="simulated studies")
    parser.add_argument("--seed", type=int, default=20)
    asked = parser.parse_args()
    began, refused = time.perf_counter(), []
    rows: dict[str, list[dict[str, Any]]] = {}
    for source in (archscale, porian, gadre, gemstones, curves):
        for task in source(asked.folder):
            try:
                rows.setdefault(task.source, []).extend(decided(task))
            except Refusal as refusal:
                refused.append({"task": f"{task.source}: {task.name}", "reason": str(refusal)})
    rows["all published"] = [row for part in list(rows.values()) for row in part]
    rows["published, within reach"] = [row for row in rows["all published"] if row["factor"] <= REACH]
    rows |= simulations(asked.studies, asked.seed)
    found = {name: scores(part) for name, part in rows.items() if part}
    # Of equal groups neither is right: only whether they were called counts, and whether the interval held zero.
    equal = "simulated: equal"
    found[equal] = {name: found[equal][name] for name in ("pairs", "called", "interval_holds")}
    show(found)
    figures = [
        {"figure": f"{label}, {name}", "measured": found[name][key], "unit": unit}
        for name in ("all published", "published, within reach", "simulated: ordinary", "simulated: crossing", equal)
        for key, label, unit in (
            ("brier", "Brier score", ""),
            ("rank_brier", "Brier score of the rank", ""),
            ("called", "share called", ""),
            ("accuracy_called", "accuracy of those called", ""),
        )
        if found[name].get(key) is not None
    ]
    keep(figures, scores=found, refused=refused, seconds=time.perf_counter() - began, rows=rows_of(rows))


def rows_of(rows: dict[str, list[dict[str, Any]]]) -> dict[str, list[dict[str, Any]]]:
    """What is kept: every decision once, numbers with four digits."""
    short = {name: part for name, part in rows.items() if name not in ("all published", "published, within reach")}
    return {
        name: [{key: float(f"{v:.4g}") if isinstance(v, float) else v for key, v in row.items()} for row in part]
        for name, part in short.items()
    }


def show(found: dict[str, dict[str, Any]]) -> None:
    table = Table(title="Decisions at places that were not run; in brackets the simplest rule")
    for heading in (
        "source",
        "pairs",
        "accuracy",
        "called",
        "right of those",
        "Brier",
        "rank, best confidence",
        "interval holds",
    ):
        table.add_column(heading, justify="left" if heading == "source" else "right")
    for name, one in found.items():
        table.add_row(
            name,
            str(one["pairs"]),
            _two(one, "accuracy", "rank_accuracy", 2),
            f"{one['called']:.2f}",
            _two(one, "accuracy_called", "rank_accuracy_called", 2),
            _two(one, "brier", "rank_brier", 3),
            f"{one['rank_brier_best_confidence']:.3f}" if "rank_brier_best_confidence" in one else "-",
            f"{one['interval_holds']:.2f}",
        )
    Console(width=140).print(table)


def _two(one: dict[str, Any], ours: str, rank: str, digits: int) -> str:
    return f"{one[ours]:.{digits}f} ({one[rank]:.{digits}f})" if one.get(ours) is not None else "-"


if __name__ == "__main__":
    main()
