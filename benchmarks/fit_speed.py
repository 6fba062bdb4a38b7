"""Speed of fitting against the package `chinchilla` 0.2.0, on its own 234 points and its own start grid.

    python benchmarks/fit_speed.py --peer-python /path/to/venv/bin/python [--data ../shared/data/scaling_runs/kyo_takano/df.csv]

The peer: 3,125 starts, its own loss, no resamples, as many processes as it takes (it starts one for each core). Ours, in one
process: the 4,500 starts of Hoffmann et al. under our criterion, all of them under its criterion (variable projection solves
coefficients, so the 4,500 are 25 pairs of exponents), then 1,000 resamples of runs. Then the proof that few starts do: in each
of 100 resamples the starts of the whole grid of exponents and the one that is used end in the same minimum.

The bar: ours in less than a tenth of the peer's time, at an equal or lower objective under both criteria.
"""

import argparse
import json
import os
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from _result import keep, under

from allometry.fit.criterion import Criterion
from allometry.fit.laws.chinchilla import Chinchilla
from allometry.fit.solve import descend, project
from allometry.fit.solve.pose import pose

ROOT = Path(__file__).parents[1]
HUBER = Criterion(delta=1e-3)
THEIRS = Criterion(delta=0, over=10, of="loss")
RESAMPLES, PROOFS = 1000, 100

# The start grid of examples/llm of the peer: five values for each parameter.
PEER = """
import json, sys, time
import numpy as np, pandas as pd
from chinchilla import Chinchilla
class Silent:
    def __getattr__(self, name):
        return lambda *args, **kwargs: None
if __name__ == "__main__":
    table = pd.read_csv(sys.argv[1])
    grid = dict(
        E=np.linspace(1.4, 2.0, 5), a=np.linspace(1, 10, 5), b=np.linspace(1, 10, 5),
        alpha=np.linspace(0.1, 0.7, 5), beta=np.linspace(0.1, 0.7, 5),
    )
    model = Chinchilla(sys.argv[2], param_grid=grid, log_level=40)
    model.visualizer = Silent()
    model.database.df = table[["C", "N", "D", "loss"]]
    begin = time.perf_counter()
    model.fit()
    seconds = time.perf_counter() - begin
    values = {name: float(getattr(model, name)) for name in ("E", "A", "B", "alpha", "beta")}
    print(json.dumps({"seconds": seconds, "values": values, "starts": 3125}))
"""


