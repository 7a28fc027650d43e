"""Figures of the lifted photo itself, before anything is made: its depth, its borders, its straight lines."""

from __future__ import annotations

import math

from splatmem.evaluation.borders import border_f1
from splatmem.evaluation.figures import Figures
from splatmem.evaluation.scenes import Scene
from splatmem.memory import SpatialMemory
from splatmem.metrics import depth_abs_rel, depth_delta1
from splatmem.report.bend import memory_bend

MIN_MEASURED = 0.5  # share of the photo with true depth from which its borders and lines are: matching leaves them out


def photo_figures(memory: SpatialMemory, true_memory: SpatialMemory | None, scene: Scene) -> Figures:
    """The figures of the group ``photo``; None where there is no truth, or no straight line.

    Args:
        memory: holds the photo and nothing else, its depth in the unit of the scene's cameras.
        true_memory: the same with its true depth, where that is known; what it bends is the ruler's own error.
    """
    depth, truth, measured = memory.views[0].depth, scene.photo_depth, scene.photo_measured
    bend = memory_bend(memory)
    dense = float(measured.float().mean()) >= MIN_MEASURED
    values = {
        "photo_depth_abs_rel": depth_abs_rel(depth, truth, measured),
        "photo_depth_delta1": depth_delta1(depth, truth, measured),
        "photo_border_f1": border_f1(depth, truth, measured) if dense else math.nan,
        "photo_bend": bend.mean,
        "photo_bent_share": bend.share_bent,
    }
    if true_memory is not None and dense:
        straight = memory_bend(true_memory)
        values |= {"photo_bend_true_depth": straight.mean, "photo_bent_share_true_depth": straight.share_bent}
    else:
        values |= {"photo_bend_true_depth": math.nan, "photo_bent_share_true_depth": math.nan}
    return {name: None if math.isnan(value) else value for name, value in values.items()}
