"""How far a study is, from its plan and its store."""

from collections import Counter
from pathlib import Path
from typing import Any

from allometry.flow import Refusal
from allometry.record.store import Folder, read_json

EXPERIMENT = "experiment.json"


def is_experiment(folder: Path) -> bool:
    """Whether a folder holds an experiment: a fixed list of arms, and no plan of a comparison."""
    return (folder / EXPERIMENT).exists()


def read_experiment(folder: Path) -> dict[str, Any]:
    """What an experiment's folder says of it; what is damaged is refused with its name."""
    path = folder / EXPERIMENT
    if not path.exists():
        raise Refusal(
            f"{folder} holds no experiment: there is no {EXPERIMENT}. Make one with: allometry run FILE --out {folder}"
        )
    found = read_json(path)
    arms = found.get("arms") if isinstance(found, dict) else None
    needed = {"name", "line", "panel", "chance", "steps", "runs"}
    if not isinstance(arms, list) or not all(isinstance(arm, dict) and needed <= set(arm) for arm in arms):
        raise Refusal(f"{path} is no experiment of this version. The same `allometry run` again writes it anew.")
    return found


def status(folder: Path) -> dict[str, Any]:
    """Counts of runs per family (or arm) and stage: planned, done, diverged, failed, begun; and the study's seconds."""
    store = Folder(folder)
    if is_experiment(folder):
        arms = read_experiment(folder)["arms"]
        planned = Counter({(arm["name"], "score"): len(arm["runs"]) for arm in arms})
        runs = [(run_id, (arm["name"], "score")) for arm in arms for run_id in arm["runs"]]
    else:
        planned = _planned(folder)
        runs = [(run_id, _family_and_stage(store.asked(run_id)["labels"])) for run_id in store.run_ids()]
    ended: Counter[tuple[str, str, str]] = Counter()
    for run_id, kind in runs:
        end = store.end(run_id)
        if end or store.begun(run_id):
            ended[*kind, end.status if end else "begun"] += 1
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


def _planned(folder: Path) -> Counter[tuple[str, str]]:
    if not (folder / "plan.json").exists():
        parts = sorted(str(path.parent) for name in ("plan.json", EXPERIMENT) for path in folder.glob(f"*/{name}"))
        hint = f"Its parts are studies: {', '.join(parts)}" if parts else f"Make one with: allometry compare --out {folder}"
        raise Refusal(f"{folder} holds no study: there is no plan.json. {hint}")
    planned: Counter[tuple[str, str]] = Counter()
    for cell in read_json(folder / "plan.json")["cells"]:
        stage = cell["stage"] if cell["stage"] in ("score", "transfer") else "tune"
        planned[cell["family"].rsplit(":", 1)[-1], stage] += cell["rates"] * len(cell["seeds"])
    return planned


def _family_and_stage(labels: dict[str, Any]) -> tuple[str, str]:
    return labels["family"], labels["stage"]
