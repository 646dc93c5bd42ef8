"""T5, Flan-T5, mT5 and UMT5: an encoder, and a decoder that attends to it."""

from __future__ import annotations

from collections.abc import Mapping

from e2r.flops.blocks import (
    Term,
    Terms,
    attention,
    embedding,
    gated_ffn,
    linear,
    norm,
    plain_ffn,
    residual,
)
from e2r.flops.config import Config, Required
from e2r.flops.heads import Classes
from e2r.flops.shared_fields import mode_of, refuse_strays, refuse_uneven
from e2r.flops.structure import Layer, PaperShape, Stack, Structure

_T5: Mapping[str, object] = {
    "vocab_size": Required(32128),
    "d_model": Required(512),
    "d_kv": Required(64),
    "d_ff": Required(2048),
    "num_layers": Required(6),
    "num_decoder_layers": None,
    "num_heads": Required(8),
    "feed_forward_proj": "relu",
    "relative_attention_num_buckets": 32,
    "tie_word_embeddings": True,
    "is_encoder_decoder": True,
    "is_decoder": False,
    "scale_decoder_outputs": True,
}
_MT5 = {
    **_T5,
    "vocab_size": Required(250112),
    "d_ff": Required(1024),
    "num_layers": Required(8),
    "num_heads": Required(6),
    "feed_forward_proj": "gated-gelu",
}

MODEL_TYPES: Mapping[str, Mapping[str, object]] = {"t5": _T5, "mt5": _MT5, "umt5": _MT5}

HEADS: Mapping[str, Classes] = {
    "t5": {
        "T5ForConditionalGeneration": "generation",
        "T5WithLMHeadModel": "generation",
        "T5EncoderModel": "embedding",
    },
    "mt5": {
        "MT5ForConditionalGeneration": "generation",
        "MT5EncoderModel": "embedding",
    },
    "umt5": {
        "UMT5ForConditionalGeneration": "generation",
        "UMT5EncoderModel": "embedding",
    },
}
ALIASES = {
    "hidden_size": "d_model",
    "num_attention_heads": "num_heads",
    "num_hidden_layers": "num_layers",
    "head_dim": "d_kv",
}


def build(config: Config) -> Structure:
    """Both stacks; the decoder reads the encoder's states through cross-attention."""
    width, inner = config.size("d_model"), config.size("d_ff")
    heads = config.size("num_heads")
    encoder_layers = config.size("num_layers")
    decoder_layers = config.optional_size("num_decoder_layers") or encoder_layers
    buckets = config.size("relative_attention_num_buckets")
    vocabulary = config.size("vocab_size")
    task = config.task or "generation"
    if config.flag("is_decoder"):
        config.refuse("is_decoder", "is true; the encoder would have a decoder's layers")
    if task == "classification":
        config.refuse("architectures", "asks for a classifier, which is not described for T5")
    shape = PaperShape(heads, heads, inner)
    encoder = Layer((*_attention(config, 0), *_ffn(config, 1)), shape)
    decoder = Layer((*_attention(config, 0), *_cross(config), *_ffn(config, 2)), shape)
    bias = Term("relative_attention_bias", "position", 0, parameters=buckets * heads)
    biases = encoder_layers if config.model_type == "umt5" else 1
    around: Terms = (*(bias,) * biases, norm("final_layer_norm", width))
    stacks = [
        Stack(
            "encoder",
            "encoder",
            width,
            (encoder,) * encoder_layers,
            (embedding("shared", vocabulary, width), *around),
        )
    ]
    head: Terms = ()
    refuse_uneven(config)
    if task == "generation":
        if config.get("is_encoder_decoder") is not True:
            config.refuse("is_encoder_decoder", "is not true, but the model generates")
        refuse_strays(config, (decoder,) * decoder_layers)
        mode_of(config, task, ())
        biases = decoder_layers if config.model_type == "umt5" else 1
        around = (*(bias,) * biases, norm("final_layer_norm", width))
        stacks.append(Stack("decoder", "decoder", width, (decoder,) * decoder_layers, around))
        # transformers ties both, and unties where it finds two tables, as with every checkpoint
        # whose config says that it is not tied; later it writes that down as unscaled outputs.
        tied = config.flag("tie_word_embeddings") and config.flag("scale_decoder_outputs")
        head = linear("lm_head", width, vocabulary, per="position", tied=tied)
    return Structure(
        name=config.source,
        model_type=config.model_type,
        task=task,
        stacks=tuple(stacks),
        head=head,
        context=None,
        config=dict(config.facts),
    )


def _attention(config: Config, place: int) -> Terms:
    width, heads, size = config.size("d_model"), config.size("num_heads"), config.size("d_kv")
    path = f"layer.{place}.SelfAttention"
    return (
        norm(f"layer.{place}.layer_norm", width),
        *linear(f"{path}.q", width, heads * size),
        *linear(f"{path}.k", width, heads * size),
        *linear(f"{path}.v", width, heads * size),
        *attention(f"{path}.scores", heads, size, fused=False, stored=2 * heads * size),
        *linear(f"{path}.o", heads * size, width),
        residual(path),
    )


def _cross(config: Config) -> Terms:
    width, heads, size = config.size("d_model"), config.size("num_heads"), config.size("d_kv")
    path = "layer.1.EncDecAttention"
    return (
        norm("layer.1.layer_norm", width),
        *linear(f"{path}.q", width, heads * size),
        *linear(f"{path}.k", width, heads * size, per="source"),
        *linear(f"{path}.v", width, heads * size, per="source"),
        *attention(
            f"{path}.scores", heads, size, per="cross", fused=False, stored=2 * heads * size
        ),
        *linear(f"{path}.o", heads * size, width),
        residual(path),
    )


def _ffn(config: Config, place: int) -> Terms:
    width, inner = config.size("d_model"), config.size("d_ff")
    path = f"layer.{place}.DenseReluDense"
    words = config.word("feed_forward_proj").split("-")
    if len(words) > 2 or (len(words) == 2 and words[0] != "gated"):
        config.refuse("feed_forward_proj", f"is {'-'.join(words)!r}; known: relu, gated-gelu, …")
    # Checkpoints that say gated-gelu were trained with the tanh form, written out by hand.
    function = "gelu_new" if words == ["gated", "gelu"] else words[-1]
    if len(words) == 2:
        ffn = gated_ffn(width, inner, function, prefix=path, names=("wi_0", "wi_1", "wo"))
    else:
        ffn = plain_ffn(width, inner, function, prefix=path, names=("wi", "wo"))
    return norm(f"layer.{place}.layer_norm", width), *ffn
