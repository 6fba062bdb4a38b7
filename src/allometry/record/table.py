"""The table of runs: one row a run, for pandas, CSV and Parquet; columns as docs/answer.md has them."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from allometry.flow import End, Refusal
from allometry.record.store import Folder, guarded

COLUMNS = [
    "run",
    "stage",
    "family",
    "size",
    "seed",
    "budget",
    "rate",
    "batch",
    "steps",
    "length",
    "N",
    "N_all",
    "D",
    "C",
    "C_non_embedding",
    "loss",
    "bpb",
    "seconds",
    "memory",
    "tokens_per_second",
    "status",
    "reason",
    "epochs",
    "device",
    "precision",
]


def table(store: Folder) -> pd.DataFrame:
    """One row for each run that was trained and ended, in order of stage, budget, family, size, rate and seed."""
    rows = [
        _row(asked["run"], asked["labels"], run_id, end) for run_id, asked, end in _ended(store) if not _fine_tuned(asked)
    ]
    frame = pd.DataFrame(rows, columns=[*COLUMNS])
    return frame.sort_values(["stage", "budget", "family", "size", "rate", "seed", "run"], ignore_index=True)


TRANSFER_COLUMNS = [
    *("run", "parent", "labelled", "family", "size", "budget", "seed", "share", "rate", "steps", "batch"),
    *("status", "reason", "loss", "accuracy", "dev_loss", "dev_accuracy", "right", "seconds"),
]


def transfers(store: Folder) -> pd.DataFrame:
    """One row for each fine-tuned run that ended; `right` has a 1 for each test text that it labelled rightly, else a 0."""
    rows = []
    for run_id, asked, end in _ended(store):
        if _fine_tuned(asked):
            run, labels, found = asked["run"], asked["labels"], end.facts
            test, dev = found.get("test", {}), found.get("dev", {})
            rows.append(
                {name: labels[name] for name in ("parent", "labelled", "family", "budget", "share")}
                | {"run": run_id, "size": run["size"], "seed": run["seed"], "rate": run["recipe"]["rate"]}
                | {"steps": run["budget"]["steps"], "batch": run["budget"]["batch"]}
                | {"status": end.status, "reason": end.reason, "seconds": end.seconds}
                | {
                    "loss": test.get("loss", math.nan),
                    "accuracy": test.get("accuracy", math.nan),
                    "right": test.get("right"),
                }
                | {"dev_loss": dev.get("loss", math.nan), "dev_accuracy": dev.get("accuracy", math.nan)}
            )
    frame = pd.DataFrame(rows, columns=TRANSFER_COLUMNS)
    return frame.sort_values(["labelled", "budget", "family", "size", "seed", "rate", "run"], ignore_index=True)


def _ended(store: Folder) -> Iterator[tuple[str, dict[str, Any], End]]:
    for run_id in store.run_ids():
        end = store.end(run_id)
        if end is not None:
            yield run_id, store.asked(run_id), end


def _fine_tuned(asked: dict[str, Any]) -> bool:
    return bool(asked["labels"]["stage"] == "transfer")


def _row(run: dict[str, Any], labels: dict[str, Any], run_id: str, end: End) -> dict[str, Any]:
    facts = end.facts
    share = facts.get("steps", run["budget"]["steps"]) / run["budget"]["steps"]  # below 1 of a run that had enough
    tokens = share * labels["D"]
    return {name: labels[name] for name in ("stage", "family", "N", "N_all")} | {
        **{name: share * labels[name] for name in ("D", "C", "C_non_embedding", "epochs")},
        "run": run_id,
        "size": run["size"],
        "seed": run["seed"],
        "budget": labels["budget"],
        "rate": run["recipe"].get("rate", math.nan),
        "batch": run["budget"]["batch"],
        "steps": facts.get("steps", run["budget"]["steps"]),
        "length": run["io"].get("length") or run["io"]["source"] + run["io"]["target"],
        "loss": math.nan if end.loss is None else end.loss,
        "bpb": math.nan if end.bits_per_byte is None else end.bits_per_byte,
        "seconds": end.seconds,
        "memory": facts.get("memory_bytes", math.nan),
        "tokens_per_second": tokens / end.seconds if end.seconds > 0 and end.status == "done" else math.nan,
        "status": end.status,
        "reason": end.reason,
        "device": facts.get("device", ""),
        "precision": run.get("precision", "fp32"),
    }


def held_out(store: Folder, frame: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Nats per run and held-out document `[runs documents]`, NaN where a run has none, and bytes per document `[documents]`."""
    facts = [(end.facts if (end := store.end(run_id)) else {}) for run_id in frame["run"]]
    with_documents = [f for f in facts if f.get("document_nats")]
    if not with_documents:
        return np.full((len(frame), 0), math.nan), np.zeros(0)
    sizes = np.asarray(with_documents[0]["document_bytes"], dtype=float)
    nats = np.full((len(frame), len(sizes)), math.nan)
    for row, fact in enumerate(facts):
        if len(fact.get("document_nats") or ()) == len(sizes):
            nats[row] = fact["document_nats"]
    return nats, sizes


def write_table(frame: pd.DataFrame, path: Path) -> None:
    """Write the table as CSV, Parquet or JSON lines, by the ending of the name."""
    with guarded(path):
        if path.suffix == ".parquet":
            frame.to_parquet(path, index=False)
        elif path.suffix == ".jsonl":
            frame.to_json(path, orient="records", lines=True)
        elif path.suffix == ".csv":
            frame.to_csv(path, index=False)
        else:
            raise Refusal(f"{path} must end in .csv, .parquet or .jsonl.")


def read_table(path: Path) -> pd.DataFrame:
    """Read anybody's table of runs: CSV, Parquet or JSON lines."""
    if not path.is_file():
        raise Refusal(f"{path} is a folder, not a table." if path.is_dir() else f"There is no file {path}.")
    try:
        if path.suffix == ".parquet":
            return pd.read_parquet(path)
        if path.suffix in (".jsonl", ".ndjson"):
            return pd.read_json(path, lines=True)
        return pd.read_csv(path)
    except (ValueError, OSError, UnicodeDecodeError) as error:
        raise Refusal(f"{path} is not a table that can be read: {str(error).splitlines()[0]}") from error
