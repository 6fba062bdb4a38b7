"""The verb census: the gates of a family, or of anybody's module."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from allometry.cli._app import Json, app, numbers, print_json, show

if TYPE_CHECKING:
    from torch import nn

OUTSIDE = "package.module:Class or path/to/file.py:build, which gives a module, or a module and its example"


@app.command()
def census(
    model: Annotated[str, typer.Argument(help=f"A family's name; or {OUTSIDE}.")],
    size: Annotated[int, typer.Option(help="The size dial of a family: 1 (10^3 parameters) to 19, three to a decade.")] = 7,
    length: Annotated[int, typer.Option(help="Tokens in the sequence.")] = 256,
    vocab: Annotated[int, typer.Option(help="Symbols.")] = 256,
    shape: Annotated[str, typer.Option("--input", help="Numbers in place of tokens, by shape: 1,3,32,32.")] = "",
    depth: Annotated[int, typer.Option(help="How deep the table goes into the model.")] = 4,
    out: Annotated[Path | None, typer.Option(help="Write a page with a figure there.")] = None,
    as_json: Json = False,
) -> None:
    """Gates counted while a model runs once: signals that multiply signals, beside sums, static products and parameters."""
    from allometry.flow import Refusal
    from allometry.probe.census import census as count

    if length < 1 or vocab < 2 or depth < 1:
        raise Refusal(f"--length {length} --vocab {vocab} --depth {depth}: at least 1 token of 2 symbols, and a depth of 1.")
    module, example = _asked(model, size, length, vocab, shape)
    found = count(module, example)
    content = {"asked": model, **found.to_json()}
    if out is not None:
        from allometry.report.census_page import write_census

        content["report"] = str(write_census(content, out))
    if as_json:
        print_json(content)
        return
    from allometry.report.census_tables import census_lines, census_table

    show([census_table(content, depth)], census_lines(content))


def _asked(model: str, size: int, length: int, vocab: int, shape: str) -> "tuple[nn.Module, Any]":
    """The module and the example that it runs on."""
    import torch
    from torch import nn

    from allometry.find import member
    from allometry.flow import REFERENCES, Pairs, Refusal, Tokens, in_words
    from allometry.model._family import Family
    from allometry.study.job import FAMILIES, family_at
    from allometry.train.example import built as built_family
    from allometry.train.example import example

    found = member(FAMILIES, model)
    if isinstance(found, type) and issubclass(found, Family):
        if shape:
            raise Refusal(
                f"--input {shape} is for modules; {model} is a family, which says itself what it reads. Give --length."
            )
        of_kinds = {Tokens: Tokens(vocab=vocab, length=length), Pairs: Pairs(vocab=vocab, source=length, target=length)}
        io = next((of_kinds[kind] for kind in of_kinds if kind in found.kinds), REFERENCES[found.kinds[0]])
        return built_family(family_at(model, size, io), io), example(io, 1)[0]
    try:
        built = found() if callable(found) and not isinstance(found, nn.Module) else found
    except Exception as error:  # whatever a user's own code may raise
        raise Refusal(f"{model} cannot be built: {in_words(error)}. Give {OUTSIDE}.") from error
    if isinstance(built, tuple) and len(built) == 2 and isinstance(built[0], nn.Module):
        return built[0], built[1]
    if not isinstance(built, nn.Module):
        raise Refusal(f"{model} gives {type(built).__name__}, which is no module. Give {OUTSIDE}.")
    if not shape:
        return built, example(Tokens(vocab=vocab, length=length), 1)[0]
    sizes = [int(number) for number in numbers(shape, "--input")]
    if not sizes or min(sizes) < 1:
        raise Refusal(f"--input {shape} is no shape. Write it like --input 1,3,32,32.")
    return built, torch.randn(sizes, generator=torch.Generator().manual_seed(0))
