"""Unknown cells that are kept up to date are those that drawing everything anew would give."""

from __future__ import annotations

import pytest
import torch
from splatmem.explore import unknown_cells as module
from splatmem.explore.unknown_cells import UnknownCells, unknown_cells
from splatmem.geometry.cameras import Cameras
from splatmem.memory import SpatialMemory


def written(memory: SpatialMemory, rgb: torch.Tensor, depth: torch.Tensor, camera: Cameras) -> None:
    unknown = ~memory.read(camera).known[0] if memory.views else torch.ones(depth.shape, dtype=torch.bool)
    memory.write(rgb, depth, camera, unknown)


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many views each drawing had."""
    counts: list[int] = []
    whole = module._unknown_shares

    def counted(memory: SpatialMemory, coarse: Cameras) -> torch.Tensor:
        counts.append(len(coarse))
        return whole(memory, coarse)

    monkeypatch.setattr(module, "_unknown_shares", counted)
    return counts


def test_follows_a_growing_memory(room_turn, room_frames, drawn: list[int]) -> None:
    rgb, depth = room_frames[0], room_frames[1]
    coarse = room_turn.coarse(16)
    cells, memory = UnknownCells(coarse), SpatialMemory()
    for frame in (0, 2, 5, 20):
        written(memory, rgb[frame], depth[frame], room_turn[frame])
        kept, share = cells.of(memory)
        again, share_again = unknown_cells(memory, coarse)
        assert torch.equal(kept, again)
        assert share == share_again
    kept_up, anew = drawn[::2], drawn[1::2]
    assert anew == [len(coarse)] * 4
    assert kept_up[0] == len(coarse)
    assert all(0 < count < len(coarse) for count in kept_up[1:]), "only views that may show what was added are drawn"
    drawn.clear()
    cells.of(memory)
    assert not drawn, "nothing is drawn where nothing was added"


def test_a_memory_that_lost_something_is_drawn_anew(room_turn, room_frames) -> None:
    rgb, depth = room_frames[0], room_frames[1]
    coarse = room_turn.coarse(16)
    cells, memory = UnknownCells(coarse), SpatialMemory()
    for frame in (0, 2):
        written(memory, rgb[frame], depth[frame], room_turn[frame])
    before, _ = cells.of(memory)
    other = SpatialMemory()
    for frame in (0, 5, 6):
        written(other, rgb[frame], depth[frame], room_turn[frame])
    kept, _ = cells.of(other)
    assert not torch.equal(before, kept)
    assert torch.equal(kept, unknown_cells(other, coarse)[0])


def test_views_that_others_saw_are_not_drawn_again(room_turn, room_frames, drawn: list[int]) -> None:
    rgb, depth = room_frames[0], room_frames[1]
    places = list(range(0, len(room_turn), 2))
    some, every, memory = UnknownCells(room_turn[places].coarse(16)), UnknownCells(room_turn.coarse(16)), SpatialMemory()
    for frame in (0, 2, 5):
        written(memory, rgb[frame], depth[frame], room_turn[frame])
        some.of(memory)
    drawn.clear()
    every.take_over(some, places)
    kept, share = every.of(memory)
    assert drawn == [len(room_turn) - len(places)]
    again, share_again = unknown_cells(memory, every.coarse)
    assert torch.equal(kept, again)
    assert share == share_again
    every.take_over(some, places)  # and grown since
    written(memory, rgb[20], depth[20], room_turn[20])
    assert torch.equal(every.of(memory)[0], unknown_cells(memory, every.coarse)[0])
