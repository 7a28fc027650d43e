import math

import pytest
import torch
from splatmem.geometry.cameras import identity_camera
from splatmem.geometry.segments import straight_segments
from splatmem.memory import SpatialMemory
from splatmem.report.bend import BENT, Bend, aside, deviations, memory_bend

from textured_room import room

WIDTH, HEIGHT, FOV, DISTANCE = 192, 108, 60.0, 2.0
CAMERA = identity_camera(FOV, WIDTH, HEIGHT)
ASIDE = aside(CAMERA, DISTANCE, DISTANCE)
UPRIGHT = torch.tensor([[[60.0, 10.0], [60.0, 100.0]]])  # level lines hardly bend from aside, whatever their depth
SLOPING = torch.tensor([[[20.0, 90.0], [150.0, 15.0]]])
EVERYWHERE = torch.full((HEIGHT, WIDTH), DISTANCE)


def plane(slope_x: float, slope_y: float) -> torch.Tensor:
    """A plane's depth: its inverse is linear in the picture."""
    rays = CAMERA.pixel_rays()[0]
    return 1 / ((1 - slope_x * rays[..., 0] - slope_y * rays[..., 1]) / DISTANCE)


def bent(segments: torch.Tensor, depth: torch.Tensor) -> torch.Tensor:
    return deviations(segments, depth, CAMERA, ASIDE)


def test_the_views_stand_about_the_subject_and_look_at_it():
    subject = torch.tensor([[0.0, 0.0, DISTANCE]])
    pixels, distance = ASIDE.project(subject)
    torch.testing.assert_close(pixels[:, 0], torch.tensor([[WIDTH / 2, HEIGHT / 2]]).expand(6, 2), atol=1e-3, rtol=0)
    torch.testing.assert_close(distance[:, 0], torch.full((6,), DISTANCE), atol=1e-5, rtol=0)
    angles = torch.rad2deg(torch.asin(ASIDE.forward[:, 0])).abs()
    torch.testing.assert_close(angles, torch.tensor([30.0, 20, 10, 10, 20, 30]), atol=1e-3, rtol=0)


@pytest.mark.parametrize("slopes", [(0.0, 0.0), (0.5, 0.0), (0.3, -0.6)])
def test_a_plane_bends_nothing(slopes):
    # Depth is taken at pixel centres, the nearest within a pixel: half a percent is left of that.
    assert bent(torch.cat([UPRIGHT, SLOPING]), plane(*slopes)).max() < 0.005


def test_a_wave_bends_by_what_geometry_says():
    height = 0.1

    def wave(row: torch.Tensor) -> torch.Tensor:
        return DISTANCE + height * torch.cos(2 * math.pi * (row - 10) / 90)

    depth = wave(torch.arange(HEIGHT) + 0.5)[:, None].expand(HEIGHT, WIDTH)
    measured = bent(UPRIGHT, depth).item()
    # The image of the wave by hand: the same curve, sampled finely, seen by pinholes.
    y = torch.linspace(10, 100, 4001)
    focal = CAMERA.focal[0, 0]
    points = torch.stack([(60 - WIDTH / 2) / focal * wave(y), (y - HEIGHT / 2) / focal * wave(y), wave(y)], dim=-1)
    expected = []
    for angle in (-30, -20, -10, 10, 20, 30):
        a = math.radians(angle)
        right, forward = torch.tensor([math.cos(a), 0.0, math.sin(a)]), torch.tensor([-math.sin(a), 0.0, math.cos(a)])
        offset = points - torch.tensor([0.0, 0.0, DISTANCE])
        image = torch.stack([offset @ right, points[:, 1]], -1) / (offset @ forward + DISTANCE)[:, None]
        image = image - image.mean(0)
        along, across = torch.linalg.svd(image, full_matrices=False)[2] @ image.T
        expected.append(across.abs().quantile(0.9) / (along.max() - along.min()))
    assert measured == pytest.approx(torch.stack(expected).mean().item(), rel=0.1)
    assert measured > 0.01
    assert bent(UPRIGHT, DISTANCE + 2 * (depth - DISTANCE)).item() == pytest.approx(2 * measured, rel=0.25)


def test_an_edge_that_hangs_on_the_wall_in_places_is_bent():
    thing = torch.where(torch.arange(WIDTH) >= 60, DISTANCE, 2 * DISTANCE).expand(HEIGHT, WIDTH)
    assert bent(UPRIGHT, thing).item() < 0.005  # the edge of a thing belongs to the thing
    torn = thing.clone()
    torn[40:60] = 2 * DISTANCE
    assert bent(UPRIGHT, torn).item() > BENT


def test_segments_in_the_sky_do_not_count():
    sky = torch.full((HEIGHT, WIDTH), torch.inf)
    assert len(bent(UPRIGHT, sky)) == 0
    half = EVERYWHERE.clone()
    half[:, : WIDTH // 4] = torch.inf
    assert bent(UPRIGHT, half).item() < 0.005
    nothing = Bend.of(bent(UPRIGHT, sky))
    assert nothing.report() == {"mean": None, "share_above_3_percent": None, "segments": 0}


def test_lines_of_a_picture_are_found_where_they_are():
    picture = torch.full((HEIGHT, WIDTH, 3), 0.2)
    picture[40:, 30:170] = 0.9
    segments = straight_segments(picture, 60)
    level = segments[(segments[:, 0, 1] - segments[:, 1, 1]).abs() < 1]
    torch.testing.assert_close(level[..., 1].mean(), torch.tensor(40.0), atol=0.3, rtol=0)
    assert ((level[:, 0] - level[:, 1]).norm(dim=-1) >= 60).all()
    assert len(straight_segments(torch.full((HEIGHT, WIDTH, 3), 0.5), 60)) == 0


def test_a_lifted_plane_keeps_its_lines_and_a_rippled_one_does_not():
    picture = torch.full((HEIGHT, WIDTH, 3), 0.2)
    picture[8:100, 50:150] = 0.8
    ripple = 1 + 0.1 * torch.sin(torch.arange(HEIGHT) / 12)[:, None]
    figures = []
    for depth in (EVERYWHERE, EVERYWHERE * ripple):
        memory = SpatialMemory()
        memory.write(picture, depth, CAMERA, torch.ones(HEIGHT, WIDTH, dtype=torch.bool))
        figures.append(memory_bend(memory))
    flat, rippled = figures
    assert flat.segments == rippled.segments > 0
    assert flat.mean < 0.003
    assert flat.share_bent == 0
    assert rippled.mean > 3 * flat.mean + 0.005


def test_the_room_with_true_depth_is_straight():
    seen = room().render(CAMERA)
    assert bent(torch.cat([UPRIGHT, SLOPING]), seen.depth[0]).max() < 0.02
