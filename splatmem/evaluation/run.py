"""The evaluation: films of scenes by several methods from their first frame alone, measured against the truth."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from splatmem.config import load_preset
from splatmem.depth import DepthEstimator, load_depth_estimator
from splatmem.depth.protocol import estimator_name
from splatmem.evaluation.colmap import colmap_figures, imported
from splatmem.evaluation.features import PatchFeatures
from splatmem.evaluation.figures import Figures
from splatmem.evaluation.film import Film, ScaledToTruth, TrueDepth, begin
from splatmem.evaluation.inputs import each_scene, open_scene, scene_name
from splatmem.evaluation.lpips import Lpips
from splatmem.evaluation.measure import Yardstick, at_size, measure
from splatmem.evaluation.methods import MakeFilm, load_methods
from splatmem.evaluation.names import OURS
from splatmem.evaluation.options import KIND, RESULT, EvaluationOptions
from splatmem.evaluation.photo import photo_figures
from splatmem.evaluation.report import report_page
from splatmem.evaluation.sheet import comparison_sheet
from splatmem.evaluation.statistics import Interval, differences, intervals, means
from splatmem.explore.loop import ExploreSettings
from splatmem.geometry.sampling import evenly_spread
from splatmem.inpaint import VideoInpainter
from splatmem.io.atomic import staged_directory
from splatmem.models.hardware import choose_device
from splatmem.pixels import to_uint8
from splatmem.report.figures import versions, write_json, write_text
from splatmem.report.sheet import UNKNOWN_COLOUR
from splatmem.scene import Announce, silent

PAGE, SHEETS = "report.html", "sheets"
SHEET_FRAMES = 7


@dataclass(frozen=True)
class SceneResult:
    """What was found on one scene.

    Attributes:
        facts: the scene's own: frames, sizes, how much of it is kept and made.
        figures: by method.
        stages: seconds by stage, by method.
        pictures: by row of the sheet: the truth, what the first frame saw of it, and the methods, ``[f, h, w, 3]``.
    """

    facts: dict[str, Any]
    figures: dict[str, Figures]
    stages: dict[str, dict[str, float]]
    pictures: dict[str, Float[Tensor, "f h w 3"]]


def evaluate(
    options: EvaluationOptions | Sequence[str | Path],
    announce: Announce = silent,
    *,
    methods: Mapping[str, VideoInpainter] | None = None,
    settings: ExploreSettings | None = None,
    **fields: Any,
) -> dict[str, Any]:
    """Films scenes by several methods, writes a folder about it, and returns what its evaluate.json holds.

    ``evaluate(scenes, compare=("ours",), methods={"mine": my_inpainter})`` compares one's own inpainter with the product.

    Args:
        options: what to compare, and on what; or the scenes alone.
        announce: told of the progress: the stage, such as a scene's name, and the share of it that is done, 0..1.
        methods: a user's own inpainters by name, compared beside the others in the same loop.
        settings: how the unseen is made.
        **fields: of ``EvaluationOptions``, where scenes alone are given: ``out`` (out/evaluation by default), ``frames`` and so
            on; ``compare`` names the methods beside one's own, all by default.

    Raises:
        ValueError: options, scenes or models that cannot be used; nothing is left behind.
        OSError: files cannot be read or written.
    """
    if not isinstance(options, EvaluationOptions):
        if "compare" in fields:
            fields["methods"] = tuple(fields.pop("compare"))
        out = Path(fields.pop("out", "out/evaluation"))
        options = EvaluationOptions(scenes=tuple(Path(scene) for scene in options), out=out, **fields)
    options.check()
    config = load_preset(options.preset, options.overrides)
    device = choose_device(options.device)
    if options.colmap:
        imported()  # or say now that it is missing
    announce("reading the scenes", 0.0)
    describe, lpips = PatchFeatures.pretrained(), Lpips.pretrained() if Lpips.installed() else None
    folders = _named(each_scene(options.scenes))
    for folder in folders.values():
        open_scene(folder, frames=options.frames, size=options.size)  # all of them before the first long run
    announce("loading the models", 0.0)
    loaded = load_methods(options.methods, config, device, methods)
    settings = settings or ExploreSettings()
    estimate_depth = load_depth_estimator(config.depth.model, device=device, hardware=config.hardware)
    with staged_directory(options.out, KIND, overwrite=options.overwrite) as staged:
        results: dict[str, SceneResult] = {}
        for number, (name, folder) in enumerate(folders.items()):
            scene = open_scene(folder, frames=options.frames, size=options.size)

            def progress(share: float, stage: str = f"{name} ({number + 1} of {len(folders)})") -> None:
                announce(stage, share)

            progress(0.0)
            yardstick = Yardstick.of(scene, describe, lpips)
            results[name] = evaluate_scene(
                yardstick, loaded, estimate_depth, options.seed, settings, progress, colmap=options.colmap
            )
        announce("writing the report", 0.0)
        report = _report(results, folders, list(loaded), options, estimator_name(estimate_depth))
        sheets = {name: comparison_sheet(result.pictures) for name, result in results.items()}
        (staged / SHEETS).mkdir()
        for name, sheet in sheets.items():
            sheet.save(staged / SHEETS / f"{name.replace('/', '_')}.jpg", quality=90)
        write_text(staged / PAGE, report_page(report, sheets))
        write_json(report, staged / RESULT)
    return report


def evaluate_scene(
    yardstick: Yardstick,
    methods: dict[str, tuple[MakeFilm, VideoInpainter | None]],
    estimate_depth: DepthEstimator,
    seed: int,
    settings: ExploreSettings,
    progress: Callable[[float], None],
    *,
    colmap: bool = False,
) -> SceneResult:
    """All methods on one scene, from the same lifted photo and with the same seed.

    Where the truth has depth, each method makes its film twice: with the photo's depth as the depth model sees it, which gives
    all figures, and with its true depth, which gives those of what is kept once more.
    """
    scene = yardstick.scene
    begun = begin(scene, ScaledToTruth(estimate_depth, scene), settings)
    true_begun = begin(scene, TrueDepth(estimate_depth, scene), settings) if scene.photo_measured.any() else None
    given = photo_figures(begun.memory, None if true_begun is None else true_begun.memory, scene)
    chosen = evenly_spread(len(scene.path), SHEET_FRAMES)
    truth, made = scene.truth.rgb[chosen], yardstick.first_view.made[chosen]
    pictures = {"truth": truth, "first frame saw": torch.where(made[..., None], torch.tensor(UNKNOWN_COLOUR), truth)}
    figures, stages = {}, {}
    for done, (name, (make, inpainter)) in enumerate(methods.items()):
        progress(done / len(methods))
        films: list[Film | None] = [
            None if start is None else make(start, scene.path, inpainter, estimate_depth, seed, settings)
            for start in (begun, true_begun)
        ]
        film, true_depth_film = films
        assert film is not None
        figures[name] = measure(film, true_depth_film, yardstick) | given
        if colmap:
            figures[name] |= colmap_figures(to_uint8(film.rgb), scene.path)
        stages[name] = film.seconds
        pictures[name] = at_size(film, scene.truth)[0][chosen]
    facts = {
        "frames": len(scene.path),
        "size": [scene.path.width, scene.path.height],
        "compared_size": [scene.truth.cameras.width, scene.truth.cameras.height],
        "kept_share": float(yardstick.first_view.kept[1:].float().mean()),
        "uncovered_share": float(yardstick.first_view.uncovered[1:].float().mean()),
        "made_share": float(yardstick.first_view.made[1:].float().mean()),
    }
    return SceneResult(facts, figures, stages, pictures)


def _named(folders: Sequence[Path]) -> dict[str, Path]:
    """Scenes by folder name; with the parent's where names repeat."""
    names = [scene_name(folder) for folder in folders]
    named = {}
    for name, folder in zip(names, folders, strict=True):
        key = name if names.count(name) == 1 else f"{folder.resolve().parent.name}/{name}"
        if key in named:
            raise ValueError(f"the scene {folder} is given twice, or two scenes are called {key}")
        named[key] = folder
    return named


