"""The main job: a photo, posed pictures or words, and a path in; a film, a scene and a session out.

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

from splatmem.begin import begin_memory, begin_posed_memory
from splatmem.cameras import identity_camera
from splatmem.config import Config, load_preset, preset_names
from splatmem.depth import DepthEstimator, load_depth_estimator
from splatmem.evaluate.metrics import psnr
from splatmem.explore import ExploreSettings, ExploreState, explore
from splatmem.film import FilmFigures, check_film, film_memory
from splatmem.first_frame import make_first_frame
from splatmem.inpaint import load_inpainter
from splatmem.io.path_files import load_path
from splatmem.io.photo import DEFAULT_FOV_X_DEGREES
from splatmem.io.ply import save_ply
from splatmem.io.transforms_json import save_transforms_json
from splatmem.models.hardware import (
    choose_device,
    drawing_device,
    explained_out_of_memory,
    peak_device_bytes,
    release,
    watch_peak,
)
from splatmem.models.needs import require_models
from splatmem.output_folder import claim, discard_empty, publish
from splatmem.paths import PRESET_NAMES
from splatmem.render.gsplat_kernels import why_gsplat_cannot_draw
from splatmem.report.figures import peak_memory_bytes, summary, versions, write_json, write_text
from splatmem.report.html import report_page
from splatmem.report.sheet import contact_sheet
from splatmem.route import route
from splatmem.run_state import Run, resume_run, save_run
from splatmem.session import drop_previous_snapshot, has_session
from splatmem.source import Source, read_source
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
    """What to make. Two runs with equal options on one machine give the same film and scene, byte for byte.

    ``source`` is a photo, a folder of posed pictures or a video with ``poses``; without one the first frame is made from
    ``prompt``, which inpainters that read words are given too.
    """

    source: Path | None
    out: Path
    prompt: str = ""
    poses: Path | None = None
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
    low_vram: bool = False
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
        if self.poses is not None and self.source is None:
            raise ValueError("--poses are those of a video: give the video too")

    def config(self) -> Config:
        """The preset with what was changed of it.

        Raises:
            ValueError: see ``load_preset``; or there is nothing to begin with.
        """
        config = load_preset(self.preset, self.overrides)
        if self.source is None and not self.prompt.strip():
            raise ValueError("nothing to begin with: give a photo, a folder of posed pictures, or --prompt with words")
        if self.source is None and config.first_frame.model is None:
            able = [name for name in preset_names() if load_preset(name).first_frame.model is not None]
            raise ValueError(
                f"the preset {self.preset} makes no pictures from words: give a photo, or --preset {' or '.join(able)}, or "
                "--set first_frame.model=DIR_OR_ID"
            )
        return config.with_low_vram() if self.low_vram else config

    def identity(self) -> dict[str, Any]:
        """What must be the same when a run is resumed, as JSON values."""
        apart = ("out", "preset", "overrides", "low_vram", "resume", "overwrite")
        values = {k: v for k, v in asdict(self).items() if k not in apart}
        return json.loads(json.dumps(values | self.config().result(), default=str))


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
    device = choose_device(options.device)
    watch_peak(device)
    config = options.config()
    with explained_out_of_memory(device, config.hardware):
        return _flyaround(options, config, device, announce, started)


def _flyaround(options: FlyaroundOptions, config: Config, device: str, announce: Announce, started: float) -> dict[str, Any]:
    source = None
    if options.source is not None:
        source = read_source(options.source, options.poses, options.width, options.height, options.fov)
    require_models(config, options.preset, options.overrides, first_frame=source is None)
    clock = StageClock({"load": time.perf_counter() - started})
    partial = claim(options.out, resume=options.resume, overwrite=options.overwrite)
    session = partial / MEMORY_FOLDER
    try:
        # A run that was killed before its first snapshot begins anew: that gives the same bytes.
        run = resume_run(session, options.identity(), drawing_device(device), clock, started) if has_session(session) else None
        if source is None and run is None:
            announce("making the first frame", 0.0)
            with clock.stage("fill"):
                source = source_from_words(options, config, device)
        announce("loading the models", 0.0)
        with clock.stage("load"):
            inpainter = load_inpainter(config.inpainter, device=device, hardware=config.hardware)
            estimate_depth = load_depth_estimator(config.depth.model, device=device, hardware=config.hardware)
        if run is None:
            assert source is not None
            announce("lifting the photo" if source.cameras is None else "lifting the pictures", 0.0)
            run = begin_run(source, estimate_depth, options, device, clock, started, announce)
            if options.prompt and not inpainter.reads_prompt:
                run.remark(f"{inpainter.name} reads no words: the prompt did not reach it")
            if device != drawing_device(device) == "cpu":
                run.remark(f"{device} ran the models, the CPU drew the Gaussians{_why_not_there(device)}")
            run.remark(*inpainter.notes)
            save_run(session, run, options.identity())
    except BaseException:
        discard_empty(options.out)
        raise

    def progress(unknown_share: float) -> None:
        run.coverage.append(unknown_share)
        announce("making the unseen", 1 - unknown_share / max(run.coverage[0], 1e-6))

    def after_window(state: ExploreState) -> None:
        run.remark(*inpainter.notes)
        save_run(session, run, options.identity())

    explore(
        run.memory, run.path, inpainter, estimate_depth, run.generator, options.explore, clock,
        state=run.state, prompt=options.prompt, progress=progress, after_window=after_window,
    )  # fmt: skip
    inpainter_name = inpainter.name
    del inpainter, estimate_depth  # filming needs their room
    release(device)
    film = film_memory(run.memory, run.path, partial / "video.mp4", options.fps, clock, announce)
    announce("writing the scene and the report", 0.0)
    report = write_outputs(partial, run, film, options, inpainter_name, device)
    drop_previous_snapshot(session)
    publish(options.out)
    return report


def _why_not_there(device: str) -> str:
    """The reason why Gaussians are not drawn on CUDA; nothing for devices on which they never are."""
    return f": {why_gsplat_cannot_draw()}" if device == "cuda" else ""


def source_from_words(options: FlyaroundOptions, config: Config, device: str) -> Source:
    """The first frame of a run without a photo."""
    generator = torch.Generator().manual_seed(options.seed)
    rgb = make_first_frame(
        config.first_frame, config.hardware, device, options.prompt, options.width, options.height, generator
    )
    release(device)
    return Source(options.prompt, rgb[None], notes=[f"the first frame was made by {config.first_frame.model}"])


def begin_run(
    source: Source,
    estimate_depth: DepthEstimator,
    options: FlyaroundOptions,
    device: str,
    clock: StageClock,
    started: float,
    announce: Announce,
) -> Run:
    """The memory of what was given, and the path through it."""
    generator = torch.Generator().manual_seed(options.seed)
    if source.cameras is not None:
        memory, notes = begin_posed_memory(
            source.rgb, source.cameras, estimate_depth, options.explore, clock, drawing_device(device),
            lambda share: announce("lifting the pictures", share),
        )  # fmt: skip
        way = route(options.path, options.frames, memory.views[0].camera, memory, world_of=source.cameras[0])
    else:
        with clock.stage("depth"):
            fov, notes = field_of_view(source, estimate_depth, options.fov)
        camera = identity_camera(fov, options.width, options.height)
        memory = begin_memory(source.rgb[0], camera, estimate_depth, options.explore, clock, drawing_device(device))
        way = route(options.path, options.frames, camera, memory)
    notes = [*source.notes, *notes, *way.notes]
    return Run(memory, way.cameras, generator, ExploreState(), clock, started, notes=notes)


def field_of_view(source: Source, estimate_depth: DepthEstimator, given: float | None) -> tuple[float, list[str]]:
    """Horizontal, in degrees, of a single picture: as it was given, or the photo's data say, or the depth model tells; and a
    note where it is none of the first two."""
    known = given or source.fov_x_degrees
    if known is not None:
        return known, []
    told = estimate_depth(source.rgb).fov_x_degrees if estimate_depth.estimates_fov else None
    if told is not None:
        return told, [f"the picture does not say its field of view: {estimate_depth.name} tells {told:.1f} degrees"]
    return DEFAULT_FOV_X_DEGREES, [f"the picture does not say its field of view: {DEFAULT_FOV_X_DEGREES:g} degrees are assumed"]


def write_outputs(
    folder: Path,
    run: Run,
    film: FilmFigures,
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
        photo_psnr = psnr(run.memory.film(run.memory.views[0].camera)[0][0], run.memory.first_photo)
    stages = ("load", "depth", "read", "fill", "write", "refine", "render", "encode")
    report = {
        "source": options.prompt if options.source is None else options.source.resolve().name,
        "prompt": options.prompt,
        "given_pictures": run.memory.given,
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
        "peak_gpu_bytes": peak_device_bytes(device),
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
    """The contact sheet: frames of the film, what was known of them before anything was made, and their depth."""
    index = [round(i * (len(run.path) - 1) / (SHEET_FRAMES - 1)) for i in range(min(SHEET_FRAMES, len(run.path)))]
    cameras = run.path[index]
    before, after = run.memory.as_given().read(cameras), run.memory.read(cameras)
    return contact_sheet(after.rgb, before.rgb, before.known, after.depth)
