"""The models of Hugging Face's transformers, made as wide and as deep as ours, with as many weights in the same places.

`sdpa` and `eager` are its forms of attention; of its experts, `eager` runs over them one by one, `grouped_mm` all together.
Where it has a part and no model of the kind, the part stands in a transformer in plain torch, or in its Llama.
"""

from collections.abc import Callable

from _plain import EncoderDecoder, FeedForward, LanguageModel, causal_layers, decoder
from torch import Tensor, nn
from transformer_speed import DEPTH, HEADS, LENGTH, VOCAB, WIDTH, _Logits

HIDDEN = 680  # of a gated part: two thirds of 4 * WIDTH, to a multiple of 8
EXPERTS = 8


def llama(attention: str, activation: str) -> nn.Module:
    from transformers import LlamaForCausalLM

    return _Logits(LlamaForCausalLM(_llama_config(attention, activation)))


def _llama_config(attention: str, activation: str = "silu"):
    from transformers import LlamaConfig

    return LlamaConfig(
        vocab_size=VOCAB,
        hidden_size=WIDTH,
        intermediate_size=HIDDEN,
        num_hidden_layers=DEPTH,
        num_attention_heads=HEADS,
        max_position_embeddings=LENGTH,
        hidden_act=activation,
        use_cache=False,
        attn_implementation=attention,
    )


def t5_gate(activation: str) -> nn.Module:
    """A transformer in plain torch with the gated feed-forward part of T5 1.1."""
    from transformers import T5Config
    from transformers.models.t5.modeling_t5 import T5DenseGatedActDense

    config = T5Config(d_model=WIDTH, d_ff=HIDDEN, dropout_rate=0.0, feed_forward_proj=f"gated-{activation}")
    return LanguageModel(causal_layers(lambda layer: T5DenseGatedActDense(config)))


def switch() -> nn.Module:
    """A transformer in plain torch; in every second layer the sparse part of its Switch transformer."""
    from transformers import SwitchTransformersConfig
    from transformers.models.switch_transformers.modeling_switch_transformers import SwitchTransformersSparseMLP

    config = SwitchTransformersConfig(
        d_model=WIDTH,
        d_ff=4 * WIDTH,
        num_experts=EXPERTS,
        expert_capacity=int(1.25 * LENGTH / EXPERTS),  # of a sequence: its groups are the sequences
        dropout_rate=0.0,
        dense_act_fn="gelu",
    )
    return LanguageModel(causal_layers(lambda layer: SwitchTransformersSparseMLP(config) if layer % 2 else FeedForward()))


def mixtral(experts: str) -> nn.Module:
    """Llama; in every second layer the sparse part of Mixtral, of which a token meets one expert."""
    from transformers import LlamaForCausalLM, MixtralConfig
    from transformers.models.mixtral.modeling_mixtral import MixtralSparseMoeBlock

    config = MixtralConfig(
        hidden_size=WIDTH,
        intermediate_size=HIDDEN,
        num_local_experts=EXPERTS,
        num_experts_per_tok=1,
        hidden_act="silu",
        experts_implementation=experts,
    )
    model = LlamaForCausalLM(_llama_config("sdpa"))
    for layer in model.model.layers[1::2]:
        layer.mlp = MixtralSparseMoeBlock(config)
        for parameter in layer.mlp.parameters():
            nn.init.normal_(parameter, std=0.02)
    return _Logits(model)


def albert(attention: str) -> nn.Module:
    """Its encoder with attention to the past alone where that is fast (sdpa), to both sides where it is not."""
    from transformers import AlbertConfig, AlbertForMaskedLM

    config = AlbertConfig(
        vocab_size=VOCAB,
        embedding_size=WIDTH // 4,
        hidden_size=WIDTH,
        num_hidden_layers=DEPTH,
        num_attention_heads=HEADS,
        intermediate_size=4 * WIDTH,
        hidden_act="gelu",
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        max_position_embeddings=LENGTH,
        attn_implementation=attention,
    )
    model = AlbertForMaskedLM(config)
    for module in model.modules():
        if hasattr(module, "is_causal"):
            module.is_causal = True
    return _Logits(model)


