"""Where a photo bears a full circle: round a thing that stands alone, not where a slope rises before the cameras behind it."""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from splatmem.classes import PixelClass, PixelClasses
from splatmem.geometry.cameras import Cameras
from splatmem.memory import SpatialMemory
from splatmem.trajectory.round_subject import FROM_BEHIND, FULL_CIRCLE
from splatmem.trajectory.trajectory import preset_trajectory

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))

from solid_scenes import SCENES

PHOTO = Cameras.from_fov(torch.eye(4)[None], 65.0, 96, 54)


def memory_of(rgb: torch.Tensor, depth: torch.Tensor, classes: PixelClasses) -> SpatialMemory:
    memory = SpatialMemory(down=torch.tensor([0.0, 1.0, 0.0]))
    memory.write(rgb, depth, PHOTO, torch.ones(depth.shape, dtype=torch.bool), classes=classes)
    return memory


def test_a_post_in_the_open_bears_a_full_circle_in_films_of_any_length_and_size() -> None:
    post = next(scene for scene in SCENES if "statue" in scene.name)
    memory = memory_of(*post.view(PHOTO))
    for orbit in (preset_trajectory("orbit", memory, 2), preset_trajectory("orbit", memory, 48, (64, 64), 90.0)):
        assert orbit.extent is not None
        assert orbit.extent.degrees == FULL_CIRCLE


def test_round_a_slope_that_fills_the_photo_the_path_swings_and_says_why() -> None:
    _, ray_y, _ = PHOTO.pixel_rays()[0].unbind(-1)
    # A hillside from below the camera up to its top: seen from the other side, one would be inside the hill.
    depth = 4.0 / (0.8 + ray_y).clamp_min(0.2)
    labels = torch.full(depth.shape, int(PixelClass.GROUND), dtype=torch.uint8)
    rgb = torch.rand(*depth.shape, 3, generator=torch.Generator().manual_seed(0))
    orbit = preset_trajectory(
        "orbit", memory_of(rgb, depth, PixelClasses(labels, torch.zeros(depth.shape, dtype=torch.int16))), 12
    )
    assert orbit.extent is not None
    assert 0 < orbit.extent.degrees <= 120
    assert any(FROM_BEHIND in note for note in orbit.notes)
