"""Verbs that put a question to anybody's table of runs: audit, decide, next, extrapolate."""

from pathlib import Path
from typing import Annotated, Any

import typer

from allometry.cli._app import Json, app, numbers, print_json, show, words
from allometry.cli._table import (
    By,
    Columns,
    Compute,
    Loss,
    OwnLaw,
    Parameters,
    Reach,
    Runs,
    Saved,
    Tokens,
    load,
    place,
    read,
)

Level = Annotated[float, typer.Option(help="Of the intervals.")]
Draws = Annotated[int, typer.Option(help="Resamples of runs.")]
Seed = Annotated[int, typer.Option(help="Of the resamples.")]


@app.command()
def audit(
    runs: Runs,
    law: Annotated[str, typer.Option(help="A name of `allometry list laws`, or path/to/file.py:law.")] = "power_floor",
    by: By = None,
    n: Parameters = None,
    d: Tokens = None,
    c: Compute = None,
    loss: Loss = None,
    column: Columns = None,
    at: Annotated[
        float | None, typer.Option(help="FLOPs at which groups are compared. Default: the largest they share.")
    ] = None,
    level: Level = 0.9,
    draws: Draws = 300,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """What would overturn the verdict of a table: a run left out, another law or count, mis-tuned rates; each as a number."""
    from allometry.fit.audit.audit import audit as look

    frame, group, columns = read(runs, by, n, d, c, loss, column)
    found = look(frame, law=law, by=group, columns=columns or None, C=at, level=level, draws=draws, seed=seed)
    if as_json:
        print_json(found.to_json())
        return
    from allometry.report.question_tables import audit_lines, challenges_table

    content = found.to_json()
    show([challenges_table(content)], audit_lines(content))


@app.command()
def decide(
    runs: Runs,
    at: Annotated[str, typer.Option(help="The place: 1e21 FLOPs, or D=1e12 for the scaling of data.")],
    laws: Annotated[str, typer.Option(help="Laws of one variable that are weighed, commas between.")] = "power,power_floor",
    by: By = None,
    n: Parameters = None,
    d: Tokens = None,
    c: Compute = None,
    loss: Loss = None,
    column: Columns = None,
    level: Level = 0.9,
    reach: Annotated[float, typer.Option(help="How many times beyond the runs may be asked.")] = 10.0,
    draws: Draws = 1000,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Which of every two groups has the lower loss at a place, with a probability, or "cannot tell"."""
    from allometry.fit.ask.decide import decide as weigh

    frame, group, columns = read(runs, by, n, d, c, loss, column)
    found = weigh(
        frame,
        by=group or "family",
        laws=words(laws),
        columns=columns or None,
        level=level,
        draws=draws,
        seed=seed,
        reach=reach,
        **place(at, "--at"),
    )
    if as_json:
        print_json(found.to_json())
        return
    from allometry.report.question_tables import decisions_table

    show([decisions_table(found.to_json())], [f"Note: {note}." for note in found.notes])


@app.command("next")
def next_runs(
    saved: Saved,
    winner_at: Annotated[str | None, typer.Option(help="Ask which group wins there: 1e21, or N=1e9,D=2e10.")] = None,
    loss_at: Annotated[str | None, typer.Option(help="Ask for the loss of --group there.")] = None,
    parameter: Annotated[str | None, typer.Option(help="Ask for a parameter of --group, such as alpha.")] = None,
    group: Annotated[str, typer.Option(help="Which group, or which two with a comma for --winner-at. Default: all.")] = "",
    budget: Annotated[float | None, typer.Option(help="FLOPs that all proposed runs may cost together.")] = None,
    count: Annotated[int, typer.Option(help="Runs to propose.")] = 5,
    noise: Annotated[
        float | None, typer.Option(help="Standard deviation of ln loss of a run. Default: the scatter around the fit.")
    ] = None,
    reach: Reach = None,
    law: OwnLaw = None,
    as_json: Json = False,
) -> None:
    """What to run next: the runs that most reduce the doubt about a question, with the gain that may be expected."""
    from allometry.fit.ask import questions
    from allometry.fit.ask.next_runs import next_runs as propose
    from allometry.flow import Refusal

    fits = load(saved, law, reach)
    names = words(group) or list(fits.fits)
    if sum(asked is not None for asked in (winner_at, loss_at, parameter)) != 1:
        raise Refusal("next needs one question: --winner-at 1e21, --loss-at 1e21 --group a, or --parameter alpha --group a.")
    if winner_at is None and len(names) != 1:
        raise Refusal(f"This question is about one group; name it with --group. There are: {', '.join(fits.fits)}.")
    variables = fits[names[0]].law.variables
    if winner_at is not None:
        question = questions.winner(*names, **place(winner_at, "--winner-at", variables))
    elif loss_at is not None:
        question = questions.loss_at(names[0], **place(loss_at, "--loss-at", variables))
    else:
        question = questions.exponent(names[0], str(parameter))
    found = propose(fits, question, budget=budget, count=count, noise=noise)
    if as_json:
        print_json(found.to_json())
        return
    from allometry.report.question_tables import proposals_table

    show([proposals_table(found.to_json())], [f"Note: {note}" for note in found.notes])


@app.command()
def extrapolate(
    curves: Annotated[
        Path, typer.Argument(help="Learning curves: .csv, .parquet or .jsonl, one row for each step and loss.")
    ],
    at: Annotated[str, typer.Option(help="Where to predict: steps, tokens or examples, commas between.")],
    x: Annotated[str, typer.Option("--x", help="The column of steps, tokens or examples.")] = "tokens",
    loss: Annotated[str, typer.Option(help="The column of the loss.")] = "loss",
    by: Annotated[
        str | None, typer.Option(help="The column that tells curves apart. Default: run, where there is one.")
    ] = None,
    level: Level = 0.9,
    reach: Annotated[float, typer.Option(help="How many times beyond the last row may be asked.")] = 10.0,
    as_json: Json = False,
) -> None:
    """Where learning curves go next, with an interval."""
    from allometry.fit.cells import check_columns, column
    from allometry.fit.curves.extrapolate import extrapolate as ahead
    from allometry.fit.plain import plain
    from allometry.record.table import read_table

    frame = read_table(curves)
    by = by or ("run" if "run" in frame.columns else None)
    check_columns(frame, tuple(name for name in (x, loss, by) if name))
    places = numbers(at, "--at")
    parts = [("all", frame)] if by is None else [(str(name), part) for name, part in frame.groupby(by, sort=False)]
    rows: list[dict[str, Any]] = []
    for name, part in parts:
        found = ahead(column(part, x), column(part, loss), places, level=level, reach=reach)
        for there, value, low, high in zip(found.x, found.loss, found.low, found.high, strict=True):
            rows.append(
                {"group": name, "at": f"{there:.4g}", "value": value, "low": low, "high": high, "flags": found.flags}
            )
    if as_json:
        print_json(plain({"level": level, "predictions": rows}))
        return
    from allometry.report.fit_tables import predictions_table

    flags = [f"{row['group']}: {flag.rstrip('.')}." for row in rows[:: max(1, len(places))] for flag in row["flags"]]
    show([predictions_table(plain(rows))], flags)
