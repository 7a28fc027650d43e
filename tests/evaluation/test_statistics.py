import numpy as np
import pytest
from splatmem.evaluation.figures import FIGURES
from splatmem.evaluation.statistics import bootstrap, differences, means


def figures(**values):
    return {figure.name: None for figure in FIGURES} | values


def test_equal_values_leave_no_doubt():
    interval = bootstrap([2.0, 2.0, 2.0])
    assert (interval.mean, interval.low, interval.high, interval.scenes) == (2.0, 2.0, 2.0, 3)


def test_the_interval_is_that_of_the_mean():
    values = np.random.default_rng(0).normal(5.0, 2.0, 100)
    interval = bootstrap(values.tolist())
    standard_error = values.std() / 10
    assert interval.mean == pytest.approx(values.mean())
    assert interval.low == pytest.approx(values.mean() - 1.96 * standard_error, abs=0.1)
    assert interval.high == pytest.approx(values.mean() + 1.96 * standard_error, abs=0.1)


def test_pairing_takes_out_how_hard_a_scene_is():
    hard = np.random.default_rng(1).normal(0.0, 10.0, 30)
    better = hard + 1 + np.random.default_rng(2).normal(0.0, 0.1, 30)
    interval = bootstrap(better.tolist(), hard.tolist())
    assert interval.mean == pytest.approx(1, abs=0.1)
    assert interval.high - interval.low < 0.2


def test_one_scene_has_no_interval():
    interval = bootstrap([3.0], [1.0])
    assert (interval.mean, interval.low, interval.high, interval.scenes) == (2.0, None, None, 1)


def test_means_and_differences_are_over_the_scenes_that_have_the_figure():
    scenes = [
        {"ours": figures(kept_psnr=30.0, seconds=4.0), "telea": figures(kept_psnr=28.0, seconds=1.0)},
        {"ours": figures(kept_psnr=None, seconds=6.0), "telea": figures(kept_psnr=None, seconds=2.0)},
    ]
    table = means(scenes, ["ours", "telea"])
    assert table["ours"]["kept_psnr"] == 30
    assert table["ours"]["seconds"] == 5
    assert table["telea"]["made_psnr"] is None
    against = differences(scenes, ["ours", "telea"], "ours")
    assert list(against) == ["telea"]
    assert (against["telea"]["kept_psnr"].mean, against["telea"]["kept_psnr"].scenes) == (2.0, 1)
    assert (against["telea"]["seconds"].mean, against["telea"]["seconds"].scenes) == (3.5, 2)
    assert "made_psnr" not in against["telea"]
