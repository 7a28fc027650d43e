"""``splatmem models bench``: what it says of a preset on this machine, what it keeps, and who goes by it."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from rich.console import Console
from splatmem.bench import preset as benches
from splatmem.bench.catalogue import weights
from splatmem.bench.preset import Verdict, bench, film_seconds, refuse_unknown, settings_of
from splatmem.cli import main as cli
from splatmem.config import load_preset, preset_names
from splatmem.jobs.flyaround import tell_expected_time
from splatmem.models.measured import WindowSpeed, keep, measured_file, seconds_per_frame, speed_settings
from splatmem.report.durations import spelled_duration
from splatmem.report.progress import RunProgress

from pretend_device import pretended

SIZE = (512, 288)
GIB = 2**30


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SPLATMEM_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A GPU with 24 GiB that does nothing."""
    properties = SimpleNamespace(total_memory=24 * GIB)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: properties)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "Card 24")
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: True)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: None)
    monkeypatch.setattr(benches, "forget", lambda device: None)
    return properties


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    with pytest.raises(SystemExit) as stop:
        cli.main(["models", "bench", *arguments])
    printed = capsys.readouterr()
    return int(stop.value.code or 0), " ".join((printed.out + printed.err).split())


@pytest.mark.parametrize("preset", ["wan-vace-1.3b-8gb", "wan-vace-1.3b-sana-wm", "sdxl-depth", "ltx-2"])
def test_it_can_be_tried_without_a_gpu(
    preset: str, cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if preset in ("sdxl-depth", "ltx-2"):  # the last of three ways uses what the others do
        monkeypatch.setattr(benches, "settings_of", lambda config: dict([settings_of(config).popitem()]))
    status, printed = said(capsys, preset, "--tiny", "--device", "cpu", "--frames", "48")
    assert status == 0, printed
    assert "setting weights peak card step window film, at most" in printed
    rows = 3 if preset.endswith("sana-wm") else 1
    assert len(re.findall(r"GiB \d+\.\d\d s \d+ s [\d.]+ (?:s|min|h)", printed)) == rows
    assert "its seconds and peaks say nothing about the real models" in printed
    assert not cache.exists(), "nothing is kept of tiny models"


def test_without_a_gpu_the_weights_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    status, printed = said(capsys, "wan-vace-1.3b", "--device", "cpu")
    assert status == 0
    gib = (2 * (5.681 + 2.154) + 4 * 0.127) * 1e9 / GIB
    assert f"as the preset {gib:.1f} GiB --low-vram {gib:.1f} GiB" in printed
    assert "as the preset: not measured: there is no GPU here" in printed


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("embedded",), "its inpainter embedded comes with the package"),
        (("sdxl-inpaint", "--set", "inpainter.model=someone/other"), "its inpainter someone/other is not known here"),
        (("sdxl-depth", "--set", "inpainter.controlnet=someone/other"), "its controlnet someone/other is not known here"),
        (("wan-vace-1.3b-sana-wm", "--set", "inpainter.expander=a/b"), "its expander a/b is not known here"),
        (("wan-vace-1.3b", "--set", "inpainter.transformer=a.gguf"), "cannot make those of a quantised file"),
        (("wan-vace-1.3b", "--frames", "1"), "a film has 2 to 10000 frames"),
        (("wan",), "unknown preset"),
    ],
)
def test_what_cannot_be_measured(arguments: tuple[str, ...], reason: str, capsys: pytest.CaptureFixture[str]) -> None:
    status, printed = said(capsys, *arguments)
    assert status == 2
    assert reason in printed


def measuring(monkeypatch: pytest.MonkeyPatch, *peaks: float | Exception) -> list[str]:
    """What windows take is given; returns the ways that were measured."""
    asked: list[str] = []
    figures = iter(peaks)

    def windows(context: Any, way: Any, preset: str, shapes: Any, setting: str) -> None:
        asked.append(setting)
        figure = next(figures)
        if isinstance(figure, Exception):
            raise figure
        context.record({"peak of that, GiB": 5.0})
        context.record({"step, s": 2.0, "window, s (computed)": 66.0, "peak, GiB": figure})

    monkeypatch.setattr(benches, "wan_windows", windows)
    return asked