class _Pairs(nn.Module):
    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        return self.model(input_ids=source, decoder_input_ids=target, use_cache=False).logits


def t5(attention: str) -> nn.Module:
    from transformers import T5Config, T5ForConditionalGeneration

    config = T5Config(
        vocab_size=VOCAB,
        d_model=WIDTH,
        d_kv=WIDTH // HEADS,
        d_ff=4 * WIDTH,
        num_layers=DEPTH,
        num_heads=HEADS,
        dropout_rate=0.0,
        feed_forward_proj="relu",
        tie_word_embeddings=True,
        attn_implementation=attention,
    )
    return _Pairs(T5ForConditionalGeneration(config))


class _Funnel(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        from transformers import FunnelConfig
        from transformers.models.funnel.modeling_funnel import FunnelEncoder

        self.encoder = FunnelEncoder(
            FunnelConfig(
                vocab_size=VOCAB,
                block_sizes=[1, 2, 1],  # pools before layers 1 and 3, as ours of four layers does
                d_model=WIDTH,
                n_head=HEADS,
                d_head=WIDTH // HEADS,
                d_inner=4 * WIDTH,
                hidden_act="gelu",
                hidden_dropout=0.0,
                attention_dropout=0.0,
                activation_dropout=0.0,
                separate_cls=False,
                truncate_seq=False,
            )
        )
        for parameter in self.parameters():
            if parameter.ndim > 1:
                nn.init.normal_(parameter, std=0.02)

    def forward(self, x: Tensor) -> Tensor:
        keep, kind = x.new_ones(x.shape[:2]), x.new_zeros(x.shape[:2]).long()
        return self.encoder(x, attention_mask=keep, token_type_ids=kind).last_hidden_state


def mamba2(chunk: int) -> nn.Module:
    """The pure torch path; 256 positions in a chunk is its default, and fewer are faster here."""
    from transformers import Mamba2Config, Mamba2ForCausalLM

    config = Mamba2Config(
        vocab_size=VOCAB,
        hidden_size=WIDTH,
        expand=2,
        head_dim=64,
        num_heads=2 * WIDTH // 64,
        state_size=64,
        n_groups=1,
        num_hidden_layers=DEPTH,
        chunk_size=chunk,
        use_cache=False,
    )
    return _Logits(Mamba2ForCausalLM(config))


PACKAGE = "transformers"
PEERS: dict[str, dict[str, Callable[[], nn.Module]]] = {
    "geglu_transformer": {
        "llama sdpa, gelu": lambda: llama("sdpa", "gelu_pytorch_tanh"),
        "llama eager, gelu": lambda: llama("eager", "gelu_pytorch_tanh"),
        "plain with t5 1.1's gate": lambda: t5_gate("gelu"),
    },
    "swiglu_transformer": {
        "llama sdpa": lambda: llama("sdpa", "silu"),
        "llama eager": lambda: llama("eager", "silu"),
        "plain with t5 1.1's gate": lambda: t5_gate("silu"),
    },
    "switch_transformer": {
        "plain with switch's experts": switch,
        "llama with mixtral's experts, eager": lambda: mixtral("eager"),
        "llama with mixtral's experts, grouped_mm": lambda: mixtral("grouped_mm"),
    },
    "albert": {"albert sdpa": lambda: albert("sdpa"), "albert eager": lambda: albert("eager")},
    "mamba2": {f"mamba-2, chunks of {chunk}": lambda chunk=chunk: mamba2(chunk) for chunk in (64, 256)},
    "t5": {"t5 sdpa": lambda: t5("sdpa"), "t5 eager": lambda: t5("eager")},
    "funnel_transformer": {"funnel's encoder, plain decoder": lambda: EncoderDecoder(_Funnel(), decoder(), positions=False)},
}
