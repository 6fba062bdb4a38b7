"""Parts of an encoder against their literal reference where there is padding and the length is odd, with all gradients."""

import importlib

import pytest
import torch

from allometry.model.blocks.cross_attention import CrossAttention
from allometry.model.blocks.cross_attention import reference as cross_reference
from allometry.model.blocks.kernel_attention import KernelAttention
from allometry.model.blocks.message_passing import MessagePassing
from allometry.model.blocks.pooled_attention import PooledAttention
from allometry.model.blocks.relative_attention import RelativeAttention
from allometry.model.blocks.token_mixing import TokenMixing

PARTS = [
    RelativeAttention(width=8, heads=2, head=3, causal=False),
    PooledAttention(width=8, heads=2),
    TokenMixing(width=8, length=15, hidden=5),
    KernelAttention(width=8, heads=2, causal=False, kernel="relu"),
    KernelAttention(width=8, heads=2, causal=False, kernel="softmax"),
    MessagePassing(width=8, heads=2, causal=False, edges="window:3"),
    MessagePassing(width=8, heads=2, causal=False, edges="complete"),
    MessagePassing(width=8, heads=2, causal=False, edges="complete", reduce="mean"),
]


def agree(layer, fast: torch.Tensor, slow: torch.Tensor, given: list[torch.Tensor]) -> None:
    seed = torch.randn_like(fast)
    assert (fast - slow).abs().max() < 1e-10
    leaves = [*given, *layer.parameters()]
    ours, theirs = (torch.autograd.grad((out * seed).sum(), leaves) for out in (fast, slow))
    for a, b in zip(ours, theirs, strict=True):
        assert (a - b).abs().max() < 1e-9


@pytest.mark.parametrize("part", PARTS, ids=repr)
@pytest.mark.parametrize("keep", ["some", "others", None])
def test_a_part_equals_its_reference(part, keep) -> None:
    torch.manual_seed(0)
    layer = part.build(2).double()
    x = torch.randn(2, 13, 8, dtype=torch.float64, requires_grad=True)
    kept = {"some": torch.arange(13) < torch.tensor([7, 12])[:, None], "others": torch.rand(2, 13) < 0.5, None: None}[keep]
    reference = importlib.import_module(type(layer).__module__).reference
    agree(layer, layer(x, kept), reference(layer, x, kept), [x])


@pytest.mark.parametrize(("head", "scale"), [(None, None), (3, None), (5, 1.0)])
def test_cross_attention_with_heads_of_any_width_equals_its_reference(head, scale) -> None:
    torch.manual_seed(0)
    layer = CrossAttention(width=8, heads=2, head=head, scale=scale).build(2).double()
    x, memory = (torch.randn(2, n, 8, dtype=torch.float64, requires_grad=True) for n in (5, 9))
    keep = torch.arange(9) < torch.tensor([4, 9])[:, None]
    agree(layer, layer(x, memory, keep), cross_reference(layer, x, memory, keep), [x, memory])


def test_the_scale_of_scores_is_folded_into_the_first_queries() -> None:
    """Scores begin with one variance whether they are divided by sqrt(head) or not."""
    torch.manual_seed(0)
    plain, folded = (CrossAttention(width=64, heads=2, head=50, scale=scale).build(1) for scale in (None, 1.0))
    ratio = plain.query.weight.std() * 50**-0.5 / folded.query.weight.std()
    assert ratio.item() == pytest.approx(1, abs=0.05)
