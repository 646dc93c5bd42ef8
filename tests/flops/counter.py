"""FlopCounterMode over a model on the meta device, as FLOPs of each module across all layers."""

from __future__ import annotations

import re
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import AutoModelForCausalLM, DynamicCache, PretrainedConfig
from transformers.modeling_outputs import BaseModelOutput

from e2r.flops.architecture import Architecture
from e2r.flops.estimate import estimate
from e2r.flops.work import Usage

LAYER = re.compile(r"^.*?(?:^|\.)(?:layers|layer|block|blocks|h)\.\d+\.")
STACK = re.compile(r"(?:^|\.)(encoder|decoder)\.")


def build(config: PretrainedConfig, auto: Any = AutoModelForCausalLM) -> Any:
    """The model of a config on the meta device, eager and with countable experts."""
    with torch.device("meta"):
        model = auto.from_config(
            config, attn_implementation="eager", experts_implementation="batched_mm"
        )
    return model.eval()


def ids(count: int) -> torch.Tensor:
    return torch.zeros(1, count, dtype=torch.long, device="meta")


def decoder_counts(model: Any, *, cached: int, new: int, steps: int, head: int) -> dict[str, int]:
    """Prefill of `new` tokens over a cached prefix, then one-token steps; head on `head`."""
    name = "cache_params" if model.config.model_type == "mamba2" else "past_key_values"
    kept: dict[str, Any] = {name: DynamicCache(config=model.config), "use_cache": True}
    with torch.no_grad():
        if cached:
            model(input_ids=ids(cached), **kept, logits_to_keep=1)
        with FlopCounterMode(display=False) as counter:
            model(input_ids=ids(new), **kept, logits_to_keep=head)
            for _ in range(steps):
                model(input_ids=ids(1), **kept)
    return by_module(counter, model)


def call_counts(model: Any, **inputs: Any) -> dict[str, int]:
    """One forward call."""
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(**inputs)
    return by_module(counter, model)


def by_module(counter: FlopCounterMode, model: Any) -> dict[str, int]:
    """Own FLOPs (children's taken off) of each module path, layer numbers removed."""
    whole = {
        path: sum(counts.values())
        for path, counts in counter.get_flop_counts().items()
        if path != "Global"
    }
    own: dict[str, int] = {}
    for path, count in whole.items():
        children = sum(
            value
            for other, value in whole.items()
            if other.startswith(f"{path}.") and "." not in _below(other, path)
        )
        if count - children:
            name = short(path.partition(".")[2], model.config.is_encoder_decoder)
            own[name] = own.get(name, 0) + count - children
    return own


def _below(path: str, parent: str) -> str:
    # A ModuleList counts nothing itself, so "layers.0" is one step below its parent.
    rest = path[len(parent) + 1 :]
    return re.sub(r"^([a-zA-Z_]+)\.(\d+)", r"\1#\2", rest)


def short(path: str, parts: bool = False) -> str:
    """The path inside a layer; with `parts`, the stack's name and a colon in front."""
    stack = STACK.search(path)
    name = LAYER.sub("", path)
    return f"{stack[1]}:{name}" if parts and stack and name != path else name


def ours(arch: Architecture, usage: Usage, model: Any) -> dict[str, int]:
    """Our torch estimate, summed to the module that does each operation."""
    parts = bool(model.config.is_encoder_decoder)
    modules = {short(name, parts) for name, _ in model.named_modules()}
    found: dict[str, int] = {}
    for cost in estimate(arch, usage, "torch").operations:
        if not cost.flops:
            continue
        name = cost.name
        whole = f"{cost.part}:{name}" if parts and cost.part != "head" else name
        while whole and not _place(whole, modules):
            whole = whole.rpartition(".")[0]
        place = _place(whole, modules) or f"nowhere: {cost.name}"
        found[place] = found.get(place, 0) + cost.flops
    return found


def _place(name: str, modules: set[str]) -> str | None:
    if not name or name in modules:
        return name or None
    return next((module for module in sorted(modules) if module.endswith(f".{name}")), None)


def fake_counts(model: Any, tokens: int) -> dict[str, int]:
    """One forward call of an encoder; some (DeBERTa) read sizes from tensors, which need values."""
    if model.config.model_type != "deberta-v2":
        return call_counts(model, input_ids=ids(tokens))
    from torch._subclasses.fake_tensor import FakeTensorMode

    with FakeTensorMode():
        fake = type(model)(model.config).eval()
        inputs = torch.zeros(1, tokens, dtype=torch.long)
        return call_counts(fake, input_ids=inputs)


def pair_counts(model: Any, *, tokens: int, start: int, steps: int) -> dict[str, int]:
    """Encoder and decoder prompt in one call, then one-token steps over the caches."""
    masks: dict[str, Any] = {}
    if model.config.model_type == "t5gemma":  # its own masks read values, which meta has not
        none = {"full_attention": None, "sliding_attention": None}
        masks = {"attention_mask": none, "decoder_attention_mask": none}
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        out = model(input_ids=ids(tokens), decoder_input_ids=ids(start), use_cache=True, **masks)
        for _ in range(steps):
            model(
                encoder_outputs=BaseModelOutput(last_hidden_state=out.encoder_last_hidden_state),
                decoder_input_ids=ids(1),
                past_key_values=out.past_key_values,
                use_cache=True,
                **masks,
            )
    return by_module(counter, model)
