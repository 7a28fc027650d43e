import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from splatmem.geometry.cameras import Cameras, identity_camera
from splatmem.memory import free_space
from splatmem.memory.free_space import FreeSpace, GrowingFreeSpace, View, push_out_of_free_space

from textured_room import turn

WIDTH, HEIGHT = 64, 48
CAMERA = identity_camera(60, WIDTH, HEIGHT)
WALL = 3.0


def depth(value: float = WALL) -> torch.Tensor:
    return torch.full((HEIGHT, WIDTH), value)


def space(*values: torch.Tensor) -> FreeSpace:
    return FreeSpace.of([(CAMERA, value) for value in values or (depth(),)])


def points(*coordinates: tuple[float, float, float]) -> torch.Tensor:
    return torch.tensor(coordinates)


def from_the_side() -> Cameras:
    """A camera two units to the right that looks left across the first camera's axis, level with z = 1.5."""
    pose = torch.eye(4)[None].clone()
    pose[0, :3, :3] = torch.tensor([[0.0, 0, -1], [0, 1, 0], [1, 0, 0]])
    pose[0, :3, 3] = torch.tensor([2.0, 0.0, 1.5])
    return Cameras.from_fov(pose, 60, WIDTH, HEIGHT)


class TestMayShow:
    def test_what_lies_before_or_on_a_surface(self) -> None:
        tried = points((0, 0, 1.0), (0, 0, WALL), (0, 0, 1.1 * WALL), (9.0, 0, 1.0), (0, 0, -1.0))
        assert space().may_show(tried).tolist() == [[True, True, False, False, False]]

    def test_what_the_farthest_surface_around_does_not_hide(self) -> None:
        edge = depth(1.0)
        edge[:, WIDTH // 2 :] = WALL
        tried = points((-0.02, 0, 2.0), (-0.5, 0, 2.0))
        assert space(edge).may_show(tried).tolist() == [[True, False]]

    @pytest.mark.parametrize("far", [0.2, 0.5, 0.9])
    def test_what_reaches_over_an_edge(self, far: float) -> None:
        edge = depth(1.0)
        edge[:, WIDTH // 2 :] = WALL  # beside the near surface, from the middle of the picture on
        behind = points((-far, 0, 2.0))
        reaching, short = torch.tensor([1.1 * far]), torch.tensor([0.05 * far])
        assert space(edge).may_show(behind, reaching).all()
        assert not space(edge).may_show(points((-far - 0.1, 0, 2.0)), short).any()
        assert not space(depth(1.0)).may_show(behind, reaching).any(), "there is no edge"

    def test_every_view_by_itself(self) -> None:
        both = space(depth(1.0), depth(4.0))
        assert both.may_show(points((0, 0, 2.0))).tolist() == [[False], [True]]
        assert both.at(torch.tensor([1])).may_show(points((0, 0, 2.0))).tolist() == [[True]]


class TestViolated:
    def test_what_hangs_before_a_seen_surface(self) -> None:
        tried = points((0, 0, 1.0), (0, 0, 2.8), (0.5, 0.2, 2.0), (0, 0, WALL), (0, 0, 5.0))
        assert space().violated(tried).tolist() == [True, True, True, False, False]

    def test_what_no_view_looked_at_is_not(self) -> None:
        tried = points((5.0, 0, 1.0), (0, 4.0, 1.0), (0, 0, -1.0), (0, 0, 0))
        assert not space().violated(tried).any()

    def test_a_surface_s_own_noise_is_not(self) -> None:
        assert not space().violated(points((0, 0, 0.985 * WALL))).any()
        assert space().violated(points((0, 0, 0.95 * WALL))).all()

    def test_every_view_counts(self) -> None:
        side = from_the_side()
        both = FreeSpace.of([(CAMERA, depth(1.0)), (side, depth(4.0))])
        hidden = points((0, 0, 1.5))
        assert not space(depth(1.0)).violated(hidden).any(), "it lies behind the first view's surface"
        assert both.violated(hidden).all(), "but the second view looked through it"

    @given(seed=st.integers(0, 2**32 - 1), spread=st.floats(0.01, 3.0), at_once=st.sampled_from([1, 7, 2**22]))
    def test_views_that_cannot_see_the_points_change_nothing(self, seed: int, spread: float, at_once: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        cameras = turn(12, 40, 30)
        views = [(camera, 1 + 3 * torch.rand(30, 40, generator=generator)) for camera in (cameras[i] for i in range(12))]
        carved = FreeSpace.of(views)
        tried = 3 * torch.randn(3, generator=generator) + spread * torch.randn(50, 3, generator=generator)
        relative, inside = carved.clearance(tried)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(free_space, "POINTS_TIMES_VIEWS", at_once)
            assert torch.equal(carved.violated(tried), (inside & (relative < 0.975)).any(0))

    def test_sky_is_free_without_end(self) -> None:
        assert space(depth(torch.inf)).violated(points((0, 0, 50.0), (0, 0, 9000.0))).all()

    def test_the_nearest_surface_of_a_cell_counts(self) -> None:
        """A post before the wall, seen in a small picture: nothing beside it is carved away on its account."""
        fine = identity_camera(60, 640, 480)
        scene = torch.full((480, 640), WALL)
        scene[:, 318:322] = 1.0
        carved = FreeSpace.of([(fine, scene)])
        beside = fine.unproject(torch.full((1, 480, 640), 1.5))[0, 240, [320, 322]]
        assert not carved.violated(beside).any()
        assert carved.violated(fine.unproject(torch.full((1, 480, 640), 1.5))[0, 240, [100, 500]]).all()


class TestBodies:
    """Where a camera stood, or will stand, nothing comes to be, whatever it looks at."""

    @pytest.mark.parametrize("unit", [1e-3, 1.0, 1e3])
    def test_what_reaches_to_where_a_camera_stood(self, unit: float) -> None:
        tried = unit * points((0, 0, -0.1), (0, 0.4, 0), (0, 0.4, 0), (-1.0, 0, 0))
        sizes = unit * torch.tensor([0.01, 0.3, 0.1, 0.5])
        assert space(depth(unit * WALL)).bodies.reached(tried, sizes).tolist() == [True, True, False, False]

    def test_every_camera_counts(self) -> None:
        one, other = (CAMERA, depth()), (from_the_side(), depth())
        beside = points((2.0, 0, 1.55))
        assert not FreeSpace.of([one]).bodies.reached(beside, torch.tensor([0.01])).any()
        assert FreeSpace.of([one, other]).bodies.reached(beside, torch.tensor([0.01])).all()

    def test_sky_alone_tells_no_distance(self) -> None:
        assert not space(depth(torch.inf)).bodies.reached(points((0, 0, -1.0)), torch.tensor([0.01])).any()

    def test_nothing_reaches_nobody(self) -> None:
        assert space().bodies.reached(torch.zeros(0, 3), torch.zeros(0)).shape == (0,)

    def test_cameras_ahead_are_as_large_as_the_nearest_that_looked(self) -> None:
        seen = FreeSpace.of([(CAMERA, depth(WALL)), (CAMERA.moved(10.0, 0.0, 0.0), depth(2 * WALL))])
        ahead = seen.bodies_ahead(Cameras.cat([CAMERA.moved(x, 0.0, 1.0) for x in (1.0, 9.0)]))
        assert torch.equal(ahead.centers, points((1.0, 0, 1.0), (9.0, 0, 1.0)))
        assert torch.equal(ahead.radii, seen.bodies.radii)
        assert ahead.radii[1] == 2 * ahead.radii[0] > 0


class TestContains:
    def test_positions_with_a_margin(self) -> None:
        tried = points((0, 0, 1.0), (0, 0, 2.5), (0, 0, 2.8), (0, 0, 3.5))
        assert space().contains(tried, margin=0.1, reach=1.0).tolist() == [True, True, False, False]

    def test_unseen_positions_only_near_a_camera(self) -> None:
        tried = points((0, 0, -0.5), (0, 0, -2.0), (0.9, 0, 0), (3.0, 0, 0))
        assert space().contains(tried, margin=0.1, reach=1.0).tolist() == [True, False, True, False]

    def test_one_view_s_wall_blocks_what_another_sees_as_free(self) -> None:
        both = FreeSpace.of([(CAMERA, depth(1.0)), (from_the_side(), depth(4.0))])
        assert not both.contains(points((0, 0, 1.5)), margin=0.1, reach=1.0).any()


class TestPushOut:
    everything = torch.ones(HEIGHT, WIDTH, dtype=torch.bool)

    def test_moves_back_along_the_ray_until_all_is_well(self) -> None:
        pushed, allowed = push_out_of_free_space(depth(1.2), CAMERA, self.everything, space())
        assert allowed.all()
        assert not space().violated(CAMERA.unproject(pushed[None]).reshape(-1, 3)).any()
        # Not farther than needed: one step of the search at most.
        assert pushed.max() < 1.1 * WALL

    def test_what_is_in_order_keeps_its_depth_bit_for_bit(self) -> None:
        good = depth(WALL) + 0.2 * torch.rand(HEIGHT, WIDTH, generator=torch.Generator().manual_seed(0))
        pushed, allowed = push_out_of_free_space(good, CAMERA, self.everything, space())
        assert allowed.all()
        assert torch.equal(pushed, good)

    def test_pixels_without_a_place_are_left_out(self) -> None:
        tiny = depth(0.2)  # four times as far is still before the wall
        _, allowed = push_out_of_free_space(tiny, CAMERA, self.everything, space())
        assert not allowed.any()

    def test_only_the_selected_are_moved(self) -> None:
        selected = self.everything.clone()
        selected[:, :30] = False
        pushed, allowed = push_out_of_free_space(depth(1.2), CAMERA, selected, space())
        assert torch.equal(pushed[:, :30], depth(1.2)[:, :30])
        assert (pushed[:, 30:] > 2.5).all()
        assert allowed.all()

    def test_sky_stays_sky(self) -> None:
        pushed, allowed = push_out_of_free_space(depth(torch.inf), CAMERA, self.everything, space())
        assert torch.isinf(pushed).all()
        assert allowed.all()

    def test_seen_from_another_side(self) -> None:
        """A frame from the side may not fill the room between the first camera and its wall."""
        side = from_the_side()
        pushed, allowed = push_out_of_free_space(depth(1.6), side, self.everything, space())
        placed = side.unproject(pushed[None])[0][allowed]
        assert 0.2 < allowed.float().mean() <= 1
        assert not space().violated(placed).any()


@pytest.mark.parametrize("fov", [30.0, 90.0])
def test_clearance_is_relative_depth(fov: float) -> None:
    camera = identity_camera(fov, WIDTH, HEIGHT)
    free = FreeSpace.of([(camera, depth(2.0))])
    edge = 0.9 * math.tan(math.radians(fov / 2))
    relative, inside = free.clearance(points((0, 0, 1.0), (edge, 0, 1.0), (1.2 * edge / 0.9, 0, 1.0), (0, 0, -1.0)))
    assert inside.tolist() == [[True, True, False, False]]
    torch.testing.assert_close(relative[0, :2], torch.tensor([0.5, 0.5]))


def test_a_point_keeps_its_distance_from_all_that_a_view_saw() -> None:
    camera = identity_camera(60, WIDTH, HEIGHT)
    depth = torch.full((HEIGHT, WIDTH), 4.0)
    depth[:, : WIDTH // 2] = 2.0  # a nearer wall on the left
    space = FreeSpace.of([(camera, depth)])
    points = torch.tensor([[0.0, 0, 0], [0, 0, 0.8], [-0.5, 0, 1.5], [0.9, 0, 2.5], [0.9, 0, 3.5]])
    assert space.keeps_distance(points, 0.5).tolist() == [True, True, False, True, False]
    assert space.keeps_distance(points, 0.2).tolist() == [True, True, True, True, True]


class TestGrowing:
    """What was computed for earlier views is kept, and is what ``FreeSpace.of`` gives, bit for bit."""

    @staticmethod
    def views(*sizes: tuple[int, int]) -> list[View]:
        generator = torch.Generator().manual_seed(len(sizes))
        return [
            View(identity_camera(60 + i, *size), torch.rand(*size[::-1], generator=generator) + 1)
            for i, size in enumerate(sizes)
        ]

    @staticmethod
    def check(growing: GrowingFreeSpace, views: list[View]) -> FreeSpace:
        found, expected = growing.of(views), FreeSpace.of(views)
        assert torch.equal(found.reach, expected.reach)
        assert torch.equal(found.cameras.world_to_cam, expected.cameras.world_to_cam)
        assert torch.equal(found.cameras.intrinsics, expected.cameras.intrinsics)
        return found

    def test_views_are_added_and_taken_away(self) -> None:
        growing, views = GrowingFreeSpace(), self.views(*[(64, 48)] * 9)
        for count in (1, 2, 3, 7, 9, 4, 5, 9):
            self.check(growing, views[:count])
        self.check(growing, views[3:])
        self.check(growing, [*views[:2], *views[5:]])

    def test_a_view_comes_before_others(self) -> None:
        views = [View(CAMERA.turned(angle), depth(WALL + angle)) for angle in (0.0, 5.0, 10.0, 15.0)]
        growing = GrowingFreeSpace()
        growing.of([views[0], views[2], views[3]])
        for now in (views, [views[1], views[0], views[3]]):
            made, anew = growing.of(now), FreeSpace.of(now)
            assert made.cameras == anew.cameras
            for name in ("reach", "farthest", "deepest", "nearest"):
                assert torch.equal(getattr(made, name), getattr(anew, name))

    def test_a_smaller_view_makes_all_of_them_smaller(self) -> None:
        growing, views = GrowingFreeSpace(), self.views((64, 48), (64, 48), (32, 24), (200, 100))
        for count in (2, 3, 4, 2):
            self.check(growing, views[:count])

    def test_another_view_in_the_same_place_is_noticed(self) -> None:
        growing, views = GrowingFreeSpace(), self.views(*[(64, 48)] * 4)
        self.check(growing, views)
        views[2] = View(views[2].camera, views[2].depth + 0.1)
        self.check(growing, views)

    def test_what_was_returned_stays(self) -> None:
        growing, views = GrowingFreeSpace(), self.views(*[(64, 48)] * 6)
        growing.of(views[:2])
        long = growing.of(views[:4])
        kept = long.reach.clone()
        self.check(growing, [*views[:2], *views[4:]])
        assert torch.equal(long.reach, kept)

    def test_nothing_is_computed_twice(self, monkeypatch: pytest.MonkeyPatch) -> None:
        computed = []

        def counted(*arguments):
            computed.append(arguments)
            return reach(*arguments)

        reach = free_space._reach
        monkeypatch.setattr(free_space, "_reach", counted)
        growing, views = GrowingFreeSpace(), self.views(*[(64, 48)] * 6)
        for count in range(1, 7):
            growing.of(views[:count])
            growing.of(views[:1])  # as the memory as it was given does
        assert len(computed) == 6
