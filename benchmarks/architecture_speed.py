"""Training speed of a family on CPU against its peers: the step of transformer_speed.py, in interleaved rounds.

Width 256, depth 4, 16 sequences of 256 tokens; an encoder-decoder reads 232 and 52, what span corruption makes of 256. Ours
has the step of its own training loop, the peers the usual one with the same optimiser. All forms run in one process, step by
step in turn, and a round has a ratio for each peer: a slow moment of the machine slows both sides of it. The request that our
loop makes of the allocator holds for all of them, so the ratio is that of model and step alone. A peer has as many parameters
as ours, within a tenth. The best peer is the one that counts, by processor time, which other processes move less than time on
the wall. One thread by default, as threads that wait for each other spin where others hold the cores.

    make peers
    .venv-peers/bin/python benchmarks/architecture_speed.py --family lightweight_convolution   # or another of FILES, or all

Peers are in `_peers_<name>.py`: `PEERS`, from a family to its forms, and `PACKAGE` where one has to be installed. To add one,
write such a file and name it in FILES. `--length` is for families whose peers have no table of positions, and what it measures is
kept beside the usual. The `transformer` has a benchmark of its own, transformer_speed.py.
"""

import argparse
import contextlib
import importlib
import importlib.metadata
import importlib.util
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import torch
from _result import RESULTS, keep
from torch import Tensor, nn
from transformer_speed import DEPTH, LENGTH, VOCAB, WIDTH, own_step, usual_step

SOURCE, TARGET = 232, 52
FILES = {
    "lightweight_convolution": ("_peers_convolution",),
    "dynamic_convolution": ("_peers_convolution",),
    "performer": ("_peers_performer",),
    "performer_relu": ("_peers_performer",),
    "switch_transformer": ("_peers_transformers",),
    "geglu_transformer": ("_peers_transformers",),
    "swiglu_transformer": ("_peers_transformers",),
    "albert": ("_peers_transformers",),
    "t5": ("_peers_transformers",),
    "mamba2": ("_peers_transformers",),
    "funnel_transformer": ("_peers_transformers", "_peers_literal"),
    "mlp_mixer": ("_peers_literal",),
    "causal_mlp_mixer": ("_peers_literal",),
    "mixture_of_softmaxes": ("_peers_literal",),
    "universal_transformer": ("_peers_literal",),
    "adaptive_universal_transformer": ("_peers_literal",),
    "evolved_transformer": ("_peers_literal",),
    "lstm": ("_peers_literal",),
}
ANY_LENGTH = ("mamba2", "lstm")  # whose peers have no positions
PAIRS = ("t5", "funnel_transformer", "mlp_mixer")  # encoder-decoders
# What is asked against the best peer, where the architecture leaves room for a better form; else 1.
BAR = dict.fromkeys(
    ("switch_transformer", "performer", "performer_relu", "lightweight_convolution", "dynamic_convolution"), 1.2
) | {"mamba2": 1.5}
ALIKE = 0.10  # most that the parameters of a peer differ from ours
WARM = 1  # steps that allocate and warm the caches
FAR = 1.25  # a peer that takes this many times as long as the best one in the first round needs no second one


def ours(family: str, length: int) -> nn.Module:
    from allometry.find import member
    from allometry.flow import Pairs, Tokens

    kind = member("allometry.model.families", family)
    io = Pairs(vocab=VOCAB, source=SOURCE, target=TARGET) if family in PAIRS else Tokens(vocab=VOCAB, length=length)
    return kind(**kind.shape(WIDTH, DEPTH)).build(io)


def peers_of(family: str) -> dict[str, Callable[[], nn.Module]]:
    """The peers by name; says how to get those whose package is missing."""
    found: dict[str, Callable[[], nn.Module]] = {}
    for name in FILES[family]:
        peers = importlib.import_module(name)
        package = getattr(peers, "PACKAGE", "torch")
        if importlib.util.find_spec(package):
            found |= peers.PEERS[family]
        else:
            print(f"{family}: {package} is not installed; `make peers` makes an environment with it.", file=sys.stderr)
    if not found:
        raise SystemExit(f"No peer of {family} is installed.")
    return found


def batch_of(family: str, batch: int, length: int) -> tuple[tuple[Tensor, ...], Tensor]:
    """What is read, and what is to be predicted."""
    tokens = torch.randint(VOCAB, (batch, 2 * length), generator=torch.Generator().manual_seed(1))
    if family in PAIRS:
        source, target = tokens[:, :SOURCE].contiguous(), tokens[:, SOURCE : SOURCE + TARGET + 1]
        return (source, target[:, :-1].contiguous()), target[:, 1:].contiguous()
    return (tokens[:, :length].contiguous(),), tokens[:, 1 : length + 1].contiguous()


