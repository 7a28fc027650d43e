"""Whether tensors were changed in place."""

from torch import Tensor


def tensor_version(tensor: Tensor) -> int:
    """PyTorch's count of the tensor's changes in place; 0 for inference tensors, which have none."""
    try:
        return tensor._version
    except RuntimeError:  # to ask first whether it is one would take as long again
        return 0
