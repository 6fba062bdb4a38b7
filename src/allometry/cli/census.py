"""The verb census: the gates of a family, or of anybody's module."""

from pathlib import Path
from typing import Annotated

import typer

from allometry.cli._app import Json, app, print_json, show
from allometry.cli._counted import LENGTH, OUTSIDE, SIZE, VOCAB


@app.command()
def census(
    model: Annotated[str, typer.Argument(help=f"A family's name; or {OUTSIDE}.")],
    size: Annotated[
        int | None, typer.Option(help=f"The size dial of a family: 1 (10^3 parameters) to 19, three to a decade. [{SIZE}]")
    ] = None,
    length: Annotated[int | None, typer.Option(help=f"Tokens in the sequence. [{LENGTH}]")] = None,
    vocab: Annotated[int | None, typer.Option(help=f"Symbols. [{VOCAB}]")] = None,
    shape: Annotated[str, typer.Option("--input", help="Numbers in place of tokens, by shape: 1,3,32,32.")] = "",
    depth: Annotated[int, typer.Option(help="How deep the table goes into the model.")] = 4,
    out: Annotated[Path | None, typer.Option(help="Write a page with a figure there.")] = None,
    as_json: Json = False,
) -> None:
    """Gates counted while a model runs once: signals that multiply signals, beside sums, static products and parameters."""
    from allometry.cli._counted import counted, going_on
    from allometry.flow import Refusal
    from allometry.probe.census import census as count
    from allometry.record.store import check_file

    if depth < 1:
        raise Refusal(f"--depth {depth}: a depth of at least 1.")
    if out is not None:
        check_file(out)
    with going_on(model):
        asked = counted(model, size, length, vocab, shape)
        found = count(asked.module, asked.example)
    io = None if asked.io is None else asked.io.to_json()
    content = {"asked": model, "on": asked.on, "size": asked.size, "io": io, **found.to_json()}
    if out is not None:
        from allometry.report.census_page import write_census

        content["report"] = str(write_census(content, out))
    if as_json:
        print_json(content)
        return
    from allometry.report.census_tables import census_lines, census_table

    show([census_table(content, depth)], census_lines(content))
