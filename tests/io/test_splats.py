"""Every format of splats: what is written is read back within the format's own steps, by this package and by others."""

from __future__ import annotations

import gzip
import json
import struct
from importlib.util import find_spec
from pathlib import Path

import gaussforge
import numpy as np
import pytest
import splatmem as sm
import torch
from splatmem.gaussians import Gaussians
from splatmem.gaussians.draw import rasterize
from splatmem.geometry.cameras import Cameras, identity_camera
from splatmem.io.ply import ply_bytes
from splatmem.io.splats.axes import half_turn_about_x, neighbours_together, without_empty_bands
from splatmem.io.splats.endings import FORMATS, READABLE, ending_of, is_splat_file
from splatmem.io.splats.files import read_splats
from splatmem.io.splats.spz import spz_parts
from splatmem.metrics import psnr

needs_usd = pytest.mark.skipif(find_spec("pxr") is None, reason="needs usd-core: the extra 'usd'")
EXACT = (".ply", ".glb", ".usdc", ".usdz")
MIN_PSNR = 35.0  # of the picture, read back from a format that rounds
# What one step of each format is: places (of the scene's reach), logarithms of scales, opacities, colours, rotations.
STEPS = {
    ".compressed.ply": (1e-3, 0.02, 0.004, 0.006, 0.005),
    ".splat": (1e-6, 1e-5, 0.005, 0.005, 0.02),
    ".ksplat": (1e-6, 1e-5, 0.005, 0.005, 1e-5),
    ".spz": (2e-4, 1 / 16, 0.005, 0.008, 0.006),
    ".sog": (5e-4, 0.04, 0.005, 0.02, 0.015),
    **dict.fromkeys(EXACT, (1e-6, 1e-5, 1e-5, 1e-6, 1e-5)),
}
FORMAT_PARAMETERS = [pytest.param(e, marks=needs_usd if e.startswith(".usd") else ()) for e in READABLE]


def scene(bands: int = 1) -> Gaussians:
    """A wall of coloured discs before the camera, and a few Gaussians of all shapes beside and behind it."""
    generator = torch.Generator().manual_seed(0)
    rows, columns = torch.meshgrid(torch.linspace(-1, 1, 24), torch.linspace(-1.5, 1.5, 36), indexing="ij")
    wall = torch.stack([columns, rows, 2.5 + 0.3 * torch.sin(3 * columns)], dim=-1).view(-1, 3)
    others = 2 * torch.randn(60, 3, generator=generator)
    means = torch.cat([wall, others])
    count = len(means)
    scales = torch.cat(
        [torch.tensor([[0.06, 0.05, 0.004]]).repeat(len(wall), 1), 0.02 + 0.05 * torch.rand(60, 3, generator=generator)]
    )
    quats = torch.nn.functional.normalize(torch.randn(count, 4, generator=generator), dim=-1)
    quats[: len(wall)] = torch.tensor([0.966, 0.1, 0.2, 0.05])
    sh = torch.rand(count, bands, 3, generator=generator) - 0.5
    sh[:, 0] = 1.4 * torch.sin(4 * means) * torch.tensor([1.0, 0.8, 0.6])
    opacities = torch.logit(torch.cat([torch.full((len(wall),), 0.95), 0.1 + 0.8 * torch.rand(60, generator=generator)]))
    return Gaussians(means, quats, scales.log(), opacities, sh)


def matched(before: Gaussians, after: Gaussians) -> Gaussians:
    """The Gaussians that were read, in the order of those that were written."""
    assert len(after) == len(before)
    nearest = torch.cdist(before.means.double(), after.means.double()).argmin(1)
    assert len(nearest.unique()) == len(before)
    return after.select(nearest)


