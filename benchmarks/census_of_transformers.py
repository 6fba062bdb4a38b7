"""The census of models of the transformers library, made from configurations, beside closed forms of their gates.

    python benchmarks/census_of_transformers.py      # needs transformers; writes results/census_of_transformers.json

The census has no special case for any of them; both ways of attention that the library has are run. m tokens, width n, H heads, L
layers, hidden width F; V symbols; K heads of keys; k of E experts; i = heads x head width.
"""

import time
from collections.abc import Callable
from typing import Any

import _result
import torch
import transformers
from torch import nn

import allometry as al

WAYS = ("sdpa", "eager")
COMPARED = ("gate_signals", "gating_ops", "gated_synapses", "unmasked_gate_signals", "unmasked_gating_ops", "static_mults")
Forms = dict[str, int]
Made = tuple[nn.Module, Any, Forms]


def attends(m: int, read: int, inner: int, heads: int, causal: bool = False) -> Forms:
    """The reference's attention core: scores, softmax, mixing; `read`: tokens that are read."""
    pairs, seen = m * read, m * (m + 1) // 2 if causal else m * read
    return {
        "gate_signals": m * inner + m * heads + pairs * heads,
        "gating_ops": 2 * pairs * inner + pairs * heads,
        "gated_synapses": pairs * inner,
        "unmasked_gate_signals": m * inner + m * heads + seen * heads,
        "unmasked_gating_ops": 2 * seen * inner + seen * heads,
        "static_mults": 0,
    }


def gates(signals: int, operations: int, static: int = 0) -> Forms:
    """Output gatings that no mask meets."""
    return {
        "gate_signals": signals, "gating_ops": operations, "gated_synapses": 0, "unmasked_gate_signals": signals,
        "unmasked_gating_ops": operations, "static_mults": static,
    }  # fmt: skip


def together(*parts: tuple[int, Forms]) -> Forms:
    return {key: sum(times * part[key] for times, part in parts) for key in COMPARED}


def tokens(m: int, vocab: int) -> torch.Tensor:
    return torch.randint(3, vocab, (1, m), generator=torch.Generator().manual_seed(0))


def gpt2(m: int, n: int, heads: int, layers: int, way: str) -> Made:
    vocab = 50
    config = transformers.GPT2Config(
        vocab_size=vocab, n_embd=n, n_layer=layers, n_head=heads, n_positions=32, attn_implementation=way,
        bos_token_id=1, eos_token_id=2,
    )  # fmt: skip
    norm, linear = gates(m, m * n, m * n), gates(0, 0, m * n * n)
    forms = together(
        (layers, attends(m, m, n, heads, causal=True)),
        (2 * layers + 1, norm),
        (12 * layers, linear),
        (1, gates(0, 0, m * n * vocab)),
    )
    return transformers.GPT2LMHeadModel(config), tokens(m, vocab), forms


def llama(m: int, n: int, heads: int, layers: int, way: str) -> Made:
    vocab, hidden, keys = 50, 3 * n // 2, heads // 2
    config = transformers.LlamaConfig(
        vocab_size=vocab, hidden_size=n, intermediate_size=hidden, num_hidden_layers=layers, num_attention_heads=heads,
        num_key_value_heads=keys, attn_implementation=way,
    )  # fmt: skip
    forms = together(
        (layers, attends(m, m, n, heads, causal=True)),
        (layers, _projections(m, n, heads, keys)),
        (layers, gates(m * hidden, m * hidden, 3 * m * n * hidden)),  # SwiGLU
        (2 * layers + 1, gates(m, m * n, m * n)),
        (1, gates(0, 0, m * n * vocab)),
    )
    return transformers.LlamaForCausalLM(config), tokens(m, vocab), forms


