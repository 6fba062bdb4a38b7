"""Verbs that train, and that read what was trained: compare, run, status, report, calibrate."""

import signal
from pathlib import Path
from typing import Annotated, Any

import typer

from allometry.cli._app import BEGAN, Json, app, console, numbers, print_json, words


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
    objective: Annotated[
        str, typer.Option(help="causal: predict the next token; span: encoder-decoders fill in missing spans (T5).")
    ] = "causal",
    scale: Annotated[str, typer.Option(help="What grows with the size: both, width or depth.")] = "both",
    downstream: Annotated[
        str | None,
        typer.Option(help="Labelled sets to fine-tune on: files with text and label, stdlib:operands, :arguments, :names."),
    ] = None,
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
        families=tuple(words(families)) if families else FOUR,
        minutes=minutes if minutes is not None or flops else 5.0,
        flops=tuple(numbers(flops, "--flops")),
        protocol=protocol,
        objective=objective,
        scale=scale,
        downstream=tuple(words(downstream)) if downstream else (),
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
    study: Annotated[
        Path,
        typer.Argument(help="A Python file that sets `study` to an allometry.Request or Experiment, or to several by name."),
    ],
    out: Annotated[
        Path | None, typer.Option(help="The study's folder. Default: allometry-studies/<name of the file>.")
    ] = None,
    part: Annotated[str | None, typer.Option(help="Of several studies in the file, this one alone.")] = None,
    minutes: Annotated[float | None, typer.Option(help="Instead of the file's minutes.")] = None,
    jobs: Annotated[int | None, typer.Option(help="Runs at the same time, instead of the file's.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan and its price; train nothing.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
    as_json: Json = False,
) -> None:
    """Run a study file. It resumes by itself."""
    from allometry.find import load_file
    from allometry.flow import Refusal
    from allometry.study.experiment import Experiment
    from allometry.study.request import Request

    if not study.is_file():
        raise Refusal(
            f"There is no file {study}. Give a Python file that sets `study` to an allometry.Request or Experiment."
        )
    found, folder = load_file(study, "study", f"{study}:study"), out or Path("allometry-studies") / study.stem
    if isinstance(found, dict):
        if not found or part not in (None, *found):
            raise Refusal(f"{study} has no part {part or 'to run'}. It has: {', '.join(map(str, found)) or 'none'}.")
        chosen = {folder / name: one for name, one in found.items() if part in (None, name)}
    elif part is not None:
        raise Refusal(f"{study} is one study and has no part {part}. Leave out --part.")
    else:
        chosen = {folder: found}
    for request in chosen.values():  # all of them, before the first one trains
        if not isinstance(request, Request | Experiment):
            raise Refusal(
                f"{study} sets `study` to a {type(request).__name__}. It must be an allometry.Request or Experiment."
            )
        if isinstance(request, Experiment) and minutes is not None:
            raise Refusal("An experiment trains the steps that its arms say. Leave out --minutes; --dry-run says how long.")
    for place, request in chosen.items():
        if isinstance(request, Experiment):
            _experiment(request if jobs is None else request.edit(jobs=jobs), place, study, dry_run, quiet, as_json)
            continue
        if minutes is not None:
            request = request.edit(minutes=minutes, flops=())
        if jobs is not None:
            request = request.edit(jobs=jobs)
        _study(request, place, None, dry_run, quiet, as_json)


@app.command()
def status(folder: Annotated[Path, typer.Argument(help="A study's folder.")], as_json: Json = False) -> None:
    """How far a study is: runs done, diverged, failed and waiting, per family and stage."""
    from allometry.record.status import status as read_status

    content = read_status(folder)
    if as_json:
        print_json(content)
    else:
        from allometry.report.study_tables import status_table

        screen = console()
        screen.print(status_table(content["families"]))
        screen.print(content["text"], highlight=False)


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
    """Write the report of a study or an experiment from its record; trains nothing."""
    from allometry.record.status import is_experiment
    from allometry.record.store import Folder
    from allometry.record.table import table as read_runs
    from allometry.record.table import write_table
    from allometry.report.write import write_report

    if table:
        write_table(read_runs(Folder(folder)), table)
    if is_experiment(folder):
        _show_experiment(folder, out, as_json)
        return
    bundle, page = write_report(folder, out, target)
    if as_json:
        print_json(bundle["answer"] | {"report": str(page.resolve())})
    else:
        _show_answer(bundle, page)


@app.command()
def calibrate(
    family: Annotated[
        str, typer.Option(help="The architecture that is copied: a name, or path/to/file.py:Class.")
    ] = "lightweight_convolution",
    studies: Annotated[int, typer.Option(help="Studies of each kind.")] = 20,
    bill: Annotated[float, typer.Option(help="What the worse copy is charged, in times the FLOPs that it takes.")] = 1.5,
    data: Annotated[str, typer.Option("--data", help="Files with commas between, or stdlib.")] = "stdlib",
    flops: Annotated[str | None, typer.Option(help="Training FLOPs of each budget. Default: the four smallest.")] = None,
    length: Annotated[int, typer.Option(help="Tokens in a sequence.")] = 64,
    batch: Annotated[int, typer.Option(help="Sequences in a step, at every budget.")] = 4,
    seeds: Annotated[int, typer.Option(help="Scored seeds of each cell.")] = 1,
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
    asked = {"family": family, "studies": studies, "times": bill, "length": length, "batch": batch, "seeds": seeds}
    budgets = tuple(numbers(flops, "--flops"))
    table = run_calibration(out, quiet=quiet, sources=tuple(words(data)), flops=budgets, device=device, jobs=jobs, **asked)
    from allometry.report.calibration import studies_table, summary, summary_table

    rows = table.to_dict("records")
    if as_json:
        from allometry.fit.plain import plain

        print_json({"summary": summary(rows), "studies": plain(rows), "folder": str(out.resolve())})
        return
    screen = console()
    screen.print(studies_table(rows))
    screen.print(summary_table(rows))


def _study(request: Any, out: Path, target: float | None, dry_run: bool, quiet: bool, as_json: bool) -> None:
    from allometry.api import cache
    from allometry.progress import listener
    from allometry.report.write import write_report
    from allometry.study.run import run_study

    signal.signal(signal.SIGINT, signal.default_int_handler)  # from here on Ctrl-C ends bars and workers in good order
    screen = console(stderr=as_json)
    with listener(screen, quiet) as told:
        plan = run_study(request, out, told, dry_run=dry_run, cache=cache(), began=BEGAN)
    if dry_run:
        if as_json:
            print_json(plan.to_json())
        elif not quiet:
            from allometry.report.gather import plan_rows
            from allometry.report.study_tables import plan_table

            screen.print(plan_table(plan_rows(plan.to_json())))
        return
    bundle, page = write_report(out, None, target)
    if as_json:
        print_json(bundle["answer"] | {"report": str(page.resolve()), "folder": str(out.resolve())})
    else:
        _show_answer(bundle, page)


def _experiment(experiment: Any, out: Path, file: Path, dry_run: bool, quiet: bool, as_json: bool) -> None:
    from allometry.progress import listener
    from allometry.study.run_experiment import run_experiment

    signal.signal(signal.SIGINT, signal.default_int_handler)
    screen = console(stderr=as_json)
    with listener(screen, quiet) as told:
        rows = run_experiment(experiment, out, told, dry_run=dry_run, file=file)
    if not dry_run:
        _show_experiment(out, None, as_json)
    elif as_json:
        print_json(rows)
    elif not quiet:
        from allometry.report.study_tables import arms_table

        screen.print(arms_table(rows))


def _show_experiment(folder: Path, out: Path | None, as_json: bool) -> None:
    from allometry.report.experiment import write_experiment
    from allometry.report.experiment_page import verdict_lines
    from allometry.report.experiment_tables import arm_tables

    bundle, page = write_experiment(folder, out)
    if as_json:
        print_json(bundle | {"report": str(page.resolve()), "folder": str(folder.resolve())})
        return
    screen = console()
    for grid, _ in arm_tables(bundle["arms"]):
        screen.print(grid)
    typer.echo(f"Report: {page.resolve()}")
    for line in verdict_lines(bundle):
        typer.echo(line)


def _show_answer(bundle: dict[str, Any], page: Path) -> None:
    from allometry.report.tables import answer_lines, frontier_table, pairs_table, target_table
    from allometry.report.transfer_tables import alphas_table, downstream_table

    screen, answer = console(), bundle["answer"]
    screen.print(frontier_table(answer))
    screen.print(pairs_table(answer))
    if bundle["downstream"]:
        screen.print(downstream_table(bundle["downstream"]))
    if bundle["downstream"] or answer.get("protocol") == "fixed-tokens":
        screen.print(alphas_table(bundle["alphas"]))
    if answer.get("target"):
        screen.print(target_table(answer))
    typer.echo(f"Report: {page.resolve()}")
    for line in answer_lines(answer):
        typer.echo(line)
