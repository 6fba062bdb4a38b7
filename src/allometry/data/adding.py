"""Adding: the sum of two numbers that are marked in a long row of them (Hochreiter and Schmidhuber 1997).

```text
Inputs   .3 .9 .1 .7 .6 .2 .8 .4      numbers from 0 to 1
         .  |  .  .  .  .  |  .       one mark in each half
Target                      1.7       at the end
```

As in Arjovsky et al. 2016 (arXiv:1511.06464) and Tallec and Ollivier 2018 (arXiv:1804.11188). Of an odd length the second half
has one number more.
"""

import numpy as np
from jaxtyping import Float32, Int

from allometry.data._generated import Generated
from allometry.data._random import below, random_bits, uniform
from allometry.flow import Refusal, Series


class Adding(Generated):
    """A row of numbers and a row of marks; the loss is the square of the error."""

    length: int = 200

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.length < 2:
            raise Refusal(f"Adding(length={self.length}) has no two halves. Take a length of at least 2.")

    @property
    def io(self) -> Series:
        return Series(channels=2, length=self.length, outputs=1, loss="squared")

    @property
    def chance(self) -> float:
        """Mean square error of a player that always says 1, the mean: the variance of a sum of two, 2/12."""
        return 1 / 6

    def examples(
        self, seed: int, numbers: Int[np.ndarray, " batch"]
    ) -> tuple[Float32[np.ndarray, "batch length channels"], Float32[np.ndarray, "batch answer"]]:
        """Numbers and marks, and the sum."""
        bits = random_bits(seed, numbers, self.length + 2)
        half = self.length // 2
        marked = np.concatenate([below(half, bits[:, -2:-1]), half + below(self.length - half, bits[:, -1:])], axis=1)
        series = np.zeros((len(numbers), self.length, 2), dtype=np.float32)
        series[..., 0] = uniform(bits[:, :-2])
        np.put_along_axis(series[..., 1], marked, 1, axis=1)
        return series, np.take_along_axis(series[..., 0], marked, axis=1).sum(1, keepdims=True)
