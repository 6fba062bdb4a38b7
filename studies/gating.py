"""Trained capacity: how many of the Boolean functions that a gate can realise does gradient descent find, and how soon?

    python studies/gating.py --out studies/results/gating       # 8 minutes of one core; started again, it goes on where it stopped

What a circuit can realise is known exactly (`docs/gates.md`). Whether training gets there is another question, which the theory of
capacity leaves open. Every function is a task of its own: all rows of its table, a logistic loss, Adam on soft thresholds. The
circuit is judged with hard ones, and has found the function when every row is right. All functions and restarts are trained at
once, as copies.

n = 3: towards all 256 functions; counted are those that a circuit realises. n = 4: 256 drawn from these, and 128 drawn from those
that all circuits with two units realise. 16 restarts of each. The rate is chosen for each circuit among five, on other restarts.
Two ungated circuits stand for the standard model: two units whose sum is thresholded, with exactly the parameters of output gating,
and multiplexing, with one more.

Expected, written before the first run:

1. n = 3: 16 restarts find at least 95 % of the functions of every gated circuit.
2. n = 4, on the functions that all realise: one run of output gating in -1/+1 finds more than one of two summed units, which learn
   as many numbers.
3. The same: output gating in 0/1 finds fewer than in -1/+1, as a closed gate stops the gradient of what it gates.
4. n = 4, each of its own functions: one run of multiplexing finds a smaller share than one of output gating in -1/+1, its path
   being longer.
5. n = 4: 16 restarts lose less than one bit: every circuit finds more than half of its functions.
6. n = 4, on the functions that all realise: half of the runs of output gating in -1/+1 are there in fewer steps than half of those
   of two summed units.
"""

import argparse
import functools
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _gating_circuits import FIXED, KINDS, SHARPNESS, Kind
from _gating_report import written
from numpy import ndarray
from rich.progress import Progress

from allometry.model.gates.neurons import hardened
from allometry.spec import content_id

RATES = (0.01, 0.03, 0.1, 0.3, 1.0)  # Adam's
STEPS = {3: 2000, 4: 2500}
RESTARTS, TUNING_RESTARTS = 16, 4
OWN, COMMON, TUNING = 256, 128, 96  # functions drawn where there are more; at n = 3 all, and for tuning so many
CHECK = 10  # steps between two looks at the hard circuit
FLOOR = 1e-6  # of a probability
SEED = 0


def train(
    kind: Kind, n: int, tables: ndarray, rate: float, restarts: int, steps: int, seed: int, tick: Callable[[int], None]
) -> tuple[ndarray, ndarray]:
    """Steps until each restart's hard circuit first computes its function, -1 where it never did; and what it computes at the end.

    Both [restarts functions].
    """
    if steps % CHECK:
        raise ValueError(f"steps={steps}: the end is looked at if it is a multiple of {CHECK}.")
    torch.manual_seed(seed)
    bits = np.arange(2**n)
    x = 2.0 * (torch.arange(2**n)[:, None] >> torch.arange(n) & 1) - 1
    target = torch.from_numpy(tables[:, None] >> bits & 1).float()
    model = kind.build(n, (restarts, len(tables)))
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], rate, fused=True)
    first = torch.full((restarts, len(tables)), -1)
    for step in range(steps + 1):
        if step % CHECK == 0:
            with torch.no_grad():
                hard = outputs(kind, hardened(model), x)
            first[(hard == target).all(-1) & (first < 0)] = step
            tick(CHECK)
        true = FLOOR + (1 - 2 * FLOOR) * outputs(kind, model, x)
        loss = -torch.where(target > 0, true, 1 - true).log().mean(-1).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return first.numpy(), (hard.long().numpy() << bits).sum(-1)


def outputs(kind: Kind, model: torch.nn.Module, x: torch.Tensor) -> torch.Tensor:
    """The probability of true, [restarts functions rows]: 0 or 1 of a hard circuit."""
    return (model(x)[..., 0] - kind.low) / (1 - kind.low)


