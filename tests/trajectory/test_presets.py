import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from splatmem.geometry.interpolation import interpolate_keyframes, interpolate_values
from splatmem.geometry.poses import look_at, require_rigid, rigid_from
from splatmem.geometry.rotations import quats_to_rotations
from splatmem.trajectory.presets import PRESET_NAMES, PRESETS, SWINGS, PathResult, make_path
from torch import Tensor

CLOSED = [name for name in PRESET_NAMES if PRESETS[name].closed]


def made(name: str, frames: int = 96, **changes) -> PathResult:
    arguments = {"scale": 2.0, "subject_distance": 3.0, "fov_x_degrees": 60.0, "width": 64, "height": 36}
    return make_path(name, frames, **(arguments | changes))


def turned_degrees(a: Tensor, b: Tensor) -> Tensor:
    """Angles between rotations ``[n, 3, 3]``."""
    trace = (a.transpose(1, 2) @ b).diagonal(dim1=1, dim2=2).sum(-1)
    return torch.rad2deg(torch.acos(((trace - 1) / 2).clamp(-1, 1)))


def steps(poses: Tensor, closed: bool) -> tuple[Tensor, Tensor]:
    """Distances and angles between successive poses, over the seam where the path is closed."""
    following = poses.roll(-1, dims=0) if closed else poses[1:]
    before = poses if closed else poses[:-1]
    moved = (following[:, :3, 3] - before[:, :3, 3]).norm(dim=-1)
    return moved, turned_degrees(before[:, :3, :3], following[:, :3, :3])


def test_every_name_that_is_offered_has_a_curve() -> None:
    assert tuple(PRESETS) == PRESET_NAMES


