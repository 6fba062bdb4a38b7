"""A made-up study for the tests of the report: known laws with noise, and everything that can be missing or hostile."""

import math
import random
from typing import Any

HOSTILE = "<script>alert(1)</script>"
FAMILIES = ["transformer", "lstm", "performer", HOSTILE]
BUDGETS = [1e12, 4e12, 1.6e13, 6.4e13]
_SCALE = {"transformer": 1.0, "lstm": 1.02, "performer": 1.035, HOSTILE: 1.12}
_SLOPE = {"transformer": 0.060, "lstm": 0.050, "performer": 0.058, HOSTILE: 0.045}
_RATES = [3e-4, 1e-3, 3e-3, 1e-2]


def frontier_loss(family: str, budget: float) -> float:
    """The law that the made-up study follows: bits per byte at a budget."""
    return 0.75 + 1.25 * _SCALE[family] * (budget / 1e12) ** -_SLOPE[family]


def best_size(family: str, budget: float) -> float:
    """The size at which a family is best; the hostile one is best beyond all sizes that were run."""
    return 1.1e5 * (budget / 1e12) ** 0.5 * (40 if family == HOSTILE else 1)


def run_rows(seeds: int = 2, sizes: int = 3, rates: int = 4) -> list[dict[str, Any]]:
    """A row for each run: scored ones, tuning ones, one that diverged."""
    chance = random.Random(0)
    rows: list[dict[str, Any]] = []
    for family in FAMILIES:
        for budget in BUDGETS:
            for size in range(1, sizes + 1):
                n = 1.1e5 * (budget / 1e12) ** 0.5 * 3.0 ** (size - (sizes + 1) / 2)
                for seed in range(seeds):
                    rows.append(_row(chance, family, budget, size, n, 10 + seed, 3e-3, "score"))
                if size == 2:
                    rows += [_row(chance, family, budget, size, n, 1, rate, "tune") for rate in _RATES[:rates]]
    lost = next(row for row in rows if row["stage"] == "tune" and row["rate"] == _RATES[rates - 1])
    lost |= {"status": "diverged", "reason": "loss is not finite at step 41", "loss": math.nan, "bpb": math.nan}
    kept = next(row for row in rows if row["family"] == "lstm" and row["stage"] == "score")
    kept |= {"status": "diverged", "reason": "loss is not finite at step 7", "loss": math.nan, "bpb": math.nan}
    return rows


def _row(
    chance: random.Random, family: str, budget: float, size: int, n: float, seed: int, rate: float, stage: str
) -> dict[str, Any]:
    away = math.log(n / best_size(family, budget))
    tuned = 0.02 * math.log10(rate / 3e-3) ** 2 if stage == "tune" else 0.0
    bpb = frontier_loss(family, budget) * (1 + 0.012 * away**2 + tuned) * math.exp(chance.gauss(0, 0.004))
    return {
        "run": f"{len(family):02d}{chance.getrandbits(56):014x}",
        "stage": stage,
        "family": family,
        "size": size,
        "seed": seed,
        "budget": budget,
        "rate": rate,
        "batch": 16,
        "steps": max(300, int(budget / (6 * n) / 4096)),
        "N": n,
        "N_all": n + 65536,
        "D": budget / (6 * n),
        "C": budget * chance.uniform(0.98, 1.0),
        "C_non_embedding": budget * 0.9,
        "loss": bpb * math.log(2),
        "bpb": bpb,
        "seconds": budget / 2e11 * (2.2 if family == "lstm" else 1.0) * chance.uniform(0.95, 1.05),
        "memory": 3e8 + 40 * n,
        "tokens_per_second": 2e5 / (n / 1e5),
        "status": "done",
        "reason": "",
        "epochs": 0.4,
    }


def bundle(**sizes: int) -> dict[str, Any]:
    """The whole study, all keys filled."""
    rows = run_rows(**sizes)
    return {
        "answer": answer(),
        "runs": rows,
        "learning_curves": {row["run"]: _curve(row) for row in rows},
        "positions": {
            family: {
                "size": 2,
                "loss": [2.0 * _SCALE[family] + 3 / (i + 1) ** 0.6 for i in range(256)],
                "reach": [math.exp(-lag / (20 * _SCALE[family])) for lag in range(256)],
            }
            for family in FAMILIES
        },
        "costs": [_cost(family, i) for i, family in enumerate(FAMILIES)],
        "baselines": [
            {"name": "5-gram with back-off", "bits_per_byte": 1.93, "note": "Kneser-Ney, trained on the same bytes"},
            {"name": "xz", "bits_per_byte": 2.61, "note": "level 9, primed with the training part"},
            {"name": "uniform", "bits_per_byte": None, "note": "not asked for"},
        ],
        "study": _study(),
    }