def peer(python: str, data: Path) -> dict:
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "peer.py"
        script.write_text(PEER)
        words = [python, str(script), str(data), str(Path(folder) / "project")]
        done = subprocess.run(words, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
    if done.returncode:
        raise SystemExit(done.stderr[-2000:])
    return json.loads(done.stdout.strip().splitlines()[-1])


def hoffmann() -> np.ndarray:
    """The exponents of the 4,500 starts; each stands for the 180 starts that differ in coefficients alone."""
    axis = np.array([0.0, 0.5, 1.0, 1.5, 2.0])
    return np.stack([level.ravel() for level in np.meshgrid(axis, axis, indexing="ij")], axis=1)


def from_grid(model, loss, weights, grid):
    """Every start of the grid followed to its minimum, for one data set."""
    coefficients = project.nonnegative(*(part[0] for part in project.grams(model, loss[None], weights[None], grid)))[0]
    many = np.repeat(loss[None], len(grid), axis=0), np.repeat(weights[None], len(grid), axis=0)
    return descend.refine(model, *many, coefficients, grid, steps=300)


def all_starts(model, loss):
    """The 4,500 starts as they are, coefficients included: the check that projecting them loses nothing."""
    exponents = [0.0, 0.5, 1.0, 1.5, 2.0]
    axes = [
        [-1.0, -0.5, 0.0, 0.5, 1.0],
        [0.0, 5.0, 10.0, 15.0, 20.0, 25.0],
        [0.0, 5.0, 10.0, 15.0, 20.0, 25.0],
        exponents,
        exponents,
    ]
    starts = np.stack([level.ravel() for level in np.meshgrid(*axes, indexing="ij")], axis=1)
    middle = model.middle
    log_scale = np.stack(
        [np.zeros(len(starts)), starts[:, 3] * np.log(middle["N"]), starts[:, 4] * np.log(middle["D"])], axis=1
    )
    coefficients = np.exp(starts[:, :3] - log_scale)
    many = np.repeat(loss[None], len(starts), axis=0), np.ones((len(starts), len(loss)))
    return descend.refine(model.model, *many, coefficients, np.maximum(starts[:, 3:], 0.002), steps=300)


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--peer-python", required=True, help="the python of a venv that has chinchilla==0.2.0")
    words.add_argument("--data", type=Path, default=ROOT.parent / "shared/data/scaling_runs/kyo_takano/df.csv")
    asked = words.parse_args()
    table = pd.read_csv(asked.data)
    loss = table["loss"].to_numpy(dtype=float)
    columns = {name: table[name].to_numpy(dtype=float) for name in ("N", "D")}
    law = Chinchilla()

    theirs = peer(asked.peer_python, asked.data)

    begin = time.perf_counter()
    posed = pose(law, columns, HUBER, {})
    whole = from_grid(posed.model, loss, np.ones(len(loss)), np.maximum(hoffmann(), 0.002))
    best = int(whole.objective.argmin())
    seconds_fit = time.perf_counter() - begin
    generator = np.random.default_rng(0)
    weights = generator.multinomial(len(loss), np.full(len(loss), 1 / len(loss)), size=RESAMPLES).astype(float)
    rows = np.repeat(loss[None], RESAMPLES, axis=0)
    begin = time.perf_counter()
    drawn = project.solve(posed.model, rows, weights, posed.starts())
    seconds_resamples = time.perf_counter() - begin
    begin = time.perf_counter()
    lower = pose(law, columns, THEIRS, {})
    under_theirs = from_grid(lower.model, loss, np.ones(len(loss)), np.maximum(hoffmann(), 0.002))
    seconds_theirs = time.perf_counter() - begin
    ours = seconds_fit + seconds_resamples + seconds_theirs

    begin = time.perf_counter()
    plain = all_starts(posed, loss)
    seconds_plain = time.perf_counter() - begin
    worst = 0.0
    for index in range(PROOFS):
        found = from_grid(posed.model, loss, weights[index], np.maximum(hoffmann(), 0.002))
        worst = max(worst, float(drawn.objective[index] / found.objective.min() - 1))

    predicted = law.predict(theirs["values"], columns)
    peer_costs = {
        name: float(c.cost(c.residual(loss, predicted)).sum()) for name, c in (("huber", HUBER), ("asymmetric", THEIRS))
    }
    our_costs = {"huber": float(whole.objective[best]), "asymmetric": float(under_theirs.objective.min())}
    theirs |= {"objective": peer_costs, "package": "chinchilla 0.2.0", "processes": os.cpu_count(), "resamples": 0}
    keep(
        [
            under("ours with 1,000 resamples, as a share of the peer's time", ours / theirs["seconds"], "", 0.1),
            under("our objective over the peer's, Huber", our_costs["huber"] / peer_costs["huber"], "", 1 + 1e-9),
            under("the same, asymmetric", our_costs["asymmetric"] / peer_costs["asymmetric"], "", 1 + 1e-9),
            under("worst excess of few starts over all, in 100 resamples", worst, "", 1e-6),
        ],
        peer=theirs,
        ours={
            "processes": 1,
            "seconds": ours,
            "seconds_of_the_fit_from_4500_starts": seconds_fit,
            "seconds_of_1000_resamples": seconds_resamples,
            "seconds_of_the_fit_under_their_criterion": seconds_theirs,
            "objective": our_costs,
            "values": {name: float(value[best]) for name, value in posed.named(whole.values).items()},
            "starts_at_the_best": int((whole.objective <= whole.objective.min() * (1 + 1e-6)).sum()) * 180,
        },
        check_of_4500_starts_without_projection={
            "seconds": seconds_plain,
            "lowest": float(plain.objective.min()),
            "at_the_best": int((plain.objective <= plain.objective.min() * (1 + 1e-6)).sum()),
        },
    )


if __name__ == "__main__":
    main()
