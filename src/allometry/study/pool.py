"""A pool of workers: processes that answer one request at a time; here is the parent's end of the wire."""

import multiprocessing
from collections.abc import Callable, Iterable, Iterator
from multiprocessing.connection import Connection, wait
from typing import Any, Protocol, runtime_checkable

from allometry.flow import Refusal
from allometry.study.entry import Place, begin

Message = tuple[Any, ...]
TALK = ("point", "note")  # messages on the way to an answer


@runtime_checkable
class Workers(Protocol):
    """Whoever keeps busy with requests; see `Pool.work`."""

    def work(
        self, next_request: Callable[[], tuple[Any, Message] | None], heard: Callable[[Any, Message], None]
    ) -> Iterator[tuple[Any, Message]]: ...


class Pool:
    """Workers that start at once and load while the parent does other things. Use as a context: leaving ends them."""

    def __init__(self, jobs: int, place: Place) -> None:
        context = multiprocessing.get_context("spawn")
        self._ends: list[tuple[Connection, Any]] = []
        for _ in range(jobs):
            ours, theirs = context.Pipe()
            process = context.Process(target=begin, args=(theirs, place), daemon=True)
            process.start()
            theirs.close()
            self._ends.append((ours, process))

    def __enter__(self) -> "Pool":
        return self

    def __exit__(self, *_: object) -> None:
        for connection, process in self._ends:
            process.terminate()
            connection.close()
        for _, process in self._ends:
            process.join(timeout=5)

    def ask(self, requests: Iterable[Message]) -> list[Message]:
        """Send all requests, one to a worker at a time, and return their answers in order."""
        answers: dict[int, Message] = {}
        numbered = enumerate(requests)
        for index, answer in self.work(lambda: next(numbered, None), lambda index, message: None):
            answers[index] = answer
        return [answers[index] for index in sorted(answers)]

    def work(
        self,
        next_request: Callable[[], tuple[Any, Message] | None],
        heard: Callable[[Any, Message], None],
        patience: Callable[[], float | None] = lambda: None,
    ) -> Iterator[tuple[Any, Message]]:
        """Keep all workers busy with what `next_request` gives, as (key, request), until it gives None and all are idle.

        Yields (key, answer). `heard(key, message)` gets what a worker says on the way. `patience` gives the seconds to wait
        for a message, or None for ever; when it is negative, what is under way is given up and the generator returns.
        """
        busy: dict[Connection, Any] = {}
        idle = [connection for connection, _ in self._ends]
        while True:
            while idle and (request := next_request()) is not None:
                connection = idle.pop()
                connection.send(request[1])
                busy[connection] = request[0]
            if not busy:
                return
            left = patience()
            if left is not None and left < 0:
                return
            for connection in wait(list(busy), timeout=None if left is None else min(left + 0.1, 1.0)):
                assert isinstance(connection, Connection)
                key = busy[connection]
                try:
                    message = connection.recv()
                except (EOFError, ConnectionResetError) as error:
                    raise Refusal(
                        "A worker process ended without a word: most likely it ran out of memory and was killed. "
                        "Try --jobs 1 or smaller families. What is finished is kept."
                    ) from error
                if message[0] in TALK:
                    heard(key, message)
                    continue
                if message[0] == "refused":
                    raise Refusal(message[1])
                if message[0] == "broken":
                    raise RuntimeError(f"A worker failed:\n{message[1]}")
                del busy[connection]
                idle.append(connection)
                yield key, message
