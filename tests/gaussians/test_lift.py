import math

import pytest
import torch
from splatmem.gaussians import Gaussians
from splatmem.gaussians.depth_edges import snap_depth_edges
from splatmem.gaussians.draw import rasterize
from splatmem.gaussians.lift import LiftSettings, lift, sampling_distance
from splatmem.gaussians.refine import refine
from splatmem.geometry.cameras import Cameras, identity_camera
from splatmem.geometry.filters import maximum
from splatmem.geometry.rotations import quats_to_rotations
from splatmem.metrics import psnr

WIDTH, HEIGHT = 64, 48
CAMERA = identity_camera(60, WIDTH, HEIGHT)
ALL = torch.ones(HEIGHT, WIDTH, dtype=torch.bool)
ONE_LAYER = LiftSettings(underlay_block=0)


def noise(seed: int = 0) -> torch.Tensor:
    return torch.rand(HEIGHT, WIDTH, 3, generator=torch.Generator().manual_seed(seed))


def grey(value: float = 0.5) -> torch.Tensor:
    return torch.full((HEIGHT, WIDTH, 3), value)


def checkered(width: int, height: int) -> torch.Tensor:
    """Fields of six pixels, under noise whose finest details have three."""
    coarse = torch.rand(1, 3, height // 3 + 1, width // 3 + 1, generator=torch.Generator().manual_seed(0))
    fine = torch.nn.functional.interpolate(coarse, size=(height, width), mode="bicubic", align_corners=False)
    fields = (torch.arange(width)[None] // 6 + torch.arange(height)[:, None] // 6) % 2
    return 0.15 + 0.35 * fine[0].permute(1, 2, 0).clamp(0, 1) + 0.35 * fields[..., None]


def enlarged(picture: torch.Tensor, times: int) -> torch.Tensor:
    """With so many times the pixels along a side, interpolated."""
    chw = picture.permute(2, 0, 1)[None]
    return torch.nn.functional.interpolate(chw, scale_factor=times, mode="bicubic")[0].permute(1, 2, 0).clamp(0, 1)


def plane_depth(camera: Cameras, normal: torch.Tensor, distance: float) -> torch.Tensor:
    """Z-depth of the plane ``normal . X = -distance`` in the camera's own coordinates; ``normal`` faces the camera."""
    return -distance / (camera.pixel_rays()[0] @ normal)


def tilted(degrees: float) -> torch.Tensor:
    """The normal of a wall in front of the camera that is turned about the vertical."""
    angle = math.radians(degrees)
    return torch.tensor([math.sin(angle), 0.0, -math.cos(angle)])


def somewhere(seed: int) -> Cameras:
    generator = torch.Generator().manual_seed(seed)
    pose = torch.eye(4)[None].clone()
    pose[0, :3, :3] = quats_to_rotations(torch.randn(1, 4, generator=generator))[0]
    pose[0, :3, 3] = torch.randn(3, generator=generator)
    return Cameras.from_fov(pose, 60, WIDTH, HEIGHT)


class TestPlaces:
    @pytest.mark.parametrize(("seed", "degrees"), [(0, 0), (1, -30), (2, 15), (3, 30)])
    def test_means_lie_on_the_surface(self, seed: int, degrees: float) -> None:
        camera, normal = somewhere(seed), tilted(degrees)
        gaussians = lift(noise(), plane_depth(camera, normal, 2.0), camera, ALL, settings=ONE_LAYER)
        local = (gaussians.means - camera.centers[0]) @ camera.world_to_cam[0, :3, :3].T
        assert (local @ normal + 2.0).abs().max() < 1e-3

    @pytest.mark.parametrize("smooth", [False, True])
    @pytest.mark.parametrize(("seed", "degrees"), [(0, 0), (1, -30), (2, 15), (3, 30)])
    def test_normals_are_the_surface_s_and_face_the_camera(self, seed: int, degrees: float, smooth: bool) -> None:
        camera, normal = somewhere(seed), tilted(degrees)
        gaussians = lift(grey() if smooth else noise(), plane_depth(camera, normal, 2.0), camera, ALL, settings=ONE_LAYER)
        toward = torch.nn.functional.normalize(camera.centers[0] - gaussians.means, dim=-1)
        assert ((gaussians.normals * toward).sum(-1) > 0).all()
        world_normal = normal @ camera.world_to_cam[0, :3, :3]
        assert ((gaussians.normals @ world_normal) > 0.999).all()
        assert (gaussians.log_scales[:, 2] < gaussians.log_scales[:, 0]).all(), "the thin axis is local z"

    def test_sky_lies_on_the_far_shell(self) -> None:
        depth = torch.full((HEIGHT, WIDTH), 2.0)
        depth[:20] = torch.inf
        camera = somewhere(3)
        gaussians = lift(noise(), depth, camera, ALL, settings=LiftSettings(far_radius=50.0, underlay_block=0))
        distance = (gaussians.means - camera.centers[0]).norm(dim=-1)
        far = distance > 10
        torch.testing.assert_close(distance[far], torch.full_like(distance[far], 50.0), rtol=1e-3, atol=0)
        assert int(far.sum()) == 20 * WIDTH
        toward = (camera.centers[0] - gaussians.means) / distance[:, None]
        assert ((gaussians.normals * toward).sum(-1)[far] > 0.999).all()

    def test_sky_hides_nothing(self) -> None:
        """Seen from a step behind, where the near surface is smaller in the picture, the sky does not cover it."""
        depth = torch.full((HEIGHT, WIDTH), 2.0)
        depth[:, :32] = torch.inf
        rgb = torch.where(torch.isfinite(depth)[..., None], torch.tensor([0.0, 1.0, 0.0]), torch.tensor([1.0, 0.0, 0.0]))
        gaussians = lift(rgb, depth, CAMERA, ALL)
        behind = torch.eye(4)[None].clone()
        behind[0, 2, 3] = -0.5
        drawn = rasterize(gaussians, Cameras.from_fov(behind, 60, WIDTH, HEIGHT))
        assert (drawn.rgb[0, 12:36, 36:54, 1] > 0.9).all()
        assert (drawn.rgb[0, 12:36, 36:54, 0] < 0.05).all()

    def test_only_selected_pixels_are_lifted(self) -> None:
        selected = torch.zeros_like(ALL)
        selected[10:30, 20:50] = True
        gaussians = lift(noise(), torch.full((HEIGHT, WIDTH), 2.0), CAMERA, selected, settings=ONE_LAYER)
        pixels, _ = CAMERA.project(gaussians.means)
        column, row = pixels[0].floor().long().unbind(-1)
        assert selected[row, column].all()
        assert len(gaussians) == 20 * 30
        assert len(lift(noise(), torch.full((HEIGHT, WIDTH), 2.0), CAMERA, torch.zeros_like(ALL))) == 0


class TestFootprints:
    @pytest.mark.parametrize("degrees", [0, 45, 65])
    @pytest.mark.parametrize("picture", [grey(), noise()], ids=["smooth", "noisy"])
    def test_cover_their_pixels(self, degrees: float, picture: torch.Tensor) -> None:
        depth = plane_depth(CAMERA, tilted(degrees), 2.0)
        visible = (depth > 0) & (depth < 40)
        gaussians = lift(picture, torch.where(visible, depth, 1.0), CAMERA, visible)
        alpha = rasterize(gaussians, CAMERA).alpha[0]
        inner = -torch.nn.functional.max_pool2d(-visible.float()[None], 5, 1, 2)[0] > 0
        inner[[0, -1]] = inner[:, [0, -1]] = False
        assert inner.float().mean() > 0.4, "the plane must be in the picture for this to mean something"
        assert alpha[inner].min() > 0.85

    def test_reach_little_beyond_what_was_selected(self) -> None:
        selected = torch.zeros_like(ALL)
        selected[:, :32] = True
        for picture in (grey(), noise()):
            gaussians = lift(picture, torch.full((HEIGHT, WIDTH), 2.0), CAMERA, selected)
            alpha = rasterize(gaussians, CAMERA).alpha[0]
            assert alpha[4:-4, 36:].max() < 0.12

    @pytest.mark.parametrize("magnification", [1, 2, 4, 8])
    @pytest.mark.parametrize("degrees", [0, 45, 65])
    @pytest.mark.parametrize("smooth", [False, True])
    def test_let_nothing_through_however_near_a_camera_comes(self, magnification: int, degrees: float, smooth: bool) -> None:
        """In a picture of noise beside a smooth one, so that Gaussians for one pixel and for blocks meet."""
        picture = noise()
        if smooth:
            picture[:, 20:44] = 0.5
        gaussians = lift(picture, plane_depth(CAMERA, tilted(degrees), 2.0).clamp(0.1, 100), CAMERA, ALL)
        middle = CAMERA.resized(magnification * WIDTH, magnification * HEIGHT)
        alpha = rasterize(gaussians, middle).alpha[0]
        inner = alpha[alpha.shape[0] // 4 : -alpha.shape[0] // 4, alpha.shape[1] // 4 : -alpha.shape[1] // 4]
        assert (inner >= 0.99).float().mean() > 0.98
        assert inner.min() > 0.9

    @pytest.mark.parametrize("degrees", [0, 30, 45])
    def test_an_underlay_lies_behind_its_surface_by_a_few_pixels(self, degrees: float) -> None:
        normal = tilted(degrees)
        gaussians = lift(noise(), plane_depth(CAMERA, normal, 2.0).clamp(0.1, 100), CAMERA, ALL)
        under = gaussians.select(slice(HEIGHT * WIDTH, None))
        behind = -2.0 - under.means @ normal
        pixel = sampling_distance(under)
        assert len(under) > 100
        assert ((behind > 0) & (behind < 6 * pixel)).all(), "2.5 blocks of 2 pixels, and half a pixel"

    @pytest.mark.parametrize(("width", "height"), [(96, 64), (256, 144)])
    def test_detail_is_kept_and_covered(self, width: int, height: int) -> None:
        """A checkerboard under fine noise on a wall at a slant, fitted as a photo is."""
        camera = identity_camera(60, width, height)
        picture, depth = checkered(width, height), plane_depth(camera, tilted(30), 2.0)
        gaussians = lift(picture, depth, camera, torch.ones_like(depth, dtype=torch.bool))
        fitted = refine(gaussians, (0, len(gaussians)), picture, depth, camera, 8)
        assert psnr(rasterize(fitted, camera).rgb[0].clamp(0, 1), picture) > 36
        for times, least in ((2, 25), (4, 23)):  # from near no dots of colours that the picture does not have
            near = rasterize(fitted, camera.resized(times * width, times * height)).rgb[0].clamp(0, 1)
            assert psnr(near, enlarged(picture, times)) > least
        for times, least in ((1, 0.99), (2, 0.97), (4, 0.95)):  # what is missing lies at the picture's rim
            alpha = rasterize(fitted, camera.resized(times * width, times * height)).alpha[0]
            assert (alpha >= 0.99).float().mean() > least
            assert (alpha[4 * times : -4 * times, 4 * times : -4 * times] >= 0.99).float().mean() > 0.99

    def test_the_outline_of_a_bright_thing_does_not_glow(self) -> None:
        """What covers a bright square's detail does not reach over the dark wall behind it."""
        depth, inside = torch.full((HEIGHT, WIDTH), 3.0), torch.zeros_like(ALL)
        inside[12:36, 16:48] = True
        depth[inside] = 2.0
        picture = torch.where(inside[..., None], 0.7 + 0.3 * noise(), 0.05)
        gaussians = lift(picture, depth, CAMERA, ALL)
        fitted = refine(gaussians, (0, len(gaussians)), picture, depth, CAMERA, 12)
        assert psnr(rasterize(fitted, CAMERA).rgb[0].clamp(0, 1), picture) > 25

    def test_show_the_pixels_they_came_from(self) -> None:
        """Stripes two pixels wide keep their contrast once colours are fitted: the footprints do not blur for good."""
        stripes = grey(0.4)
        stripes[:, (torch.arange(WIDTH) // 2) % 2 == 0] = 0.6
        gaussians = lift(stripes, torch.full((HEIGHT, WIDTH), 2.0), CAMERA, ALL)
        fitted = refine(gaussians, (0, len(gaussians)), stripes, torch.full((HEIGHT, WIDTH), 2.0), CAMERA, 8)
        bright = stripes[8:-8, 8:-8, 0] > 0.5
        contrast = {}
        for name, scene in (("lifted", gaussians), ("fitted", fitted)):
            shown = rasterize(scene, CAMERA).rgb[0, 8:-8, 8:-8]
            contrast[name] = (shown[bright].mean() - shown[~bright].mean()).item() / 0.2
        assert contrast["lifted"] > 0.3
        assert contrast["fitted"] > 0.85

    def test_sampling_distance_is_the_size_of_a_pixel_on_the_surface(self) -> None:
        expected = 2.0 / CAMERA.focal[0, 0]
        for picture in (grey(), noise()):
            distance = sampling_distance(lift(picture, torch.full((HEIGHT, WIDTH), 2.0), CAMERA, ALL))
            torch.testing.assert_close(distance, expected.expand_as(distance), rtol=0.15, atol=0)


class TestDepthEdges:
    """A near square before a far wall, the edge smeared over a few pixels as depth models smear it."""

    NEAR, FAR = 1.0, 3.0

    def smeared(self, pixels: int) -> torch.Tensor:
        """Near on the left, far on the right, with a ramp of ``pixels`` pixels between them."""
        share = ((torch.arange(WIDTH) - 30.0) / (pixels + 1)).clamp(0, 1)
        return (self.NEAR + share * (self.FAR - self.NEAR)).expand(HEIGHT, WIDTH).clone()

    @pytest.mark.parametrize("pixels", [0, 1, 2, 3, 4])
    def test_no_gaussian_bridges_an_edge(self, pixels: int) -> None:
        gaussians = lift(noise(), self.smeared(pixels), CAMERA, ALL)
        z = gaussians.means[:, 2]
        between = (z > 1.1 * self.NEAR) & (z < 0.9 * self.FAR)
        assert not between.any(), f"{int(between.sum())} Gaussians hang between the surfaces"
        # Nor does one reach from its surface into the gap: the spread along the viewing direction is small.
        spread = (gaussians.rotations[:, 2] * gaussians.scales).norm(dim=-1)
        assert (spread < 0.1).all()

    def test_the_gap_is_seen_from_the_side(self) -> None:
        """A view that looks between the two surfaces finds nothing there."""
        gaussians = lift(noise(), self.smeared(2), CAMERA, ALL)
        pose = torch.eye(4)[None].clone()
        # From the right, at a depth between the surfaces, looking left along the picture plane.
        pose[0, :3, :3] = torch.tensor([[0.0, 0, -1], [0, 1, 0], [1, 0, 0]])
        pose[0, :3, 3] = torch.tensor([2.0, 0.0, 2.0])
        alpha = rasterize(gaussians, Cameras.from_fov(pose, 30, WIDTH, HEIGHT)).alpha[0]
        assert alpha[:, 24:40].max() < 0.3

    def test_most_pixels_of_an_edge_find_a_side(self) -> None:
        depth = self.smeared(3)
        snapped, lost = snap_depth_edges(depth)
        assert not lost.any()
        assert ((snapped < 1.1 * self.NEAR) | (snapped > 0.9 * self.FAR)).all()

    def test_sharp_edges_and_slopes_are_left_alone(self) -> None:
        for depth in (self.smeared(0), plane_depth(CAMERA, tilted(50), 2.0).clamp(0.1, 50)):
            snapped, lost = snap_depth_edges(depth)
            assert not lost.any()
            torch.testing.assert_close(snapped, depth)


class TestCount:
    def test_smooth_areas_take_fewer(self) -> None:
        depth = torch.full((HEIGHT, WIDTH), 2.0)
        half = noise()
        half[:, :32] = 0.5
        smooth, rough, mixed = (lift(picture, depth, CAMERA, ALL, settings=ONE_LAYER) for picture in (grey(), noise(), half))
        assert len(rough) == HEIGHT * WIDTH
        assert len(smooth) < 0.15 * HEIGHT * WIDTH
        left = int((CAMERA.project(mixed.means)[0][0, :, 0] < 32).sum())
        assert left < 0.35 * 32 * HEIGHT
        assert len(mixed) - left > 0.95 * 32 * HEIGHT

    def test_an_underlay_is_coarse_and_lies_under_detail_alone(self) -> None:
        depth = torch.full((HEIGHT, WIDTH), 2.0)
        for picture, least, most in ((noise(), 1 / 5, 1 / 3), (grey(), 0, 0)):
            without, whole = lift(picture, depth, CAMERA, ALL, settings=ONE_LAYER), lift(picture, depth, CAMERA, ALL)
            assert least * len(without) <= len(whole) - len(without) <= most * len(without)

    def test_bends_and_edges_of_depth_are_kept_fine(self) -> None:
        corner = torch.maximum(plane_depth(CAMERA, tilted(30), 2.0), plane_depth(CAMERA, tilted(-30), 2.0))
        flat = lift(grey(), plane_depth(CAMERA, tilted(30), 2.0), CAMERA, ALL)
        bent = lift(grey(), corner, CAMERA, ALL)
        assert len(bent) > len(flat)
        relative = (rasterize(bent, CAMERA).depth[0] / corner - 1).abs()
        assert relative[4:-4, 24:40].max() < 0.03

    def test_a_soft_gradient_may_be_shared_but_keeps_its_colours(self) -> None:
        ramp = torch.linspace(0.2, 0.8, WIDTH)[None, :, None].expand(HEIGHT, WIDTH, 3).contiguous()
        gaussians = lift(ramp, torch.full((HEIGHT, WIDTH), 2.0), CAMERA, ALL)
        assert len(gaussians) < 0.6 * HEIGHT * WIDTH
        drawn = rasterize(gaussians, CAMERA)
        shown = drawn.rgb[0] / drawn.alpha[0, ..., None]
        assert (shown - ramp)[4:-4, 4:-4].abs().max() < 0.05

    def test_largest_block_is_checked(self) -> None:
        with pytest.raises(ValueError, match="largest_block must be 1, 2, 4, 8 or 16, got 3"):
            lift(grey(), torch.ones(HEIGHT, WIDTH), CAMERA, ALL, settings=LiftSettings(largest_block=3))

    def test_any_size_of_picture(self) -> None:
        for width, height in ((8, 8), (9, 40), (17, 9), (33, 31)):
            camera = identity_camera(60, width, height)
            rgb, depth = torch.full((height, width, 3), 0.5), torch.full((height, width), 2.0)
            gaussians = lift(rgb, depth, camera, torch.ones(height, width, dtype=torch.bool))
            assert 1 <= len(gaussians) <= width * height
            assert gaussians.means.isfinite().all()


@pytest.mark.breaks_annotations
class TestRefused:
    def lift(self, **changes) -> Gaussians:
        arguments = {"rgb": grey(), "depth": torch.ones(HEIGHT, WIDTH), "camera": CAMERA, "selected": ALL} | changes
        return lift(**arguments)

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"camera": Cameras.cat([CAMERA, CAMERA])}, "one camera lifts one view, got 2"),
            ({"rgb": torch.zeros(5, 5, 3)}, r"rgb must have the camera's size \(48, 64, 3\), got \(5, 5, 3\)"),
            ({"depth": torch.ones(5, 5)}, "depth must have"),
            ({"selected": ALL.float()}, "boolean"),
            ({"depth": torch.zeros(HEIGHT, WIDTH)}, "3072 selected pixels have a depth that is not a positive number"),
            ({"depth": torch.full((HEIGHT, WIDTH), torch.nan)}, "not a positive number"),
            ({"rgb": grey(float("nan"))}, "not finite"),
        ],
    )
    def test_with_a_reason(self, changes, message) -> None:
        with pytest.raises(ValueError, match=message):
            self.lift(**changes)

    def test_pixels_that_are_not_selected_may_hold_anything(self) -> None:
        selected, rgb, depth = ALL.clone(), noise(), torch.full((HEIGHT, WIDTH), 2.0)
        selected[:, 50:] = False
        rgb[:, 54:], depth[:, 54:] = torch.nan, torch.nan
        gaussians = lift(rgb, depth, CAMERA, selected)
        assert len(gaussians) > 0
        assert all(getattr(gaussians, name).isfinite().all() for name in ("means", "quats", "log_scales", "sh"))


def test_nothing_hangs_between_a_thing_and_the_wall() -> None:
    camera = Cameras.from_fov(torch.eye(4)[None], 60.0, 128, 72)
    thing = torch.zeros(72, 128, dtype=torch.bool)
    thing[20:52, 40:90] = True
    depth = torch.where(thing, 2.0, 4.0)
    rgb = torch.where(thing[..., None], torch.tensor([0.2, 0.1, 0.1]), torch.tensor([0.8, 0.8, 0.7]))
    z = lift(rgb, depth, camera, torch.ones_like(thing)).means[:, 2]
    assert ((z < 2.0 * 1.03) | (z > 4.0 * 0.99)).all(), "what underlies the thing's outline stays with the thing"


class TestParts:
    """A part of a view is lifted: the rest is known already."""

    def test_what_is_lifted_hardly_shows_in_what_is_not(self) -> None:
        """A smooth wall, in large blocks, that ends where something else stands behind it."""
        half = torch.zeros_like(ALL)
        half[:, :30] = True
        alpha = rasterize(lift(grey(), torch.full((HEIGHT, WIDTH), 2.0), CAMERA, half), CAMERA).alpha[0]
        assert alpha[2:-2, 2:29].min() > 0.98
        assert alpha[:, 32:].max() < 0.1

    @pytest.mark.parametrize(
        "place", [(slice(90, 110), slice(130, 170)), (slice(0, 5), slice(195, 200)), (slice(0, 0), slice(0))]
    )
    def test_it_is_lifted_as_with_all_of_the_view(self, place: tuple[slice, slice], monkeypatch: pytest.MonkeyPatch) -> None:
        random = torch.Generator().manual_seed(0)
        coarse = torch.rand(1, 4, 20, 26, generator=random)
        maps = torch.nn.functional.interpolate(coarse, size=(150, 200), mode="bilinear")[0]
        picture, depth = maps[:3].permute(1, 2, 0).contiguous(), 1 + maps[3] + (maps[3] > 0.6)
        selected = torch.zeros(150, 200, dtype=torch.bool)
        selected[place] = True
        camera = identity_camera(60, 200, 150)
        part = lift(picture, depth, camera, selected)
        monkeypatch.setattr("splatmem.gaussians.lift.REACH", 1000)
        whole = lift(picture, depth, camera, selected)
        assert len(part) == len(whole)
        for name in ("means", "quats", "log_scales", "sh"):
            torch.testing.assert_close(getattr(part, name), getattr(whole, name), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("size", [1, 3, 9])
def test_largest_of_a_square(size: int) -> None:
    image = torch.randn(7, 12, generator=torch.Generator().manual_seed(0))
    assert torch.equal(maximum(image, size), torch.nn.functional.max_pool2d(image[None, None], size, 1, size // 2)[0, 0])
