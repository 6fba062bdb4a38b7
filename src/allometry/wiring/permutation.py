"""A map or a permutation that the input chooses: by n^2 gated synapses in one layer, or by a Beneš network of conditional swaps.

Beneš (1965): n log2 n - n/2 swaps in 2 log2 n - 1 stages reach every permutation of n wires, n a power of 2.
"""

from collections.abc import Callable, Sequence
from typing import Final

from allometry.wiring._wired import Gated, Node, Synapse, Unit, Wired, conjunction, inputs, unit

Swap = Callable[[Node, Node, Node], tuple[Node, Node]]


def dynamic_map(n: int) -> Wired:
    """P v of a matrix of activity: inputs are P row by row, then v. n^2 synaptic gatings and no parameter that is learned."""
    x = inputs(n * n + n)
    rows = [Unit(tuple(Synapse(x[n * n + j], 1.0, x[n * i + j]) for j in range(n))) for i in range(n)]
    return Wired("linear map", "any numbers: synaptic gatings", n * n + n, tuple(rows))


def swapped(swap: Swap) -> Wired:
    """Inputs c, x, y: (x, y) where c = 0 and (y, x) where c = 1."""
    c, x, y = inputs(3)
    return Wired("conditional swap", HOW[swap], 3, swap(c, x, y))


def gated_swap(c: Node, x: Node, y: Node) -> tuple[Node, Node]:
    """x + t and y - t with t = c (y - x): one gating. For c between 0 and 1 it mixes."""
    move = Gated(c, unit((y, x), (1, -1)))
    return unit((x, move), (1, 1)), unit((y, move), (1, -1))


def threshold_swap(c: Node, x: Node, y: Node) -> tuple[Node, Node]:
    """Of 0 and 1 alone: a conjunction for each way through."""
    (x_stays, x_goes), (y_stays, y_goes) = (
        (conjunction((c, one), (-1, 1)), conjunction((c, one), (1, 1))) for one in (x, y)
    )
    return unit((x_stays, y_goes), (1, 1)), unit((y_stays, x_goes), (1, 1))


HOW: Final[dict[Swap, str]] = {gated_swap: "any numbers: output gating", threshold_swap: "0 and 1 only: units"}


def benes(n: int, swap: Swap) -> Wired:
    """Inputs are the switches, in the order of `switches`, then n values; outputs are the values, permuted."""
    if n < 2 or n & (n - 1):
        raise ValueError(f"A Beneš network has 2, 4, 8, ... wires, not {n}.")
    number = swaps(n)
    x = inputs(number + n)
    return Wired("permutation", HOW[swap], number + n, tuple(_wires(x[number:], iter(x[:number]).__next__, swap)))


def swaps(n: int) -> int:
    """n log2 n - n / 2.

    >>> [swaps(n) for n in (2, 4, 8)]
    [1, 6, 20]
    """
    return n * (n.bit_length() - 1) - n // 2


def switches(permutation: Sequence[int]) -> list[int]:
    """The setting that sends input permutation[i] to output i, by the loop algorithm: neighbours go through different halves."""
    n = len(permutation)
    if n == 2:
        return [int(permutation[0] == 1)]
    place = {source: output for output, source in enumerate(permutation)}
    half: dict[int, int] = {}  # of each input
    for start in range(0, n, 2):
        source, through = start, 0
        while source not in half:
            half[source], half[source ^ 1] = through, 1 - through
            # The neighbour's output has a neighbour, which has to come through the half that the first one took.
            source = permutation[place[source ^ 1] ^ 1]
    first = [half[2 * i] for i in range(n // 2)]
    last = [half[permutation[2 * i]] for i in range(n // 2)]
    within = [[permutation[2 * i + (half[permutation[2 * i]] != h)] // 2 for i in range(n // 2)] for h in (0, 1)]
    return [*first, *switches(within[0]), *switches(within[1]), *last]


def _wires(x: Sequence[Node], switch: Callable[[], Node], swap: Swap) -> list[Node]:
    if len(x) == 2:
        return list(swap(switch(), x[0], x[1]))
    pairs = [swap(switch(), a, b) for a, b in zip(x[::2], x[1::2], strict=True)]
    halves = [_wires([pair[h] for pair in pairs], switch, swap) for h in (0, 1)]
    return [out for a, b in zip(*halves, strict=True) for out in swap(switch(), a, b)]
