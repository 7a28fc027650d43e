"""The textured room along a full turn, for all tests."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # as the command line sets it; read when PyTorch is loaded

import hypothesis
import pytest
from splatmem.geometry.cameras import Cameras

from forked_commands import PHOTO, SMALL_RUN, ForkedCommands, forked_commands
from textured_room import room, turn

# No test depends on how fast the machine is.
hypothesis.settings.register_profile("splatmem", deadline=None)
hypothesis.settings.load_profile("splatmem")


@pytest.fixture(scope="session")
def room_turn() -> Cameras:
    return turn(24)


@pytest.fixture(scope="session")
def room_frames(room_turn):
    """(rgb, depth) of the room along the turn."""
    reading = room().render(room_turn)
    return reading.rgb, reading.depth


@pytest.fixture(scope="session")
def splatmem() -> Iterator[ForkedCommands]:
    """The command line, each command in a process of its own."""
    with forked_commands() as commands:
        yield commands


@pytest.fixture(scope="session")
def small_run(splatmem: ForkedCommands, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that a small run of the main job has written."""
    out = tmp_path_factory.mktemp("small") / "out"
    ended = splatmem("flyaround", PHOTO, "--out", out, *SMALL_RUN)
    assert ended.status == 0, ended.err
    return out
