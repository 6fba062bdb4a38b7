"""Fine-tuning on labelled texts: what is asked of a model, what its accuracy is worth, and the slopes of Tay et al."""

import json
import math
import sysconfig
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from test_study_worker import Wire

from allometry.data._accuracy import accuracy
from allometry.data._corpus import prepare
from allometry.data._labelled import read_labelled
from allometry.data._labels import Labels
from allometry.data._task import IGNORED
from allometry.data.spans import Spans
from allometry.data.text import Text
from allometry.fit.alphas import MEASURES, alphas, line
from allometry.fit.transfer import downstream, seeds_of
from allometry.flow import Pairs, Tokens
from allometry.record.store import Folder
from allometry.record.table import table, transfers
from allometry.report.transfer_tables import alphas_table, downstream_table
from allometry.study.design import Cell
from allometry.study.entry import Place
from allometry.study.job import Job
from allometry.study.transfer import SHARES, transfer_cells, transfer_job
from allometry.study.worker import run_job


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    modules = sorted(Path(sysconfig.get_path("stdlib")).glob("*.py"))[:30]
    return prepare([str(module) for module in modules], cache=tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def marked(tmp_path_factory) -> Path:
    """Texts whose label is told by their last letter: any model that looks at it learns this."""
    path = tmp_path_factory.mktemp("labelled") / "marked.jsonl"
    generator = np.random.default_rng(0)
    rows = []
    for number in range(400):
        label = int(generator.integers(2))
        text = "".join(generator.choice(list("abcd"), 8)) + f" {number} " + ("yes" if label else "no")
        rows.append(json.dumps({"text": text, "label": "pq"[label]}))
    path.write_text("\n".join(rows))
    return path


@pytest.mark.parametrize("kind", [Tokens, Pairs])
def test_a_model_is_asked_behind_the_text_and_nowhere_else(corpus, marked, kind) -> None:
    labelled = read_labelled(marked)
    io = Text.asks(256, 32) if kind is Tokens else Spans.asks(256, 32)
    task = Labels(corpus, labelled, io)
    for name, part in task.parts.items():
        examples = labelled.parts[name]
        assert len(part.targets) == len(examples)
        assert ((part.targets != IGNORED).sum(1) == 1).all()
        for row, example in enumerate(examples):
            place = int((part.targets[row] != IGNORED).nonzero())
            assert int(part.targets[row, place]) == example.label + 1
            read = part.inputs[0][row]
            if kind is Tokens:
                assert bytes(read[1:place].tolist()) == example.text[-(io.length - 2) :]
                assert read[0] == read[place] == 0
            else:
                keep = part.inputs[2][row]
                assert bytes(read[keep][:-1].tolist()) == example.text[-(io.source - 1) :]
                assert read[keep][-1] == io.vocab - 1
    assert task.cut == sum(len(e.text) > 30 for p in labelled.parts.values() for e in p) * (kind is Tokens) + sum(
        len(e.text) > io.length - 1 for p in labelled.parts.values() for e in p
    ) * (kind is Pairs and io.source >= io.length)


def test_the_stream_is_epochs_in_orders_of_their_own(corpus, marked) -> None:
    task = Labels(corpus, read_labelled(marked), Text.asks(256, 32))
    size = len(task.parts["train"].targets)
    inputs, targets = task.batch(3, size - 5, 2 * size)
    whole = task.batch(3, size, size)
    assert torch.equal(inputs[0][5 : 5 + size], whole[0][0])
    assert torch.equal(targets[5 : 5 + size], whole[1])
    both = [sorted(map(tuple, rows.tolist())) for rows in (task.parts["train"].inputs[0], whole[0][0])]
    assert both[0] == both[1]  # an epoch is every example once
    assert not torch.equal(task.batch(3, 0, size)[1], task.batch(4, 0, size)[1])


@pytest.mark.parametrize("task", ["text", "spans"])
def test_a_kept_model_is_fine_tuned_and_learns(tmp_path, corpus, marked, task: str) -> None:
    place = Place(store=tmp_path, device="cpu", threads=1)
    parent = Job(
        family="transformer", size=2, stage="score", budget=1.0, flops=1.0, steps=10, batch=8, rate=1e-2, seed=0, vocab=256,
        length=32, data=corpus.fingerprint, precision="fp32", seconds=1.0, task=task, keep=True,
        labels={
            "stage": "score", "family": "transformer", "budget": 1.0, "N": 5, "N_all": 5, "D": 1.0, "C": 1.0,
            "C_non_embedding": 1.0, "epochs": 1.0, "flops_per_token": 1.0,
        },
    )  # fmt: skip
    store, run = Folder(tmp_path), parent.run()
    assert run_job(place, Wire(1e9), parent, corpus.folder)[2] == "done"
    assert (store.run_folder(run.id) / "model.safetensors").exists()
    cell = Cell(
        stage="transfer", family="transformer", size=2, budget=1.0, batch=16, steps=150, N=5, D=1.0, C=1.0, seconds=1.0,
        rates=3, seeds=(0,), labelled=str(marked),
    )  # fmt: skip
    jobs = [transfer_job(cell, parent, run, share, "f" * 16) for share in SHARES]
    assert len({job.run().id for job in jobs} | {run.id}) == 4
    for job in jobs:
        assert run_job(place, Wire(1e9), job, corpus.folder)[2] == "done"
    found = transfers(store)
    assert found["accuracy"].max() > 0.95
    assert (found["parent"] == run.id).all()
    assert list(table(store)["run"]) == [run.id]  # what was fine-tuned is no row of the trained
    cells = downstream(found, {str(marked): np.arange(found["right"].str.len().iloc[0])})
    assert len(cells) == 1
    assert cells["accuracy"].iloc[0] == found.loc[found["dev_loss"].idxmin(), "accuracy"]
    assert downstream_table(cells.to_dict("records")).rows


def test_every_scored_cell_is_fine_tuned_with_the_same_effort() -> None:
    from allometry.study.price import Price

    price = Price(
        family="lstm", size=3, N=1000, N_all=2000, flops=6e3, vocabulary_flops=1e3, state_bytes=8, state_grows=False,
        by_part={}, steps={1: 0.1, 8: 0.5}, tokens_per_step=64,
    )  # fmt: skip
    scored = [
        Cell(
            stage=stage,
            family="lstm",
            size=3,
            budget=b,
            batch=4,
            steps=400,
            N=1000,
            D=b,
            C=b,
            seconds=1.0,
            rates=1,
            seeds=(0, 1),
        )
        for b in (1e9, 2e9)
        for stage in ("tune", "score")
    ]
    cells = transfer_cells(scored, {"x.jsonl": 20, "y.jsonl": 20}, {("lstm", 3): price}, 64)
    assert len(cells) == 4
    assert len({cell.key for cell in cells} | {cell.key for cell in scored}) == 8
    assert len({(cell.steps, cell.batch, cell.rates, cell.seeds, cell.D) for cell in cells}) == 1
    assert all(cell.seconds > 1 for cell in cells)
    assert 22 * cells[0].steps * cells[0].batch == cells[0].D  # no more than the longest text needs
    (whole,) = transfer_cells(scored[-1:], {"x.jsonl": 90}, {("lstm", 3): price}, 64)
    assert 64 * whole.steps * whole.batch == whole.D


@pytest.mark.parametrize("seeds", [1, 2, 4])
@pytest.mark.parametrize("spread", [0.02, 0.15])
def test_the_interval_of_an_accuracy_holds_it(seeds: int, spread: float) -> None:
    """Seeds that differ, texts that are hard or easy by group: 90 % intervals of a study of eight cells hold the mean over both."""
    generator, held = np.random.default_rng(0), []
    group = np.repeat(np.arange(25), 12)
    truth = 0.5 * math.erfc(-0.7 / math.sqrt(2 * (1 + 0.25 + spread**2)))
    for _ in range(60):
        ease = 0.7 + 0.5 * generator.standard_normal((8, 1, 25))[..., group]
        runs = np.array([4] + [seeds] * 7)  # one cell has four, as in a study
        cells = [
            (e + spread * generator.standard_normal((n, 1)) + generator.standard_normal((n, 300)) > 0).astype(float)
            for e, n in zip(ease, runs, strict=True)
        ]
        of_seeds = seeds_of(cells)
        found = [accuracy(cell, [str(one) for one in group], 0.9, of_seeds) for cell in cells]
        held += [one.low <= truth <= one.high for one in found]
    assert 0.86 <= np.mean(held) <= 0.96


def test_one_seed_each_says_nothing_of_seeds() -> None:
    cells = [np.ones((1, 40)), np.zeros((1, 40))]
    assert seeds_of(cells) is None
    rows = pd.DataFrame(
        [
            {"labelled": "x", "family": "f", "size": 1, "budget": b, "seed": 0, "share": 1.0, "dev_loss": 0.5, "status": "done",
             "right": right}
            for b, right in ((1.0, "10" * 20), (2.0, "1" * 40))
        ]
    )  # fmt: skip
    found = downstream(rows, {"x": np.arange(40)})
    assert (found["interval_of"] == "texts").all()
    assert 0.85 < found["low"].iloc[1] < 0.99 < found["high"].iloc[1]  # all right is not certainly right


def test_texts_of_one_group_are_one_text() -> None:
    right = np.array([[1.0, 0, 1, 1, 0, 1, 1, 0]])
    names = [str(one) for one in range(8)]
    together, alone = accuracy(np.repeat(right, 50, axis=1), sorted(names * 50)), accuracy(right, names)
    assert (together.low, together.high) == pytest.approx((alone.low, alone.high), abs=1e-9)
    one = accuracy(np.repeat(right, 50, axis=1), ["a"] * 400)
    assert (one.low, one.high) == (0.0, 1.0)


def test_a_straight_line_gives_its_slope_and_too_few_points_none() -> None:
    x = np.arange(5.0)
    assert line(x, 2 * x - 1, 0.95) == pytest.approx((2, 2, 2))
    assert line(x[:2], x[:2], 0.95) == (None, None, None)
    assert line(np.ones(4), x[:4], 0.95) == (None, None, None)
    assert line(x, np.full(5, 0.5), 0.95) == (None, None, None)  # models at chance: nothing says how sure a slope of 0 is


def runs_of(slope: float) -> pd.DataFrame:
    rows = [
        {"stage": "score", "family": family, "size": size, "budget": 1e6, "seed": seed, "C": 10.0**size, "N": 10.0**size / 60,
         "tokens_per_second": 1e9 / 10.0**size, "loss": 5 - factor * slope * size}
        for family, factor in (("transformer", 1.0), ("mine", 0.5)) for size in (3, 4, 5, 6) for seed in (0, 1)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def test_the_slopes_of_the_paper_are_found_where_they_were_planted() -> None:
    accuracy = pd.DataFrame(
        [
            {"labelled": "x", "family": "mine", "size": s, "budget": 1e6, "accuracy": 0.5 + 0.1 * (s - 3)}
            for s in (3, 4, 5, 6)
        ]
    )
    rows = {(row["family"], row["measure"]): row for row in alphas(runs_of(0.54), accuracy, "fixed-tokens")}
    assert rows["transformer", "F-U"]["slope"] == pytest.approx(0.54)
    assert rows["transformer", "P-U"]["slope"] == pytest.approx(0.54)
    assert rows["transformer", "S-U"]["slope"] == pytest.approx(-0.54)
    assert rows["mine", "F-U"]["slope"] == pytest.approx(0.27)
    assert rows["mine", "F-D"]["slope"] == pytest.approx(0.1)
    assert rows["mine", "U-D"]["slope"] == pytest.approx(0.1 / 0.27)
    assert rows["transformer", "F-U"]["published"] == 0.54
    assert ("transformer", "F-D") not in rows
    assert {measure for _, measure in rows} == set(MEASURES)
    assert len(alphas_table(list(rows.values())).rows) == len(rows)


def test_on_the_frontier_the_best_size_of_each_budget_counts() -> None:
    rows = [
        {"stage": "score", "family": "f", "size": size, "budget": budget, "seed": 0, "C": budget, "N": 100.0 * size,
         "tokens_per_second": 1.0, "loss": 3 - 0.2 * math.log10(budget) + (size != 2)}
        for budget in (1e8, 1e9, 1e10) for size in (1, 2, 3)
    ]  # fmt: skip
    found = alphas(pd.DataFrame(rows), None, "frontier")
    assert found[0]["points"] == 3
    assert found[0]["slope"] == pytest.approx(0.2)
