"""COLMAP as a judge: structure from motion of a film's frames, and how well it agrees with the cameras that were asked for.

The frames alone go in; of the cameras only the lens is told. In a film whose places keep still each frame has a camera, where
it was asked for. pycolmap is an extra: ``pip install "splatmem[colmap]"``.

Source: J. L. Schönberger and J.-M. Frahm, Structure-from-Motion Revisited, CVPR 2016.
"""

from __future__ import annotations

import math
import tempfile
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image

from splatmem.evaluation.figures import Figures
from splatmem.evaluation.pose_error import PoseError, pose_error
from splatmem.geometry.cameras import Cameras

FEATURES = 4096  # of a frame at most
ALL_PAIRS = 64  # frames up to which each is matched with each
OVERLAP = 12  # frames before and after with which each of a longer film is matched, and those 16, 32, 64, ... away
MIN_MODEL = 3  # frames of a reconstruction
SEED = 0
# Reconstructions are begun with pairs whose rays meet at so many degrees at least (COLMAP's own choice is the first), and with
# other random numbers.
STARTS = tuple((angle, SEED + number) for angle in (16.0, 4.0) for number in range(4))


@dataclass(frozen=True)
class Verdict:
    """What COLMAP makes of a film.

    Attributes:
        frames: how many it was given.
        registered: how many of them have a camera in its largest reconstruction; of equally large ones it is that which
            explains the most features.
        points: of that.
        reprojection_error: mean of that, in pixels; ``nan`` without one.
        poses: how far its cameras are off; ``nan`` without one.
    """

    frames: int
    registered: int
    points: int
    reprojection_error: float
    poses: PoseError


def judge_frames(frames: UInt8[np.ndarray, "n h w 3"], cameras: Cameras) -> Verdict:
    """Structure from motion of frames, against the cameras that they were made for.

    Args:
        frames: sRGB.
        cameras: one for each; all of one lens.

    Raises:
        ValueError: pycolmap is not installed, or there are not as many cameras as frames.
    """
    colmap = imported()
    if len(frames) != len(cameras):
        raise ValueError(f"there are {len(frames)} frames and {len(cameras)} cameras")
    with tempfile.TemporaryDirectory(prefix="splatmem-colmap-") as folder:
        pictures, database, models = Path(folder) / "pictures", Path(folder) / "database.db", Path(folder) / "models"
        pictures.mkdir()
        models.mkdir()
        for number, frame in enumerate(frames):
            Image.fromarray(frame).save(pictures / f"{number:05d}.png")
        _match(colmap, database, pictures, cameras)
        found = [model for start in STARTS for model in _reconstructions(colmap, database, pictures, models, start)]
    if not found:
        return Verdict(len(frames), 0, 0, math.nan, PoseError(math.nan, math.nan, math.nan))
    model = max(found, key=lambda one: (one.num_reg_images(), one.compute_num_observations()))
    images = [image for image in model.images.values() if image.has_pose]
    numbers = [int(Path(image.name).stem) for image in images]
    estimated = torch.eye(4, dtype=torch.float64).repeat(len(images), 1, 1)
    estimated[:, :3] = torch.from_numpy(np.stack([image.cam_from_world().matrix() for image in images]))
    poses = pose_error(estimated, cameras.world_to_cam[numbers])
    return Verdict(len(frames), len(images), model.num_points3D(), float(model.compute_mean_reprojection_error()), poses)


def colmap_figures(frames: UInt8[np.ndarray, "n h w 3"], cameras: Cameras) -> Figures:
    """The figures of the group ``cameras``; None where COLMAP found nothing. See ``judge_frames``."""
    verdict = judge_frames(frames, cameras)
    values = {
        "colmap_registered": verdict.registered / verdict.frames,
        "colmap_reprojection": verdict.reprojection_error,
        "colmap_rotation": verdict.poses.rotation_degrees,
        "colmap_translation": verdict.poses.translation_percent,
        "colmap_ate": verdict.poses.ate,
    }
    return {name: None if math.isnan(value) else value for name, value in values.items()}


def imported() -> ModuleType:
    """pycolmap, whose own messages are kept back.

    Raises:
        ValueError: it is not installed.
    """
    try:
        import pycolmap
    except ImportError as error:
        raise ValueError('COLMAP as a judge needs pycolmap: pip install "splatmem[colmap]"') from error
    pycolmap.logging.minloglevel = 2  # errors only
    return pycolmap


def _reconstructions(colmap: ModuleType, database: Path, pictures: Path, folder: Path, start: tuple[float, int]) -> list[Any]:
    """What the incremental mapper makes of the matches, of several pieces where it cannot join them.

    It begins with one pair of frames, and all later ones are fitted to that; where the pair's own pose is wrong (a wide pair of
    a shallow scene has two explanations that fit nearly as well), all frames find a place in a wrong whole. So the caller
    tries several pairs, and believes the reconstruction that explains the most.

    Args:
        start: degrees between the rays of the first pair at least, and the seed of random numbers.
    """
    angle, seed = start
    options = colmap.IncrementalPipelineOptions()
    options.ba_refine_focal_length = options.ba_refine_extra_params = False  # the lens is known
    options.min_model_size, options.extract_colors = MIN_MODEL, False
    options.random_seed, options.num_threads = seed, 1  # with more threads the order of sums changes
    options.mapper.init_min_tri_angle = angle
    target = folder / f"{angle:g}-{seed}"
    target.mkdir()
    return list(colmap.incremental_mapping(database, pictures, target, options).values())


def _match(colmap: ModuleType, database: Path, pictures: Path, cameras: Cameras) -> None:
    """Features of all pictures, and their matches, into the database."""
    reader, extraction = colmap.ImageReaderOptions(), colmap.FeatureExtractionOptions()
    (fx, _, cx), (_, fy, cy), _ = cameras.intrinsics[0].tolist()
    reader.camera_model, reader.camera_params = "PINHOLE", f"{fx},{fy},{cx},{cy}"
    extraction.sift.max_num_features = FEATURES
    colmap.set_random_seed(SEED)
    colmap.extract_features(
        database, pictures, camera_mode=colmap.CameraMode.SINGLE, reader_options=reader, extraction_options=extraction
    )
    if len(cameras) <= ALL_PAIRS:
        colmap.match_exhaustive(database)
    else:
        pairing = colmap.SequentialPairingOptions()
        pairing.overlap, pairing.quadratic_overlap = OVERLAP, True
        colmap.match_sequential(database, pairing_options=pairing)
