from pathlib import Path

import numpy as np
import numpy.lib.recfunctions as rfn
import pytest
import torch
from plyfile import PlyData, PlyElement
from splatmem.gaussians import Gaussians
from splatmem.io.ply import load_ply, read_ply, save_ply

FIELDS = ("means", "quats", "log_scales", "opacity_logits", "sh")
INRIA_ORDER = [
    *("x", "y", "z", "nx", "ny", "nz"),
    *(f"f_dc_{i}" for i in range(3)),
    *(f"f_rest_{i}" for i in range(45)),
    "opacity",
    *(f"scale_{i}" for i in range(3)),
    *(f"rot_{i}" for i in range(4)),
]


def random_gaussians(n: int = 20, bands: int = 1) -> Gaussians:
    g = torch.Generator().manual_seed(0)
    quats = torch.nn.functional.normalize(torch.randn(n, 4, generator=g), dim=-1)
    means, scales = torch.randn(n, 3, generator=g), torch.randn(n, 3, generator=g)
    return Gaussians(means, quats, scales, torch.randn(n, generator=g), torch.randn(n, bands, 3, generator=g))


@pytest.mark.parametrize("bands", [1, 4, 9, 16])
@pytest.mark.parametrize("compact", [False, True])
def test_round_trip_is_exact(tmp_path: Path, bands: int, compact: bool) -> None:
    before = random_gaussians(bands=bands)
    save_ply(before, tmp_path / "a.ply", compact=compact)
    after = load_ply(tmp_path / "a.ply")
    for name in FIELDS:
        # Normalising a quaternion again may move its last bit.
        tolerance = 1e-7 if name == "quats" else 0.0
        torch.testing.assert_close(getattr(after, name), getattr(before, name), atol=tolerance, rtol=tolerance)


def test_layout(tmp_path: Path) -> None:
    save_ply(random_gaussians(), tmp_path / "a.ply")
    content = (tmp_path / "a.ply").read_bytes()
    assert content.startswith(b"ply\nformat binary_little_endian 1.0\nelement vertex 20\nproperty float x\n")
    vertex = PlyData.read(str(tmp_path / "a.ply"))["vertex"]
    assert [p.name for p in vertex.properties] == INRIA_ORDER
    assert len(INRIA_ORDER) == 62
    assert all(not vertex[f"f_rest_{i}"].any() for i in range(45))
    normals = np.stack([vertex[name] for name in ("nx", "ny", "nz")], axis=-1)
    np.testing.assert_allclose(normals, random_gaussians().normals.numpy())


def test_higher_bands_are_written_channel_by_channel(tmp_path: Path) -> None:
    gaussians = random_gaussians(bands=4)
    save_ply(gaussians, tmp_path / "a.ply")
    vertex = PlyData.read(str(tmp_path / "a.ply"))["vertex"]
    for channel in range(3):
        for band in range(3):
            np.testing.assert_array_equal(vertex[f"f_rest_{15 * channel + band}"], gaussians.sh[:, 1 + band, channel])


def test_compact_leaves_out_normals_and_zeros(tmp_path: Path) -> None:
    save_ply(random_gaussians(), tmp_path / "a.ply", compact=True)
    vertex = PlyData.read(str(tmp_path / "a.ply"))["vertex"]
    assert [p.name for p in vertex.properties] == [n for n in INRIA_ORDER if not n.startswith(("n", "f_rest"))]


def test_rotations_are_normalised(tmp_path: Path) -> None:
    gaussians = random_gaussians()
    gaussians.quats = 5 * gaussians.quats
    gaussians.quats[0] = 0
    save_ply(gaussians, tmp_path / "a.ply")
    quats = load_ply(tmp_path / "a.ply").quats
    torch.testing.assert_close(quats.norm(dim=-1), torch.ones(20))
    assert quats[0].tolist() == [1, 0, 0, 0]


def test_no_gaussians(tmp_path: Path) -> None:
    save_ply(Gaussians.empty(), tmp_path / "a.ply")
    assert len(load_ply(tmp_path / "a.ply")) == 0


@pytest.mark.parametrize("options", [{"text": True}, {"byte_order": ">"}])
def test_other_encodings_are_read(tmp_path: Path, options: dict) -> None:
    before = random_gaussians()
    save_ply(before, tmp_path / "a.ply")
    table = PlyData.read(str(tmp_path / "a.ply"))["vertex"].data
    PlyData([PlyElement.describe(np.array(table), "vertex")], **options).write(str(tmp_path / "b.ply"))
    torch.testing.assert_close(load_ply(tmp_path / "b.ply").means, before.means)


