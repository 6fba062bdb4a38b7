"""Curved: a law of any shape on its points, as a Model for the search; derivatives by the complex step.

The law is only called. What it is linear in (`coefficients`) is read off by calling it with one coefficient at 1 and the rest
at 0; derivatives in the other parameters are the imaginary part of the law at a parameter + 1e-30 i, exact to rounding
(Squire & Trapp 1998). A law that complex numbers do not pass through gets central differences.
"""

import dataclasses
import functools
import itertools
from collections.abc import Mapping
from typing import Any, no_type_check

import numpy as np
from jaxtyping import Float, Inexact

from allometry.fit.criterion import Criterion
from allometry.fit.laws._law import Law, Parameter
from allometry.fit.solve.model import Model

COMPLEX = 1e-30
STARTS = 3000  # of a search; more combinations than that are sampled


@dataclasses.dataclass(frozen=True, eq=False)
class Curved(Model):
    """Values are the free coefficients, then the other free parameters (by their logarithm where their scale is "log")."""

    law: Law
    columns: dict[str, Float[np.ndarray, " points"]]
    pinned: dict[str, float]
    criterion: Criterion
    analytic: bool  # complex numbers pass through the law

    @functools.cached_property
    def linear(self) -> tuple[str, ...]:
        return tuple(name for name in self.law.coefficients if name not in self.pinned)

    @functools.cached_property
    def others(self) -> tuple[Parameter, ...]:
        return tuple(p for p in self.law.parameters if p.name not in self.pinned and p.name not in self.law.coefficients)

    @functools.cached_property
    def terms(self) -> int:
        return len(self.linear)

    @functools.cached_property
    def bounds(self) -> tuple[Float[np.ndarray, " values"], Float[np.ndarray, " values"]]:
        low, high = [], []
        for parameter in (*(self.law.parameter(name) for name in self.linear), *self.others):
            ends = (-np.inf if parameter.low is None else parameter.low), (parameter.high or np.inf)
            if parameter.scale == "log":
                with np.errstate(divide="ignore"):
                    ends = np.log(ends[0]), np.log(ends[1])
            low.append(ends[0])
            high.append(ends[1])
        return np.array(low, dtype=float), np.array(high, dtype=float)

    @no_type_check
    def named(self, values: Inexact[np.ndarray, "*sets values"]) -> dict[str, Inexact[np.ndarray, "*sets"]]:
        """Parameters by name, in their own units."""
        found: dict[str, Any] = {name: np.full(values.shape[:-1], float(value)) for name, value in self.pinned.items()}
        found |= {name: values[..., i] for i, name in enumerate(self.linear)}
        for i, parameter in enumerate(self.others, start=self.terms):
            with np.errstate(over="ignore"):
                found[parameter.name] = np.exp(values[..., i]) if parameter.scale == "log" else values[..., i]
        return found

    @no_type_check
    def predicted(self, values: Inexact[np.ndarray, "*sets values"]) -> Inexact[np.ndarray, "*sets points"]:
        parameters = {name: value[..., None] for name, value in self.named(values).items()}
        with np.errstate(all="ignore"):
            found = self.law.predict(parameters, self.columns)
        return np.broadcast_to(found, (*values.shape[:-1], len(next(iter(self.columns.values())))))

    @no_type_check
    def base(self, others: Float[np.ndarray, "sets others"]) -> Float[np.ndarray, "sets points"]:
        return np.nan_to_num(self.predicted(np.concatenate([np.zeros((len(others), self.terms)), others], axis=1)))

    @no_type_check
    def basis(self, others: Float[np.ndarray, "sets others"]) -> Float[np.ndarray, "sets points terms"]:
        found = np.nan_to_num(self.predicted(self._units(others)))
        return np.moveaxis(found[1:] - found[:1], 0, 2)

    @no_type_check
    def _units(self, others: Float[np.ndarray, "sets others"]) -> Float[np.ndarray, "units sets values"]:
        """All coefficients at 0, then one after the other at 1."""
        units = np.concatenate([np.zeros((1, self.terms)), np.eye(self.terms)])
        shape = (len(units), len(others))
        return np.concatenate(
            [np.broadcast_to(units[:, None], (*shape, self.terms)), np.broadcast_to(others, (*shape, others.shape[1]))],
            axis=2,
        )

    @no_type_check
    def slopes(
        self, values: Float[np.ndarray, "sets values"]
    ) -> tuple[Float[np.ndarray, "sets points"], Float[np.ndarray, "sets points values"]]:
        count, terms = values.shape[1] - self.terms, self.terms
        shift = np.zeros((count, 1, values.shape[1]))
        shift[np.arange(count), 0, np.arange(terms, values.shape[1])] = 1
        exact = [values[None], self._units(values[:, terms:])]
        # All that is asked of the law goes into one call.
        if self.analytic:
            found = self.predicted(np.concatenate([*exact, values + 1j * COMPLEX * shift]))
            turned = found[terms + 2 :].imag / COMPLEX
        else:
            size = 1e-6 * np.maximum(np.abs(values), 1e-3) * shift
            found = self.predicted(np.concatenate([*exact, values + size, values - size]))
            width = 2 * size[:, :, terms:].sum(2)[:, :, None]
            turned = (found[terms + 2 : terms + 2 + count] - found[terms + 2 + count :]) / width
        found = found.real
        basis = np.nan_to_num(found[2 : terms + 2]) - np.nan_to_num(found[1:2])
        return found[0], np.nan_to_num(np.moveaxis(np.concatenate([basis, turned]), 0, 2))

    @no_type_check
    def bends(
        self, values: Float[np.ndarray, "sets values"], weights: Float[np.ndarray, "sets points"]
    ) -> Float[np.ndarray, "sets values values"]:
        sets, count = values.shape
        size = 1e-5 * np.maximum(np.abs(values), 1e-3)
        shift = np.eye(count)[:, None, :] * size  # one value at a time
        ends = np.stack([values + shift, values - shift]).reshape(-1, count)
        many = np.tile(weights, (2 * count, 1))
        up, down = np.einsum("sp,spv->sv", many, self.slopes(ends)[1]).reshape(2, count, sets, count)
        found = np.moveaxis((up - down) / (2 * size.T[:, :, None]), 0, 1)
        return (found + found.transpose(0, 2, 1)) / 2

    def starts(
        self, observed: Float[np.ndarray, " points"] | None = None, seed: int = 0
    ) -> Float[np.ndarray, "starts others"]:
        """Where the law says to begin, or combinations of starting values; in the coordinates of the search."""
        begun = self.law.begin(self.columns, observed) if observed is not None else None
        if begun and self.others:
            return np.stack([np.log(begun[p.name]) if p.scale == "log" else begun[p.name] for p in self.others], axis=1)
        axes = [self._axis(parameter) for parameter in self.others]
        if not axes:
            return np.zeros((1, 0))
        total = int(np.prod([len(axis) for axis in axes]))
        if total <= STARTS:
            return np.array(list(itertools.product(*axes)))
        generator = np.random.default_rng(seed)
        return np.stack([generator.choice(axis, STARTS) for axis in axes], axis=1)

    def _axis(self, parameter: Parameter) -> Float[np.ndarray, " values"]:
        start = np.array(parameter.start, dtype=float)
        if parameter.data:
            start = np.quantile(self.columns[parameter.data], start)
        if not len(start):
            if parameter.low and parameter.high:
                start = np.geomspace(max(parameter.low, 0.01), min(parameter.high, 4.0), 10)
            else:
                start = np.array([0.01, 0.1, 1.0, 10.0])
        return np.log(start) if parameter.scale == "log" else start


def curved(
    law: Law, columns: Mapping[str, Float[np.ndarray, " points"]], pinned: Mapping[str, float], criterion: Criterion
) -> Curved:
    """The law on these points, with some parameters pinned; checks how derivatives can be had."""
    found = Curved(law=law, columns=dict(columns), pinned=dict(pinned), criterion=criterion, analytic=True)
    start = found.starts()
    values = np.concatenate([np.ones((1, found.terms)), start[len(start) // 2][None] * 1.01], axis=1)
    try:
        exact = found.slopes(values)[1]
        finite = dataclasses.replace(found, analytic=False).slopes(values)[1]
        analytic = bool(np.allclose(exact, finite, rtol=1e-3, atol=1e-4 * float(np.abs(finite).max(initial=0.0))))
    except (TypeError, ValueError):
        analytic = False
    return dataclasses.replace(found, analytic=analytic)
