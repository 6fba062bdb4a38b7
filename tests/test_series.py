"""Series: every causal stack reads vectors and answers with a class or a number, and is priced as its formula says."""

import pytest
import torch

from allometry.find import member, names
from allometry.flow import REFERENCES, Pairs, Refusal, Series, Tokens
from allometry.model._family import Family
from allometry.model._stack import SequenceFamily
from allometry.train.evaluate import evaluate
from allometry.train.example import example
from allometry.train.loop import Setting, token_losses, tokens_in, train_step
from allometry.train.meter import check, count
from allometry.train.recipe import Recipe

FOLDER = "allometry.model.families"
FAMILIES = [
    family
    for family in (member(FOLDER, name) for name in names(FOLDER))
    if issubclass(family, SequenceFamily) and Tokens in family.kinds
]
CLASS = Series(channels=3, length=32, outputs=5)
NUMBER = Series(channels=2, length=24, outputs=1, loss="squared")
EVERY = Series(channels=1, length=20, outputs=7, answer="every")

every_family = pytest.mark.parametrize("family", FAMILIES, ids=lambda f: f.__name__)


@every_family
def test_a_size_is_the_same_model_for_tokens_and_for_series(family) -> None:
    assert [family.at(size, Series) for size in (3, 7)] == [family.at(size, Tokens) for size in (3, 7)]


@every_family
@pytest.mark.parametrize("io", [CLASS, NUMBER, EVERY, REFERENCES[Series]], ids=repr)
def test_the_formula_agrees_with_the_count(family, io) -> None:
    spec = family.at(4)
    assert check(spec, io, count(spec, io)) == "agrees with the count"


@every_family
@pytest.mark.parametrize("io", [CLASS, NUMBER, EVERY], ids=repr)
def test_shapes_causes_and_gradients(family, io) -> None:
    """An answer hangs on every position up to its own and on none behind it; every parameter learns."""
    torch.manual_seed(0)
    model = family.at(3).build(io)
    (series,), targets = example(io, 3)
    out = model(series)
    assert out.shape == (3, io.answers, io.outputs)
    token_losses(model, (series,), targets, Setting()).mean().backward()
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in model.parameters())
    if io.answer == "every":
        model.eval()
        other = series.clone()
        other[:, 10:] += 1
        with torch.no_grad():
            moved = (model(other) - model(series)).abs().amax((0, 2))
        assert not moved[:10].any()
        assert moved[10:].all()


def test_the_target_is_the_end_of_what_is_asked_at_every_position() -> None:
    """A model of the answer at the end is that of the answer at every position, read off at the last."""
    family = FAMILIES[0].at(3)
    torch.manual_seed(0)
    everywhere = family.build(EVERY).eval()
    at_end = family.build(EVERY.edit(answer="end")).eval()
    at_end.load_state_dict(everywhere.state_dict())
    (series,), _ = example(EVERY, 2)
    with torch.no_grad():
        assert torch.allclose(at_end(series)[:, 0], everywhere(series)[:, -1], atol=1e-6)


class Mean(torch.nn.Module):
    """The mean of the first channel."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = torch.nn.Parameter(torch.ones(()))

    def forward(self, series: torch.Tensor) -> torch.Tensor:
        return self.scale * series[..., :1].mean(1, keepdim=True)


def test_the_loss_of_a_number_is_the_square_of_its_error() -> None:
    """The trap: shapes [batch 1 1] and [batch 1], of which a difference would be [batch batch 1]."""
    (series,), targets = example(NUMBER, 50)
    expected = (series[..., 0].double().mean(1) - targets[:, 0]) ** 2
    losses = token_losses(Mean(), (series,), targets, Setting())
    assert losses.shape == (50, 1)
    assert torch.allclose(losses[:, 0].double(), expected, atol=1e-6)
    assert (targets < 0).any()  # a negative number is a target like any other
    weights = torch.ones(50, 1)
    score = evaluate(Mean(), (series,), targets, weights, torch.arange(50), Setting(), batch=7)
    assert score.loss == pytest.approx(expected.mean().item(), rel=1e-5)
    assert score.documents == pytest.approx(expected.tolist(), rel=1e-4, abs=1e-6)
    whole, split = (
        float(
            train_step(model, torch.optim.SGD(model.parameters(), lr=0.1), ((series,), targets), setting=Setting(), parts=p)
        )
        for p, model in ((1, Mean()), (5, Mean()))
    )
    assert whole == pytest.approx(split, rel=1e-5) == pytest.approx(expected.mean().item(), rel=1e-5)


def test_positions_are_counted_and_not_channels() -> None:
    assert tokens_in(example(CLASS, 4)[0]) == 4 * 32
    assert tokens_in(example(Tokens(vocab=5, length=8), 4)[0]) == 4 * 8
    pairs = Pairs(vocab=5, source=8, target=3)
    assert tokens_in(example(pairs, 4)[0]) == 4 * pairs.length


@pytest.mark.parametrize(("io", "below"), [(CLASS, 0.5), (NUMBER, 0.2)], ids=["class", "number"])
def test_it_learns_what_stood_early(io, below) -> None:
    """The class that the first position names, or the number that stood there."""
    torch.manual_seed(0)
    io = io.edit(length=8)
    model = member(FOLDER, "lstm").at(4).build(io)
    optimizer = Recipe(rate=1e-2).optimizer(model)
    (series,), _ = example(io, 128)
    targets = series[:, 0, :1] if io.loss == "squared" else series[:, 0].argmax(-1, keepdim=True)
    losses = [float(train_step(model, optimizer, ((series,), targets), setting=Setting())) for _ in range(60)]
    assert losses[-1] < below * losses[0]


def test_a_family_that_reads_no_series_says_so() -> None:
    class Own(Family):
        """Of tokens alone."""

    with pytest.raises(Refusal, match="no series of numbers"):
        Own.at(4, Series)
    encoder_decoders = [member(FOLDER, name) for name in names(FOLDER) if Tokens not in member(FOLDER, name).kinds]
    for family in encoder_decoders:
        with pytest.raises(Refusal, match="no series of numbers"):
            family.at(3).build(CLASS)


@pytest.mark.parametrize(
    ("changes", "way_out"),
    [
        ({"answer": "middle"}, "every, end"),
        ({"loss": "hinge"}, "cross_entropy, squared"),
        ({"loss": "squared"}, "outputs=1"),
    ],
)
def test_a_series_that_is_no_task_is_refused(changes, way_out) -> None:
    with pytest.raises(Refusal, match=way_out):
        CLASS.edit(**changes)


def test_numbers_that_are_read_are_not_rounded() -> None:
    """Under bf16 the layers' products are rounded, and what they read is not, as an embedding is not."""
    torch.manual_seed(0)
    model = member(FOLDER, "lstm").at(3).build(NUMBER)
    (series,), _ = example(NUMBER, 2)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        read = model.embedding(series)
    assert read.dtype == torch.float32
    assert torch.equal(read, model.embedding(series))
