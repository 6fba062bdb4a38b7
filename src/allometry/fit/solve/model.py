"""Model: what the search needs of a law on its points; Solution: what it finds."""

import dataclasses

import numpy as np
from jaxtyping import Float

from allometry.fit.criterion import Criterion


class Model:
    """Values are the coefficients (which the law is linear in), then the others. `Problem` and `Curved` are Models.

    Theirs are called at every step of a search, so shapes are not checked there: these are the shapes.
    """

    criterion: Criterion
    terms: int  # coefficients
    bounds: tuple[Float[np.ndarray, " values"], Float[np.ndarray, " values"]]

    def basis(self, others: Float[np.ndarray, "sets others"]) -> Float[np.ndarray, "sets points terms"]:
        """What each coefficient multiplies."""
        raise NotImplementedError

    def base(self, others: Float[np.ndarray, "sets others"]) -> Float[np.ndarray, "sets points"]:
        """The prediction where all coefficients are 0."""
        raise NotImplementedError

    def predicted(self, values: Float[np.ndarray, "sets values"]) -> Float[np.ndarray, "sets points"]:
        raise NotImplementedError

    def slopes(
        self, values: Float[np.ndarray, "sets values"]
    ) -> tuple[Float[np.ndarray, "sets points"], Float[np.ndarray, "sets points values"]]:
        """The prediction and its derivatives."""
        raise NotImplementedError

    def bends(
        self, values: Float[np.ndarray, "sets values"], weights: Float[np.ndarray, "sets points"]
    ) -> Float[np.ndarray, "sets values values"]:
        """The weighted sum over points of the second derivatives of the prediction."""
        raise NotImplementedError


@dataclasses.dataclass(frozen=True, eq=False)
class Solution:
    """One row for each data set."""

    coefficients: Float[np.ndarray, "sets terms"]
    exponents: Float[np.ndarray, "sets others"]  # and whatever else the law is not linear in
    objective: Float[np.ndarray, " sets"]  # the criterion

    @property
    def values(self) -> Float[np.ndarray, "sets values"]:
        return np.concatenate([self.coefficients, self.exponents], axis=1)

    @property
    def converged(self) -> bool:
        return bool(np.isfinite(self.objective).all())
