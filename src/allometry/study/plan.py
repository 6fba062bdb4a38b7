"""The plan of a study: its cells with their price, frozen in plan.json at the first start."""

import dataclasses
from pathlib import Path
from typing import Any

from allometry.flow import Refusal
from allometry.record.store import read_json, write_json
from allometry.study.design import Cell, Prices
from allometry.study.price import price_from_json
from allometry.study.request import Request

FORMAT = 1


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plan:
    """All that was decided before anything trained."""

    request: Request
    data: str  # fingerprint of the corpus
    vocab: int
    length: int
    precision: str
    device: str
    jobs: int
    families: tuple[str, ...]  # those that the time carries, of those asked
    budgets: tuple[float, ...]
    seeds: int
    sizes: int
    stride: int
    cells: tuple[Cell, ...]
    prices: Prices
    seconds: float  # predicted wall time of all cells
    architectures: dict[str, str] = dataclasses.field(default_factory=dict)  # stored names of the families' types
    labelled: dict[str, str] = dataclasses.field(default_factory=dict)  # fingerprints of the labelled sets
    degraded: tuple[str, ...] = ()
    more_minutes: str = ""

    @property
    def runs(self) -> int:
        return sum(cell.runs for cell in self.cells)

    @property
    def flops(self) -> float:
        return sum(cell.runs * cell.C for cell in self.cells)

    def to_json(self) -> dict[str, Any]:
        own = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return own | {
            "format": FORMAT,
            "request": {k: v for k, v in self.request.to_json().items() if k != "is"},
            "question": self.request.question,
            "cells": [dataclasses.asdict(cell) for cell in self.cells],
            "prices": [price.to_json() for price in self.prices.values()],
        }


def write_plan(folder: Path, plan: Plan) -> None:
    write_json(folder / "plan.json", plan.to_json())


def read_plan(folder: Path) -> Plan | None:
    """The plan of a study's folder, None where there is none yet; a damaged one is refused with its name."""
    path = folder / "plan.json"
    if not path.exists():
        return None
    content = read_json(path)
    try:
        content.setdefault("labelled", {})  # plans before it was stored
        fields = {f.name: content[f.name] for f in dataclasses.fields(Plan)}
        request = {k: tuple(v) if isinstance(v, list) else v for k, v in content["request"].items()}
        prices = [price_from_json(price) for price in content["prices"]]
        return Plan(
            **fields
            | {name: tuple(content[name]) for name in ("families", "budgets", "degraded")}
            | {
                "request": Request(**request),
                "cells": tuple(Cell(**cell | {"seeds": tuple(cell["seeds"])}) for cell in content["cells"]),
                "prices": {(price.family, price.size): price for price in prices},
            }
        )
    except (KeyError, TypeError) as error:
        raise Refusal(f"{path} is not a plan of this version ({error}). Choose another folder with --out.") from error
