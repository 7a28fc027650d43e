"""What each command of the command line does, given its parsed options."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

if TYPE_CHECKING:
    from splatmem.cli_options import Evaluate, Export, Flyaround, Inspect, Render
    from splatmem.memory import SpatialMemory
    from splatmem.progress import RunProgress

STARTED = time.perf_counter()  # close to the start of the process: what takes long is imported later


def parse_size(text: str) -> tuple[int, int]:
    """``512x288`` to (512, 288)."""
    match = re.fullmatch(r"(\d+)[x×](\d+)", text.strip())
    if not match:
        raise ValueError(f"a size is WIDTHxHEIGHT in pixels, such as 512x288, got {text!r}")
    return int(match[1]), int(match[2])


def parse_fov(text: str) -> float | None:
    """Degrees, or None for ``auto``."""
    if text == "auto":
        return None
    try:
        degrees = float(text)
    except ValueError:
        degrees = float("nan")
    if not 10 <= degrees <= 150:
        raise ValueError(f"--fov is auto or 10 to 150 degrees, got {text!r}")
    return degrees


def flyaround(options: Flyaround, progress: RunProgress) -> None:
    from splatmem.flyaround import FlyaroundOptions
    from splatmem.flyaround import flyaround as make

    hide_bars_of_libraries()
    width, height = parse_size(options.size)
    request = FlyaroundOptions(
        source=options.source, out=options.out, prompt=options.prompt, poses=options.poses, path=options.path,
        frames=options.frames, width=width, height=height, fps=options.fps, fov=parse_fov(options.fov), seed=options.seed,
        preset=options.preset, overrides=options.overrides, device=options.device, low_vram=options.low_vram,
        resume=options.resume, overwrite=options.overwrite,
    )  # fmt: skip
    report = make(request, progress, STARTED)
    progress.say(_summary(report, options.out))


def can_be_resumed(out: Path) -> bool:
    """Whether ``out`` is being made and has a snapshot to go on from."""
    from splatmem.flyaround import MEMORY_FOLDER
    from splatmem.output_folder import partial_folder
    from splatmem.session import has_session

    return has_session(partial_folder(out.resolve()) / MEMORY_FOLDER)


def hide_bars_of_libraries() -> None:
    """They would write into this package's own."""
    import diffusers.utils.logging
    import transformers.utils.logging

    diffusers.utils.logging.disable_progress_bar()
    transformers.utils.logging.disable_progress_bar()


def _summary(report: dict[str, Any], out: Path) -> str:
    kept = report["retention_psnr"]["mean"]
    return "\n".join(
        [
            f"{report['frames']} frames, {report['generated_frames']} of them generated, in "
            f"{report['seconds']['total']:.0f} s; {report['gaussians']:,} Gaussians",
            f"photo kept at {report['photo_psnr']:.1f} dB"
            + (f", what was known kept at {kept:.1f} dB" if kept is not None else "")
            + f"; {100 * report['unknown_fraction']:.2f} % of the film is unknown",
            *(f"note: {note}" for note in report["notes"]),
            f"see {out / 'report.html'}, {out / 'video.mp4'} and {out / 'scene.ply'}",
        ]
    )


def open_memory(scene: Path) -> SpatialMemory:
    """The memory of a folder that flyaround made."""
    from splatmem.session import load_session

    folder = scene / "memory" if (scene / "memory").is_dir() else scene
    if not folder.is_dir():
        raise ValueError(f"{scene} is not a folder made by 'splatmem flyaround'")
    return load_session(folder)[0]


def check_target(file: Path, suffix: str, overwrite: bool) -> None:
    """Raises ``ValueError`` if ``file`` should not be written."""
    if file.suffix.lower() != suffix:
        raise ValueError(f"{file}: expected a name that ends in {suffix}")
    if file.exists() and not overwrite:
        raise ValueError(f"{file} exists: choose another name, or give --overwrite")
    if not file.absolute().parent.is_dir():
        raise ValueError(f"{file}: the folder {file.absolute().parent} does not exist")


def render(options: Render, progress: RunProgress) -> None:
    from splatmem.film import check_film, film_memory
    from splatmem.route import route
    from splatmem.timing import StageClock

    check_target(options.out, ".mp4", options.overwrite)
    memory = open_memory(options.scene)
    camera = memory.views[0].camera
    if options.size != "scene":
        camera = camera.resized(*parse_size(options.size))
    check_film(options.frames, camera.width, camera.height, options.fps)
    way = route(options.path, options.frames, camera, memory)
    clock = StageClock()
    film = film_memory(memory, way.cameras, options.out, options.fps, clock, progress)
    for note in way.notes:
        progress.say(f"note: {note}")
    seconds = clock.seconds["render"] + clock.seconds["encode"]
    progress.say(f"{len(way.cameras)} frames in {seconds:.1f} s, {100 * film.unknown_fraction:.2f} % unknown: {options.out}")


def export(options: Export, progress: RunProgress) -> None:
    from splatmem.io.ply import save_ply

    check_target(options.file, ".ply", options.overwrite)
    gaussians = open_memory(options.scene).gaussians
    save_ply(gaussians, options.file, compact=options.compact)
    size = options.file.stat().st_size / 2**20
    progress.say(f"{len(gaussians):,} Gaussians, {size:.0f} MiB: {options.file}")


def inspect(options: Inspect, progress: RunProgress) -> None:
    from splatmem.io.ply import read_ply
    from splatmem.viewer.inspect import show_scene

    if options.screenshot is not None:
        check_target(options.screenshot, ".png", overwrite=True)
    if options.scene.suffix.lower() == ".ply":
        gaussians, notes = read_ply(options.scene)
        cameras = []
        for note in notes:
            progress.say(f"note: {note}")
    else:
        memory = open_memory(options.scene)
        gaussians, cameras = memory.gaussians, [view.camera for view in memory.views]
    show_scene(gaussians, cameras, options.screenshot)
    if options.screenshot is not None:
        progress.say(f"{len(gaussians):,} Gaussians, {len(cameras)} cameras: {options.screenshot}")


def evaluate(options: Evaluate, progress: RunProgress) -> None:
    from splatmem.evaluate.methods import parse_methods
    from splatmem.evaluate.run import PAGE, EvaluationOptions
    from splatmem.evaluate.run import evaluate as run
    from splatmem.evaluate.table import tables

    request = EvaluationOptions(
        scenes=options.scenes, out=options.out, preset=options.preset, overrides=options.overrides,
        methods=parse_methods(options.methods), frames=options.frames,
        size=None if options.size is None else parse_size(options.size),
        seed=options.seed, device=options.device, overwrite=options.overwrite,
    )  # fmt: skip
    report = run(request, progress)
    summaries = {name: (group, len(group["scenes"])) for name, group in report["groups"].items()}
    summaries["all scenes"] = (report, len(report["scenes"]))
    for name, (summary, count) in summaries.items():
        for table in tables(summary, report["reference"], f"{name}, mean of {count}"):
            progress.console.print(table)
    progress.console.print(
        f"bold: best; + and -: {report['reference']} is better or worse than that method, and the interval of the paired "
        f"differences excludes zero (from six scenes on)\nsee {options.out / PAGE}",
        highlight=False,
    )


def doctor(console: Console) -> int:
    from splatmem.doctor import examine

    for finding in examine():
        mark = "[green]yes[/]" if finding.usable else "[yellow]no [/]"
        console.print(f"{mark}  {finding.name}: {finding.state}", highlight=False)
        if finding.advice:
            console.print(f"     {finding.advice}", style="dim", highlight=False)
    return 0
