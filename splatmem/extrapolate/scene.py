"""The closed room that what a memory shows lies in."""

from __future__ import annotations

import torch

from splatmem.extrapolate.room_layout import RoomLayout, fit_room_layout
from splatmem.geometry.cameras import Cameras
from splatmem.geometry.normals import surface_normals
from splatmem.memory import SpatialMemory

LAYOUT_WIDTH = 64  # pixels; the room is fitted to the stored views at this width


def fit_scene_layout(memory: SpatialMemory, cameras: Cameras) -> RoomLayout:
    """The closed room that continues what the stored views show, with all of the cameras inside.

    Where the views show nothing but sky, the room has the memory's scale.
    """
    points, normals, colours = [], [], []
    sky_alone = not any(torch.isfinite(view.depth).any() for view in memory.views)
    for view in memory.views:
        camera = view.camera.coarse(LAYOUT_WIDTH)
        rgb, depth = view.at(camera.width, camera.height)
        depth = torch.full_like(depth, memory.scale) if sky_alone else depth
        near = torch.isfinite(depth)
        points.append(camera.unproject(torch.where(near, depth, 1.0)[None])[0][near])
        normals.append(surface_normals(depth[None], camera)[0][near])
        colours.append(rgb[near])
    inside = torch.cat([cameras.centers, *(view.camera.centers for view in memory.views)])
    return fit_room_layout(torch.cat(points), torch.cat(normals), torch.cat(colours), inside, memory.down, memory.metric)
