import numpy as np
import pytest
import torch
from splatmem.classes import PixelClass
from splatmem.extrapolate.azimuth import AzimuthRange
from splatmem.extrapolate.calm import calm_turn
from splatmem.extrapolate.emptied import level_relief
from splatmem.extrapolate.shell import BINS, Shell
from splatmem.extrapolate.unrolled import Grid, Unrolled
from splatmem.geometry.cameras import Cameras

HEIGHT, WIDTH, TOTAL = 54, 96, 576


def shell_and_grid() -> tuple[Shell, Grid]:
    camera = Cameras.from_fov(torch.eye(4)[None], 60.0, WIDTH, HEIGHT)
    view_range = AzimuthRange.of(camera, torch.tensor([0.0, 1.0, 0.0]))
    return Shell(view_range, np.full(BINS + 1, 3.0), 0.5, -2.0), Grid.of(-0.9, 0.9, 3.0 / WIDTH, 3.0)


def view(rgb: torch.Tensor, sky: torch.Tensor | None = None, thing: torch.Tensor | None = None) -> Unrolled:
    """A view in which all is seen, wall where it is no sky."""
    nothing = torch.zeros(rgb.shape[:2], dtype=torch.bool)
    sky, thing = nothing if sky is None else sky, nothing if thing is None else thing
    label = torch.full(rgb.shape[:2], float(PixelClass.WALL))
    return Unrolled(rgb, torch.zeros(rgb.shape[:2]), sky, label, thing, thing, ~nothing)


@pytest.fixture(scope="module")
def facade() -> torch.Tensor:
    """Windows in a wall."""
    rows = len(shell_and_grid()[1].heights)
    rgb = torch.full((rows, WIDTH, 3), 0.7)
    rgb[10:20].view(10, 8, 12, 3)[:, :, 3:9] = 0.1
    return rgb


def turned(shown: Unrolled, indoors: bool = False) -> Unrolled:
    shell, grid = shell_and_grid()
    return calm_turn(shown, level_relief(shell, grid), grid, indoors, TOTAL)


def test_windows_do_not_come_again(facade: torch.Tensor) -> None:
    turn = turned(view(facade))
    far = turn.rgb[10:20, WIDTH + WIDTH // 2 : -WIDTH // 2]
    # Out of focus they are faint: an eighth of what they are in the view.
    assert far.std(dim=1).max() < 0.125 * turn.rgb[10:20, :WIDTH].std(dim=1).max()
    assert torch.allclose(far.mean((0, 1)), facade[10:20].mean((0, 1)), atol=0.05)


def test_there_is_no_edge_beside_the_view(facade: torch.Tensor) -> None:
    facade = facade * torch.linspace(0.5, 1, WIDTH)[:, None]
    turn = turned(view(facade)).rgb
    for last, first in ((WIDTH - 1, WIDTH), (TOTAL - 1, 0)):
        assert (turn[:, last] - turn[:, first]).abs().max() < 0.05
    assert torch.equal(turn[:, :WIDTH], facade)


def test_what_the_view_s_edge_cuts_fades_away_and_does_not_come_again(facade: torch.Tensor) -> None:
    thing = torch.zeros(facade.shape[:2], dtype=torch.bool)
    thing[20:30, -15:] = True
    rgb = torch.where(thing[..., None], torch.tensor([1.0, 0.0, 0.0]), torch.full_like(facade, 0.5))
    turn = turned(view(rgb, thing=thing)).rgb
    redness = (turn[..., 0] - turn[..., 1])[25]
    assert redness[WIDTH] > 0.8
    assert redness[WIDTH + WIDTH // 2 :].max() < 0.02


def test_sky_goes_on_above_the_horizon_and_ground_below() -> None:
    _, grid = shell_and_grid()
    above = (grid.heights < 0)[:, None].expand(-1, WIDTH)
    rgb = torch.where(above[..., None], torch.tensor([0.3, 0.5, 0.9]), torch.tensor([0.4, 0.3, 0.1]))
    turn = turned(view(rgb, sky=above))
    horizon = int((grid.heights < 0).sum())
    assert turn.sky[:horizon].all()
    assert not turn.sky[horizon:].any()
    assert (turn.rgb[: horizon - 8] - torch.tensor([0.3, 0.5, 0.9])).abs().max() < 0.05
    assert (turn.rgb[horizon + 8 :] - torch.tensor([0.4, 0.3, 0.1])).abs().max() < 0.05


def test_a_wall_keeps_its_light_and_is_not_made_of_the_floor() -> None:
    shell, grid = shell_and_grid()
    rgb = torch.linspace(0.5, 0.7, WIDTH)[None, :, None].repeat(len(grid.heights), 1, 3)
    below = grid.heights > 0.5
    rgb[below] = 0.1
    shown = view(rgb)
    shown.label[below] = float(PixelClass.FLOOR)
    turn = turned(shown, indoors=True)
    assert turn.rgb[~below][:, WIDTH + 20 : -20].min() > 0.45
    assert (turn.rgb[below][:, WIDTH + 30 : -30] - 0.1).abs().max() < 0.02
    assert turn.rgb[0, WIDTH + 5].mean() > turn.rgb[0, -5].mean() + 0.1
    assert torch.equal(turn.log_relief[:, 0], level_relief(shell, grid))


def test_a_view_that_is_one_thing_goes_on_in_its_colours() -> None:
    rgb = torch.full((len(shell_and_grid()[1].heights), WIDTH, 3), 0.6)
    everything = torch.ones(rgb.shape[:2], dtype=torch.bool)
    turn = turned(view(rgb, thing=everything))
    assert (turn.rgb - 0.6).abs().max() < 0.01


def test_a_stain_that_is_all_that_is_not_known_again_is_not_the_place(facade: torch.Tensor) -> None:
    shown = view(facade.clone())
    shown.prominent[:] = True
    shown.prominent[12:14, 4:8], shown.rgb[12:14, 4:8] = False, 0.0
    turn = turned(shown)
    assert torch.allclose(turn.rgb[10:20, 2 * WIDTH : -WIDTH].mean((0, 1)), facade[10:20].mean((0, 1)), atol=0.1)
