"""How long a user waits before anything happens: the help, the import, and the report of 1,000 stored runs.

    python benchmarks/startup.py           # about 2 minutes; writes results/startup.json

The report is made of a study that this file writes with the package's own writers into a temporary folder. Its plan is
the one that the design makes for seven budgets, five sizes, four families and seven seeds. Its losses follow known laws
with noise. Each run has 50 points, and its end has the held-out documents and the loss by position, as a trained run has.
Wall times are of whole commands in processes of their own, medians of several.
"""

import argparse
import dataclasses
import math
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from _result import keep, under

HELP, REPORT = 0.3, 5.0  # seconds: the bars
FAMILIES = ("transformer", "lstm", "performer", "lightweight_convolution")
BUDGETS = tuple(range(60, 79, 3))  # places on the lattice: 10^10 to 10^13 FLOPs
SEEDS, SIZES, LENGTH, VOCAB = 7, 5, 128, 256
DOCUMENTS, DOCUMENT_BYTES = 64, 190
LAWS = {  # bits per byte = floor + a * (C / 1e10) ** -slope, and how much a size that is off costs
    "transformer": (0.9, 2.0, 0.16),
    "lstm": (0.9, 2.1, 0.13),
    "performer": (0.9, 2.2, 0.15),
    "lightweight_convolution": (0.9, 2.15, 0.14),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=9, help="starts of the help and of the import")
    parser.add_argument("--reports", type=int, default=3, help="starts of the report")
    asked = parser.parse_args()
    help_seconds = timed([sys.executable, "-m", "allometry", "--help"], asked.repeats)
    program = "import sys, allometry; sys.exit('torch' in sys.modules)"  # the exit status says whether torch was loaded
    import_seconds = timed([sys.executable, "-c", program], asked.repeats)
    bare_seconds = timed([sys.executable, "-c", "pass"], asked.repeats)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "study"
        runs = write_study(folder)
        report_seconds = timed([sys.executable, "-m", "allometry", "report", str(folder)], asked.reports)
        page_bytes = (folder / "report.html").stat().st_size
    keep(
        [
            under("allometry --help", help_seconds, "s", HELP),
            {"figure": "import allometry, without torch", "measured": import_seconds, "unit": "s"},
            {"figure": "python -c pass, for comparison", "measured": bare_seconds, "unit": "s"},
            under(f"allometry report of {runs:,} runs", report_seconds, "s", REPORT),
        ],
        runs=runs,
        page_bytes=page_bytes,
        repeats={"help and import": asked.repeats, "report": asked.reports},
    )


def timed(words: list[str], repeats: int) -> float:
    """Median wall seconds of a command, after one start that fills the caches of the disk."""
    seconds = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        done = subprocess.run(words, capture_output=True, text=True, env=os.environ | {"COLUMNS": "100"})
        seconds.append(time.perf_counter() - start)
        if done.returncode:
            raise SystemExit(f"{' '.join(words)} ended with {done.returncode}:\n{done.stderr}")
    return statistics.median(seconds[1:])


