"""The contract of answers: what a model may give where an IO asks, and what that costs. One file for each form that targets have.

The loop, the score and the meter know no IO: they ask `answers_to(targets)` (answers.py) and get one of these.
"""

from typing import Any

from jaxtyping import Float
from torch import Tensor


class Answers:
    """How targets of one form are answered. It holds nothing."""

    def asked(self, targets: Any) -> Any:
        """How many targets a batch asks, in a form that `losses` takes."""
        raise NotImplementedError

    def said(self, out: Any, inputs: tuple[Any, ...]) -> Any:
        """What a model gave, as fp32. Raises Refusal for what is no answer to these inputs."""
        raise NotImplementedError

    def losses(self, said: Any, targets: Any, asked: Any) -> tuple[Tensor, Tensor]:
        """What is trained on, and the loss that is reported: the same, where a model answers once.

        `asked` is what the whole batch asks. The targets may be a part of it: the losses of all its parts add up to that of the
        whole, and so do their gradients.
        """
        raise NotImplementedError

    def rows(self, said: Any, targets: Any) -> tuple[Tensor, ...]:
        """What is scored of each example, on the CPU: a row for each in every tensor."""
        raise NotImplementedError

    def together(
        self, rows: tuple[Tensor, ...], weights: Float[Tensor, "batch targets"]
    ) -> tuple[Float[Tensor, "batch targets"], float | None, float | None]:
        """The rows of all examples: the loss of each target, of which the mean by the weights is the loss; accuracy; solved."""
        raise NotImplementedError

    def read(self, inputs: tuple[Any, ...]) -> int:
        """Tokens, positions of a series or nodes of graphs that a model reads."""
        raise NotImplementedError
