"""T5 against transformers (tests/oracles/make_t5.py) with the same weights, and its published sizes against their parameters."""

from pathlib import Path

import numpy as np
import pytest
import torch

from allometry.flow import Pairs
from allometry.model.blocks._relative_bias import RelativeBias, bucket
from allometry.model.families.t5 import PUBLISHED, T5
from allometry.train.meter import check, count

ORACLE = {name: torch.tensor(array) for name, array in np.load(Path(__file__).parent / "oracles" / "t5.npz").items()}

# Parameters of T5ForConditionalGeneration with a vocabulary of 32,128.
COUNTED = {
    "tiny": 15_570_688,
    "mini": 31_220_480,
    "small": 60_506_624,
    "base": 222_903_552,
    "large": 737_668_096,
    "xl": 2_851_598_336,
    "xxl": 11_307_321_344,
}


def weights(prefix: str) -> dict[str, torch.Tensor]:
    """Tensors of the oracle by their names there: `weight ` or `gradient `."""
    return {name.removeprefix(prefix): value.double() for name, value in ORACLE.items() if name.startswith(prefix)}


def theirs(of: dict[str, torch.Tensor], stack: str, layer: int, part: int, name: str) -> torch.Tensor:
    return of[f"{stack}.block.{layer}.layer.{part}.{name}.weight"]


def renamed(of: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Their weights under our names."""
    state = {
        "embedding.weight": of["shared.weight"],
        "encoder_norm.scale": of["encoder.final_layer_norm.weight"],
        "norm.scale": of["decoder.final_layer_norm.weight"],
    }
    for stack, last in (("encoder", 1), ("decoder", 2)):
        state[f"{stack}.layers.0.mixer.bias.table"] = theirs(of, stack, 0, 0, "SelfAttention.relative_attention_bias")
        for layer in range(2):
            ours = f"{stack}.layers.{layer}"
            products = [theirs(of, stack, layer, 0, f"SelfAttention.{name}") for name in "qkv"]
            state[f"{ours}.mixer_norm.scale"] = theirs(of, stack, layer, 0, "layer_norm")
            state[f"{ours}.mixer.query_key_value.weight"] = torch.cat(products)
            state[f"{ours}.mixer.out.weight"] = theirs(of, stack, layer, 0, "SelfAttention.o")
            state[f"{ours}.channel_norm.scale"] = theirs(of, stack, layer, last, "layer_norm")
            state[f"{ours}.channel.into.weight"] = theirs(of, stack, layer, last, "DenseReluDense.wi")
            state[f"{ours}.channel.out.weight"] = theirs(of, stack, layer, last, "DenseReluDense.wo")
            if stack == "decoder":
                both = [theirs(of, stack, layer, 1, f"EncDecAttention.{name}") for name in "kv"]
                state[f"{ours}.cross_norm.scale"] = theirs(of, stack, layer, 1, "layer_norm")
                state[f"{ours}.cross.query.weight"] = theirs(of, stack, layer, 1, "EncDecAttention.q")
                state[f"{ours}.cross.key_value.weight"] = torch.cat(both)
                state[f"{ours}.cross.out.weight"] = theirs(of, stack, layer, 1, "EncDecAttention.o")
    return state


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("case", ["whole", "padded"])
def test_logits_and_all_gradients_are_those_of_transformers(case, dtype) -> None:
    model = T5(width=24, depth=2, heads=4, head_width=6, hidden=40).build(Pairs(vocab=50, source=40, target=24)).to(dtype)
    model.load_state_dict(renamed(weights("weight ")))
    logits = model(ORACLE["source"], ORACLE["target"], ORACLE["keep"] if case == "padded" else None)
    assert ORACLE[f"{case} logits"].abs().max() > 1
    assert (logits - ORACLE[f"{case} logits"]).abs().max() < 1e-5
    if case == "padded":
        (logits * ORACLE["seed"]).sum().backward()
        theirs = renamed(weights("gradient "))
        assert {name for name, _ in model.named_parameters()} == theirs.keys()
        for name, parameter in model.named_parameters():
            assert (parameter.grad - theirs[name]).abs().max() < 1e-5, name


def test_buckets_are_those_of_transformers() -> None:
    distances = torch.arange(-300, 301)
    assert torch.equal(bucket(distances, causal=False), ORACLE["buckets encoder"])
    assert torch.equal(bucket(distances, causal=True), ORACLE["buckets decoder"])


@pytest.mark.parametrize("causal", [False, True])
def test_the_bias_depends_on_the_distance_alone(causal) -> None:
    bias = RelativeBias(heads=3, causal=causal)
    all_pairs = bias(200)[0]
    for query, key in ((0, 0), (5, 2), (199, 0), (60, 50), (3, 90)):
        expected = bias.table[bucket(torch.tensor(key - query), causal)]
        seen = all_pairs[:, query, key]
        assert torch.equal(seen, torch.full((3,), -torch.inf) if causal and key > query else expected)


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_published_sizes_have_the_parameters_of_the_published_models(name) -> None:
    io = Pairs(vocab=32_128, source=512, target=114)
    counted = count(PUBLISHED[name], io)
    assert counted.parameters == COUNTED[name]
    assert counted.parameters - counted.non_embedding_parameters == 32_128 * PUBLISHED[name].width
    assert check(PUBLISHED[name], io, counted) == "agrees with the count"


def test_the_tables_are_one_tensor_each() -> None:
    model = T5.at(8).build(Pairs(vocab=50, source=40, target=24))
    assert model.head.weight is model.embedding.weight
    assert sum("table" in name for name in model.state_dict()) == 2
    for stack in (model.encoder, model.decoder):
        assert len(stack.layers) > 1
        assert len({id(layer.mixer.bias.table) for layer in stack.layers}) == 1
