"""The verbs of the command. Each imports what it needs when it is called, so that `allometry --help` is quick."""

import json
import signal
import time
from pathlib import Path
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
FOLDERS = ("tasks", "families", "blocks", "laws")
PACKAGES = {
    "tasks": "allometry.data",
    "families": "allometry.model.families",
    "blocks": "allometry.model.blocks",
    "laws": "allometry.fit.laws",
}


@app.command()
def compare(
    data: Annotated[
        list[str] | None, typer.Argument(help="Files or folders of text, .jsonl, .csv, .parquet, or hf:name.")
    ] = None,
    data_option: Annotated[
        str | None, typer.Option("--data", help="stdlib: the source of Python's standard library.")
    ] = None,
    families: Annotated[str | None, typer.Option(help="Names, or path/to/file.py:Class, with commas between.")] = None,
    minutes: Annotated[float | None, typer.Option(help="Wall time for all of it. Default 5.")] = None,
    flops: Annotated[str | None, typer.Option(help="Training FLOPs of each budget instead: 2e10,6e10,2e11,6e11.")] = None,
    protocol: Annotated[str, typer.Option(help="frontier, or fixed-tokens: every size on the same tokens.")] = "frontier",
    target: Annotated[
        float | None, typer.Option(help="FLOPs: what to train at this budget, and what loss to expect.")
    ] = None,
    length: Annotated[int, typer.Option(help="Tokens in a sequence. 0: by the time given.")] = 0,
    batch: Annotated[int, typer.Option(help="Sequences in a step. 0: follows the budget.")] = 0,
    seeds: Annotated[int, typer.Option(help="Scored seeds of each cell. 0: as many as the time carries.")] = 0,
    sizes: Annotated[int, typer.Option(help="Sizes at each budget. 0: as many as the time carries.")] = 0,
    tokenizer: Annotated[str, typer.Option(help="bytes, or bpe:4096.")] = "bytes",
    text_key: Annotated[str, typer.Option(help="The key of the text in .jsonl.")] = "text",
    text_column: Annotated[str | None, typer.Option(help="The column of the text in .csv and .parquet.")] = None,
    precision: Annotated[str, typer.Option(help="auto, fp32 or bf16.")] = "auto",
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    jobs: Annotated[int, typer.Option(help="Runs at the same time. 0: one for each core, one on a GPU.")] = 0,
    seed: Annotated[int, typer.Option(help="The first scored seed.")] = 0,
    out: Annotated[
        Path | None, typer.Option(help="The study's folder. Default: one for each question, under allometry-studies/.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan and its price; train nothing.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
    as_json: Json = False,
) -> None:
    """Compare architectures on your data: design, run, fit, report.

    The same command with more minutes goes on where it was.
    """
    from allometry.study.request import FOUR, Request

    request = Request(
        sources=(*(data or ()), *([data_option] if data_option else ())) or ("stdlib",),
        families=tuple(_words(families)) if families else FOUR,
        minutes=minutes if minutes is not None or flops else 5.0,
        flops=tuple(_numbers(flops, "--flops")),
        protocol=protocol,
        length=length,
        batch=batch,
        seeds=seeds,
        sizes=sizes,
        tokenizer=tokenizer,
        text_key=text_key,
        text_column=text_column,
        precision=precision,
        device=device,
        jobs=jobs,
        seed=seed,
    )
    from allometry.api import default_folder

    _study(request, out or default_folder(request), target, dry_run, quiet, as_json)


@app.command()
def run(
    study: Annotated[Path, typer.Argument(help="A Python file that sets `study` to an allometry.Request.")],
    out: Annotated[
        Path | None, typer.Option(help="The study's folder. Default: allometry-studies/<name of the file>.")
    ] = None,
    minutes: Annotated[float | None, typer.Option(help="Instead of the file's minutes.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan and its price; train nothing.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
    as_json: Json = False,
) -> None:
    """Run a study file. It resumes by itself."""
    from allometry.find import load_file
    from allometry.flow import Refusal
    from allometry.study.request import Request

    if not study.is_file():
        raise Refusal(f"There is no file {study}. Give a Python file that sets `study` to an allometry.Request.")
    request = load_file(study, "study", f"{study}:study")
    if not isinstance(request, Request):
        raise Refusal(f"{study} sets `study` to a {type(request).__name__}. It must be an allometry.Request.")
    if minutes is not None:
        request = request.edit(minutes=minutes, flops=())
    _study(request, out or Path("allometry-studies") / study.stem, None, dry_run, quiet, as_json)


@app.command()
def calibrate(
    family: Annotated[
        str, typer.Option(help="The architecture that is copied: a name, or path/to/file.py:Class.")
    ] = "transformer",
    studies: Annotated[int, typer.Option(help="Studies of each kind.")] = 20,
    bill: Annotated[float, typer.Option(help="What the worse copy is charged, in times the FLOPs that it takes.")] = 1.5,
    data: Annotated[str, typer.Option("--data", help="Files with commas between, or stdlib.")] = "stdlib",
    flops: Annotated[str | None, typer.Option(help="Training FLOPs of each budget. Default: the four smallest.")] = None,
    length: Annotated[int, typer.Option(help="Tokens in a sequence.")] = 64,
    seeds: Annotated[int, typer.Option(help="Scored seeds of each cell.")] = 2,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
    jobs: Annotated[int, typer.Option(help="Runs at the same time. 0: one for each core, one on a GPU.")] = 0,
    out: Annotated[Path, typer.Option(help="The folder of the studies.")] = Path("allometry-studies/calibration"),
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
    as_json: Json = False,
) -> None:
    """Plant effects whose size is known and see what the instrument finds: about a minute a study on two cores.

    Half of the studies compare two equal families, which no study may tell apart; in the others a copy is billed more FLOPs
    than it takes. All of it goes through the real pipeline, tuning included. The same command again goes on where it was.
    """
    from allometry.api import calibrate as run_calibration

    signal.signal(signal.SIGINT, signal.default_int_handler)
    asked = {"family": family, "studies": studies, "times": bill, "length": length, "seeds": seeds, "device": device}
    budgets = tuple(_numbers(flops, "--flops"))
    table = run_calibration(out, quiet=quiet, sources=tuple(_words(data)), flops=budgets, jobs=jobs, **asked)
    from allometry.report.calibration import studies_table, summary, summary_table

    rows = table.to_dict("records")
    if as_json:
        from allometry.fit.plain import plain

        _print_json({"summary": summary(rows), "studies": plain(rows), "folder": str(out.resolve())})
        return
    console = _console()
    console.print(studies_table(rows))
    console.print(summary_table(rows))


@app.command()
def status(folder: Annotated[Path, typer.Argument(help="A study's folder.")], as_json: Json = False) -> None:
    """How far a study is: runs done, diverged, failed and waiting, per family and stage."""
    from allometry.record.status import status as read_status

    content = read_status(folder)
    if as_json:
        _print_json(content)
    else:
        from allometry.report.study_tables import status_table

        console = _console()
        console.print(status_table(content["families"]))
        console.print(content["text"], highlight=False)


@app.command()
def report(
    folder: Annotated[Path, typer.Argument(help="A study's folder.")],
    out: Annotated[Path | None, typer.Option(help="Where the page goes. Default: report.html in the folder.")] = None,
    table: Annotated[Path | None, typer.Option(help="Write the table of runs too: .csv, .parquet or .jsonl.")] = None,
    target: Annotated[
        float | None, typer.Option(help="FLOPs: what to train at this budget, and what loss to expect.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Write the report of a study from its record; trains nothing."""
    from allometry.record.store import Folder
    from allometry.record.table import table as read_runs
    from allometry.record.table import write_table

    bundle, page = _report(folder, out, target)
    if table:
        write_table(read_runs(Folder(folder)), table)
    if as_json:
        _print_json(bundle["answer"] | {"report": str(page.resolve())})
    else:
        _show_answer(bundle, page)


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
        _print_json(rows)
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
        _print_json(content)
        return
    from allometry.report.study_tables import facts_table

    _console().print(facts_table(f"{spec!r}", content | {"spec": repr(spec)}))


@app.command()
def fit(
    runs: Annotated[Path, typer.Argument(help="A table of runs: .csv, .parquet, .jsonl; or a study's folder.")],
    law: Annotated[str, typer.Option(help="power, power_floor or chinchilla.")] = "power_floor",
    by: Annotated[str | None, typer.Option(help="The column that tells the groups apart, for one fit each.")] = None,
    n: Annotated[str | None, typer.Option(help="The column of parameters. Default: N.")] = None,
    d: Annotated[str | None, typer.Option(help="The column of tokens. Default: D.")] = None,
    c: Annotated[str | None, typer.Option(help="The column of training FLOPs. Default: C.")] = None,
    loss: Annotated[str | None, typer.Option(help="The column of the loss. Default: loss.")] = None,
    predict: Annotated[str | None, typer.Option(help="Predict at FLOPs (or N:D for chinchilla), commas between.")] = None,
    as_json: Json = False,
) -> None:
    """Fit a scaling law to a table of runs, with intervals."""
    from allometry.fit.estimate import fit as fit_law
    from allometry.record.store import Folder
    from allometry.record.table import read_table
    from allometry.record.table import table as read_runs

    frame = read_runs(Folder(runs)) if runs.is_dir() else read_table(runs)
    columns = {role: name for role, name in (("N", n), ("D", d), ("C", c), ("loss", loss)) if name}
    group = by or ("family" if "family" in frame.columns else None)
    fits = fit_law(frame, law=law, by=group, columns=columns or None)
    content: dict[str, Any] = fits.to_json()
    if predict:
        content["predictions"] = [_predicted(fit, word) for fit in fits for word in _words(predict)]
    if as_json:
        _print_json(content)
        return
    from allometry.report.tables import fits_table

    console = _console()
    console.print(fits_table(content["fits"]))
    for row in content.get("predictions", []):
        group_name = f"{row['group']} " if row["group"] else ""
        console.print(
            f"{group_name}at {row['at']}: {row['value']:.4f} ({row['low']:.4f} to {row['high']:.4f})", highlight=False
        )


def _predicted(fit: Any, word: str) -> dict[str, Any]:
    place = [value for part in word.split(":") for value in _numbers(part, "--predict")]
    value, low, high = fit.predict(*place)
    return {"group": fit.group, "at": word, "value": value, "low": low, "high": high}


def _study(request: Any, out: Path, target: float | None, dry_run: bool, quiet: bool, as_json: bool) -> None:
    from allometry.api import cache
    from allometry.progress import listener
    from allometry.study.run import run_study

    signal.signal(signal.SIGINT, signal.default_int_handler)  # from here on Ctrl-C ends bars and workers in good order
    console = _console(stderr=as_json)
    with listener(console, quiet) as told:
        plan = run_study(request, out, told, dry_run=dry_run, cache=cache(), began=BEGAN)
    if dry_run:
        if as_json:
            _print_json(plan.to_json())
        elif not quiet:
            from allometry.report.gather import plan_rows
            from allometry.report.study_tables import plan_table

            console.print(plan_table(plan_rows(plan.to_json())))
        return
    bundle, page = _report(out, None, target)
    if as_json:
        _print_json(bundle["answer"] | {"report": str(page.resolve()), "folder": str(out.resolve())})
    else:
        _show_answer(bundle, page)


def _report(folder: Path, out: Path | None, target: float | None) -> tuple[dict[str, Any], Path]:
    from allometry.record.store import write_text
    from allometry.report.gather import bundle as gather
    from allometry.report.page import render

    bundle = gather(folder, target=target)
    page = out or folder / "report.html"
    write_text(page, render(bundle))
    return bundle, page


def _show_answer(bundle: dict[str, Any], page: Path) -> None:
    from allometry.report.tables import answer_lines, frontier_table, pairs_table, target_table

    console, answer = _console(), bundle["answer"]
    console.print(frontier_table(answer))
    console.print(pairs_table(answer))
    if answer.get("target"):
        console.print(target_table(answer))
    typer.echo(f"Report: {page.resolve()}")
    for line in answer_lines(answer):
        typer.echo(line)


def _described(name: str, kind: Any) -> dict[str, Any]:
    import importlib

    text = (importlib.import_module(kind.__module__).__doc__ or "").strip().split("\n")[0]
    return {"name": name, "source": text, "claims": sorted(getattr(kind, "claims", ()))}


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _numbers(text: str | None, option: str) -> list[float]:
    from allometry.flow import Refusal

    try:
        return [float(word) for word in _words(text or "")]
    except ValueError as error:
        raise Refusal(f"{option} {text}: {error}. Give numbers with commas between, such as 2e10,6e10.") from error


def _console(stderr: bool = False) -> Any:
    from rich.console import Console

    return Console(stderr=stderr, soft_wrap=False)


def _print_json(content: Any) -> None:
    typer.echo(json.dumps(content, allow_nan=False))
