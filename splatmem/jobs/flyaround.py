"""The main job: a photo, posed pictures or words, and a path in; a film, a scene and a session out.

Everything is made in a folder ``<out>.partial`` beside the one asked for, which takes its place when the last file is
written. An interrupted run leaves the partial folder; ``resume`` goes on from its last finished window.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from splatmem.config import Config
from splatmem.depth import DepthEstimator
from splatmem.explore.loop import ExploreSettings, ExploreState
from splatmem.explore.motion import shown_moving
from splatmem.explore.planner import Planner
from splatmem.explore.seeds import usable_seed
from splatmem.inpaint import VideoInpainter
from splatmem.inpaint.protocol import Traits
from splatmem.io.home import expanded
from splatmem.io.ownership import locked
from splatmem.io.path_files import load_path
from splatmem.io.photo import DEFAULT_FOV_X_DEGREES
from splatmem.io.source import Source, read_source
from splatmem.jobs.motion import read_motion, write_motion
from splatmem.jobs.options import FlyaroundOptions
from splatmem.jobs.output_folder import REPORT, claim, discard, is_complete, partial_folder, publish
from splatmem.jobs.outputs import SPLATS, frames_of_sheet, write_moving, write_outputs, write_scene
from splatmem.jobs.preview import Preview
from splatmem.jobs.run_state import Run, resume_run, save_run
from splatmem.memory.film import film_memory
from splatmem.memory.session import INDEX, SessionStore, has_session
from splatmem.models.hardware import choose_device, explained_out_of_memory, watch_peak
from splatmem.models.measured import seconds_per_frame
from splatmem.models.needs import needed_models, require_models
from splatmem.scene import MEMORY_FOLDER, Announce, Scene, silent
from splatmem.scene.announce import MAKING_THE_UNSEEN, Expecting
from splatmem.timing import StageClock
from splatmem.trajectory.names import PRESET_NAMES

PATH_FIELDS = ("source", "out", "poses")
PROMISED = (
    "video.mp4", "contact_sheet.png", *SPLATS, "cameras.json", "report.html", REPORT,
    f"{MEMORY_FOLDER}/{INDEX}",
)  # fmt: skip


def flyaround(
    options: FlyaroundOptions | None = None,
    announce: Announce = silent,
    started: float | None = None,
    *,
    preview: Callable[[Path], None] | None = None,
    photo: str | Path | None = None,
    inpainter: VideoInpainter | None = None,
    depth: DepthEstimator | None = None,
    planner: Planner | None = None,
    settings: ExploreSettings | None = None,
    **fields: Any,
) -> dict[str, Any]:
    """Makes a film, a scene and a report in a folder, and returns the report; with ``resume``, that of a finished run, which is
    not touched.

    ``flyaround(photo="photo.jpg", out="out/demo", path="turn")`` is the same as giving ``FlyaroundOptions``.

    Args:
        options: what to make; or give its fields by name.
        photo: another name for the field ``source``.
        **fields: of ``FlyaroundOptions``.
        announce: told of the progress.
        started: when the user's waiting began, by ``time.perf_counter``; now, if not given.
        preview: told once where a first look at the film lies, a picture that is written anew until the film is there.
        inpainter, depth, planner: to be used instead of the preset's.
        settings: how the unseen is made.

    Raises:
        ValueError: options or input that cannot be used; nothing is left behind.
        OSError: files cannot be read or written.
    """
    started = time.perf_counter() if started is None else started
    if options is None:
        fields |= {} if photo is None else {"source": photo}
        paths: dict[str, Any] = {name: Path(fields[name]) for name in PATH_FIELDS if fields.get(name) is not None}
        options = FlyaroundOptions(**{**fields, **paths})
    elif photo is not None or fields:
        raise ValueError(f"give either options or their fields, got options and {', '.join(fields) or 'photo'}")
    options.check()
    if options.resume and is_complete(options.out):
        return json.loads((options.out / REPORT).read_text(encoding="utf-8"))
    require_readable_path(options)
    device = choose_device(options.device)
    watch_peak(device)
    config = options.config()
    if options.keep_motion:
        settings = replace(settings or ExploreSettings(), keep_motion=True)
    parts: dict[str, Any] = {"inpainter": inpainter, "depth": depth, "planner": planner, "settings": settings}
    size = options.size if device == "cpu" and not needed_models(config) else None
    with locked(options.out), explained_out_of_memory(device, config.hardware, size):
        return _make(options, config, device, parts, announce, started, preview)


def _make(
    options: FlyaroundOptions,
    config: Config,
    device: str,
    parts: dict[str, Any],
    announce: Announce,
    started: float,
    previewed: Callable[[Path], None] | None,
) -> dict[str, Any]:
    resumed = options.resume and has_session(partial_folder(options.out.resolve()) / MEMORY_FOLDER)
    source = None
    if options.source is not None and not resumed:
        source = read_source(options.source, options.poses, *options.size, options.fov)
    if parts["inpainter"] is None or parts["depth"] is None:
        require_models(config, options.preset, options.overrides, first_frame=source is None and not resumed)
    clock = StageClock({"load": time.perf_counter() - started})
    partial = claim(options.out, resume=options.resume, overwrite=options.overwrite)
    session, fingerprint = SessionStore(partial / MEMORY_FOLDER), options.fingerprint(config)
    try:
        # A run that was killed before its first snapshot begins anew: that gives the same bytes.
        run = resume_run(session, fingerprint, config, device, parts, clock, started) if resumed else None
        if run is None:
            run = begin_run(source, options, device, parts, clock, started, announce)
            if source is not None:
                write_moving(partial, source, run.scene.moving)
            save_run(session, run, fingerprint)
        else:
            announce("loading the models", 0.0)
            with clock.stage("load"):
                _ = run.scene.models.inpainter, run.scene.models.depth
    except BaseException:
        if not has_session(session.folder):
            discard(options.out)
        raise

    preview = Preview(partial, previewed)
    preview.show(run)

    def after_window(state: ExploreState) -> None:
        run.scene.remark(*state.notes)
        write_motion(partial, state)
        save_run(session, run, fingerprint)
        if not state.finished:  # else nothing was added, and the film comes next
            preview.show(run)

    scene = run.scene
    if parts["inpainter"] is None:
        tell_expected_time(run, config, options.size, device, parts["settings"], announce)
    scene.explore(
        run.film, state=run.state, generator=run.generator, announce=announce,
        progress=run.coverage.append, after_window=after_window,
    )  # fmt: skip
    inpainter_name = Traits.of(scene.models.inpainter).name
    scene.models.release()  # filming needs their memory
    moving = shown_moving(len(run.film), run.state.windows, read_motion(partial))
    with ThreadPoolExecutor(max_workers=1) as writer:
        splats = writer.submit(write_scene, partial, scene.memory, run.film.cameras, options.fps)
        film = film_memory(
            scene.memory, run.film.cameras, partial / "video.mp4", options.fps, clock, announce, moving, frames_of_sheet(run)
        )
        announce("writing the scene and the report", 0.0)
        report = write_outputs(partial, run, film, options, inpainter_name, device, splats)
    session.finish()
    preview.remove()
    publish(options.out, PROMISED)
    return report


def tell_expected_time(
    run: Run, config: Config, size: tuple[int, int], device: str, settings: ExploreSettings | None, announce: Announce
) -> None:
    """Says how long making the unseen takes at most, where windows of this kind were measured on this device before."""
    seconds = seconds_per_frame(config, size, device) if isinstance(announce, Expecting) else None
    if seconds is not None and isinstance(announce, Expecting):
        continuous = Traits.of(run.scene.models.inpainter).continuous
        left = (settings or ExploreSettings()).generated_limit(len(run.film), continuous) - run.state.generated_frames
        announce.expect(MAKING_THE_UNSEEN, max(0, left) * seconds)


def begin_run(
    source: Source | None,
    options: FlyaroundOptions,
    device: str,
    parts: dict[str, Any],
    clock: StageClock,
    started: float,
    announce: Announce,
) -> Run:
    """The scene of what was given, and the path through it."""
    scene = Scene.begin(
        source or options.size, options.preset, options.seed, fov=options.fov, prompt=options.prompt,
        overrides=options.overrides, low_vram=options.low_vram, device=device, clock=clock, announce=announce, **parts,
    )  # fmt: skip
    film = scene.trajectory(options.path, options.frames)
    scene.remark(*film.notes)
    generator = torch.Generator().manual_seed(usable_seed(options.seed))
    return Run(scene, film, generator, ExploreState(), started)


def require_readable_path(options: FlyaroundOptions) -> None:
    """Raises ``ValueError`` for a path file that cannot be read, before any work."""
    if options.path not in PRESET_NAMES and not options.resume:  # an interrupted run knows its cameras
        width, height = options.size
        load_path(
            expanded(options.path), width=width, height=height, fov_x_degrees=DEFAULT_FOV_X_DEGREES, frames=options.frames
        )