@pytest.mark.parametrize("ending", FORMAT_PARAMETERS)
def test_is_read_back_within_the_format_s_steps(tmp_path: Path, ending: str) -> None:
    before = scene()
    assert sm.save_splats(before, tmp_path / f"a{ending}") == []
    assert [f.name for f in tmp_path.iterdir()] == [f"a{ending}"]
    after = matched(before, sm.load_splats(tmp_path / f"a{ending}"))
    place, scale, opacity, colour, rotation = STEPS[ending]
    assert (after.means - before.means).abs().max() <= place * before.means.abs().max()
    assert (after.log_scales - before.log_scales).abs().max() <= scale
    assert (after.opacities - before.opacities).abs().max() <= opacity
    assert (after.rgb.clamp(0, 1) - before.rgb.clamp(0, 1)).abs().max() <= colour
    assert (after.rotations - before.rotations).abs().max() <= rotation


@pytest.mark.parametrize("ending", FORMAT_PARAMETERS)
def test_the_picture_is_the_same(tmp_path: Path, ending: str) -> None:
    aside = torch.eye(4)
    aside[0, 3] = 0.2
    cameras = Cameras.from_fov(torch.stack([torch.eye(4), aside]), 60.0, 96, 64)
    before = scene()
    sm.save_splats(before, tmp_path / f"a{ending}")
    pictures = [rasterize(g, cameras).rgb.clamp(0, 1) for g in (before, sm.load_splats(tmp_path / f"a{ending}"))]
    assert pictures[0].std() > 0.1
    assert psnr(pictures[1], pictures[0]) >= (60 if ending in EXACT else MIN_PSNR)


@pytest.mark.parametrize("bands", [4, 16])
@pytest.mark.parametrize("ending", FORMAT_PARAMETERS)
def test_colours_that_change_with_the_view(tmp_path: Path, ending: str, bands: int) -> None:
    before = scene(bands)
    notes = sm.save_splats(before, tmp_path / f"a{ending}")
    after = matched(before, sm.load_splats(tmp_path / f"a{ending}"))
    if ending in (".splat", ".compressed.ply"):
        assert after.sh.shape[1] == 1
        assert notes == [f"colours that change with the view are left out of {ending}"]
    else:
        assert notes == []
        difference = (after.sh[:, 1:] - before.sh[:, 1:]).abs()
        # .sog of 16 bands keeps a palette of them.
        assert difference.mean() < (1e-5 if ending in EXACT else 0.05)


@pytest.mark.parametrize("ending", FORMAT_PARAMETERS)
def test_empty_bands_cost_nothing(tmp_path: Path, ending: str) -> None:
    if ending == ".ply":
        pytest.skip("the layout of 62 properties is the format's meaning; --compact leaves zeros out")
    padded = scene()
    padded.sh = torch.cat([padded.sh, torch.zeros(len(padded), 15, 3)], dim=1)
    sm.save_splats(scene(), tmp_path / f"a{ending}")
    sm.save_splats(padded, tmp_path / f"b{ending}")
    sizes = [(tmp_path / f"{name}{ending}").stat().st_size for name in "ab"]
    assert abs(sizes[0] - sizes[1]) < 64
    assert sm.load_splats(tmp_path / f"b{ending}").sh.shape[1] == 1


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("ending", FORMAT_PARAMETERS)
def test_few_gaussians(tmp_path: Path, ending: str, count: int) -> None:
    sm.save_splats(scene().select(slice(0, count)), tmp_path / f"a{ending}")
    assert len(sm.load_splats(tmp_path / f"a{ending}")) == count


