"""Features in the memory: written once for a view, read at latent size from anywhere."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from splatmem.geometry.cameras import Cameras
from splatmem.memory import SpatialMemory
from splatmem.memory.session import load_session, save_session
from torch import Tensor

from textured_room import room, turn

CELL = 8
CHANNELS = 6


def field(cameras: Cameras) -> Tensor:
    """Features that belong to the places of the room, as each camera sees them."""
    waves = torch.randn(3, CHANNELS, generator=torch.Generator().manual_seed(0))
    return torch.sin(cameras.unproject(room().render(cameras).depth) @ waves)


def error(read: Tensor, true: Tensor, known: Tensor) -> float:
    return float(((read - true)[known].square().mean() / true[known].square().mean()).sqrt())


@pytest.fixture(scope="module")
def views() -> Cameras:
    return turn(24)


@pytest.fixture(scope="module")
def cells(views: Cameras) -> Cameras:
    return views.resized(views.width // CELL, views.height // CELL)


@pytest.fixture
def memory(views: Cameras, cells: Cameras, room_frames: tuple[Tensor, Tensor]) -> SpatialMemory:
    rgb, depth = room_frames
    made = SpatialMemory()
    made.write(rgb[0], depth[0], views[0], torch.ones_like(depth[0], dtype=torch.bool))
    assert made.write_features(field(cells[0])[0], cells[0], views[0]) == cells.width * cells.height
    return made


def test_the_view_that_wrote_them_reads_them_back(memory: SpatialMemory, cells: Cameras) -> None:
    reading = memory.read(cells[0], features=True)
    assert reading.features is not None
    assert reading.features.shape == (1, cells.height, cells.width, CHANNELS)
    assert reading.features.dtype == torch.float32
    assert bool(reading.known.all())
    assert reading.trust.min() > 0.9
    assert error(reading.features, field(cells[0]), reading.known) < 0.06


def test_another_view_reads_those_of_its_places(memory: SpatialMemory, cells: Cameras) -> None:
    reading = memory.read(cells[2], features=True)
    assert reading.features is not None
    assert 0.4 < reading.known.float().mean() < 0.8
    assert error(reading.features, field(cells[2]), reading.known) < 0.25
    assert error(reading.features, field(cells[2]).roll(3, dims=2), reading.known) > 0.5, "of these places, not of others"


def test_a_camera_of_any_size_reads_at_the_latent_one(memory: SpatialMemory, views: Cameras, cells: Cameras) -> None:
    at = memory.read(views[1], features=True, at=(cells.width, cells.height))
    own = memory.read(cells[1], features=True)
    assert torch.equal(at.features, own.features)
    assert torch.equal(at.known, own.known)


def test_from_closer_they_are_trusted_less(memory: SpatialMemory, cells: Cameras) -> None:
    pose = torch.eye(4)[None].clone()
    pose[0, 2, 3] = 2.6
    near = memory.read(Cameras.from_fov(pose, 70, cells.width, cells.height), features=True)
    assert near.known.float().mean() > 0.8, "four times as close"
    assert near.trust.mean() < 0.5


def test_what_has_features_is_not_written_again(
    memory: SpatialMemory, views: Cameras, cells: Cameras, room_frames: tuple[Tensor, Tensor]
) -> None:
    rgb, depth = room_frames
    assert memory.feature_gaussians is not None
    before = copy.deepcopy(memory.feature_gaussians)
    assert memory.write_features(field(cells[0])[0], cells[0], views[0]) == 0
    memory.write(rgb[2], depth[2], views[2], ~memory.read(views[2]).known[0])
    added = memory.write_features(field(cells[2])[0], cells[2], views[2])
    assert 0 < added < 0.6 * cells.width * cells.height
    assert torch.equal(memory.feature_gaussians.features[: len(before)], before.features)
    assert memory.read(cells[2], features=True).known.float().mean() > 0.97


def test_they_cost_little_beside_colour(memory: SpatialMemory) -> None:
    assert memory.feature_gaussians is not None
    assert memory.feature_gaussians.features.dtype == torch.float16
    assert memory.gaussians.nbytes + memory.feature_gaussians.nbytes < 1.3 * memory.gaussians.nbytes


def test_a_grid_that_reaches_beyond_the_picture(memory: SpatialMemory, views: Cameras) -> None:
    """Padded pictures have cells beside the frame, which are not known and not lifted."""
    scale = torch.tensor([[1 / CELL], [1 / CELL], [1.0]])
    padded = Cameras(views.world_to_cam[:1], views.intrinsics[:1] * scale, 18, 11)  # 144 x 88 pixels
    memory.feature_gaussians = None
    assert memory.write_features(torch.ones(11, 18, CHANNELS), padded, views[0]) == 16 * 9
    assert not memory.read(padded, features=True).known[0, :, 17].any()


def test_without_any_it_is_said(memory: SpatialMemory, cells: Cameras) -> None:
    with pytest.raises(ValueError, match="holds no features: write some with write_features"):
        memory.as_given().read(cells[0], features=True)


def test_sessions_keep_them(memory: SpatialMemory, cells: Cameras, tmp_path: Path) -> None:
    memory.num_feature_views = 1
    save_session(memory, tmp_path / "memory")
    loaded, _ = load_session(tmp_path / "memory")
    assert loaded.num_feature_views == 1
    assert torch.equal(loaded.read(cells[1], features=True).features, memory.read(cells[1], features=True).features)
    (tmp_path / "memory" / "part-00000.safetensors").unlink()
    with pytest.raises(ValueError, match=r"damaged: .*part-00000\.safetensors is missing"):
        load_session(tmp_path / "memory")
