"""LTX-2 and SANA-WM, which share an autoencoder, at their published configurations, and tiny ones."""

# pyright: reportArgumentType=false
# Configurations are dictionaries of numbers, texts and lists, which the libraries' classes take by name.

from __future__ import annotations

from typing import Any

from splatmem.bench.making import TINY_TEXT, Maker, qwen_tokenizer

GEMMA3_12B: dict[str, Any] = {
    "vocab_size": 262208, "hidden_size": 3840, "intermediate_size": 15360, "num_hidden_layers": 48, "num_attention_heads": 16,
    "num_key_value_heads": 8, "head_dim": 256,
}  # fmt: skip
GEMMA2_2B: dict[str, Any] = {
    "vocab_size": 256000, "hidden_size": 2304, "intermediate_size": 9216, "num_hidden_layers": 26, "num_attention_heads": 8,
    "num_key_value_heads": 4, "head_dim": 256,
}  # fmt: skip
TINY_GEMMA: dict[str, Any] = {
    "vocab_size": 300, "hidden_size": TINY_TEXT, "intermediate_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2,
    "num_key_value_heads": 1, "head_dim": 4,
}  # fmt: skip
SIGLIP: dict[str, Any] = {
    "hidden_size": 1152, "intermediate_size": 4304, "num_hidden_layers": 27, "num_attention_heads": 16, "image_size": 896,
    "patch_size": 14,
}  # fmt: skip
TINY_SIGLIP: dict[str, Any] = {
    "hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "image_size": 28,
    "patch_size": 14,
}  # fmt: skip
FACTORS: dict[str, Any] = {"spatial_compression_ratio": 32, "temporal_compression_ratio": 8}
TINY_AUTOENCODER: dict[str, Any] = FACTORS | {
    "latent_channels": 8, "block_out_channels": (8, 8, 8, 8), "decoder_block_out_channels": (8, 16, 32),
    "layers_per_block": (1, 1, 1, 1, 1), "decoder_layers_per_block": (1, 1, 1, 1),
}  # fmt: skip
TINY_AUDIO_AUTOENCODER: dict[str, Any] = {
    "base_channels": 8, "ch_mult": (1, 1, 1), "num_res_blocks": 1, "latent_channels": 2, "mel_bins": 16,
}  # fmt: skip
TINY_VOCODER: dict[str, Any] = {
    "in_channels": 32, "hidden_channels": 8, "upsample_kernel_sizes": [4, 4], "upsample_factors": [2, 2],
    "resnet_kernel_sizes": [3], "resnet_dilations": [[1, 3, 5]],
}  # fmt: skip
# What is not said is the classes' own: diffusers has the published model's numbers there.
LTX2: dict[str, Any] = {"rope_type": "split"}
TINY_HEADS: dict[str, Any] = {"num_attention_heads": 2, "attention_head_dim": 8, "cross_attention_dim": 16}
TINY_LTX2: dict[str, Any] = {
    "in_channels": 8, "out_channels": 8, "audio_in_channels": 8, "audio_out_channels": 8, "num_layers": 2,
    "caption_channels": TINY_TEXT, **TINY_HEADS, **{f"audio_{name}": value for name, value in TINY_HEADS.items()},
}  # fmt: skip
TINY_CONNECTOR: dict[str, Any] = {
    "num_attention_heads": 2, "attention_head_dim": 4, "num_layers": 1, "num_learnable_registers": None,
}  # fmt: skip
TINY_CONNECTORS: dict[str, Any] = {
    "caption_channels": TINY_TEXT, "text_proj_in_factor": TINY_GEMMA["num_hidden_layers"] + 1,
    **{f"{kind}_connector_{name}": value for kind in ("video", "audio") for name, value in TINY_CONNECTOR.items()},
}  # fmt: skip
TINY_SANA_WM: dict[str, Any] = {
    "in_channels": 8, "num_layers": 2, "hidden_size": 16, "num_attention_heads": 2, "linear_head_dim": 8, "softmax_every_n": 2,
    "caption_channels": TINY_TEXT, "chunk_plucker_post_attn_blocks": 2,
}  # fmt: skip


def autoencoder(tiny: bool, make: Maker) -> Any:
    """8 frames and 32 pixels a side for a latent."""
    from diffusers import AutoencoderKLLTX2Video

    config = TINY_AUTOENCODER if tiny else FACTORS | {"decoder_causal": False}
    return make(lambda: AutoencoderKLLTX2Video(**config))


def ltx2_parts(tiny: bool, make: Maker) -> dict[str, Any]:
    """The parts of LTX-2, which all of its pipelines have; the sound's among them, which are loaded and not used."""
    from diffusers import AutoencoderKLLTX2Audio, FlowMatchEulerDiscreteScheduler, LTX2VideoTransformer3DModel
    from diffusers.pipelines.ltx2 import LTX2TextConnectors, LTX2Vocoder
    from transformers import Gemma3Config, Gemma3ForConditionalGeneration

    words = Gemma3Config(
        text_config=TINY_GEMMA if tiny else GEMMA3_12B,
        vision_config=TINY_SIGLIP if tiny else SIGLIP,
        mm_tokens_per_image=4 if tiny else 256,
    )
    return {
        "scheduler": FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True, base_shift=0.95, max_shift=2.05),
        "vae": autoencoder(tiny, make),
        "audio_vae": make(lambda: AutoencoderKLLTX2Audio(**(TINY_AUDIO_AUTOENCODER if tiny else {}))),
        "text_encoder": make(lambda: Gemma3ForConditionalGeneration(words)),
        "tokenizer": qwen_tokenizer(),
        "connectors": make(lambda: LTX2TextConnectors(**(TINY_CONNECTORS if tiny else LTX2))),
        "transformer": make(lambda: LTX2VideoTransformer3DModel(**(TINY_LTX2 if tiny else LTX2))),
        "vocoder": make(lambda: LTX2Vocoder(**(TINY_VOCODER if tiny else {}))),
    }


def ltx2(tiny: bool, make: Maker) -> Any:
    from splatmem.inpaint.diffusers.ltx2_pipeline import MemoryLTX2Pipeline

    build: Any = MemoryLTX2Pipeline
    return build(**ltx2_parts(tiny, make))


def sana_wm(tiny: bool, make: Maker) -> Any:
    from diffusers import FlowMatchEulerDiscreteScheduler, SanaWMPipeline, SanaWMTransformer3DModel
    from transformers import Gemma2Config, Gemma2Model

    words = Gemma2Config(**(TINY_GEMMA if tiny else GEMMA2_2B))
    return SanaWMPipeline(
        tokenizer=qwen_tokenizer(),
        text_encoder=make(lambda: Gemma2Model(words)),
        vae=autoencoder(tiny, make),
        transformer=make(lambda: SanaWMTransformer3DModel(**(TINY_SANA_WM if tiny else {}))),
        scheduler=FlowMatchEulerDiscreteScheduler(shift=3.0),
    )
