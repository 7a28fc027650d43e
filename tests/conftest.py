"""The textured room along a full turn, for all tests."""

from __future__ import annotations

import os

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # as the command line sets it; read when PyTorch is loaded

import pytest
from splatmem.cameras import Cameras

from textured_room import room, turn


@pytest.fixture(scope="session")
def room_turn() -> Cameras:
    return turn(24)


@pytest.fixture(scope="session")
def room_frames(room_turn):
    """(rgb, depth) of the room along the turn."""
    reading = room().render(room_turn)
    return reading.rgb, reading.depth
