"""Parity of n inputs: whether an odd number of them is true. Of all functions the one with the highest threshold degree, n."""

from allometry.wiring._wired import Gated, Node, Wired, inputs, unit

NAME = "parity"


def products(n: int) -> Wired:
    """Inputs -1 (true) and +1: the product, as a tree. n - 1 gatings, depth log2 n upwards rounded."""
    level = inputs(n)
    while len(level) > 1:
        pairs = zip(level[::2], level[1::2], strict=False)
        level = [*(Gated(a, b) for a, b in pairs), *level[len(level) - len(level) % 2 :]]
    return Wired(NAME, "-1 and +1: a tree of output gatings", n, (level[0],))


def multiplexed(n: int) -> Wired:
    """Inputs 0 and 1: the binary digits of their sum s, the largest first, each of which multiplexes those below it.

    b_j = H(s - sum_{i > j} 2^i b_i - 2^j + 1/2). With k gates it reaches n = 2^(k+1) - 1.
    """
    x, digits = inputs(n), []
    for j in reversed(range(n.bit_length())):
        bits, weights = [d for d, _ in digits], [-float(2**i) for _, i in digits]
        digits.append((unit([*x, *bits], [1.0] * n + weights, 0.5 - 2**j, "step"), j))
    return Wired(NAME, "0 and 1: digits of the sum, multiplexing", n, (digits[-1][0],))


def layered(n: int) -> Wired:
    """Inputs 0 and 1: a unit for each possible sum, and one above them with weights +1, -1, +1, ..."""
    x = inputs(n)
    reached: list[Node] = [unit(x, [1.0] * n, 0.5 - j, "step") for j in range(1, n + 1)]
    signs = [1.0 if j % 2 == 0 else -1.0 for j in range(n)]
    return Wired(NAME, "0 and 1: two layers of units", n, (unit(reached, signs, -0.5, "step"),))
