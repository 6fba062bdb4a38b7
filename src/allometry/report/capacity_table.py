"""A capacity as a table: the count between its bounds, what it is for large n, and all functions."""

from typing import TYPE_CHECKING

from allometry.capacity.bounds import log2
from allometry.capacity.count import options
from allometry.report.grid import Cell, Column, Grid, cell

if TYPE_CHECKING:
    from allometry.capacity.count import Capacity


def capacity_table(found: "Capacity") -> Grid:
    """One line for each number of functions. What is not proved of a circuit has no line."""
    circuit = found.circuit
    rows = [_counted(found)]
    if circuit.published is not None:
        rows.append(_row("published (OEIS A000609)", _number(circuit.published), f"{log2(circuit.published):.3f}"))
    for name, bound in (("lower", found.lower), ("upper", found.upper)):
        rows.append(_row(f"{name} bound", _number(bound), f"{log2(bound):.3f}"))
    if (leading := circuit.leading or circuit.leading_at_most) is not None:
        factor, power = leading
        words = ("" if circuit.leading else "at most ") + (f"{factor:.3g} " if factor != 1 else "")
        rows.append(_row(f"for large n: {words}n^{power}", "", f"{factor * circuit.inputs**power:.3f}"))
    rows.append(_row("all functions", "", f"{circuit.ceiling_bits:.3f}"))
    columns = (Column(name="", text=True), Column(name="functions"), Column(name="log2"))
    return Grid(title=f"{circuit.name} of {circuit.inputs} inputs", columns=columns, rows=tuple(rows))


def capacity_lines(found: "Capacity") -> list[str]:
    """What a reader of the table should know."""
    circuit = found.circuit
    said = ", ".join(f"{k} {v}" for k, v in options(circuit).items() if k != "inputs" and v != "")
    lines = [f"{circuit.equation}; {said}; {circuit.parameters} parameters."]
    if found.normalised is not None and found.log2 is not None:
        lines.append(
            f"{found.normalised:.3f} times the bits of one threshold unit, "
            f"{found.log2 / circuit.parameters:.2f} bits per parameter, in {found.seconds:.2g} s."
        )
    return lines


def _counted(found: "Capacity") -> tuple[Cell, ...]:
    if found.count is None or found.log2 is None:
        return _row("count", "not counted at this size", "")
    if found.standard_error_bits is None:
        return _row("count, exact", _number(int(found.count)), f"{found.log2:.3f}")
    error = f" ± {found.standard_error_bits:.2g} (standard error)"
    return _row("estimate", f"{found.count:.3g}", f"{found.log2:.2f}{error}")


def _row(*words: str) -> tuple[Cell, ...]:
    return tuple(cell(word) for word in words)


def _number(count: int) -> str:
    return f"{count:,}" if count < 10**18 else f"{count:.4g}" if count < 10**300 else "beyond 1e300"
