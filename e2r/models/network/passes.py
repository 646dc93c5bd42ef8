"""Forward passes of a loaded network over encoded requests, padded into batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import torch
import transformers

from e2r.errors import DataError, UsageError
from e2r.models.encoding import Encoded, Encoder
from e2r.models.network import attention, prefixes
from e2r.models.network.rows import Inputs, Rows
from e2r.models.network.thinking import think
from e2r.models.reuse import ALONE, Prefix, Share
from e2r.prompts.request import Reply

UNMASKED = {"rwkv", "minimax"}
"""Kinds of models whose layers read padding on the left, mask or not: they write one at a time."""


class Passes:
    """What a network computes for a batch; every method returns one reply a request, in order.

    `fill` is the token that pads. Replies hold the tokens that the asked-for arithmetic needs.
    `shares` say, row by row, which first tokens of a causal model's prompt are cached.
    """

    def __init__(self, network: Any, encoder: Encoder, fill: int, encoder_decoder: bool) -> None:
        self._model = network
        self._encoder = encoder
        self._fill = fill
        self._rows = Rows(network, fill)
        self.encoder_decoder = encoder_decoder

    @property
    def shares(self) -> bool:
        """Whether rows can begin with what another row has computed."""
        return not self.encoder_decoder and prefixes.shareable(self._model)

    def begin(self, beginnings: Sequence[Prefix]) -> None:
        """Compute beginnings, so that rows can share them."""
        prefixes.compute(self._model, beginnings, self._fill)

    def label_logits(
        self,
        encoded: Sequence[Encoded],
        shares: Sequence[Share],
        labels: Sequence[Sequence[int]],
    ) -> list[Reply]:
        """The logits of each row's labels at its last position."""
        logits, replies = self._logits(encoded, shares, lambda e: 1)
        return [
            replace(reply, value=tuple(row[-1, list(ids)].double().tolist()))
            for row, ids, reply in zip(logits, labels, replies, strict=True)
        ]

    def likelihood(self, encoded: Sequence[Encoded], shares: Sequence[Share]) -> list[Reply]:
        """Σ log p of each row's target."""
        logits, replies = self._logits(encoded, shares, lambda e: len(e.target))
        values = []
        for row, item in zip(logits, encoded, strict=True):
            target = torch.tensor(item.target, device=row.device)
            chances = row.float().log_softmax(-1).gather(-1, target[:, None])
            values.append(float(chances.double().sum()))
        return [replace(reply, value=value) for reply, value in zip(replies, values, strict=True)]

    def attend(self, encoded: Sequence[Encoded]) -> list[Reply]:
        """Attention to documents; the prompts must begin with the same ones."""
        if self.encoder_decoder:
            raise UsageError("attention.icr reads a decoder-only model's attention")
        return attention.attend(self._model, encoded)

    def classify(self, encoded: Sequence[Encoded]) -> list[Reply]:
        """The one logit of a sequence classifier, read where the network pools."""
        tokens, mask, padding = self._rows.pad([item.prompt for item in encoded], left=False)
        inputs = {"input_ids": tokens, "attention_mask": mask}
        if all(item.segments for item in encoded):
            inputs["token_type_ids"] = self._rows.pad([i.segments for i in encoded], left=False)[0]
        if self._model.config.pad_token_id is None:
            # Decoder-only classifiers look for the last token that is not padding.
            self._model.config.pad_token_id = self._fill
        logits = self._model(**inputs).logits
        if logits.shape[-1] != 1:
            raise DataError(
                f"this classifier has {logits.shape[-1]} classes; pointwise.cross_encoder wants "
                "one logit that says how relevant a passage is"
            )
        return [
            Reply(value, len(item.prompt), head_positions=1, padded_tokens=pad)
            for value, item, pad in zip(
                logits[:, 0].double().tolist(), encoded, padding, strict=True
            )
        ]

    def _logits(
        self,
        encoded: Sequence[Encoded],
        shares: Sequence[Share],
        wanted: Callable[[Encoded], int],
    ) -> tuple[list[torch.Tensor], list[Reply]]:
        """Each row's logits at its last `wanted` positions, and replies without values yet."""
        heads = [wanted(item) for item in encoded]
        if self.encoder_decoder:
            logits, replies = self._decoded(encoded, heads)
        elif all(share is ALONE for share in shares):
            logits, replies = self._alone(encoded, heads)
        else:
            logits, replies = self._continued(encoded, shares, heads)
        if logits.shape[1] != max(heads):
            raise DataError(
                f"{type(self._model).__name__} read {logits.shape[1]} positions where "
                f"{max(heads)} were asked for: its head cannot be watched"
            )
        return [row[-head:] for row, head in zip(logits, heads, strict=True)], replies

    def _decoded(
        self, encoded: Sequence[Encoded], heads: Sequence[int]
    ) -> tuple[torch.Tensor, list[Reply]]:
        """Logits at each decoder row's last positions, (rows, most heads, vocabulary)."""
        prompts, mask, padding = self._rows.pad([item.prompt for item in encoded], left=False)
        starts = [item.start + item.target[:-1] for item in encoded]
        decoder, _, more = self._rows.pad(starts, left=False)
        with self._head_reads(self._rows.last(starts, heads)):
            output = self._model(
                input_ids=prompts,
                attention_mask=mask,
                decoder_input_ids=decoder,
                use_cache=False,
            )
        replies = [
            Reply(
                value=None,
                prompt_tokens=len(item.prompt),
                decoder_prompt_tokens=len(start),
                head_positions=head,
                padded_tokens=pad + also,
            )
            for item, start, head, pad, also in zip(
                encoded, starts, heads, padding, more, strict=True
            )
        ]
        return output.logits, replies

    def _alone(
        self, encoded: Sequence[Encoded], heads: Sequence[int]
    ) -> tuple[torch.Tensor, list[Reply]]:
        """The same for causal rows that begin with nothing known.

        Padding stands on the right, where no real token attends to it: no mask is needed, and
        attention kernels leave out what a causal model never sees.
        """
        rows = [item.fed for item in encoded]
        tokens, _, padding = self._rows.pad(rows, left=False)
        with self._head_reads(self._rows.last(rows, heads)):
            output = self._model(input_ids=tokens, use_cache=False)
        replies = [
            Reply(value=None, prompt_tokens=len(row), head_positions=head, padded_tokens=pad)
            for row, head, pad in zip(rows, heads, padding, strict=True)
        ]
        return output.logits, replies

    def _continued(
        self, encoded: Sequence[Encoded], shares: Sequence[Share], heads: Sequence[int]
    ) -> tuple[torch.Tensor, list[Reply]]:
        """The same for causal rows of which some begin with what is cached."""
        rows = [item.fed for item in encoded]
        inputs = self._rows.continued(rows, shares)
        output = self._model(
            input_ids=inputs.fed,
            attention_mask=inputs.mask,
            position_ids=inputs.positions,
            logits_to_keep=max(heads),
            past_key_values=inputs.cache,
            use_cache=True,
        )
        replies = [
            Reply(
                value=None,
                prompt_tokens=len(row),
                cached_tokens=share.cached_tokens,
                head_positions=head,
                padded_tokens=pad,
            )
            for row, share, head, pad in zip(rows, shares, heads, inputs.padding, strict=True)
        ]
        return output.logits, replies

    @contextmanager
    def _head_reads(self, places: torch.Tensor | None) -> Iterator[None]:
        """Let the head read these positions, (rows, positions); None stands for each row's last.

        `logits_to_keep`, where a model has it, cannot name another place in each row.
        """

        def pick(_: Any, given: tuple[torch.Tensor]) -> tuple[torch.Tensor]:
            [hidden] = given
            if places is None:
                return (hidden[:, -1:],)
            # A model that is spread over devices ends on another one than it begins on.
            read = places.to(hidden.device)[:, :, None].expand(-1, -1, hidden.shape[-1])
            return (hidden.gather(1, read),)

        head = self._model.get_output_embeddings()
        if head is None:
            raise DataError(f"{type(self._model).__name__} has no head that could be read")
        hook = head.register_forward_pre_hook(pick)
        try:
            yield
        finally:
            hook.remove()

    def generate(
        self, encoded: Sequence[Encoded], shares: Sequence[Share], most: int
    ) -> list[Reply]:
        """At most `most` new tokens, greedily, as text; the end token counts where it comes."""
        if most == 1 and not self.encoder_decoder:
            logits, replies = self._logits(encoded, shares, lambda e: 1)
            return [
                replace(
                    reply,
                    value=item.opened + self._encoder.text([int(row[-1].argmax())]),
                    generated_tokens=1,
                )
                for row, reply, item in zip(logits, replies, encoded, strict=True)
            ]
        if len(encoded) > 1 and self._model.config.model_type in UNMASKED:
            pairs = zip(encoded, shares, strict=True)
            return [reply for e, s in pairs for reply in self.generate([e], [s], most)]
        ends = self._ends()
        settings = self._greedy(most)
        if self.encoder_decoder:
            tokens, mask, padding = self._rows.pad([item.prompt for item in encoded], left=False)
            starts = torch.tensor([item.start for item in encoded], device=tokens.device)
            with self._head_reads(None):
                output = self._model.generate(
                    input_ids=tokens,
                    attention_mask=mask,
                    decoder_input_ids=starts,
                    generation_config=settings,
                )
            skip = starts.shape[1]
        else:
            inputs = self._rows.continued([item.fed for item in encoded], shares)
            output = self._generate(inputs, settings)
            skip, padding = inputs.whole.shape[1], inputs.padding
        replies = []
        new = output[:, skip:].tolist()
        for item, share, row, pad in zip(encoded, shares, new, padding, strict=True):
            length = next((i + 1 for i, token in enumerate(row) if token in ends), len(row))
            start = len(item.start)
            idle = len(row) - length
            replies.append(
                Reply(
                    value=item.opened + self._encoder.text(row[:length]),
                    prompt_tokens=len(item.prompt) + (0 if self.encoder_decoder else start),
                    cached_tokens=share.cached_tokens,
                    decoder_prompt_tokens=start if self.encoder_decoder else 0,
                    generated_tokens=length,
                    head_positions=1,
                    padded_tokens=pad + idle,
                )
            )
        return replies

    def reason(
        self,
        encoded: Sequence[Encoded],
        shares: Sequence[Share],
        labels: Sequence[tuple[int, ...]],
        until: str,
        most: int,
    ) -> list[Reply]:
        """A thought of at most `most` tokens, then the logits of each row's labels."""
        if self.encoder_decoder:
            raise UsageError("the reasoning methods ask decoder-only models")
        if len(encoded) > 1 and self._model.config.model_type in UNMASKED:
            alone = zip(encoded, shares, labels, strict=True)
            return [r for e, s, ids in alone for r in self.reason([e], [s], [ids], until, most)]
        inputs = self._rows.continued([item.prompt for item in encoded], shares)
        generate = partial(self._generate, inputs, self._greedy(most + 1))
        width, device = inputs.whole.shape[1], inputs.whole.device
        thoughts = think(generate, self._encoder, width, labels, until, self._ends(), device)
        return [
            Reply(
                value,
                len(item.prompt),
                share.cached_tokens,
                generated_tokens=generated,
                head_positions=1,
                padded_tokens=pad,
            )
            for (value, generated), item, share, pad in zip(
                thoughts, encoded, shares, inputs.padding, strict=True
            )
        ]

    def _generate(
        self, inputs: Inputs, settings: transformers.GenerationConfig, **options: Any
    ) -> torch.Tensor:
        if inputs.cache is not None:
            options["past_key_values"] = inputs.cache
        output: torch.Tensor = self._model.generate(
            input_ids=inputs.whole,
            attention_mask=inputs.mask,
            generation_config=settings,
            **options,
        )
        return output

    def _ends(self) -> set[int]:
        """The ends that the checkpoint names, and those that only its tokenizer knows of."""
        named = self._model.generation_config.eos_token_id
        ends = set(named) if isinstance(named, list) else {named}
        return {end for end in ends | self._encoder.ends if end is not None}

    def _greedy(self, most: int) -> transformers.GenerationConfig:
        return transformers.GenerationConfig(
            max_new_tokens=most,
            do_sample=False,
            eos_token_id=sorted(self._ends()) or None,
            pad_token_id=self._fill,
            decoder_start_token_id=self._model.config.decoder_start_token_id
            if self.encoder_decoder
            else None,
        )
