"""Plain land around a place: where its ground, skyline and sky are, in which colours, and that nothing comes again."""

from __future__ import annotations

import math

import pytest
import torch
from splatmem.classes import PixelClass, PixelClasses
from splatmem.extrapolate.plain_land import SKYLINE, PlainLand
from splatmem.extrapolate.random_phase import continued_around
from splatmem.geometry.cameras import Cameras
from splatmem.memory import SpatialMemory

DOWN = torch.tensor([0.0, 1.0, 0.0])
WIDTH, HEIGHT, EYE = 96, 64, 1.6
BLUE, GREEN, BROWN, RED = (torch.tensor(rgb) for rgb in ((0.4, 0.6, 0.9), (0.3, 0.5, 0.2), (0.4, 0.3, 0.2), (0.9, 0.1, 0.1)))


def begun(hills: float = 0.05, red_post: bool = True) -> SpatialMemory:
    """A meadow under a blue sky, with brown hills so high (radians) at 40 units, and a red post."""
    camera = Cameras.from_fov(torch.eye(4)[None], 60.0, WIDTH, HEIGHT)
    rays = camera.world_rays()[0]
    slope = rays[..., 1]
    depth = torch.where(slope > 0, EYE / slope.clamp_min(1e-6), 40.0).clamp_max(40.0)
    grain = 0.05 * torch.rand(HEIGHT, WIDTH, 1, generator=torch.Generator().manual_seed(1))
    rgb = torch.where(depth[..., None] < 40.0, GREEN - grain, BROWN.expand(HEIGHT, WIDTH, 3))
    sky = slope < -hills
    rgb, depth = torch.where(sky[..., None], BLUE, rgb), depth.masked_fill(sky, torch.inf)
    ground, thing = (slope > 0) & (depth < 40.0), torch.zeros(HEIGHT, WIDTH, dtype=torch.bool)
    if red_post:
        thing[20:50, 40:50] = True
        rgb[thing], depth[thing] = RED, 4.0
    kinds = torch.full((HEIGHT, WIDTH), int(PixelClass.VEGETATION), dtype=torch.uint8)
    kinds[torch.isinf(depth)], kinds[ground & ~thing], kinds[thing] = PixelClass.SKY, PixelClass.GROUND, PixelClass.THING
    memory = SpatialMemory(down=DOWN)
    memory.write(rgb, depth, camera, torch.ones(HEIGHT, WIDTH, dtype=torch.bool), classes=PixelClasses(kinds, thing.short()))
    memory.scale = 5.0
    return memory


def test_ground_sky_and_hills_go_on_where_the_photo_has_them_in_their_colours() -> None:
    memory = begun()
    behind = memory.views[0].camera.turned(150.0)
    land = PlainLand.around(memory, behind)
    assert land.ground == pytest.approx(EYE, rel=0.02)
    assert 0 < float(land.skyline.mean()) <= SKYLINE + 1e-3
    reading = land.render(behind)
    slope, depth, rgb = behind.world_rays()[0, ..., 1], reading.depth[0], reading.rgb[0]
    near = slope > 0.1
    torch.testing.assert_close(depth[near], EYE / slope[near], rtol=0.02, atol=0)
    assert torch.isinf(depth[slope < -0.12]).all()
    assert ((rgb - BLUE).abs().amax(-1)[slope < -0.12] < 0.05).all()
    assert (rgb[near].mean(0) - (GREEN - 0.025)).abs().max() < 0.02
    assert 0.005 < float(rgb[near].std(0).mean()) < 0.03, "the ground keeps its grain"
    hills = (slope < 0) & torch.isfinite(depth)
    assert hills.any()
    assert (rgb[hills][:, 0] > rgb[hills][:, 1] - 0.15).all(), "brown in the haze"


