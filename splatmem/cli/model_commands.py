"""``splatmem models``: which presets there are, what their models need, whether they are here and whole, how fast they are."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from splatmem.cli.options import ModelsBench, ModelsCheck, ModelsDownload, ModelsInfo, ModelsList
from splatmem.config import Config, load_preset, preset_names
from splatmem.io.home import expanded
from splatmem.report.durations import spelled_duration

if TYPE_CHECKING:
    from splatmem.models.needs import Need


Action = ModelsList | ModelsInfo | ModelsDownload | ModelsCheck | ModelsBench


def run(action: Action, console: Console) -> int:
    """Carries out one of the subcommands; returns the exit status.

    Raises:
        ValueError: there is no such preset or model, or it cannot be fetched, or it is not whole.
    """
    if isinstance(action, ModelsList):
        list_presets(console)
    elif isinstance(action, ModelsInfo):
        show_preset(action.preset, load_preset(action.preset, action.overrides), console)
    elif isinstance(action, ModelsDownload):
        download_models(action, console)
    elif isinstance(action, ModelsBench):
        bench_preset(action, console)
    else:
        check_models(action, console)
    return 0


def list_presets(console: Console) -> None:
    from splatmem.models.needs import needed_models

    table = Table("preset", "fills the unknown by", "GPU memory", "disk", "here", box=None, pad_edge=False)
    for name in preset_names():
        config = load_preset(name)
        needs = needed_models(config)
        here = "yes" if not any(need.problems(need.folder) for need in needs) else "no"
        disk = sum(need.facts.disk_gb for need in needs)
        table.add_row(name, escape(config.about.summary), gpu_memory(config), f"{disk:g} GB" if needs else "none", here)
    console.print(table)


def show_preset(name: str, config: Config, console: Console) -> None:
    from splatmem.models.needs import needed_models

    about = config.about
    console.print(f"{name}: {escape(about.summary)}", highlight=False, soft_wrap=True)
    console.print(f"GPU memory: {gpu_memory(config)}; tried: {about.tried}", highlight=False, soft_wrap=True)
    needs = needed_models(config)
    if not needs:
        console.print("its models come with the package", highlight=False)
    for need in needs:
        folder = need.folder
        console.print(f"\n{need.part}: {escape(need.model)}" + (f" ({need.variant})" if need.variant else ""), highlight=False)
        console.print(
            f"  licence: {need.facts.licence or 'not stated'}; of what it makes: {need.facts.outputs or 'not stated'}"
        )
        console.print(f"  disk: about {need.facts.disk_gb:g} GB", highlight=False)
        console.print(f"  here: {_state(need, folder)}", highlight=False, soft_wrap=True)


def download_models(action: ModelsDownload, console: Console) -> None:
    from splatmem.models.locate import download, looks_like_hub_id
    from splatmem.models.needs import needed_models

    if looks_like_hub_id(action.preset):
        wanted = [(action.preset, partial(download, action.preset, action.variant))]
    else:
        needs = needed_models(load_preset(action.preset, action.overrides))
        wanted = [(need.model, need.fetch) for need in needs if not expanded(need.model).exists()]
    if not wanted:
        console.print(f"{action.preset} needs nothing from the network")
    for model, fetch in wanted:
        console.print(f"{model}: fetching", highlight=False)
        try:
            folder = fetch()
        except ValueError as error:
            raise ValueError(
                f"{model} could not be fetched: {error}; without a network, copy its folder from a machine that has one and "
                "name it: --set SECTION.model=DIR"
            ) from error
        console.print(f"{model}: {folder}", highlight=False, soft_wrap=True)


def check_models(action: ModelsCheck, console: Console) -> None:
    from splatmem.models.needs import needed_models, preset_command

    needs = needed_models(load_preset(action.preset, action.overrides))
    places = [(need, need.folder) for need in needs] if action.local is None else _local_places(needs, action.local)
    wrong, fetched = [], False
    for need, folder in places:
        found = need.problems(folder)
        fetched |= bool(found) and not expanded(need.model).exists()
        wrong += [f"{need.part} {need.model}: {problem}" for problem in found]
        if not found:
            console.print(f"{need.part} {need.model}: whole, in {folder}", highlight=False, soft_wrap=True)
    if wrong:
        advice = f". To fetch what is missing: {preset_command('download', action.preset, action.overrides)}" if fetched else ""
        raise ValueError("; ".join(wrong) + advice)
    if not needs:
        console.print(f"{action.preset} needs no models beside those that come with the package", highlight=False)
    if action.local is not None:
        options = " ".join(need.option(folder) for need, folder in places if folder is not None)
        console.print(f"use them with: --preset {action.preset} {options}", highlight=False, soft_wrap=True)


def bench_preset(action: ModelsBench, console: Console) -> None:
    from splatmem.jobs.option_types import check_film

    check_film(action.frames, action.size, 24)
    config = load_preset(action.preset, action.overrides)

    from splatmem.bench.preset import bench, refuse_unknown
    from splatmem.models.hardware import choose_device
    from splatmem.models.load import quiet
    from splatmem.models.measured import device_name, measured_file

    refuse_unknown(action.preset, config)
    device = choose_device(action.device)
    width, height = action.size

    def say(text: str) -> None:
        console.print(text, highlight=False, markup=False, soft_wrap=True)

    with quiet():
        verdicts = bench(
            action.preset, config, device, action.size, action.frames, tiny=action.tiny, seconds=action.seconds, announce=say
        )
    table = Table("setting", "weights", "peak", "card", "step", "window", "film, at most", box=None, pad_edge=False)
    for verdict in verdicts:
        table.add_row(
            verdict.setting,
            f"{verdict.weights_gib:.1f} GiB",
            "" if verdict.peak_gib is None else f"{verdict.peak_gib:.1f} GiB",
            "" if verdict.fits_gb is None else f"{verdict.fits_gb} GB",
            "" if verdict.step_seconds is None else f"{verdict.step_seconds:.2f} s",
            "" if verdict.window_seconds is None else f"{verdict.window_seconds:.0f} s",
            "" if verdict.film_seconds is None else spelled_duration(verdict.film_seconds),
        )
    console.print(table)
    for verdict in verdicts:
        if verdict.window_seconds is None:
            say(f"{verdict.setting}: {verdict.outcome}")
    measured = [verdict for verdict in verdicts if verdict.window_seconds is not None]
    if measured and not action.tiny:
        say(f"a window has {measured[0].window_frames} frames of {width}x{height}, the film {action.frames}")
    if action.tiny:
        say("what was run was tiny: its seconds and peaks say nothing about the real models")
    elif measured:
        say(
            f"measured on {device_name(device)} with random weights; the depth model and the memory's own "
            f"work come on top. Runs with these settings tell their time by it: {measured_file() or 'it could not be kept'}"
        )


def gpu_memory(config: Config) -> str:
    """What a preset needs, in words."""
    about = config.about
    if about.gpu_gb is None:
        return "none"
    return f"{about.gpu_gb:g} GB" + (f" ({about.low_vram_gb:g} with --low-vram)" if about.low_vram_gb else "")


def _local_places(needs: list[Need], local: Path) -> list[tuple[Need, Path]]:
    """The folders below ``local`` that stand for a preset's models: itself, if it is a model, else one for each under the
    model's name."""
    if not local.is_dir():
        raise ValueError(f"there is no folder {local}")
    if (local / "model_index.json").is_file():
        return [(need, local) for need in needs if need.setting == "inpainter.model"]
    if (local / "config.json").is_file():
        return [(need, local) for need in needs if need.setting == "depth.model"]
    found = []
    for need in needs:
        named = [local / need.model, local / need.model.split("/")[-1]]
        found.append((need, next((place for place in named if place.exists()), named[-1])))
    return found


def _state(need: Need, folder: Path | None) -> str:
    if folder is None:
        return "no"
    wrong = need.problems(folder)
    files = [folder] if folder.is_file() else folder.rglob("*")
    size = sum(file.stat().st_size for file in files if file.is_file()) / 1e9
    return f"{'not whole: ' + '; '.join(wrong) if wrong else 'yes'}, {size:.1f} GB in {folder}"
