"""A user's table of runs on the command line: which file, and which of its columns are N, D, C, the loss and the groups."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from allometry.cli._app import numbers, words

if TYPE_CHECKING:
    import pandas as pd

    from allometry.fit.fits import Fits

Runs = Annotated[Path, typer.Argument(help="A table of runs: .csv, .parquet, .jsonl; or a study's folder.")]
By = Annotated[str | None, typer.Option(help="The column that tells the groups apart. Default: family, where there is one.")]
Parameters = Annotated[str | None, typer.Option("--n", help="The column of parameters. Default: N.")]
Tokens = Annotated[str | None, typer.Option("--d", help="The column of tokens. Default: D.")]
Compute = Annotated[str | None, typer.Option("--c", help="The column of training FLOPs. Default: C, else 6 N D.")]
Loss = Annotated[str | None, typer.Option(help="The column of the loss. Default: loss.")]
Columns = Annotated[
    list[str] | None, typer.Option("--column", help="Another column that a law reads, as U=unique_tokens. Repeatable.")
]

Saved = Annotated[Path, typer.Argument(help="What `allometry fit --save` wrote.")]
Reach = Annotated[float | None, typer.Option(help="How many times beyond the runs may be asked; default: as fitted.")]
OwnLaw = Annotated[
    str | None, typer.Option("--law", help="Your own law once more, where the fit is of one: path/to/file.py:law.")
]


def load(saved: Path, law: str | None, reach: float | None) -> "Fits":
    """Saved fits, with another reach where one is asked."""
    from allometry.fit.saved import load_fits

    fits = load_fits(saved, law)
    return fits if reach is None else fits.reaching(reach)


def read(
    runs: Path,
    by: str | None,
    n: str | None,
    d: str | None,
    c: str | None,
    loss: str | None,
    column: list[str] | None,
) -> "tuple[pd.DataFrame, str | None, dict[str, str]]":
    """The table, the column of its groups, and the names of its columns by role."""
    from allometry.record.store import Folder
    from allometry.record.table import read_table
    from allometry.record.table import table as read_runs

    if runs.is_dir() and not (runs / "runs").is_dir():
        from allometry.flow import Refusal

        raise Refusal(
            f"{runs} is a folder without a study. Give a table of runs (.csv, .parquet, .jsonl) or a study's folder."
        )
    frame = read_runs(Folder(runs)) if runs.is_dir() else read_table(runs)
    columns = {role: name for role, name in (("N", n), ("D", d), ("C", c), ("loss", loss)) if name}
    columns |= pairs(column or (), "--column", "U=unique_tokens")
    return frame, by or ("family" if "family" in frame.columns else None), columns


def pairs(given: Any, option: str, example: str) -> dict[str, str]:
    """`NAME=VALUE` words as a dictionary."""
    from allometry.flow import Refusal

    found = {}
    for word in given:
        name, mark, value = word.partition("=")
        if not (mark and name.strip() and value.strip()):
            raise Refusal(f"{option} {word} is not NAME=VALUE. Write it like {option} {example}.")
        if name.strip() in found:
            raise Refusal(f"{option} gives {name.strip()} twice, {found[name.strip()]} and {value.strip()}. Give it once.")
        found[name.strip()] = value.strip()
    return found


def values(given: Any, option: str, example: str) -> dict[str, float]:
    """`NAME=NUMBER` words as a dictionary."""
    from allometry.flow import Refusal

    written = pairs(given, option, example)
    try:
        return {name: float(value) for name, value in written.items()}
    except ValueError as error:
        raise Refusal(f"{option}: {error}. Write it like {option} {example}.") from error


def place(text: str, option: str, variables: Sequence[str] = ("C",)) -> dict[str, float]:
    """`1e21`, or `N=1e9,D=2e10`, or the same in the order of the law, `1e9:2e10`, as a place."""
    from allometry.flow import Refusal

    given = words(text.replace(":", ","))
    if any("=" in word for word in given):
        if not all("=" in word for word in given):
            raise Refusal(f"{option} {text}: name every variable or none. Write {option} 1e20, or {option} N=1e9,D=2e10.")
        return values(given, option, "N=1e9,D=2e10")
    found = numbers(",".join(given), option)
    if len(found) != len(variables):
        wanted = ",".join(f"{name}=..." for name in variables)
        raise Refusal(f"{option} {text}: one place takes {len(variables)} numbers. Write {wanted}.")
    return dict(zip(variables, found, strict=True))
