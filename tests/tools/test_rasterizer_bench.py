"""Figures of the benchmark that several runs gather, and the page made of them."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))

from rasterizer_bench import report
from rasterizer_bench.results import Case, Results, Times, load
from rasterizer_bench.roofs import STAGES, Roofs, Work

ROOFS = Roofs(2, 4e11, 1e10, 2e10, 2e10)
SETS = ["avx512", "avx2"]


def case(milliseconds: float, instruction_set: str = "avx512", contender: str = "splatmem") -> Case:
    times = Times(milliseconds / 1e3, 2 * milliseconds / 1e3, 7)
    stages = dict.fromkeys(STAGES, 1e-3)
    return Case("lifted 1k", "64x32", 2, instruction_set, {contender: times}, {contender: times}, stages, Work(9, 8, 7, 6, 5))


def test_fastest_and_median_are_averaged_over_the_views() -> None:
    assert Times.of([[3.0, 1.0, 2.0], [7.0, 6.0, 5.0]]) == Times(3.0, 4.0, 3)


def test_runs_gather_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "speed.json"
    first = load(file, "a machine")
    first.raise_roofs(ROOFS)
    first.add(case(5))
    first.add(case(9, "avx2"))
    first.save(file)

    second = load(file, "a machine")
    assert second == first
    second.raise_roofs(Roofs(2, 3e11, 2e10, 1e10, 1e10))
    second.add(case(4))
    second.add(Case("lifted 1k", "64x32", 2, "avx512", {"Open3D": Times(1, 1, 3)}, film=0.25))
    assert second.roofs[2] == Roofs(2, 4e11, 2e10, 2e10, 2e10)
    assert len(second.cases) == 2
    newest = second.of("avx512")[0]
    assert newest.forward == case(4).forward | {"Open3D": Times(1, 1, 3)}
    assert newest.both == case(4).both
    assert (newest.stages, newest.film) == (case(4).stages, 0.25)
    assert second.of("avx2") == [case(9, "avx2")]


def test_figures_of_two_machines_are_not_mixed(tmp_path: Path) -> None:
    Results("a machine").save(tmp_path / "speed.json")
    with pytest.raises(ValueError, match="a machine"):
        load(tmp_path / "speed.json", "another")


def test_the_page_shows_what_was_measured_and_no_more(tmp_path: Path) -> None:
    results = Results("a machine", {2: ROOFS})
    for one in (case(4), case(8, contender="prototype"), case(9, "avx2")):
        results.add(one)
    text = report.text(results, SETS, frames=10)
    assert "| lifted 1k | 64x32 | 2 | 4.0, 4.0 (8.0, 8.0) | 8.0, 8.0 (16.0, 16.0) | 0.50, 0.50 |" in text
    assert "| lifted 1k | 64x32 | 2 | 9.0, 9.0 (18.0, 18.0) |" in text
    assert "film" not in text
    assert "Open3D" not in text
    results.add(Case("lifted 1k", "64x32", 2, "avx512", {"Open3D": Times(0.8, 0.8, 3)}, film=0.25))
    text = report.text(results, SETS, frames=10)
    assert "| lifted 1k | 64x32 | 2.50 | 250.0 |" in text
    assert "| lifted 1k | 64x32 | 800.0 (100x) | - | - |" in text

    page = tmp_path / "page.md"
    page.write_text(f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n")
    report.write_into(page, text)
    assert page.read_text() == f"before\n{report.BEGIN}\n{text}\n{report.END}\nafter\n"
    page.write_text("no marks")
    with pytest.raises(ValueError, match="benchmark: begin"):
        report.write_into(page, text)
