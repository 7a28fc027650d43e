"""The main job: a photo and a path in; a film, a scene and a session out.

Everything is made in a folder ``<out>.partial`` beside the one asked for, which takes its place when the last file is
written. An interrupted run leaves the partial folder; ``resume`` goes on from its last finished window.
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch

from splatmem.cameras import Cameras, identity_camera
from splatmem.config import load_preset
from splatmem.depth import DepthEstimator, load_depth_estimator
from splatmem.evaluate.metrics import psnr
from splatmem.explore import ExploreSettings, ExploreState, begin_memory, explore
from splatmem.film import FilmFigures, check_film, film_memory, shown
from splatmem.inpaint import load_inpainter
from splatmem.io.path_files import load_path
from splatmem.io.photo import DEFAULT_FOV_X_DEGREES, Photo, load_photo
from splatmem.io.ply import save_ply
from splatmem.io.transforms_json import save_transforms_json
from splatmem.memory import SpatialMemory
from splatmem.models.hardware import choose_device
from splatmem.output_folder import claim, discard_empty, publish
from splatmem.paths import PRESET_NAMES
from splatmem.report.figures import peak_memory_bytes, summary, versions, write_json, write_text
from splatmem.report.html import report_page
from splatmem.report.sheet import contact_sheet
from splatmem.route import route
from splatmem.session import drop_previous_snapshot, has_session, load_session, save_session
from splatmem.timing import StageClock

MEMORY_FOLDER = "memory"
SHEET_FRAMES = 12


class Announce(Protocol):
    """Receives the progress of a run: the stage's name and the share of it that is done, 0..1."""

    def __call__(self, stage: str, share: float) -> None: ...


def silent(stage: str, share: float) -> None:
    """Announces nothing."""


@dataclass(frozen=True)
class FlyaroundOptions:
    """What to make. Two runs with equal options on one machine give the same film and scene, byte for byte."""

    photo: Path
    out: Path
    path: str = "turn"
    frames: int = 96
    width: int = 512
    height: int = 288
    fps: float = 24.0
    fov: float | None = None
    seed: int = 0
    preset: str = "embedded"
    overrides: tuple[str, ...] = ()
    device: str = "auto"
    resume: bool = False
    overwrite: bool = False
    explore: ExploreSettings = field(default_factory=ExploreSettings)

    def check(self) -> None:
        """Raises ``ValueError`` for what can be known to be wrong before any work."""
        check_film(self.frames, self.width, self.height, self.fps)
        if self.path not in PRESET_NAMES:
            load_path(self.path, width=self.width, height=self.height, fov_x_degrees=DEFAULT_FOV_X_DEGREES, frames=self.frames)
        if self.resume and self.overwrite:
            raise ValueError("--resume and --overwrite exclude each other")

    def identity(self) -> dict[str, Any]:
        """What must be the same when a run is resumed, as JSON values."""
        values = {k: v for k, v in asdict(self).items() if k not in ("out", "resume", "overwrite")}
        return json.loads(json.dumps(values, default=str))


@dataclass
class Run:
    """A run as it stands: all that its next step needs, and all that a session keeps."""

    memory: SpatialMemory
    path: Cameras
    generator: torch.Generator
    state: ExploreState
    clock: StageClock
    started: float
    """When it began by ``time.perf_counter``, as if it had never been interrupted."""
    coverage: list[float] = field(default_factory=list)
    """Unknown share of the path before each window."""
    notes: list[str] = field(default_factory=list)
    """Sentences for the report."""


def flyaround(options: FlyaroundOptions, announce: Announce = silent, started: float | None = None) -> dict[str, Any]:
    """Makes ``options.out`` and returns its report.

    Args:
        started: when the user's waiting began, by ``time.perf_counter``; now, if not given.

    Raises:
        ValueError: options or input that cannot be used; nothing is left behind.
        OSError: files cannot be read or written.
    """
    started = time.perf_counter() if started is None else started
    options.check()
    config = load_preset(options.preset, options.overrides)
    device = choose_device(options.device)
    photo = load_photo(options.photo, options.width, options.height)
    clock = StageClock({"load": time.perf_counter() - started})
    partial = claim(options.out, resume=options.resume, overwrite=options.overwrite)
    session = partial / MEMORY_FOLDER
    try:
        # A run that was killed before its first snapshot begins anew: that gives the same bytes.
        run = resume_run(session, options, clock, started) if has_session(session) else None
        announce("loading the models", 0.0)
        with clock.stage("load"):
            inpainter = load_inpainter(config.inpainter, device=device, hardware=config.hardware)
            estimate_depth = load_depth_estimator(config.depth.model, device=device)
        if run is None:
            announce("lifting the photo", 0.0)
            run = begin_run(photo, estimate_depth, options, clock, started)
            save_run(session, run, options)
    except BaseException:
        discard_empty(options.out)
        raise

    def progress(unknown_share: float) -> None:
        run.coverage.append(unknown_share)
        announce("making the unseen", 1 - unknown_share / max(run.coverage[0], 1e-6))

    explore(
        run.memory, run.path, inpainter, estimate_depth, run.generator, options.explore, clock,
        state=run.state, progress=progress, after_window=lambda _: save_run(session, run, options),
    )  # fmt: skip
    film = film_memory(run.memory, run.path, partial / "video.mp4", options.fps, clock, announce)
    announce("writing the scene and the report", 0.0)
    report = write_outputs(partial, run, film, photo, options, inpainter.name, device)
    drop_previous_snapshot(session)
    publish(options.out)
    return report


