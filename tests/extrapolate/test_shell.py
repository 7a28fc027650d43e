import math

import pytest
import torch
from splatmem.extrapolate.azimuth import AzimuthRange
from splatmem.extrapolate.room_layout import RoomLayout
from splatmem.extrapolate.shell import BINS, clear_distance, fit_shell
from splatmem.geometry.cameras import identity_camera

VIEW = AzimuthRange.of(identity_camera(60.0, 96, 54), torch.tensor([0.0, 1.0, 0.0]))
BOX = RoomLayout(
    torch.eye(3), torch.tensor([-2.0, -1.2, -2.5]), torch.tensor([2.0, 1.4, 3.0]), torch.rand(6, 8, 8, 3), torch.ones(6).bool()
)


def nothing_needed() -> torch.Tensor:
    return torch.zeros(BINS + 1)


def test_indoors_the_shell_is_the_room_s_box() -> None:
    shell = fit_shell(VIEW, BOX, True, 9.0, nothing_needed())
    ahead, right, behind, left = shell.radius_at(torch.tensor([0.0, math.pi / 2, math.pi, -math.pi / 2])).tolist()
    assert (ahead, right, behind, left) == pytest.approx((3.0, 2.0, 2.5, 2.0), rel=0.01)
    assert shell.length == pytest.approx(2 * (4.0 + 5.5), rel=0.01)
    assert (shell.floor, shell.ceiling) == pytest.approx((1.4, -1.2))


def test_in_the_open_it_is_a_cylinder() -> None:
    shell = fit_shell(VIEW, BOX, False, 9.0, nothing_needed())
    assert shell.length == pytest.approx(2 * math.pi * 9, rel=1e-3)
    assert shell.view_length == pytest.approx(VIEW.width * 9, rel=1e-3)


def test_places_along_the_wall_and_azimuths_are_each_other_s_inverse() -> None:
    shell = fit_shell(VIEW, BOX, True, 9.0, nothing_needed())
    along = torch.linspace(0, 0.999 * shell.length, 50)
    assert torch.allclose(shell.along_at(shell.azimuth_at(along)), along, atol=1e-3)


def test_the_shell_leaves_room_for_cameras() -> None:
    position = torch.tensor([[0.0, 0.0, -2.4]])
    needed = clear_distance(VIEW.left + torch.linspace(0, 2 * math.pi, BINS + 1), VIEW, position, 0.4)
    shell = fit_shell(VIEW, BOX, True, 9.0, needed)
    assert shell.radius_at(torch.tensor([math.pi])).item() == pytest.approx(2.8, rel=0.01)
    assert shell.radius_at(torch.tensor([0.0])).item() == pytest.approx(3.0, rel=0.01)


def test_what_was_not_seen_stands_no_nearer_than_the_view_s_content_bears() -> None:
    narrow = RoomLayout(BOX.axes, torch.tensor([-0.5, -1.2, -2.5]), torch.tensor([2.0, 1.4, 3.0]), BOX.textures, BOX.seen)
    shell = fit_shell(VIEW, narrow, True, 9.0, nothing_needed())
    left = shell.radius_at(torch.tensor([-math.pi / 2])).item()
    assert left > 1.0
    assert shell.radius_at(torch.tensor([math.pi / 2])).item() == pytest.approx(2.0, rel=0.01)


def test_walls_far_away_are_brought_near_enough_for_the_view_to_go_on_there() -> None:
    """A hall of half a kilometre, of which the view shows the near end."""
    low, high = torch.tensor([-400.0, -1.2, -500.0]), torch.tensor([400.0, 1.4, 3.0])
    shell = fit_shell(VIEW, RoomLayout(BOX.axes, low, high, BOX.textures, BOX.seen), True, 9.0, nothing_needed())
    assert shell.radius_at(torch.tensor([0.0])).item() == pytest.approx(3.0, rel=0.01)
    assert shell.radius.max() < 30
    assert shell.length < 60 * shell.view_length
