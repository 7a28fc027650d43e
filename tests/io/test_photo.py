import math
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import ExifTags, Image, ImageCms
from splatmem.io.photo import load_photo


def gradient(width: int = 64, height: int = 48) -> np.ndarray:
    v, u = np.mgrid[:height, :width]
    return np.stack([u * 255 / (width - 1), v * 255 / (height - 1), np.full_like(u, 100)], axis=-1).astype(np.uint8)


def saved(image: Image.Image, path: Path, **options) -> Path:
    image.save(path, **options)
    return path


def exif_of(**tags: float) -> Image.Exif:
    exif = Image.Exif()
    details = exif.get_ifd(ExifTags.IFD.Exif)
    for name, value in tags.items():
        details[ExifTags.Base[name]] = value
    return exif


def test_rgb(tmp_path: Path) -> None:
    photo = load_photo(saved(Image.fromarray(gradient()), tmp_path / "a.png"), 64, 48)
    assert (photo.name, photo.original_size, photo.fov_x_degrees) == ("a.png", (64, 48), None)
    assert photo.rgb.dtype == torch.float32
    torch.testing.assert_close(photo.rgb, torch.from_numpy(gradient()).float() / 255)


def test_the_middle_is_cut_out(tmp_path: Path) -> None:
    file = saved(Image.fromarray(gradient(64, 48)), tmp_path / "a.png")
    wide = load_photo(file, 64, 24).rgb
    torch.testing.assert_close(wide, torch.from_numpy(gradient()[12:36]).float() / 255)
    tall = load_photo(str(file), 24, 48).rgb
    torch.testing.assert_close(tall, torch.from_numpy(gradient()[:, 20:44]).float() / 255)


def test_scaling_down_does_not_alias(tmp_path: Path) -> None:
    checkers = (np.indices((256, 256)).sum(axis=0) % 2 * 255).astype(np.uint8)
    rgb = load_photo(saved(Image.fromarray(checkers), tmp_path / "a.png"), 32, 32).rgb
    assert rgb[4:-4, 4:-4].sub(0.5).abs().max() < 0.02


class TestKinds:
    def test_greyscale(self, tmp_path: Path) -> None:
        grey = gradient()[..., 0]
        rgb = load_photo(saved(Image.fromarray(grey), tmp_path / "a.png"), 64, 48).rgb
        torch.testing.assert_close(rgb, torch.from_numpy(grey).float()[..., None].expand(48, 64, 3) / 255)

    @pytest.mark.parametrize("largest", [65535, 200])
    def test_16_bit(self, tmp_path: Path, largest: int) -> None:
        """White is 65535 in a dark picture too."""
        grey = np.linspace(0, largest, 48 * 64).reshape(48, 64).astype(np.uint16)
        rgb = load_photo(saved(Image.fromarray(grey), tmp_path / "a.png"), 64, 48).rgb
        torch.testing.assert_close(rgb[..., 1], torch.from_numpy(grey.astype(np.float32)) / 65535, atol=0.0021, rtol=0)

    @pytest.mark.parametrize("white", [1.0, 255.0])
    def test_float(self, tmp_path: Path, white: float) -> None:
        grey = (gradient()[..., 0] * (white / 255)).astype(np.float32)
        rgb = load_photo(saved(Image.fromarray(grey), tmp_path / "a.tif"), 64, 48).rgb
        torch.testing.assert_close(rgb[..., 0], torch.from_numpy(gradient()[..., 0]).float() / 255)

    def test_transparency_lies_over_white(self, tmp_path: Path) -> None:
        rgba = np.dstack([gradient(), np.full((48, 64), 255, np.uint8)])
        rgba[:, :32, 3] = 0
        rgb = load_photo(saved(Image.fromarray(rgba), tmp_path / "a.png"), 64, 48).rgb
        assert (rgb[:, :32] == 1).all()
        torch.testing.assert_close(rgb[:, 32:], torch.from_numpy(gradient()[:, 32:]).float() / 255)

    def test_palette(self, tmp_path: Path) -> None:
        image = Image.fromarray(gradient()).quantize(256)
        rgb = load_photo(saved(image, tmp_path / "a.png"), 64, 48).rgb
        torch.testing.assert_close(rgb, torch.from_numpy(np.array(image.convert("RGB"))).float() / 255)

    def test_cmyk(self, tmp_path: Path) -> None:
        image = Image.fromarray(gradient()).convert("CMYK")
        rgb = load_photo(saved(image, tmp_path / "a.jpg", quality=100), 64, 48).rgb
        assert (rgb - torch.from_numpy(gradient()).float() / 255).abs().mean() < 0.02

    def test_black_and_white(self, tmp_path: Path) -> None:
        image = Image.fromarray(gradient()[..., 0] > 127)
        assert set(load_photo(saved(image, tmp_path / "a.png"), 64, 48).rgb.unique().tolist()) == {0.0, 1.0}

    @pytest.mark.parametrize("orientation", [3, 6, 8])
    def test_turned_by_exif(self, tmp_path: Path, orientation: int) -> None:
        turns = {3: 2, 6: 1, 8: 3}[orientation]  # how the sensor's picture differs from the upright one, in quarter turns
        exif = Image.Exif()
        exif[ExifTags.Base.Orientation] = orientation
        image = Image.fromarray(np.rot90(gradient(), turns).copy())
        photo = load_photo(saved(image, tmp_path / "a.jpg", quality=100, subsampling=0, exif=exif), 64, 48)
        assert photo.original_size == (64, 48)
        assert (photo.rgb - torch.from_numpy(gradient()).float() / 255).abs().mean() < 0.02

    def test_a_damaged_profile_does_no_harm(self, tmp_path: Path) -> None:
        file = saved(Image.fromarray(gradient()), tmp_path / "a.png", icc_profile=b"nonsense")
        torch.testing.assert_close(load_photo(file, 64, 48).rgb, torch.from_numpy(gradient()).float() / 255)

    def test_the_profile_is_used(self, tmp_path: Path) -> None:
        """A linear XYZ-like profile changes the values; sRGB's own does not."""
        srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
        file = saved(Image.fromarray(gradient()), tmp_path / "a.png", icc_profile=srgb)
        torch.testing.assert_close(load_photo(file, 64, 48).rgb, torch.from_numpy(gradient()).float() / 255, atol=0.01, rtol=0)