def edge_bundle() -> dict[str, Any]:
    """One family, one budget, most things empty: what a study looks like that was stopped early."""
    rows = [
        row for row in run_rows() if row["family"] == "transformer" and row["budget"] == BUDGETS[0] and row["size"] == 1
    ][:1]
    return {"answer": {"families": ["transformer"], "budgets": [1e12], "frontier": []}, "runs": rows, "study": {}}


def _curve(row: dict[str, Any]) -> dict[str, list[float]]:
    steps = [i / 400 for i in range(1, 401)]
    final = row["loss"] if row["loss"] == row["loss"] else math.nan
    return {
        "tokens": [row["D"] * step for step in steps],
        "flops": [row["C"] * step for step in steps],
        "loss": [final * (1 + 0.35 * (step**-0.25 - 1)) + 0.02 * math.sin(37 * step) for step in steps],
    }


def _cost(family: str, i: int) -> dict[str, Any]:
    mixer = "attention" if family == "transformer" else "recurrence" if family == "lstm" else "kernel attention"
    parts = {mixer: 3.1e5 + 4e4 * i, "channel mixer": 5.2e5, "output": 6.5e4, "norms": 0.0}
    return {
        "family": family,
        "size": 2,
        "N": 1.2e5,
        "N_all": 1.9e5,
        "training_flops_per_token": 3 * sum(parts.values()),
        "forward_flops_per_token": sum(parts.values()),
        "state_bytes": 262144 if family == "transformer" else 2048,
        "state_grows": family == "transformer",
        "latency_seconds": None if family == HOSTILE else 0.0021 * (i + 1),
        "tokens_per_second": 21000.0 / (i + 1),
        "memory": 4.1e8,
        "by_part": parts,
    }


def _study() -> dict[str, Any]:
    return {
        "title": "Python source code, 5 minutes on 2 cores",
        "command": "allometry compare --data stdlib --families transformer,lstm,performer --minutes 5",
        "extend_command": "allometry compare --data stdlib --families transformer,lstm,performer --minutes 30",
        "report_command": "allometry report runs/demo",
        "data": {
            "name": "stdlib",
            "bytes": 23_456_789,
            "documents": 1410,
            "held_out": {"documents": 96, "bytes": 1_204_331},
            "fingerprint": "9f2c41d07e88a1b3",
            "tokenizer": "bytes, 256 symbols",
        },
        "protocol": "frontier",
        "minutes": 5.0,
        "seconds_used": 287.4,
        "overhead": {"evaluation": 9.1, "compiling": 0.0, "start of workers": 3.2, "records": 0.8, "statistics": 2.4},
        "jobs": 2,
        "precision": "fp32",
        "device": "2 CPU cores, AVX2",
        "versions": {"python": "3.11.9", "torch": "2.13.0", "allometry": "0.1.0"},
        "revision": "08c68e8",
        "seeds": {"tune": [1], "score": [10, 11]},
        "plan": [
            {
                "budget": c,
                "family": f,
                "size": s,
                "N": 1e5 * s,
                "D": c / 6e5 / s,
                "steps": 400,
                "batch": 16,
                "seconds": c / 2e11,
            }
            for c in BUDGETS
            for f in FAMILIES
            for s in (1, 2, 3)
        ],
        "degraded": ["the span of the budgets is 64x; two seeds instead of three"],
        "more_minutes": "30 minutes would buy a third seed and a budget of 2.6×10¹⁴ FLOPs.",
        "skipped": ["performer size 3 at 6.4×10¹³, seed 12: no time was left"],
    }


