"""Verbs for anybody's table of runs: fit, predict."""

from pathlib import Path
from typing import Annotated, Any

import typer

from allometry.cli._app import Json, app, print_json, show, words
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
    values,
)

At = Annotated[
    list[str] | None,
    typer.Option("--at", help="Predict at a place: 1e20, or N=1e9,D=2e10 where the law has several variables. Repeatable."),
]


@app.command()
def fit(
    runs: Runs,
    law: Annotated[
        str,
        typer.Option(help="A name of `allometry list laws`, broken_power(breaks=2), or path/to/file.py:law."),
    ] = "power_floor",
    by: By = None,
    n: Parameters = None,
    d: Tokens = None,
    c: Compute = None,
    loss: Loss = None,
    column: Columns = None,
    pin: Annotated[list[str] | None, typer.Option(help="Hold a parameter still, as E=1.6. Repeatable.")] = None,
    source: Annotated[str, typer.Option(help="Where the pinned values are from; kept with the fit.")] = "",
    share: Annotated[
        str, typer.Option(help="Parameters that all groups share, as E,alpha; whether they may is tested beside it.")
    ] = "",
    delta: Annotated[
        float | None, typer.Option(help="Residuals of ln loss beyond it count linearly (Huber). Default: the law's own.")
    ] = None,
    cluster: Annotated[
        str, typer.Option(help="Columns that tell runs apart, which are resampled whole. Default: run.")
    ] = "",
    noise: Annotated[
        float | None, typer.Option(help="Standard deviation of ln loss between seeds, to judge the law's misfit by.")
    ] = None,
    mixed: Annotated[
        bool, typer.Option("--mixed", help="Accept losses of unlike tokenizers or evaluations in one fit.")
    ] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Stop at the first finding instead of listing it.")] = False,
    level: Annotated[float, typer.Option(help="Of the intervals.")] = 0.9,
    draws: Annotated[int, typer.Option(help="Resamples of runs.")] = 1000,
    reach: Annotated[float, typer.Option(help="How many times beyond the runs the fit may be asked.")] = 10.0,
    seed: Annotated[int, typer.Option(help="Of the resamples.")] = 0,
    at: At = None,
    predict: Annotated[str | None, typer.Option(help="Predict at these FLOPs, commas between: short for --at.")] = None,
    approaches: Annotated[
        bool, typer.Option("--approaches", help="The three ways to the compute-optimal size, side by side. Needs N and D.")
    ] = False,
    rollout: Annotated[
        str, typer.Option(help="Laws, commas between: how well each predicts larger runs from smaller ones.")
    ] = "",
    save: Annotated[Path | None, typer.Option(help="Keep the fit, draws and all; `allometry predict` reads it.")] = None,
    report: Annotated[Path | None, typer.Option(help="Write a page with the figure and all that was found.")] = None,
    as_json: Json = False,
) -> None:
    """Fit a scaling law to a table of runs, with intervals, and say what not to trust."""
    from allometry.fit.criterion import Criterion
    from allometry.fit.estimate import fit as fit_law
    from allometry.fit.own import law_of
    from allometry.fit.plain import plain
    from allometry.fit.refusals import TooFewPoints
    from allometry.flow import Refusal

    frame, group, columns = read(runs, by, n, d, c, loss, column)
    chosen, rolled = law_of(law, columns), [law_of(name, columns) for name in words(rollout)]
    shared = tuple(words(share))
    criterion = None if delta is None else Criterion(delta=delta, of=chosen.of)
    fits = fit_law(
        frame,
        law=chosen,
        by=group,
        columns=columns or None,
        shared=shared,
        pinned=values(pin or (), "--pin", "E=1.6"),
        source=source,
        criterion=criterion,
        cluster=tuple(words(cluster)),
        noise=noise,
        mixed=mixed,
        strict=strict,
        level=level,
        draws=draws,
        reach=reach,
        seed=seed,
    )
    content: dict[str, Any] = fits.to_json()
    if save:  # first, as what is asked of the fit may be refused
        content["saved"] = str(fits.save(save).resolve())
    same = {"columns": columns, "cluster": words(cluster), "mixed": mixed, "level": level}
    if len(fits) > 1 and len(chosen.variables) == 1 and chosen.observed == "loss":
        content |= _winners(fits)
    places = [*(at or ()), *words(predict or "")]
    if places:
        content["predictions"] = [_predicted(one, asked) for one in fits for asked in places]
    if shared and group and len(fits) > 1:
        from allometry.fit.sharing import share as test

        try:
            content["sharing"] = test(frame, shared, law=chosen, by=group, criterion=criterion, **same).to_json()
        except Refusal as refusal:
            content["sharing"] = {"text": f"Whether they may share is not known: {refusal}"}
    if approaches:
        from allometry.fit.approaches import approaches as three

        parts = [("", frame)] if group is None else frame.groupby(group, sort=False)
        content["approaches"] = [{"group": str(name)} | three(part, **same).to_json() for name, part in parts]
    if rolled:
        from allometry.fit.rollout import rollout as roll

        size = chosen.variables[0]
        try:
            content["rollout"] = roll(frame, rolled, size=size, by=group, columns=columns, mixed=mixed).to_json()
        except TooFewPoints as refusal:
            content["rollout"] = {"text": f"No roll-out: {refusal}"}
    if report:
        from allometry.report.fits_page import write_fits

        content["report"] = str(write_fits(fits, content, report).resolve())
    if as_json:
        print_json(plain(content))
        return
    _show(content)


