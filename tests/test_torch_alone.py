"""PyTorch works alone on few pixels, and the kernels on as many threads as ever."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
import torch
from splatmem.threads import FEW_PIXELS, both, kernel_threads, side_by_side, torch_alone, use_all_threads


@pytest.fixture(autouse=True)
def three_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


def test_few_pixels_are_worked_on_by_the_calling_thread() -> None:
    with torch_alone(FEW_PIXELS):
        assert (torch.get_num_threads(), kernel_threads()) == (1, 3)
        with torch_alone(1):
            assert (torch.get_num_threads(), kernel_threads()) == (1, 3)
        assert (torch.get_num_threads(), kernel_threads()) == (1, 3)
    assert (torch.get_num_threads(), kernel_threads()) == (3, 3)


def test_many_pixels_are_shared() -> None:
    with torch_alone(FEW_PIXELS + 1):
        assert (torch.get_num_threads(), kernel_threads()) == (3, 3)


def test_an_error_leaves_the_threads_as_they_were() -> None:
    with pytest.raises(RuntimeError), torch_alone(1):
        raise RuntimeError
    assert (torch.get_num_threads(), kernel_threads()) == (3, 3)


def test_a_thread_that_begins_meanwhile_has_all_of_them() -> None:
    seen = []

    def look() -> None:
        use_all_threads()
        seen.append((torch.get_num_threads(), kernel_threads()))

    with torch_alone(1):
        other = threading.Thread(target=look)
        other.start()
        other.join()
        assert torch.get_num_threads() == 1
    assert seen == [(3, 3)]


def test_what_does_not_depend_on_each_other_is_done_side_by_side() -> None:
    together = threading.Barrier(3, timeout=20)

    def work(item: int) -> tuple[int, int, int, bool]:
        together.wait()
        return item, torch.get_num_threads(), kernel_threads(), torch.is_grad_enabled()

    with torch_alone(1), torch.no_grad():
        assert side_by_side(work, [3, 1, 2]) == [(item, 1, 1, False) for item in (3, 1, 2)]
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 3


def test_two_different_things_are_done_at_once() -> None:
    together = threading.Barrier(2, timeout=20)

    def number() -> int:
        return together.wait() * 0 + 3

    def word() -> str:
        return "three" * (together.wait() >= 0)

    with torch_alone(1):
        assert both(number, word) == (3, "three")


def test_where_operations_use_all_threads_one_is_done_after_another() -> None:
    assert side_by_side(lambda item: (item, threading.get_ident()), [1, 2]) == [(n, threading.get_ident()) for n in (1, 2)]


def test_an_error_in_one_of_them_is_raised() -> None:
    with torch_alone(1), pytest.raises(ZeroDivisionError):
        side_by_side(lambda item: 1 // item, [1, 0, 2])


def test_the_threads_stay_for_what_comes_next() -> None:
    together = threading.Barrier(3, timeout=20)

    def thread(_: int) -> int:
        together.wait()
        return threading.get_ident()

    with torch_alone(1):
        rounds = [set(side_by_side(thread, [1, 2, 3])) for _ in range(20)]
    assert all(len(threads) == 3 and threading.get_ident() in threads for threads in rounds)
    assert len(set().union(*rounds)) < 20


def test_what_is_done_side_by_side_is_not_divided_again() -> None:
    def work(_: int) -> list[int]:
        return side_by_side(lambda item: threading.get_ident(), [1, 2])

    with torch_alone(1):
        for inner in side_by_side(work, [1, 2, 3]):
            assert len(set(inner)) == 1
