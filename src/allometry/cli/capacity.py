"""The verb that counts what gates buy: capacity."""

import os
import signal
import sys
import threading
from typing import Annotated, Any

import typer

from allometry.cli._app import Json, app, console, print_json, show

PATIENCE = 2.0  # seconds before a bar is shown
STOPPED = 130  # what a shell expects of a command that Ctrl-C ended


@app.command()
def capacity(
    inputs: Annotated[int, typer.Option(help="Inputs of every unit.")],
    circuit: Annotated[str, typer.Argument(help="A name of `allometry list circuits`.", show_default=False)] = "",
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
    from allometry.capacity.count import FOLDER
    from allometry.capacity.count import capacity as count
    from allometry.find import names
    from allometry.flow import Refusal

    if not circuit:
        raise Refusal(f"Name a circuit. There are: {', '.join(names(FOLDER))}.")
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
    """A progress bar on standard error once two seconds have passed: a moving one until it is known how much there is to do.

    Ctrl-C takes it away and ends the process, as a count keeps nothing.
    """

    def __init__(self) -> None:
        self._progress: Any = None
        self._done: tuple[int, int | None] = (0, None)
        self._timer = threading.Timer(PATIENCE, self._show)
        self._timer.daemon = True

    def __enter__(self) -> "_Bar":
        self._before = signal.signal(signal.SIGINT, self._stop)
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGINT, self._before)
        self._hide()

    def tell(self, done: int, total: int) -> None:
        self._done = done, total
        if self._progress is not None:
            self._progress.update(0, completed=done, total=total)

    def _show(self) -> None:
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (TextColumn("counting"), BarColumn(), TextColumn("{task.percentage:>3.0f}%"), TimeRemainingColumn())
        screen = console(stderr=True)
        progress = Progress(*columns, console=screen, transient=True, disable=not screen.is_terminal)
        done, total = self._done
        progress.add_task("counting", completed=done, total=total)
        progress.start()
        self._progress = progress

    def _hide(self) -> None:
        self._timer.cancel()
        if self._timer.is_alive():
            self._timer.join(1)  # it may wait for what the main thread was importing when it was stopped
        if self._progress is not None:
            self._progress.stop()

    def _stop(self, *_: object) -> None:
        self._hide()
        print(
            "allometry: stopped. Nothing of a count is kept; the same command begins it again.", file=sys.stderr, flush=True
        )
        os._exit(STOPPED)


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
