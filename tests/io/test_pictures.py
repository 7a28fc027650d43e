"""Pictures of every format and from every camera, through the one place that opens them."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import ExifTags, Image, ImageCms, PngImagePlugin, TiffImagePlugin
from splatmem.io import pictures
from splatmem.io.exif import FOCAL_LENGTH_35MM, ORIENTATION, exif_numbers, orientation_of
from splatmem.io.photo import load_photo
from splatmem.io.pictures import open_picture, picture_size, read_mask, read_picture

SIZE = (64, 48)


def gradient() -> np.ndarray:
    v, u = np.mgrid[: SIZE[1], : SIZE[0]]
    return np.stack([u * 4, v * 5, 0 * u + 100], axis=-1).astype(np.uint8)


def profile_of(gamma: float, primaries: tuple[float, ...] | None = None) -> bytes:
    """A matrix profile of RGB, or without ``primaries`` one of grey (ICC.1:2010); curves are plain powers."""

    def fixed(value: float) -> bytes:
        return struct.pack(">i", round(value * 65536))

    curve = b"curv" + struct.pack(">III", 0, 1, round(gamma * 256) << 16)[:10] + b"\0\0"
    white = b"XYZ \0\0\0\0" + fixed(0.9642) + fixed(1.0) + fixed(0.8249)
    name = b"desc" + struct.pack(">II", 0, 2) + b"x\0" + bytes(78 + 2)
    tags = {b"desc": name, b"wtpt": white}
    if primaries is None:
        tags[b"kTRC"] = curve
    else:
        for index, letter in enumerate((b"r", b"g", b"b")):
            tags[letter + b"XYZ"] = b"XYZ \0\0\0\0" + b"".join(fixed(v) for v in primaries[3 * index : 3 * index + 3])
            tags[letter + b"TRC"] = curve
    table, body, place = b"", b"", 128 + 4 + 12 * len(tags)
    for tag, content in tags.items():
        content += bytes(-len(content) % 4)
        table += tag + struct.pack(">II", place + len(body), len(content))
        body += content
    header = struct.pack(">I4sI4s4s4s", 0, b"lcms", 0x02400000, b"mntr", b"GRAY" if primaries is None else b"RGB ", b"XYZ ")
    header += bytes(12) + b"acsp" + bytes(28) + fixed(0.9642) + fixed(1.0) + fixed(0.8249)
    header += bytes(128 - len(header))
    whole = header + struct.pack(">I", len(tags)) + table + body
    return struct.pack(">I", len(whole)) + whole[4:]


# Display P3's primaries, adapted to D50 (as Apple's own profile has them).
P3 = (0.51512, 0.2412, -0.00105, 0.29198, 0.69225, 0.04189, 0.1571, 0.06657, 0.78407)


class TestFormats:
    @pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "avif", "tif", "jp2", "bmp", "gif", "ppm"])
    def test_read(self, tmp_path: Path, suffix: str) -> None:
        file = tmp_path / f"a.{suffix}"
        Image.fromarray(gradient()).save(file)
        picture = read_picture(file)
        assert picture.image.mode == "RGB"
        assert np.abs(np.asarray(picture.image).astype(int) - gradient()).mean() < 12
        assert picture.notes == ()

    def test_heic_through_the_extra(self, tmp_path: Path) -> None:
        pillow_heif = pytest.importorskip("pillow_heif", reason="needs pillow-heif, the extra 'heif'")
        pillow_heif.register_heif_opener()
        Image.fromarray(gradient()).save(tmp_path / "a.heic")
        assert np.abs(np.asarray(read_picture(tmp_path / "a.heic").image).astype(int) - gradient()).mean() < 6

    def test_heic_without_the_extra_is_named(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "pillow_heif", None)
        (tmp_path / "IMG_1.HEIC").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100))
        with pytest.raises(ValueError, match=r"needs the package pillow-heif: pip install 'splatmem\[heif\]'"):
            read_picture(tmp_path / "IMG_1.HEIC")

    @pytest.mark.parametrize("name", ["a.jpg", "a.eps", "a.png", "a"])
    @pytest.mark.parametrize(
        "content",
        [
            b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 64 64\n{} loop\n",
            b"\xd7\xcd\xc6\x9a" + bytes(60),
            b"P7 332\n" + bytes(90),
        ],
        ids=["PostScript", "WMF", "thumbnail"],
    )
    def test_no_other_decoder_is_asked(
        self, tmp_path: Path, name: str, content: bytes, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """PostScript under a picture's name would start Ghostscript."""
        (tmp_path / name).write_bytes(content)
        monkeypatch.setattr(subprocess, "Popen", lambda *_, **__: pytest.fail("a process was started"))
        with pytest.raises(ValueError, match=r"cannot be read as a picture: it is none, or of another kind; expected a whole"):
            read_picture(tmp_path / name)

    @pytest.mark.parametrize("marks", [{50706: b"\1\4\0\0"}, {254: 1}, {254: 1, 50706: b"\1\4\0\0"}])
    def test_a_raw_file_s_thumbnail_is_not_the_picture(self, tmp_path: Path, marks: dict[int, object]) -> None:
        tags = TiffImagePlugin.ImageFileDirectory_v2()
        for tag, value in marks.items():
            tags[tag] = value
        for name in ("a.dng", "a.tif", "a.jpg"):
            Image.fromarray(gradient()).save(tmp_path / name, format="TIFF", tiffinfo=tags)
            with pytest.raises(ValueError, match="thumbnail"):
                load_photo(tmp_path / name, *SIZE)

    def test_pillow_s_settings_stay_as_they_are(self, tmp_path: Path) -> None:
        before = PngImagePlugin.MAX_TEXT_CHUNK, PngImagePlugin.MAX_TEXT_MEMORY
        Image.fromarray(gradient()).save(tmp_path / "a.png")
        read_picture(tmp_path / "a.png")
        assert before == (PngImagePlugin.MAX_TEXT_CHUNK, PngImagePlugin.MAX_TEXT_MEMORY)


