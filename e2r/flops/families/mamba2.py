"""Mamba-2: state-space mixers and nothing else."""

from __future__ import annotations

from collections.abc import Mapping

from e2r.flops.blocks import norm
from e2r.flops.config import Config, Required
from e2r.flops.heads import Classes, language_model
from e2r.flops.shapes import decoder_only, repeat
from e2r.flops.statespace import SCAN_GAP, Mixer, mamba2
from e2r.flops.structure import Layer, Structure

MODEL_TYPES: Mapping[str, Mapping[str, object]] = {
    "mamba2": {
        "vocab_size": Required(32768),
        "hidden_size": Required(4096),
        "num_hidden_layers": Required(64),
        "num_heads": Required(128),
        "head_dim": Required(64),
        "state_size": 128,
        "n_groups": 8,
        "expand": 2,
        "conv_kernel": 4,
        "chunk_size": 256,
        "use_bias": False,
        "use_conv_bias": True,
        "tie_word_embeddings": False,
    },
}
HEADS: Mapping[str, Classes] = {
    "mamba2": language_model("Mamba2"),
}


def build(config: Config) -> Structure:
    """Chunk padding makes the reference's cost a step function of the prompt's length."""
    width, heads, head_dim = (config.size(n) for n in ("hidden_size", "num_heads", "head_dim"))
    if width * config.size("expand") != heads * head_dim:
        config.refuse("num_heads", f"times head_dim {head_dim} is not expand times {width}")
    mixer = Mixer(
        width=width,
        heads=heads,
        head_dim=head_dim,
        state=config.size("state_size"),
        groups=config.size("n_groups"),
        kernel=config.size("conv_kernel"),
        chunk=config.size("chunk_size"),
        bias=config.flag("use_bias"),
        conv_bias=config.flag("use_conv_bias"),
    )

    def layer(_: None) -> Layer:
        return Layer((norm("norm", width), *mamba2("mixer", mixer)))

    return decoder_only(
        config,
        repeat(layer, [None] * config.size("num_hidden_layers")),
        width=width,
        final=(norm("norm_f", width),),
        gaps=(SCAN_GAP,),
    )
