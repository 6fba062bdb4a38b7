"""Training speed of a family on CPU against its peers: the step of transformer_speed.py, in interleaved rounds.

Width 256, depth 4, 16 sequences of 256 tokens. "allometry" has the step of its own training loop, "allometry plain" the step
that the peers have; every form has a process of its own. The best peer is the one that counts.

    make peers
    .venv-peers/bin/python benchmarks/architecture_speed.py --family lightweight_convolution   # or another of FILES

Peers are in `_peers_<name>.py`: `PEERS`, from a family to its forms, and `PACKAGE` where one has to be installed. To add one,
write such a file and name it in FILES. Ratios are of processor time too, which other processes of the machine move less.
"""

import argparse
import contextlib
import importlib
import importlib.util
import json
import sys
from collections.abc import Callable
from pathlib import Path

import torch
from _result import RESULTS, keep
from torch import nn
from transformer_speed import BATCH, DEPTH, LENGTH, VOCAB, WIDTH, Racer, measure, own_step, race, usual_step

FILES = {
    "lightweight_convolution": "_peers_convolution",
    "dynamic_convolution": "_peers_convolution",
    "performer": "_peers_performer",
}
BAR = {"lightweight_convolution": 1.2, "dynamic_convolution": 1.2, "performer": 1.2}  # of the best peer; else 1


def ours(family: str) -> nn.Module:
    from allometry.find import member
    from allometry.flow import Tokens

    kind = member("allometry.model.families", family)
    return kind(**kind.shape(WIDTH, DEPTH)).build(Tokens(vocab=VOCAB, length=LENGTH))


def forms_of(family: str) -> dict[str, Callable[[], nn.Module]]:
    """The forms by name, ours first."""
    peers = importlib.import_module(FILES[family])
    package = getattr(peers, "PACKAGE", "torch")
    if not importlib.util.find_spec(package):
        raise SystemExit(
            f"The peer of {family} is {package}, which is not installed: `make peers` makes an environment with it."
        )
    return {"allometry": lambda: ours(family), "allometry plain": lambda: ours(family), **peers.PEERS[family]}


def stepper(family: str, form: str, precision: str) -> tuple[Callable[[], float], int]:
    """A function that trains one step and gives the loss, and the number of parameters."""
    torch.manual_seed(0)
    model = forms_of(family)[form]()
    tokens = torch.randint(VOCAB, (BATCH, LENGTH + 1), generator=torch.Generator().manual_seed(1))
    batch = (tokens[:, :-1].contiguous(),), tokens[:, 1:].contiguous()
    step = own_step if form == "allometry" else usual_step
    return step(model, batch, precision), sum(p.numel() for p in model.parameters())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--family", choices=list(FILES), required=True)
    parser.add_argument("--precision", choices=["bf16", "fp32", "both"], default="both")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument("--forms", default="", help="comma-separated; all by default")
    parser.add_argument("--form", default="", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.form:
        torch.set_num_threads(asked.threads)
        with contextlib.redirect_stdout(sys.stderr):  # some packages print when they are imported or built
            made = stepper(asked.family, asked.form, asked.precision)
        return race(*made)
    known = json.loads(path.read_text())["forms"] if (path := Path(RESULTS / "architecture_speed.json")).exists() else {}
    for precision in ["bf16", "fp32"] if asked.precision == "both" else [asked.precision]:
        flags = ["--family", asked.family, "--precision", precision, "--threads", str(asked.threads)]
        chosen = [f.strip() for f in asked.forms.split(",")] if asked.forms else list(forms_of(asked.family))
        racers = {form: Racer([*flags, "--form", form]) for form in chosen}
        known[f"{asked.family} {precision}, threads {asked.threads}"] = rows = measure(racers, asked.rounds, asked.steps)
        for form, row in rows.items():
            print(
                f"{precision} {form:24s} {row['tokens_per_second']:>8,} tokens/s   ours is faster {row['ours_is_faster']:.2f}, "
                f"by processor time {row['ours_takes_less_processor']:.2f}   {row['parameters']:,} parameters   loss {row['loss']}"
            )
    figures = []
    for name, rows in known.items():
        best = min(row["ours_takes_less_processor"] for form, row in rows.items() if not form.startswith("allometry"))
        bar = BAR.get(name.split()[0], 1.0)
        figure = {"figure": f"{name}, against the best peer", "measured": best, "unit": "x"}
        figures.append({**figure, "bar": f"at least {bar:g}x", "holds": best >= bar})
    keep(figures, forms=known)


if __name__ == "__main__":
    main()
