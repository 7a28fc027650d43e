"""Walks out and back: what is compared with what."""

from __future__ import annotations

import pytest
import torch
from splatmem.evaluation.revisits import walk
from splatmem.geometry.cameras import Cameras, identity_camera

CAMERAS = Cameras.cat([identity_camera(60.0, 64, 64)] * 3)


class StubMemory:
    def __init__(self, owner: StubScene) -> None:
        self.owner = owner

    def film(self, camera: Cameras) -> tuple[torch.Tensor, torch.Tensor]:
        return torch.full((1, 64, 64, 3), self.owner.grey), torch.ones(1, 64, 64, dtype=torch.bool)


class StubScene:
    """Every look makes it a little brighter; so far from what it was are places that are seen again."""

    def __init__(self, step: float) -> None:
        self.grey, self.step, self.memory = 0.25, step, StubMemory(self)

    def look(self, camera: Cameras) -> None:
        self.grey += self.step


@pytest.mark.breaks_annotations
def test_places_are_compared_with_their_first_visit() -> None:
    found = walk(StubScene(0.01), CAMERAS, 2)  # type: ignore[arg-type]
    # 0 1 2 1 0, 1 2 1 0: the first three are new.
    assert [one.frame for one in found] == [1, 0, 1, 2, 1, 0]
    assert [one.visit for one in found] == [1, 1, 2, 1, 3, 2]
    steps = [2, 4, 4, 4, 6, 8]
    expected = [-20 * torch.log10(torch.tensor(0.01 * n)).item() for n in steps]
    assert [one.psnr for one in found] == pytest.approx(expected, abs=0.01)


@pytest.mark.breaks_annotations
def test_what_a_change_alters_counts_as_it_is_afterwards() -> None:
    def darken(scene: StubScene) -> None:
        scene.grey -= 0.2

    found = walk(StubScene(0.0), CAMERAS, 3, [darken])  # type: ignore[arg-type, list-item]
    assert {one.psnr for one in found} == {100.0}
    assert [one.ssim for one in found] == pytest.approx([1.0] * len(found))
