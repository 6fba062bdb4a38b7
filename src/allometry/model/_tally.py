"""The closed form of a family on graphs, added up layer by layer."""

from allometry.flow import Graphs
from allometry.model._family import ClosedForm


class Tally:
    """Adds up a closed form, layer by layer."""

    def __init__(self) -> None:
        self.parameters, self.inside, self.flops = 0, 0, 0.0

    def weights(self, count: int, end: bool = False) -> None:
        """Numbers that learn; `end`: of a layer that reads or answers."""
        self.parameters += count
        self.inside += 0 if end else count

    def linear(self, rows: int, inputs: int, outputs: int, bias: bool = True, end: bool = False) -> None:
        self.weights((inputs + bias) * outputs, end)
        self.flops += 2 * rows * inputs * outputs

    def perceptron(self, rows: int, width: int, layers: int, reads: tuple[int, ...]) -> None:
        """`reads` are the rows that its first layer multiplies, for each input of the width."""
        self.weights(len(reads) * width * width + width)
        self.flops += 2 * width * width * sum(reads)
        self.behind(rows, width, layers)

    def behind(self, rows: int, width: int, layers: int) -> None:
        """What stands behind the first layer of a perceptron: the others, and the norm."""
        for _ in range(layers - 1):
            self.linear(rows, width, width)
        self.weights(2 * width)

    def add(self, other: "Tally", weights: int = 1, uses: int = 1) -> None:
        """A part of which there are so many, and which are used so many times together."""
        self.parameters += weights * other.parameters
        self.inside += weights * other.inside
        self.flops += uses * other.flops


def form_of(tally: Tally, io: Graphs) -> ClosedForm:
    return ClosedForm(
        parameters=tally.parameters,
        non_embedding_parameters=tally.inside,
        forward_flops_per_token=tally.flops / io.length,
        state_numbers=0,  # nothing is generated
    )