def mixtral(m: int, n: int, heads: int, layers: int, way: str) -> Made:
    vocab, hidden, keys, experts, best = 50, 2 * n, heads // 2, 4, 2  # torch's grouped product asks for multiples of 4
    config = transformers.MixtralConfig(
        vocab_size=vocab, hidden_size=n, intermediate_size=hidden, num_hidden_layers=layers, num_attention_heads=heads,
        num_key_value_heads=keys, num_local_experts=experts, num_experts_per_tok=best, attn_implementation=way,
    )  # fmt: skip
    router = gates(
        m + m + m * best, m * experts + m * best + m * best * n, m * n * experts
    )  # softmax, its part made 1, routing
    forms = together(
        (layers, attends(m, m, n, heads, causal=True)),
        (layers, _projections(m, n, heads, keys)),
        (layers, gates(best * m * hidden, best * m * hidden, 3 * best * m * n * hidden)),
        (layers, router),
        (2 * layers + 1, gates(m, m * n, m * n)),
        (1, gates(0, 0, m * n * vocab)),
    )
    return transformers.MixtralForCausalLM(config), tokens(m, vocab), forms


def t5(m: int, n: int, heads: int, layers: int, way: str) -> Made:
    vocab, hidden, head, target = 50, 3 * n // 2, 3, m - 2
    config = transformers.T5Config(
        vocab_size=vocab, d_model=n, d_kv=head, d_ff=hidden, num_layers=layers, num_heads=heads, attn_implementation=way
    )
    inner = heads * head
    forms = together(
        (layers, attends(m, m, inner, heads)),
        (layers, attends(target, target, inner, heads, causal=True)),
        (layers, attends(target, m, inner, heads)),
        (1, gates(0, 0, layers * n * inner * (4 * m + 4 * target + 2 * target + 2 * m))),
        (1, gates(0, 0, layers * 2 * n * hidden * (m + target))),
        (2 * layers + 1, gates(m, m * n, m * n)),
        (3 * layers + 1, gates(target, target * n, target * n)),
        (1, gates(0, 0, target * n * vocab)),
    )
    inputs = {"input_ids": tokens(m, vocab), "decoder_input_ids": tokens(target, vocab)}
    return transformers.T5ForConditionalGeneration(config), inputs, forms


def _projections(m: int, n: int, heads: int, keys: int) -> Forms:
    """Of q, k, v and out, and the turns of q and k by fixed angles: two products for each number."""
    narrow = n // heads * keys
    return gates(0, 0, 2 * m * n * n + 2 * m * n * narrow + 2 * m * (n + narrow))


MODELS: dict[str, Callable[[int, int, int, int, str], Made]] = {"GPT-2": gpt2, "Llama": llama, "Mixtral": mixtral, "T5": t5}
SIZES = ((6, 8, 4, 2), (9, 12, 2, 3))  # m, n, H, L


def compared(name: str, m: int, n: int, heads: int, layers: int, way: str) -> dict[str, Any]:
    """What was counted and what the forms say."""
    model, inputs, forms = MODELS[name](m, n, heads, layers, way)
    start = time.perf_counter()
    found = al.census(model, inputs)
    seconds = time.perf_counter() - start
    counted = {key: found.total[key] for key in COMPARED}
    notes = sorted({f"{one.reason}: {one.op}" for one in found.not_counted})
    return {
        "model": name, "tokens": m, "width": n, "heads": heads, "layers": layers, "attention": way, "complete": found.complete,
        "counted": counted, "closed_form": forms, "equal": counted == forms, "seconds": round(seconds, 3), "notes": notes,
    }  # fmt: skip


def main() -> None:
    rows = [compared(name, *size, way) for name in MODELS for size in SIZES for way in WAYS]
    equal = sum(row["equal"] and row["complete"] for row in rows)
    figure = {"figure": "censuses equal to the closed form", "measured": equal, "unit": f"of {len(rows)}"}
    bar = {"bar": f"all {len(rows)}", "holds": equal == len(rows)}
    _result.keep([figure | bar], transformers=transformers.__version__, rows=rows)


if __name__ == "__main__":
    main()
