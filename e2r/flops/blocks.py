"""Terms: the pieces of arithmetic that layers are declared with, and the usual groups of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from e2r.flops.config import Heads
from e2r.flops.expression import Expression

Per: TypeAlias = Literal[
    "token",
    "pair",
    "piece pair",
    "source",
    "cross",
    "context",
    "relative",
    "position",
    "call",
    "pass",
    "score",
    "convolved",
    "chunk token",
    "chunk pair",
    "chunk carry",
    "recurrent",
]
"""What a term's coefficient multiplies: each token of the stack, each query-key pair, each pair
inside of one of `window` equal pieces of the prompt, each encoder
token once (keys and values of cross-attention), each decoder-token-to-encoder-token pair, each
token of the context in each pass (expansion of a latent cache), each query with each relative
position it meets (at most `window`), each position that the head reads, each call, each forward
pass, each position that a sequence classifier scores, each output position of a convolution (kernel
`window`), each token, pair or carry of a scan in chunks of `window`, or each token of a recurrent
step."""

COUNTED_NAMES = {
    "linear": "linear layers",
    "attention": "attention products (QK, AV)",
    "attention.fused": "attention products (QK, AV)",
    "softmax": "softmax",
    "softmax.fused": "softmax",
    "norm.rms": "RMS norms",
    "norm.layer": "layer norms",
    "norm.own": "layer norms",
    "linear.operator": "linear layers",
    "bias.addmm": "biases",
    "bias": "biases",
    "rotary": "rotary embedding",
    "position": "position bias",
    "embedding": "embedding lookup",
    "residual": "residual additions",
    "gate": "gate products",
    "routing": "expert selection and weighting",
    "constant": "products of weights alone (they can be folded)",
    "convolution": "convolutions",
    "relative": "content-to-position products",
    "scan": "state-space read-out",
    "scan.chunked": "chunked form of the state-space scan",
    "scan.operator": "chunked form of the delta rule",
    "scan.elementwise": "reads of the delta rule's state (elementwise in the reference)",
    "scale": "scaling",
}
"""How reports call the kinds of terms; activations are called by their function."""


@dataclass(frozen=True)
class Term:
    """One piece of arithmetic: `flops` for each unit of `per`, and the weights it owns.

    `name` is the module path inside the layer as transformers names it. `parameters` are stored
    weights, biases included; `active` those that one token meets (None: all of them). `window`
    limits pairs. `stored` is the number of values a token leaves in the key-value cache. Linear
    terms keep `inputs` and `outputs` so that adapters can be sized; `copies` counts weight
    matrices of that shape that one token meets, out of `total`. `left` says what stands in place of
    the usage's amounts, by their names, where an earlier layer drops or merges tokens.
    """

    name: str
    kind: str
    flops: int
    per: Per = "token"
    parameters: int = 0
    active: int | None = None
    window: int | None = None
    stored: int = 0
    inputs: int = 0
    outputs: int = 0
    copies: int = 1
    total: int = 1
    left: tuple[tuple[str, Expression], ...] = ()


Terms: TypeAlias = tuple[Term, ...]


def linear(
    name: str,
    inputs: int,
    outputs: int,
    bias: bool = False,
    per: Per = "token",
    tied: bool = False,
    kind: Literal["linear", "linear.operator"] = "linear",
) -> Terms:
    """A matrix product: 2 · inputs · outputs for each unit; the bias is weights, not FLOPs.

    `kind` "linear.operator" is for families that multiply with the `@` operator, which profilers
    that patch torch's functions do not see.
    """
    weights = 0 if tied else inputs * outputs
    product = Term(name, kind, 2 * inputs * outputs, per, weights, inputs=inputs, outputs=outputs)
    if not bias:
        return (product,)
    return product, Term(f"{name}.bias", "bias", 0, per, outputs)


def vocabulary_head(name: str, width: int, rows: int, tied: bool) -> Terms:
    """The last product of a masked-language-model head, whose bias two modules share while tied.

    Untied, transformers keeps the bias twice and adds one of them.
    """
    product = linear(name, width, rows, bias=True, per="position", tied=tied)
    spare = Term(f"{name}.spare_bias", "bias", 0, "position", rows, active=0)
    return product if tied else (*product, spare)


def added_product(name: str, inputs: int, outputs: int) -> Terms:
    """A product whose bias is added in the same call (GPT-2's Conv1D, by torch.addmm).

    The profiler pays the bias once a pass, by the bias's own size.
    """
    return (
        *linear(name, inputs, outputs),
        Term(f"{name}.bias", "bias.addmm", outputs, per="pass", parameters=outputs),
    )


def experts(
    name: str, inputs: int, outputs: int, total: int, active: int, bias: bool = False
) -> Terms:
    """A matrix product in each of `active` experts a token, out of `total` that are stored."""
    size = inputs * outputs
    product = Term(
        name,
        "linear",
        2 * size * active,
        parameters=size * total,
        active=size * active,
        inputs=inputs,
        outputs=outputs,
        copies=active,
        total=total,
    )
    if not bias:
        return (product,)
    return product, Term(
        f"{name}.bias", "bias", 0, parameters=outputs * total, active=outputs * active
    )


def attention(
    name: str,
    heads: int,
    key_dim: int,
    value_dim: int | None = None,
    *,
    window: int | None = None,
    per: Per = "pair",
    fused: bool = True,
    stored: int = 0,
) -> Terms:
    """QKᵀ and AV for every pair, and one softmax element a head.

    Sharing keys among query heads saves memory, not arithmetic, so only query heads count.
    `fused` says that transformers hands both products to one SDPA kernel.
    """
    value_dim = key_dim if value_dim is None else value_dim
    suffix = ".fused" if fused else ""
    products = 2 * heads * (key_dim + value_dim)
    label = name if window is None else f"{name}[window={window}]"
    return (
        Term(label, f"attention{suffix}", products, per, window=window, stored=stored),
        Term(f"{label}.softmax", f"softmax{suffix}", heads, per, window=window),
    )


def self_attention(
    heads: Heads,
    *,
    bias: bool = False,
    output_bias: bool | None = None,
    window: int | None = None,
    prefix: str = "self_attn",
    names: tuple[str, str, str, str] = ("q_proj", "k_proj", "v_proj", "o_proj"),
    scores: str = "scores",
    rotary: bool = True,
) -> Terms:
    """The usual block: four projections and the attended pairs."""
    query, key, value, output = (f"{prefix}.{name}" for name in names)
    width, all_heads, shared = heads.width, heads.query * heads.size, heads.key_value * heads.size
    return (
        *linear(query, width, all_heads, bias),
        *linear(key, width, shared, bias),
        *linear(value, width, shared, bias),
        *attention(
            f"{prefix}.{scores}",
            heads.query,
            heads.size,
            window=window,
            stored=2 * shared,
        ),
        *linear(output, all_heads, width, bias if output_bias is None else output_bias),
        *((Term(f"{prefix}.rotary", "rotary", 0),) if rotary else ()),
        residual(prefix),
    )


def gated_ffn(
    width: int,
    inner: int,
    function: str,
    *,
    bias: bool = False,
    prefix: str = "mlp",
    names: tuple[str, str, str] = ("gate_proj", "up_proj", "down_proj"),
) -> Terms:
    """Three matrices: act(x · gate) ⊙ (x · up) · down."""
    gate, up, down = (f"{prefix}.{name}" for name in names)
    return (
        *linear(gate, width, inner, bias),
        *linear(up, width, inner, bias),
        *linear(down, inner, width, bias),
        activation(prefix, inner, function),
        Term(f"{prefix}.gate", "gate", 0),
        residual(prefix),
    )


def fused_gated_ffn(
    width: int,
    inner: int,
    function: str,
    *,
    prefix: str = "mlp",
    names: tuple[str, str] = ("gate_up_proj", "down_proj"),
    bias: bool = False,
) -> Terms:
    """A gated FFN whose first two matrices are one of twice the width."""
    first, last = (f"{prefix}.{name}" for name in names)
    return (
        *linear(first, width, 2 * inner, bias),
        *linear(last, inner, width, bias),
        activation(prefix, inner, function),
        Term(f"{prefix}.gate", "gate", 0),
        residual(prefix),
    )


def mixture(
    width: int,
    inner: int,
    function: str,
    *,
    total: int,
    active: int,
    prefix: str = "mlp",
    router: str = "gate",
    router_bias: bool = False,
    bias: bool = False,
) -> Terms:
    """A router over `total` experts, of which each token meets `active`; gated FFNs all."""
    return (
        *linear(f"{prefix}.{router}", width, total, router_bias),
        *experts(f"{prefix}.experts.gate_up_proj", width, 2 * inner, total, active, bias),
        *experts(f"{prefix}.experts.down_proj", inner, width, total, active, bias),
        activation(f"{prefix}.experts", inner * active, function),
        Term(f"{prefix}.routing", "routing", 0),
        Term(f"{prefix}.gate", "gate", 0),
        residual(prefix),
    )


def plain_ffn(
    width: int,
    inner: int,
    function: str,
    *,
    bias: bool = False,
    prefix: str = "mlp",
    names: tuple[str, str] = ("up_proj", "down_proj"),
) -> Terms:
    """Two matrices: act(x · up) · down."""
    up, down = (f"{prefix}.{name}" for name in names)
    return (
        *linear(up, width, inner, bias),
        *linear(down, inner, width, bias),
        activation(prefix, inner, function),
        residual(prefix),
    )


def activation(prefix: str, width: int, function: str, per: Per = "token") -> Term:
    """An elementwise function, one FLOP an element where a convention counts it at all."""
    return Term(f"{prefix}.{function}", f"activation.{function}", width, per)


def norm(
    name: str,
    width: int,
    kind: Literal["rms", "layer", "own"] = "rms",
    bias: bool = True,
    per: Per = "token",
) -> Term:
    """A normalisation; layer norms own a bias too unless told otherwise.

    "own" is a layer norm without bias that the family writes out itself.
    """
    weights = 2 * width if kind == "layer" and bias else width
    return Term(name, f"norm.{kind}", 5 * width if kind == "layer" else 0, per, weights)


def embedding(name: str, rows: int, width: int) -> Term:
    """A lookup table: weights, and no arithmetic."""
    return Term(name, "embedding", 0, parameters=rows * width, active=width)


def residual(prefix: str) -> Term:
    """The addition that ends a block."""
    return Term(f"{prefix}.residual", "residual", 0)
