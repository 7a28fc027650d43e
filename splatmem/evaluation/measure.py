"""All figures of one film of one scene."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from splatmem.evaluation.features import Features, PatchFeatures, distribution_distance, feature_distance
from splatmem.evaluation.figures import FIGURES, Figures
from splatmem.evaluation.film import Film
from splatmem.evaluation.first_view import FirstView, split_by_first_view
from splatmem.evaluation.loop import IN_FRONT, closure_seam, floater_fraction, loop_psnr, retention
from splatmem.evaluation.lpips import Lpips
from splatmem.evaluation.scenes import Scene, Truth
from splatmem.metrics import EQUAL_PSNR, Fidelity, depth_abs_rel, depth_abs_rel_median, depth_delta1, psnr, ssim

MIN_UNCOVERED = 0.001  # share of the film's pixels from which what a step aside uncovers is judged
WORST_ABS_REL = 10.0  # stands for infinite: no depth at all


@dataclass(frozen=True)
class Yardstick:
    """A scene, with all that its films are compared with worked out once; without LPIPS its figures are left out."""

    scene: Scene
    first_view: FirstView
    describe: PatchFeatures
    true_features: Features
    lpips: Lpips | None = None

    @staticmethod
    def of(scene: Scene, describe: PatchFeatures, lpips: Lpips | None = None) -> Yardstick:
        return Yardstick(scene, split_by_first_view(scene.truth), describe, describe(scene.truth.rgb), lpips)


def measure(film: Film, true_depth_film: Film | None, yardstick: Yardstick) -> Figures:
    """The figures of a film, under the names of ``FIGURES``; None where there is no truth to compare with.

    The first frame counts for nothing: it is given.

    Args:
        film: made with the photo's depth as the depth model sees it.
        true_depth_film: made with the photo's true depth, where that is known.
    """
    truth, first_view = yardstick.scene.truth, yardstick.first_view
    rgb, depth = at_size(film, truth)
    kept, made = first_view.kept.clone(), first_view.made
    kept[0] = False
    values = _kept(rgb, depth, truth, kept) | {"before_truth": before_truth(depth, truth)}
    if true_depth_film is not None:
        again_rgb, again_depth = at_size(true_depth_film, truth)
        again = _kept(again_rgb, again_depth, truth, kept) | {"before_truth": before_truth(again_depth, truth)}
        values |= {f"{name}_true_depth": value for name, value in again.items()}
    nothing = Fidelity(math.nan, math.nan)
    photo, kept_known = (nothing, nothing) if film.memory is None else (film.memory.photo_fidelity(), retention(film.memory))
    # Only what was made may count: the rest is taken from the truth, since features look beyond their cell.
    features = yardstick.describe(torch.where(made[..., None], rgb, truth.rgb))
    values |= _uncovered(rgb, depth, yardstick) | _lpips(rgb, kept, yardstick)
    values |= {
        "made_feature_distance": feature_distance(features, yardstick.true_features, made),
        "made_distribution_distance": distribution_distance(features, yardstick.true_features, made),
        "made_depth_delta1": depth_delta1(depth, truth.depth, made & truth.measured),
        "made_depth_abs_rel_median": depth_abs_rel_median(depth, truth.depth, made & truth.measured),
        "made_psnr": psnr(rgb, truth.rgb, made),
        "loop_psnr": loop_psnr(rgb, truth, first_view),
        "photo_psnr": photo.psnr,
        "photo_worst_patch_psnr": photo.worst_patch,
        "retention_psnr": kept_known.psnr,
        "retention_worst_patch_psnr": kept_known.worst_patch,
        "closure_seam": math.nan if film.memory is None else closure_seam(film.memory),
        "unknown_fraction": float((~film.known).float().mean()),
        "floater_fraction": floater_fraction(film, yardstick.scene.path),
        "seconds": film.seconds["total"],
        "generated_frames": film.generated_frames,
        "gaussians": film.gaussians,
        "memory_bytes": film.memory_bytes,
    }
    return {figure.name: _finite(figure.name, values.get(figure.name, math.nan)) for figure in FIGURES}


def at_size(film: Film, truth: Truth) -> tuple[Float[Tensor, "v h w 3"], Float[Tensor, "v h w"]]:
    """The film's colours (averaged) and depth (sampled) at the truth's size, which is the same or smaller."""
    size = (truth.cameras.height, truth.cameras.width)
    if film.rgb.shape[1:3] == size:
        return film.rgb, film.depth
    rgb = F.interpolate(film.rgb.permute(0, 3, 1, 2), size=size, mode="area").permute(0, 2, 3, 1)
    return rgb, F.interpolate(film.depth[:, None], size=size, mode="nearest-exact")[:, 0]


def _kept(
    rgb: Float[Tensor, "v h w 3"], depth: Float[Tensor, "v h w"], truth: Truth, kept: Bool[Tensor, "v h w"]
) -> dict[str, float]:
    return {
        "kept_psnr": psnr(rgb, truth.rgb, kept),
        "kept_ssim": ssim(rgb, truth.rgb, kept),
        "kept_depth_delta1": depth_delta1(depth, truth.depth, kept & truth.measured),
        "kept_depth_abs_rel": depth_abs_rel(depth, truth.depth, kept & truth.measured),
    }


def _uncovered(rgb: Float[Tensor, "v h w 3"], depth: Float[Tensor, "v h w"], yardstick: Yardstick) -> dict[str, float]:
    """What a step aside uncovers; nothing where that is too little to tell."""
    truth, uncovered = yardstick.scene.truth, yardstick.first_view.uncovered
    if float(uncovered.float().mean()) < MIN_UNCOVERED:
        return {}
    features = yardstick.describe(torch.where(uncovered[..., None], rgb, truth.rgb))
    return {
        "uncovered_psnr": psnr(rgb, truth.rgb, uncovered),
        "uncovered_feature_distance": feature_distance(features, yardstick.true_features, uncovered),
        "uncovered_depth_delta1": depth_delta1(depth, truth.depth, uncovered & truth.measured),
    }


def _lpips(rgb: Float[Tensor, "v h w 3"], kept: Bool[Tensor, "v h w"], yardstick: Yardstick) -> dict[str, float]:
    """LPIPS of each part of the film, the rest being taken from the truth; nothing without the network."""
    if yardstick.lpips is None:
        return {}
    parts = {"kept": kept, "made": yardstick.first_view.made}
    true_rgb = yardstick.scene.truth.rgb
    return {f"{n}_lpips": yardstick.lpips(torch.where(p[..., None], rgb, true_rgb), true_rgb, p) for n, p in parts.items()}


def before_truth(depth: Float[Tensor, "v h w"], truth: Truth) -> float:
    """Share of the measured pixels after the first frame where a film shows something nearer than the true surface by 10 % or
    more: what hangs in the air. The true surface is the nearest within a pixel, so that a border may miss by that.

    ``nan`` where nothing is measured.
    """
    measured = truth.measured[1:]
    if not measured.any():
        return math.nan
    nearest = -F.max_pool2d(-truth.depth[1:, None], 3, 1, 1)[:, 0]
    return float((depth[1:] < IN_FRONT * nearest)[measured].double().mean())


def _finite(name: str, value: float) -> float | None:
    """A value that JSON can hold."""
    if math.isnan(value):
        return None
    if math.isinf(value):
        return WORST_ABS_REL if name.endswith("abs_rel_median") else EQUAL_PSNR
    return value