def exif_block(entries: list[tuple[int, int, int, bytes]], order: str = "<") -> bytes:
    """EXIF data with entries (tag, type, count, four bytes)."""
    packed = b"".join(struct.pack(f"{order}HHI", *entry[:3]) + entry[3] for entry in entries)
    mark = b"II*\0" if order == "<" else b"MM\0*"
    return b"Exif\0\0" + mark + struct.pack(f"{order}IH", 8, len(entries)) + packed + bytes(4)


TURNED = (ORIENTATION, 3, 1, b"\6\0\0\0")


class TestExif:
    @pytest.mark.parametrize(
        "damage",
        [
            [(0x0100, 2, 4, b"abc\0")],
            [(0x8769, 2, 4, b"abc\0")],
            [(0x8769, 4, 1, b"\xff\xff\xff\xff")],
            [(0x8769, 4, 1, b"\x08\0\0\0")],
            [(0x8825, 5, 1, b"\x26\0\0\0")],
            [(0x011A, 5, 1, b"\x26\0\0\0")],
            [(0x011A, 5, 0xFFFFFFFF, b"\xff\xff\xff\x7f")],
            [(0x9999, 99, 3, b"\0\0\0\0")] * 300,
        ],
    )
    def test_damage_does_not_matter_to_the_pixels_or_to_what_is_readable(self, tmp_path: Path, damage: list) -> None:
        for name, options in (("a.jpg", {"quality": 95}), ("a.png", {}), ("a.webp", {"lossless": True})):
            Image.fromarray(gradient()).save(tmp_path / name, exif=exif_block([TURNED, *damage]), **options)
            photo = load_photo(tmp_path / name, 48, 64)
            assert photo.original_size == (48, 64)
            assert photo.fov_x_degrees is None
            assert picture_size(tmp_path / name) == SIZE, "as it is stored"
            assert read_picture(tmp_path / name, upright=False).image.size == SIZE

    @pytest.mark.parametrize(
        "entry", [(ORIENTATION, 3, 2, b"\6\0\6\0"), (ORIENTATION, 4, 1, b"\6\0\0\0"), (ORIENTATION, 1, 1, b"\6")]
    )
    def test_orientation_of_odd_types(self, entry: tuple[int, int, int, bytes]) -> None:
        assert orientation_of(exif_numbers(exif_block([(*entry[:3], entry[3].ljust(4, b"\0"))]))) == 6

    @pytest.mark.parametrize("value", [0, 9, 255])
    def test_orientations_that_there_are_not(self, value: int) -> None:
        assert orientation_of(exif_numbers(exif_block([(ORIENTATION, 3, 1, struct.pack("<HH", value, 0))]))) == 1

    def test_cut_off_anywhere(self) -> None:
        exif = Image.Exif()
        exif[ExifTags.Base.Orientation] = 6
        exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.FocalLengthIn35mmFilm] = 28
        whole = exif.tobytes()
        assert exif_numbers(whole)[FOCAL_LENGTH_35MM] == 28
        for length in range(len(whole)):
            exif_numbers(whole[:length])

    @pytest.mark.parametrize("orientation", range(1, 9))
    def test_all_orientations_as_pillow_turns_them(self, tmp_path: Path, orientation: int) -> None:
        from PIL import ImageOps

        exif = Image.Exif()
        exif[ExifTags.Base.Orientation] = orientation
        Image.fromarray(gradient()).save(tmp_path / "a.png", exif=exif)
        with Image.open(tmp_path / "a.png") as image:
            expected = np.asarray(ImageOps.exif_transpose(image))
        np.testing.assert_array_equal(np.asarray(read_picture(tmp_path / "a.png").image), expected)


