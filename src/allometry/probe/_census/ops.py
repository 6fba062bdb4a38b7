"""Which operations of torch multiply nothing by each other: functions of one number, views, choices, sums over fixed weights.

The names are those of `torch.ops.aten`, without the mark of the form that writes in place.
"""


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Units of a fixed function f of their own activation. Those of two numbers are in `equations`.
POINTWISE = _names(
    "abs acos acosh asin asinh atan atanh angle bitwise_not ceil conj _conj conj_physical cos cosh deg2rad digamma erf erfc "
    "erfinv exp exp2 expm1 floor frac hardsigmoid imag isfinite isinf isnan isneginf isposinf lgamma log log10 "
    "log1p log2 log_sigmoid_forward logical_not logit nan_to_num neg polygamma rad2deg real reciprocal round rsqrt sgn "
    "sigmoid sign signbit sin sinc sinh softplus special_erf special_erfcx sqrt tan tanh trunc native_dropout "
    "dropout"
)
# Functions of two numbers that count as their equation says (`equations`).
OF_TWO = _names(
    "atan2 hypot fmod remainder floor_divide logaddexp logaddexp2 copysign xlogy special_xlog1py bitwise_and bitwise_or "
    "bitwise_xor __and__ __or__ __xor__ logical_and logical_or logical_xor eq ne lt le gt ge bitwise_left_shift __lshift__ "
    "bitwise_right_shift __rshift__"
)
# Between constants ReLU and its kin; between signals a choice.
CLAMPS = _names("clamp clamp_max clamp_min maximum minimum fmax fmin")
FIXED = POINTWISE | OF_TWO | CLAMPS
# Constants in the shape of a signal.
CONSTANTS = _names(
    "rand_like randn_like randint_like empty_like zeros_like ones_like full_like new_empty new_empty_strided new_zeros new_ones "
    "new_full zero uniform random resize set_ sym_size sym_numel"
)
OF_ZERO = _names("abs angle asinh asin atan erf floor neg round sgn sign sin sinh sqrt tan tanh trunc ceil")  # f(0) = 0
OF_NEVER = _names("exp exp2 sigmoid softplus")  # f(-inf) = 0
# A linear unit that a function of its own activation gates: ReLU and its kin, squares. The reference has them in brackets.
SELF_GATED = _names(
    "relu relu6 leaky_relu gelu silu mish hardswish hardtanh elu celu selu rrelu threshold hardshrink softshrink square"
)
RANK = dict.fromkeys(_names("sigmoid hardsigmoid exp exp2 softplus"), 2) | {"tanh": 1, "erf": 1}

# The same numbers: the mark stays as it is.
SAME = _names(
    "alias clone contiguous detach lift lift_fresh lift_fresh_copy _to_copy to _conj resolve_conj resolve_neg positive "
    "_reshape_alias_copy"
)
# The same numbers in another shape.
RESHAPES = _names(
    "view _unsafe_view reshape _reshape_alias permute transpose t unsqueeze squeeze expand flatten unflatten movedim swapaxes "
    "view_as_real view_as_complex broadcast_to numpy_T mT flip roll view_copy expand_copy permute_copy"
)
# Some of the numbers, or all between zeros or several times.
PIECES = _names(
    "slice select split split_with_sizes unsafe_split unsafe_split_with_sizes unbind chunk unsafe_chunk narrow diagonal as_strided "
    "unfold tensor_split constant_pad_nd reflection_pad1d reflection_pad2d replication_pad1d replication_pad2d tril triu repeat "
    "repeat_interleave im2col col2im pixel_shuffle pixel_unshuffle channel_shuffle slice_copy select_copy split_copy unbind_copy "
    "upsample_nearest1d upsample_nearest2d diag_embed rot90 _pad_circular"
)
JOINS = _names("cat stack hstack vstack concat")
# Which numbers go on is itself a signal; no operation is counted, and the census says that a choice was made.
CHOICES = _names(
    "index gather index_select take take_along_dim embedding topk sort argsort argmax argmin max min "
    "kthvalue msort nonzero masked_select bincount unique unique_dim _unique2 unique_consecutive one_hot searchsorted bucketize "
    "median mode max_pool2d_with_indices max_pool3d_with_indices max_pool1d adaptive_max_pool2d cummax cummin histc "
    "multinomial amax amin aminmax"
)
# Those that choose whatever their operands are: for the others, an index that is static is a view.
BY_INDEX = _names("index gather index_select take take_along_dim embedding")
QUIET = _names("amax amin aminmax")  # the largest number of a row is a function of it as any other
# Numbers put into their places: sums where several meet.
PLACED = _names(
    "index_copy index_put scatter masked_scatter slice_scatter select_scatter copy diagonal_scatter _unsafe_index_put "
    "_index_put_impl"
)
PLACED_SUMS = _names("index_add scatter_add scatter_reduce index_reduce")
# Those whose places may be signals, and which argument the places are.
PUTS = _names("index_put _unsafe_index_put _index_put_impl")
PLACES = dict.fromkeys(PUTS | {"masked_scatter"}, 1) | dict.fromkeys(
    _names("scatter scatter_add scatter_reduce index_copy index_add index_reduce"), 2
)
# Sums over fixed weights, and functions of them.
REDUCTIONS = _names(
    "sum mean nansum nanmean cumsum logsumexp logcumsumexp any all count_nonzero avg_pool1d avg_pool2d avg_pool3d "
    "adaptive_avg_pool1d adaptive_avg_pool2d _adaptive_avg_pool2d _adaptive_avg_pool3d trace diff upsample_bilinear2d "
    "upsample_linear1d upsample_bicubic2d _upsample_bilinear2d_aa"
)
# Sums of squares: each number gates itself.
SQUARES = _names("var std var_mean std_mean linalg_vector_norm norm")
# What tells Python a number: what Python makes of it is not followed.
READ = _names("_local_scalar_dense item equal is_nonzero")