def test_what_fits_is_measured_and_kept(card: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = measuring(monkeypatch, torch.OutOfMemoryError("CUDA out of memory.\nmore"), 6.5, 4.0)
    config = load_preset("wan-vace-1.3b")
    verdicts = bench("wan-vace-1.3b", config, "cuda", SIZE, 96)
    assert asked == ["as the preset", "--low-vram", "--low-vram, float8"]
    assert [verdict.outcome for verdict in verdicts] == ["not measured: CUDA out of memory.", "measured", "measured"]
    assert [verdict.fits_gb for verdict in verdicts] == [None, 8, 8]
    assert verdicts[2].peak_gib == 5.0, "that of the text encoder counts"
    assert verdicts[1].film_seconds == pytest.approx(192 * 66 / 49), "a video model may make each frame twice"
    assert seconds_per_frame(config, SIZE, "cuda") is None
    assert seconds_per_frame(config.with_low_vram(), SIZE, "cuda") == pytest.approx(66 / 49)
    assert seconds_per_frame(config.with_low_vram(), (832, 480), "cuda") is None


def test_what_cannot_fit_is_not_tried(card: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = measuring(monkeypatch, 20.0, 20.0)
    verdicts = bench("wan-vace-14b", load_preset("wan-vace-14b"), "cuda", SIZE, 96)
    assert asked == ["--low-vram", "--low-vram, float8"]
    assert verdicts[0].outcome == "does not fit: weights of 32.3 GiB must be there at once, the GPU has 24.0"
    assert verdicts[1].fits_gb == 24


def test_a_fault_of_the_measurement_is_not_taken_for_a_full_card(
    card: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    measuring(monkeypatch, RuntimeError("shapes do not fit"))
    with pytest.raises(RuntimeError, match="shapes"):
        bench("wan-vace-1.3b", load_preset("wan-vace-1.3b"), "cuda", SIZE, 96)


def test_no_way_is_begun_without_time(card: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = measuring(monkeypatch)
    verdicts = bench("wan-vace-1.3b", load_preset("wan-vace-1.3b"), "cuda", SIZE, 96, seconds=-1.0)
    assert asked == []
    assert {verdict.outcome for verdict in verdicts} == {"not measured: no time was left"}


@pytest.mark.parametrize("preset", ["wan22-vace", "wan-vace-1.3b-8gb", "ltx-2"])
def test_on_a_pretended_device(preset: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: None)
    monkeypatch.setattr(benches, "settings_of", lambda config: {"as the preset": config})
    with pretended("cuda"):
        verdicts = bench(preset, load_preset(preset), "cuda", SIZE, 96, tiny=True)
    for verdict in verdicts:
        assert verdict.outcome == "measured"
        assert verdict.window_frames == 9
        assert (verdict.peak_gib or 0) > 0
        assert (verdict.window_seconds or 0) > 30 * (verdict.step_seconds or 0)


def test_ways_that_are_one_are_measured_once() -> None:
    assert list(settings_of(load_preset("wan-vace-1.3b"))) == ["as the preset", "--low-vram", "--low-vram, float8"]
    assert list(settings_of(load_preset("wan-vace-1.3b-8gb"))) == ["as the preset"]


def test_cards() -> None:
    assert [Verdict("", 1.0, "", peak_gib=peak).fits_gb for peak in (6.9, 7.5, 100.0)] == [8, 12, None]


def test_results_of_other_kinds_stay_and_older_ones_go(cache: Path) -> None:
    config = load_preset("sdxl-inpaint")
    for seconds in (9.0, 3.0):
        keep(WindowSpeed("cpu", speed_settings(config, SIZE), 1, seconds, None))
    fewer = replace(config, inpainter=replace(config.inpainter, steps=4))
    keep(WindowSpeed("cpu", speed_settings(fewer, SIZE), 1, 1.0, None))
    assert (seconds_per_frame(config, SIZE, "cpu"), seconds_per_frame(fewer, SIZE, "cpu")) == (3.0, 1.0)
    file = measured_file()
    assert file is not None
    assert len(file.read_text().split('"device"')) == 3
    file.write_text("[{]")
    assert seconds_per_frame(config, SIZE, "cpu") is None
    keep(WindowSpeed("cpu", speed_settings(config, SIZE), 1, 2.0, None))
    assert seconds_per_frame(config, SIZE, "cpu") == 2.0


@pytest.mark.breaks_annotations  # no whole run is needed
def test_a_run_tells_its_time_by_what_was_measured() -> None:
    config = load_preset("sdxl-inpaint")
    heard: list[str] = []
    progress = RunProgress(Console(file=io.StringIO(), quiet=True), [lambda event: heard.append(str(event.values.get("text")))])
    inpainter = lambda partial, **_: None  # noqa: E731
    run: Any = SimpleNamespace(
        scene=SimpleNamespace(models=SimpleNamespace(inpainter=inpainter)), film=range(96),
        state=SimpleNamespace(generated_frames=8),
    )  # fmt: skip
    tell_expected_time(run, config, SIZE, "cpu", None, progress)
    assert heard == [], "nothing was measured"
    keep(WindowSpeed("cpu", speed_settings(config, SIZE), 1, 6.0, None))
    tell_expected_time(run, config, SIZE, "cpu", None, progress)
    seconds = film_seconds(6.0, 96, continuous=False) - 8 * 6.0
    assert heard == ["making the unseen takes at most 4 min, by what 'splatmem models bench' measured here"]
    assert progress.expected == {"making the unseen": seconds}


def test_the_time_left_is_shown_before_there_is_a_pace() -> None:
    terminal = Console(file=io.StringIO(), force_terminal=True, width=120)
    with RunProgress(terminal) as progress:
        progress.expect("making the unseen", 3725.0)
        progress("making the unseen", 0.0)
        progress.bars.refresh()
    shown = terminal.file.getvalue()
    assert re.search(r"left: 1:02:0[0-5]", re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown))


def test_durations() -> None:
    assert [spelled_duration(seconds) for seconds in (40, 720, 12600)] == ["40 s", "12 min", "3.5 h"]


def test_all_presets_are_known_but_those_that_come_with_the_package() -> None:
    for preset in set(preset_names()) - {"embedded", "push-pull"}:
        config = load_preset(preset)
        refuse_unknown(preset, config)
        assert sum(weights(config.inpainter, torch.bfloat16).values()) > 5 * GIB


def test_what_stands_beside_an_inpainter_counts(card: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = weights(load_preset("sdxl-depth").inpainter, torch.bfloat16)
    assert sizes["controlnet"] == pytest.approx(2 * 1.251e9, rel=1e-3)
    sizes = weights(load_preset("wan-vace-1.3b-sana-wm").inpainter, torch.bfloat16)
    assert sizes["expander transformer"] == pytest.approx(2 * 2.662e9, rel=1e-3)
    # The slower of the two decides what a film takes at most, and what either needs has to be there.
    rows = [
        {"window, s (computed)": seconds, "step, s": 1.0, "peak, GiB": peak} for seconds, peak in ((98.0, 20.0), (49.0, 22.0))
    ]
    monkeypatch.setattr(benches, "wan_windows", lambda context, *_: [context.record(row) for row in rows])
    monkeypatch.setattr(benches, "settings_of", lambda config: {"as the preset": config})
    [verdict] = bench("wan-vace-1.3b-sana-wm", load_preset("wan-vace-1.3b-sana-wm"), "cuda", SIZE, 96)
    assert (verdict.window_seconds, verdict.peak_gib) == (98.0, 22.0)


def test_what_stands_beside_an_inpainter_has_a_speed_of_its_own() -> None:
    steered, plain = load_preset("sdxl-depth"), load_preset("sdxl-inpaint")
    keep(WindowSpeed("cpu", speed_settings(steered, SIZE), 1, 6.0, None))
    assert (seconds_per_frame(steered, SIZE, "cpu"), seconds_per_frame(plain, SIZE, "cpu")) == (6.0, None)
