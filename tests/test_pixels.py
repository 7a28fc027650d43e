import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from splatmem.pixels import from_uint8, to_uint8


@given(arrays.arrays(np.uint8, st.tuples(st.integers(1, 4), st.integers(1, 4), st.just(3))))
def test_bytes_come_back_as_they_were(picture: np.ndarray) -> None:
    assert np.array_equal(to_uint8(from_uint8(picture)), picture)
    assert torch.equal(from_uint8(torch.from_numpy(picture)), from_uint8(picture))


def test_colours_are_rounded_and_cut_off() -> None:
    rgb = torch.tensor([[-0.5, 0.499 / 255, 0.501 / 255], [1.0, 254.4 / 255, 2.0]])
    assert to_uint8(rgb).tolist() == [[0, 0, 1], [255, 254, 255]]
