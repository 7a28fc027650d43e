"""Whether tensors were changed in place."""

from torch import Tensor


def tensor_version(tensor: Tensor) -> int:
    """PyTorch's count of the tensor's changes in place; 0 for inference tensors, which have none."""
    return 0 if tensor.is_inference() else tensor._version
