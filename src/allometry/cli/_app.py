"""The app that the verbs enter, and how every verb reads lists of words and numbers and prints."""

import json
import os
import sys
import time
from collections.abc import Iterable
from typing import Annotated, Any

import typer

BEGAN = time.perf_counter()
app = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,  # plain help, in half the time: boxes load a reader of Markdown
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Measure how neural-network architectures scale: which wins on your data, at your compute, and how surely.",
)
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on standard output, and nothing else there.")]


def words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def numbers(text: str | None, option: str) -> list[float]:
    from allometry.flow import Refusal

    try:
        return [float(word) for word in words(text or "")]
    except ValueError as error:
        raise Refusal(f"{option} {text}: {error}. Give numbers with commas between, such as 2e10,6e10.") from error


WIDE = 10_000  # characters: tables take what they need


def console(stderr: bool = False) -> Any:
    """Where nobody says how wide it is, as in a pipe, lines are as long as they have to be. They are never cropped."""
    from rich.console import Console

    class Whole(Console):
        def print(self, *objects: Any, crop: bool = False, **options: Any) -> None:
            super().print(*objects, crop=crop, **options)

    natural = not stderr and not sys.stdout.isatty() and "COLUMNS" not in os.environ
    return Whole(stderr=stderr, soft_wrap=False, width=WIDE if natural else None)


def show(grids: Iterable[Any], lines: Iterable[str]) -> None:
    """Tables first, then sentences, whole and as they are written."""
    screen = console()
    for grid in grids:
        screen.print(grid)
    for line in lines:
        screen.print(line, highlight=False, markup=False, soft_wrap=True)


def print_json(content: Any) -> None:
    typer.echo(json.dumps(content, allow_nan=False))
