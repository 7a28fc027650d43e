"""Films on a Ray cluster: Ray Data hands rows to actors that hold the models. Rows and reports go through its object store,
films never do: each actor writes them to the place that all machines share.

What Ray does: it places actors by cores, GPUs and memory, starts them again on other machines, and a film whose actor died goes
to another one, which goes on from its last finished window. What is whole is found by the films' folders, as on one machine.
"""

from __future__ import annotations

import json
import logging
import os
import pickle
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

from splatmem.batch.manifest import Row
from splatmem.batch.workers import FAILED, limit_memory

MOST_BLOCKS = 5000  # rows beyond that share blocks
DIED = "its worker died each time, most often because memory was full: give less to do at a time (--threads), or more memory"


class Says(Protocol):
    """A callable that is told of the progress, in a sentence."""

    def say(self, text: str) -> None: ...


class FilmActor:
    """Makes the films of a block of rows, with the models loaded once."""

    def __init__(
        self, start: Callable[..., Any], arguments: tuple[Any, ...], memory_limit: int | None, begun: Path, tries: int
    ) -> None:
        """Args:
        start, arguments, memory_limit: as of ``WorkerSettings``.
        begun: a folder that the actors share, for notes of how often each film was begun.
        tries: how often a film is begun.
        """
        limit_memory(memory_limit)
        begun.mkdir(parents=True, exist_ok=True)
        self.make, self.begun, self.tries = start(*arguments), begun, tries

    def __call__(self, block: dict[str, Any]) -> dict[str, Any]:
        """Makes a film for each of ``block["row"]``, pickled rows; returns ``outcome``, JSON texts."""
        return {"outcome": [json.dumps(self._film(pickle.loads(row))) for row in block["row"]]}

    def _film(self, row: Row) -> dict[str, Any]:
        """Makes a film, unless as many actors as may have died of it. Ray itself would go on for ever, or count the films that
        only waited for an actor whose machine died."""
        note = self.begun / f"{row.name}.txt"
        before = note.stat().st_size if note.is_file() else 0
        if before >= self.tries:
            return {"id": row.name, "state": FAILED, "tries": before, "error": DIED}
        with note.open("ab") as file:
            file.write(b".")
        outcome = {**self.make(row), "tries": before + 1}
        note.unlink(missing_ok=True)
        return outcome


def connect(address: str) -> None:
    """Connects to a cluster, or starts one on this machine, unless this process is connected already.

    Args:
        address: ``local``, ``auto`` (the cluster that this machine is part of) or ``ray://HOST:PORT``.

    Raises:
        ValueError: Ray is not installed, or there is no such cluster.
    """
    try:
        import ray
    except ImportError as error:
        raise ValueError("--address needs Ray: pip install 'splatmem[cluster]'") from error
    if ray.is_initialized():
        return
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, include_dashboard=None)
    except (ConnectionError, RuntimeError) as error:
        raise ValueError(f"--address {address}: no Ray cluster answers ({' '.join(str(error).split())})") from error


def run_on_ray(
    rows: Sequence[Row],
    start: Callable[..., Any],
    arguments: tuple[Any, ...],
    *,
    workers: int | None,
    threads: int,
    gpus: float,
    memory_limit: int | None,
    tries: int,
    work: Path,
    tell: Says,
) -> Iterator[dict[str, Any]]:
    """Has the actors of a cluster make films; yields how each ended, in the order of their ends. See ``connect``.

    Args:
        rows: to be made.
        start, arguments: what an actor begins with, as of ``WorkerSettings``.
        workers: actors at most; as many as the cluster has room for, and as join it later, if not given.
        threads: of each; Ray counts them as its cores.
        gpus: of each.
        memory_limit: bytes that an actor may take; Ray puts it where that much is free.
        tries: how often a film is begun whose actor dies.
        work: a folder that the actors share, for notes.
        tell: is told of the cluster.
    """
    import ray

    have = ray.cluster_resources()
    fitting = int(min(have.get("CPU", 0) / threads, have.get("GPU", 0) / gpus if gpus else float("inf")))
    first = max(1, min(fitting, len(rows), workers or len(rows)))
    nodes = sum(node["Alive"] for node in ray.nodes())
    tell.say(f"Ray: {nodes} machines, {have.get('CPU', 0):g} cores, {have.get('GPU', 0):g} GPUs; {first} workers to begin with")
    given: dict[str, Any] = {
        "num_cpus": threads, "num_gpus": gpus, "max_restarts": -1, "max_task_retries": -1,
        "runtime_env": {"env_vars": {"OMP_NUM_THREADS": str(threads), "OMP_WAIT_POLICY": "passive"}},
    }  # fmt: skip
    if memory_limit is not None:
        given["memory"] = memory_limit
    begun = work / f"begun-{os.getpid()}-{time.time_ns()}"
    try:
        yield from _outcomes(rows, (first, workers), given, (start, arguments, memory_limit, begun, tries))
    finally:
        shutil.rmtree(begun, ignore_errors=True)


def _outcomes(
    rows: Sequence[Row], sizes: tuple[int, int | None], given: dict[str, Any], actor: tuple[Any, ...]
) -> Iterator[dict[str, Any]]:
    """How the films of rows ended. A block that Ray gives up takes its rows with it: they stay waiting for the next batch."""
    import ray.data

    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.actor_task_retry_on_errors = True  # what an actor raises beside a film's failures, such as a lost file system
    context.max_errored_blocks = -1
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)  # the table says what failed
    pool = ray.data.ActorPoolStrategy(
        min_size=1, initial_size=sizes[0], max_size=sizes[1], max_tasks_in_flight_per_actor=2
    )  # fmt: skip
    items = ray.data.from_items([{"row": pickle.dumps(row)} for row in rows], override_num_blocks=min(len(rows), MOST_BLOCKS))
    films = items.map_batches(
        FilmActor, batch_size=None, compute=pool, fn_constructor_args=actor, zero_copy_batch=False, **given
    )  # fmt: skip
    for line in films.iter_rows():
        yield json.loads(line["outcome"])
