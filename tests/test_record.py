"""The store: what a kill, a bad disk or a stranger's file may leave, and the table that is read from it."""

import json
import math
import os

import pytest

from allometry.flow import Budget, End, Point, Refusal, Run, Tokens
from allometry.record.store import Folder, make_folder, write_json
from allometry.record.table import COLUMNS, held_out, read_table, table, write_table
from allometry.spec import Spec
from allometry.train.recipe import Recipe


class Net(Spec):
    width: int = 1


def run_of(seed: int = 0) -> Run:
    return Run(
        family=Net(),
        size=2,
        task="text",
        io=Tokens(vocab=256, length=8),
        data="abc",
        recipe=Recipe(rate=0.01),
        budget=Budget(flops=1e6, steps=10, batch=2),
        seed=seed,
    )


LABELS = {
    "stage": "score", "family": "net", "budget": 1e6, "N": 5, "N_all": 9, "D": 160.0, "C": 1e6,
    "C_non_embedding": 5e5, "epochs": 0.1, "flops_per_token": 6250.0,
}  # fmt: skip


def point(step: int, loss: float = 1.0) -> Point:
    return Point(step=step, examples=step, tokens=step, flops=1.0, seconds=1.0, loss=loss)


def test_points_come_back_in_order_and_the_later_line_counts(tmp_path) -> None:
    store = Folder(tmp_path)
    store.ask(run_of(), LABELS)
    store.append(run_of().id, [point(1), point(2, 9.0)])
    store.append(run_of().id, [point(2, 2.0), point(3)])
    assert [(p.step, p.loss) for p in store.points(run_of().id)] == [(1, 1.0), (2, 2.0), (3, 1.0)]


@pytest.mark.parametrize("cut", [2, 20, 60])
def test_a_line_cut_short_by_a_kill_spoils_only_itself(tmp_path, cut: int) -> None:
    store = Folder(tmp_path)
    folder = store.ask(run_of(), LABELS)
    store.append(run_of().id, [point(1), point(2)])
    path = folder / "points.jsonl"
    path.write_bytes(path.read_bytes()[:-cut])
    assert [p.step for p in store.points(run_of().id)] == [1]
    store.append(run_of().id, [point(3)])
    assert [p.step for p in store.points(run_of().id)] == [1, 3]


def test_asking_twice_changes_nothing(tmp_path) -> None:
    store = Folder(tmp_path)
    store.ask(run_of(), LABELS)
    store.ask(run_of(), LABELS | {"stage": "tune"})
    assert store.asked(run_of().id)["labels"]["stage"] == "score"
    assert store.run_ids() == [run_of().id]


def test_a_run_without_a_score_has_no_score(tmp_path) -> None:
    store = Folder(tmp_path)
    for seed, end in enumerate(
        (End(status="done", loss=1.0, bits_per_byte=1.4, seconds=2.0), End(status="diverged", reason="so"))
    ):
        store.ask(run_of(seed), LABELS)
        store.finish(run_of(seed).id, end)
    store.ask(run_of(2), LABELS)  # begun, not ended
    runs = table(store)
    assert list(runs.columns) == COLUMNS
    assert sorted(runs["status"]) == ["diverged", "done"]
    lost = runs[runs["status"] == "diverged"].iloc[0]
    assert math.isnan(lost["loss"])
    assert lost["reason"] == "so"
    assert runs[runs["status"] == "done"].iloc[0]["tokens_per_second"] == 80.0


def test_held_out_documents_stand_in_the_order_of_the_table(tmp_path) -> None:
    store = Folder(tmp_path)
    for seed in range(3):
        store.ask(run_of(seed), LABELS)
        facts = {"document_nats": [float(seed), 1.0], "document_bytes": [3.0, 4.0]} if seed != 1 else {}
        store.finish(run_of(seed).id, End(status="done", loss=1.0, bits_per_byte=1.0, facts=facts))
    runs = table(store)
    nats, sizes = held_out(store, runs)
    assert sizes.tolist() == [3.0, 4.0]
    for row, seed in enumerate(runs["seed"]):
        assert math.isnan(nats[row, 0]) if seed == 1 else nats[row, 0] == seed


@pytest.mark.parametrize("ending", ["csv", "parquet", "jsonl"])
def test_a_written_table_reads_back(tmp_path, ending: str) -> None:
    store = Folder(tmp_path)
    store.ask(run_of(), LABELS)
    store.finish(run_of().id, End(status="done", loss=1.25, bits_per_byte=1.5, seconds=2.0))
    path = tmp_path / f"runs.{ending}"
    write_table(table(store), path)
    again = read_table(path)
    assert list(again.columns) == COLUMNS
    assert again["loss"].tolist() == [1.25]


def test_a_table_that_is_none_is_refused(tmp_path) -> None:
    path = tmp_path / "runs.parquet"
    path.write_text("no parquet")
    with pytest.raises(Refusal, match=r"runs\.parquet is not a table"):
        read_table(path)
    with pytest.raises(Refusal, match="There is no file"):
        read_table(tmp_path / "none.csv")


def test_a_file_that_is_no_json_is_named(tmp_path) -> None:
    store = Folder(tmp_path)
    folder = store.ask(run_of(), LABELS)
    (folder / "asked.json").write_text('{"run": ')
    with pytest.raises(Refusal, match=r"asked\.json cannot be read .* Delete it"):
        store.asked(run_of().id)


def test_a_file_is_written_whole_or_not_at_all(tmp_path) -> None:
    path = tmp_path / "plan.json"
    write_json(path, {"a": 1})
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(path, {"a": math.nan})
    assert json.loads(path.read_text()) == {"a": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["plan.json"]


def test_a_folder_that_cannot_be_made_is_explained(tmp_path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Refusal, match="file"):
        make_folder(tmp_path / "file" / "inside")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full, a disk that is always full")
def test_a_full_disk_is_one_line(tmp_path) -> None:
    store = Folder(tmp_path)
    folder = store.ask(run_of(), LABELS)
    (folder / "points.jsonl").symlink_to("/dev/full")
    with pytest.raises(Refusal, match=r"disk is full.*what is finished is kept"):
        store.append(run_of().id, [point(1)])
