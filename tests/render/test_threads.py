"""The kernels where threads cannot be started."""

from __future__ import annotations

import subprocess
import sys

import pytest

DRAW = """
import faulthandler, os, resource, sys
faulthandler.dump_traceback_later(60, exit=True)
import torch
from splatmem.render import rasterization

torch.manual_seed(0)
scene = [torch.randn(300, 3) * 0.5 + torch.tensor([0.0, 0, 3]), torch.randn(300, 4), torch.full((300, 3), 0.05),
         torch.full((300,), 0.9), torch.rand(300, 3)]
views = torch.eye(4)[None].repeat(3, 1, 1), torch.tensor([[[90.0, 0, 64], [0, 90, 40], [0, 0, 1]]]).repeat(3, 1, 1)

torch.set_num_threads(1)  # PyTorch's own OpenMP ends the process where it cannot start a thread

def draw(threads):
    torch.get_num_threads = lambda: threads  # what the kernels are told
    return rasterization(*scene, *views, 128, 80)[0]

alone = draw(1)
def address_space():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[0]) * resource.getpagesize()
room = int(sys.argv[1]) << 20
resource.setrlimit(resource.RLIMIT_AS, (address_space() + room, resource.RLIM_INFINITY))
before = len(os.listdir("/proc/self/task"))
for _ in range(3):
    assert torch.equal(draw(6), alone)
print(len(os.listdir("/proc/self/task")) - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs Linux: limits a process as Linux does")
@pytest.mark.parametrize("room", [4, 12, 28])
def test_fewer_threads_than_asked_for_draw_the_same(room: int) -> None:
    """A stack takes 8 MiB of address space: with ``room`` MiB left not all of the five helpers can start."""
    ended = subprocess.run([sys.executable, "-c", DRAW, str(room)], capture_output=True, text=True, timeout=120)
    assert ended.returncode == 0, ended.stderr[-2000:]
    assert int(ended.stdout) < 5