def drawn(tables: ndarray, number: int, seed: int) -> ndarray:
    """So many of the functions, each once."""
    return np.sort(np.random.default_rng(seed).choice(tables, min(number, len(tables)), replace=False))


@functools.cache
def common(n: int) -> ndarray:
    """Functions that all circuits with two units realise."""
    return functools.reduce(np.intersect1d, (kind.tables(n) for kind in KINDS[1:]))


def tuned(kind: Kind, n: int, tick: Callable[[int], None]) -> dict[str, Any]:
    """The share of runs that find their function, for each rate; the best rate, and of equal ones the faster."""
    tables, found = drawn(kind.tables(n), TUNING, SEED + 1), {}
    for rate in RATES:
        first, _ = train(kind, n, tables, rate, TUNING_RESTARTS, STEPS[n], SEED + 2, tick)
        found[str(rate)] = float((first >= 0).mean()), float(np.where(first < 0, STEPS[n], first).mean())
    best = max(RATES, key=lambda rate: (found[str(rate)][0], -found[str(rate)][1]))
    return {"rate": best, "rates": found}


def measured(kind: Kind, n: int, tick: Callable[[int], None]) -> dict[str, Any]:
    """All that is asked of one circuit."""
    own, shared = kind.tables(n), common(n)
    tables = np.arange(1 << 2**n) if n == 3 else np.concatenate([drawn(own, OWN, SEED + 3), drawn(shared, COMMON, SEED + 4)])
    rate = tuned(kind, n, tick)
    first, reached = train(kind, n, tables, rate["rate"], RESTARTS, STEPS[n], SEED + 5, tick)
    inside = np.isin(tables, own)
    assert not (first[:, ~inside] >= 0).any()
    return rate | {
        "realised": len(own),
        "shared": len(shared),
        "outside": int((~np.isin(reached, own)).sum()),  # functions that the theory says it cannot compute: has to be 0
        "at_the_end": float((reached == tables)[:, inside].sum() / max(1, (first >= 0)[:, inside].sum())),
        "parts": {
            name: {"tables": tables[rows].tolist(), "first": first[:, rows].tolist()}
            for name, rows in (
                ("own", inside if n == 3 else np.arange(len(tables)) < OWN),
                ("common", (np.isin(tables, shared) & inside) if n == 3 else np.arange(len(tables)) >= OWN),
            )
        },
    }


def asked(kind: Kind, n: int) -> dict[str, Any]:
    """What a stored part answers: another question is measured again."""
    return {
        "circuit": kind.name,
        "inputs": n,
        "numbers": kind.learned(n),
        "rates": RATES,
        "steps": STEPS[n],
        "restarts": [RESTARTS, TUNING_RESTARTS],
        "drawn": [OWN, COMMON, TUNING],
        "check": CHECK,
        "floor": FLOOR,
        "sharpness": [SHARPNESS, FIXED],
        "seed": SEED,
    }


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--out", type=Path, default=Path("studies/results/gating"))
    folder = words.parse_args().out
    folder.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    found = []
    with Progress() as progress:
        total = sum((len(RATES) + 1) * (STEPS[n] + CHECK) for n in STEPS for _ in KINDS)
        bar = progress.add_task("", total=total)
        for n in STEPS:
            for kind in KINDS:
                progress.update(bar, description=f"n = {n}, {kind.name}")
                question = json.loads(json.dumps(asked(kind, n)))
                path = folder / "parts" / f"{content_id(question)}.json"
                if path.exists():
                    progress.advance(bar, (len(RATES) + 1) * (STEPS[n] + CHECK))
                else:
                    began = time.process_time()
                    answer = measured(kind, n, lambda steps: progress.advance(bar, steps))
                    part = {"asked": question, **answer, "seconds": round(time.process_time() - began, 1)}
                    path.parent.mkdir(exist_ok=True)
                    path.with_suffix(".part").write_text(json.dumps(part) + "\n")
                    path.with_suffix(".part").replace(path)
                found.append(json.loads(path.read_text()))
    (folder / "report.md").write_text(written(found))
    print(f"{folder}/report.md")


if __name__ == "__main__":
    main()
