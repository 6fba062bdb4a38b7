"""Verbs that look at what there is: list, count."""

from typing import Annotated, Any

import typer

from allometry.cli._app import Json, app, console, print_json
from allometry.cli._counted import LENGTH, VOCAB

FOLDERS = ("tasks", "families", "blocks", "laws", "circuits")
PACKAGES = {
    "tasks": "allometry.data",
    "families": "allometry.model.families",
    "blocks": "allometry.model.blocks",
    "laws": "allometry.fit.laws",
    "circuits": "allometry.capacity.circuits",
}


@app.command("list")
def list_members(
    what: Annotated[str, typer.Argument(help="families, tasks, blocks, laws or circuits.")] = "families",
    as_json: Json = False,
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
    length: Annotated[int | None, typer.Option(help=f"Tokens in a sequence. [{LENGTH}]")] = None,
    vocab: Annotated[int | None, typer.Option(help=f"Symbols. [{VOCAB}]")] = None,
    objective: Annotated[str, typer.Option(help="causal: a language model; span: an encoder-decoder.")] = "",
    task: Annotated[
        str, typer.Option(help="A task that is made, as adding or shortest_path, or path/to/file.py:Class.")
    ] = "",
    as_json: Json = False,
) -> None:
    """Parameters, FLOPs by part and state of a family at a size, and the check of its formula."""
    from allometry.cli._counted import only
    from allometry.find import member
    from allometry.flow import Graphs, Refusal, Tokens
    from allometry.study.job import FAMILIES, TASKS, family_at
    from allometry.study.request import OBJECTIVES
    from allometry.train.meter import check
    from allometry.train.meter import count as count_model

    if (length is not None and length < 1) or (vocab is not None and vocab < 2):
        given = " ".join(f"--{name} {value}" for name, value in (("length", length), ("vocab", vocab)) if value is not None)
        raise Refusal(f"{given}: a sequence has at least 1 token of at least 2 symbols.")
    if objective not in ("", *OBJECTIVES):
        raise Refusal(f"--objective {objective} is not known. It is one of: {', '.join(OBJECTIVES)}.")
    kinds = member(FAMILIES, family).kinds
    if task:
        if objective:
            raise Refusal(f"--task {task} --objective {objective}: take one of them.")
        only({"--length": length, "--vocab": vocab}, (), f"{task} says itself what is read")
        io = _io_of(task)
    else:
        if kinds == (Graphs,):
            raise Refusal(f"{family} reads graphs alone. Say which: --task shortest_path.")
        objective = objective or ("causal" if Tokens in kinds else "span")
        io = member(TASKS, OBJECTIVES[objective]).asks(vocab or VOCAB, length or LENGTH)
    spec = family_at(family, size, io)
    counted = count_model(spec, io)
    asked = {"family": family, "size": size, "objective": objective or None, "spec": spec.to_json()}
    asked |= {"task": task} if task else {}
    content = asked | counted.to_table() | {"formula": check(spec, io, counted)}
    if as_json:
        print_json(content)
        return
    from allometry.report.study_tables import facts_table

    console().print(facts_table(f"{spec!r}", content | {"spec": repr(spec)}))


def _io_of(task: str) -> Any:
    """What a task asks as it is by default."""
    from allometry.find import member
    from allometry.flow import Refusal
    from allometry.spec import Spec
    from allometry.study.job import TASKS

    kind = member(TASKS, task)
    if not issubclass(kind, Spec):
        raise Refusal(f"--task {task} is made of text. Use --objective.")
    return kind().io


def _described(name: str, kind: Any) -> dict[str, Any]:
    import importlib

    text = (importlib.import_module(kind.__module__).__doc__ or "").strip().split("\n")[0]
    return {"name": name, "source": text, "claims": sorted(getattr(kind, "claims", ()))}
