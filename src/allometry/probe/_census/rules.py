"""What each operation of torch is, in the terms of the quarks of attention (Baldi and Vershynin 2022, arXiv:2202.08371).

The rules stand by idea in the files beside this one. What has none is named, and not guessed.
"""

from typing import Any

from allometry.probe._census import ops
from allometry.probe._census.equations import ARITHMETIC, BITS, TRUTHS, by_equation, of_two, power
from allometry.probe._census.marks import Mark
from allometry.probe._census.masks import filled, triangle, where
from allometry.probe._census.matrices import convolution, matrix, matrix_added, outer_product, trilinear
from allometry.probe._census.norms import log_softmax, normalised, softmax
from allometry.probe._census.places import chosen, constant, filling, joined, piece, placed, reshaped, same
from allometry.probe._census.pointwise import clamped, pointwise, sampled, self_gated
from allometry.probe._census.products import (
    between,
    gated_linear_unit,
    parametric_relu,
    product,
    product_added,
    products_of_a_row,
    quotient,
    segments,
)
from allometry.probe._census.sums import addition, bagged, reduced, squares
from allometry.probe._census.trace import BRANCH, PYTHON, UNKNOWN, Call, numbers, tensors


def read(call: Call) -> None:
    """Truth values and whole numbers say what runs and how often; other numbers may multiply."""
    call.note(PYTHON if call.op not in ("equal", "is_nonzero") and numbers(call.args[0]) else BRANCH)


def unknown(call: Call) -> list[Mark | None]:
    """Named, and what it gives depends on the input."""
    call.note(UNKNOWN)
    return [call.new(out.numel()) for out in tensors(call.out)]


def _table() -> dict[str, Any]:
    table: dict[str, Any] = {"": unknown}
    for names, rule in (
        (ops.POINTWISE, pointwise), (ops.CONSTANTS, constant), (ops.SELF_GATED, self_gated), (ops.SAME, same),
        (ops.RESHAPES, reshaped), (ops.PIECES, piece), (ops.JOINS, joined), (ops.CHOICES, chosen),
        (ops.PLACED | ops.PLACED_SUMS, placed), (ops.REDUCTIONS, reduced), (ops.SQUARES, squares), (ops.READ, read),
        (ARITHMETIC, by_equation), (TRUTHS, of_two), (BITS, of_two), (ops.CLAMPS, clamped),
    ):  # fmt: skip
        table |= dict.fromkeys(names, rule)
    return table | {
        "add": addition, "sub": addition, "rsub": addition, "mul": product, "multiply": product, "div": quotient,
        "true_divide": quotient, "addcmul": product_added, "lerp": between, "where": where, "masked_fill": filled, "pow": power,
        "mm": matrix, "bmm": matrix, "mv": matrix, "dot": matrix, "vdot": matrix, "addmm": matrix_added,
        "_grouped_mm": matrix, "_addmm_activation": matrix_added, "baddbmm": matrix_added, "addbmm": matrix_added,
        "addmv": matrix_added, "ger": outer_product, "outer": outer_product, "convolution": convolution,
        "_convolution": convolution, "_trilinear": trilinear, "_softmax": softmax, "_safe_softmax": softmax,
        "softmax": softmax, "_log_softmax": log_softmax, "native_layer_norm": normalised, "native_group_norm": normalised,
        "native_batch_norm": normalised, "_native_batch_norm_legit": normalised,
        "_native_batch_norm_legit_no_training": normalised, "_fused_rms_norm": normalised, "glu": gated_linear_unit,
        "tril": triangle, "triu": triangle, "prod": products_of_a_row, "cumprod": products_of_a_row, "_embedding_bag": bagged,
        "_embedding_bag_forward_only": bagged, "segment_reduce": segments, "_prelu_kernel": parametric_relu,
        "prelu": parametric_relu, "fill": filling, "normal": sampled, "bernoulli": sampled,
    }  # fmt: skip


RULES = _table()
