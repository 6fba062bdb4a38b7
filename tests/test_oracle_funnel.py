"""Pooling and pooled attention against transformers (tests/oracles/make_funnel.py), and the encoder's lengths and masks."""

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from allometry.flow import Pairs
from allometry.model.blocks.pooled_attention import PooledAttention, pool, pool_keep, shortened
from allometry.model.families.funnel_transformer import FunnelTransformer, pooling_layers

ORACLE = {name: torch.tensor(array) for name, array in np.load(Path(__file__).parent / "oracles" / "funnel.npz").items()}


class Still(torch.nn.Module):
    """No positions."""

    def forward(self, x: torch.Tensor, stride: int = 1) -> torch.Tensor:
        return x


@pytest.mark.parametrize("case", ["whole", "odd", "padded"])
def test_values_and_gradients_are_those_of_transformers(case) -> None:
    layer = PooledAttention(width=24, heads=3).build(1).double()
    layer.rotary = Still()
    query, key, value, out = (ORACLE[f"weight {name}"] for name in ("q_head", "k_head", "v_head", "post_proj"))
    layer.load_state_dict({"query.weight": query, "key_value.weight": torch.cat([key, value]), "out.weight": out})
    x, keep = ORACLE[f"{case} x"].requires_grad_(), ORACLE[f"{case} keep"]
    given = keep if case == "padded" else None
    real = shortened(int(keep[0].sum()))
    assert torch.equal(pool(x, given)[:, :real], ORACLE[f"{case} pooled"][:, :real])
    mixed = F.layer_norm(pool(x, given) + layer(x, given), (24,), eps=1e-9)
    assert mixed.shape == ORACLE[f"{case} out"].shape
    assert (mixed - ORACLE[f"{case} out"])[:, :real].abs().max() < 1e-5
    (mixed * ORACLE[f"{case} seed"]).sum().backward()
    both = torch.cat([ORACLE[f"{case} gradient k_head"], ORACLE[f"{case} gradient v_head"]])
    for ours, theirs in (
        (x.grad, ORACLE[f"{case} gradient x"]),
        (layer.query.weight.grad, ORACLE[f"{case} gradient q_head"]),
        (layer.key_value.weight.grad, both),
        (layer.out.weight.grad, ORACLE[f"{case} gradient post_proj"]),
    ):
        assert theirs.abs().max() > 0.1
        assert (ours - theirs).abs().max() < 1e-5


def test_a_mean_is_over_what_is_kept() -> None:
    x = torch.tensor([[[1.0], [3.0], [5.0], [7.0], [9.0]]])
    assert pool(x).flatten().tolist() == [2, 6, 9]
    keep = torch.tensor([[True, True, True, False, False]])
    assert pool(x, keep).flatten().tolist() == [2, 5, 0]
    assert pool_keep(keep).tolist() == [[True, True, False]]
    assert pool_keep(None) is None


@pytest.mark.parametrize("depth", range(1, 30))
def test_every_funnel_pools_and_blocks_are_even(depth) -> None:
    pools = pooling_layers(depth)
    assert 1 <= len(pools) <= 2
    ends = (0, *pools, depth) if depth > 1 else (0, depth)
    blocks = [after - before for before, after in itertools.pairwise(ends)]
    assert min(blocks) >= 1
    assert max(blocks) - min(blocks) <= 1


@pytest.mark.parametrize("source", [1, 2, 3, 7, 32, 37])
@pytest.mark.parametrize("depth", [1, 2, 3, 5])
def test_the_decoder_reads_a_memory_of_the_stated_length(source, depth) -> None:
    spec = FunnelTransformer(width=8, depth=depth, heads=2)
    model = spec.build(Pairs(vocab=11, source=source, target=4)).eval()
    with torch.no_grad():
        memory, keep = model.encoder(model.embedding(torch.zeros(2, source, dtype=torch.int64)))
    assert keep is None
    assert memory.shape == (2, spec.memory(source), 8)
    assert spec.memory(source) == -(-source // 2 ** len(pooling_layers(depth)))


@pytest.mark.parametrize("real", [1, 2, 3, 5, 19, 20, 31])
def test_a_padded_source_of_any_length_is_the_source(real) -> None:
    """Lengths that do not divide, padded to ones that do and cut to their end."""
    torch.manual_seed(0)
    model = FunnelTransformer(width=8, depth=3, heads=2).build(Pairs(vocab=11, source=32, target=4)).double().eval()
    source, target = torch.randint(0, 11, (2, 32)), torch.randint(0, 11, (2, 4))
    keep = (torch.arange(32) < real).expand(2, -1)
    with torch.no_grad():
        padded, alone = model(source, target, keep), model(source[:, :real], target)
    assert torch.allclose(padded, alone, atol=1e-10)
