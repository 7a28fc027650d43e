import numpy as np
import pytest
import torch
from PIL import Image
from splatmem.pixels import to_uint8
from splatmem.report.sheet import SHEET_TILE_WIDTH, UNKNOWN_COLOUR, contact_sheet, depth_colours

HEIGHT, WIDTH = 72, 128
TILE_HEIGHT = SHEET_TILE_WIDTH * HEIGHT // WIDTH
PINK = np.array([round(255 * c) for c in UNKNOWN_COLOUR])


def frames(*greys: float) -> torch.Tensor:
    return torch.tensor(greys)[:, None, None, None].expand(-1, HEIGHT, WIDTH, 3)


def sheet_of(count: int, columns: int = 4) -> Image.Image:
    known = torch.ones(count, HEIGHT, WIDTH, dtype=torch.bool)
    known[:, :, WIDTH // 2 :] = False
    film = frames(*(0.1 + 0.05 * i for i in range(count)))
    return contact_sheet(
        list(to_uint8(film)), [(frames(*[0.9] * count), known)], torch.full((count, HEIGHT, WIDTH), 2.0), columns
    )


def tile(sheet: Image.Image, row: int, column: int) -> np.ndarray:
    """A tile without its white rim."""
    top, left = row * (TILE_HEIGHT + 2), column * (SHEET_TILE_WIDTH + 2)
    return np.asarray(sheet)[top + 1 : top + 1 + TILE_HEIGHT, left + 1 : left + 1 + SHEET_TILE_WIDTH]


def test_three_tiles_for_each_frame_in_reading_order() -> None:
    sheet = sheet_of(12)
    assert sheet.size == (4 * (SHEET_TILE_WIDTH + 2), 9 * (TILE_HEIGHT + 2))
    for index in range(12):
        row, column = 3 * (index // 4), index % 4
        assert np.abs(tile(sheet, row, column) - 255 * (0.1 + 0.05 * index)).max() < 1.5, f"film, frame {index}"
        before = tile(sheet, row + 1, column)
        assert np.abs(before[:, : SHEET_TILE_WIDTH // 2 - 8] - 0.9 * 255).max() < 1.5
        assert np.abs(before[:, SHEET_TILE_WIDTH // 2 + 8 :] - PINK).max() < 1.5, "what was unknown is pink"
        assert np.ptp(tile(sheet, row + 2, column), axis=(0, 1)).max() == 0, "a plane has one colour of depth"


def test_missing_frames_are_white() -> None:
    sheet = sheet_of(5)
    assert sheet.size[1] == 6 * (TILE_HEIGHT + 2)
    assert (tile(sheet, 3, 1) == 255).all()
    assert (tile(sheet, 3, 0) < 250).any()


@pytest.mark.breaks_annotations
def test_parts_of_different_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="zip"):
        known = torch.ones(2, HEIGHT, WIDTH, dtype=torch.bool)
        contact_sheet(list(to_uint8(frames(0, 0))), [(frames(0, 0), known)], torch.ones(1, HEIGHT, WIDTH))


def test_depth_near_is_red_and_far_is_blue_on_one_scale() -> None:
    depth = torch.full((2, 40, 40), 2.0)
    depth[0, :20], depth[1] = 1.0, 8.0
    depth[1, 0], depth[1, 1] = torch.inf, torch.nan
    near, middle, far = depth_colours(depth)[0, 5, 5], depth_colours(depth)[0, 30, 5], depth_colours(depth)[1, 30, 5]
    sky, broken = depth_colours(depth)[1, 0, 0], depth_colours(depth)[1, 1, 0]
    assert near[0] > 2 * near[2]
    assert middle[1] > max(middle[0], middle[2])
    assert far[2] > far[0]
    assert torch.equal(sky, broken)
    assert sky.sum() < far.sum()


def test_bytes_are_rounded_and_clamped() -> None:
    values = torch.tensor([[-0.5, 0.0, 0.5 / 255 + 1e-6], [1.0, 1.7, 0.4999 / 255]])
    assert to_uint8(values).tolist() == [[0, 0, 1], [255, 255, 0]]
