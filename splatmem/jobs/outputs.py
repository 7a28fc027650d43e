"""The files that a run leaves beside its film and its session: scene, cameras, contact sheet, report."""

from __future__ import annotations

import time
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool
from PIL import Image
from torch import Tensor

from splatmem.gaussians.draw import in_batches
from splatmem.geometry.cameras import Cameras
from splatmem.geometry.sampling import evenly_spread
from splatmem.io.atomic import atomic_path
from splatmem.io.pictures import open_picture
from splatmem.io.source import Source
from splatmem.io.transforms_json import save_transforms_json
from splatmem.io.video_frames import survey_video
from splatmem.jobs.export import write_splats
from splatmem.jobs.options import FlyaroundOptions
from splatmem.jobs.run_state import Run
from splatmem.memory import SpatialMemory
from splatmem.memory.film import FilmFigures
from splatmem.models.hardware import peak_device_bytes
from splatmem.report.bend import memory_bend
from splatmem.report.figures import peak_memory_bytes, summary, versions, write_json, write_text
from splatmem.report.html import report_page
from splatmem.report.measures import scene_measures
from splatmem.report.sheet import SHEET_TILE_WIDTH, contact_sheet, moving_sheet

SHEET_FRAMES = 12
SHEET_COMPRESSION = 4  # of PNG's 9 levels: a third of the time of the usual 6, and 4 % more bytes
MOVING = "moving.png"
SPLATS = ("scene.ply", "scene.spz", "scene.html")  # for everything old, to hand on, and to look at


def write_outputs(
    folder: Path,
    run: Run,
    film: FilmFigures,
    options: FlyaroundOptions,
    inpainter_name: str,
    device: str,
    splats: Future[None],
) -> dict[str, Any]:
    """Writes everything but the film, the session and ``SPLATS``; returns the report.

    Args:
        splats: those being written by another thread, which is waited for: packing is a matter of one processor.
    """
    clock, memory = run.scene.clock, run.scene.memory
    save_transforms_json(run.film.cameras, folder / "cameras.json", world=memory.world)
    with clock.stage("render"):
        sheet = photo_sheet(run, film)
    with clock.stage("encode"), atomic_path(folder / "contact_sheet.png") as temporary:
        sheet.save(temporary, compress_level=SHEET_COMPRESSION)
    with clock.stage("read"):
        photo, retention = memory.photo_fidelity(), memory.retention()
        bend, measures = memory_bend(memory), scene_measures(memory)
    with clock.stage("encode"):
        splats.result()
    stages = ("load", "depth", "read", "fill", "write", "refine", "render", "encode")
    report = {
        "source": options.prompt if options.source is None else options.source.resolve().name,
        "prompt": options.prompt,
        "given_pictures": run.scene.memory.num_given_views,
        "path": options.path,
        "path_extent": None if run.film.extent is None else run.film.extent.to_json(),
        "frames": len(run.film.cameras),
        "size": list(options.size),
        "fov_x_degrees": round(run.scene.memory.views[0].fov_x_degrees, 3),
        "seed": options.seed,
        "preset": options.preset,
        "inpainter": inpainter_name,
        "device": device,
        "versions": versions(),
        "seconds": {"total": time.perf_counter() - run.started, **{name: run.scene.clock.seconds[name] for name in stages}},
        "windows": len(run.state.windows),
        "generated_frames": run.state.generated_frames,
        "gaussians": len(run.scene.memory.gaussians),
        "memory_bytes": run.scene.memory.nbytes,
        "peak_rss_bytes": peak_memory_bytes(),
        "peak_gpu_bytes": peak_device_bytes(device),
        "photo_psnr": summary([photo.psnr])["min"],
        "photo_worst_patch_psnr": summary([photo.worst_patch])["min"],
        "retention_psnr": summary([kept.psnr for kept in retention]),
        "retention_worst_patch_psnr": summary([kept.worst_patch for kept in retention]),
        "bend": bend.report(),
        "unknown_fraction": film.unknown_fraction,
        "worst_frame": {"frame": film.worst_frame[0], "unknown_fraction": film.worst_frame[1]},
        "unknown_by_frame": [round(share, 5) for share in film.unknown_by_frame],
        "scene": measures,
        "border_depth_step": float(np.median(run.state.border_steps)) if run.state.border_steps else 0.0,
        "notes": run.scene.notes,
    }
    video = folder / "video.mp4"
    page = report_page(
        report,
        sheet,
        run.film.cameras,
        run.state,
        run.coverage,
        video=video,
        poster=Image.fromarray(next(survey_video(video).read([0]))),
        fps=options.fps,
        folder=options.out,
        moving=_picture(folder / MOVING),
    )
    write_text(folder / "report.html", page)
    write_json(report, folder / "report.json")
    return report


def write_moving(folder: Path, source: Source, moving: Bool[Tensor, "n h w"] | None) -> None:
    """Writes which parts of the given pictures moved and were left out, if any did, for the report to show."""
    if moving is not None:
        shown = torch.nonzero(moving.flatten(1).any(1))[:, 0]
        some = shown[evenly_spread(len(shown), SHEET_FRAMES)]
        with atomic_path(folder / MOVING) as temporary:
            moving_sheet(source.rgb[some], moving[some]).save(temporary)


def write_scene(folder: Path, memory: SpatialMemory, film: Cameras, fps: float) -> None:
    """Writes ``SPLATS``, files of the scene for other programs."""
    for name in SPLATS:
        write_splats(memory, folder / name, film, fps=fps)


def frames_of_sheet(run: Run) -> list[int]:
    """The numbers of the film's frames that the contact sheet shows."""
    return evenly_spread(len(run.film), SHEET_FRAMES)


def photo_sheet(run: Run, film: FilmFigures) -> Image.Image:
    """The contact sheet: frames of the film, what was known of them before anything was made, and their depth."""
    cameras, given = run.film.cameras[frames_of_sheet(run)].coarse(SHEET_TILE_WIDTH), run.scene.memory.as_given()
    return contact_sheet(film.kept, (given.film(some) for some in in_batches(cameras)), run.scene.memory.read(cameras).depth)


def _picture(file: Path) -> Image.Image | None:
    """A picture that a run left, if it did."""
    if not file.is_file():
        return None
    with open_picture(file) as picture:
        return picture.convert("RGB")