class TestFieldOfView:
    def fov(self, folder: Path, size: tuple[int, int], target: tuple[int, int], exif: Image.Exif) -> float | None:
        file = saved(Image.new("RGB", size, (9, 9, 9)), folder / "a.jpg", exif=exif)
        return load_photo(file, *target).fov_x_degrees

    def test_full_frame(self, tmp_path: Path) -> None:
        fov = self.fov(tmp_path, (600, 400), (300, 200), exif_of(FocalLengthIn35mmFilm=36))
        assert fov == pytest.approx(2 * math.degrees(math.atan(0.5)), abs=1e-3)

    def test_corrected_for_the_crop(self, tmp_path: Path) -> None:
        fov = self.fov(tmp_path, (600, 400), (200, 200), exif_of(FocalLengthIn35mmFilm=36))
        assert fov == pytest.approx(2 * math.degrees(math.atan(0.5 * 24 / 36)), abs=1e-3)

    def test_upright_after_a_turn(self, tmp_path: Path) -> None:
        exif = exif_of(FocalLengthIn35mmFilm=36)
        exif[ExifTags.Base.Orientation] = 6
        assert self.fov(tmp_path, (600, 400), (200, 300), exif) == pytest.approx(2 * math.degrees(math.atan(12 / 36)), abs=1e-3)

    def test_from_the_sensor(self, tmp_path: Path) -> None:
        """4000 pixels at 4000 / 22.3 per mm are 22.3 mm; the file was scaled to 600 pixels since."""
        exif = exif_of(
            FocalLength=22.3,
            FocalPlaneXResolution=4000 / 22.3 * 25.4,
            FocalPlaneResolutionUnit=2,
            ExifImageWidth=4000,
            ExifImageHeight=2667,
        )
        fov = self.fov(tmp_path, (600, 400), (300, 200), exif)
        assert fov == pytest.approx(2 * math.degrees(math.atan(0.5)), abs=0.02)

    @pytest.mark.parametrize("tags", [{}, {"FocalLengthIn35mmFilm": 0}, {"FocalLengthIn35mmFilm": 1}, {"FocalLength": 5.0}])
    def test_unknown(self, tmp_path: Path, tags: dict[str, float]) -> None:
        assert self.fov(tmp_path, (600, 400), (300, 200), exif_of(**tags)) is None


class TestRefused:
    def test_no_such_file(self, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError, match=r"there is no photo .*a\.png"):
            load_photo(tmp_path / "a.png", 64, 48)

    def test_not_an_image(self, tmp_path: Path) -> None:
        (tmp_path / "a.png").write_text("hello")
        with pytest.raises(ValueError, match=r"a\.png cannot be read as a picture"):
            load_photo(tmp_path / "a.png", 64, 48)

    @pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "tif", "gif"])
    def test_truncated(self, tmp_path: Path, suffix: str) -> None:
        noise = np.random.default_rng(0).integers(0, 255, (48, 64, 3), dtype=np.uint8)
        file = saved(Image.fromarray(noise), tmp_path / f"a.{suffix}")
        content = file.read_bytes()
        file.write_bytes(content[: len(content) // 2])
        with pytest.raises(ValueError, match=rf"a\.{suffix} cannot be read as a picture"):
            load_photo(file, 64, 48)

    @pytest.mark.parametrize("size", [(1, 1), (15, 100), (100, 15)])
    def test_too_small(self, tmp_path: Path, size: tuple[int, int]) -> None:
        file = saved(Image.new("RGB", size), tmp_path / "a.png")
        with pytest.raises(ValueError, match=f"has {size[0]}x{size[1]} pixels: at least 16"):
            load_photo(file, 64, 48)

    @pytest.mark.parametrize("side", [13800, 20000])
    def test_too_large(self, tmp_path: Path, side: int) -> None:
        """Only the header is read: a tiny file that claims many pixels."""
        header = side.to_bytes(4, "big") * 2 + bytes([8, 2, 0, 0, 0])
        chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(b"")), (b"IEND", b"")]
        packed = [len(d).to_bytes(4, "big") + n + d + zlib.crc32(n + d).to_bytes(4, "big") for n, d in chunks]
        (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(packed))
        with pytest.raises(ValueError, match=r"a\.png .*scale it below"):
            load_photo(tmp_path / "a.png", 64, 48)