def write_study(folder: Path) -> int:
    """Write a study as if it had been run; return how many runs it has."""
    from allometry.flow import Tokens
    from allometry.record.store import Folder, make_folder, write_json
    from allometry.study.design import Shape, frontier_cells, lattice, wall_seconds
    from allometry.study.job import Job, labels
    from allometry.study.plan import Plan, write_plan
    from allometry.study.request import Request

    budgets = tuple(lattice(index) for index in BUDGETS)
    shape = Shape(budgets=len(budgets), seeds=SEEDS, sizes=SIZES, families=FAMILIES)
    io = Tokens(vocab=VOCAB, length=LENGTH)
    prices = {(family, size): priced(family, size, io) for family in FAMILIES for size in range(1, 13)}
    cells = frontier_cells(prices, budgets, shape, LENGTH, 0, 0)
    plan = Plan(
        request=Request(minutes=600.0),
        data="0123456789abcdef",
        vocab=VOCAB,
        length=LENGTH,
        precision="fp32",
        device="cpu",
        jobs=2,
        families=FAMILIES,
        budgets=budgets,
        seeds=SEEDS,
        sizes=SIZES,
        stride=3,
        cells=tuple(cells),
        prices=prices,
        seconds=wall_seconds(cells, 2),
    )
    make_folder(folder)
    write_plan(folder, plan)
    write_json(folder / "clock.json", {"seconds": 35000.0, "parts": {"training stages": 34000.0, "baselines": 3.0}})
    write_json(folder / "commands.json", {"command": plan.request.command(), "title": "a study that was made up"})
    write_json(
        folder / "baselines.json",
        {"baselines": [{"name": name, "note": "made up", "bits_per_byte": bits} for name, bits in BASELINES.items()]},
    )
    store, chance, runs = Folder(folder), random.Random(0), 0
    for cell in cells:
        price = prices[cell.family, cell.size]
        believed = 3e-3 * (cell.N / 1e6) ** -0.3
        for rate in [believed * 2.5 ** (k - (cell.rates - 1) / 2) for k in range(cell.rates)]:
            for seed in cell.seeds:
                job = Job(
                    family=cell.family,
                    size=cell.size,
                    stage=cell.stage,
                    budget=cell.budget,
                    flops=cell.budget,
                    steps=cell.steps,
                    batch=cell.batch,
                    rate=float(f"{rate:.3g}"),
                    seed=seed,
                    vocab=VOCAB,
                    length=LENGTH,
                    data=plan.data,
                    precision=plan.precision,
                    seconds=cell.seconds,
                    labels=labels(cell, price, epochs=cell.D / 2e7),
                )
                write_run(store, job, math.log(rate / believed), chance)
                runs += 1
    return runs


BASELINES = {"n-gram with back-off": 2.1, "xz": 1.9}


def priced(family: str, size: int, io):
    """The counted price of a model, with a made-up speed."""
    from allometry.study.job import family_at
    from allometry.study.price import counted_price
    from allometry.train.meter import count

    spec = family_at(family, size)
    price = counted_price(family, size, spec, io, count(spec, io))
    steps = {b: 1e-3 + b * io.length * price.flops / 3e10 for b in (1, 8)}
    return dataclasses.replace(price, steps=steps, latency=1e-3)


def write_run(store, job, off: float, chance: random.Random) -> None:
    """Store one run: asked, 50 points on the way down, and an end whose documents add up to its loss."""
    from allometry.flow import End, Point

    run, labels = job.run(), job.labels
    floor, scale, slope = LAWS[job.family]
    away = math.log(labels["D"] / labels["N"] / 80) / 4
    bits = (floor + scale * (labels["C"] / 1e10) ** -slope) * (1 + 0.02 * away**2 + 0.03 * off**2)
    bits *= math.exp(chance.gauss(0, 0.004))
    nats = bits * math.log(2)
    store.ask(run, labels)
    seconds = labels["C"] / 3e10
    store.append(
        run.id,
        [
            Point(
                step=job.steps * k // 50,
                examples=job.steps * k // 50 * job.batch,
                tokens=job.steps * k // 50 * job.batch * LENGTH,
                flops=labels["C"] * k / 50,
                seconds=seconds * k / 50,
                loss=nats * (1 + 1.5 * math.exp(-k / 8)) * math.exp(chance.gauss(0, 0.01)),
                metrics={"rate": job.rate * (1 - k / 50)},
            )
            for k in range(1, 51)
        ],
    )
    shares = [nats * DOCUMENT_BYTES * math.exp(chance.gauss(0, 0.2)) for _ in range(DOCUMENTS)]
    scale_to = nats * DOCUMENT_BYTES * DOCUMENTS / sum(shares)
    store.finish(
        run.id,
        End(
            status="done",
            loss=nats,
            bits_per_byte=bits,
            seconds=seconds,
            facts={
                "device": "cpu (made up)",
                "threads": 1,
                "precision": "fp32",
                "versions": {"python": "3.11", "torch": "2.13.0"},
                "revision": "",
                "memory_bytes": 2e8 + 40 * labels["N_all"],
                "document_nats": [round(share * scale_to, 6) for share in shares],
                "document_bytes": [float(DOCUMENT_BYTES)] * DOCUMENTS,
                "position_nats": [round(nats * (1 + 0.5 * math.exp(-place / 8)), 5) for place in range(LENGTH)],
                "wall_seconds": seconds + 1.0,
            },
        ),
    )


if __name__ == "__main__":
    main()
