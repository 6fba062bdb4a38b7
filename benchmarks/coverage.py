"""Do the intervals hold the truth? Studies of known laws, simulated and put through the real functions.

    python benchmarks/coverage.py --studies 400        # about 2 minutes on one core; writes results/coverage.json

Each study has families with L = E + A N^-alpha + B D^-beta (bits per byte), 4 to 6 budgets, three sizes around the optimum,
seed noise of 0.3 to 2 % with a part shared through the data order, documents with effects of their own, and learning curves
that are parabolas below the best rate, steeper above it, and diverge beyond. Rates are chosen as a study does: tune
at the smallest budget, bracket at the largest, score at the surface's best rate on other seeds.
"""

# ruff: noqa: N803, N806, N815 - N, D and C are the letters of the field

import argparse
import dataclasses
import datetime
import json
import time
from pathlib import Path

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table

from allometry.fit.compare import compare
from allometry.fit.rates import RateSurface

LADDER = 6e4 * 2.0 ** np.arange(14)  # sizes of the dial: active non-embedding parameters
STEP = 2.5  # ratio of neighbouring learning rates
DOCUMENTS = 150


@dataclasses.dataclass(frozen=True, kw_only=True)
class Truth:
    """One family: its law, and the plane of its best learning rate."""

    name: str
    A: float
    B: float
    alpha: float
    beta: float
    rate: float  # best learning rate at N = 1e6, C = 1e14
    slope_N: float
    slope_C: float
    curvature: float
    E: float = 0.6

    def loss(self, N: np.ndarray, C: np.ndarray | float) -> np.ndarray:
        return self.E + self.A * (N / 1e6) ** -self.alpha + self.B * (C / (6 * N) / 1e7) ** -self.beta

    def best_rate(self, N: float, C: float) -> float:
        return self.rate * (N / 1e6) ** self.slope_N * (C / 1e14) ** self.slope_C

    def penalty(self, N: float, C: float, rate: float) -> float:
        """ln loss above that of the best rate; infinite where the run diverges."""
        off = np.log(rate / self.best_rate(N, C))
        if off > 2.3:
            return np.inf
        return self.curvature / 2 * off**2 * (1 + 0.5 * max(off, 0))

    def frontier(self, C: float, sizes: np.ndarray) -> float:
        """The lowest ln loss at a budget between the smallest and the largest of `sizes`."""
        return float(np.log(self.loss(np.geomspace(sizes.min(), sizes.max(), 301), C).min()))


@dataclasses.dataclass(frozen=True, kw_only=True)
class World:
    """A study that could be run: the families and how noisy they are."""

    families: tuple[Truth, ...]
    budgets: np.ndarray
    sizes: tuple[np.ndarray, ...]  # at each budget
    seed_sd: float
    order_share: float  # of the seed variance
    seeds: int  # of every cell; the cheapest cell has four more


def draw_world(generator: np.random.Generator, families: int = 4, equal: bool = False) -> World:
    """Families that differ by some percent of the loss, or not at all."""
    truths = []
    alpha, beta = generator.uniform(0.28, 0.42, 2)
    rate, slopes = np.exp(generator.normal(np.log(3e-3), 0.4)), generator.normal([-0.3, 0.0], [0.15, 0.1])
    for index in range(families):
        worse = 1.0 if equal else float(np.exp(generator.normal(0, 0.06)))
        steeper = 1.0 if equal else float(np.exp(generator.normal(0, 0.05)))
        if not equal:
            rate, slopes = np.exp(generator.normal(np.log(3e-3), 0.4)), generator.normal([-0.3, 0.0], [0.15, 0.1])
        truths.append(
            Truth(
                name=f"family_{index}",
                A=0.45 * worse,
                B=0.45 * worse,
                alpha=float(alpha) * steeper,
                beta=float(beta) * steeper,
                rate=float(rate),
                slope_N=float(slopes[0]),
                slope_C=float(slopes[1]),
                curvature=0.06,
            )
        )
    budgets = 4e12 * np.geomspace(1, generator.uniform(30, 100), generator.integers(4, 7))
    # The sizes are those of a rule of thumb, so optima are interior but not central.
    middle = [np.log(LADDER / np.sqrt(C / 60)) for C in budgets]
    sizes = tuple(LADDER[np.abs(m).argmin() + np.array([-1, 0, 1])] for m in middle)
    return World(
        families=tuple(truths),
        budgets=budgets,
        sizes=sizes,
        seed_sd=float(np.exp(generator.uniform(np.log(0.003), np.log(0.02)))),
        order_share=float(generator.uniform(0, 0.8)),
        seeds=int(generator.integers(1, 3)),
    )