class TestColours:
    @pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "RGB jpg"])
    def test_a_wide_profile_in_every_mode(self, tmp_path: Path, mode: str) -> None:
        """(200, 60, 40) with P3's primaries and a gamma of 2.2: by the matrix of CSS Color 4, (219, 37, 13) in sRGB."""
        image = Image.new("RGB", SIZE, (200, 60, 40))
        file = tmp_path / ("a.jpg" if "jpg" in mode else "a.png")
        {"RGBA": image.convert("RGBA"), "P": image.quantize(2)}.get(mode, image).save(file, icc_profile=profile_of(2.2, P3))
        colour = np.asarray(read_picture(file).image)[24, 32]
        assert np.abs(colour.astype(int) - (219, 37, 13)).max() <= 3

    @pytest.mark.parametrize("kind", ["L", "LA", "I;16"])
    def test_linear_grey(self, tmp_path: Path, kind: str) -> None:
        grey = np.full(SIZE[::-1], 55, np.uint8)
        image = Image.fromarray(grey.astype(np.uint16) * 257) if kind == "I;16" else Image.fromarray(grey).convert(kind)
        image.save(tmp_path / "a.png", icc_profile=profile_of(1.0))
        assert np.abs(np.asarray(read_picture(tmp_path / "a.png").image).astype(int) - 128).max() <= 2

    def test_large_text_and_profiles(self, tmp_path: Path) -> None:
        text = PngImagePlugin.PngInfo()
        text.add_text("workflow", "{}" * 20_000_000, zip=True)
        text.add_itxt("prompt", "x" * 3_000_000, zip=True)
        profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
        profile = struct.pack(">I", len(profile) + 3_000_000) + profile[4:] + np.random.default_rng(0).bytes(3_000_000)
        Image.fromarray(gradient()).save(tmp_path / "a.png", pnginfo=text, icc_profile=profile)
        assert np.abs(np.asarray(read_picture(tmp_path / "a.png").image).astype(int) - gradient()).max() <= 2

    def test_damaged_chunks_that_hold_no_pixels(self, tmp_path: Path) -> None:
        buffer = io.BytesIO()
        Image.fromarray(gradient()).save(buffer, "PNG")
        content = buffer.getvalue()
        for name in (b"iCCP", b"zTXt", b"eXIf", b"tIME", b"gAMA"):
            chunk = struct.pack(">I", 5) + name + b"\xff\xff\0\xff\xff" + b"crc!"
            (tmp_path / "a.png").write_bytes(content[:33] + chunk + content[33:])
            np.testing.assert_array_equal(np.asarray(read_picture(tmp_path / "a.png").image), gradient())

    @pytest.mark.parametrize("channels", [1, 3])
    @pytest.mark.parametrize(("bits", "noted"), [(10, True), (12, True), (14, True), (16, False)])
    def test_fewer_bits_in_sixteen(self, tmp_path: Path, bits: int, noted: bool, channels: int) -> None:
        top = 2**bits - 1
        grey = np.linspace(0, top, SIZE[0] * SIZE[1]).round().astype(np.uint16).reshape(SIZE[::-1])
        cv2.imwrite(str(tmp_path / "a.tif"), grey if channels == 1 else np.dstack([grey] * 3))
        picture = read_picture(tmp_path / "a.tif")
        assert np.abs(np.asarray(picture.image)[..., 0] - grey * (255 / top)).max() <= 1
        assert len(picture.notes) == noted
        assert not noted or f"{bits} bits in 16" in picture.notes[0]

    @pytest.mark.parametrize("channels", [1, 3])
    @pytest.mark.parametrize(
        ("white", "brightest"), [(1, 1.0), (1, 1.02), (1, 3.0), (255, 255.0), (255, 260.0), (65535, 65535.0)]
    )
    def test_floating_point(self, tmp_path: Path, white: float, brightest: float, channels: int) -> None:
        """A few pixels shoot over white; that says nothing about the others."""
        grey = np.linspace(0, white, SIZE[0] * SIZE[1], dtype=np.float32).reshape(SIZE[::-1])
        grey[-1, -20:] = brightest
        cv2.imwrite(str(tmp_path / "a.tif"), grey if channels == 1 else np.dstack([grey] * 3))
        read = np.asarray(read_picture(tmp_path / "a.tif").image)[..., 0]
        assert np.abs(read - (grey * (255 / white)).clip(0, 255)).max() <= 1

    def test_floating_point_with_holes(self, tmp_path: Path) -> None:
        grey = np.full(SIZE[::-1], 0.5, np.float32)
        grey[0, :3] = np.nan, np.inf, -np.inf
        Image.fromarray(grey).save(tmp_path / "a.tif")
        read = np.asarray(read_picture(tmp_path / "a.tif").image)[..., 0]
        assert read[0, :4].tolist() == [0, 255, 0, 128]


