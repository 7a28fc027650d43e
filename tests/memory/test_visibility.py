import copy
import itertools
import math

import pytest
import torch
from splatmem.gaussians import Gaussians
from splatmem.gaussians.lift import lift
from splatmem.geometry.cameras import Cameras, identity_camera
from splatmem.memory import SpatialMemory
from splatmem.memory.visibility import NO_TRUST_MAGNIFICATION, Visibility, draw_visibility, known_pixels

WIDTH, HEIGHT = 64, 48
CAMERA = identity_camera(60, WIDTH, HEIGHT)
DISTANCE = 2.0


def wall(selected: torch.Tensor | None = None) -> Gaussians:
    """A textured wall two units ahead."""
    rgb = torch.rand(HEIGHT, WIDTH, 3, generator=torch.Generator().manual_seed(0))
    everything = torch.ones(HEIGHT, WIDTH, dtype=torch.bool)
    return lift(rgb, torch.full((HEIGHT, WIDTH), DISTANCE), CAMERA, everything if selected is None else selected)


def seen(gaussians: Gaussians, camera: Cameras) -> tuple[torch.Tensor, Visibility]:
    drawn, visible = draw_visibility(gaussians, camera)
    return drawn.alpha, visible


def around_the_wall(degrees: float, distance: float = DISTANCE) -> Cameras:
    """A camera that looks at the wall's middle from ``degrees`` off its front."""
    angle = math.radians(degrees)
    pose = torch.eye(4)[None].clone()
    pose[0, 0, 0] = pose[0, 2, 2] = math.cos(angle)
    pose[0, 0, 2], pose[0, 2, 0] = math.sin(angle), -math.sin(angle)
    pose[0, :3, 3] = torch.tensor([0.0, 0.0, DISTANCE]) - distance * pose[0, :3, 2]
    return Cameras.from_fov(pose, 60, WIDTH, HEIGHT)


