"""How far a study is, from its plan and its store."""

from collections import Counter
from pathlib import Path
from typing import Any

from allometry.flow import Refusal
from allometry.record.store import Folder, read_json


def status(folder: Path) -> dict[str, Any]:
    """Counts of runs per family and stage: planned, done, diverged, failed, begun; and the study's seconds."""
    if not (folder / "plan.json").exists():
        raise Refusal(f"{folder} holds no study: there is no plan.json. Make one with: allometry compare --out {folder}")
    plan, store = read_json(folder / "plan.json"), Folder(folder)
    planned: Counter[tuple[str, str]] = Counter()
    for cell in plan["cells"]:
        family, stage = (
            cell["family"].rsplit(":", 1)[-1],
            cell["stage"] if cell["stage"] in ("score", "transfer") else "tune",
        )
        planned[family, stage] += cell["rates"] * len(cell["seeds"])
    ended: Counter[tuple[str, str, str]] = Counter()
    for run_id in store.run_ids():
        labels, end = store.asked(run_id)["labels"], store.end(run_id)
        ended[labels["family"], labels["stage"], end.status if end else "begun"] += 1
    rows = [
        {"family": family, "stage": stage, "planned": runs}
        | {kind: ended[family, stage, kind] for kind in ("done", "diverged", "failed", "begun")}
        for (family, stage), runs in planned.items()
    ]
    seconds = read_json(folder / "clock.json")["seconds"] if (folder / "clock.json").exists() else 0.0
    finished = sum(count for (_, _, kind), count in ended.items() if kind != "begun")
    text = f"{finished} of {sum(planned.values())} planned runs ended; {seconds / 60:.1f} minutes used."
    return {
        "folder": str(folder),
        "families": rows,
        "seconds": seconds,
        "planned": sum(planned.values()),
        "ended": finished,
        "text": text,
    }