class TestMasks:
    @pytest.mark.parametrize("mode", ["L", "RGB", "1", "RGBA", "I;16"])
    def test_black_is_not_used(self, tmp_path: Path, mode: str) -> None:
        used = np.zeros(SIZE[::-1], bool)
        used[:, 20:] = True
        image = Image.fromarray(used.astype(np.uint8) * 255)
        image = Image.fromarray(used.astype(np.uint16) * 65535) if mode == "I;16" else image.convert(mode)
        image.save(tmp_path / "m.png")
        np.testing.assert_array_equal(read_mask(tmp_path / "m.png", *SIZE), used)
        assert read_mask(tmp_path / "m.png", 32, 24)[:, 10:].all()

    def test_all_black_masks_everything_out(self, tmp_path: Path) -> None:
        Image.new("L", SIZE).save(tmp_path / "m.png")
        assert not read_mask(tmp_path / "m.png", *SIZE).any()


def test_a_png_that_promises_more_than_it_holds_allocates_nothing(tmp_path: Path) -> None:
    header = struct.pack(">IIBBBBB", 12_000, 12_000, 8, 6, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(bytes(50))), (b"IEND", b"")]
    packed = [struct.pack(">I", len(d)) + n + d + struct.pack(">I", zlib.crc32(n + d)) for n, d in chunks]
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(packed))
    with pytest.raises(ValueError, match=r"promises 12000x12000 pixels and is too short"), open_picture(tmp_path / "a.png"):
        pass


def test_every_picture_is_opened_there() -> None:
    """A format list that is given in one place alone cannot be forgotten in another."""
    root = Path(pictures.__file__).parents[1]
    openers = {
        str(file)
        for folder in (root, root.parent / "tools", root.parent / "examples")
        for file in folder.rglob("*.py")
        if "Image.open(" in file.read_text() and "formats=" not in file.read_text()
    }
    assert openers == set()
