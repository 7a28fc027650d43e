"""The table of presets says what the presets say."""

from __future__ import annotations

from pathlib import Path

import pytest
from splatmem.config import load_preset, preset_names
from splatmem.models.needs import needed_models

TABLE = Path(__file__).parents[2] / "docs" / "models.md"


@pytest.mark.parametrize("name", preset_names())
def test_each_preset_has_its_row(name: str) -> None:
    (row,) = [line for line in TABLE.read_text(encoding="utf-8").splitlines() if line.startswith(f"| `{name}` |")]
    _, _, summary, gpu, disk, licence, outputs, run_here, _ = (cell.strip() for cell in row.split("|"))
    config = load_preset(name)
    about = config.about
    assert summary == about.summary
    assert gpu == ("none" if about.gpu_gb is None else f"{about.gpu_gb:g} GB ({about.low_vram_gb:g})")
    needs = needed_models(config)
    assert disk == (" + ".join(f"{need.facts.disk_gb:g}" for need in needs) + " GB" if needs else "none")
    if needs:
        assert (licence, outputs) == (about.inpainter.licence, about.inpainter.outputs)
        assert about.tried.startswith("never with these weights")
    assert run_here == ("**no**" if needs else "all")


def test_licences_are_stated_for_every_model() -> None:
    for name in preset_names():
        for need in needed_models(load_preset(name)):
            assert need.facts.licence, (name, need.part)
            assert need.facts.outputs, (name, need.part)
            assert need.facts.disk_gb > 0, (name, need.part)
