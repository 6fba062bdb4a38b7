"""A worker whose study is gone leaves its run as a kill would have left it, so that the next start goes on."""

import signal
import subprocess
import sys
import sysconfig
import time
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from allometry.data._corpus import prepare
from allometry.record.store import Folder
from allometry.study.entry import Place
from allometry.study.job import Job
from allometry.study.worker import run_job


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
        run_job(place, Wire(messages), run, corpus.folder)
    assert store.end(run_id) is None
    assert len(list(store.points(run_id))) == messages + 1  # stored before it is told
    assert run_job(place, Wire(1e9), run, corpus.folder)[2] == "done"
    whole = Place(store=tmp_path / "whole", device="cpu", threads=1)
    run_job(whole, Wire(1e9), run, corpus.folder)
    assert store.end(run_id).loss == Folder(whole.store).end(run_id).loss


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a worker ends when it finds the wire closed")
def test_a_worker_goes_with_its_study_while_it_still_loads_torch() -> None:
    """A stand-in for the study starts a worker, says its process and waits. The worker has to go when it is killed."""
    program = (
        "import multiprocessing, sys, time\n"
        "from pathlib import Path\n"
        "from allometry.study.entry import Place, begin\n"
        "if __name__ == '__main__':\n"
        "    context = multiprocessing.get_context('spawn')\n"
        "    ours, theirs = context.Pipe()\n"
        "    worker = context.Process(target=begin, args=(theirs, Place(store=Path('.'), device='cpu', threads=1)))\n"
        "    worker.start()\n"
        "    print(worker.pid, 'torch' in sys.modules, flush=True)\n"
        "    time.sleep(60)\n"
    )
    study = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert study.stdout
    with study.stdout:
        worker, torch_is_loaded = study.stdout.readline().split()
    assert torch_is_loaded == "False"  # so it is not what a worker waits for, either
    study.send_signal(signal.SIGKILL)
    study.wait()
    deadline = time.perf_counter() + 30
    while time.perf_counter() < deadline and _lives(int(worker)):
        time.sleep(0.01)
    assert not _lives(int(worker))


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False