def test_nothing_of_a_thing_comes_again() -> None:
    turn = Cameras.cat([begun().views[0].camera.turned(angle) for angle in (90.0, 180.0, 270.0)])
    reading = PlainLand.around(begun(), turn).render(turn)
    assert float((reading.rgb[..., 0] - reading.rgb[..., 1]).max()) < 0.3, "no red"
    different = PlainLand.around(begun(red_post=False), turn).render(turn).rgb - reading.rgb
    assert different.abs().mean() < 0.05


def test_all_cameras_stand_above_the_ground_and_inside_the_horizon() -> None:
    memory = begun()
    camera = memory.views[0].camera
    cameras = Cameras.cat([camera, camera.moved(0.0, 3.0, 0.0), camera.moved(100.0, 0.0, 0.0)])
    reading = PlainLand.around(memory, cameras).render(cameras)
    assert (reading.depth > 0).all()
    assert (reading.rgb >= 0).all()
    assert (reading.rgb <= 1).all()


def test_where_the_photo_shows_the_sky_far_down_it_goes_on_so() -> None:
    """A photo that looks up: the ground begins below it."""
    memory = begun(hills=-0.2, red_post=False)
    behind = memory.views[0].camera.turned(180.0)
    reading = PlainLand.around(memory, behind).render(behind)
    slope = behind.world_rays()[0, ..., 1]
    assert torch.isinf(reading.depth[0][slope < 0.15]).all()
    assert torch.isfinite(reading.depth[0][slope > 0.25]).all()


def test_without_sky_what_is_above_the_ground_stands_around() -> None:
    memory = begun(hills=2.0, red_post=False)
    behind = memory.views[0].camera.turned(180.0)
    reading = PlainLand.around(memory, behind).render(behind)
    slope = behind.world_rays()[0, ..., 1]
    assert torch.isfinite(reading.depth).all()
    assert ((reading.rgb[0] - BROWN).abs().amax(-1)[slope < -0.1] < 0.05).all()
    torch.testing.assert_close(reading.depth[0][slope > 0.25], EYE / slope[slope > 0.25], rtol=0.05, atol=0)


def test_it_is_the_same_each_time() -> None:
    behind = begun().views[0].camera.turned(180.0)
    first, second = (PlainLand.around(begun(), behind).render(behind) for _ in range(2))
    assert torch.equal(first.rgb, second.rgb)


def test_a_texture_keeps_its_rows_light_and_strength_and_does_not_repeat() -> None:
    generator = torch.Generator().manual_seed(0)
    step = 2 * math.pi / 1024
    rows = torch.linspace(0.2, 0.8, 40)[:, None, None]
    picture = (rows + 0.05 * torch.randn(40, 256, 1, generator=generator)).expand(-1, -1, 3)
    around = continued_around(picture, torch.ones(40, 256, dtype=torch.bool), 1024, step, generator)
    assert around.shape == (40, 1024, 3)
    assert (around.mean(1) - rows[:, 0])[5:-5].abs().max() < 0.02
    assert 0.6 < float(around[5:-5].std(1).mean() / picture[5:-5].std(1).mean()) < 1.2
    flat = around[5:-5, :, 0] - around[5:-5, :, 0].mean(1, keepdim=True)
    spectrum = torch.fft.rfft(flat)
    alike = torch.fft.irfft(spectrum * spectrum.conj(), n=1024).sum(0)
    assert alike[20:-20].abs().max() < 0.3 * alike[0]
    plain = continued_around(picture, torch.ones(40, 256, dtype=torch.bool), 1024, step, None)
    assert (plain == plain[:, :1]).all()


def test_rows_without_texture_of_their_own_are_no_streaks() -> None:
    generator = torch.Generator().manual_seed(0)
    picture = (0.5 + 0.05 * torch.randn(40, 256, 1, generator=generator)).expand(-1, -1, 3)
    where = torch.ones(40, 256, dtype=torch.bool)
    where[10:30] = False
    around = continued_around(picture, where, 1024, 2 * math.pi / 1024, generator)
    assert around[5].std() > 0.02
    assert around[14:26].std(dim=1).max() < 0.002
