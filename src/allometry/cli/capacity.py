"""The verb that counts what gates buy: capacity."""

import time
from typing import Annotated, Any

import typer

from allometry.cli._app import Json, app, console, print_json, show

PATIENCE = 2.0  # seconds before a bar is shown


@app.command()
def capacity(
    circuit: Annotated[str, typer.Argument(help="A name of `allometry list circuits`.")],
    inputs: Annotated[int, typer.Option(help="Inputs of every unit.")],
    convention: Annotated[
        str | None, typer.Option(help="Ranges of signals: 01, pm (-1 and +1), or mixed: attended pm, gate 01. Default: pm.")
    ] = None,
    gates: Annotated[int | None, typer.Option(help="Attending gates on the one attended unit. Default: 1.")] = None,
    synapse: Annotated[
        str | None, typer.Option(help="Which synapse is gated: fixed (one given), any, all or each. Default: fixed.")
    ] = None,
    degree: Annotated[int | None, typer.Option(help="Of the polynomials.")] = None,
    units: Annotated[int | None, typer.Option(help="Attended units of a layer. Default: 2.")] = None,
    domain: Annotated[str | None, typer.Option(help="Range of the inputs, which counts without biases: 01 or pm.")] = None,
    no_bias: Annotated[bool, typer.Option("--no-bias", help="No unit has a bias.")] = False,
    samples: Annotated[int, typer.Option(help="Draws, where a count is estimated.")] = 60,
    seed: Annotated[int, typer.Option(help="Of the draws.")] = 0,
    as_json: Json = False,
) -> None:
    """Count the functions that a circuit of threshold units and gates realises, next to the bounds of theory."""
    from allometry.capacity.count import capacity as count

    given = {
        "convention": convention,
        "gates": gates,
        "synapse": synapse,
        "degree": degree,
        "units": units,
        "domain": domain,
    }
    options: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    if no_bias:
        options["bias"] = False
    with _Bar() as bar:
        found = count(circuit, inputs, samples=samples, seed=seed, listen=bar.tell, **options).to_json()
    if as_json:
        print_json(found)
        return
    show([_table(found)], _lines(found))


class _Bar:
    """A progress bar on standard error, once two seconds have passed."""

    def __init__(self) -> None:
        self._began = self._told = time.perf_counter()
        self._progress: Any = None
        self._task: Any = None

    def __enter__(self) -> "_Bar":
        return self

    def __exit__(self, *_: object) -> None:
        if self._progress is not None:
            self._progress.stop()

    def tell(self, done: int, total: int) -> None:
        now = time.perf_counter()
        if now - self._began < PATIENCE:
            return
        if self._progress is None:
            from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

            columns = (TextColumn("counting"), BarColumn(), TextColumn("{task.percentage:>3.0f}%"), TimeRemainingColumn())
            self._progress = Progress(*columns, console=console(stderr=True), transient=True)
            self._task = self._progress.add_task("counting", total=total)
            self._progress.start()
        self._progress.update(self._task, completed=done, total=total)


def _table(found: dict[str, Any]) -> Any:
    from rich.table import Table

    table = Table("", "functions", "log2", title=f"{found['circuit']} of {found['inputs']} inputs")
    from allometry.capacity.bounds import log2

    kind = "count, exact" if found["exact"] else "estimate" if found["count"] is not None else "count"
    if found["count"] is None:
        table.add_row(kind, "not counted at this size", "")
    else:
        doubt = f" ± {found['standard_error']:.2g} (standard error)" if found["standard_error"] is not None else ""
        table.add_row(kind, _number(found["count"]) + doubt, f"{found['log2']:.3f}")
    for name in ("lower", "upper"):
        table.add_row(f"{name} bound", _number(found[name]), f"{log2(found[name]):.3f}")
    factor, power = found["leading"]
    table.add_row(f"for large n: {factor:.3g} n^{power}", "", f"{found['asymptote']:.3f}")
    table.add_row("all functions", "", f"{found['ceiling_bits']:.3f}")
    return table


def _lines(found: dict[str, Any]) -> list[str]:
    options = ("convention", "gates", "synapse", "degree", "units", "domain", "bias")
    said = ", ".join(f"{name} {found[name]}" for name in options if name in found and found[name] != "")
    lines = [f"{found['equation']}; {said}; {found['parameters']} parameters."]
    if found["log2_over_log2_threshold"] is not None:
        lines.append(
            f"{found['log2_over_log2_threshold']:.3f} times the bits of one threshold unit, "
            f"{found['log2'] / found['parameters']:.2f} bits per parameter, in {found['seconds']:.2g} s."
        )
    return lines


def _number(count: int | float) -> str:
    return f"{count:,.0f}" if count < 1e18 else f"{count:.4g}" if count < 1e300 else "beyond 1e300"
