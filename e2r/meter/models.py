"""What a meter knows of a model that it meets: its facts, and whether they give a price."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

from e2r.errors import E2RError
from e2r.flops.architecture import Architecture
from e2r.flops.work import Mode
from e2r.meter.sheet import CLOSED, Sheet, slug

# What a config says about files and software rather than about the architecture.
NOT_ARCHITECTURE = ("_name_or_path", "quantization_config", "transformers_version", "dtype")
ENCODERS = {
    "T5Stack": "T5EncoderModel",
    "MT5Stack": "MT5EncoderModel",
    "UMT5Stack": "UMT5EncoderModel",
}
"""Encoders that `generate` runs by themselves, and the class that a config calls them by."""


@dataclass(frozen=True)
class Model:
    """A model that made a pass. `column` is what its rows say of it.

    `reason` says why it has no price, or is None. `mode` and `generates` are its architecture's;
    without one they are told by its class.
    """

    name: str
    column: str
    mode: Mode
    generates: bool
    reason: str | None = None

    @property
    def unpriced(self) -> str:
        """The column of a call that this model's price does not describe."""
        return f"{CLOSED}{self.name}"


class Models:
    """Every model met, read once; `note` is told what makes a price unsure."""

    def __init__(self, sheet: Sheet, note: Callable[[str], None]) -> None:
        self._sheet = sheet
        self._note = note
        self._known: WeakKeyDictionary[Any, Model] = WeakKeyDictionary()

    def of(self, module: Any) -> Model:
        """The model of a transformers module."""
        model = self._known.get(module)
        if model is None:
            model = self._known[module] = self._read(module)
        return model

    def _read(self, module: Any) -> Model:
        config = module.config
        kind = type(module).__name__
        name = slug(getattr(config, "_name_or_path", "") or kind)
        facts = {
            key: value
            for key, value in json.loads(config.to_json_string(use_diff=False)).items()
            if key not in NOT_ARCHITECTURE
        }
        # The class that runs says what is computed, not the one that the checkpoint was saved from.
        facts["architectures"] = [ENCODERS.get(kind, kind)]
        try:
            architecture = Architecture.load(facts)
        except E2RError as error:
            reason = f"{name} has no price: {error}"
            if kind.endswith("Encoder"):
                # Of an encoder-decoder, whose price it is a part of: told where it stays alone.
                return Model(name, f"{CLOSED}{name}", "encoder", False, reason)
            self._note(reason)
            pair = bool(getattr(config, "is_encoder_decoder", False))
            return Model(name, f"{CLOSED}{name}", "decoder" if pair else "causal", True, reason)
        self._compare(module, name, architecture)
        column = self._sheet.model(name, facts)
        return Model(name, column, architecture.mode, architecture.generates)

    def _compare(self, module: Any, name: str, architecture: Architecture) -> None:
        """Say where the weights are not those of the config: adapters, a head or pooler less."""
        held = sum(weight.numel() for weight in module.parameters())
        described = architecture.parameters.total
        # A tied head computes what an untied one does; T5's is tied whatever its config says.
        tied = getattr(module.config, "vocab_size", 0) * architecture.stacks[-1].width
        # Replicas of nn.DataParallel hold no weights of their own.
        if held and held not in (described, described - tied):
            self._note(
                f"{name} holds {held} weights, and its config describes {described}; what the "
                "difference computes (an adapter, a pooler, packed weights) is priced wrongly or "
                "not at all"
            )
