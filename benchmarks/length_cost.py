"""What a token costs on CPU as sequences grow from 128 to 4096: the order that each family promises, measured.

A training step of 4096 tokens, as many sequences as that gives, at width 64 and depth 2. What a token takes, of processor
time, is fitted as length^slope over all lengths, and over the last three, where what does not grow with the length counts
less. A slope of 0 is a cost linear in the length, 1 a square. Lengths are measured in turn, in rounds; the least time counts,
as other processes only ever add to it.

    python benchmarks/length_cost.py                        # all of FAMILIES
    python benchmarks/length_cost.py --family performer     # one of them, beside what is stored
"""

import argparse
import json
import math
import time
from collections.abc import Callable

import torch
from _result import RESULTS, keep
from transformer_speed import own_step

WIDTH, DEPTH, TOKENS, VOCAB = 64, 2, 4096, 256
LENGTHS = (128, 256, 512, 1024, 2048, 4096)
LAST = 3  # lengths of the second slope
LINEAR = ("performer", "performer_relu", "lightweight_convolution", "dynamic_convolution", "lstm", "min_gru", "mamba2")
FAMILIES = (*LINEAR, "transformer", "evolved_transformer", "causal_mlp_mixer")
BAR = 0.15  # of the slope of a linear family


def stepper(family: str, length: int) -> Callable[[], float]:
    """The step of one length, to be called again and again."""
    from allometry.find import member
    from allometry.flow import Tokens

    kind = member("allometry.model.families", family)
    torch.manual_seed(0)
    model = kind(**kind.shape(WIDTH, DEPTH)).build(Tokens(vocab=VOCAB, length=length))
    tokens = torch.randint(VOCAB, (TOKENS // length, length + 1), generator=torch.Generator().manual_seed(1))
    return own_step(model, ((tokens[:, :-1].contiguous(),), tokens[:, 1:].contiguous()), "fp32")


def measure(family: str, rounds: int) -> dict[str, float]:
    """Microseconds of processor time for a token, by length."""
    steps = {length: stepper(family, length) for length in LENGTHS}
    best = dict.fromkeys(LENGTHS, math.inf)
    for number in range(1 + rounds):
        for length, step in steps.items():
            start = time.process_time()
            step()
            taken = (time.process_time() - start) / TOKENS * 1e6
            best[length] = min(best[length], taken) if number else math.inf  # the first step warms
    return {str(length): round(taken, 2) for length, taken in best.items()}


def slope(taken: dict[str, float]) -> float:
    """Of the logarithm of the time against that of the length, by least squares."""
    x, y = [math.log(int(length)) for length in taken], [math.log(one) for one in taken.values()]
    middle = sum(x) / len(x)
    return sum((a - middle) * b for a, b in zip(x, y, strict=True)) / sum((a - middle) ** 2 for a in x)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--family", choices=[*FAMILIES, "all"], default="all")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    path = RESULTS / "length_cost.json"
    known = json.loads(path.read_text())["microseconds_per_token"] if path.exists() else {}
    for family in FAMILIES if asked.family == "all" else [asked.family]:
        known[family] = measure(family, asked.rounds)
        print(f"{family:26s}", *(f"{length}: {taken:<8g}" for length, taken in known[family].items()), flush=True)
    figures = []
    for family in (family for family in FAMILIES if family in known):
        taken = known[family]
        last = dict(list(taken.items())[-LAST:])
        for said, part in (("128 to 4096", taken), (f"{min(map(int, last))} to 4096", last)):
            figure = {"figure": f"{family}, slope of the time for a token, {said}", "measured": slope(part), "unit": ""}
            bars = {"bar": f"below {BAR:g}", "holds": slope(part) < BAR} if family in LINEAR else {}
            figures.append({**figure, **bars})
    keep(figures, width=WIDTH, depth=DEPTH, tokens=TOKENS, threads=asked.threads, microseconds_per_token=known)


if __name__ == "__main__":
    main()
