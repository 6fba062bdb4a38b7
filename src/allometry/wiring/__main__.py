"""`python -m allometry.wiring`: size and depth of each circuit, with gates and without, as a table in Markdown."""

import argparse
from collections.abc import Sequence

import numpy as np

from allometry.wiring import dot_product, multiplexer, parity, permutation, quadratic, shaping, xor
from allometry.wiring._wired import Wired

N, BITS = 8, 3  # inputs of parity, dot product, permutation and quadratic form; bits of the multiplexer's address


def wired() -> list[Wired]:
    """All of them, at the sizes of the table."""
    form = np.diag([3.0, 2, 1, -1, -2, 0, 0, 0])  # turned, so that no pair of inputs is left out
    turn = np.linalg.qr(np.vander(np.linspace(-1, 1, N)))[0]
    form = turn @ form @ turn.T
    return [
        *(xor.product(), xor.gated(), xor.skipping(), xor.layered()),
        *(parity.products(N), parity.multiplexed(N), parity.layered(N)),
        *(dot_product.gated(N), dot_product.thresholds(N), dot_product.squares(N)),
        permutation.dynamic_map(N),
        *(permutation.swapped(swap) for swap in permutation.HOW),
        *(permutation.benes(N, swap) for swap in permutation.HOW),
        *(multiplexer.one_hot(BITS), multiplexer.tree(BITS), multiplexer.thresholds(BITS)),
        *(shaping.gated("ReLU"), shaping.rectified("ReLU"), shaping.gated("|S|"), shaping.rectified("|S|")),
        *(shaping.gated("S^2"), shaping.gated("SiLU")),
        quadratic.rank_one([1.0] * N, 1.0, [-1.0] * N, 1.0),
        *(quadratic.gated(form), quadratic.monomials(form), quadratic.squares(form)),
    ]


def table() -> str:
    """One row for each circuit."""
    head = "| function | inputs | how | gatings | signals that gate | units | sums | parameters | depth | of it gatings |"
    rows = [head, "|---|---|---|---|---|---|---|---|---|---|"]
    for one in wired():
        s = one.size
        numbers = (s.gatings, s.signals, s.units, s.sums, s.parameters, s.depth, s.gating_depth)
        function = one.function.replace("|", "\\|")
        rows.append(f"| {function} | {one.inputs} | {one.how} | " + " | ".join(map(str, numbers)) + " |")
    return "\n".join(rows)


def main(words: Sequence[str] | None = None) -> None:
    argparse.ArgumentParser(prog="python -m allometry.wiring", description=__doc__).parse_args(words)
    print(table())


if __name__ == "__main__":
    main()
