"""Films on a Ray cluster: Ray Data hands rows to actors that hold the models. Rows and reports go through its object store,
films never do: each actor writes them to the place that all machines share.

What Ray does: it places actors by cores, GPUs and memory, starts them again on other machines, and a film whose actor died goes
to another one, which goes on from its last finished window. What is whole is found by the films' folders, as on one machine.
"""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

from splatmem.batch.manifest import Row
from splatmem.batch.workers import FAILED, limit_memory

MOST_BLOCKS = 2000  # rows beyond that share blocks, which are lost together and then given out one by one


class Says(Protocol):
    """Is told of the progress."""

    def say(self, text: str) -> None: ...


class FilmActor:
    """Makes the films of a block of rows, with the models loaded once."""

    def __init__(self, start: Callable[..., Any], arguments: tuple[Any, ...], memory_limit: int | None) -> None:
        """Args: as of ``WorkerSettings``."""
        limit_memory(memory_limit)
        self.make = start(*arguments)

    def __call__(self, block: dict[str, Any]) -> dict[str, Any]:
        """Makes a film for each of ``block["row"]``, pickled rows; returns ``outcome``, JSON texts."""
        return {"outcome": [json.dumps(self.make(pickle.loads(row))) for row in block["row"]]}


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
        ray.init(address=address, log_to_driver=False, logging_level="error", include_dashboard=None)
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
    """
    import ray

    have = ray.cluster_resources()
    fitting = int(min(have.get("CPU", 0) / threads, have.get("GPU", 0) / gpus if gpus else float("inf")))
    first = max(1, min(fitting, len(rows), workers or len(rows)))
    nodes = sum(node["Alive"] for node in ray.nodes())
    tell.say(f"Ray: {nodes} machines, {have.get('CPU', 0):g} cores, {have.get('GPU', 0):g} GPUs; {first} workers to begin with")
    given: dict[str, Any] = {
        "num_cpus": threads, "num_gpus": gpus, "max_restarts": -1, "max_task_retries": tries - 1,
        "runtime_env": {"env_vars": {"OMP_NUM_THREADS": str(threads), "OMP_WAIT_POLICY": "passive"}},
    }  # fmt: skip
    if memory_limit is not None:
        given["memory"] = memory_limit
    left = {row.name: row for row in rows}
    while left:
        blocks = min(len(left), MOST_BLOCKS)
        alone = blocks == len(left)
        for outcome in _outcomes(list(left.values()), blocks, (first, workers), given, (start, arguments, memory_limit)):
            del left[outcome["id"]]
            yield outcome
        if alone:  # what was lost now was lost for its own sake
            break
    for name in left:
        yield {
            "id": name,
            "state": FAILED,
            "tries": tries,
            "error": "its worker died each time, most often since memory was full",
        }


def _outcomes(
    rows: list[Row], blocks: int, sizes: tuple[int, int | None], given: dict[str, Any], actor: tuple[Any, ...]
) -> Iterator[dict[str, Any]]:
    """How the films of rows ended; rows whose block was lost are not among them."""
    import ray.data

    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.actor_task_retry_on_errors = True  # what an actor raises beside a film's failures, such as a lost file system
    context.max_errored_blocks = -1
    pool = ray.data.ActorPoolStrategy(
        min_size=1, initial_size=sizes[0], max_size=sizes[1], max_tasks_in_flight_per_actor=1
    )  # fmt: skip
    films = ray.data.from_items([{"row": pickle.dumps(row)} for row in rows], override_num_blocks=blocks).map_batches(
        FilmActor, batch_size=None, compute=pool, fn_constructor_args=actor, zero_copy_batch=False, **given
    )
    for line in films.iter_rows():
        yield json.loads(line["outcome"])
