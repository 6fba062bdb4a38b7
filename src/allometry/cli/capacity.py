"""The verb that counts what gates buy: capacity."""

import signal
import threading
from typing import Annotated, Any

import typer

from allometry.cli._app import Json, app, console, print_json, show
from allometry.stop import leave

PATIENCE = 2.0  # seconds before a bar is shown


@app.command()
def capacity(
    inputs: Annotated[int, typer.Option(help="Inputs of every unit.")],
    circuit: Annotated[str, typer.Argument(help="A name of `allometry list circuits`.", show_default=False)] = "",
    convention: Annotated[
        str | None,
        typer.Option(
            help="Ranges of signals: 01, pm (-1 and +1), mixed (attended pm, gate 01) or reversed (attended 01, gate pm). "
            "Default: pm."
        ),
    ] = None,
    gates: Annotated[int | None, typer.Option(help="Attending gates on the one attended unit. Default: 1.")] = None,
    synapse: Annotated[
        str | None, typer.Option(help="Which synapse is gated: fixed (one given), any, all or each. Default: fixed.")
    ] = None,
    degree: Annotated[
        int | None, typer.Option(help="Of the polynomials. Default: 2 of polynomial_threshold, 1 of output_gating.")
    ] = None,
    units: Annotated[int | None, typer.Option(help="Attended units of a layer. Default: 2.")] = None,
    domain: Annotated[str | None, typer.Option(help="Range of the inputs, which counts without biases: 01 or pm.")] = None,
    no_bias: Annotated[bool, typer.Option("--no-bias", help="No unit has a bias.")] = False,
    samples: Annotated[int, typer.Option(help="Draws, where a count is estimated.")] = 400,
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
        found = count(circuit, inputs, samples=samples, seed=seed, listen=bar.tell, **options)
    if as_json:
        print_json(found.to_json())
        return
    from allometry.report.capacity_table import capacity_lines, capacity_table

    show([capacity_table(found)], capacity_lines(found))


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
        leave("allometry: stopped. Nothing of a count is kept; the same command begins it again.")
