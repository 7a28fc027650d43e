"""What is known of main memory: errors that say it is full, what is left of it, and what fits."""

from __future__ import annotations

import errno
import re
import subprocess
import sys

import numpy as np
import pytest
from splatmem.models import main_memory
from splatmem.models.main_memory import BASE, PER_PIXEL, SPARE, fitting_size, free_main_memory, is_out_of_memory

FULL = """
import resource, sys
from splatmem.models.hardware import explained_out_of_memory
from splatmem.config import HardwareConfig
import torch, numpy as np, cv2
from splatmem.models.main_memory import free_main_memory, is_out_of_memory
with open("/proc/self/statm") as file:
    taken = int(file.read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (taken + (1 << 30), resource.RLIM_INFINITY))
print(abs(free_main_memory() - (1 << 30)) < 1 << 26)
for fill in (lambda: torch.empty(1 << 32), lambda: np.empty(1 << 32), lambda: bytearray(1 << 32),
             lambda: cv2.resize(np.zeros((9, 9), np.float32), (30000, 30000))):
    try:
        with explained_out_of_memory("cpu", HardwareConfig(), (1280, 720)):
            fill()
    except ValueError as error:
        print(error)
"""


def test_a_limit_on_the_address_space_for_real() -> None:
    if not sys.platform.startswith("linux"):
        pytest.skip("needs Linux: limits a process as Linux does")
    ended = subprocess.run([sys.executable, "-c", FULL], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    known, *explained = ended.stdout.splitlines()
    assert known == "True"
    assert len(explained) == 4
    assert explained[0].startswith("cpu has too little memory (16,384.0 MiB more could not be had): ")
    largest = fitting_size(1280, 720, 1 << 30) or (0, 0)
    for line in explained:
        assert line.startswith("cpu has too little memory ("), line
        told = re.search(r"--size (\d+)x(\d+), which should fit into the ([\d.]+) GiB that were free at the beginning$", line)
        assert told is not None, line
        # How much of the limit the interpreter itself takes differs from machine to machine.
        assert 0.7 <= float(told[3]) <= 1.0, line
        assert 0 < int(told[1]) <= largest[0], line
        assert 0 < int(told[2]) <= largest[1], line


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        MemoryError("std::bad_alloc"),
        RuntimeError("std::bad_alloc"),
        RuntimeError(
            "[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory: you tried to allocate 3 bytes"
        ),
        RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 3 bytes."),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
        ImportError("libx.so: failed to map segment from shared object"),
    ],
)
def test_full_memory_has_many_names(error: BaseException) -> None:
    assert is_out_of_memory(error)


def test_other_errors_are_not_called_full_memory() -> None:
    for error in (ValueError("not enough memory"), RuntimeError("shapes do not fit"), OSError(errno.ENOSPC, "No space left")):
        assert not is_out_of_memory(error)


def test_what_fits() -> None:
    exactly = int(np.ceil((BASE + PER_PIXEL * 1280 * 720) / SPARE))
    assert fitting_size(1280, 720, exactly) == (1280, 720)
    assert fitting_size(1280, 720, 100 * exactly) == (1280, 720), "never more than was asked for"
    width, height = fitting_size(1280, 720, exactly // 2) or (0, 0)
    assert width % 2 == height % 2 == 0
    assert width / height == pytest.approx(1280 / 720, rel=0.02)
    assert BASE + PER_PIXEL * width * height <= SPARE * exactly / 2
    assert fitting_size(1280, 720, BASE) is None


def test_a_container_has_less_than_its_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    files = {
        "/sys/fs/cgroup/memory.max": "300\n",
        "/sys/fs/cgroup/memory.current": "100\n",
        "/proc/meminfo": "MemAvailable: 9 kB\n",
    }
    monkeypatch.setattr(main_memory, "_text", lambda file: files.get(file, ""))
    assert free_main_memory() == 200
    files["/sys/fs/cgroup/memory.max"] = "max\n"
    assert free_main_memory() == 9 * 1024
    files.clear()
    assert free_main_memory() is None
