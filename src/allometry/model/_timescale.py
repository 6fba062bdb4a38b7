"""Priors over time scales, and the links from a time scale to the parameter of a gate.

A gate that keeps a share k of the state at every step forgets it as exp(-t / T), and with k = 1 - 1/T (Tallec and Ollivier 2018,
arXiv:1804.11188, section 2) T is the unit's time scale in steps. Every published initialisation of such a gate's bias is a prior
over T. A prior is its quantile function, (u, t_min, t_max) -> T with u uniform in (0, 1), so that a user's own is a function.
"""

import math
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from allometry.flow import Refusal

Quantiles = Callable[[Float[Tensor, " units"], float, float], Float[Tensor, " units"]]


def uniform(u: Float[Tensor, " units"], t_min: float, t_max: float) -> Float[Tensor, " units"]:
    """T uniform on [t_min, t_max]: chrono initialisation (Tallec and Ollivier 2018, equation 16), with t_min = 2."""
    return t_min + u * (t_max - t_min)


def log_uniform(u: Float[Tensor, " units"], t_min: float, t_max: float) -> Float[Tensor, " units"]:
    """log T uniform: the steps of S4 and Mamba (Gu and Dao 2023, arXiv:2312.00752), T about 10 to 1000 there."""
    return t_min * (t_max / t_min) ** u


def inverse(u: Float[Tensor, " units"], t_min: float, t_max: float) -> Float[Tensor, " units"]:
    """1/T uniform, so P(T > x) falls as 1/x: uniform gate initialisation (Gu et al. 2020, arXiv:1910.09890)."""
    return 1 / (1 / t_min - u * (1 / t_min - 1 / t_max))


def power(u: Float[Tensor, " units"], t_min: float, t_max: float) -> Float[Tensor, " units"]:
    """P(T > x) falls as x^-0.56: the tail of Mahto et al. 2021 (arXiv:2009.12727), whose inverse gamma law has that shape."""
    low, high = t_min**-TAIL, t_max**-TAIL
    return (low - u * (low - high)) ** (-1 / TAIL)


def heavy(u: Float[Tensor, " units"], t_min: float, t_max: float) -> Float[Tensor, " units"]:
    """P(T = 1 + k) proportional to 1 / (k log(k + 1)^2) on whole numbers: for unknown time scales, and t_max may be infinite.

    Footnote 7 of Tallec and Ollivier, whose bias log k is that of T = 1 + k. P(T > x) falls as 1 / log x, so slowly that one T
    in a hundred lies beyond 10^13. Past `TABLE` the sum is taken for its integral.
    """
    k = torch.arange(math.ceil(t_min) - 1, math.floor(min(t_max - 1, TABLE)) + 1, dtype=torch.float64)
    below = (1 / (k * torch.log1p(k) ** 2)).cumsum(0)
    start, end = 1 / math.log1p(TABLE), 1 / math.log(t_max)
    place = u * (below[-1] + max(start - end, 0.0))
    beyond = torch.exp(1 / (start - (place - below[-1])).clamp_min(1 / LARGEST))
    return torch.where(place < below[-1], 1 + k[torch.searchsorted(below, place).clamp_max(len(k) - 1)], beyond.floor())


TABLE = 1 << 16  # whole numbers that are added up one by one
TAIL = 0.56
LARGEST = 700.0  # of log T: what a double holds
PRIORS: dict[str, Quantiles] = {
    "uniform": uniform,
    "log_uniform": log_uniform,
    "inverse": inverse,
    "power": power,
    "heavy": heavy,
}


def draw(
    units: int,
    t_max: float,
    t_min: float = 2.0,
    prior: str | Quantiles = "uniform",
    generator: torch.Generator | None = None,
) -> Float[Tensor, " units"]:
    """Time scales of so many units, in steps, float64. Raises Refusal for a range or a prior that is none."""
    if isinstance(prior, str) and prior not in PRIORS:
        raise Refusal(f"There is no prior of time scales {prior!r}. Choose one of {', '.join(PRIORS)}.")
    if not t_min > 1:
        raise Refusal(
            f"t_min {t_min:g} is no time scale of a gate: at 1 it keeps nothing. Choose one above 1, 2 as the paper."
        )
    if not t_max >= t_min:
        raise Refusal(f"t_max {t_max:g} is below t_min {t_min:g}. Choose the longest time, in steps, that matters.")
    if math.isinf(t_max) and prior in PRIORS and prior != "heavy":
        raise Refusal(f"The prior {prior!r} needs a finite t_max. Without one, use prior='heavy'.")
    quantiles = PRIORS[prior] if isinstance(prior, str) else prior
    scales = quantiles(torch.rand(units, dtype=torch.float64, generator=generator), t_min, t_max)
    return scales.clamp(t_min, t_max)  # what rounding takes beyond the ends


def keep_bias(scale: Float[Tensor, " units"]) -> Float[Tensor, " units"]:
    """b with sigmoid(b) = 1 - 1/T, of a gate that keeps; a gate that lets in has -b, and so has the inverse softplus of a step."""
    return torch.log(scale - 1)


def scale_of(keep_bias: Float[Tensor, "*units"]) -> Float[Tensor, "*units"]:
    """T of `keep_bias`'s b."""
    return 1 + torch.exp(keep_bias)
