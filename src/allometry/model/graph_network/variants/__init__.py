"""The graph network's special cases, each a few lines that say which parts of `GraphBlock` it has: `al.graph_networks`.

A variant is called with its learned functions, any modules: `mpnn(Mlp([64, 64]), Gru(64), Mlp([1]))`. docs/relations.md has a
table of them.
"""

from allometry.model.graph_network._reduce import PrincipalNeighbourhood
from allometry.model.graph_network._update import Gru, Lstm, Mlp
from allometry.model.graph_network.variants.attention import (
    attention_weights,
    gat,
    nlnn,
    relative_positions,
    self_attention,
    vain,
)
from allometry.model.graph_network.variants.messages import (
    comm_net,
    full,
    gcn,
    ggs_nn,
    interaction_network,
    mpnn,
    structure2vec,
)
from allometry.model.graph_network.variants.sets import (
    GatedSum,
    deep_set,
    independent,
    independent_recurrent,
    point_net,
    relation_network,
)

__all__ = [
    "GatedSum",
    "Gru",
    "Lstm",
    "Mlp",
    "PrincipalNeighbourhood",
    "attention_weights",
    "comm_net",
    "deep_set",
    "full",
    "gat",
    "gcn",
    "ggs_nn",
    "independent",
    "independent_recurrent",
    "interaction_network",
    "mpnn",
    "nlnn",
    "point_net",
    "relation_network",
    "relative_positions",
    "self_attention",
    "structure2vec",
    "vain",
]
