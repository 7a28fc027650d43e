"""The vision transformer beside the convolutions: its tokens, what it adds, and its 8-bit weights."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from splatmem.depth.embedded.pretrained import SmallDepthConfig, SmallDepthForDepthEstimation
from splatmem.depth.embedded.quantized import QuantizedLinear, quantize_linears
from splatmem.depth.embedded.token_stream import TokenStream, grid_of
from splatmem.depth.embedded.vision_transformer import PATCH, VisionTransformer
from torch import nn
from transformers import Dinov2Config, Dinov2Model

DEPTH, WIDTH = 4, 128


@pytest.fixture
def transformer() -> VisionTransformer:
    torch.manual_seed(0)
    transformer = VisionTransformer(WIDTH, DEPTH).eval()
    for parameter in transformer.parameters():
        nn.init.normal_(parameter, std=0.2)
    return transformer


def reference(transformer: VisionTransformer) -> Dinov2Model:
    """transformers' own model with the same weights."""
    config = Dinov2Config(
        hidden_size=WIDTH, num_hidden_layers=DEPTH, num_attention_heads=WIDTH // 64, image_size=518, patch_size=PATCH
    )
    model = Dinov2Model(config).eval()
    weights = transformer.state_dict()
    renamed = {
        "embeddings.cls_token": weights["class_token"],
        "embeddings.position_embeddings": weights["positions"],
        "embeddings.mask_token": torch.zeros(1, WIDTH),
    }
    for part in ("weight", "bias"):
        renamed[f"embeddings.patch_embeddings.projection.{part}"] = weights[f"patches.{part}"]
        renamed[f"layernorm.{part}"] = weights[f"norm.{part}"]
        for i in range(DEPTH):
            old, new = f"blocks.{i}", f"encoder.layer.{i}"
            for name, piece in zip(("query", "key", "value"), weights[f"{old}.query_key_value.{part}"].chunk(3), strict=True):
                renamed[f"{new}.attention.attention.{name}.{part}"] = piece
            pairs = (("output", "attention.output.dense"), ("expand", "mlp.fc1"), ("reduce", "mlp.fc2"))
            for name, theirs in (*pairs, ("norm1", "norm1"), ("norm2", "norm2")):
                renamed[f"{new}.{theirs}.{part}"] = weights[f"{old}.{name}.{part}"]
            for number in (1, 2):
                renamed[f"{new}.layer_scale{number}.lambda1"] = weights[f"{old}.scale{number}"]
    names = list(model.state_dict())
    if any("q_proj" in name for name in names):
        short = {"attention.attention.query": "attention.q_proj", "attention.attention.key": "attention.k_proj"}
        short |= {"attention.attention.value": "attention.v_proj", "attention.output.dense": "attention.o_proj"}
        for long, brief in short.items():
            renamed = {name.replace(long, brief): value for name, value in renamed.items()}
    model.load_state_dict(renamed)
    return model


@pytest.mark.parametrize("grid", [(3, 5), (37, 37)])
def test_tokens_are_those_of_transformers(transformer: VisionTransformer, grid: tuple[int, int]) -> None:
    picture = torch.randn(1, 3, PATCH * grid[0], PATCH * grid[1])
    theirs = reference(transformer)
    with torch.no_grad():
        outputs = transformer(picture, (2, DEPTH))
        hidden = theirs(picture, output_hidden_states=True).hidden_states
        for (patches, class_token), layer in zip(outputs, (2, DEPTH), strict=True):
            expected = theirs.layernorm(hidden[layer])
            torch.testing.assert_close(patches.flatten(2).transpose(1, 2), expected[:, 1:], atol=1e-4, rtol=1e-4)
            torch.testing.assert_close(class_token, expected[:, 0], atol=1e-4, rtol=1e-4)


def test_grid_keeps_the_shape_of_the_picture() -> None:
    rows, columns = grid_of(288, 512, 600)
    assert abs(rows * columns - 600) < 30
    assert abs(columns / rows - 512 / 288) < 0.1


def config(**more: object) -> SmallDepthConfig:
    return SmallDepthConfig(pyramid_channels=8, transformer=(64, 4), tokens=24, labels=5, **more)


def test_a_new_transformer_leaves_depth_as_it_was() -> None:
    torch.manual_seed(1)
    plain = SmallDepthForDepthEstimation(SmallDepthConfig(pyramid_channels=8)).eval()
    both = SmallDepthForDepthEstimation(config()).eval()
    both.load_state_dict(plain.state_dict(), strict=False)
    x = torch.rand(1, 3, 64, 96) * 2 - 1
    with torch.no_grad():
        torch.testing.assert_close(both(x).predicted_depth, plain(x).predicted_depth)
        logits = both(x).label_logits
    assert logits is not None
    assert logits.shape == (1, 5, 2 * 4, 2 * 6)


def test_gradients_reach_every_weight_of_the_stream() -> None:
    torch.manual_seed(2)
    stream = TokenStream(64, 4, channels=8, labels=3)
    for convolution in stream.to_levels:
        assert isinstance(convolution, nn.Conv2d)
        nn.init.normal_(convolution.weight)
    maps = stream(torch.rand(2, 3, 40, 60), (3, 5))
    assert maps.label_logits is not None
    (sum(level.square().mean() for level in maps.levels) + maps.label_logits.square().mean()).backward()  # type: ignore[union-attr]
    assert [name for name, p in stream.named_parameters() if p.grad is None] == []


def test_quantized_layer_is_within_half_a_step() -> None:
    torch.manual_seed(3)
    linear = nn.Linear(40, 30)
    quantized = QuantizedLinear.of(linear)
    step = linear.weight.abs().amax(1, keepdim=True) / 127
    weight = quantized(torch.eye(40)).T - linear.bias[:, None]
    assert bool(((weight - linear.weight).abs() <= 0.5001 * step + 1e-6).all())


def test_quantized_folder_round_trip(tmp_path: Path) -> None:
    torch.manual_seed(4)
    model = SmallDepthForDepthEstimation(config()).eval()
    assert model.stream is not None
    for convolution in model.stream.to_levels:
        assert isinstance(convolution, nn.Conv2d)
        nn.init.normal_(convolution.weight, std=0.05)
    quantize_linears(model.stream.transformer.blocks)
    model.config.quantized = True
    model.half().save_pretrained(tmp_path)
    loaded = SmallDepthForDepthEstimation.from_pretrained(tmp_path, dtype=torch.float32).eval()
    assert loaded.stream is not None
    layer = loaded.stream.transformer.blocks[0].expand
    assert isinstance(layer, QuantizedLinear)
    assert layer.integers.dtype == torch.int8
    x = torch.rand(1, 3, 64, 96) * 2 - 1
    with torch.no_grad():
        torch.testing.assert_close(loaded(x).predicted_depth, model.float()(x).predicted_depth, atol=1e-4, rtol=1e-3)
