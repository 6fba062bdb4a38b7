"""A power law that changes its slope, smoothly, up to three times (Caballero et al., 2022, arXiv:2210.14891)."""

import functools
from collections.abc import Mapping
from typing import ClassVar

import numpy as np
from jaxtyping import Float, Inexact

from allometry.fit.laws._law import Law, Parameter

QUANTILES = (0.1, 0.3, 0.5, 0.7, 0.9)  # of the data: where breaks are looked for first


class BrokenPower(Law):
    """`L = a + b C^-c0 * product over breaks i of (1 + (C / d_i)^(1 / f_i))^(-c_i f_i)`.

    d_i is the place of a break, f_i its softness, c_i the change of slope there. Many local minima: look at the diagnosis.
    """

    breaks: int = 1  # 1 to 3

    variables: ClassVar[tuple[str, ...]] = ("C",)
    coefficients: ClassVar[tuple[str, ...]] = ("a", "b")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.breaks not in (1, 2, 3):
            raise ValueError(f"BrokenPower(breaks={self.breaks}) is not one of 1, 2, 3. Choose one of them.")

    @property
    def equation(self) -> str:  # type: ignore[override]
        factors = "".join(f" (1 + (C/d{i})^(1/f{i}))^(-c{i} f{i})" for i in range(1, self.breaks + 1))
        return "L = a + b C^-c0" + factors

    @functools.cached_property
    def parameters(self) -> tuple[Parameter, ...]:  # type: ignore[override]
        found = [
            Parameter(name="a", unit="loss"),
            Parameter(name="b", unit="loss x FLOPs^c0"),
            Parameter(name="c0", unit="", low=-2.0, high=8.0, start=(0.0, 0.03, 0.1, 0.3, 0.6, 1.0)),
        ]
        for i in range(1, self.breaks + 1):
            found += [
                Parameter(name=f"c{i}", unit="", low=-8.0, high=8.0, start=(-0.3, 0.1, 0.3, 1.0)),
                Parameter(name=f"d{i}", unit="FLOPs", low=1e-30, scale="log", start=QUANTILES, data="C"),
                Parameter(name=f"f{i}", unit="", low=0.03, high=4.0, scale="log", start=(0.1, 0.3, 1.0)),
            ]
        return tuple(found)

    def predict(
        self,
        parameters: Mapping[str, float | Inexact[np.ndarray, "..."]],
        columns: Mapping[str, float | Float[np.ndarray, "..."]],
    ) -> Inexact[np.ndarray, "..."]:
        at = {name: np.asarray(parameters[name]) for name in self.names}
        x = np.log(np.asarray(columns["C"], dtype=float))
        power = -at["c0"] * x
        for i in range(1, self.breaks + 1):
            f = at[f"f{i}"]
            power = power - at[f"c{i}"] * f * _softplus((x - np.log(at[f"d{i}"])) / f)
        return np.asarray(at["a"] + at["b"] * np.exp(power))


def _softplus(z: Inexact[np.ndarray, "..."]) -> Inexact[np.ndarray, "..."]:
    """ln(1 + e^z) without overflow, for complex numbers near the real axis too."""
    right = z.real > 0
    return np.where(right, z, 0) + np.log1p(np.exp(np.where(right, -z, z)))
