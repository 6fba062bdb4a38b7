"""Output gating: the output is multiplied by the attending signal. Products of k signals are gatings of gatings."""

from jaxtyping import Float
from torch import Tensor, nn

from allometry.model.gates import equations


class OutputGating(nn.Module):
    """O = g f(S): a signal for each unit, or one for all of them. It adds no parameters."""

    def __init__(self, attended: nn.Module, attending: nn.Module) -> None:
        super().__init__()
        self.attended, self.attending = attended, attending

    def forward(self, x: Float[Tensor, "*axes inputs"]) -> Float[Tensor, "*places units"]:
        return equations.output_gating(self.attending(x), self.attended(x))