class TestAxes:
    """A Gaussian above and before the first camera is above and before it where each format's programs look from."""

    PLACE = torch.tensor([[0.25, -0.5, 2.0]])  # to the right, above, ahead

    def one(self) -> Gaussians:
        return Gaussians(
            self.PLACE, torch.tensor([[1.0, 0, 0, 0]]), torch.full((1, 3), -3.0), torch.ones(1), torch.ones(1, 1, 3)
        )

    def test_spz(self, tmp_path: Path) -> None:
        """Niantic's own words: right, up, back."""
        sm.save_splats(self.one(), tmp_path / "a.spz")
        content = gzip.decompress((tmp_path / "a.spz").read_bytes())
        magic, version, count, _, bits, _, _ = struct.unpack("<4sIIBBBB", content[:16])
        assert (magic, version, count) == (b"NGSP", 3, 1)
        place = [int.from_bytes(content[16 + 3 * i : 19 + 3 * i], "little", signed=True) / 2**bits for i in range(3)]
        assert place == pytest.approx([0.25, 0.5, -2.0], abs=1e-3)

    def test_glb(self, tmp_path: Path) -> None:
        sm.save_splats(self.one(), tmp_path / "a.glb")
        document, blob = parsed_glb(tmp_path / "a.glb")
        primitive = document["meshes"][0]["primitives"][0]
        assert values_of(document, blob, primitive["attributes"]["POSITION"])[0] == pytest.approx([0.25, 0.5, -2.0])

    @needs_usd
    def test_usd(self, tmp_path: Path) -> None:
        from pxr import Usd, UsdGeom, UsdVol

        sm.save_splats(self.one(), tmp_path / "a.usdc")
        stage = Usd.Stage.Open(str(tmp_path / "a.usdc"))
        assert UsdGeom.GetStageUpAxis(stage) == "Y"
        splats = UsdVol.ParticleField3DGaussianSplat(stage.GetPrimAtPath("/World/Splats"))
        assert list(splats.GetPositionsAttr().Get()[0]) == pytest.approx([0.25, 0.5, -2.0])

    @pytest.mark.parametrize("ending", [e for e, f in FORMATS.items() if not f.y_up and f.readable])
    def test_those_of_3dgs(self, tmp_path: Path, ending: str) -> None:
        """Programs that open these turn them themselves: the axes in the file stay those of the first implementation."""
        import gaussforge
        from plyfile import PlyData

        sm.save_splats(self.one(), tmp_path / f"a{ending}")
        content = gaussforge.GaussForge().convert((tmp_path / f"a{ending}").read_bytes(), ending[1:], "ply")["data"]
        (tmp_path / "b.ply").write_bytes(content)
        vertex = PlyData.read(str(tmp_path / "b.ply"))["vertex"]
        assert [float(vertex[name][0]) for name in "xyz"] == pytest.approx([0.25, -0.5, 2.0], abs=1e-3)

    def test_two_half_turns(self) -> None:
        before = scene(4)
        after = half_turn_about_x(half_turn_about_x(before))
        torch.testing.assert_close(after.means, before.means)
        torch.testing.assert_close(after.rotations, before.rotations, atol=1e-5, rtol=0)
        torch.testing.assert_close(after.sh, before.sh, atol=1e-5, rtol=0)


def parsed_glb(file: Path) -> tuple[dict, bytes]:
    """The two chunks of a .glb, by its specification alone."""
    content = file.read_bytes()
    magic, version, length, text_length, text_kind = struct.unpack("<4sIII4s", content[:20])
    assert (magic, version, length, text_kind) == (b"glTF", 2, len(content), b"JSON")
    start = 20 + text_length
    blob_length, blob_kind = struct.unpack("<I4s", content[start : start + 8])
    assert blob_kind == b"BIN\0"
    return json.loads(content[20:start]), content[start + 8 : start + 8 + blob_length]


def values_of(document: dict, blob: bytes, accessor: int) -> np.ndarray:
    entry = document["accessors"][accessor]
    view = document["bufferViews"][entry["bufferView"]]
    width = {"SCALAR": 1, "VEC3": 3, "VEC4": 4}[entry["type"]]
    assert entry["componentType"] == 5126
    assert view.get("byteOffset", 0) % 4 == 0
    return np.frombuffer(blob, "<f4", entry["count"] * width, view.get("byteOffset", 0)).reshape(-1, width)