class Laboratory:
    """Trains: every call is a run, with its noise."""

    def __init__(self, world: World, generator: np.random.Generator) -> None:
        self.world, self.generator = world, generator
        self.rows: list[dict[str, object]] = []
        self.documents: list[np.ndarray] = []
        self.bytes = np.exp(generator.normal(8, 0.6, DOCUMENTS))
        self.common = generator.normal(0, 0.25, DOCUMENTS)
        self.own = {truth.name: generator.normal(0, 0.03, DOCUMENTS) for truth in world.families}
        self.orders: dict[tuple[float, int], float] = {}

    def run(self, truth: Truth, stage: str, size: float, C: float, rate: float, seed: int) -> None:
        sd, share = self.world.seed_sd, self.world.order_share
        order = self.orders.setdefault((C, seed), float(self.generator.normal(0, sd * np.sqrt(share))))
        penalty = truth.penalty(size, C, rate)
        done = bool(np.isfinite(penalty))
        ln_loss = np.log(truth.loss(np.array(size), C)) + (penalty if done else 0.0) + order
        ln_loss += self.generator.normal(0, sd * np.sqrt(1 - share))
        spread = self.common + self.own[truth.name] + self.generator.normal(0, 0.02, DOCUMENTS)
        variance = 0.25**2 + 0.03**2 + 0.02**2
        nats = self.bytes * np.log(2) * np.exp(ln_loss + spread - variance / 2)
        self.documents.append(nats if done else np.full(DOCUMENTS, np.nan))
        bpb = nats.sum() / (np.log(2) * self.bytes.sum()) if done else np.nan
        row: dict[str, object] = {
            "run": str(len(self.rows)),
            "stage": stage,
            "family": truth.name,
            "size": size,
            "seed": seed,
        }
        row |= {"budget": C, "rate": rate, "steps": 1000, "N": size, "N_all": size + 65536, "D": C / 6 / size, "C": C}
        row |= {"C_non_embedding": C * size / (size + 32768), "loss": bpb * np.log(2), "bpb": bpb, "seconds": C / 2e11}
        row |= {"memory": 1e8 + 40 * size, "status": "done" if done else "diverged", "epochs": 0.5}
        self.rows.append(row)

    def tuned(self, truth: Truth) -> RateSurface:
        table = pd.DataFrame([row for row in self.rows if row["family"] == truth.name and row["stage"] == "tune"])
        return RateSurface.fit(table)

    def study(self) -> tuple[pd.DataFrame, np.ndarray, dict[str, RateSurface]]:
        """Tune at the smallest budget, bracket at the largest, score on other seeds."""
        world, surfaces = self.world, {}
        for truth in world.families:
            first, last = (world.budgets[0], world.sizes[0][1]), (world.budgets[-1], world.sizes[-1][1])
            for power in (-1.5, -0.5, 0.5, 1.5):
                self.run(truth, "tune", first[1], first[0], 3e-3 * STEP**power, 1)
            best = self.tuned(truth).best(last[1], last[0]).rate
            for power in (-1, 0, 1):
                self.run(truth, "tune", last[1], last[0], best * STEP**power, 1)
            surfaces[truth.name] = surface = self.tuned(truth)
            for level, C in enumerate(world.budgets):
                for place, size in enumerate(world.sizes[level]):
                    extra = 4 if level == 0 and place == 1 else 0
                    for seed in range(10, 10 + world.seeds + extra):
                        self.run(truth, "score", size, C, surface.best(size, C).rate, seed)
        return pd.DataFrame(self.rows), np.stack(self.documents), surfaces


def check(world: World, generator: np.random.Generator, draws: int) -> list[tuple[str, bool]]:
    """One simulated study: for each kind of interval, whether it held the truth."""
    laboratory = Laboratory(world, generator)
    table, documents, surfaces = laboratory.study()
    seed = int(generator.integers(1 << 30))
    answer = compare(table, documents, laboratory.bytes, draws=draws, seed=seed).to_json()
    truths = {truth.name: truth for truth in world.families}
    true = {
        n: np.array([t.frontier(C, s) for C, s in zip(world.budgets, world.sizes, strict=True)]) for n, t in truths.items()
    }
    held: list[tuple[str, bool]] = []

    def hold(kind: str, value: float, low: float | None, high: float | None) -> None:
        held.append((kind, (low is None or low <= value) and (high is None or value <= high)))

    for row in answer["frontier"]:
        value = true[row["family"]][np.searchsorted(world.budgets, row["budget"])]
        hold("frontier loss", float(np.exp(value)), row["low"], row["high"])
    ln_C = np.log(world.budgets)
    for pair in answer["pairs"]:
        a, b = true[pair["a"]], true[pair["b"]]
        hold("overall difference", float((a - b).mean()), pair["overall"]["low"], pair["overall"]["high"])
        for index, row in enumerate(pair["budgets"]):
            hold("difference at a budget", float(a[index] - b[index]), row["low"], row["high"])
            if row["multiplier"] is not None and a[-1] <= b[index] <= a[0]:
                value = _true_inverse(truths[pair["a"]], world, b[index]) / world.budgets[index]
                hold("multiplier", value, row["multiplier_low"], row["multiplier_high"])
    for row in answer["slopes"]:
        hold("slope", float(-np.polyfit(ln_C, true[row["family"]], 1)[0]), row["low"], row["high"])
    for name, surface in surfaces.items():
        for C, sizes in zip(world.budgets, world.sizes, strict=True):
            best = surface.best(sizes[1], C)
            hold("best rate", truths[name].best_rate(sizes[1], C), best.low, best.high)
    for row in answer["laws"]:
        if row["law"] != "power" and not any("identified" in flag or "refused" in flag for flag in row["flags"]):
            truth, found = truths[row["family"]], row["parameters"]["alpha"]
            exponent = truth.alpha * truth.beta / (truth.alpha + truth.beta)
            hold(f"exponent, {row['law']}", exponent, found["low"], found["high"])
    return held


