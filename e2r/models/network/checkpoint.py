"""What a checkpoint's config says of running it: the class that reads it, the longest prompt."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import transformers

from e2r.errors import E2RError, UsageError
from e2r.flops.architecture import Architecture

UNREAD = {
    "JinaForRanking": "its scores come from a projector over the states of query and passages",
    "LayerWiseMiniCPMForCausalLM": "its scores come from one head for each layer",
    "CostWiseGemmaForCausalLM": "its scores come from one head for each layer",
}
"""Classes of checkpoints that would run as another model, and say something else."""


def kind_of(config: Any) -> Any:
    """The class of transformers that reads the weights which a config belongs to."""
    if _classifies(config):
        return transformers.AutoModelForSequenceClassification
    if config.is_encoder_decoder:
        return transformers.AutoModelForSeq2SeqLM
    return transformers.AutoModelForCausalLM


def classifies(config: Any) -> bool:
    """Whether the checkpoint is a sequence classifier.

    Raises UsageError for one whose scores come from code of its own, which nothing here calls.
    """
    for name in config.architectures or ():
        if name in UNREAD:
            raise UsageError(
                f"{config.name_or_path} ({name}) is priced and not run: {UNREAD[name]}"
            )
    return _classifies(config)


def _classifies(config: Any) -> bool:
    return any("ForSequenceClassification" in name for name in config.architectures or ())


def context_of(config: Any, tokenizer: Any, facts: Mapping[str, Any]) -> int | None:
    """The longest prompt in tokens, or None without a limit.

    A classifier's tokenizer knows of positions that are not for tokens.
    """
    try:
        known = [Architecture.load(facts).context]
    except E2RError:
        # An architecture that has no price can still be run.
        known = [getattr(config.get_text_config(), "max_position_embeddings", None)]
    if _classifies(config):
        known.append(tokenizer.model_max_length)
    return min((length for length in known if length), default=None)