def test_glb_says_what_the_extension_asks_for(tmp_path: Path) -> None:
    """KHR_gaussian_splatting: quaternions xyzw of unit length, linear scales, opacities in 0..1, bounds of the places."""
    before = scene(4)
    sm.save_splats(before, tmp_path / "a.glb")
    document, blob = parsed_glb(tmp_path / "a.glb")
    assert document["extensionsUsed"] == ["KHR_gaussian_splatting"]
    primitive = document["meshes"][0]["primitives"][0]
    assert primitive["mode"] == 0
    assert primitive["extensions"]["KHR_gaussian_splatting"] == {"kernel": "ellipse", "colorSpace": "srgb_rec709_display"}
    names = {f"SH_DEGREE_{d}_COEF_{c}" for d, c in ((0, 0), (1, 0), (1, 1), (1, 2))} | {"ROTATION", "SCALE", "OPACITY"}
    assert set(primitive["attributes"]) == {"POSITION", *(f"KHR_gaussian_splatting:{name}" for name in names)}
    read = {
        name.rpartition(":")[2]: values_of(document, blob, number) for name, number in primitive["attributes"].items()
    }  # fmt: skip
    np.testing.assert_allclose(np.linalg.norm(read["ROTATION"], axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(read["SCALE"], before.scales, rtol=1e-5)
    np.testing.assert_allclose(read["OPACITY"][:, 0], before.opacities, rtol=1e-5)
    np.testing.assert_allclose(read["SH_DEGREE_0_COEF_0"], before.sh[:, 0], rtol=1e-5)
    bounds = document["accessors"][primitive["attributes"]["POSITION"]]
    np.testing.assert_allclose(bounds["max"], read["POSITION"].max(0), rtol=1e-6)
    turn = np.diag([1.0, -1.0, -1.0])
    x, y, z, w = read["ROTATION"][0]
    thin = [2 * (x * z + w * y), 2 * (y * z - w * x), 1 - 2 * (x * x + y * y)]
    np.testing.assert_allclose(thin, turn @ before.normals[0].numpy(), atol=1e-5)


def film() -> Cameras:
    poses = torch.eye(4).repeat(3, 1, 1)
    poses[:, 0, 3] = torch.tensor([0.0, 0.2, 0.4])
    poses[:, 1, 3] = torch.tensor([0.0, -0.1, -0.2])
    return Cameras.from_fov(poses, 60.0, 96, 64)


def test_glb_holds_the_first_view_and_the_film(tmp_path: Path) -> None:
    sm.save_splats(scene(), tmp_path / "a.glb", cameras=film(), fps=2.0)
    document, blob = parsed_glb(tmp_path / "a.glb")
    lens = document["cameras"][0]["perspective"]
    assert lens["yfov"] == pytest.approx(2 * np.arctan(np.tan(np.radians(30)) * 64 / 96))
    node = document["nodes"][1]
    assert (node["translation"], node["rotation"]) == ([0, 0, 0], [0, 0, 0, 1])
    samplers = document["animations"][0]["samplers"]
    np.testing.assert_allclose(values_of(document, blob, samplers[0]["input"])[:, 0], [0, 0.5, 1.0])
    np.testing.assert_allclose(
        values_of(document, blob, samplers[0]["output"]), [[0, 0, 0], [0.2, 0.1, 0], [0.4, 0.2, 0]], atol=1e-6
    )
    assert len(sm.load_splats(tmp_path / "a.glb")) == len(scene())


@needs_usd
@pytest.mark.parametrize("ending", [".usdc", ".usdz"])
def test_usd_holds_splats_and_a_camera(tmp_path: Path, ending: str) -> None:
    """Read by usd-core's own classes: linear scales, opacities in 0..1, quaternions, and a camera that moves."""
    from pxr import Usd, UsdGeom, UsdUtils, UsdVol

    before = scene()
    sm.save_splats(before, tmp_path / f"a{ending}", cameras=film())
    stage = Usd.Stage.Open(str(tmp_path / f"a{ending}"))
    splats = UsdVol.ParticleField3DGaussianSplat(stage.GetPrimAtPath("/World/Splats"))
    np.testing.assert_allclose(np.array(splats.GetScalesAttr().Get()), before.scales, rtol=1e-5)
    np.testing.assert_allclose(np.array(splats.GetOpacitiesAttr().Get()), before.opacities, rtol=1e-5)
    assert splats.GetRadianceSphericalHarmonicsDegreeAttr().Get() == 0
    first = splats.GetOrientationsAttr().Get()[0]
    turned = half_turn_about_x(before).quats[0]
    found = torch.tensor([first.GetReal(), *first.GetImaginary()])
    assert abs(float(found @ turned)) == pytest.approx(1, abs=1e-5)
    camera = UsdGeom.Camera(stage.GetPrimAtPath("/World/Camera")).GetCamera(2.0)
    assert list(camera.transform.ExtractTranslation()) == pytest.approx([0.4, 0.2, 0.0], abs=1e-6)
    assert camera.GetFieldOfView(camera.FOVHorizontal) == pytest.approx(60.0, abs=1e-3)
    if ending == ".usdz":
        assert UsdUtils.ComputeUsdStageStats(stage)["totalPrimCount"] > 0


@pytest.mark.skipif(find_spec("open3d") is None, reason="needs Open3D: the extra 'inspect' or 'inspect-cpu'")
@pytest.mark.parametrize("ending", [".splat", ".spz"])
def test_open3d_reads_it(tmp_path: Path, ending: str) -> None:
    import open3d as o3d

    before = scene()
    sm.save_splats(before, tmp_path / f"a{ending}")
    cloud = o3d.t.io.read_point_cloud(str(tmp_path / f"a{ending}"))
    places = torch.from_numpy(cloud.point["positions"].numpy().copy()).float()
    expected = before.means * (torch.tensor([1.0, -1.0, -1.0]) if ending == ".spz" else 1.0)
    assert torch.cdist(expected.double(), places.double()).amin(1).max() < 1e-3


@pytest.mark.parametrize("coefficients", [1, 4, 9, 16])
def test_spz_holds_the_numbers_that_gaussforge_writes(coefficients: int) -> None:
    count = 500
    generator = torch.Generator().manual_seed(coefficients)
    some = [torch.randn(count, *shape, generator=generator) for shape in ((3,), (4,), (3,), (), (coefficients, 3))]
    gaussians = Gaussians(20 * some[0], some[1], some[2] - 3, 3 * some[3], 0.5 * some[4])
    gaussians.quats[0] = 0.0  # no rotation
    own, notes = spz_parts(gaussians)
    assert not notes
    turned = ply_bytes(half_turn_about_x(gaussians))
    theirs = np.frombuffer(gzip.decompress(gaussforge.GaussForge().convert(turned, "ply", "spz")["data"]), np.uint8)
    ours = np.frombuffer(b"".join(own), np.uint8)
    assert len(ours) == len(theirs) == 16 + count * (20 + 3 * (coefficients - 1))
    assert (ours != theirs).sum() <= 2  # a component of a rotation halfway between two steps


def test_beyond_the_reach_of_spz(tmp_path: Path) -> None:
    """A sky far away looks the same from the first camera: in the same direction, as large as it was."""
    before = scene()
    before.means[-1], before.log_scales[-1] = torch.tensor([3000.0, -6000.0, 9000.0]), 5.0
    notes = sm.save_splats(before, tmp_path / "a.spz")
    assert len(notes) == 1
    assert notes[0].startswith("1 Gaussians lie beyond what .spz can hold")
    last = sm.load_splats(tmp_path / "a.spz").select(slice(-1, None))
    direction = torch.nn.functional.cosine_similarity(last.means[0], before.means[-1], dim=0)
    assert direction == pytest.approx(1, abs=1e-6)
    ratio = last.scales[0] / last.means.norm() / (before.scales[-1] / before.means[-1].norm())
    torch.testing.assert_close(ratio, torch.ones(3), atol=0.05, rtol=0)
    before.means += 1e5
    with pytest.raises(ValueError, match=r"choose \.sog or \.compressed\.ply"):
        sm.save_splats(before, tmp_path / "b.spz")


def test_neighbours_stand_together() -> None:
    before = scene()
    after = neighbours_together(before, 16)
    assert sorted(after.means.tolist()) == sorted(before.means.tolist())
    shuffled = before.select(torch.randperm(len(before), generator=torch.Generator().manual_seed(1)))
    spans = [
        torch.stack([block.amax(0) - block.amin(0) for block in g.means.split(16)]).norm(dim=-1).median()
        for g in (shuffled, neighbours_together(shuffled, 16))
    ]
    assert spans[1] < 0.3 * spans[0]


def test_bands_that_are_zero() -> None:
    gaussians = scene(16)
    gaussians.sh[:, 3:] = 0
    assert without_empty_bands(gaussians).sh.shape[1] == 4
    gaussians.sh[:, 1:] = 0
    assert without_empty_bands(gaussians).sh.shape[1] == 1


class TestRefused:
    @pytest.mark.parametrize("ending", FORMAT_PARAMETERS)
    @pytest.mark.parametrize("content", [b"", b"hello\n" * 10, bytes(range(256)) * 4])
    def test_something_else(self, tmp_path: Path, ending: str, content: bytes) -> None:
        if ending == ".splat" and len(content) % 32 == 0 and content:
            pytest.skip("any 32 bytes are a Gaussian of this format")
        file = tmp_path / f"a{ending}"
        file.write_bytes(content)
        with pytest.raises(ValueError, match=r"a\."):
            sm.load_splats(file)

    @pytest.mark.parametrize("ending", [e for e in FORMAT_PARAMETERS if ".splat" not in str(e)])
    def test_cut_short(self, tmp_path: Path, ending: str) -> None:
        file = tmp_path / f"a{ending}"
        sm.save_splats(scene(), file)
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
        with pytest.raises(ValueError, match=r"a\."):
            sm.load_splats(file)

    @pytest.mark.parametrize("ending", FORMAT_PARAMETERS)
    def test_nan(self, tmp_path: Path, ending: str) -> None:
        gaussians = scene()
        gaussians.means[3, 1] = torch.nan
        with pytest.raises(ValueError, match="NaN"):
            sm.save_splats(gaussians, tmp_path / f"a{ending}")
        assert list(tmp_path.iterdir()) == []

    def test_an_ending_that_is_none(self, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match=r"a\.obj: expected a name that ends in \.ply, "):
            sm.save_splats(scene(), tmp_path / "a.obj")
        with pytest.raises(ValueError, match=r"a\.html: expected a file of splats that ends in \.ply, "):
            sm.load_splats(tmp_path / "a.html")
        with pytest.raises(FileNotFoundError, match=r"a\.spz"):
            sm.load_splats(tmp_path / "a.spz")

    def test_a_glb_without_splats(self, tmp_path: Path) -> None:
        import pygltflib

        pygltflib.GLTF2(asset=pygltflib.Asset(version="2.0")).save_binary(str(tmp_path / "a.glb"))
        with pytest.raises(ValueError, match="holds no Gaussian splats"):
            sm.load_splats(tmp_path / "a.glb")


def test_a_packed_ply_is_known_by_its_content(tmp_path: Path) -> None:
    sm.save_splats(scene(), tmp_path / "a.compressed.ply")
    (tmp_path / "a.compressed.ply").rename(tmp_path / "b.ply")
    assert len(sm.load_splats(tmp_path / "b.ply")) == len(scene())
    sm.save_splats(scene(), tmp_path / "c.ply")
    (tmp_path / "c.ply").rename(tmp_path / "c.compressed.ply")
    gaussians, notes = read_splats(tmp_path / "c.compressed.ply")
    assert (len(gaussians), notes) == (len(scene()), [])


def test_endings() -> None:
    assert ending_of("a/b.COMPRESSED.PLY") == ".compressed.ply"
    assert ending_of("x.ply") == ".ply"
    assert ending_of(".spz") is None
    assert is_splat_file("x.glb")
    assert not is_splat_file("x.html")


def test_nothing_is_printed(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for ending in (".spz", ".sog", ".compressed.ply", ".html"):
        sm.save_splats(scene(), tmp_path / f"a{ending}", cameras=identity_camera(60.0, 96, 64))
        if ending != ".html":
            sm.load_splats(tmp_path / f"a{ending}")
    assert capfd.readouterr() == ("", "")
