"""The text column of a table: CSV, Parquet, or a data set of the Hugging Face hub."""

import contextlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from allometry.flow import Refusal


def column_text(path: Path, column: str | None, required: bool) -> Iterable[str] | None:
    """The texts of a column; with no column named, of the only one that holds text.

    None where there is no such column and the table is not `required`: a folder of text may hold tables of numbers.
    """
    import pandas as pd
    import pyarrow as pa
    import pyarrow.parquet as pq

    with _unreadable(path):
        if path.suffix.lower() == ".parquet":
            schema = pq.read_schema(path)
            strings = [f.name for f in schema if pa.types.is_string(f.type) or pa.types.is_large_string(f.type)]
            columns = list(schema.names)
        else:
            head = pd.read_csv(path, nrows=1000)
            columns = [str(name) for name in head.columns]
            filled = head.dropna(axis="columns", how="all")
            strings = [str(name) for name in filled.columns if pd.api.types.is_string_dtype(filled[name])]
        if column is None and len(strings) != 1 and not required:
            return None
        chosen = choose(str(path), columns, strings, column)
        if path.suffix.lower() == ".parquet":
            return [str(value) for value in pq.read_table(path, columns=[chosen])[chosen].to_pylist() if value is not None]
        return pd.read_csv(path, usecols=[chosen], dtype=str, keep_default_na=False)[chosen].tolist()


def table_rows(path: Path, needed: list[str], wanted: list[str]) -> list[dict[str, Any]]:
    """The rows of a table with the columns needed and those of the wanted that it has; all its columns if one is missing."""
    import pandas as pd
    import pyarrow.parquet as pq

    with _unreadable(path):
        parquet = path.suffix.lower() == ".parquet"
        columns = pq.read_schema(path).names if parquet else [str(name) for name in pd.read_csv(path, nrows=0).columns]
        chosen = [name for name in columns if name in needed + wanted] if set(needed) <= set(columns) else columns
        if parquet:
            return pq.read_table(path, columns=chosen).to_pylist()
        frame = pd.read_csv(path, usecols=chosen, dtype=str, keep_default_na=False)
        return [dict(zip(frame.columns, row, strict=True)) for row in frame.itertuples(index=False, name=None)]


@contextlib.contextmanager
def _unreadable(path: Path) -> Iterator[None]:
    """Turn the faults of a table into a Refusal."""
    import pandas as pd
    import pyarrow as pa

    try:
        yield
    except Refusal:
        raise
    except (pa.ArrowException, pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError, OSError) as error:
        raise Refusal(
            f"{path} cannot be read as a table: {str(error).splitlines()[0]}. Mend the file, or leave it out."
        ) from error


def hub_text(datasets: Any, name: str, column: str | None) -> Iterable[str]:
    """The texts of the training split of a data set, by the `datasets` library that the caller has imported."""
    try:
        data = datasets.load_dataset(name, split="train")
    except Exception as error:  # the library raises many kinds: no network, no such name, a gate, a bad file
        first = (str(error).splitlines() or [""])[0]
        raise Refusal(
            f"hf:{name} cannot be loaded: {type(error).__name__}: {first}. Check the name and the network."
        ) from error
    strings = [key for key, feature in data.features.items() if getattr(feature, "dtype", "") in ("string", "large_string")]
    chosen = choose(f"hf:{name}", list(data.features), strings, column)
    return (str(value) for value in data[chosen] if value is not None)


def choose(place: str, columns: list[str], strings: list[str], column: str | None) -> str:
    """The column that is meant, or a Refusal that lists what there is."""
    if column is not None:
        if column not in columns:
            raise Refusal(f"{place} has no column '{column}'. It has: {', '.join(columns)}.")
        return column
    if len(strings) != 1:
        have = f"{len(strings)} columns of text" if strings else "no column of text"
        raise Refusal(f"{place} has {have}. Name one with --text-column; it has: {', '.join(columns)}.")
    return strings[0]