@app.command()
def predict(
    saved: Saved,
    at: At = None,
    loss: Annotated[float | None, typer.Option(help="The fewest FLOPs that reach this loss, and how to spend them.")] = None,
    compute: Annotated[
        float | None, typer.Option(help="The best N and D for these FLOPs (laws of N and D); or see --speedup.")
    ] = None,
    parameters: Annotated[
        float | None, typer.Option(help="With --loss: the tokens with which so many parameters reach it.")
    ] = None,
    speedup: Annotated[
        str, typer.Option(help="Two groups A,B: how many times the compute of B does A need, at --loss or at --compute?")
    ] = "",
    reach: Reach = None,
    law: OwnLaw = None,
    as_json: Json = False,
) -> None:
    """Ask a saved fit: the loss of a new run, the compute for a loss, the best size, the speedup of one group over another."""
    from allometry.fit.plain import plain
    from allometry.flow import Refusal

    fits = load(saved, law, reach)
    content: dict[str, Any] = {}
    if parameters is not None and (loss is None or speedup):
        raise Refusal("--parameters goes with --loss alone: the tokens with which so many parameters reach it.")
    if at:
        content["predictions"] = [_predicted(one, asked) for one in fits for asked in at]
    if speedup:
        from allometry.fit.speedup import speedup as compared

        pair = words(speedup)
        if len(pair) != 2:
            raise Refusal(f"--speedup {speedup}: name two groups with a comma between. There are: {', '.join(fits.fits)}.")
        content["speedup"] = compared(fits, pair[0], pair[1], loss=loss, compute=compute).to_json()
    elif loss is not None or compute is not None:
        content["splits"] = [_asked(one, loss, compute, parameters) for one in fits]
    if not content:
        raise Refusal("predict needs a question: --at 1e20, --loss 2.1, --compute 1e21, or --speedup a,b with one of these.")
    if as_json:
        print_json(plain(content))
        return
    _show(content)


def _winners(fits: Any) -> dict[str, Any]:
    """Who wins where, or nothing where the groups were not run at the same places."""
    from allometry.fit.ask.winners import winners
    from allometry.flow import Refusal

    try:
        return {"winners": winners(fits).to_json()}
    except Refusal as refusal:
        return {"not_compared": str(refusal)}


def _predicted(fit: Any, asked: str) -> dict[str, Any]:
    value, low, high = fit.predict(**place(asked, "--at", fit.law.variables))
    return {"group": fit.group, "at": asked, "value": value, "low": low, "high": high}


def _asked(fit: Any, loss: float | None, compute: float | None, parameters: float | None) -> dict[str, Any]:
    """The answer of one fit to --loss, --compute and --parameters."""
    from allometry.fit.optimum import compute_for, flops_for, split, tokens_for
    from allometry.flow import Refusal

    if loss is not None and compute is not None:
        raise Refusal("Ask for one of --loss and --compute at a time, or for --speedup a,b at one of them.")
    if compute is not None:
        return {"group": fit.group, "question": f"at {compute:.3g} FLOPs"} | split(fit, compute).to_json()
    assert loss is not None
    if parameters is not None:
        tokens = tokens_for(fit, parameters, loss)
        return {"group": fit.group, "question": f"a loss of {loss:g} with {parameters:.3g} parameters", "D": list(tokens)}
    question = {"group": fit.group, "question": f"a loss of {loss:g}"}
    if fit.law.variables == ("C",):
        return question | {"C": list(flops_for(fit, loss))}
    return question | compute_for(fit, loss).to_json()


def _show(content: dict[str, Any]) -> None:
    """Tables first, then what to distrust, then where things are."""
    from allometry.report import fit_tables

    show(fit_tables.grids(content), fit_tables.lines(content))
