import math

import pytest
import torch
from splatmem.classes import PixelClass, PixelClasses
from splatmem.extrapolate.room_layout import LayoutReading
from splatmem.extrapolate.scene import extrapolate_scene
from splatmem.extrapolate.surroundings import CLEARANCE_SHARE, MAX_CLEARANCE, Surroundings, propose
from splatmem.geometry.cameras import Cameras
from splatmem.memory import SpatialMemory

from textured_room import room, turn

VIEWS = turn(12, width=96, height=54)


@pytest.fixture(scope="module")
def memory() -> SpatialMemory:
    seen = room().render(VIEWS[0])
    memory = SpatialMemory()
    memory.write(seen.rgb[0], seen.depth[0], VIEWS[0], torch.ones(54, 96, dtype=torch.bool))
    return memory


@pytest.fixture(scope="module")
def surroundings(memory: SpatialMemory) -> Surroundings:
    return extrapolate_scene(memory, VIEWS)


def nothing_known(surroundings: Surroundings, cameras):
    size = (len(cameras), cameras.height, cameras.width)
    return surroundings.propose(cameras, torch.zeros(*size, 3), torch.ones(size), torch.zeros(size, dtype=torch.bool))


def test_a_whole_turn_is_proposed(surroundings) -> None:
    proposal = nothing_known(surroundings, VIEWS[range(2, 11)])
    assert proposal.covered.float().mean() > 0.9
    assert torch.isfinite(proposal.rgb).all()
    assert torch.isfinite(proposal.depth).all()
    assert proposal.depth.min() > 0.3


def test_the_view_goes_on_beside_its_end_in_colour_and_in_depth(surroundings) -> None:
    pose = torch.eye(4)
    angle = math.radians(35)
    pose[0, 0] = pose[2, 2] = math.cos(angle)
    pose[0, 2], pose[2, 0] = math.sin(angle), -math.sin(angle)
    across = Cameras.from_fov(pose[None], 50.0, 96, 54)
    seen = room().render(across)
    known = torch.zeros(1, 54, 96, dtype=torch.bool)
    known[:, :, :48] = True
    proposal = surroundings.propose(across, seen.rgb, seen.depth, known)
    assert (proposal.rgb[0, 6:-6, 50] - proposal.rgb[0, 6:-6, 45]).abs().mean() < 0.06
    assert (proposal.depth[0, 6:-6, 50] / proposal.depth[0, 6:-6, 45]).log().abs().mean() < 0.06


def test_things_are_not_shown_again() -> None:
    red = torch.tensor([1.0, 0.0, 0.0])
    seen = room().render(VIEWS[0])
    rgb, depth, thing = 0.3 * seen.rgb[0] + 0.5, seen.depth[0].clone(), torch.zeros(54, 96, dtype=torch.bool)
    thing[15:40, 40:55] = True
    rgb[thing], depth[thing] = red, 1.5
    labels = torch.where(thing, int(PixelClass.THING), int(PixelClass.WALL)).to(torch.uint8)
    memory = SpatialMemory()
    everywhere = torch.ones(54, 96, dtype=torch.bool)
    memory.write(rgb, depth, VIEWS[0], everywhere, None, PixelClasses(labels, thing.to(torch.int16)))
    around = extrapolate_scene(memory, VIEWS).copies.gaussians
    assert ((around.rgb - red).abs().amax(1) < 0.3).float().mean() < 0.001


def test_what_would_be_known_again_goes_on_out_of_focus() -> None:
    signs = torch.rand(6, 8, 3, generator=torch.Generator().manual_seed(0))
    rgb = signs.repeat_interleave(9, 0).repeat_interleave(12, 1).contiguous()
    labels = torch.full((54, 96), int(PixelClass.WALL), dtype=torch.uint8)
    memory, everywhere = SpatialMemory(), torch.ones(54, 96, dtype=torch.bool)
    classes = PixelClasses(labels, torch.zeros(54, 96, dtype=torch.int16))
    memory.write(rgb, torch.full((54, 96), 3.0), VIEWS[0], everywhere, None, classes)
    behind = nothing_known(extrapolate_scene(memory, VIEWS), VIEWS[[5, 6, 7]])
    assert behind.covered.float().mean() > 0.9
    assert rgb.std(dim=1).mean() > 0.2
    assert behind.rgb.std(dim=2).mean() < 0.04


def test_known_pixels_are_proposed_as_they_are(surroundings) -> None:
    cameras = VIEWS[[1, 2]]
    rgb, depth = torch.rand(2, 54, 96, 3), 1 + torch.rand(2, 54, 96)
    known = torch.rand(2, 54, 96) < 0.5
    proposal = surroundings.propose(cameras, rgb, depth, known)
    assert torch.equal(proposal.rgb[known], rgb[known])
    assert torch.equal(proposal.depth[known], depth[known])
    assert proposal.covered[known].all()


def test_cameras_are_kept_clear(memory) -> None:
    around = extrapolate_scene(memory, VIEWS).copies.gaussians
    level = around.means[:, 1].abs() < 0.2
    copy = around.means[level][0]
    pose = torch.eye(4)
    pose[:3, 3] = copy
    visitor = Cameras.from_fov(pose[None], 60.0, 96, 54)
    kept = extrapolate_scene(memory, Cameras.cat([VIEWS, visitor])).copies.gaussians
    nearest = memory.views[0].depth.quantile(0.01)
    assert (kept.means - copy).norm(dim=1).min() > 0.9 * min(MAX_CLEARANCE * memory.scale, CLEARANCE_SHARE * float(nearest))


def test_gaps_take_the_background_s_colours_and_the_room_s_depth() -> None:
    rgb = torch.zeros(1, 16, 32, 3)
    rgb[:, :, :12] = 0.8  # the wall
    rgb[:, :, 20:] = 0.1  # a thing in front of it
    depth = torch.full((1, 16, 32), 4.0)
    depth[:, :, 20:] = 1.0
    covered = torch.ones(1, 16, 32, dtype=torch.bool)
    covered[:, :, 12:20] = False
    nothing = torch.zeros(1, 16, 32, 3)
    walls = LayoutReading(torch.full((1, 16, 32, 3), 0.5), torch.full((1, 16, 32), 4.2), nothing, nothing)
    proposal = propose(rgb, depth, covered, walls)
    assert (proposal.rgb[:, :, 12:20] - 0.8).abs().max() < 0.1
    assert torch.equal(proposal.depth[:, :, 12:20], walls.depth[:, :, 12:20])
    assert torch.equal(proposal.rgb[covered], rgb[covered])


def test_a_camera_that_steps_back_finds_a_floor_where_the_first_stood() -> None:
    pose = torch.eye(4)[None]
    view = Cameras.from_fov(pose, 90.0, 64, 64)
    seen = room().render(view)
    memory = SpatialMemory()
    memory.write(seen.rgb[0], seen.depth[0], view, torch.ones(64, 64, dtype=torch.bool))
    back = pose.clone()
    back[0, 2, 3] = -2.0
    behind = Cameras.from_fov(back, 90.0, 64, 64)
    proposal = nothing_known(extrapolate_scene(memory, Cameras.cat([view, behind])), behind)
    column, row = behind.project(torch.tensor([[0.0, 1.4, 0.4]]))[0][0, 0].long().tolist()
    assert 32 < row < 62
    assert proposal.covered[0, row - 1 : row + 2, column - 3 : column + 4].float().mean() > 0.9
