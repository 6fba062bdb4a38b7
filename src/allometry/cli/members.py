"""Verbs that look at what there is: list, count."""

from typing import Annotated, Any

import typer

from allometry.cli._app import Json, app, console, print_json

FOLDERS = ("tasks", "families", "blocks", "laws")
PACKAGES = {
    "tasks": "allometry.data",
    "families": "allometry.model.families",
    "blocks": "allometry.model.blocks",
    "laws": "allometry.fit.laws",
}


@app.command("list")
def list_members(
    what: Annotated[str, typer.Argument(help="families, tasks, blocks or laws.")] = "families", as_json: Json = False
) -> None:
    """List the members of an open folder, with their source and claims."""
    from allometry.find import member, names
    from allometry.flow import Refusal

    if what not in PACKAGES:
        raise Refusal(f"There is no list of '{what}'. There are: {', '.join(FOLDERS)}.")
    rows = [_described(name, member(PACKAGES[what], name)) for name in names(PACKAGES[what])]
    if as_json:
        print_json(rows)
        return
    for row in rows:
        claims = f"  [{', '.join(row['claims'])}]" if row["claims"] else ""
        typer.echo(f"{row['name']:28}{row['source']}{claims}")


@app.command()
def count(
    family: Annotated[str, typer.Argument(help="A family's name, or path/to/file.py:Class.")],
    size: Annotated[int, typer.Option(help="The size dial: 1 (10^3 parameters) to 19 (10^9), three to a decade.")] = 7,
    length: Annotated[int, typer.Option(help="Tokens in a sequence.")] = 256,
    vocab: Annotated[int, typer.Option(help="Symbols.")] = 256,
    as_json: Json = False,
) -> None:
    """Parameters, FLOPs by part and state of a family at a size, and the check of its formula."""
    from allometry.flow import Refusal, Tokens
    from allometry.study.job import family_at
    from allometry.train.meter import check
    from allometry.train.meter import count as count_model

    if length < 1 or vocab < 2:
        raise Refusal(f"--length {length} --vocab {vocab}: a sequence has at least 1 token of at least 2 symbols.")
    spec, io = family_at(family, size), Tokens(vocab=vocab, length=length)
    counted = count_model(spec, io)
    content = (
        {"family": family, "size": size, "spec": spec.to_json()} | counted.to_table() | {"formula": check(spec, io, counted)}
    )
    if as_json:
        print_json(content)
        return
    from allometry.report.study_tables import facts_table

    console().print(facts_table(f"{spec!r}", content | {"spec": repr(spec)}))


def _described(name: str, kind: Any) -> dict[str, Any]:
    import importlib

    text = (importlib.import_module(kind.__module__).__doc__ or "").strip().split("\n")[0]
    return {"name": name, "source": text, "claims": sorted(getattr(kind, "claims", ()))}
