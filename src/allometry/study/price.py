"""Price: what one model costs, counted on the meta device and measured on the machine at hand."""

import dataclasses
import math
from typing import Any


@dataclasses.dataclass(frozen=True, kw_only=True)
class Price:
    """One family at one size, at one length, on one machine."""

    family: str
    size: int
    N: int  # active non-embedding parameters
    N_all: int
    flops: float  # training FLOPs per token
    vocabulary_flops: float  # the part of them in embedding and output layer
    state_bytes: int | None
    state_grows: bool | None  # with the length; None: the family gives no formula
    by_part: dict[str, float]  # forward FLOPs per token
    # Seconds of a training step by batch, measured with as many runs side by side as the study will have; empty: not measured.
    steps: dict[int, float] = dataclasses.field(default_factory=dict)
    tokens_per_step: int = 0  # of one sequence
    latency: float | None = None  # seconds of a forward pass of one sequence
    flops_per_second: float = 0.0  # of the nearest measured size, for sizes that were not measured

    def step_seconds(self, batch: int) -> float:
        """Seconds of a step: interpolated in log batch between measurements, in proportion to the batch beyond them."""
        if not self.steps:
            return batch * self.tokens_per_step * self.flops / self.flops_per_second if self.flops_per_second else 0.0
        known = sorted(self.steps)
        if batch >= known[-1]:
            return self.steps[known[-1]] * batch / known[-1]
        low = max((b for b in known if b <= batch), default=known[0])
        high = min(b for b in known if b >= max(batch, known[0]))
        if low == high:
            return self.steps[low]
        share = math.log(batch / low) / math.log(high / low)
        return math.exp((1 - share) * math.log(self.steps[low]) + share * math.log(self.steps[high]))

    def to_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self) | {"steps": {str(b): s for b, s in self.steps.items()}}


def counted_price(family: str, size: int, spec: Any, io: Any, counted: Any) -> Price:
    """The price of a family at a size from its count (`train.meter`); nothing is measured yet."""
    form, longer = spec.closed_form(io), spec.closed_form(io.longer())
    return Price(
        family=family,
        size=size,
        N=counted.non_embedding_parameters,
        N_all=counted.parameters,
        flops=counted.training_flops_per_token,
        vocabulary_flops=3 * counted.vocabulary_flops_per_token,
        state_bytes=counted.state_bytes,
        state_grows=None if form is None or longer is None else longer.state_numbers > form.state_numbers,
        by_part=dict(counted.by_part),
        tokens_per_step=io.length,
    )


def price_from_json(content: dict[str, Any]) -> Price:
    return Price(**{"state_grows": None} | content | {"steps": {int(b): s for b, s in content["steps"].items()}})
