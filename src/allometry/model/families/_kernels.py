"""How many taps the layers of the two convolutional families have.

The original's kernels 3, 7, 15, 31, 31, ... (Wu et al. 2019, arXiv:1901.10430) are kept for its depth of six; a shallower model
takes the longer end of that row, so that its reach does not vanish.
"""

SHORT, LONGEST = (3, 7, 15), 31


def kernels(depth: int) -> tuple[int, ...]:
    """Taps of each layer.

    >>> kernels(2), kernels(6)
    ((15, 31), (3, 7, 15, 31, 31, 31))
    """
    return (*SHORT[max(0, 4 - depth) :], *[LONGEST] * max(1, depth - len(SHORT)))
