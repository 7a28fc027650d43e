"""Photographs taken inside a panorama: perspective crops along a full turn, tone-mapped."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8
from numpy import ndarray
from scipy.ndimage import distance_transform_edt, map_coordinates

from rooms.lighting import TARGET_BRIGHTNESS
from rooms.meshes import DISPLAY_GAMMA

SHOULDER = 0.6
"""Linear light above this is compressed towards 1: lamps and windows keep their shape."""


def load_panorama(path: Path) -> Float[ndarray, "h w 3"]:
    """A panorama as display values in 0..1, exposed to a medium brightness at eye level.

    Panoramas were scaled with a filter that undershoots beside lamps and windows: such black rims take the colour of the
    nearest sound pixel. The ceiling and the floor right below say little of how the pictures will look: for the exposure the
    middle half counts.
    """
    light = np.load(path).astype(np.float32)
    undershot = (light <= 0).any(-1)
    nearest = distance_transform_edt(undershot, return_distances=False, return_indices=True)
    light = light[tuple(np.asarray(nearest))]
    low, high = -10.0, 10.0
    for _ in range(30):
        middle = (low + high) / 2
        rows = len(light) // 4
        too_dark = tone_map(light[rows:-rows] * 2.0**middle).mean() < TARGET_BRIGHTNESS
        low, high = (middle, high) if too_dark else (low, middle)
    return tone_map(light * 2.0**low)


def tone_map(light: Float[ndarray, "*any"]) -> Float[ndarray, "*any"]:
    """Linear light to display values: straight up to the shoulder, then an exponential approach to white."""
    room = 1.0 - SHOULDER
    over = SHOULDER + room * (1.0 - np.exp(-(light - SHOULDER).clip(0.0) / room))
    return np.where(light > SHOULDER, over, light).clip(0.0, 1.0) ** (1 / DISPLAY_GAMMA)


def photograph(
    panorama: Float[ndarray, "h w 3"], cam_to_world: Float[ndarray, "4 4"], fov_x_degrees: float, width: int, height: int
) -> UInt8[ndarray, "height width 3"]:
    """The perspective picture of an OpenGL camera at the panorama's centre; only its rotation counts.

    The panorama is equirectangular with y up; its middle column lies towards -z. Sampled with cubic splines: take about as
    many pixels as the panorama has there.
    """
    half_width = np.tan(np.radians(fov_x_degrees) / 2)
    x = (2 * (np.arange(width) + 0.5) / width - 1) * half_width
    y = (1 - 2 * (np.arange(height) + 0.5) / height) * half_width * height / width
    rays = np.stack([*np.meshgrid(x, y), -np.ones((height, width))], axis=-1) @ cam_to_world[:3, :3].T
    rays /= np.linalg.norm(rays, axis=-1, keepdims=True)
    column = (np.arctan2(rays[..., 0], -rays[..., 2]) / (2 * np.pi) + 0.5) * panorama.shape[1] - 0.5
    row = np.arccos(rays[..., 1].clip(-1, 1)) / np.pi * panorama.shape[0] - 0.5
    # Repeated over its seam, since a spline needs neighbours; rows end at the poles, where no picture looks.
    margin = 8
    wide = np.pad(panorama, ((0, 0), (margin, margin), (0, 0)), mode="wrap")
    places = np.stack([row, column % panorama.shape[1] + margin])
    channels = [map_coordinates(wide[..., c], places, order=3, mode="nearest") for c in range(3)]
    return (np.stack(channels, axis=-1).clip(0.0, 1.0) * 255 + 0.5).astype(np.uint8)
