"""An output layer that is the embedding read backwards (Press and Wolf 2016, arXiv:1608.05859; scaled as in T5)."""

from jaxtyping import Float
from torch import Tensor, nn

from allometry.model.blocks._linear import Linear


class TiedHead(Linear):
    """logits = (x / sqrt(width)) E^T. The table E stays a part of the embedding alone, so that it is stored and counted once."""

    def __init__(self, embedding: nn.Embedding) -> None:
        nn.Module.__init__(self)
        self.in_features, self.out_features = embedding.embedding_dim, embedding.num_embeddings
        self.__dict__["embedding"] = embedding
        self.register_parameter("bias", None)

    @property
    def weight(self) -> Float[Tensor, "vocab width"]:  # type: ignore[override]
        return self.__dict__["embedding"].weight  # type: ignore[no-any-return]

    def forward(self, x: Float[Tensor, "*batch width"]) -> Float[Tensor, "*batch vocab"]:
        return super().forward(x * self.in_features**-0.5)
