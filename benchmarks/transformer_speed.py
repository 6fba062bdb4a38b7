"""Training speed of the `transformer` family on CPU, against three peers: the same step, interleaved rounds.

A step is forward, cross-entropy of the full logits, backward, clipping of the gradient's norm, and fused AdamW. bf16 means
fp32 weights under `torch.autocast`. Each peer runs in each of its usual forms, and the best of them is what counts. Ours
runs with the step of allometry's own training loop, and as "allometry plain" with the step that the peers have.

Every form has a process of its own, so that none profits from what another one asked of the allocator: our training loop
asks glibc to keep freed memory (train/allocator.py), the peers and "allometry plain" run as their users run them. With
`--keep-memory` the same request is made for all of them, which leaves the difference that the model's own code makes.

    make peers                                                          # .venv-peers, from benchmarks/peers.txt
    .venv-peers/bin/python benchmarks/transformer_speed.py              # eager, bf16 and fp32
    .venv-peers/bin/python benchmarks/transformer_speed.py --compile    # torch.compile, all of them
"""

import argparse
import contextlib
import importlib.metadata
import importlib.util
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

WIDTH, DEPTH, HEADS, LENGTH, BATCH, VOCAB, THREADS = 256, 4, 8, 256, 16, 256, 2
WARM = 4  # steps that compile, allocate and warm the caches
RATE = 1e-3
RESULTS = Path(__file__).parent / "results" / "transformer_speed.json"
PACKAGES = {"llama": "transformers", "x_transformers": "x-transformers"}


def ours() -> nn.Module:
    from allometry.flow import Tokens
    from allometry.model.families.transformer import Transformer

    return Transformer(width=WIDTH, depth=DEPTH, heads=HEADS).build(Tokens(vocab=VOCAB, length=LENGTH))


class NanoGPT(nn.Module):
    """As nanoGPT's model.py at 9755682 with bias=False and dropout=0: LayerNorm, learned positions, GELU, tied output.

    GELU is exact: on CPU the tanh form takes five times as long.
    """

    def __init__(self, fused_attention: bool) -> None:
        super().__init__()
        self.tokens, self.positions = nn.Embedding(VOCAB, WIDTH), nn.Embedding(LENGTH, WIDTH)
        self.blocks = nn.ModuleList(_NanoBlock(fused_attention) for _ in range(DEPTH))
        self.norm = nn.LayerNorm(WIDTH, bias=False)
        self.head = nn.Linear(WIDTH, VOCAB, bias=False)
        self.tokens.weight = self.head.weight
        for parameter in self.parameters():
            if parameter.ndim == 2:
                nn.init.normal_(parameter, std=0.02)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.tokens(tokens) + self.positions(torch.arange(tokens.shape[1]))
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))


