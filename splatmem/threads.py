"""How many threads work: PyTorch's on large tensors, the kernels' wherever there is work for them."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from functools import cache
from typing import Any, TypeVar

import torch

FEW_PIXELS = 400_000
MOST_HELPERS = 64

Item = TypeVar("Item")
Result = TypeVar("Result")

_local = threading.local()
_told = 0  # threads that PyTorch was told to use when a thread last left it alone


def kernel_threads() -> int:
    """Threads that the compiled kernels use: as many as PyTorch was told to, wherever they are called."""
    return getattr(_local, "outside", None) or torch.get_num_threads()


@contextmanager
def torch_alone(pixels: int) -> Iterator[None]:
    """A context for work on ``pixels`` pixels that is many short operations: within, PyTorch uses the calling thread alone if
    they are few, and the kernels use as many threads as before.

    Handing half of such an operation to a second thread, which sleeps in between, takes longer than it saves: on two cores,
    writing a photo of 512x288 took nearly twice as long with it. Models, whose operations are long, do not belong in here.
    """
    outside = kernel_threads()
    if pixels > FEW_PIXELS or outside == 1 or hasattr(_local, "outside"):
        yield
        return
    global _told
    _local.outside = _told = outside
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(outside)
        del _local.outside


def side_by_side(work: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
    """``work`` done on each of the items, whose results come in the items' order: within ``torch_alone`` on as many threads as
    there are, the calling one among them, each of which works alone; elsewhere, where PyTorch's operations themselves use all
    threads, one after another.

    The items must not depend on each other; then the results do not depend on the number of threads. They are begun in their
    order: the longest should come first.
    """
    threads = min(getattr(_local, "outside", 1), len(items))
    if threads < 2:
        return [work(item) for item in items]
    differentiable = torch.is_grad_enabled()
    waiting, results = deque(enumerate(items)), dict[int, Result]()

    def work_on() -> None:
        with torch.set_grad_enabled(differentiable):  # each thread has a setting of its own
            while True:
                try:
                    place, item = waiting.popleft()
                except IndexError:
                    return
                results[place] = work(item)

    helping = [_helpers(os.getpid()).submit(work_on) for _ in range(threads - 1)]
    outside, _local.outside = _local.outside, 1
    try:
        work_on()
    finally:
        _local.outside = outside
        waiting.clear()
        wait(helping)
    for helper in helping:
        helper.result()  # raises what it raised
    return [results[place] for place in range(len(items))]


@cache
def _helpers(process: int) -> ThreadPoolExecutor:
    """Threads that stay, since beginning one takes longer than many a piece of work; those of a process that was forked from
    are not in the new one."""

    def begin() -> None:
        torch.get_num_threads()  # looks for the number once in a thread's life
        torch.set_num_threads(1)

    return ThreadPoolExecutor(MOST_HELPERS, thread_name_prefix="side_by_side", initializer=begin)


def both(first: Callable[[], Item], second: Callable[[], Result]) -> tuple[Item, Result]:
    """Two different things done ``side_by_side``."""
    done: list[Any] = side_by_side(lambda work: work(), [first, second])
    return done[0], done[1]


def use_all_threads() -> None:
    """To be called where a thread begins while others work: PyTorch would keep it for good to the one thread that it finds when
    some other thread is within ``torch_alone`` just then."""
    torch.get_num_threads()  # looks for the number once in a thread's life
    if _told:
        torch.set_num_threads(_told)
