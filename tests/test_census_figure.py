"""The figure of a census: bars that keep the sums, few enough, in the order of the model; shares that add to the whole."""

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from allometry.report.census_tables import GATING, KINDS
from allometry.report.figures.census import BARS, OTHERS, census_figure

names = st.sampled_from(["a", "b", "layers", "0", "1", "2", "3"])
paths = st.one_of(
    st.lists(names, max_size=4).map(".".join), st.integers(0, 60).map(str), st.integers(0, 60).map("layers.{}".format)
)
counts = st.fixed_dictionaries(dict.fromkeys(KINDS, st.integers(0, 10**12)))
censuses = st.dictionaries(paths, counts, max_size=80)


def drawn(own: dict[str, dict[str, int]], kinds: dict[str, str] = KINDS) -> Any:
    rows = [{"module": path} | row for path, row in own.items()]
    return census_figure({"model": "Model", "own": rows}, kinds, GATING)


@settings(deadline=None, max_examples=60)
@given(censuses)
def test_bars_keep_the_sums_and_shares_add_to_the_whole(own: dict[str, dict[str, int]]) -> None:
    figure = drawn(own)
    if not any(any(row.values()) for row in own.values()):
        assert figure is None
        return
    views = {view.key: view.x for view in figure.views}
    labels = figure.traces[0]["y"]
    assert 1 <= len(labels) == len(set(labels)) <= BARS
    for place, kind in enumerate(KINDS):
        assert sum(views["all"][place]) == sum(row[kind] for row in own.values())
        assert views["gating"][place] == (views["all"][place] if kind in GATING else [0] * len(labels))
    for bar in zip(*views["share"], strict=True):
        assert math.fsum(bar) == pytest.approx(100)
    where = [path for path in own if any(own[path].values())]
    met = list(
        dict.fromkeys(
            next(label for label in (path.rsplit(".", cut)[0] for cut in range(path.count(".") + 1)) if label in labels)
            for path in where
            if any(path == label or path.startswith(f"{label}.") for label in labels)
        )
    )
    assert met == [label for label in labels if label not in ("Model", OTHERS)]


def test_which_kinds_are_gatings_does_not_hang_on_their_order() -> None:
    own = {"a": {kind: place + 1 for place, kind in enumerate(KINDS)}}
    turned = dict(reversed(KINDS.items()))
    shown = {view.key: dict(zip(turned.values(), view.x, strict=True)) for view in drawn(own, turned).views}
    assert {name for name, row in shown["gating"].items() if any(row)} == {KINDS[kind] for kind in GATING}


def test_a_flat_model_has_its_largest_parts_and_the_others_as_one() -> None:
    own = {str(place): dict.fromkeys(KINDS, place) for place in range(1, 41)}
    labels = drawn(own).traces[0]["y"]
    assert labels == [*map(str, range(14, 41)), OTHERS]


def test_every_gating_is_output_or_synaptic() -> None:
    """The columns that the figure calls gating are those that the census sums in gating_ops."""
    from allometry.probe.census import COUNTS

    assert set(GATING) < set(KINDS) < set(COUNTS)