def middle(mask: torch.Tensor) -> torch.Tensor:
    return mask[0, HEIGHT // 2 - 6 : HEIGHT // 2 + 6, WIDTH // 2 - 6 : WIDTH // 2 + 6]


class TestFrontAndBack:
    @pytest.mark.parametrize(
        ("degrees", "known"), [(0, True), (45, True), (-70, True), (110, False), (180, False), (-135, False)]
    )
    def test_a_wall_is_known_from_its_front_only(self, degrees: float, known: bool) -> None:
        alpha, visible = seen(wall(), around_the_wall(degrees))
        assert (middle(alpha) > 0.6).all(), "the wall must be in the picture for this to mean something"
        assert middle(visible.known).all() if known else not middle(visible.known).any()
        assert (middle(visible.trust) > 0).all() if known else (middle(visible.trust) == 0).all()

    def test_a_front_before_a_back_is_known_and_the_other_way_round_not(self) -> None:
        front = wall()
        turned = copy.deepcopy(front)
        turned.quats = torch.stack([-turned.quats[:, 1], turned.quats[:, 0], turned.quats[:, 3], -turned.quats[:, 2]], -1)
        torch.testing.assert_close(turned.normals, -front.normals)
        for near, far, known in ((front, turned, True), (turned, front, False)):
            behind = copy.deepcopy(far)
            behind.means = behind.means * 1.5
            visible = seen(Gaussians.cat([near, behind]), CAMERA)[1]
            assert middle(visible.known).all() == known
            assert middle(visible.known).any() == known

    def test_nothing_is_unknown_and_not_trusted(self) -> None:
        visible = seen(wall(), around_the_wall(0, distance=-3.0))[1]
        assert not visible.known.any()
        assert (visible.trust == 0).all()


class TestCracks:
    """Of opacity in a picture: what is a crack between splats, and what is a hole."""

    def known(self, alpha: torch.Tensor, front: torch.Tensor | float = 1.0) -> torch.Tensor:
        return known_pixels(alpha[None], (alpha * (1 - front))[None])[0]

    @pytest.mark.parametrize("width", [1, 2])
    def test_thin_ones_are_closed(self, width: int) -> None:
        alpha = torch.ones(40, 60)
        alpha[:, 20 : 20 + width] = 0.2
        alpha[12 : 12 + width, :] = 0.2
        assert self.known(alpha).all()

    @pytest.mark.parametrize("width", [5, 12])
    def test_holes_stay_whole(self, width: int) -> None:
        alpha = torch.ones(40, 60)
        alpha[10 : 10 + width, 20 : 20 + width] = 0.0
        assert torch.equal(self.known(alpha), alpha > 0.5)

    def test_the_picture_s_rim_does_not_grow_or_shrink(self) -> None:
        alpha = torch.zeros(40, 60)
        alpha[:, :30] = 1.0
        assert torch.equal(self.known(alpha), alpha > 0.5)

    def test_a_back_is_never_closed(self) -> None:
        front = torch.ones(40, 60)
        front[:, 20] = 0.0
        assert not self.known(torch.ones(40, 60), front)[:, 20].any()

    def test_between_the_splats_of_an_approached_surface(self) -> None:
        """At a sixth of the distance the wall's Gaussians lie six pixels apart: still no cracks."""
        visible = seen(wall(), around_the_wall(0, distance=DISTANCE / 6))[1]
        assert visible.known.float().mean() > 0.99

    def test_what_was_not_lifted_is_a_hole(self) -> None:
        selected = torch.ones(HEIGHT, WIDTH, dtype=torch.bool)
        selected[16:32, 20:44] = False
        known = seen(wall(selected), CAMERA)[1].known[0]
        assert not known[18:30, 22:42].any()
        assert known[:14].all()
        assert known[:, :18].all()


class TestTrust:
    def trust(self, distance: float) -> torch.Tensor:
        return middle(seen(wall(), around_the_wall(0, distance))[1].trust)

    def test_is_full_at_the_distance_of_writing_and_beyond(self) -> None:
        assert self.trust(DISTANCE).min() > 0.99
        assert self.trust(3 * DISTANCE).min() > 0.99

    def test_falls_with_magnification_to_nothing(self) -> None:
        means = [self.trust(DISTANCE / magnification).mean().item() for magnification in (1, 2, 3, 4, 5)]
        assert all(nearer < farther - 0.05 for farther, nearer in itertools.pairwise(means)), means
        assert self.trust(DISTANCE / (1.2 * NO_TRUST_MAGNIFICATION)).max() == 0

    def test_counts_the_lens_too(self) -> None:
        """A longer lens magnifies as an approach does."""
        long = Cameras.from_fov(torch.eye(4)[None], 2 * math.degrees(math.atan(math.tan(math.radians(30)) / 3)), WIDTH, HEIGHT)
        assert middle(seen(wall(), long)[1].trust).mean().item() == pytest.approx(
            self.trust(DISTANCE / 3).mean().item(), abs=0.05
        )

    def test_of_smooth_surfaces_is_no_less(self) -> None:
        """One Gaussian for many pixels was seen as finely as one for each."""
        grey = torch.full((HEIGHT, WIDTH, 3), 0.5)
        smooth = lift(grey, torch.full((HEIGHT, WIDTH), DISTANCE), CAMERA, torch.ones(HEIGHT, WIDTH, dtype=torch.bool))
        assert len(smooth) < 0.2 * WIDTH * HEIGHT
        assert middle(seen(smooth, CAMERA)[1].trust).min() > 0.99


def test_coverage_is_that_of_a_reading() -> None:
    memory = SpatialMemory()
    size = (CAMERA.height, CAMERA.width)
    picture = torch.rand(*size, 3, generator=torch.Generator().manual_seed(0))
    memory.write(picture, torch.full(size, 2.0), CAMERA, torch.ones(size, dtype=torch.bool))
    cameras = Cameras.cat([CAMERA.moved(right=0.3 * step) for step in range(6)])
    known, alpha = memory.coverage(cameras)
    reading = memory.read(cameras)
    assert 0.2 < known.float().mean() < 0.98
    assert torch.equal(known, reading.known)
    assert torch.equal(alpha, reading.alpha)
