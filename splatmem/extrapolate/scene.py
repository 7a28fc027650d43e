"""What may lie around a whole scene: a closed room fitted to a memory's views, and its first view, going on in it."""

from __future__ import annotations

import torch

from splatmem.extrapolate.room_layout import RoomLayout, fit_room_layout
from splatmem.extrapolate.surroundings import Surroundings, extrapolate_view
from splatmem.geometry.cameras import Cameras
from splatmem.geometry.normals import surface_normals
from splatmem.memory import SpatialMemory

LAYOUT_WIDTH = 64  # pixels; the room is fitted to the stored views at this width


def extrapolate_scene(memory: SpatialMemory, cameras: Cameras) -> Surroundings:
    """What may be seen in any direction, given what the memory shows.

    Args:
        memory: what is known.
        cameras: that will look at it; they are kept clear of what is placed around.
    """
    return extrapolate_view(memory, fit_scene_layout(memory, cameras), cameras)


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
