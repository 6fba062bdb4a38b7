"""What numbers below 1e-38 cost in training a recurrent network on a CPU: with them, and taken for zero as our workers do.

The standard LSTM of studies/adding.py on rows of 750 numbers, the first 96 steps, each way in a process of its own. Losses are
compared too: what is flushed is too small to move them.

    python benchmarks/denormals.py                      # two minutes
"""

import argparse
import functools
import json
import subprocess
import sys
import time

from _result import keep

STEPS = 96


def trained(flush: bool) -> dict[str, list[float]]:
    """Losses, and seconds of processor for a step, of every 32 steps."""
    import torch

    from allometry import OneLayer, Rmsprop, task
    from allometry.flow import Budget
    from allometry.train.loop import Setting, train

    torch.set_num_threads(1)
    torch.set_flush_denormal(flush)
    torch.manual_seed(0)
    asked = task("adding")(length=750)
    model = OneLayer(cell="lstm", width=128).build(asked.io)
    recipe, budget = Rmsprop(rate=1e-3, points=STEPS // 32), Budget(flops=1.0, steps=STEPS, batch=20)
    found: dict[str, list[float]] = {"loss": [], "seconds": []}
    began = time.process_time()
    for point in train(model, functools.partial(asked.batch, 0), recipe, budget, Setting(), 1.0):
        now = time.process_time()
        found["loss"].append(point.loss)
        found["seconds"].append((now - began) / 32)
        began = now
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--one", choices=["with", "without"], help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        print(json.dumps(trained(asked.one == "without")))
        return
    found = {}
    for way in ("with", "without"):
        done = subprocess.run([sys.executable, __file__, "--one", way], capture_output=True, text=True, check=True)
        found[way] = json.loads(done.stdout.splitlines()[-1])
    slow, fast = (sum(found[way]["seconds"]) for way in ("with", "without"))
    away = max(abs(a - b) for a, b in zip(found["with"]["loss"], found["without"]["loss"], strict=True))
    figures = [
        {"figure": "a step with numbers below 1e-38", "measured": slow / 3 * 1e3, "unit": "ms of processor"},
        {"figure": "a step without", "measured": fast / 3 * 1e3, "unit": "ms of processor"},
        {"figure": "times faster", "measured": slow / fast, "unit": "x"},
        {"figure": "largest difference of a loss", "measured": away, "unit": "squared error"},
    ]
    keep(figures, steps=STEPS, found=found)


if __name__ == "__main__":
    main()
