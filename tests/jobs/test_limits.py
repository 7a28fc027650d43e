"""A run under limits of the system on open files and on file sizes: it works, or ends in a sentence and can be resumed."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from forked_commands import PHOTO, SMALL_RUN, Ended, ForkedCommands

if not sys.platform.startswith("linux"):
    pytest.skip("needs Linux: limits a process as Linux does", allow_module_level=True)

import resource

KIBIBYTE = 2**10
SLOW = pytest.mark.slow


def limited(splatmem: ForkedCommands, limit: int, value: int, *arguments: object) -> Ended:
    """A command in a process with one of its limits lowered."""
    running = splatmem.start(*arguments)
    resource.prlimit(running.pid, limit, (value, value))
    return running.wait()


def test_few_open_files(splatmem: ForkedCommands, small_run: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    ended = limited(splatmem, resource.RLIMIT_NOFILE, 32, "flyaround", PHOTO, "--out", out, *SMALL_RUN)
    assert ended.status == 0, ended.err
    for name in ("video.mp4", "scene.ply"):
        assert (out / name).read_bytes() == (small_run / name).read_bytes()
    for number, (arguments, file) in enumerate(
        [
            (("export", out), tmp_path / "a.ply"),
            (("render", out, "--path", "dolly", "--frames", 2, "--out"), tmp_path / "a.mp4"),
        ]
    ):
        ended = limited(splatmem, resource.RLIMIT_NOFILE, 32, *arguments, file)
        assert ended.status == 0, (number, ended.err)


@pytest.mark.parametrize("kibibytes", [1, pytest.param(20, marks=SLOW), 200, pytest.param(600, marks=SLOW), 1200])
def test_files_that_may_not_grow(splatmem: ForkedCommands, small_run: Path, tmp_path: Path, kibibytes: int) -> None:
    """``ulimit -f``: each stage's file is the first that grows too large, at one limit or another."""
    out = tmp_path / "out"
    arguments = ("flyaround", PHOTO, "--out", out, *SMALL_RUN)
    ended = limited(splatmem, resource.RLIMIT_FSIZE, kibibytes * KIBIBYTE, *arguments)
    if ended.status == 0:
        assert max(file.stat().st_size for file in out.rglob("*")) <= kibibytes * KIBIBYTE
        return
    assert ended.status == 2, ended.err
    assert "File too large" in ended.error
    kept = (tmp_path / "out.partial").exists()
    assert ("--resume" in ended.error) == kept
    assert not out.exists()
    assert kept or not any(tmp_path.iterdir())
    ended = splatmem(*arguments, *(["--resume"] if kept else []))
    assert ended.status == 0, ended.err
    for name in ("video.mp4", "scene.ply"):
        assert (out / name).read_bytes() == (small_run / name).read_bytes()
