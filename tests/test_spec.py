"""Spec: values that survive a round trip, ids that see every field, errors that say the way out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from allometry.find import load_file, member, names, resolve
from allometry.flow import Budget, Refusal, Run, Tokens
from allometry.spec import Spec, from_json
from allometry.train.recipe import Recipe


class Leaf(Spec):
    number: float
    word: str = "a"


class Tree(Spec):
    leaf: Leaf
    numbers: tuple[int, ...] = ()


trees = st.builds(
    Tree,
    leaf=st.builds(Leaf, number=st.floats(allow_nan=False, allow_infinity=False), word=st.text(max_size=5)),
    numbers=st.lists(st.integers(), max_size=3).map(tuple),
)
here = {f"{kind.__module__}:{kind.__qualname__}": kind for kind in (Leaf, Tree)}


@given(trees)
def test_json_gives_the_same_value_back(tree: Tree) -> None:
    again = from_json(tree.to_json(), here.__getitem__)
    assert again == tree
    assert again.id == tree.id


@given(trees, trees)
def test_ids_are_equal_only_for_equal_values(one: Tree, other: Tree) -> None:
    assert (one.id == other.id) == (one.to_json() == other.to_json())


def test_the_id_of_a_run_sees_every_field() -> None:
    run = Run(
        family=Leaf(number=1),
        size=1,
        task="text",
        io=Tokens(vocab=256, length=8),
        data="d",
        recipe=Recipe(rate=0.1),
        budget=Budget(flops=1.0, steps=1, batch=1),
        seed=0,
    )
    other = {
        "family": Leaf(number=2),
        "size": 2,
        "task": "other",
        "io": Tokens(vocab=256, length=9),
        "data": "e",
        "recipe": Recipe(rate=0.2),
        "budget": Budget(flops=1.0, steps=2, batch=1),
        "seed": 1,
        "precision": "bf16",
        "parent": "x",
        "numerics": 99,
    }
    assert set(other) == set(Run.__dataclass_fields__)
    assert len({run.id, *(run.edit(**{name: value}).id for name, value in other.items())}) == len(other) + 1


def test_a_field_at_its_default_leaves_the_id_alone() -> None:
    assert "word" not in Leaf(number=1).to_json()
    assert Leaf(number=1).id == Leaf(number=1, word="a").id


@pytest.mark.parametrize("bad", [[1], {"a": 1}, object(), float("nan"), float("inf")])
def test_what_cannot_be_stored_is_refused(bad: object) -> None:
    with pytest.raises((TypeError, ValueError), match="Spec"):
        Tree(leaf=Leaf(number=1), numbers=bad)  # type: ignore[arg-type]


def test_a_spec_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        Leaf(number=1).number = 2  # type: ignore[misc]


def test_an_unknown_field_in_json_is_refused() -> None:
    with pytest.raises(TypeError, match="no field colour"):
        from_json(Leaf(number=1).to_json() | {"colour": 1}, here.__getitem__)


def test_nothing_outside_the_package_is_loaded_because_a_file_names_it() -> None:
    with pytest.raises(Refusal, match="not a type of this package"):
        resolve("os:system")


@pytest.mark.parametrize(
    "folder", ["allometry.model.families", "allometry.model.blocks", "allometry.data", "allometry.fit.laws"]
)
def test_every_file_of_an_open_folder_holds_the_class_of_its_name(folder: str) -> None:
    assert names(folder)
    for name in names(folder):
        assert member(folder, name).__name__.lower() == name.replace("_", "")


def test_an_unknown_name_gets_the_nearest() -> None:
    with pytest.raises(Refusal, match="Did you mean 'transformer'"):
        member("allometry.model.families", "transfomer")


def test_an_edited_file_is_another_family(tmp_path) -> None:
    path = tmp_path / "mine.py"
    source = "from allometry import Family\n\n\nclass Mine(Family):\n    def build(self, io):\n        pass\n"
    path.write_text(source)
    first = load_file(path, "Mine", "mine")(width=1, depth=1).id
    assert load_file(path, "Mine", "mine")(width=1, depth=1).id == first
    path.write_text(source + "# edited\n")
    assert load_file(path, "Mine", "mine")(width=1, depth=1).id != first


def test_a_file_that_does_not_load_is_named(tmp_path) -> None:
    path = tmp_path / "broken.py"
    path.write_text("import nowhere_at_all\n")
    with pytest.raises(Refusal, match=r"broken\.py cannot be loaded"):
        load_file(path, "Mine", "mine")
