"""The same extrapolation on other curves: published training runs and simulated laws.

These sets guided the design of the extrapolation, so they are development sets, not a blind check.

    python benchmarks/learning_curves_elsewhere.py ../shared/data/scaling_runs --json results/learning_curves_elsewhere.json

Each set is written in the format of `learning_curves.py` (fit up to x, judge up to 2 x or more) and put through its benchmark.
"""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

import learning_curves
import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table

KINDS = ("floor", "broken", "transient", "correlated", "jumps")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, help="the folder scaling_runs of published runs")
    parser.add_argument("--json", type=Path, help="write the figures here")
    asked = parser.parse_args()
    found = {}
    for name, table in [*published(asked.runs), *((f"simulated: {kind}", simulated(kind)) for kind in KINDS)]:
        found[name] = {key: value for key, value in learning_curves.benchmark(table).items() if key != "by_task"}
    show(found)
    if asked.json:
        asked.json.write_text(json.dumps(found, indent=1) + "\n")


def published(folder: Path) -> Iterator[tuple[str, pd.DataFrame]]:
    """Sets of real curves."""
    vision = pd.read_csv(folder / "learning_curves" / "revisiting_vision.csv")
    vision = vision[vision["Training"] == 1]
    keys = ["Domain", "Task", "Model"]
    yield "image curves, fitted part only", split(vision, keys, "Seen Examples", "Loss", 2.1)
    half = vision[vision["Seen Examples"] <= vision.groupby(keys)["Seen Examples"].transform("max") / 2.1]
    yield "image curves, first half of the fitted part", split(half, keys, "Seen Examples", "Loss", 2.1)
    wandb = folder / "gemstones" / "wandb_dfs"
    for name, text, ratio in (
        ("hot_100b+_477", "Gemstones to 350 B tokens", 2.0),
        ("hot_100b+_477", "Gemstones to 350 B tokens, from a quarter", 4.0),
        ("hot_477", "Gemstones to 100 B tokens", 2.0),
        ("lr_ablation_hot_477", "Gemstones, half the learning rate", 2.0),
    ):
        runs = pd.read_json(wandb / f"wandb_df_for_fitting_{name}.jsonl", lines=True)
        yield text, split(runs, ["run_name"], "tokens", "final_loss", ratio)
    isoflop = pd.read_csv(folder / "porian2024" / "porian_isoflop_points.csv")
    isoflop = isoflop[isoflop["hparams"] == "tuned"]
    keys = ["source", "dataset", "hparams", "warmup", "decay", "val", "param_count", "n"]
    yield "Porian et al., one size, loss by tokens", split(isoflop, keys, "tokens", "loss", 2.0)
    points = pd.read_csv(folder / "kyo_takano" / "df.csv")
    points["size"] = points["N"].round(-5)
    yield "Chinchilla points, one size, loss by tokens", split(points, ["size"], "D", "loss", 2.0)
    archscale = pd.read_csv(folder / "archscale" / "archscale_data_scaling.csv")
    yield "ArchScale, 4 rows", split(archscale[archscale["series"] != "ori_mup"], ["series"], "tokens_B", "val_loss", 1.5)
    gadre = pd.read_csv(folder / "gadre2024" / "gadre_losses.csv")
    yield "Gadre et al., one size, loss by tokens", split(gadre, ["dataset", "model"], "D", "loss_c4_val", 2.0)


def split(table: pd.DataFrame, keys: list[str], x: str, loss: str, ratio: float) -> pd.DataFrame:
    """Rows up to 1 / ratio of the largest x are fitted, the others judged; curves with fewer than 4 fitted rows are left out."""
    curves = table.groupby([*keys, x])[loss].mean().reset_index()
    curves = curves[np.isfinite(curves[loss]) & (curves[loss] > 0)]
    largest = curves.groupby(keys)[x].transform("max")
    curves["Training"] = (curves[x] <= largest / ratio * 1.0001).astype(int)
    enough = curves.groupby(keys)["Training"].transform("sum") >= 4
    curves = curves[enough & (curves.groupby(keys)["Training"].transform("min") == 0)]
    name = curves[keys].astype(str).agg(" ".join, axis=1)
    return pd.DataFrame(
        {
            "Domain": "",
            "Task": name,
            "Model": "",
            "Seen Examples": curves[x],
            "Loss": curves[loss],
            "Training": curves["Training"],
        }
    )


def simulated(kind: str, count: int = 60, seed: int = 0) -> pd.DataFrame:
    """Curves of known kinds: 8 to 80 rows over a factor of 8 to 300, noise of 0.1 to 3 %, judged at up to 2.1 times the last x."""
    generator = np.random.default_rng([seed, KINDS.index(kind)])
    parts = []
    for index in range(count):
        rows = int(generator.integers(8, 80))
        reach = generator.uniform(np.log(8), np.log(300))
        even = generator.random() < 0.5
        past = np.linspace(-reach, 0, rows) if even else np.log(np.linspace(np.exp(-reach), 1, rows))
        place = np.r_[past, np.linspace(0.03, np.log(2.1), 12)]
        exponent = np.exp(generator.uniform(np.log(0.05), 0))
        floor = generator.choice([0.0, generator.uniform(0, 0.9)])
        noise = np.exp(generator.uniform(np.log(0.001), np.log(0.03)))
        height = np.log(floor + (1 - floor) * np.exp(-exponent * place))
        error = noise * generator.standard_normal(len(place))
        if kind == "broken":
            bend = 2 * exponent * generator.uniform(-0.3, 0.3)
            width = generator.uniform(0.1, 1)
            height -= bend * width * np.logaddexp(0, (place - generator.uniform(-reach, 0)) / width)
        if kind == "transient" and index % 2:
            height += generator.uniform(0.2, 1) * np.exp(-(place + reach) / generator.uniform(0.2, 1))
        elif kind == "transient":
            start, width = -reach * generator.uniform(0.6, 1), generator.uniform(0.3, 0.8)
            height -= generator.uniform(0.2, 1) * np.logaddexp(0, (start - place) / width)
        if kind == "correlated":
            keep = generator.uniform(0.5, 0.95)
            for row in range(1, len(place)):
                error[row] = keep * error[row - 1] + np.sqrt(1 - keep**2) * error[row]
        if kind == "jumps":
            error = 0.3 * error + (generator.random(len(place)) < 0.1) * 3 * noise * generator.standard_normal(len(place))
        parts.append(
            pd.DataFrame(
                {
                    "Domain": "simulated",
                    "Task": f"{kind} {index}",
                    "Model": "",
                    "Seen Examples": 1e8 * np.exp(place),
                    "Loss": 3 * np.exp(height + error),
                    "Training": (np.arange(len(place)) < rows).astype(int),
                }
            )
        )
    return pd.concat(parts)


def show(found: dict) -> None:
    """One row for each set."""
    table = Table(title="mean root mean squared error of ln loss, in percent; 90 % intervals")
    for heading in ("curves", "number", *learning_curves.METHODS, "worse than M1", "covered", "width"):
        table.add_column(heading, justify="left" if heading == "curves" else "right")
    for name, one in found.items():
        errors = [f"{100 * one['error'][method]['mean']:.2f}" for method in learning_curves.METHODS]
        coverage = one["coverage"]
        table.add_row(
            name,
            str(one["tasks"]),
            *errors,
            f"{one['worse_than_M1']['ours']:.0%}",
            f"{coverage['mean_over_tasks']:.0%}",
            f"{coverage['median_width']:.3f}",
        )
    Console(width=150).print(table)


if __name__ == "__main__":
    main()