@pytest.mark.parametrize("bands", [1, 16])
def test_agrees_with_the_exporter_of_gsplat(tmp_path: Path, bands: int) -> None:
    from gsplat import exporter

    g = random_gaussians(bands=bands)
    exporter.export_splats(
        g.means, g.log_scales, g.quats, g.opacity_logits, g.sh[:, :1], g.sh[:, 1:], save_to=str(tmp_path / "theirs.ply")
    )
    save_ply(g, tmp_path / "ours.ply")
    theirs, ours = (PlyData.read(str(tmp_path / name))["vertex"] for name in ("theirs.ply", "ours.ply"))
    for name in (p.name for p in theirs.properties):
        np.testing.assert_allclose(ours[name], theirs[name], rtol=1e-6, atol=1e-7, err_msg=name)
    for name in FIELDS:
        torch.testing.assert_close(getattr(load_ply(tmp_path / "theirs.ply"), name), getattr(g, name))


@pytest.mark.parametrize("compact", [False, True])
def test_open3d_reads_it(tmp_path: Path, compact: bool) -> None:
    o3d = pytest.importorskip("open3d", reason="needs Open3D: the extra 'inspect' or 'inspect-cpu'")
    gaussians = random_gaussians()
    save_ply(gaussians, tmp_path / "a.ply", compact=compact)
    cloud = o3d.t.io.read_point_cloud(str(tmp_path / "a.ply"))
    expected = {
        "positions": gaussians.means,
        "rot": gaussians.quats,
        "scale": gaussians.scales,  # Open3D turns the logarithms into lengths
        "opacity": gaussians.opacity_logits[:, None],
    }
    for name, values in expected.items():
        read = torch.from_numpy(cloud.point[name].numpy().copy())
        torch.testing.assert_close(read, values, atol=1e-6, rtol=1e-5)


class TestRefused:
    def test_nan(self, tmp_path: Path) -> None:
        gaussians = random_gaussians()
        gaussians.opacity_logits[3] = float("nan")
        with pytest.raises(ValueError, match="1 of 20 Gaussians have a parameter that is NaN"):
            save_ply(gaussians, tmp_path / "a.ply")
        assert list(tmp_path.iterdir()) == []

    def test_missing(self, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError, match=r"a\.ply"):
            load_ply(tmp_path / "a.ply")

    @pytest.mark.parametrize("content", [b"", b"hello\n", b"\x89PNG\r\n\x1a\n\xff\xfe"])
    def test_not_a_ply(self, tmp_path: Path, content: bytes) -> None:
        (tmp_path / "a.ply").write_bytes(content)
        with pytest.raises(ValueError, match=r"a\.ply: expected a whole \.ply file"):
            load_ply(tmp_path / "a.ply")

    def test_truncated(self, tmp_path: Path) -> None:
        save_ply(random_gaussians(), tmp_path / "a.ply")
        content = (tmp_path / "a.ply").read_bytes()
        (tmp_path / "a.ply").write_bytes(content[:-100])
        with pytest.raises(ValueError, match=r"a\.ply: expected a whole \.ply file"):
            load_ply(tmp_path / "a.ply")

    def test_a_point_cloud(self, tmp_path: Path) -> None:
        table = np.zeros(4, [("x", "f4"), ("y", "f4"), ("z", "f4"), ("red", "u1")])
        PlyData([PlyElement.describe(table, "vertex")]).write(str(tmp_path / "a.ply"))
        with pytest.raises(ValueError, match=r"no Gaussian splats .* lacks f_dc_0"):
            load_ply(tmp_path / "a.ply")

    def test_compressed(self, tmp_path: Path) -> None:
        table = np.zeros(4, [("min_x", "f4")])
        PlyData([PlyElement.describe(table, "chunk")]).write(str(tmp_path / "a.ply"))
        with pytest.raises(ValueError, match=r"is a compressed \.ply, which load_splats reads"):
            load_ply(tmp_path / "a.ply")

    def test_odd_number_of_bands(self, tmp_path: Path) -> None:
        save_ply(random_gaussians(bands=4), tmp_path / "a.ply", compact=True)
        table = PlyData.read(str(tmp_path / "a.ply"))["vertex"].data
        names = [n for n in table.dtype.names or () if n != "f_rest_8"]
        PlyData([PlyElement.describe(rfn.repack_fields(table[names]), "vertex")]).write(str(tmp_path / "b.ply"))
        with pytest.raises(ValueError, match=r"0, 9, 24 or 45 properties f_rest_\* .* got 8"):
            load_ply(tmp_path / "b.ply")


def altered(file: Path, row: int, values: dict[str, float]) -> Path:
    """A file of twenty Gaussians with other values in one row."""
    save_ply(random_gaussians(), file, compact=True)
    data = PlyData.read(str(file))
    table = data["vertex"].data.copy()
    for name, value in values.items():
        table[name][row] = value
    PlyData([PlyElement.describe(table, "vertex")], byte_order="<").write(str(file))
    return file


