"""Warped and padded characters: say which character stood before this one (Tallec and Ollivier 2018, arXiv:1804.11188, section 3).

```text
Form warp     Inputs   c c c c a a b b b b b       a character stands for a block of 1 to `maximum` steps
              Targets  - - - - c c a a a a a       `-` is not asked: no character stood before the first block
Form pad      Inputs   c . . . a . b . . . .       it stands once, and blanks fill the block
              Targets  - - - - c c a a a a a       the target is held through the blanks
```

A character differs from the one before. At a uniform pace all blocks have `maximum` steps, at a variable pace 1 to `maximum`,
equally likely. The sequence is cut at its length. Three points are ours, as the paper leaves them open: the first block is not
asked, so that the chance loss does not depend on the warp (a dummy target there, as some have it, lowers every loss by the share
of that block); targets are held through blanks; and a padded block is as long as a warped one, its character counted.
"""

import math

import numpy as np
from jaxtyping import Int

from allometry.data._generated import Generated
from allometry.data._random import below, random_bits
from allometry.data._task import IGNORED
from allometry.flow import Refusal, Tokens

PACES, FORMS = ("uniform", "variable"), ("warp", "pad")
BLANK = 0


class Warping(Generated):
    """Random characters, warped or padded in time: tokens 1 to `letters`, and 0 for the blank."""

    length: int = 500  # steps of a sequence
    maximum: int = 10  # steps of the longest block: the paper's maximum_warping
    pace: str = "variable"  # uniform | variable
    form: str = "warp"  # warp | pad
    letters: int = 9  # characters; the paper's alphabet of 10 is these and the blank

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.pace not in PACES:
            raise Refusal(f"Warping(pace={self.pace!r}) is not known. It is one of: {', '.join(PACES)}.")
        if self.form not in FORMS:
            raise Refusal(f"Warping(form={self.form!r}) is not known. It is one of: {', '.join(FORMS)}.")
        if self.maximum < 1:
            raise Refusal(f"Warping(maximum={self.maximum}) is no block. The shortest has 1 step: maximum=1 does not warp.")
        if self.length <= self.maximum:
            raise Refusal(
                f"Warping(length={self.length}, maximum={self.maximum}) may end before its second block, where the first "
                f"answer is asked. Take a length of more than {self.maximum}."
            )
        if self.letters < 3:
            raise Refusal(f"Warping(letters={self.letters}) leaves nothing to remember. Take at least 3 letters.")

    @property
    def io(self) -> Tokens:
        return Tokens(vocab=self.letters + 1, length=self.length)

    @property
    def chance(self) -> float:
        """Loss of a player without memory, nats per target that is asked.

        Where a character stands it is ln(letters - 1), as the one before was another. Where a blank stands it is ln(letters).

        >>> round(Warping().chance, 4), round(Warping(form="pad", pace="uniform", length=400, maximum=40).chance, 4)
        (2.0794, 2.1943)
        """
        if self.form == "warp":
            return math.log(self.letters - 1)
        shown, asked = self._asked()
        return (shown * math.log(self.letters - 1) + (asked - shown) * math.log(self.letters)) / asked

    def _asked(self) -> tuple[float, float]:
        """Characters after the first, and targets that are asked, on average in a sequence."""
        if self.pace == "uniform":
            return (self.length - 1) // self.maximum, self.length - self.maximum
        begins = np.zeros(self.length + 1)  # begins[t]: how probably a block begins at step t
        begins[0] = 1
        for step in range(1, self.length):
            begins[step] = begins[max(0, step - self.maximum) : step].sum() / self.maximum
        return float(begins[1 : self.length].sum()), self.length - (self.maximum + 1) / 2

    def examples(
        self, seed: int, numbers: Int[np.ndarray, " batch"]
    ) -> tuple[Int[np.ndarray, "batch length"], Int[np.ndarray, "batch length"]]:
        """Tokens, and at each step the token before."""
        blocks = self.length if self.pace == "variable" else -(-self.length // self.maximum)
        bits = random_bits(seed, numbers, 2 * blocks if self.pace == "variable" else blocks)
        moves = below(self.letters - 1, bits[:, :blocks]) + 1  # from a character to the next one, around the alphabet
        moves[:, 0] = below(self.letters, bits[:, 0])
        letters = moves.cumsum(1) % self.letters + 1
        lengths = below(self.maximum, bits[:, blocks:]) + 1 if self.pace == "variable" else np.full_like(moves, self.maximum)
        starts = np.zeros((len(numbers), self.length + 1), dtype=np.int64)
        starts[:, 0] = 1
        np.put_along_axis(starts, np.minimum(lengths.cumsum(1), self.length), 1, axis=1)
        starts = starts[:, :-1]  # what begins behind the end is cut off
        block = starts.cumsum(1) - 1  # number of the block of each step
        shown = np.take_along_axis(letters, block, axis=1)
        before = np.take_along_axis(np.concatenate([np.full((len(letters), 1), IGNORED), letters], axis=1), block, axis=1)
        if self.form == "pad":
            shown = np.where(starts == 1, shown, BLANK)
        return shown, before
