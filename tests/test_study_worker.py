"""A worker whose study is gone leaves its run as a kill would have left it, so that the next start goes on."""

import sysconfig
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from allometry.data._corpus import prepare
from allometry.record.store import Folder
from allometry.study.job import Job
from allometry.study.worker import Place, carry_out


class Wire(Connection):
    """The worker's end of a wire whose other end closes after some messages. No operating system takes part."""

    _handle = None  # nothing to close

    def __init__(self, messages: float) -> None:
        self.left = messages

    def send(self, obj: object) -> None:
        self.left -= 1
        if self.left < 0:
            raise BrokenPipeError("the study is gone")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    modules = sorted(Path(sysconfig.get_path("stdlib")).glob("*.py"))[:30]
    return prepare([str(module) for module in modules], cache=tmp_path_factory.mktemp("cache"))


def job(data: str) -> Job:
    return Job(
        family="transformer", size=1, stage="score", budget=1.0, flops=1.0, steps=60, batch=1, rate=1e-3, seed=0, vocab=256,
        length=8, data=data, precision="fp32", labels={"flops_per_token": 1.0}, seconds=1.0,
    )  # fmt: skip


@pytest.mark.parametrize("messages", [0, 3, 59])
def test_a_study_that_is_gone_is_no_fault_of_the_run(tmp_path, corpus, messages: int) -> None:
    place, run = Place(store=tmp_path, device="cpu", threads=1, checkpoint_seconds=0.0), job(corpus.fingerprint)
    store, run_id = Folder(tmp_path), run.run().id
    with pytest.raises(SystemExit):
        carry_out(place, Wire(messages), run, corpus.folder)
    assert store.end(run_id) is None
    assert len(list(store.points(run_id))) == messages + 1  # stored before it is told
    assert carry_out(place, Wire(1e9), run, corpus.folder)[2] == "done"
    whole = Place(store=tmp_path / "whole", device="cpu", threads=1)
    carry_out(whole, Wire(1e9), run, corpus.folder)
    assert store.end(run_id).loss == Folder(whole.store).end(run_id).loss