class _NanoBlock(nn.Module):
    def __init__(self, fused_attention: bool) -> None:
        super().__init__()
        self.fused_attention = fused_attention
        self.norm_1, self.norm_2 = nn.LayerNorm(WIDTH, bias=False), nn.LayerNorm(WIDTH, bias=False)
        self.query_key_value = nn.Linear(WIDTH, 3 * WIDTH, bias=False)
        self.attention_out = nn.Linear(WIDTH, WIDTH, bias=False)
        self.into, self.out = nn.Linear(WIDTH, 4 * WIDTH, bias=False), nn.Linear(4 * WIDTH, WIDTH, bias=False)
        self.register_buffer("mask", torch.ones(LENGTH, LENGTH).tril()[None, None], persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        batch, length, width = x.shape
        parts = self.query_key_value(self.norm_1(x)).split(width, dim=2)
        query, key, value = (part.view(batch, length, HEADS, width // HEADS).transpose(1, 2) for part in parts)
        if self.fused_attention:
            y = F.scaled_dot_product_attention(query, key, value, is_causal=True)
        else:
            scores = (query @ key.transpose(-2, -1)) * (width // HEADS) ** -0.5
            y = F.softmax(scores.masked_fill(self.mask == 0, float("-inf")), dim=-1) @ value
        x = x + self.attention_out(y.transpose(1, 2).contiguous().view(batch, length, width))
        return x + self.out(F.gelu(self.into(self.norm_2(x))))


def llama(attention: str) -> nn.Module:
    """SwiGLU has three matrices: 688 hidden units give as many weights as two matrices of 1024."""
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=VOCAB,
        hidden_size=WIDTH,
        intermediate_size=688,
        num_hidden_layers=DEPTH,
        num_attention_heads=HEADS,
        max_position_embeddings=LENGTH,
        use_cache=False,
        attn_implementation=attention,
    )
    return _Logits(LlamaForCausalLM(config))


class _Logits(nn.Module):
    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, tokens: Tensor) -> Tensor:
        return self.model(tokens).logits


def x_transformers(flash: bool) -> nn.Module:
    from x_transformers import Decoder, TransformerWrapper

    layers = Decoder(
        dim=WIDTH,
        depth=DEPTH,
        heads=HEADS,
        attn_dim_head=WIDTH // HEADS,
        attn_flash=flash,
        rotary_pos_emb=True,
        rotary_emb_dim=WIDTH // HEADS,
        use_rmsnorm=True,
        ff_no_bias=True,
    )
    return TransformerWrapper(num_tokens=VOCAB, max_seq_len=LENGTH, attn_layers=layers, use_abs_pos_emb=False)


FORMS: dict[str, Callable[[], nn.Module]] = {
    "allometry": ours,
    "allometry plain": ours,
    "llama sdpa": lambda: llama("sdpa"),
    "llama eager attention": lambda: llama("eager"),
    "x_transformers flash": lambda: x_transformers(flash=True),
    "x_transformers plain": lambda: x_transformers(flash=False),
    "nanogpt sdpa": lambda: NanoGPT(fused_attention=True),
    "nanogpt plain": lambda: NanoGPT(fused_attention=False),
}


def own_step(model: nn.Module, batch: tuple[tuple[Tensor, ...], Tensor], precision: str) -> Callable[[], float]:
    from allometry.train.allocator import keep_freed_memory
    from allometry.train.loop import Setting, train_step
    from allometry.train.recipe import Recipe

    keep_freed_memory()  # as `train` does
    optimizer, setting = Recipe(rate=RATE).optimizer(model), Setting(precision=precision)
    return lambda: train_step(model, optimizer, batch, setting=setting).item()


def stepper(form: str, precision: str, compiled: bool) -> tuple[Callable[[], float], int]:
    """Return a function that trains one step and gives the loss, and the number of parameters."""
    torch.manual_seed(0)
    model = FORMS[form]()
    parameters = list(model.parameters())
    forward = torch.compile(model) if compiled else model
    tokens = torch.randint(VOCAB, (BATCH, LENGTH + 1), generator=torch.Generator().manual_seed(1))
    inputs, targets = tokens[:, :-1].contiguous(), tokens[:, 1:].contiguous()
    if form == "allometry":
        return own_step(forward, ((inputs,), targets), precision), sum(p.numel() for p in parameters)
    return usual_step(forward, ((inputs,), targets), precision), sum(p.numel() for p in parameters)


def usual_step(forward: nn.Module, batch: tuple[tuple[Tensor, ...], Tensor], precision: str) -> Callable[[], float]:
    """The step that the peers have."""
    inputs, targets = batch
    parameters = list(forward.parameters())
    optimizer = torch.optim.AdamW(parameters, lr=RATE, fused=True)
    cast = (lambda: torch.autocast("cpu", torch.bfloat16)) if precision == "bf16" else contextlib.nullcontext

    def step() -> float:
        with cast():
            logits = forward(*inputs)
        loss = F.cross_entropy(logits.float().view(-1, VOCAB), targets.view(-1))
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0, foreach=True)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return loss.item()

    return step


class Racer:
    """One form in a process of its own, which does nothing until it is told to run some steps."""

    def __init__(self, arguments: list[str]) -> None:
        """`arguments` of the script that is running, with which it calls `race`."""
        command = [sys.executable, sys.argv[0], *arguments]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.parameters = int(self.run(WARM)["parameters"])

    def run(self, steps: int) -> dict[str, float]:
        """Seconds, seconds of processor, loss of the last step, and the number of parameters."""
        assert self.process.stdin
        assert self.process.stdout
        print(steps, file=self.process.stdin, flush=True)
        return json.loads(self.process.stdout.readline())

    def close(self) -> None:
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait()


def race(step: Callable[[], float], parameters: int) -> None:
    """The other side of a Racer."""
    for line in sys.stdin:
        start, processor = time.perf_counter(), time.process_time()
        for _ in range(int(line)):
            loss = step()
        told = {"seconds": time.perf_counter() - start, "processor": time.process_time() - processor}
        print(json.dumps({**told, "loss": loss, "parameters": parameters}), flush=True)


def measure(racers: dict[str, Racer], rounds: int, steps: int) -> dict[str, dict[str, float]]:
    """Tokens per second of each form: the median over rounds, in each of which every form runs `steps` steps in turn."""
    losses = dict.fromkeys(racers, 0.0)
    speeds: dict[str, list[float]] = {form: [] for form in racers}
    thrifts: dict[str, list[float]] = {form: [] for form in racers}
    for _ in range(rounds):
        for form, racer in racers.items():
            told = racer.run(steps)
            losses[form] = told["loss"]
            speeds[form].append(steps * BATCH * LENGTH / told["seconds"])
            thrifts[form].append(steps * BATCH * LENGTH / told["processor"])
    for racer in racers.values():
        racer.close()

    def faster(rates: dict[str, list[float]], form: str) -> float:
        """The ratio of each round, then the median: a slow moment of the machine slows both sides of a ratio."""
        return round(statistics.median(a / b for a, b in zip(rates["allometry"], rates[form], strict=True)), 3)

    return {
        form: {
            "parameters": racers[form].parameters,
            "tokens_per_second": round(statistics.median(speeds[form])),
            "tokens_per_processor_second": round(statistics.median(thrifts[form])),
            "ours_is_faster": faster(speeds, form),
            "ours_takes_less_processor": faster(thrifts, form),  # other processes of the machine move it less
            "loss": round(losses[form], 4),
        }
        for form in racers
    }


def present() -> list[str]:
    """The forms whose package is installed; says how to get the others."""
    forms = []
    for form in FORMS:
        package = PACKAGES.get(form.split()[0], "torch")
        if importlib.util.find_spec(package.replace("-", "_")):
            forms.append(form)
        else:
            print(f"{form}: skipped, {package} is not installed: `make peers` makes an environment that has it.")
    return forms


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--keep-memory", action="store_true", help="make our request of the allocator for the peers too")
    parser.add_argument("--precision", choices=["bf16", "fp32", "both"], default="both")
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--forms", default="", help="comma-separated; all by default")
    parser.add_argument("--form", default="", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.form:
        torch.set_num_threads(THREADS)
        if arguments.keep_memory:
            from allometry.train.allocator import keep_freed_memory

            keep_freed_memory()
        return race(*stepper(arguments.form, arguments.precision, arguments.compile))
    forms = [f.strip() for f in arguments.forms.split(",")] if arguments.forms else present()
    mode = ("compiled" if arguments.compile else "eager") + ", memory kept by all" * arguments.keep_memory
    stored = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    for precision in ["bf16", "fp32"] if arguments.precision == "both" else [arguments.precision]:
        before, busy = _busy_seconds(), time.perf_counter()
        flags = [*["--compile"] * arguments.compile, *["--keep-memory"] * arguments.keep_memory]
        racers = {form: Racer(["--form", form, "--precision", precision, *flags]) for form in forms}
        rows = measure(racers, arguments.rounds, arguments.steps)
        busy = (_busy_seconds() - before) / (time.perf_counter() - busy)
        best = min(row["ours_is_faster"] for form, row in rows.items() if not form.startswith("allometry"))
        print(f"\n{precision}, {mode}: allometry is {best:.2f}x as fast as the best peer; others used {busy:.2f} cores")
        for form, row in rows.items():
            print(
                f"  {form:24s} {row['tokens_per_second']:>8,} tokens/s   ratio {row['ours_is_faster']:.2f}   "
                f"{row['parameters']:,} parameters   loss {row['loss']}"
            )
        stored[f"{precision} {mode}"] = {
            "best_peer_ratio": best,
            "rounds": arguments.rounds,
            "steps": arguments.steps,
            "cores_used_by_others": round(busy, 2),
            "forms": rows,
        }
    packages = ["torch", *(p for p in PACKAGES.values() if importlib.util.find_spec(p.replace("-", "_")))]
    stored["versions"] = {p: importlib.metadata.version(p) for p in packages} | {"python": platform.python_version()}
    stored["machine"] = {
        "threads": THREADS,
        "cpu": torch.backends.cpu.get_cpu_capability(),
        "matrix_tiles": torch.cpu._is_amx_tile_supported(),
        "platform": platform.platform(),
    }
    print("\n" + ", ".join(f"{name} {version}" for name, version in stored["versions"].items()))
    if not arguments.forms:
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(json.dumps(stored, indent=2) + "\n")


def _busy_seconds() -> float:
    """Core seconds that this machine has spent on other processes than ours (Linux; elsewhere 0)."""
    if not Path("/proc/stat").exists():
        return 0.0
    user, nice, system = (int(word) for word in Path("/proc/stat").read_text().split()[1:4])
    own = os.times()
    return (
        (user + nice + system) / os.sysconf("SC_CLK_TCK") - own.user - own.system - own.children_user - own.children_system
    )


if __name__ == "__main__":
    main()
