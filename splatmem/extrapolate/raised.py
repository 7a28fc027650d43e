"""Pictures on the shell, raised from it by their relief: Gaussians all around."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from splatmem.extrapolate.shell import Shell, clear_distance
from splatmem.extrapolate.unrolled import Grid, Unrolled
from splatmem.gaussians import Gaussians
from splatmem.gaussians.lift import LiftSettings, lift
from splatmem.geometry.cameras import Cameras
from splatmem.threads import side_by_side

SIDES = 6  # views that look around
STEEPEST = 1.0  # tangent of the inclination up to which they show the surroundings; two more look down and up

SHARPENING = 0.8


def raised(
    turn: Unrolled,
    width: int,
    shell: Shell,
    grid: Grid,
    view: Cameras,
    positions: Float[Tensor, "p 3"],
    clearance: float,
    far_radius: float,
) -> Gaussians:
    """What lies around a view, but for what the view itself shows.

    Args:
        turn: once around, beginning at the view's left end.
        width: columns that the view shows.
        shell, grid: on which ``turn`` lies.
        view: its camera; its focal length is that of the pictures from which Gaussians are made.
        positions: of cameras; nothing comes nearer to them than ``clearance``.
        far_radius: distance of the sky.
    """
    pictures = torch.cat([turn.rgb, turn.log_relief[..., None]], dim=-1).permute(2, 0, 1)
    own = torch.zeros_like(turn.seen)
    own[:, :width] = turn.seen[:, :width] & ~turn.thing[:, :width]
    masks = torch.stack([turn.sky, own]).float()
    # One column more on either side: the turn is closed.
    pictures, masks = (torch.cat([maps[..., -1:], maps, maps[..., :1]], dim=-1) for maps in (pictures, masks))
    # Not fitted to anything: what is as wide as its spacing needs no underlay.
    settings = LiftSettings(far_radius=far_radius, detail_spread=LiftSettings.spread, underlay_block=0)
    lowest, highest = grid.heights[-1].item(), grid.heights[0].item()
    radius = float(shell.radius.max())

    def lifted(facing: tuple[Cameras, bool]) -> Gaussians:
        camera, vertical = facing
        rays = camera.world_rays()[0]
        side, down, ahead = (rays @ shell.view_range.axes.T).unbind(-1)
        azimuth, level = torch.atan2(side, ahead), torch.hypot(side, ahead)
        slope = down / level.clamp_min(1e-6)
        radius_at = shell.radius_at(azimuth)
        row = grid.row_at(slope * radius_at)
        column = shell.along_at(azimuth) / shell.length * turn.log_relief.shape[1] + 1
        place = torch.stack([2 * column / pictures.shape[-1] - 1, (2 * row + 1) / pictures.shape[-2] - 1], dim=-1)[None]
        values = F.grid_sample(pictures[None], place, padding_mode="border", align_corners=False)[0]
        sky, shown = F.grid_sample(masks[None], place, mode="nearest", padding_mode="border", align_corners=False)[0] > 0.5
        distance = _clear(values[3].exp() * radius_at, azimuth, slope, shell, positions, clearance)
        depth = torch.where(sky, torch.inf, distance / level.clamp_min(1e-6))
        selected = (place[0, ..., 1].abs() <= 1) & ~shown & ((slope.abs() > STEEPEST) == vertical)
        return lift(_sharpened(values[:3]), depth, camera, selected, settings=settings)

    return Gaussians.cat(side_by_side(lifted, _cameras(shell, view, highest / radius, lowest / radius)))


def _sharpened(rgb: Float[Tensor, "3 h w"]) -> Float[Tensor, "h w 3"]:
    """Colours that make up for the blur of sampling and of the Gaussians' footprints."""
    blurred = F.avg_pool2d(F.pad(rgb[None], (1, 1, 1, 1), mode="replicate"), 3, 1)[0]
    return (rgb + SHARPENING * (rgb - blurred)).clamp(0, 1).permute(1, 2, 0).contiguous()


def _cameras(shell: Shell, view: Cameras, top: float, bottom: float) -> list[tuple[Cameras, bool]]:
    """Views whose windows lie side by side around the turn, and one down and one up where there is anything to see."""
    focal = view.focal[0, 0].item()
    axes = shell.view_range.axes
    half = math.tan(math.pi / SIDES)
    width = round(2 * half * focal)
    upper, lower = (min(abs(end), STEEPEST) / math.cos(math.pi / SIDES) for end in (top, bottom))
    above, below = math.ceil(upper * focal), math.ceil(lower * focal)
    cameras = []
    for number in range(SIDES):
        angle = 2 * math.pi * number / SIDES
        ahead = math.sin(angle) * axes[0] + math.cos(angle) * axes[2]
        rotation = torch.stack([torch.linalg.cross(axes[1], ahead), axes[1], ahead])
        cameras.append((_camera(shell, rotation, width / 2 / half, width, above + below, above), False))
    for end, sign in ((bottom, 1.0), (top, -1.0)):
        if abs(end) > STEEPEST:
            size = round(2 * focal / STEEPEST)
            rotation = torch.stack([axes[0], -sign * axes[2], sign * axes[1]])
            cameras.append((_camera(shell, rotation, focal, size, size, size / 2), True))
    return cameras


def _camera(shell: Shell, rotation: Float[Tensor, "3 3"], focal: float, width: int, height: int, horizon: float) -> Cameras:
    pose = torch.eye(4)
    pose[:3, :3], pose[:3, 3] = rotation, -rotation @ shell.view_range.center
    intrinsics = torch.tensor([[focal, 0.0, width / 2], [0.0, focal, horizon], [0.0, 0.0, 1.0]])
    return Cameras(pose[None], intrinsics[None], width, height)


def _clear(
    distance: Float[Tensor, "h w"],
    azimuth: Float[Tensor, "h w"],
    slope: Float[Tensor, "h w"],
    shell: Shell,
    positions: Float[Tensor, "p 3"],
    clearance: float,
) -> Float[Tensor, "h w"]:
    """Horizontal distances, larger where else something would stand in the cameras' way."""
    heights = (positions - shell.view_range.center) @ shell.view_range.axes[1]
    at = slope * distance
    in_the_way = (at > heights.min() - clearance) & (at < heights.max() + clearance)
    bins = torch.linspace(-math.pi, math.pi, 721)
    needed = clear_distance(bins, shell.view_range, positions, clearance)
    wanted = needed[((azimuth + math.pi) / (2 * math.pi) * 720).round().long()]
    return torch.where(in_the_way, torch.maximum(distance, wanted), distance)
