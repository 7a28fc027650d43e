"""How large a scene is: the subject's distance and the space in which the scene proper lies."""

from __future__ import annotations

from typing import Any

from splatmem.memory import SpatialMemory
from splatmem.trajectory.trajectory import subject_distance

MOST = (0.02, 0.98)  # of the Gaussians lie between; a few stray ones do not count
FAR = 20.0  # distances beyond so many of the scene's median depth are sky


def scene_measures(memory: SpatialMemory) -> dict[str, Any]:
    """Distances in the world's unit, JSON values: the subject's, and width, height and depth of most of the scene.

    ``unit`` is m where the depth model tells metres, as far as it can, else units.
    """
    means = memory.gaussians.means.cpu()
    near = means[means.norm(dim=-1) <= FAR * memory.scale]
    size = [0.0, 0.0, 0.0]
    if len(near):
        ordered = near.sort(dim=0).values
        low, high = (ordered[round(share * (len(near) - 1))] for share in MOST)
        size = [round(side, 2) for side in (high - low).tolist()]
    return {
        "subject_distance": round(float(subject_distance(memory, memory.views[0].camera)), 2),
        "size": size,
        "unit": "m" if memory.metric else "units",
    }
