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
from splatmem.film import FilmFigures, film_memory, shown
from splatmem.inpaint import load_inpainter
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
from splatmem.session import drop_previous_snapshot, load_session, save_session
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
        if not 2 <= self.frames <= 10_000:
            raise ValueError(f"a film has 2 to 10000 frames, got {self.frames}")
        sides = (self.width, self.height)
        if not all(64 <= side <= 4096 and side % 2 == 0 for side in sides) or not 0.2 <= sides[0] / sides[1] <= 5:
            raise ValueError(
                f"a film's sides are even, 64 to 4096 pixels long and at most 5:1 to each other, got {self.width}x{self.height}"
            )
        if not 1 <= self.fps <= 240:
            raise ValueError(f"frames per second lie in 1..240, got {self.fps}")
        if self.path not in PRESET_NAMES and not Path(self.path).exists():
            raise ValueError(f"no path {self.path!r}: expected {', '.join(PRESET_NAMES)}, or a path file that exists")
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
    coverage: list[float] = field(default_factory=list)
    """Unknown share of the path before each window."""
    notes: list[str] = field(default_factory=list)
    """Sentences for the report."""


def flyaround(options: FlyaroundOptions, announce: Announce = silent) -> dict[str, Any]:
    """Makes ``options.out`` and returns its report.

    Raises:
        ValueError: options or input that cannot be used; nothing is left behind.
        OSError: files cannot be read or written.
    """
    started = time.perf_counter()
    options.check()
    config = load_preset(options.preset, options.overrides)
    device = choose_device(options.device)
    clock = StageClock()
    with clock.stage("load"):
        announce("loading the models", 0.0)
        photo = load_photo(options.photo, options.width, options.height)
        inpainter = load_inpainter(config.inpainter, device=device, hardware=config.hardware)
        estimate_depth = load_depth_estimator(config.depth.model, device=device)
    partial = claim(options.out, resume=options.resume, overwrite=options.overwrite)
    try:
        if options.resume:
            run = resume_run(partial / MEMORY_FOLDER, options, clock)
        else:
            announce("lifting the photo", 0.0)
            run = begin_run(photo, estimate_depth, options, clock)
            save_run(partial / MEMORY_FOLDER, run, options)
    except BaseException:
        discard_empty(options.out)
        raise

    def progress(unknown_share: float) -> None:
        run.coverage.append(unknown_share)
        announce("making the unseen", 1 - unknown_share / max(run.coverage[0], 1e-6))

    explore(
        run.memory, run.path, inpainter, estimate_depth, run.generator, options.explore, clock,
        state=run.state, progress=progress, after_window=lambda _: save_run(partial / MEMORY_FOLDER, run, options),
    )  # fmt: skip
    film = film_memory(run.memory, run.path, partial / "video.mp4", options.fps, clock, announce)
    announce("writing the scene and the report", 0.0)
    report = write_outputs(partial, run, film, photo, options, inpainter.name, device, started)
    drop_previous_snapshot(partial / MEMORY_FOLDER)
    publish(options.out)
    return report


def begin_run(photo: Photo, estimate_depth: DepthEstimator, options: FlyaroundOptions, clock: StageClock) -> Run:
    """The memory of the photo, and the path through it."""
    fov = options.fov or photo.fov_x_degrees or DEFAULT_FOV_X_DEGREES
    camera = identity_camera(fov, options.width, options.height)
    memory = begin_memory(photo.rgb, camera, estimate_depth, options.explore, clock)
    way = route(options.path, options.frames, camera, memory)
    generator = torch.Generator().manual_seed(options.seed)
    return Run(memory, way.cameras, generator, ExploreState(), clock, notes=way.notes)


def save_run(folder: Path, run: Run, options: FlyaroundOptions) -> None:
    """Saves the session, with all that an interrupted run needs to go on to the same bytes."""
    progress = {
        "options": options.identity(),
        "windows": run.state.windows,
        "border_steps": run.state.border_steps,
        "finished": run.state.finished,
        "seed": run.state.seed,
        "generator": run.generator.get_state().tolist(),
        "coverage": run.coverage,
        "notes": run.notes,
        "seconds": dict(run.clock.seconds),
        # Floats go through JSON whole: Python writes the shortest text that reads back as the same number.
        "path": {
            "world_to_cam": run.path.world_to_cam.double().tolist(),
            "intrinsics": run.path.intrinsics.double().tolist(),
            "size": [run.path.width, run.path.height],
        },
    }
    save_session(run.memory, folder, progress)


def resume_run(folder: Path, options: FlyaroundOptions, clock: StageClock) -> Run:
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
    state = ExploreState(progress["windows"], progress["border_steps"], progress["finished"], progress["seed"])
    for name, seconds in progress["seconds"].items():
        clock.seconds[name] += seconds
    # The planner looks again at the state that the last window left: its coverage is noted anew.
    coverage = progress["coverage"][: len(state.windows)]
    return Run(memory, cameras, generator, state, clock, coverage, progress["notes"])


def write_outputs(
    folder: Path,
    run: Run,
    film: FilmFigures,
    photo: Photo,
    options: FlyaroundOptions,
    inpainter_name: str,
    device: str,
    started: float,
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
        "fov_x_degrees": run.memory.views[0].fov_x_degrees,
        "seed": options.seed,
        "preset": options.preset,
        "inpainter": inpainter_name,
        "device": device,
        "versions": versions(),
        "seconds": {"total": time.perf_counter() - started, **{name: run.clock.seconds[name] for name in stages}},
        "windows": len(run.state.windows),
        "generated_frames": run.state.generated_frames,
        "gaussians": len(run.memory.gaussians),
        "memory_bytes": run.memory.nbytes,
        "peak_rss_bytes": peak_memory_bytes(),
        "photo_psnr": photo_psnr,
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