def answer() -> dict[str, Any]:
    """The answer document of the made-up study."""
    pairs = [(a, b) for i, a in enumerate(FAMILIES) for b in FAMILIES[i + 1 :]]
    return {
        "protocol": "frontier",
        "level": 0.9,
        "draws": 400,
        "unit": "bits per byte",
        "headline": [
            "transformer has the lowest loss above 3.1×10¹² FLOPs (probability 0.97); below that it is not told from lstm.",
            "At 6.4×10¹³ FLOPs it is 2.4 % [1.6, 3.1] below lstm, which would need 1.9 times the compute to reach it.",
            "Distrust: one optimum lies at the edge of the sizes, and two seeds are few.",
        ],
        "families": FAMILIES,
        "budgets": BUDGETS,
        "noise": {
            "seed_ln": 0.004,
            "order_ln": 0.002,
            "documents_ln": 0.006,
            "degrees": 15,
            "measured": True,
            "text": "Seeds move a loss by 0.4 % (standard deviation, 15 degrees of freedom); half is the order of the data.",
        },
        "frontier": [_frontier(family, budget) for family in FAMILIES for budget in BUDGETS],
        "pairs": [_pair(a, b) for a, b in pairs],
        "regions": _regions(),
        "crossovers": [
            {
                "a": "transformer",
                "b": "lstm",
                "axis": "flops",
                "cost": 2.2e12,
                "low": 1.2e12,
                "high": 4.4e12,
                "probability": 0.81,
                "better_below": "lstm",
                "better_above": "transformer",
            }
        ],
        "slopes": [{"family": f, "slope": _SLOPE[f], "low": _SLOPE[f] - 0.006, "high": _SLOPE[f] + 0.005} for f in FAMILIES],
        "matched_slopes": [_matched(a, b) for a, b in pairs],
        "laws": [_law(family, law) for family in FAMILIES for law in ("power", "power_floor", "power_floor_shared")],
        "floors": {
            "shared_ln_objective": -41.2,
            "separate_ln_objective": -41.9,
            "distinguishable": False,
            "text": "This range of compute cannot tell separate floors from a shared one.",
        },
        "curves": _curves(),
        "holdout": [
            {
                "family": family,
                "law": "power_floor_shared",
                "budget": BUDGETS[-1],
                "predicted": frontier_loss(family, BUDGETS[-1]) * 1.006,
                "low": frontier_loss(family, BUDGETS[-1]) * 0.99,
                "high": frontier_loss(family, BUDGETS[-1]) * 1.02,
                "measured": frontier_loss(family, BUDGETS[-1]),
                "ln_error": 0.006,
                "compute_equivalent": None if family == HOSTILE else 0.88,
            }
            for family in FAMILIES
        ],
        "rates": [_tuned(family) for family in FAMILIES],
        "robust": {
            "counting": False,
            "rate_penalty_ln": 0.021,
            "text": "The winner stays the same when embedding and output are left out of the count; mis-tuned rates would "
            "have to cost the transformer 2.1 % to overturn it.",
        },
        "target": None,
        "warnings": [
            {"kind": "size_edge", "text": f"{HOSTILE}: the best size is the largest that was run at all 4 budgets."},
            {"kind": "rate_edge", "text": "performer: the best rate at 10¹² FLOPs is the largest that was tried."},
            {"kind": "seeds", "text": "Two seeds per cell: the seed noise has 15 degrees of freedom."},
            {"kind": "diverged", "text": "2 runs diverged (transformer, rate 0.01; lstm, seed 10)."},
        ],
    }


def _frontier(family: str, budget: float) -> dict[str, Any]:
    loss, n, interior = frontier_loss(family, budget), best_size(family, budget), family != HOSTILE
    if not interior:
        n = 3.3e5 * (budget / 1e12) ** 0.5
        loss *= 1 + 0.012 * math.log(n / best_size(family, budget)) ** 2
    return {
        "family": family,
        "budget": budget,
        "loss": loss,
        "low": loss * 0.993,
        "high": loss * 1.007,
        "N": n,
        "N_low": n / 1.6 if interior else None,
        "N_high": n * 1.5 if interior else None,
        "D": budget / 6 / n,
        "rate": 3e-3,
        "interior": interior,
        "sizes": 3,
    }


def _pair(a: str, b: str) -> dict[str, Any]:
    def at(budget: float) -> dict[str, Any]:
        gap = math.log(frontier_loss(a, budget) / frontier_loss(b, budget))
        far = b == HOSTILE
        return {
            "budget": budget,
            "ln_difference": gap,
            "low": gap - 0.007,
            "high": gap + 0.007,
            "multiplier": None if far else math.exp(20 * gap),
            "multiplier_low": None if far else math.exp(20 * (gap - 0.007)),
            "multiplier_high": None if far else math.exp(20 * (gap + 0.007)),
            "reason": "that loss lies outside the range that was run" if far else None,
        }

    levels = [at(budget) for budget in BUDGETS]
    gap = sum(level["ln_difference"] for level in levels) / len(levels)
    verdict = None if abs(gap) < 0.008 else a if gap < 0 else b
    return {
        "a": a,
        "b": b,
        "budgets": levels,
        "overall": {
            "ln_difference": gap,
            "low": gap - 0.005,
            "high": gap + 0.005,
            "verdict": verdict,
            "reason": None if verdict else "the interval holds zero",
        },
        "detectable_ln": 0.0085,
    }


