"""From a study's folder to the bundle that the page draws: the statistics, the curves, the costs and what was done."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from allometry.fit.alphas import alphas
from allometry.fit.compare import compare
from allometry.fit.transfer import downstream, to_rows
from allometry.flow import Refusal
from allometry.record.store import Folder, read_json
from allometry.record.table import held_out, table, transfers

LEVEL = 0.9  # of every interval on the page
CURVES = 60  # learning curves on the page: the best run of each family and budget first


def answer(folder: Path, *, target: float | None = None, draws: int = 1000) -> dict[str, Any]:
    """The answer (docs/answer.md) of a study's folder."""
    return _answer(Folder(folder), _runs(folder), read_json(folder / "plan.json"), target, draws)


def bundle(folder: Path, *, target: float | None = None, draws: int = 1000) -> dict[str, Any]:
    """All that the page shows."""
    store, runs, plan = Folder(folder), _runs(folder), read_json(folder / "plan.json")
    best = _best(runs)
    protocol = plan["request"].get("protocol", "frontier")
    sets = _optional(folder / "downstream.json", {})
    accuracy = downstream(transfers(store), {name: np.asarray(found["groups"]) for name, found in sets.items()}, LEVEL)
    return {
        "downstream": to_rows(accuracy, {name: found["baselines"] for name, found in sets.items()}),
        "alphas": alphas(runs, accuracy, protocol, LEVEL),
        "answer": _answer(store, runs, plan, target, draws),
        "runs": runs.to_dict("records"),
        "learning_curves": _curves(store, best[:CURVES]),
        "positions": _positions(store, best, runs),
        "costs": _costs(plan, runs),
        "baselines": _optional(folder / "baselines.json", {"baselines": []})["baselines"],
        "study": _study(folder, plan, runs),
    }


def _runs(folder: Path) -> pd.DataFrame:
    if not (folder / "plan.json").exists():
        raise Refusal(f"{folder} holds no study: there is no plan.json. Make one with: allometry compare --out {folder}")
    return table(Folder(folder))


def _answer(store: Folder, runs: pd.DataFrame, plan: dict[str, Any], target: float | None, draws: int) -> dict[str, Any]:
    nats, sizes = held_out(store, runs)
    return compare(
        runs,
        nats if len(sizes) else None,
        sizes if len(sizes) else None,
        protocol=plan["request"].get("protocol", "frontier"),
        families=[_short(family) for family in plan["families"]],
        target=target,
        draws=draws,
        level=LEVEL,
    ).to_json()


def _best(runs: pd.DataFrame) -> list[str]:
    """Ids of scored runs: the best of each family and budget, the largest budgets first; then the others."""
    scored = runs[(runs["stage"] == "score") & runs["bpb"].notna()].sort_values(["budget", "bpb"], ascending=[False, True])
    first = scored.drop_duplicates(["family", "budget"])["run"].tolist()
    return first + [run for run in scored["run"] if run not in set(first)]


def _curves(store: Folder, run_ids: list[str]) -> dict[str, dict[str, list[float]]]:
    curves = {}
    for run_id in run_ids:
        points = list(store.points(run_id))
        points = points[:: max(1, len(points) // 100)]
        columns = ("tokens", "flops", "loss")
        curves[run_id] = {name: [getattr(point, name) for point in points] for name in columns}
    return curves


def _positions(store: Folder, best: list[str], runs: pd.DataFrame) -> dict[str, Any]:
    """Held-out loss by position, bits per byte, and gradient by lag, of each family's best run at its largest budget."""
    rows = runs.set_index("run")
    positions: dict[str, Any] = {}
    for run_id in best:
        family = rows.at[run_id, "family"]
        end = store.end(run_id)
        nats = end.facts.get("position_nats") if end else None
        if family in positions or not nats:
            continue
        scale = rows.at[run_id, "bpb"] / rows.at[run_id, "loss"]
        positions[family] = {
            "size": int(rows.at[run_id, "size"]),
            "loss": [None if value is None else value * scale for value in nats],
            "reach": end.facts.get("reach") or [],
        }
    return positions


def _costs(plan: dict[str, Any], runs: pd.DataFrame) -> list[dict[str, Any]]:
    """What each family costs at its largest trained size: counted, and measured where it was."""
    prices = {(price["family"], price["size"]): price for price in plan["prices"]}
    costs = []
    for family in plan["families"]:
        own = runs[(runs["family"] == _short(family)) & (runs["stage"] == "score")]
        if own.empty:
            continue
        size = int(own["size"].max())
        price = prices[family, size]
        ran = own[own["size"] == size]
        costs.append(
            {
                "family": _short(family),
                "size": size,
                "N": price["N"],
                "N_all": price["N_all"],
                "training_flops_per_token": price["flops"],
                "forward_flops_per_token": price["flops"] / 3,
                "state_bytes": price["state_bytes"],
                "state_grows": price.get("state_grows"),
                "latency_seconds": price["latency"],
                "tokens_per_second": _median(ran["tokens_per_second"]),
                "memory": _median(ran["memory"]),
                "by_part": price["by_part"],
            }
        )
    return costs


def _study(folder: Path, plan: dict[str, Any], runs: pd.DataFrame) -> dict[str, Any]:
    clock = _optional(folder / "clock.json", {"seconds": 0.0, "parts": {}})
    data = _optional(folder / "data.json", {})
    words = _optional(folder / "commands.json", {})
    ends = [end for run in runs["run"][:1] if (end := Folder(folder).end(run))]
    facts = ends[0].facts if ends else {}
    return words | {
        "data": data,
        "protocol": plan["request"].get("protocol", "frontier"),
        "minutes": plan["request"].get("minutes"),
        "flops": plan["request"].get("flops"),
        "seconds_used": clock["seconds"],
        "overhead": overhead(clock, runs, plan["jobs"]),
        "jobs": plan["jobs"],
        "length": plan["length"],
        "precision": plan["precision"],
        "device": facts.get("device", plan["device"]),
        "versions": facts.get("versions", {}),
        "revision": facts.get("revision", ""),
        "seeds": plan["seeds"],
        "plan": plan_rows(plan),
        "degraded": list(plan["degraded"]),
        "more_minutes": plan["more_minutes"],
        "skipped": _optional(folder / "skipped.json", []),
    }


def plan_rows(plan: dict[str, Any]) -> list[dict[str, Any]]:
    """The cells of a plan as rows of a table."""
    return [
        {name: cell[name] for name in ("stage", "budget", "size", "N", "D", "steps", "batch", "seconds")}
        | {"family": _short(cell["family"]), "runs": cell["rates"] * len(cell["seeds"])}
        for cell in plan["cells"]
    ]


def overhead(clock: dict[str, Any], runs: pd.DataFrame, jobs: int) -> dict[str, float]:
    """Where the wall time went, in seconds: training steps (shared by the jobs), and everything around them."""
    training = float(runs["seconds"].sum()) / jobs
    parts = {"training steps": training} | {name: float(seconds) for name, seconds in clock["parts"].items()}
    stages = parts.pop("training stages", training)
    parts["scoring, start of runs and waiting"] = max(0.0, stages - training)
    parts["other"] = max(0.0, clock["seconds"] - sum(parts.values()))
    return parts


def _optional(path: Path, default: Any) -> Any:
    return read_json(path) if path.exists() else default


def _median(values: pd.Series) -> float | None:
    middle = float(values.median()) if values.notna().any() else math.nan
    return None if math.isnan(middle) else middle


def _short(family: str) -> str:
    return family.rsplit(":", 1)[-1]
