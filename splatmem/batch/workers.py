"""Worker processes that each make one film at a time. One that dies takes no other with it; its film is begun again elsewhere.

Needs no PyTorch: only the workers import it.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from splatmem.batch.manifest import Row

GRACE = 10.0  # seconds in which a worker that was told to end leaves its film in order
FAILED = "failed"


@dataclass(frozen=True)
class WorkerSettings:
    """What each worker is given.

    Attributes:
        start: makes, in the worker, what turns a row into a JSON-able outcome; must be importable by name.
        arguments: of ``start``.
        log: a file for what the worker and its libraries print.
        memory_limit: bytes of address space; None: no limit.
        environment: variables that are set before anything large is imported.
    """

    start: Callable[..., Callable[[Row], dict[str, Any]]]
    arguments: tuple[Any, ...] = ()
    log: Path | None = None
    memory_limit: int | None = None
    environment: tuple[tuple[str, str], ...] = ()


@dataclass
class _Worker:
    process: Any
    connection: Connection
    row: Row | None = None


def run_workers(rows: Sequence[Row], settings: Sequence[WorkerSettings], tries: int = 2) -> Iterator[dict[str, Any]]:
    """Has workers make films; yields how each ended, in the order of their ends.

    When the iterator is closed, or an exception passes through it (Ctrl-C), the workers are told to end, and waited for.

    Args:
        rows: to be made.
        settings: one for each worker.
        tries: how often a film is begun whose worker dies.
    """
    waiting = deque((row, 1) for row in rows)
    begun: dict[str, int] = {}
    workers: list[_Worker] = []
    try:
        workers = [_start(one) for one in settings[: len(waiting)]]
        while True:
            for worker in workers:
                if worker.row is None and waiting:
                    worker.row, attempt = waiting.popleft()
                    begun[worker.row.name] = attempt
                    _send(worker, worker.row)
            busy = [worker for worker in workers if worker.row is not None]
            if not busy:
                return
            ready = wait([end for worker in busy for end in (worker.connection, worker.process.sentinel)])
            for number, worker in enumerate(workers):
                row = worker.row
                if row is None or not {worker.connection, worker.process.sentinel} & set(ready):
                    continue
                outcome = _received(worker)
                worker.row = None
                if outcome is not None:
                    yield {**outcome, "tries": begun[row.name]}
                    continue
                worker.process.join()
                died = _how_it_died(worker.process.exitcode)
                workers[number] = _start(settings[number])
                if begun[row.name] < tries:
                    waiting.append((row, begun[row.name] + 1))
                else:
                    yield {"id": row.name, "state": FAILED, "error": died, "tries": begun[row.name]}
    finally:
        _end(workers)


def _start(settings: WorkerSettings) -> _Worker:
    context = multiprocessing.get_context("spawn")  # PyTorch's threads do not outlive a fork
    ours, theirs = context.Pipe()
    before = {name: os.environ.get(name) for name, _ in settings.environment}
    os.environ.update(settings.environment)  # read while the child imports; it takes over the environment as it is now
    try:
        process = context.Process(target=_work, args=(theirs, settings), daemon=True)
        process.start()
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})
    theirs.close()
    return _Worker(process, ours)


def _send(worker: _Worker, row: Row) -> None:
    with suppress(OSError):  # it has died: its end is seen by whoever waits for it
        worker.connection.send(row)


def _received(worker: _Worker) -> dict[str, Any] | None:
    """What a worker answered; None if it died."""
    try:
        return worker.connection.recv() if worker.connection.poll() else None
    except (EOFError, OSError):
        return None


def _how_it_died(status: int) -> str:
    if status == -signal.SIGKILL:
        return "its worker was killed (SIGKILL), most often by the system because memory was full: give fewer --workers"
    if status < 0:
        return f"its worker was ended by the signal {signal.Signals(-status).name}"
    return f"its worker ended with status {status}; what it said last stands in the folder .batch"


def _end(workers: Sequence[_Worker]) -> None:
    """Ends workers: idle ones at once, others as soon as their film is left in order."""
    for worker in workers:
        worker.process.terminate()
    for worker in workers:
        worker.process.join(GRACE)
        if worker.process.is_alive():
            worker.process.kill()
            worker.process.join()
        worker.connection.close()


# ------------------------------------------------------------------------------------------------ in the worker


def _work(connection: Connection, settings: WorkerSettings) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal sends it to all: who started the workers ends them
    signal.signal(signal.SIGTERM, _interrupt)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if settings.log is not None:
        log = os.open(settings.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
        os.dup2(log, sys.stdout.fileno())
        os.dup2(log, sys.stderr.fileno())
    limit_memory(settings.memory_limit)
    try:
        make = settings.start(*settings.arguments)
        while True:
            connection.send(make(connection.recv()))
    except (KeyboardInterrupt, EOFError):
        pass


def limit_memory(most: int | None) -> None:
    """Lets this process take at most so many bytes of address space; what needs more fails with an error."""
    if most is not None:
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (most, most))


def _interrupt(number: int, frame: Any) -> None:
    raise KeyboardInterrupt


def _end_with_parent() -> None:
    """Ends this process when the one that started it has died, however that came."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
