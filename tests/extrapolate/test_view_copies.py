import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from splatmem.extrapolate.view_copies import AzimuthRange, legs_between, mirrored_gaussians, mirrored_points, whole_legs
from splatmem.gaussians import Gaussians
from splatmem.gaussians.container import logit, rgb_to_sh
from splatmem.geometry.cameras import Cameras

DOWN = torch.tensor([0.0, 1.0, 0.0])
SHARES = st.lists(st.floats(0.05, 0.45), min_size=0, max_size=4)


def level_sector(fov: float) -> AzimuthRange:
    return AzimuthRange.of(Cameras.from_fov(torch.eye(4)[None], fov, 96, 54), DOWN)


def points_at(view_range: AzimuthRange, azimuth: list[float], distance: float = 2.0, height: float = 0.3) -> torch.Tensor:
    angle = torch.tensor(azimuth)
    offset = torch.stack([distance * angle.sin(), torch.full_like(angle, height), distance * angle.cos()], dim=-1)
    return offset @ view_range.axes + view_range.center


def wrapped(angle: torch.Tensor) -> torch.Tensor:
    return torch.remainder(angle + math.pi, 2 * math.pi) - math.pi


def zigzag(view_range: AzimuthRange, shares: list[float]) -> list[float]:
    """Azimuths at which a way turns: each in the left half, then as far in the right one."""
    turns = []
    for share in shares:
        turns += [view_range.left + share * view_range.width, view_range.right - share * view_range.width]
    return turns


@given(st.floats(20, 120), SHARES)
def test_legs_fill_the_rest_of_the_turn_and_close(fov: float, shares: list[float]) -> None:
    view_range = level_sector(fov)
    legs = legs_between(view_range, zigzag(view_range, shares))
    assert sum(leg.stretch * abs(leg.end - leg.begin) for leg in legs) == pytest.approx(view_range.rest, rel=1e-5)
    # Each leg begins where the one before ends, with the same part of the view; the last ends at the view's left end.
    before = torch.tensor(view_range.right)
    for leg in legs:
        inset = math.copysign(1e-4, leg.end - leg.begin)
        ends = mirrored_points(points_at(view_range, [leg.begin + inset, leg.end - inset]), view_range, [leg])[0]
        near, far = view_range.azimuth(ends)
        assert wrapped(near - before).abs() < 3e-4 * (1 + leg.stretch)
        before = far
    assert wrapped(before - view_range.left).abs() < 3e-4 * (1 + legs[-1].stretch)


@given(st.floats(20, 120))
def test_whole_views_are_mirrored_and_plain_in_turn(fov: float) -> None:
    view_range = level_sector(fov)
    legs = whole_legs(view_range)
    assert len(legs) % 2 == 1
    assert [leg.mirrored for leg in legs] == [i % 2 == 0 for i in range(len(legs))]
    assert all(abs(leg.end - leg.begin) == pytest.approx(view_range.width) for leg in legs)


@given(st.floats(30, 110), st.floats(-25, 25), st.floats(-10, 10), SHARES)
def test_what_is_repeated_keeps_height_and_distance(fov: float, pitch: float, roll: float, shares: list[float]) -> None:
    a, b = math.radians(pitch), math.radians(roll)
    tilt = torch.tensor([[1, 0, 0], [0, math.cos(a), -math.sin(a)], [0, math.sin(a), math.cos(a)]])
    turn = torch.tensor([[math.cos(b), -math.sin(b), 0], [math.sin(b), math.cos(b), 0], [0, 0, 1]])
    pose = torch.eye(4)
    pose[:3, :3], pose[:3, 3] = tilt @ turn, torch.tensor([0.5, -0.2, 1.0])
    view_range = AzimuthRange.of(Cameras.from_fov(pose[None], fov, 96, 54), DOWN)
    points = points_at(view_range, [0.99 * view_range.left, 0.3 * view_range.left, 0.6 * view_range.right])
    places, sources = mirrored_points(points, view_range, legs_between(view_range, zigzag(view_range, shares)))
    assert len(places) >= len(points)
    local, original = ((p - view_range.center) @ view_range.axes.T for p in (places, points))
    assert torch.allclose(local[:, 1], original[sources, 1], atol=1e-4)
    assert torch.allclose(local[:, [0, 2]].norm(dim=-1), original[sources][:, [0, 2]].norm(dim=-1), atol=1e-4)


def test_a_camera_that_looks_straight_down_has_a_sector() -> None:
    pose = torch.eye(4)
    pose[:3, :3] = torch.tensor([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])
    view_range = AzimuthRange.of(Cameras.from_fov(pose[None], 60, 96, 54), DOWN)
    assert view_range.right > view_range.left
    assert torch.allclose(view_range.axes @ view_range.axes.T, torch.eye(3), atol=1e-5)


def test_mirrored_gaussians_are_mirror_images() -> None:
    view_range = level_sector(70)
    leg = whole_legs(view_range)[0]
    assert leg.stretch < 1, "nothing is widened"
    generator = torch.Generator().manual_seed(0)
    means = points_at(view_range, torch.linspace(-0.4, 0.4, 9).tolist())
    quats = torch.randn(9, 4, generator=generator)
    log_scales = torch.randn(9, 3, generator=generator) * 0.3 - 3
    scene = Gaussians(means, quats, log_scales, logit(torch.full((9,), 0.9)), rgb_to_sh(torch.rand(9, 3, generator=generator)))
    copy = mirrored_gaussians(scene, view_range, [leg])
    motion = view_range.motion(view_range.azimuth(means), leg)
    assert torch.allclose(torch.linalg.det(motion), -torch.ones(9), atol=1e-5)

    def covariances(gaussians: Gaussians) -> torch.Tensor:
        axes = gaussians.rotations * gaussians.scales[:, None]
        return axes @ axes.transpose(1, 2)

    expected = motion @ covariances(scene) @ motion.transpose(1, 2)
    assert torch.allclose(covariances(copy), expected, rtol=1e-3, atol=1e-7)
    # The side from which a surface was seen is turned with it.
    assert torch.allclose(copy.normals, torch.einsum("nij,nj->ni", motion, scene.normals), atol=1e-5)
    assert torch.allclose(copy.rgb, scene.rgb, atol=1e-6)


def test_a_leg_repeats_its_own_stretch_only() -> None:
    view_range = level_sector(60)
    middle = 0.5 * (view_range.left + view_range.right)
    leg = legs_between(view_range, [middle, view_range.right])[0]
    at = points_at(view_range, [middle - 0.1, middle + 0.1, view_range.right + 0.1])
    scene = Gaussians(at, torch.ones(3, 4), torch.zeros(3, 3), torch.zeros(3), rgb_to_sh(torch.arange(9.0).view(3, 3) / 9))
    assert torch.allclose(mirrored_gaussians(scene, view_range, [leg]).rgb, scene.rgb[1:2])


def test_copies_are_no_brighter_than_white_and_no_darker_than_black() -> None:
    view_range = level_sector(60)
    colours = torch.tensor([[1.2, 0.5, -0.1]])
    scene = Gaussians(points_at(view_range, [0.0]), torch.ones(1, 4), torch.zeros(1, 3), torch.zeros(1), rgb_to_sh(colours))
    copy = mirrored_gaussians(scene, view_range, whole_legs(view_range)[:1])
    assert torch.allclose(copy.rgb, torch.tensor([[1.0, 0.5, 0.0]]), atol=1e-6)