def _report(
    results: dict[str, SceneResult], folders: dict[str, Path], methods: list[str], options: EvaluationOptions, depth_name: str
) -> dict[str, Any]:
    """The content of evaluate.json."""
    reference = OURS if OURS in methods else methods[0]
    groups: dict[str, list[str]] = {}
    for name, folder in folders.items():
        groups.setdefault(folder.resolve().parent.name, []).append(name)

    def summary(names: list[str]) -> dict[str, Any]:
        scenes = [results[name].figures for name in names]
        return {
            "methods": means(scenes, methods),
            "intervals": _plain(intervals(scenes, methods)),
            "differences": _plain(differences(scenes, methods, reference)),
        }

    return {
        "preset": options.preset,
        "overrides": list(options.overrides),
        "depth_model": depth_name,
        "seed": options.seed,
        "reference": reference,
        "versions": versions(),
        **summary(list(results)),
        "groups": {group: {"scenes": names, **summary(names)} for group, names in groups.items()} if len(groups) > 1 else {},
        "scenes": {
            name: {**result.facts, "methods": result.figures, "seconds_by_stage": result.stages}
            for name, result in results.items()
        },
    }


def _plain(table: dict[str, dict[str, Interval]]) -> dict[str, dict[str, dict[str, Any]]]:
    return {method: {name: asdict(interval) for name, interval in row.items()} for method, row in table.items()}