def _true_inverse(truth: Truth, world: World, ln_loss: float) -> float:
    """FLOPs at which the family truly reaches a loss: the frontier between the budgets, its sizes moving along."""
    ln_C = np.linspace(np.log(world.budgets[0]), np.log(world.budgets[-1]), 80)
    ends = [np.interp(ln_C, np.log(world.budgets), np.log([s[i] for s in world.sizes])) for i in (0, -1)]
    curve = [
        truth.frontier(float(np.exp(x)), np.exp(np.array(pair)))
        for x, pair in zip(ln_C, zip(*ends, strict=True), strict=True)
    ]
    return float(np.exp(np.interp(-ln_loss, -np.array(curve), ln_C)))


def false_winner(world: World, generator: np.random.Generator, draws: int) -> tuple[bool, bool]:
    """Equal families: does the study call any pair different overall, or name a winner of any region?"""
    laboratory = Laboratory(world, generator)
    table, documents, _ = laboratory.study()
    answer = compare(table, documents, laboratory.bytes, draws=draws, seed=int(generator.integers(1 << 30))).to_json()
    overall = any(pair["overall"]["verdict"] for pair in answer["pairs"])
    return overall, any(region["winner"] for axis in answer["regions"].values() for region in axis)


def simulate(
    studies: int, draws: int, seed: int, families: int = 4, equal: tuple[int, ...] = (2, 4)
) -> dict[str, dict[str, float]]:
    """Shares held, and false winners, with their standard errors (studies, not intervals, count as independent)."""
    generator = np.random.default_rng(seed)
    shares: dict[str, list[float]] = {}
    wins: dict[int, list[tuple[bool, bool]]] = {number: [] for number in equal}
    for _ in range(studies):
        held = check(draw_world(generator, families), generator, draws)
        for kind in {kind for kind, _ in held}:
            shares.setdefault(kind, []).append(float(np.mean([good for name, good in held if name == kind])))
        for number, found in wins.items():
            found.append(false_winner(draw_world(generator, families=number, equal=True), generator, draws))
    result = {kind: _summary(np.array(values)) for kind, values in sorted(shares.items())}
    for number, found in wins.items():
        result[f"false winner of {number} equal families, any pair or region"] = _summary(
            np.array(found).any(1).astype(float)
        )
    return result


def _summary(values: np.ndarray) -> dict[str, float]:
    return {"share": float(values.mean()), "error": float(values.std() / np.sqrt(len(values))), "studies": len(values)}


def main() -> None:
    from _result import machine, versions  # here, as tests load this file from elsewhere

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=400)
    parser.add_argument("--draws", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    start = time.perf_counter()
    result = simulate(asked.studies, asked.draws, asked.seed)
    document = {
        "command": f"python benchmarks/coverage.py --studies {asked.studies} --draws {asked.draws} --seed {asked.seed}"
    }
    document |= {"date": str(datetime.date.today()), "machine": machine(), "versions": versions()}  # type: ignore[dict-item]
    document |= {"seconds": round(time.perf_counter() - start, 1), "level": 0.9, "results": result}  # type: ignore[dict-item]
    path = Path(__file__).parent / "results" / "coverage.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(document, indent=1) + "\n")
    table = Table(
        title=f"Coverage of 90 % intervals in {asked.studies} simulated studies (wanted: 85 to 95 %; false: at most 10 %)"
    )
    for column in ("what", "share", "standard error", "studies"):
        table.add_column(column)
    for kind, row in result.items():
        table.add_row(kind, f"{row['share']:.1%}", f"{row['error']:.1%}", str(row["studies"]))
    Console().print(table)


if __name__ == "__main__":
    main()