def racers(
    family: str, chosen: list[str], batch: tuple[tuple[Tensor, ...], Tensor]
) -> tuple[dict[str, Callable[[str], Callable[[], float]]], dict[str, int]]:
    """For each form a function from a precision to its step, ours first; and the parameters of each."""
    steps, parameters = {}, {}
    forms = {"allometry": lambda: ours(family, batch[0][-1].shape[1]), **peers_of(family)}
    for form in [form for form in forms if form == "allometry" or not chosen or form in chosen]:
        torch.manual_seed(0)
        with contextlib.redirect_stdout(sys.stderr):  # some packages print when they are imported or built
            model = forms[form]()
        model.train()
        step = own_step if form == "allometry" else usual_step
        steps[form] = lambda precision, step=step, model=model: step(model, batch, precision)
        parameters[form] = sum(p.numel() for p in model.parameters())
        away = abs(parameters[form] / parameters["allometry"] - 1)
        assert away <= ALIKE, f"{form} has {parameters[form]:,} parameters, {family} {parameters['allometry']:,}"
    return steps, parameters


def measure(steps: dict[str, Callable[[], float]], rounds: int, tokens: int) -> dict[str, dict[str, float]]:
    """Medians over rounds, in each of which every form makes a step in turn."""
    seconds: dict[str, list[tuple[float, float]]] = {form: [] for form in steps}
    losses, running = {}, dict(steps)
    for number in range(WARM + rounds):
        for form, step in running.items():
            wall, processor = time.perf_counter(), time.process_time()
            losses[form] = step()
            seconds[form].append((time.perf_counter() - wall, time.process_time() - processor))
        if number == WARM - 1:
            seconds = {form: [] for form in steps}
        if number == WARM:
            limit = FAR * min(taken[0][1] for form, taken in seconds.items() if form != "allometry")
            running = {form: step for form, step in running.items() if form == "allometry" or seconds[form][0][1] < limit}

    def ratio(form: str, clock: int) -> float:
        pairs = zip(seconds[form], seconds["allometry"], strict=False)
        return round(statistics.median(theirs[clock] / own[clock] for theirs, own in pairs), 3)

    return {
        form: {
            "tokens_per_second": round(tokens / statistics.median(wall for wall, _ in taken)),
            "tokens_per_processor_second": round(tokens / statistics.median(processor for _, processor in taken)),
            "ours_is_faster": ratio(form, 0),
            "ours_takes_less_processor": ratio(form, 1),
            "rounds": len(taken),
            "loss": round(losses[form], 4),
        }
        for form, taken in seconds.items()
    }


def run(family: str, asked: argparse.Namespace) -> dict[str, Any]:
    """Of one family, by precision; printed as they come."""
    chosen = [form.strip() for form in asked.forms.split(";") if form.strip()]
    batch = batch_of(family, asked.batch, asked.length)
    lengths = "" if asked.length == LENGTH else f" {asked.batch} x {asked.length}"
    makers, parameters = racers(family, chosen, batch)
    found = {}
    for precision in ["fp32", "bf16"] if asked.precision == "both" else [asked.precision]:
        rows = measure(
            {form: make(precision) for form, make in makers.items()}, asked.rounds, sum(part.numel() for part in batch[0])
        )
        for form, row in rows.items():
            row["parameters"] = parameters[form]
            print(
                f"{family} {precision} {form:42s} {row['tokens_per_second']:>8,} tokens/s   ours is faster "
                f"{row['ours_is_faster']:.2f}, by processor time {row['ours_takes_less_processor']:.2f}   "
                f"{row['parameters']:,} parameters   loss {row['loss']}",
                flush=True,
            )
        load = round(os.getloadavg()[0], 1)
        shape = {"batch": asked.batch, "length": asked.length, "threads": asked.threads}
        found[f"{family} {precision}{lengths}"] = shape | {"load": load, "forms": rows}
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--family", choices=[*FILES, "all"], required=True)
    parser.add_argument("--precision", choices=["bf16", "fp32", "both"], default="both")
    parser.add_argument("--batch", type=int, default=16, help="sequences in a step")
    parser.add_argument("--length", type=int, default=LENGTH, help=f"tokens in a sequence; of {', '.join(ANY_LENGTH)} alone")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--forms", default="", help="peers by name, with semicolons between them; all by default")
    asked = parser.parse_args()
    if asked.length != LENGTH and asked.family not in ANY_LENGTH:
        parser.error(
            f"--length is for {' and '.join(ANY_LENGTH)}: peers of {asked.family} have tables of {LENGTH} positions."
        )
    torch.set_num_threads(asked.threads)
    path = RESULTS / "architecture_speed.json"
    known = json.loads(path.read_text())["forms"] if path.exists() else {}
    for family in FILES if asked.family == "all" else [asked.family]:
        known |= run(family, asked)
    store(known)


def store(known: dict[str, Any]) -> None:
    """Print and keep what is known, each family and precision against its best peer."""
    figures = []
    for name, found in sorted(known.items()):
        peers = {form: row for form, row in found["forms"].items() if form != "allometry"}
        best = min(peers, key=lambda form: peers[form]["ours_takes_less_processor"])
        measured, bar = peers[best]["ours_takes_less_processor"], BAR.get(name.split()[0], 1.0)
        figure = {"figure": f"{name}, against {best}", "measured": measured, "unit": "x"}
        figures.append(
            {**figure, "wall": peers[best]["ours_is_faster"], "bar": f"at least {bar:g}x", "holds": measured >= bar}
        )
    packages = ("torch", "transformers", "performer-pytorch")
    installed = {package for package in packages if importlib.util.find_spec(package.replace("-", "_"))}
    keep(figures, peers={package: importlib.metadata.version(package) for package in sorted(installed)}, forms=known)


if __name__ == "__main__":
    main()
