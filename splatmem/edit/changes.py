"""Moves, doubles and colours parts of a memory, and joins two memories."""

from __future__ import annotations

from dataclasses import replace

import torch
from jaxtyping import Bool
from torch import Tensor

from splatmem.edit.stored_views import seen_again, shown_in
from splatmem.gaussians import Gaussians
from splatmem.gaussians.transform import recoloured, transformed
from splatmem.geometry.cameras import Cameras
from splatmem.geometry.filters import dilate
from splatmem.geometry.similarity import Similarity
from splatmem.memory import PlainPictures, SpatialMemory, StoredView
from splatmem.pixels import to_uint8


def require_some(chosen: Bool[Tensor, " n"]) -> None:
    """Raises ``ValueError`` for an empty selection."""
    if not chosen.any():
        raise ValueError("the selection is empty: nothing of the scene lies in it")


def with_added(memory: SpatialMemory, added: Gaussians) -> SpatialMemory:
    """The memory with further Gaussians, its views brought into line."""
    more = added.to(memory.device)
    joined = replace(memory, gaussians=Gaussians.cat([memory.gaussians, more]), feature_gaussians=None, num_feature_views=0)
    return seen_again(joined, _changed(joined.views, more))


def with_colours(
    memory: SpatialMemory, chosen: Bool[Tensor, " n"], exposure: float, saturation: float, tint: tuple[float, float, float]
) -> SpatialMemory:
    """The memory with some of its Gaussians in other light; see ``recoloured``."""
    require_some(chosen)
    index = chosen.to(memory.device)
    sh = memory.gaussians.sh.clone()
    some = memory.gaussians.select(index)
    sh[index] = recoloured(some, exposure, saturation, tint).sh
    changed = replace(memory, gaussians=memory.gaussians.with_values(sh=sh), feature_gaussians=None, num_feature_views=0)
    return seen_again(changed, _changed(changed.views, some))


def merged(memory: SpatialMemory, other: SpatialMemory, similarity: Similarity) -> SpatialMemory:
    """Both memories in the world of the first; the other one, with its views, after a similarity of its own world.

    The views of the other count as made: they tell what is empty around it, at the size of the first memory's views.
    """
    added = transformed(other.gaussians.to("cpu"), similarity)
    first = memory.views[0].camera
    count = len(memory.gaussians)
    views = [_moved_view(view, similarity, first, count) for view in other.views]
    before = len(memory.views)
    joined = replace(
        memory, gaussians=Gaussians.cat([memory.gaussians, added.to(memory.device)]), views=[*memory.views, *views],
        feature_gaussians=None, num_feature_views=0,
    )  # fmt: skip
    changed = [*_changed(joined.views[:before], added), *_changed(joined.views[before:], memory.gaussians)]
    return seen_again(joined, changed)


def _changed(views: list[StoredView], gaussians: Gaussians) -> list[Bool[Tensor, "h w"] | None]:
    """Where Gaussians that were put in or changed may show in views."""
    shown = [shown_in(gaussians, view.camera) for view in views]
    return [None if s is None else dilate(s.where[None], 1)[0] for s in shown]


def _moved_view(view: StoredView, similarity: Similarity, like: Cameras, count: int) -> StoredView:
    """A view of another memory after a similarity, at the size of ``like``, its Gaussians ``count`` places later."""
    rgb, depth = view.at(like.width, like.height)
    written = torch.nn.functional.interpolate(
        view.written[None, None].float(), size=(like.height, like.width), mode="nearest-exact"
    )
    camera = view.camera.resized(like.width, like.height)
    pose = camera.world_to_cam[0].double()
    rotation, translation = similarity.rotation.double(), similarity.translation.double()
    # A point x of the other world lies at s R x + t; the camera sees it at s times the depth.
    turned = pose[:3, :3] @ rotation.T
    moved = torch.eye(4, dtype=torch.float64)
    moved[:3, :3] = turned
    moved[:3, 3] = similarity.scale * pose[:3, 3] - turned @ translation
    return StoredView(
        camera=Cameras(moved.float()[None], camera.intrinsics, camera.width, camera.height),
        pictures=PlainPictures(torch.from_numpy(to_uint8(rgb)), depth * similarity.scale, written[0, 0] > 0.5),
        gaussians=(view.gaussians[0] + count, view.gaussians[1] + count),
    )