@pytest.mark.parametrize("name", PRESET_NAMES)
class TestPresets:
    @pytest.mark.parametrize("frames", [2, 3, 24, 97])
    def test_the_first_camera_is_the_identity_and_all_are_rigid(self, name: str, frames: int) -> None:
        cameras = made(name, frames).cameras
        assert len(cameras) == frames
        torch.testing.assert_close(cameras.world_to_cam[0], torch.eye(4), atol=0, rtol=0)
        require_rigid(cameras.world_to_cam, name)

    def test_smooth(self, name: str) -> None:
        """No step is much longer than its neighbours, over the seam too."""
        poses = made(name, 192).cameras.cam_to_world.double()
        for step in steps(poses, PRESETS[name].closed):
            changes = (step[1:] - step[:-1]).abs()
            assert changes.max() <= 0.15 * step.max() + 1e-3
        moved, turned = steps(poses, PRESETS[name].closed)
        assert moved.max() < 0.15
        assert turned.max() < 3

    def test_scales_with_the_scene(self, name: str) -> None:
        one, ten = made(name).cameras, made(name, scale=20.0, subject_distance=30.0).cameras
        torch.testing.assert_close(ten.centers, 10 * one.centers, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(ten.forward, one.forward)

    def test_upright(self, name: str) -> None:
        right = made(name).cameras.cam_to_world[:, :3, 0]
        torch.testing.assert_close(right[:, 1], torch.zeros(96), atol=1e-6, rtol=0)

    def test_keeps_to_free_space(self, name: str) -> None:
        if name in SWINGS:
            return  # below: these go round as far as they can
        limit = 0.3 * made(name).cameras.centers.norm(dim=-1).max()
        asked = []

        def is_free(points: Tensor) -> Tensor:
            asked.append(points)
            return points.norm(dim=-1) < limit

        result = made(name, is_free=is_free)
        assert (result.cameras.centers.norm(dim=-1) < limit).all()
        assert result.shrink == pytest.approx(0.3, rel=0.02)
        assert result.note.startswith(f"{name} drawn in to {100 * result.shrink:.0f} % of its")
        assert all(points.dtype == torch.float32 and points.shape[-1] == 3 for points in asked)
        torch.testing.assert_close(result.cameras.forward, made(name).cameras.forward)

    def test_nothing_in_the_way(self, name: str) -> None:
        result = made(name, is_free=lambda p: torch.ones(len(p), dtype=torch.bool))
        assert (result.shrink, result.note) == (1.0, "")

    def test_no_room_at_all(self, name: str) -> None:
        result = made(name, is_free=lambda p: torch.zeros(len(p), dtype=torch.bool))
        assert result.shrink == 0.0
        assert "stays in one place" in result.note
        assert result.cameras.centers.abs().max() < 1e-6


@pytest.mark.parametrize("name", CLOSED)
def test_closed_paths_close_exactly(name: str) -> None:
    curve = PRESETS[name].curve(torch.tensor([0.0, 1.0]).double(), 2.0, 3.0)
    torch.testing.assert_close(curve[1], curve[0], atol=1e-12, rtol=0)
    # Frame i of n is at phase i / n: every second frame of 2n is a frame of n.
    twice = made(name, 48).cameras.world_to_cam[::2]
    torch.testing.assert_close(twice, made(name, 24).cameras.world_to_cam)
    assert made(name).closed


def test_dolly_ends_half_way_to_the_subject() -> None:
    result = made("dolly")
    torch.testing.assert_close(result.cameras.centers[-1], torch.tensor([0.0, 0.0, 1.5]))
    assert not result.closed


def test_turn_looks_everywhere_from_a_small_circle() -> None:
    cameras = made("turn", 36).cameras
    headings = torch.atan2(cameras.forward[:, 0], cameras.forward[:, 2]).rad2deg() % 360
    torch.testing.assert_close(headings, torch.arange(0.0, 360, 10), atol=1e-2, rtol=0)
    assert cameras.centers.norm(dim=-1).max() == pytest.approx(2 * 0.04 * 2.0)


@pytest.mark.parametrize("name", ["orbit", "arc", "spiral"])
def test_looks_at_the_subject(name: str) -> None:
    pixels, depth = made(name).cameras.project(torch.tensor([[0.0, 0.0, 3.0]]))
    torch.testing.assert_close(pixels[:, 0], torch.tensor([[32.0, 18.0]]).expand(96, 2), atol=1e-3, rtol=0)
    assert (depth > 0).all()


def test_orbit_goes_around_the_subject() -> None:
    centers = made("orbit").cameras.centers
    distance = (centers - torch.tensor([0.0, 0.0, 3.0])).norm(dim=-1)
    torch.testing.assert_close(distance, torch.full((96,), 3.0))
    torch.testing.assert_close(centers[48], torch.tensor([0.0, 0.0, 6.0]), atol=1e-5, rtol=0)


def azimuths(result: PathResult) -> Tensor:
    """Directions, in degrees to the right, from which the cameras look at the subject 3 ahead."""
    away = result.cameras.centers - torch.tensor([0.0, 0.0, 3.0])
    return torch.rad2deg(torch.atan2(away[:, 0], -away[:, 2]))


def test_free_space_that_is_not_convex() -> None:
    """The largest factor that fits is found, although some smaller ones do not."""

    def is_free(points: Tensor) -> Tensor:
        z = points[:, 2]
        return (z < 1.2) & ~((z > 0.6) & (z < 0.9))

    assert made("dolly", is_free=is_free).shrink == pytest.approx(0.6 / 1.5, rel=0.02)


def test_an_orbit_before_a_wall_is_a_narrower_circle() -> None:
    """A wall 1.9 behind the subject: the circle is as narrow there as it must be, as wide as it was elsewhere, and closed."""
    result = made("orbit", is_free=lambda points: points[:, 2] < 4.9)
    assert result.extent is not None
    assert result.extent.degrees == 360
    assert 0.5 <= result.extent.min_radius <= 1.9 / 3
    assert result.extent.mean_radius > 0.75
    assert (result.cameras.centers[:, 2] < 4.9).all()
    assert result.note.startswith("orbit: a full circle round the subject, at")


@pytest.mark.parametrize("name", ["orbit", "arc"])
def test_where_the_way_round_is_blocked_it_swings_as_far_as_it_can(name: str) -> None:
    """Nothing may stand farther to the right than 20 degrees about the subject, nor behind the subject."""

    def is_free(points: Tensor) -> Tensor:
        away = points - torch.tensor([0.0, 0.0, 3.0])
        return (torch.atan2(away[:, 0], -away[:, 2]).rad2deg() < 20) & (points[:, 2] < 2.9)

    result = made(name, is_free=is_free)
    angle = azimuths(result)
    assert result.extent is not None
    assert 10 < angle.max() < 20.1
    left = {"orbit": (-60.1, -58), "arc": (-30.1, -29)}[name]
    assert left[0] < angle.min() < left[1]
    assert result.extent.degrees == pytest.approx(float(angle.max() - angle.min()), abs=1)
    assert "were asked for" in result.note
    assert steps(result.cameras.cam_to_world.double(), closed=True)[1].max() < 8
    torch.testing.assert_close(result.cameras.world_to_cam[0], torch.eye(4), atol=1e-5, rtol=0)


def test_a_smaller_margin_is_kept_where_that_makes_the_circle_whole() -> None:
    def is_free(points: Tensor) -> Tensor:
        return (points - torch.tensor([3.0, 0.0, 3.0])).norm(dim=-1) > 2.5

    def everywhere(points: Tensor) -> Tensor:
        return torch.ones(len(points), dtype=torch.bool)

    assert made("orbit", is_free=is_free).extent.degrees < 300  # type: ignore[union-attr]
    assert made("orbit", is_free=is_free, is_barely_free=everywhere).extent.degrees == 360  # type: ignore[union-attr]
    assert made("orbit", is_free=is_free, is_barely_free=is_free).extent.degrees < 300  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "loop"}, "unknown path 'loop': expected one of turn, orbit"),
        ({"frames": 1}, "at least 2 frames"),
        ({"scale": 0.0}, "scale"),
        ({"subject_distance": math.inf}, "subject distance"),
        ({"fov_x_degrees": 200.0}, "field of view"),
    ],
)
def test_bad_arguments(changes: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        made(**({"name": "turn"} | changes))


def test_look_at_refuses_straight_down() -> None:
    with pytest.raises(ValueError, match="straight up or down"):
        look_at(torch.zeros(1, 3), torch.tensor([[0.0, 1.0, 0.0]]))
    with pytest.raises(ValueError, match="stands on its target"):
        look_at(torch.zeros(1, 3), torch.zeros(1, 3))


def keyframes(count: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    quats = torch.tensor([1.0, 0, 0, 0]) + 0.4 * torch.randn(count, 4, generator=generator)
    return rigid_from(quats_to_rotations(quats.double()), torch.randn(count, 3, generator=generator).double())


class TestKeyframes:
    @settings(max_examples=20)
    @given(st.integers(2, 7), st.integers(0, 1000), st.booleans())
    def test_goes_through_the_keyframes(self, count: int, seed: int, closed: bool) -> None:
        keys = keyframes(count, seed)
        frames = 10 * count if closed else 10 * (count - 1) + 1
        path = interpolate_keyframes(keys, frames, closed)
        assert len(path) == frames
        torch.testing.assert_close(path[::10], keys, atol=1e-9, rtol=0)
        require_rigid(path, "the path")

    @pytest.mark.parametrize("closed", [False, True])
    def test_velocity_and_acceleration_are_continuous(self, closed: bool) -> None:
        """Halving the step divides the change of velocity by four: there is no kink, over the seam neither."""

        def largest_change(frames: int) -> Tensor:
            path = interpolate_keyframes(keyframes(5, 3), frames, closed)
            following, before = path.roll(-1, 0), path
            if not closed:
                following, before = path[1:], path[:-1]
            turned = before[:, :3, :3].transpose(1, 2) @ following[:, :3, :3]
            velocity = torch.cat([following[:, :3, 3] - before[:, :3, 3], turned.flatten(1)], dim=1)
            change = velocity.roll(-1, 0) - velocity if closed else velocity[1:] - velocity[:-1]
            return change.abs().amax(dim=0)

        ratio = largest_change(4000) / largest_change(2000)
        assert ratio.max() < 0.3

    def test_turns_at_constant_speed(self) -> None:
        quarter = torch.tensor([0.0, 0.5, 1.0, 1.5]) * torch.pi
        keys = torch.eye(4).double().repeat(4, 1, 1)
        keys[:, 0, 0], keys[:, 0, 2] = quarter.cos(), quarter.sin()
        keys[:, 2, 0], keys[:, 2, 2] = -quarter.sin(), quarter.cos()
        _, turned = steps(interpolate_keyframes(keys, 36, closed=True), closed=True)
        torch.testing.assert_close(turned, torch.full((36,), 10.0).double(), atol=1e-4, rtol=0)

    def test_values(self) -> None:
        values = interpolate_values(torch.tensor([[0.0], [1.0], [2.0]]), 5)
        torch.testing.assert_close(values[:, 0], torch.tensor([0.0, 0.5, 1.0, 1.5, 2.0]))

    @pytest.mark.parametrize(("keys", "frames"), [(1, 10), (3, 1)])
    def test_too_few(self, keys: int, frames: int) -> None:
        with pytest.raises(ValueError, match="at least 2 keyframes and 2 frames"):
            interpolate_keyframes(torch.eye(4).repeat(keys, 1, 1), frames)