def begin_run(
    photo: Photo, estimate_depth: DepthEstimator, options: FlyaroundOptions, clock: StageClock, started: float
) -> Run:
    """The memory of the photo, and the path through it."""
    fov = options.fov or photo.fov_x_degrees or DEFAULT_FOV_X_DEGREES
    camera = identity_camera(fov, options.width, options.height)
    memory = begin_memory(photo.rgb, camera, estimate_depth, options.explore, clock)
    way = route(options.path, options.frames, camera, memory)
    generator = torch.Generator().manual_seed(options.seed)
    notes = way.notes
    if options.fov is None and photo.fov_x_degrees is None:
        notes = [f"the photo does not say its field of view: {DEFAULT_FOV_X_DEGREES:g} degrees are assumed", *notes]
    return Run(memory, way.cameras, generator, ExploreState(), clock, started, notes=notes)


def save_run(folder: Path, run: Run, options: FlyaroundOptions) -> None:
    """Saves the session, with all that an interrupted run needs to go on to the same bytes."""
    progress = {
        "options": options.identity(),
        "windows": run.state.windows,
        "border_steps": run.state.border_steps,
        "finished": run.state.finished,
        "generator": run.generator.get_state().tolist(),
        "coverage": run.coverage,
        "notes": run.notes,
        "seconds": {"total": time.perf_counter() - run.started, **run.clock.seconds},
        # Floats go through JSON whole: Python writes the shortest text that reads back as the same number.
        "path": {
            "world_to_cam": run.path.world_to_cam.double().tolist(),
            "intrinsics": run.path.intrinsics.double().tolist(),
            "size": [run.path.width, run.path.height],
        },
    }
    save_session(run.memory, folder, progress)


def resume_run(folder: Path, options: FlyaroundOptions, clock: StageClock, started: float) -> Run:
    """The run as its last finished window left it.

    Raises:
        ValueError: the session is damaged, or was begun with other options.
    """
    memory, progress = load_session(folder)
    begun, asked = progress["options"], options.identity()
    changed = [key for key in asked if begun.get(key) != asked[key]]
    if changed:
        was = ", ".join(f"{key} = {begun.get(key)}" for key in changed)
        raise ValueError(f"the interrupted run was begun with other options ({was}); give those, or --overwrite")
    path = progress["path"]
    cameras = Cameras(torch.tensor(path["world_to_cam"]), torch.tensor(path["intrinsics"]), *path["size"])
    generator = torch.Generator()
    generator.set_state(torch.tensor(progress["generator"], dtype=torch.uint8))
    state = ExploreState(progress["windows"], progress["border_steps"], progress["finished"])
    earlier = progress["seconds"].pop("total", 0.0)
    for name, seconds in progress["seconds"].items():
        clock.seconds[name] += seconds
    # The planner looks again at the state that the last window left: its coverage is noted anew.
    coverage = progress["coverage"][: len(state.windows) + state.finished]
    return Run(memory, cameras, generator, state, clock, started - earlier, coverage, progress["notes"])


def write_outputs(
    folder: Path,
    run: Run,
    film: FilmFigures,
    photo: Photo,
    options: FlyaroundOptions,
    inpainter_name: str,
    device: str,
) -> dict[str, Any]:
    """Writes everything but the film and the session; returns the report."""
    with run.clock.stage("render"):
        sheet = photo_sheet(run)
    with run.clock.stage("encode"):
        sheet.save(folder / "contact_sheet.png")
        save_ply(run.memory.gaussians, folder / "scene.ply")
        save_transforms_json(run.path, folder / "cameras.json")
    with run.clock.stage("read"):
        retention = run.memory.retention_psnr()
        photo_psnr = psnr(run.memory.read(run.memory.views[0].camera).rgb[0], photo.rgb)
    stages = ("load", "depth", "read", "fill", "write", "refine", "render", "encode")
    report = {
        "source": options.photo.name,
        "path": options.path,
        "frames": len(run.path),
        "size": [options.width, options.height],
        "fov_x_degrees": round(run.memory.views[0].fov_x_degrees, 3),
        "seed": options.seed,
        "preset": options.preset,
        "inpainter": inpainter_name,
        "device": device,
        "versions": versions(),
        "seconds": {"total": time.perf_counter() - run.started, **{name: run.clock.seconds[name] for name in stages}},
        "windows": len(run.state.windows),
        "generated_frames": run.state.generated_frames,
        "gaussians": len(run.memory.gaussians),
        "memory_bytes": run.memory.nbytes,
        "peak_rss_bytes": peak_memory_bytes(),
        "photo_psnr": summary([photo_psnr])["min"],
        "retention_psnr": summary(retention),
        "unknown_fraction": film.unknown_fraction,
        "worst_frame": {"frame": film.worst_frame[0], "unknown_fraction": film.worst_frame[1]},
        "border_depth_step": float(np.median(run.state.border_steps)) if run.state.border_steps else 0.0,
        "notes": run.notes,
    }
    page = report_page(report, sheet, run.path, run.state, run.coverage)
    write_text(folder / "report.html", page)
    write_json(report, folder / "report.json")
    return report


def photo_sheet(run: Run):
    """The contact sheet: frames of the film, what the photo alone knew of them, and their depth."""
    index = [round(i * (len(run.path) - 1) / (SHEET_FRAMES - 1)) for i in range(min(SHEET_FRAMES, len(run.path)))]
    cameras = run.path[index]
    before, after = run.memory.first_only().read(cameras), run.memory.read(cameras)
    return contact_sheet(shown(after), before.rgb, before.known, after.depth)