class TestWhatCannotBeDrawn:
    def test_infinite_opacities(self, tmp_path: Path) -> None:
        """Trainers that clamp opacity to 0 and 1 write their logits so."""
        altered(tmp_path / "a.ply", 3, {"opacity": np.inf})
        gaussians, notes = read_ply(tmp_path / "a.ply")
        assert (len(gaussians), notes, gaussians.opacities[3].item()) == (20, [], 1.0)
        gaussians, notes = read_ply(altered(tmp_path / "a.ply", 3, {"opacity": -np.inf}))
        assert (len(gaussians), notes) == (20, [])
        assert gaussians.opacities[3].item() < 1e-12
        assert gaussians.opacity_logits.isfinite().all()

    @pytest.mark.parametrize(
        ("values", "note"),
        [
            ({"x": np.nan}, "hold values that are NaN"),
            ({"opacity": np.nan}, "hold values that are NaN"),
            ({"f_dc_1": np.nan}, "hold values that are NaN"),
            ({"rot_2": np.nan}, "hold values that are NaN"),
            ({"scale_0": -np.inf, "scale_1": -np.inf, "scale_2": -np.inf}, "have a scale of zero"),
            ({"scale_1": -np.inf}, "have a scale of zero"),
            ({"scale_1": np.inf}, "too large or too far away"),
            ({"scale_1": 1e4}, "too large or too far away"),
            ({"scale_1": 60}, "too large or too far away"),
            ({"y": np.inf}, "too large or too far away"),
            ({"y": 1e30}, "too large or too far away"),
            ({"f_dc_0": 1e30}, "too large or too far away"),
            ({"rot_0": np.inf}, "too large or too far away"),
        ],
    )
    def test_is_left_out_with_a_note(self, tmp_path: Path, values: dict[str, float], note: str) -> None:
        gaussians, notes = read_ply(altered(tmp_path / "a.ply", 3, values))
        whole = random_gaussians()
        torch.testing.assert_close(gaussians.means, torch.cat([whole.means[:3], whole.means[4:]]))
        assert len(notes) == 1
        assert notes[0].startswith("1 of 20 Gaussians ")
        assert note in notes[0]
        assert len(load_ply(tmp_path / "a.ply")) == 19

    def test_nothing_is_left(self, tmp_path: Path) -> None:
        gaussians = random_gaussians(n=1)
        gaussians.log_scales[:] = 1e4
        save_ply(gaussians, tmp_path / "a.ply")
        with pytest.raises(ValueError, match=r"a\.ply holds no Gaussian that can be drawn: 1 of 1"):
            load_ply(tmp_path / "a.ply")

    @pytest.mark.parametrize("length", [0.0, 1e-30, 1e30])
    def test_rotations_of_any_length(self, tmp_path: Path, length: float) -> None:
        values = dict(zip(("rot_0", "rot_1", "rot_2", "rot_3"), (0.0, length, 0.0, 0.0), strict=True))
        rotation = load_ply(altered(tmp_path / "a.ply", 3, values)).rotations[3]
        assert rotation.isfinite().all()
        assert length != 1e30 or torch.allclose(rotation, torch.diag(torch.tensor([1.0, -1, -1])))


class TestHeaders:
    @pytest.mark.parametrize("count", ["3000000000", "100000000000000000000", "21"])
    @pytest.mark.parametrize("kind", ["binary_little_endian", "ascii"])
    def test_a_count_beyond_the_file(self, tmp_path: Path, count: str, kind: str) -> None:
        save_ply(random_gaussians(), tmp_path / "a.ply", compact=True)
        content = (tmp_path / "a.ply").read_bytes().replace(b"vertex 20", f"vertex {count}".encode())
        if kind == "ascii":
            content = (
                content[: content.index(b"end_header")].replace(b"binary_little_endian", b"ascii") + b"end_header\n0 0 0\n"
            )
        (tmp_path / "a.ply").write_bytes(content)
        with pytest.raises(ValueError, match=r"a\.ply: expected a whole \.ply file"):
            load_ply(tmp_path / "a.ply")

    @pytest.mark.parametrize("count", ["-1", "1e3", "x", ""])
    def test_a_count_that_is_none(self, tmp_path: Path, count: str) -> None:
        save_ply(random_gaussians(), tmp_path / "a.ply", compact=True)
        content = (tmp_path / "a.ply").read_bytes().replace(b"vertex 20", f"vertex {count}".encode())
        (tmp_path / "a.ply").write_bytes(content)
        with pytest.raises(ValueError, match=r"a\.ply: expected a whole \.ply file"):
            load_ply(tmp_path / "a.ply")

    def test_text(self, tmp_path: Path) -> None:
        save_ply(random_gaussians(), tmp_path / "a.ply", compact=True)
        data = PlyData.read(str(tmp_path / "a.ply"))
        data.text = True
        data.write(str(tmp_path / "b.ply"))
        torch.testing.assert_close(load_ply(tmp_path / "b.ply").means, random_gaussians().means)

    def test_a_property_that_is_a_list(self, tmp_path: Path) -> None:
        save_ply(random_gaussians(), tmp_path / "a.ply", compact=True)
        content = (tmp_path / "a.ply").read_bytes().replace(b"property float y", b"property list uchar float y")
        (tmp_path / "a.ply").write_bytes(content)
        with pytest.raises(ValueError, match=r"a\.ply"):
            load_ply(tmp_path / "a.ply")
