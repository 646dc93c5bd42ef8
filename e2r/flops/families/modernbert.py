"""ModernBERT: gated FFN packed in two matrices, full attention in every third layer."""

from __future__ import annotations

from collections.abc import Mapping

from e2r.flops.blocks import Term, attention, embedding, fused_gated_ffn, linear, norm, residual
from e2r.flops.config import Config
from e2r.flops.heads import Classes, encoder
from e2r.flops.shapes import bidirectional, repeat, sizes
from e2r.flops.structure import Layer, PaperShape, Structure

MODEL_TYPES: Mapping[str, Mapping[str, object]] = {
    "modernbert": {
        **sizes(vocab=50368, width=768, inner=1152, layers=22, heads=12),
        "hidden_activation": "gelu",
        "max_position_embeddings": 8192,
        "attention_bias": False,
        "mlp_bias": False,
        "norm_bias": False,
        "decoder_bias": True,
        "classifier_bias": False,
        "local_attention": 128,
        "layer_types": None,
        "global_attn_every_n_layers": 3,
        "tie_word_embeddings": True,
    },
}
HEADS: Mapping[str, Classes] = {
    "modernbert": encoder("ModernBert"),
}


def build(config: Config) -> Structure:
    """Local layers see local_attention / 2 positions on each side."""
    width, inner = config.size("hidden_size"), config.size("intermediate_size")
    vocabulary, count = config.size("vocab_size"), config.size("num_hidden_layers")
    _, heads, _, head_dim = config.heads(width, kv_heads=None, head_dim=None)
    bias, norm_bias = config.flag("attention_bias"), config.flag("norm_bias")
    function = config.word("hidden_activation")
    reach = config.size("local_attention") // 2

    def layer(key: tuple[bool, bool]) -> Layer:
        local, first = key
        terms = (
            *linear("attn.Wqkv", width, 3 * width, bias),
            *attention(
                "attn.scores", heads, head_dim, window=reach if local else None, stored=2 * width
            ),
            *linear("attn.Wo", width, width, bias),
            Term("attn.rotary", "rotary", 0),
            residual("attn"),
            # The embeddings are normed already, so that the first layer does not norm them again.
            *(() if first else (norm("attn_norm", width, "layer", norm_bias),)),
            norm("mlp_norm", width, "layer", norm_bias),
            *fused_gated_ffn(
                width, inner, function, names=("Wi", "Wo"), bias=config.flag("mlp_bias")
            ),
        )
        return Layer(terms, PaperShape(heads, heads, inner))

    kinds = config.per_layer("layer_types", count, ("full_attention", "sliding_attention"))
    if kinds is None:
        period = config.size("global_attn_every_n_layers")
        local = [i % period != 0 for i in range(count)]
    else:
        local = [kind == "sliding_attention" for kind in kinds]
    plain = config.flag("classifier_bias")
    tied = config.flag("tie_word_embeddings")
    return bidirectional(
        config,
        repeat(layer, [(slides, i == 0) for i, slides in enumerate(local)]),
        width=width,
        around=(
            embedding("tok_embeddings", vocabulary, width),
            norm("embeddings.norm", width, "layer", norm_bias),
            norm("final_norm", width, "layer", norm_bias),
        ),
        heads={
            "classification": (
                *linear("head.dense", width, width, plain, per="call"),
                norm("head.norm", width, "layer", norm_bias, per="call"),
                *linear("classifier", width, config.labels(), bias=True, per="call"),
            ),
            "generation": (
                *linear("head.dense", width, width, plain, per="position"),
                norm("head.norm", width, "layer", norm_bias, per="position"),
                *linear(
                    "decoder",
                    width,
                    vocabulary,
                    config.flag("decoder_bias"),
                    per="position",
                    tied=tied,
                ),
            ),
            "embedding": (),
        },
        context=config.size("max_position_embeddings"),
    )
