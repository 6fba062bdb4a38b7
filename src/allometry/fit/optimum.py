"""The compute-optimal split of a Chinchilla law, and its inverse queries, with intervals from the draws of the fit.

    G = (alpha A / (beta B))^(1 / (alpha + beta)),  N* = G (C/6)^(beta / (alpha + beta)),  D* = (C/6) / N*

under C = 6 N D (Hoffmann et al., 2022). The exponent of N* in C is beta / (alpha + beta).
"""

# ruff: noqa: N803, N806 - N, D and C are the letters of the field

import dataclasses
from typing import Any

import numpy as np
from jaxtyping import Float

from allometry.fit.differences import three
from allometry.fit.fits import Fit
from allometry.fit.plain import plain
from allometry.flow import Refusal

Three = tuple[float, float, float]  # value, low, high


@dataclasses.dataclass(frozen=True, kw_only=True)
class Split:
    """What to train with C FLOPs. Each quantity is (value, low, high)."""

    C: Three
    N: Three
    D: Three
    loss: Three  # of a new run
    exponent: Three  # of N* in C

    def to_json(self) -> dict[str, Any]:
        return plain({name: list(value) for name, value in dataclasses.asdict(self).items()})


def split(fit: Fit, C: float) -> Split:
    """N, D and loss at C FLOPs. Raises TooFar where N* or D* is beyond the reach of the fit."""
    if not (np.isfinite(C) and C > 0):
        raise Refusal(f"C = {C:g} is no number of FLOPs. Ask for a positive one, such as 1e21.")
    found = _split(fit, np.full(len(_draws(fit)["E"]), float(C)))
    fit.check_reach("N", found.N[0])
    fit.check_reach("D", found.D[0])
    return found


def compute_for(fit: Fit, loss: float) -> Split:
    """The fewest FLOPs that reach a loss, and how to split them. Infinite where the floor of a draw lies above the loss."""
    at = _draws(fit)
    check_loss(loss)
    C = least_compute(fit, np.full(len(at["E"]), float(loss)))
    if not np.isfinite(C[0]):
        raise Refusal(
            f"A loss of {loss:g} is below the floor E = {at['E'][0]:.4g} of this fit: no compute reaches it. "
            "Ask for a higher loss, or run larger budgets to know the floor better."
        )
    found = _split(fit, C)
    fit.check_reach("N", found.N[0])
    fit.check_reach("D", found.D[0])
    return found


def check_loss(loss: float) -> None:
    if not (np.isfinite(loss) and loss > 0):
        raise Refusal(f"loss = {loss:g} is no loss. Ask for a positive number.")


def inverse(fit: Fit, loss: Float[np.ndarray, " sets"]) -> Float[np.ndarray, " sets"]:
    """The FLOPs at which a law L = A C^-alpha, with a floor or without, reaches a loss; infinite at or below its floor."""
    at = fit.samples
    above = loss - at.get("E", np.zeros(len(loss)))
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        return np.where(above > 0, (at["A"] / np.maximum(above, 1e-300)) ** (1 / at["alpha"]), np.inf)


def least_compute(fit: Fit, loss: Float[np.ndarray, " sets"]) -> Float[np.ndarray, " sets"]:
    """The fewest FLOPs at which each draw of a law reaches a loss: of C, or of N and D at their best split."""
    if fit.law.variables == ("C",):
        return inverse(fit, loss)
    at = _draws(fit)
    G, power = _balance(at)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        scale = at["A"] * G ** -at["alpha"] + at["B"] * G ** at["beta"]
        share = (loss - at["E"]) / scale
        return np.where(share > 0, 6 * np.maximum(share, 1e-300) ** (-1 / (at["alpha"] * power)), np.inf)


def best_loss(fit: Fit, C: float) -> Float[np.ndarray, " sets"]:
    """The loss that each draw of a law gives at C FLOPs: of C, or of N and D at their best split. Raises TooFar."""
    if fit.law.variables == ("C",):
        fit.check_reach("C", C)
        return np.asarray(fit.at(C=C))
    split(fit, C)  # refuses what is beyond the reach
    return _spent(_draws(fit), np.full(len(fit.samples["E"]), float(C)))[2]


def flops_for(fit: Fit, loss: float) -> Three:
    """The FLOPs with which a law of C reaches a loss, L = A C^-alpha with a floor or without. Infinite below a draw's floor."""
    if fit.law.variables != ("C",) or set(fit.law.names) - {"E"} != {"A", "alpha"}:
        raise Refusal(
            f"The compute for a loss is known for power, power_floor and chinchilla; this fit is of {fit.law.name}."
        )
    check_loss(loss)
    C = inverse(fit, np.full(len(fit.samples["A"]), float(loss)))
    if not np.isfinite(C[0]) and "E" in fit.samples:
        raise Refusal(
            f"A loss of {loss:g} is at or below the floor E = {fit.samples['E'][0]:.4g} of {fit.group}: no compute reaches it. "
            "Ask for a higher loss, or run larger budgets to know the floor better."
        )
    fit.check_reach("C", float(C[0]))
    return three(C, fit.level, 0.0)


def tokens_for(fit: Fit, N: float, loss: float) -> Three:
    """The tokens with which N parameters reach a loss. An end is infinite where no number of tokens does."""
    at = _draws(fit)
    check_loss(loss)
    fit.check_reach("N", N)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        left = loss - at["E"] - at["A"] * N ** -at["alpha"]
        D = np.where(left > 0, (at["B"] / np.maximum(left, 1e-300)) ** (1 / at["beta"]), np.inf)
    if not np.isfinite(D[0]):
        raise Refusal(
            f"A loss of {loss:g} is at or below what {N:.3g} parameters reach with any number of tokens, "
            f"{loss - left[0]:.4g}. Ask for a higher loss, or with more parameters."
        )
    fit.check_reach("D", float(D[0]))
    return three(D, fit.level, 0.0)


def _draws(fit: Fit) -> dict[str, Float[np.ndarray, " sets"]]:
    if set(fit.law.names) != {"E", "A", "B", "alpha", "beta"}:
        raise Refusal(
            f"The split of compute needs a law of N and D, L = E + A N^-alpha + B D^-beta; this fit is of {fit.law.name}. "
            "Fit law='chinchilla'."
        )
    return fit.samples


def _balance(at: dict[str, Float[np.ndarray, " sets"]]) -> tuple[Float[np.ndarray, " sets"], Float[np.ndarray, " sets"]]:
    with np.errstate(divide="ignore", invalid="ignore"):
        G = (at["alpha"] * at["A"] / (at["beta"] * at["B"])) ** (1 / (at["alpha"] + at["beta"]))
    return G, at["beta"] / (at["alpha"] + at["beta"])


def _spent(at: dict[str, Float[np.ndarray, " sets"]], C: Float[np.ndarray, " sets"]) -> tuple[np.ndarray, ...]:
    """N, D and the loss at the best split of C."""
    G, power = _balance(at)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        N = G * (C / 6) ** power
        D = C / 6 / N
        return N, D, at["E"] + at["A"] * N ** -at["alpha"] + at["B"] * D ** -at["beta"]


def _split(fit: Fit, C: Float[np.ndarray, " sets"]) -> Split:
    at = _draws(fit)
    N, D, loss = _spent(at, C)
    parts = (C, N, D, fit.scattered(loss), _balance(at)[1])
    names = ("C", "N", "D", "loss", "exponent")
    return Split(**{name: three(part, fit.level, 0.0) for name, part in zip(names, parts, strict=True)})
