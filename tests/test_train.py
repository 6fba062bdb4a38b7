"""Training: resuming, diverging, running out of memory, damaged checkpoints, and the schedule."""

import errno
import itertools
import math

import pytest
import torch
from torch import nn

from allometry.data.copying import Copying
from allometry.flow import Budget, Tokens
from allometry.model.families.transformer import Transformer
from allometry.model.one_layer import OneLayer
from allometry.train import checkpoint
from allometry.train.evaluate import evaluate
from allometry.train.loop import Diverged, Setting, _batches, train, train_step
from allometry.train.recipe import Recipe
from allometry.train.rmsprop import Rmsprop

IO = Tokens(vocab=13, length=12)
STREAM = torch.randint(0, 13, (4000, 13), generator=torch.Generator().manual_seed(0))
BUDGET = Budget(flops=1.0, steps=20, batch=4)


def batch_of(first: int, count: int):
    rows = STREAM[first : first + count]
    return (rows[:, :-1],), rows[:, 1:]


def model(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return Transformer.at(1).build(IO)


def whole(setting: Setting, **budget: int):
    return list(train(model(), batch_of, Recipe(rate=1e-2), BUDGET.edit(**budget), setting, flops_per_token=10.0))


def test_points_say_what_was_done() -> None:
    points = whole(Setting())
    assert [point.step for point in points] == list(range(1, 21))
    assert points[-1].tokens == 20 * 4 * 12
    assert points[-1].examples == 80
    assert points[-1].flops == points[-1].tokens * 10.0
    assert all(b.seconds > a.seconds for a, b in itertools.pairwise(points))


@pytest.mark.parametrize("stop", [1, 7, 19])
def test_a_run_that_goes_on_from_a_checkpoint_is_the_run_undisturbed(tmp_path, stop: int) -> None:
    undisturbed = {point.step: point.loss for point in whole(Setting())}
    setting = Setting(folder=tmp_path, checkpoint_seconds=0.0)  # a checkpoint after each step
    first = list(itertools.islice(train(model(), batch_of, Recipe(rate=1e-2), BUDGET, setting, 10.0), stop + 1))
    again = whole(setting)
    assert again[0].step in (stop, stop + 1, stop + 2)  # went on, did not start again
    assert {p.step: p.loss for p in [*first, *again]} == undisturbed


@pytest.mark.parametrize(("batch", "first"), [(1, 0), (1, 67), (4, 3), (64, 2), (100, 0)])
def test_what_is_fetched_ahead_is_what_the_step_would_have_fetched(batch: int, first: int) -> None:
    steps = 130 if batch < 64 else 5
    got = list(_batches(batch_of, Budget(flops=1.0, steps=steps, batch=batch), first))
    assert len(got) == steps - first
    for step, (inputs, targets) in enumerate(got, first):
        expected = batch_of(step * batch, batch)
        assert torch.equal(inputs[0], expected[0][0])
        assert torch.equal(targets, expected[1])


class Tied(nn.Module):
    """One weight under two names, and dropout: what many users' models have."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.head = nn.Embedding(13, 8), nn.Linear(8, 13, bias=False)
        self.head.weight = self.embedding.weight
        self.dropout = nn.Dropout(0.5)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.head(self.dropout(self.embedding(tokens)))


def test_tied_weights_and_dropout_go_on_from_a_checkpoint_too(tmp_path) -> None:
    def losses(setting: Setting) -> list[float]:
        torch.manual_seed(0)
        points = train(Tied(), batch_of, Recipe(rate=1e-2), BUDGET, setting, 10.0)
        return [
            point.loss
            for point in (itertools.islice(points, 8) if setting.folder and not any(tmp_path.iterdir()) else points)
        ]

    undisturbed = losses(Setting())
    first = losses(Setting(folder=tmp_path, checkpoint_seconds=0.0))
    assert len(first) == 8
    again = losses(Setting(folder=tmp_path, checkpoint_seconds=0.0))
    assert again == undisturbed[-len(again) :]
    assert len(again) <= 13


def test_a_full_disk_is_told_apart_from_a_fault_of_the_run(tmp_path, monkeypatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(checkpoint.Unwritable, match="checkpoint"):
        whole(Setting(folder=tmp_path, checkpoint_seconds=0))


@pytest.mark.parametrize("damage", ["cut", "flip", "empty", "text", "other"])
def test_a_damaged_checkpoint_is_recognised(tmp_path, damage: str) -> None:
    list(
        itertools.islice(
            train(model(), batch_of, Recipe(rate=1e-2), BUDGET, Setting(folder=tmp_path, checkpoint_seconds=0), 1.0), 5
        )
    )
    path = tmp_path / checkpoint.NAME
    content = path.read_bytes()
    path.write_bytes(
        {
            "cut": content[: len(content) // 2],
            "flip": b"\xff" * 8 + content[8:],
            "empty": b"",
            "text": b"{}",
            "other": content,
        }[damage]
    )
    net = model() if damage != "other" else nn.Linear(3, 3)
    with pytest.raises(checkpoint.Damaged, match="checkpoint"):
        checkpoint.read(tmp_path, net, Recipe(rate=1e-2).optimizer(net))


def test_weights_without_a_gradient_do_not_hinder_going_on(tmp_path) -> None:
    """A decoder of what is not asked is never moved, and the optimiser keeps nothing of it."""

    def whole(setting: Setting) -> list[float]:
        net = model()
        net.unasked = nn.Linear(2, 2)
        return [point.loss for point in train(net, batch_of, Recipe(rate=1e-2), BUDGET, setting, 1.0)]

    undisturbed = whole(Setting())
    setting = Setting(folder=tmp_path, checkpoint_seconds=0.0)
    assert whole(setting) == undisturbed
    assert undisturbed[-len(again := whole(setting)) :] == again


def test_a_loss_that_is_not_finite_ends_the_run_as_diverged() -> None:
    with pytest.raises(Diverged, match="not finite at step"):
        list(train(model(), batch_of, Recipe(rate=1e18, clip=1e18), BUDGET, Setting(), 1.0))


class Hungry(nn.Module):
    """Runs out of memory when more than two sequences come at once."""

    def __init__(self) -> None:
        super().__init__()
        self.inside = model()

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        if len(tokens) > 2:
            raise torch.OutOfMemoryError("too much")
        return self.inside(tokens)


def test_running_out_of_memory_splits_the_batch_and_says_so() -> None:
    said: list[str] = []
    budget = BUDGET.edit(batch=8)
    points = list(train(Hungry(), batch_of, Recipe(rate=1e-2), budget, Setting(notify=said.append), 1.0))
    assert [text for text in said if "accumulated over 4 parts" in text]
    whole_batches = list(train(model(), batch_of, Recipe(rate=1e-2), budget, Setting(), 1.0))
    assert points[-1].loss == pytest.approx(whole_batches[-1].loss, rel=1e-3)  # the same mathematics, in another order


def test_an_error_of_the_model_is_not_taken_for_lack_of_memory() -> None:
    class Broken(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(1))

        def forward(self, tokens: torch.Tensor) -> torch.Tensor:
            raise RuntimeError("shapes do not fit")

    with pytest.raises(RuntimeError, match="shapes do not fit"):
        list(train(Broken(), batch_of, Recipe(rate=1e-2), BUDGET, Setting(), 1.0))


def test_the_auxiliary_loss_is_trained_on_and_not_reported() -> None:
    class Pulled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inside, self.extra = model(), nn.Parameter(torch.ones(()))

        def forward(self, tokens: torch.Tensor) -> torch.Tensor:
            return self.inside(tokens)

        def auxiliary_loss(self) -> torch.Tensor:
            return 1000 * self.extra**2

    pulled = Pulled()
    loss = train_step(pulled, torch.optim.SGD(pulled.parameters(), lr=1e-4), batch_of(0, 4), setting=Setting(), clip=1e9)
    plain = train_step(
        net := model(), torch.optim.SGD(net.parameters(), lr=1e-4), batch_of(0, 4), setting=Setting(), clip=1e9
    )
    assert float(loss) == pytest.approx(float(plain), rel=1e-5)
    assert float(pulled.extra.detach()) < 1


def test_the_schedule_rises_to_the_rate_and_falls_to_nothing() -> None:
    recipe = Recipe(rate=0.5, warmup=0.1)
    rates = [recipe.rate_at(step, 1000) for step in range(1000)]
    assert max(rates) == 0.5
    assert rates[99] == 0.5
    assert 0 < rates[-1] < 0.001
    assert rates[:100] == sorted(rates[:100])
    assert rates[100:] == sorted(rates[100:], reverse=True)


def test_only_matrices_decay() -> None:
    net = model()
    groups = Recipe(rate=1.0).optimizer(net).param_groups
    decayed = {id(p) for p in groups[0]["params"]}
    assert groups[1]["weight_decay"] == 0
    assert {name for name, p in net.named_parameters() if id(p) not in decayed} == {
        name for name, p in net.named_parameters() if p.ndim < 2 or name == "embedding.weight"
    }


def test_the_held_out_loss_counts_what_is_weighted_and_nothing_else() -> None:
    (inputs,), targets = batch_of(0, 6)
    weights = torch.ones(6, 12)
    weights[0, 5:] = 0
    document = torch.tensor([0, 0, 1, 1, 2, 2])
    net = model()
    score = evaluate(net, (inputs,), targets, weights, document, Setting(), batch=4)
    with torch.no_grad():
        losses = nn.functional.cross_entropy(net(inputs).transpose(1, 2), targets, reduction="none") * weights
    assert score.loss == pytest.approx(float(losses.sum() / weights.sum()), rel=1e-5)
    assert score.documents == pytest.approx([float(losses[2 * i : 2 * i + 2].sum()) for i in range(3)], rel=1e-5)
    assert score.positions[0] == pytest.approx(float(losses[:, 0].mean()), rel=1e-5)
    assert math.isfinite(sum(score.positions))


def test_parts_of_a_batch_count_by_the_targets_that_they_ask() -> None:
    """The gradient of a batch of which the halves ask 1 and 11 targets is the same whole and in parts."""
    inputs, targets = batch_of(0, 4)
    targets = targets.clone()
    targets[:2] = -100
    targets[0, 0] = 1
    gradients = []
    for parts in (1, 2):
        net = model()
        train_step(net, Recipe(rate=0.0).optimizer(net), (inputs, targets), setting=Setting(), clip=0.0, parts=parts)
        gradients.append(torch.cat([parameter.grad.flatten() for parameter in net.parameters()]))
    assert torch.allclose(*gradients, atol=1e-6)


def test_the_numerics_of_a_run_are_in_its_id(monkeypatch) -> None:
    """A change that moves numbers makes other runs of the same words, in comparisons and in experiments."""
    from allometry.study import experiment, job

    def ids() -> set[str]:
        asked = job.Job(
            family="transformer", size=1, stage="score", budget=1.0, flops=1.0, steps=1, batch=1, rate=1e-3, seed=0, vocab=256,
            length=8, data="", precision="fp32", labels={}, seconds=1.0,
        )  # fmt: skip
        arm = experiment.Arm(
            name="a", line="a", panel="", model=OneLayer(width=2), task=Copying(), recipe=Rmsprop(rate=1.0), steps=1, batch=1
        )
        return {asked.run().id, arm.run(0, "fp32", 1.0, None).id}

    before = ids()
    for module in (experiment, job):
        monkeypatch.setattr(module, "NUMERICS", module.NUMERICS + 1)
    assert not before & ids()
