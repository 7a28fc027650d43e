"""What each command of the command line does, given its parsed options, and what it prints."""

from __future__ import annotations

import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape

from splatmem.evaluation.judge import JudgeOptions
from splatmem.evaluation.options import EvaluationOptions
from splatmem.jobs.options import CamerasOptions, ExportOptions, FlyaroundOptions, InspectOptions, RenderOptions
from splatmem.report.progress import RunProgress

STARTED = time.perf_counter()  # close to the start of the process: what takes long is imported later


def flyaround(options: FlyaroundOptions, progress: RunProgress) -> None:
    from splatmem.jobs.flyaround import flyaround as make
    from splatmem.jobs.output_folder import is_complete

    if options.resume and is_complete(options.out):
        progress.say(f"{options.out} is complete: there is nothing to resume")
        return
    report = make(options, progress, STARTED, preview=progress.preview)
    progress.say(_summary(report, options.out))
    progress.result(folder=str(options.out.resolve()), report=report)


def can_be_resumed(out: Path) -> bool:
    """Whether ``out`` is being made and has a snapshot to go on from."""
    from splatmem.jobs.output_folder import partial_folder
    from splatmem.memory.session import has_session
    from splatmem.scene import MEMORY_FOLDER

    return has_session(partial_folder(out.resolve()) / MEMORY_FOLDER)


def _summary(report: dict[str, Any], out: Path) -> str:
    kept, worst = report["retention_psnr"]["mean"], report["retention_worst_patch_psnr"]["min"]
    return "\n".join(
        [
            f"{report['frames']} frames, {report['generated_frames']} of them generated, in "
            f"{report['seconds']['total']:.0f} s; {report['gaussians']:,} Gaussians",
            f"photo kept at {report['photo_psnr']:.1f} dB (worst patch {report['photo_worst_patch_psnr']:.1f})"
            + (f", what was known kept at {kept:.1f} dB (worst patch {worst:.1f})" if kept is not None else "")
            + f"; {100 * report['unknown_fraction']:.2f} % of the film is unknown",
            *(f"note: {note}" for note in report["notes"]),
            f"see {out / 'report.html'}, {out / 'video.mp4'} and {out / 'scene.ply'}",
        ]
    )


def render(options: RenderOptions, progress: RunProgress) -> None:
    from splatmem.jobs.render import render as make

    made = make(options, progress)
    for note in made.notes:
        progress.say(f"note: {note}")
    unknown = 100 * made.film.unknown_fraction
    if made.generated_frames:
        progress.say(f"{made.generated_frames} frames were made first")
    progress.say(f"{made.frames} frames in {made.seconds:.1f} s, {unknown:.2f} % unknown: {options.out}")
    progress.result(file=str(options.out.resolve()), frames=made.frames, unknown_fraction=made.film.unknown_fraction)


def export(options: ExportOptions, progress: RunProgress) -> None:
    from splatmem.jobs.export import export as write

    written = write(options, progress)
    for note in written.notes:
        progress.say(f"note: {note}")
    for line in written.lines:
        progress.say(line)
    files = [str(path.resolve()) for path in (options.file, options.dataset) if path is not None]
    progress.result(files=files, gaussians=written.gaussians)


def cameras(options: CamerasOptions, progress: RunProgress) -> None:
    from splatmem.io.cameras.kinds import KINDS
    from splatmem.jobs.export import export_cameras

    count, kind = export_cameras(options)
    progress.say(f"{count} cameras as {KINDS[kind]}: {options.file}")
    progress.result(file=str(options.file.resolve()), cameras=count, format=kind)


def inspect(options: InspectOptions, progress: RunProgress) -> None:
    from splatmem.io.splats.endings import is_splat_file
    from splatmem.io.splats.files import read_splats
    from splatmem.scene import Scene
    from splatmem.viewer.colours import by_depth, coloured, facing_colours
    from splatmem.viewer.inspect import show_scene

    lines: list[str] = []
    if is_splat_file(options.scene) and options.scene.is_file():
        gaussians, notes = read_splats(options.scene)
        cameras = []
        for note in notes:
            progress.say(f"note: {note}")
        if options.colour == "depth":
            gaussians, lines = by_depth(gaussians, None)
        elif options.colour == "normals":
            gaussians, lines = facing_colours(gaussians)
    else:
        scene = Scene.open(options.scene, device="cpu")
        gaussians, cameras = scene.memory.gaussians, [view.camera for view in scene.memory.views]
        if options.colour != "photo":
            gaussians, lines = coloured(scene, options.colour)
    for line in lines:
        progress.say(line)
    show_scene(gaussians, cameras, options.screenshot)
    if options.screenshot is not None:
        progress.say(f"{len(gaussians):,} Gaussians, {len(cameras)} cameras: {options.screenshot}")


def evaluate(options: EvaluationOptions, progress: RunProgress) -> None:
    from splatmem.evaluation.run import PAGE
    from splatmem.evaluation.run import evaluate as run
    from splatmem.evaluation.table import tables

    report = run(options, progress)
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
    progress.result(folder=str(options.out.resolve()))


def judge(options: JudgeOptions, progress: RunProgress) -> None:
    from splatmem.evaluation.judge import judge as run

    found = run(options, progress)
    for film in found:
        said = f"{film['film']}: {film['registered']} of {film['frames']} frames found their camera"
        if film["registered"]:
            poses = film["poses"]
            far = "" if poses["translation_percent"] is None else f", {poses['translation_percent']:.2f} % of the path"
            said += (
                f"; {poses['rotation_degrees']:.3f} degrees off{far}, ATE {poses['ate']:.4f}; {film['points']:,} points, "
                f"reprojection error {film['reprojection_error']:.2f} pixels"
            )
        progress.say(said)
    progress.result(films=found)


def doctor(console: Console, progress: RunProgress) -> int:
    """Says what works on this machine; returns 1 if something is missing that every run needs, else 0."""
    from splatmem.cli.doctor import examine

    findings = examine()
    for finding in findings:
        mark = "[green]yes[/]" if finding.usable else "[red]NO [/]" if finding.needed else "[yellow]no [/]"
        console.print(f"{mark}  {escape(f'{finding.name}: {finding.state}')}", highlight=False, soft_wrap=True)
        for line in filter(None, (finding.lack, finding.advice)):
            console.print(f"     {escape(line)}", style="dim", highlight=False, soft_wrap=True)
    missing = [finding.name for finding in findings if finding.needed and not finding.usable]
    if missing:
        console.print(f"\nMissing, and needed by every run: {', '.join(missing)}", highlight=False, soft_wrap=True)
    else:
        console.print("\nAll that a run needs is here.", highlight=False)
    progress.result(usable=not missing, findings=[asdict(finding) for finding in findings])
    return int(bool(missing))
