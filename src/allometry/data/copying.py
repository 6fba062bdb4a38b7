"""Copying: recall letters after a long wait (Hochreiter and Schmidhuber 1997; Arjovsky et al. 2016, arXiv:1511.06464).

```text
Copying           Inputs   b a c . . . . . . > . . .       three letters, a gap of blanks, the signal, then recall
                  Targets  . . . . . . . . . . b a c       blanks are asked too, so the answer is asked when it is due
Variable copying  Inputs   b a c . . > . . . . . . .       a gap of 1 to `delay` blanks (Henaff et al. 2016, arXiv:1602.06662)
                  Targets  . . . . . . b a c . . . .       blanks fill the end, so that all sequences are equally long
```

The sizes are those of Tallec and Ollivier 2018 (arXiv:1804.11188): 10 of 8 letters; copying has delay - 1 blanks in the gap and
delay + 20 steps, so that a letter is asked delay + 10 steps after it was read. Variable copying has delay + 21 steps. Every
step counts. Of sequences that are not filled up the level of chance would be higher, 0.1326 at a delay of 500 instead of 0.0399.
"""

import math

import numpy as np
from jaxtyping import Int

from allometry.data._generated import Generated
from allometry.data._random import below, random_bits
from allometry.flow import Refusal, Tokens

BLANK = 0


class Copying(Generated):
    """Letters to be copied: tokens 1 to `alphabet`; 0 is the blank, and the last token is the signal."""

    delay: int = 500  # the paper's T
    variable: bool = False
    letters: int = 10  # in a sequence
    alphabet: int = 8  # letters to choose from

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, least in (("delay", 1), ("letters", 1), ("alphabet", 2)):
            if getattr(self, name) < least:
                raise Refusal(f"Copying({name}={getattr(self, name)}) asks nothing. Take at least {least}.")

    @property
    def signal(self) -> int:
        return self.alphabet + 1

    @property
    def io(self) -> Tokens:
        return Tokens(vocab=self.alphabet + 2, length=self.delay + 2 * self.letters + self.variable)

    @property
    def chance(self) -> float:
        """Loss of a player that knows when to answer and remembers no letter, nats per step.

        >>> [round(Copying(delay=delay).chance, 5) for delay in (500, 1000, 2000)]
        [0.03999, 0.02039, 0.01029]
        >>> round(Copying(variable=True).chance, 4)
        0.0399
        """
        return self.letters * math.log(self.alphabet) / self.io.length

    def examples(
        self, seed: int, numbers: Int[np.ndarray, " batch"]
    ) -> tuple[Int[np.ndarray, "batch length"], Int[np.ndarray, "batch length"]]:
        """What is read, and what is to be said at each step."""
        bits = random_bits(seed, numbers, self.letters + 1)
        letters = below(self.alphabet, bits[:, :-1]) + 1
        gap = below(self.delay, bits[:, -1:]) + 1 if self.variable else np.full((len(numbers), 1), self.delay - 1)
        inputs = np.full((len(numbers), self.io.length), BLANK)
        targets = inputs.copy()
        inputs[:, : self.letters] = letters
        signals = self.letters + gap
        np.put_along_axis(inputs, signals, self.signal, axis=1)
        np.put_along_axis(targets, signals + 1 + np.arange(self.letters), letters, axis=1)
        return inputs, targets
