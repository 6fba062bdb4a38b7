"""Fit: a law with its draws, which refuses what it cannot answer. Fits: those of all groups of a table."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float

from allometry import __version__
from allometry.fit.asked import check_asked
from allometry.fit.cells import is_study
from allometry.fit.criterion import LN, Criterion
from allometry.fit.diagnosis import Diagnosis
from allometry.fit.differences import interval
from allometry.fit.laws._law import Law
from allometry.fit.plain import plain
from allometry.flow import Refusal, TooFar


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Fit:
    """One law of one group. Column 0 of a sample is the estimate, the others are its draws."""

    group: str
    law: Law
    equation: str
    samples: dict[str, Float[np.ndarray, " sets"]]
    objective: float  # the criterion: a sum over points
    points: int
    range: dict[str, tuple[float, float]]  # of each variable: smallest and largest that was fitted
    reach: float
    level: float
    method: str
    findings: tuple[Refusal, ...]  # why not to trust it
    criterion: Criterion | None = None  # None: the law's own
    diagnosis: Diagnosis | None = None  # None: fitted to the draws of a study
    pinned: dict[str, float] = dataclasses.field(default_factory=dict)
    source: str = ""  # where the pinned values are from
    scatter: float = 0.0  # standard deviation of a new point around the law, in what the criterion is of
    degrees: int = 0  # that `scatter` rests on
    seen: str = ""  # hash of the data that were fitted
    data: dict[str, Float[np.ndarray, " points"]] = dataclasses.field(default_factory=dict)  # these; a saved fit has none

    @property
    def flags(self) -> tuple[str, ...]:
        return tuple(str(finding) for finding in self.findings)

    @property
    def measured_by(self) -> Criterion:
        return self.criterion or self.law.criterion

    @property
    def parameters(self) -> dict[str, dict[str, Any]]:
        """For each parameter: value, low, high, unit."""
        return {p.name: self._ends(self.samples[p.name]) | {"unit": p.unit} for p in self.law.parameters}

    @property
    def draws(self) -> pd.DataFrame:
        """One row for each draw, one column for each parameter."""
        return pd.DataFrame({name: sample[1:] for name, sample in self.samples.items()})

    def _ends(self, sample: Float[np.ndarray, " sets"]) -> dict[str, float]:
        low, high = interval(sample[1:], self.level)
        return {"value": float(sample[0]), "low": float(low), "high": float(high)}

    def predict(self, *values: float, **named: float) -> tuple[float, float, float]:
        """The loss of a new run and its interval: `predict(1e17)` for one variable, else `predict(N=1e8, D=2e9)`.

        The interval holds the doubt about the law's parameters and the scatter of points around the law (Student's t).
        Raises TooFar beyond `reach` times the largest value that was fitted, or below the smallest divided by `reach`.
        """
        given = self._given(values, named)
        return self._three(self.scattered(self.at(**given)))

    def curve(self, *values: float, **named: float) -> tuple[float, float, float]:
        """The law itself and its interval, without the scatter of runs around it."""
        return self._three(self.at(**self._given(values, named)))

    def at(self, **columns: float) -> Float[np.ndarray, " sets"]:
        """The law with its draws, at any place."""
        return np.asarray(self.law.predict(self.samples, {name: np.asarray(float(v)) for name, v in columns.items()}), float)

    def scattered(self, drawn: Float[np.ndarray, " sets"], seed: int = 0) -> Float[np.ndarray, " sets"]:
        """Draws of a new point instead of the law."""
        if not self.scatter or not self.degrees:
            return drawn
        shake = self.scatter * np.random.default_rng(seed).standard_t(self.degrees, len(drawn))
        shake[0] = 0.0
        return drawn * np.exp(shake) if self.measured_by.of == LN else drawn + shake

    def _three(self, drawn: Float[np.ndarray, " sets"]) -> tuple[float, float, float]:
        ends = self._ends(drawn)
        return ends["value"], ends["low"], ends["high"]

    def _given(self, values: tuple[float, ...], named: dict[str, float]) -> dict[str, float]:
        given = dict(zip(self.law.variables, values, strict=False)) | named
        if set(given) != set(self.law.variables) or len(values) + len(named) != len(given):
            wanted = ", ".join(f"{name}=" for name in self.law.variables)
            raise Refusal(
                f"{self.law.name} predicts from {', '.join(self.law.variables)}; got {list(given)}. Give {wanted}."
            )
        for name, value in given.items():
            self.check_reach(name, value)
        return given

    def check_reach(self, name: str, value: float) -> None:
        """Raise TooFar where a variable leaves what this fit answers for."""
        low, high = self.range[name]
        if not (np.isfinite(value) and value > 0):
            raise Refusal(f"{name} = {value:g} is no place on a law. Ask for a positive number, such as {high:.3g}.")
        if not low / self.reach / (1 + 1e-9) <= value <= high * self.reach * (1 + 1e-9):
            far = f"{value / high:.3g} times the largest" if value > high else f"{low / value:.3g} times below the smallest"
            raise TooFar(
                f"{name} = {value:.3g} is {far} run; this fit answers up to {self.reach:g} times. "
                "Add runs there, or accept the risk with reach= (--reach)."
            )

    def to_json(self) -> dict[str, Any]:
        return plain(
            {
                "family": self.group,
                "law": self.law.name,
                "equation": self.equation,
                "parameters": self.parameters,
                "objective": self.objective,
                "criterion": self.measured_by.text,
                "points": self.points,
                "delta": self.measured_by.delta,
                "method": self.method,
                "range": {name: list(ends) for name, ends in self.range.items()},
                "reach": self.reach,
                "level": self.level,
                "pinned": self.pinned,
                "source": self.source,
                "scatter": self.scatter,
                "data": self.seen,
                "diagnosis": self.diagnosis.to_json() if self.diagnosis else None,
                "flags": self.flags,
                "findings": [{"kind": type(finding).__name__, "text": str(finding)} for finding in self.findings],
            }
        )


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Fits:
    """The fits of all groups. `fits["lstm"]` is one of them."""

    fits: dict[str, Fit]
    unit: str
    notes: tuple[str, ...]
    source: pd.DataFrame

    def __getitem__(self, group: str) -> Fit:
        if group not in self.fits:
            raise Refusal(f"There is no fit of '{group}'. There are: {', '.join(self.fits)}.")
        return self.fits[group]

    def __iter__(self) -> Iterator[Fit]:
        return iter(self.fits.values())

    def __len__(self) -> int:
        return len(self.fits)

    def reaching(self, reach: float) -> "Fits":
        """The same fits, that answer up to so many times beyond their runs."""
        check_asked(reach=reach)
        return dataclasses.replace(
            self, fits={name: dataclasses.replace(fit, reach=reach) for name, fit in self.fits.items()}
        )

    def study(self) -> pd.DataFrame:
        """The study's table that was fitted; refused when it was another kind of table."""
        if not is_study(self.source):
            raise Refusal(
                "These fits were made from a plain table of runs, which has no budgets, sizes and seeds to compare. "
                "Give compare the table of a study (docs/answer.md)."
            )
        return self.source

    def predict(self, *values: float, **named: float) -> pd.DataFrame:
        """One row for each group: loss, low, high. Raises TooFar beyond the reach."""
        return pd.DataFrame(
            [
                dict(zip(("family", "loss", "low", "high"), (fit.group, *fit.predict(*values, **named)), strict=True))
                for fit in self
            ]
        )

    @property
    def table(self) -> pd.DataFrame:
        """One row for each parameter of each group."""
        return pd.DataFrame(
            [
                {"family": fit.group, "law": fit.law.name, "parameter": name} | ends | {"flags": "; ".join(fit.flags)}
                for fit in self
                for name, ends in fit.parameters.items()
            ]
        )

    def to_json(self) -> dict[str, Any]:
        made = {"version": __version__, "draws": max((len(fit.draws) for fit in self), default=0)}
        return made | {"unit": self.unit, "notes": list(self.notes), "fits": [fit.to_json() for fit in self]}

    def save(self, path: str | Path) -> Path:
        """Write everything, draws included, as JSON; `allometry.fit.saved.load_fits` reads it."""
        from allometry.fit.saved import write

        return write(self, Path(path))