def _regions() -> dict[str, list[dict[str, Any]]]:
    edges = [1e12, 3.1e12, 1.1e13, 6.4e13]
    rest = {"performer": 0.0, HOSTILE: 0.0}
    shares = [{"transformer": 0.58, "lstm": 0.42}, {"transformer": 0.93, "lstm": 0.07}, {"transformer": 1.0, "lstm": 0.0}]
    flops = [
        {
            "low_cost": low,
            "high_cost": high,
            "probability": share | rest,
            "winner": "transformer" if share["transformer"] > 0.9 else None,
            "reason": None if share["transformer"] > 0.9 else "no family wins 90 % of the draws",
        }
        for low, high, share in zip(edges, edges[1:], shares, strict=False)
    ]

    def scaled(factor: float) -> list[dict[str, Any]]:
        return [region | {k: region[k] * factor for k in ("low_cost", "high_cost")} for region in flops]

    seconds = scaled(5e-12)
    seconds[0] = seconds[0] | {"winner": "lstm", "probability": {"lstm": 0.95, "transformer": 0.05} | rest, "reason": None}
    return {
        "flops": flops,
        "flops_non_embedding": scaled(0.9),
        "parameters": scaled(1e-7),
        "parameters_all": [],
        "seconds": seconds,
        "memory": [flops[0] | {"low_cost": 3e8, "high_cost": 5e8}],
    }


def _curves() -> dict[str, list[dict[str, Any]]]:
    grid = [1e12 * 64 ** (i / 30) for i in range(31)]
    law_shift = {"power": 1.004, "power_floor": 1.0, "power_floor_shared": 0.998}

    def curve(family: str, law: str, factor: float, costs: list[float]) -> dict[str, Any]:
        loss = [frontier_loss(family, cost) * law_shift.get(law, 1.0) for cost in costs]
        band = {"low": [0.992 * value for value in loss], "high": [1.008 * value for value in loss]}
        return {"family": family, "law": law, "cost": [cost * factor for cost in costs], "loss": loss} | band

    measured = {"flops_non_embedding": 0.9, "parameters": 1e-7, "seconds": 5e-12, "memory": 1e-4}
    curves = {axis: [curve(family, "measured", factor, BUDGETS) for family in FAMILIES] for axis, factor in measured.items()}
    curves["memory"][0]["low"][0] = None
    return {"flops": [curve(family, law, 1.0, grid) for family in FAMILIES for law in law_shift]} | curves


def _law(family: str, law: str) -> dict[str, Any]:
    equations = {
        "power": "L(C) = A C^-alpha",
        "power_floor": "L(C) = E + A C^-alpha",
        "power_floor_shared": "L(C) = E + A C^-alpha, one E for all families",
    }
    parameters: dict[str, Any] = {
        "A": {"value": 1.25 * _SCALE[family] * 1e12 ** _SLOPE[family], "low": 4.1, "high": 9.3, "unit": "bits per byte"},
        "alpha": {"value": _SLOPE[family], "low": _SLOPE[family] - 0.01, "high": _SLOPE[family] + 0.01, "unit": ""},
    }
    if law != "power":
        parameters["E"] = {"value": 0.75, "low": 0.1, "high": 1.1, "unit": "bits per byte"}
    flags = ["floor at the edge of its range"] if family == HOSTILE and law == "power_floor" else []
    return {
        "family": family,
        "law": law,
        "equation": equations[law],
        "parameters": parameters,
        "objective": -41.2,
        "flags": flags,
    }


def _matched(a: str, b: str) -> dict[str, Any]:
    if HOSTILE in (a, b):
        missing = dict.fromkeys(("loss", "slope_a", "slope_b", "difference", "low", "high", "verdict"))
        return {"a": a, "b": b, "reason": "the two share no loss"} | missing
    gap = _SLOPE[a] - _SLOPE[b]
    verdict = a if gap > 0.008 else b if gap < -0.008 else None
    numbers = {
        "loss": 1.9,
        "slope_a": _SLOPE[a],
        "slope_b": _SLOPE[b],
        "difference": gap,
        "low": gap - 0.008,
        "high": gap + 0.008,
    }
    return {"a": a, "b": b, "verdict": verdict, "reason": None if verdict else "the interval holds zero"} | numbers


def _tuned(family: str) -> dict[str, Any]:
    cells = []
    for budget in BUDGETS:
        points = [
            {
                "rate": rate,
                "loss": frontier_loss(family, budget) * (1 + 0.02 * math.log10(rate / 3e-3) ** 2),
                "status": "done",
            }
            for rate in _RATES
        ]
        if family == "transformer" and budget == BUDGETS[0]:
            points[-1] |= {"loss": None, "status": "diverged"}
        interior = not (family == "performer" and budget == BUDGETS[0])
        best = 3e-3 if interior else 1e-2
        cell = {
            "budget": budget,
            "size": 2,
            "N": 1.1e5,
            "best": best,
            "low": best / 1.7,
            "high": best * 1.8 if interior else None,
        }
        cells.append(cell | {"interior": interior, "points": points})
    return {"family": family, "curvature": 0.02, "slope_N": -0.2, "slope_C": -0.1, "runs": 16, "cells": cells}
