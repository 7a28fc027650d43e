"""The figures that an evaluation gives: names, what they mean, which way is better."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Figures = dict[str, float | None]
"""One method's figures by name; None where there is no truth to compare with, or the figure has no meaning."""


@dataclass(frozen=True)
class Figure:
    """One of the figures by which films are compared.

    Attributes:
        group: photo, kept, made, uncovered, loop, cameras or cost.
        name: in evaluate.json.
        label: in tables.
        better: which way; None where neither way is.
        form: format specification for tables.
        meaning: one line for the report.
    """

    group: Literal["photo", "kept", "made", "uncovered", "loop", "cameras", "cost"]
    name: str
    label: str
    better: Literal["higher", "lower"] | None
    form: str
    meaning: str


FIGURES = (
    Figure(
        "photo", "photo_depth_abs_rel", "AbsRel", "lower", ".3f", "mean relative error of the photo's depth after one factor"
    ),
    Figure(
        "photo", "photo_depth_delta1", "depth δ1", "higher", ".3f", "share of the photo whose depth is within a factor of 1.25"
    ),
    Figure("photo", "photo_border_f1", "border F1", "higher", ".3f", "borders of the photo's depth, within 1.5 pixels"),
    Figure("photo", "photo_bend", "bend", "lower", ".4f", "how far straight lines bend from aside, as a share of their length"),
    Figure("photo", "photo_bend_true_depth", "bend, true depth", "lower", ".4f", "the same from the photo's true depth"),
    Figure("photo", "photo_bent_share", "bent", "lower", ".3f", "share of the straight lines that bend by more than 3 %"),
    Figure("photo", "photo_bent_share_true_depth", "bent, true depth", "lower", ".3f", "the same from the photo's true depth"),
    Figure(
        "kept", "kept_psnr", "PSNR", "higher", ".2f", "dB over what the first frame shows, photo's depth by the depth model"
    ),
    Figure("kept", "kept_psnr_true_depth", "PSNR, true depth", "higher", ".2f", "the same from the photo's true depth"),
    Figure("kept", "kept_ssim", "SSIM", "higher", ".3f", "structural similarity there"),
    Figure("kept", "kept_ssim_true_depth", "SSIM, true depth", "higher", ".3f", "the same from the photo's true depth"),
    Figure("kept", "kept_lpips", "LPIPS", "lower", ".3f", "the learned distance LPIPS (AlexNet) there"),
    Figure("kept", "kept_depth_delta1", "depth δ1", "higher", ".3f", "share of it whose depth is within a factor of 1.25"),
    Figure("kept", "kept_depth_delta1_true_depth", "depth δ1, true depth", "higher", ".3f", "the same from the true depth"),
    Figure("kept", "kept_depth_abs_rel", "AbsRel", "lower", ".3f", "mean relative error of its depth"),
    Figure("kept", "kept_depth_abs_rel_true_depth", "AbsRel, true depth", "lower", ".3f", "the same from the true depth"),
    Figure("made", "made_feature_distance", "feature distance", "lower", ".3f", "unlikeness to the truth at the same place"),
    Figure("made", "made_distribution_distance", "distribution distance", "lower", ".3f", "unlikeness of the kinds of patches"),
    Figure("made", "made_lpips", "LPIPS", "lower", ".3f", "the learned distance LPIPS (AlexNet) at the same place"),
    Figure("made", "made_depth_delta1", "depth δ1", "higher", ".3f", "share of it whose depth is within a factor of 1.25"),
    Figure("made", "made_depth_abs_rel_median", "depth error", "lower", ".3f", "median relative error of depth"),
    Figure("made", "made_psnr", "PSNR", "higher", ".2f", "dB against the truth, for orientation: what cannot be known counts"),
    Figure("uncovered", "uncovered_psnr", "PSNR", "higher", ".2f", "dB over what the photo's things hid from it"),
    Figure("uncovered", "uncovered_feature_distance", "feature distance", "lower", ".3f", "unlikeness to the truth there"),
    Figure("uncovered", "uncovered_depth_delta1", "depth δ1", "higher", ".3f", "share of it within a factor of 1.25"),
    Figure("loop", "loop_psnr", "PSNR", "higher", ".2f", "dB of the last frame against the first, where the path returns"),
    Figure("loop", "photo_psnr", "photo", "higher", ".2f", "dB of the photo in its own view, at the end"),
    Figure("loop", "photo_worst_patch_psnr", "photo, worst patch", "higher", ".2f", "the same of its worst 32x32 pixels"),
    Figure("loop", "retention_psnr", "retention", "higher", ".2f", "dB of what was known before each write, at the end"),
    Figure(
        "loop", "retention_worst_patch_psnr", "retention, worst patch", "higher", ".2f", "the same of the worst 32x32 pixels"
    ),
    Figure(
        "loop", "closure_seam", "seam", "lower", ".4f", "contrast across joins at the back of a turn beyond that beside them"
    ),
    Figure("loop", "unknown_fraction", "holes", "lower", ".4f", "share of the film that is smeared over, not known"),
    Figure(
        "loop", "floater_fraction", "floaters", "lower", ".4f", "share of the photo's surfaces with something made before them"
    ),
    Figure(
        "loop", "before_truth", "before the truth", "lower", ".4f", "share of the film nearer than the true surfaces by 10 %"
    ),
    Figure(
        "loop",
        "before_truth_true_depth",
        "before the truth, true depth",
        "lower",
        ".4f",
        "the same from the photo's true depth",
    ),
    Figure("cameras", "colmap_registered", "registered", "higher", ".3f", "share of the frames whose camera COLMAP finds"),
    Figure("cameras", "colmap_reprojection", "reprojection", "lower", ".3f", "mean error of COLMAP's points, in pixels"),
    Figure("cameras", "colmap_rotation", "RotErr", "lower", ".3f", "degrees between its cameras and those asked for, mean"),
    Figure("cameras", "colmap_translation", "TransErr", "lower", ".3f", "distance between them in % of the path's extent"),
    Figure("cameras", "colmap_ate", "ATE", "lower", ".4f", "root of the mean squared distance, in the unit of the cameras"),
    Figure("cost", "seconds", "seconds", "lower", ".1f", "from the photo to the film's frames, models loaded"),
    Figure("cost", "generated_frames", "generated", "lower", ".1f", "frames that went through the inpainter"),
    Figure("cost", "gaussians", "Gaussians", None, ",.0f", "in the memory"),
    Figure("cost", "memory_bytes", "bytes", None, ",.0f", "of the memory, stored views included"),
)
