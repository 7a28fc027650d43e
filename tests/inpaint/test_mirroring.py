import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from splatmem.cameras import Cameras
from splatmem.gaussians import Gaussians, logit, rgb_to_sh
from splatmem.inpaint.mirroring import Sector, mirrored_gaussians, mirrored_points

DOWN = torch.tensor([0.0, 1.0, 0.0])


def level_sector(fov: float) -> Sector:
    return Sector.of(Cameras.from_fov(torch.eye(4)[None], fov, 96, 54), DOWN)


def points_at(sector: Sector, azimuth: list[float], distance: float = 2.0, height: float = 0.3) -> torch.Tensor:
    angle = torch.tensor(azimuth)
    offset = torch.stack([distance * angle.sin(), torch.full_like(angle, height), distance * angle.cos()], dim=-1)
    return offset @ sector.axes + sector.center


def wrapped(angle: torch.Tensor) -> torch.Tensor:
    return torch.remainder(angle + math.pi, 2 * math.pi) - math.pi


@given(st.floats(20, 120))
def test_copies_fill_the_rest_of_the_turn_and_close(fov: float) -> None:
    sector = level_sector(fov)
    width = sector.right - sector.left
    assert sector.copies % 2 == 1
    assert width + sector.copies * sector.stretch * width == pytest.approx(2 * math.pi, rel=1e-4)
    ends = mirrored_points(points_at(sector, [sector.left, sector.right]), sector)
    azimuth = torch.stack([sector.azimuth(copy) for copy in ends])
    # Each copy begins where the one before ends, with the same end of the view; the last ends at the view's left end.
    before = torch.tensor(sector.right)
    for index, (left, right) in enumerate(azimuth):
        near, far = (right, left) if index % 2 == 0 else (left, right)
        assert wrapped(near - before).abs() < 1e-4
        before = far
    assert wrapped(before - sector.left).abs() < 1e-4


@given(st.floats(30, 110), st.floats(-25, 25), st.floats(-10, 10))
def test_copies_keep_height_and_distance(fov: float, pitch: float, roll: float) -> None:
    a, b = math.radians(pitch), math.radians(roll)
    tilt = torch.tensor([[1, 0, 0], [0, math.cos(a), -math.sin(a)], [0, math.sin(a), math.cos(a)]])
    turn = torch.tensor([[math.cos(b), -math.sin(b), 0], [math.sin(b), math.cos(b), 0], [0, 0, 1]])
    pose = torch.eye(4)
    pose[:3, :3], pose[:3, 3] = tilt @ turn, torch.tensor([0.5, -0.2, 1.0])
    sector = Sector.of(Cameras.from_fov(pose[None], fov, 96, 54), DOWN)
    points = points_at(sector, [sector.left, 0.3 * sector.left, 0.6 * sector.right])
    local = (mirrored_points(points, sector) - sector.center) @ sector.axes.T
    original = (points - sector.center) @ sector.axes.T
    assert torch.allclose(local[..., 1], original[:, 1].expand(sector.copies, -1), atol=1e-4)
    assert torch.allclose(
        local[..., [0, 2]].norm(dim=-1), original[:, [0, 2]].norm(dim=-1).expand(sector.copies, -1), atol=1e-4
    )


def test_a_camera_that_looks_straight_down_has_a_sector() -> None:
    pose = torch.eye(4)
    pose[:3, :3] = torch.tensor([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])
    sector = Sector.of(Cameras.from_fov(pose[None], 60, 96, 54), DOWN)
    assert sector.right > sector.left
    assert torch.allclose(sector.axes @ sector.axes.T, torch.eye(3), atol=1e-5)


def test_mirrored_gaussians_are_mirror_images() -> None:
    sector = level_sector(70)
    assert sector.stretch < 1, "nothing is widened"
    generator = torch.Generator().manual_seed(0)
    means = points_at(sector, torch.linspace(-0.4, 0.4, 9).tolist())
    quats = torch.randn(9, 4, generator=generator)
    log_scales = torch.randn(9, 3, generator=generator) * 0.3 - 3
    scene = Gaussians(means, quats, log_scales, logit(torch.full((9,), 0.9)), rgb_to_sh(torch.rand(9, 3, generator=generator)))
    copy = mirrored_gaussians(scene, sector).select(slice(0, 9))
    motion = next(sector.motions(means))
    assert torch.allclose(torch.linalg.det(motion), -torch.ones(9), atol=1e-5)

    def covariances(gaussians: Gaussians) -> torch.Tensor:
        axes = gaussians.rotations * gaussians.scales[:, None]
        return axes @ axes.transpose(1, 2)

    expected = motion @ covariances(scene) @ motion.transpose(1, 2)
    assert torch.allclose(covariances(copy), expected, rtol=1e-3, atol=1e-7)
    # The side from which a surface was seen is turned with it.
    assert torch.allclose(copy.normals, torch.einsum("nij,nj->ni", motion, scene.normals), atol=1e-5)
    assert torch.equal(copy.rgb, scene.rgb)


def test_what_lies_outside_the_sector_has_no_copies() -> None:
    sector = level_sector(60)
    outside = points_at(sector, [2 * sector.right])
    scene = Gaussians(outside, torch.ones(1, 4), torch.zeros(1, 3), torch.zeros(1), torch.zeros(1, 1, 3))
    assert len(mirrored_gaussians(scene, sector)) == 0
