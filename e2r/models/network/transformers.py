"""Language models run by transformers: decoder-only and encoder–decoder, safetensors or GGUF."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, Literal

import torch
import transformers
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from e2r.errors import DataError, UsageError
from e2r.models.encoding import Encoder
from e2r.models.network import onednn, peaks, short_attention
from e2r.models.network.batches import Item, batches
from e2r.models.network.checkpoint import classifies, context_of, kind_of
from e2r.models.network.files import files_of, first_line, missing, refuse_untyped_code
from e2r.models.network.memory import out_of_memory, release
from e2r.models.network.passes import Passes
from e2r.models.reuse import ALONE, Prefix, Reuse, Share
from e2r.prompts.request import (
    Attention,
    Classify,
    Generate,
    Labels,
    Reason,
    Reply,
    Request,
)
from e2r.records.manifest import ModelRecord
from e2r.records.spec import ExecutionSpec, ModelSpec

CPU_TOKENS, ACCELERATOR_TOKENS = 1024, 8192
"""Tokens a batch unless given: what a processor's caches hold, what keeps an accelerator busy."""

# What a config says about files and software rather than about the architecture.
NOT_ARCHITECTURE = ("_name_or_path", "quantization_config", "transformers_version", "dtype")


def load(
    spec: ModelSpec, execution: ExecutionSpec, note: Callable[[str], None] = lambda _: None
) -> TransformersModel:
    """Load configuration and tokenizer; the weights follow with the first request.

    `note` is told what the user should know and no reply says. Raises MissingError where they are
    neither here nor to be fetched, DataError where the revision is not the one asked for or the
    files do not make a language model.
    """
    transformers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()
    device = execution.device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    where, options, name, revision = files_of(spec)
    if spec.trust_remote_code:
        refuse_untyped_code(spec, revision)
    options["trust_remote_code"] = spec.trust_remote_code
    try:
        config = transformers.AutoConfig.from_pretrained(where, **options)
        tokenizer = transformers.AutoTokenizer.from_pretrained(where, **options)
        kind = kind_of(config)
    except (OSError, ImportError) as error:
        raise missing(spec, error) from error
    except BaseException as error:
        # What the tokenizers' Rust panics with is no Exception.
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        raise DataError(
            f"model {spec.source}: not a language model ({type(error).__name__}: "
            f"{first_line(error)})"
        ) from error
    facts = {
        key: value
        for key, value in json.loads(config.to_json_string(use_diff=False)).items()
        if key not in NOT_ARCHITECTURE
    }
    record = ModelRecord(
        id=spec.source, name=name, revision=revision, dtype=spec.dtype, architecture=facts
    )
    if "gguf_file" not in options:
        options["use_safetensors"] = True

    def weights() -> Any:
        spread = {} if execution.device_map is None else {"device_map": execution.device_map}
        try:
            model = kind.from_pretrained(
                where, dtype=getattr(torch, spec.dtype), **spread, **options
            )
        except (OSError, ImportError) as error:
            raise missing(spec, error) from error
        except Exception as error:
            raise DataError(
                f"model {spec.source}: its weights cannot be loaded ({first_line(error)}); fetch "
                "them again"
            ) from error
        # A checkpoint's own penalties and samplers would make greedy decoding something else.
        if model.can_generate():
            model.generation_config = transformers.GenerationConfig(
                eos_token_id=model.generation_config.eos_token_id,
                decoder_start_token_id=model.generation_config.decoder_start_token_id,
            )
        if spread:
            return model.eval()
        if device == "cpu":
            short_attention.use(model)
            return onednn.pack(model.eval())
        try:
            return model.eval().to(device)
        except (RuntimeError, AssertionError) as error:
            raise UsageError(
                f"device {device!r} cannot hold the model ({first_line(error)}); choose another "
                "by --device"
            ) from error

    thinking: Literal["on", "off"] = "on" if spec.thinking else "off"
    return TransformersModel(weights, config, tokenizer, record, execution, device, note, thinking)


class TransformersModel:
    """A language model replying to requests in batches of similar length.

    Where memory runs out the batch is halved, and stays so.
    """

    def __init__(
        self,
        weights: Callable[[], Any],
        config: Any,
        tokenizer: Any,
        record: ModelRecord,
        execution: ExecutionSpec,
        device: str,
        note: Callable[[str], None],
        thinking: Literal["on", "off"] = "off",
    ) -> None:
        self.device = device
        self.batch_size = execution.batch_size
        self.classifies = classifies(config)
        self.encoder_decoder: bool = config.is_encoder_decoder and not self.classifies
        self._weights = weights
        self._record = record
        self._note = note
        self.batch_tokens = execution.batch_tokens or (
            CPU_TOKENS if device == "cpu" else ACCELERATOR_TOKENS
        )
        # No more than a batch of queries is under way at once; see together().
        self._reuse = Reuse(2 * execution.batch_size) if execution.reuse else None
        self._rows: int | None = getattr(config.get_text_config(), "vocab_size", None)
        fill = tokenizer.pad_token_id or 0
        # Padding is never attended to, so that any row of the embedding will do.
        self._fill: int = fill if self._rows is None or fill < self._rows else 0
        self._encoder = Encoder(
            tokenizer,
            decoder_start=config.decoder_start_token_id if self.encoder_decoder else None,
            context=context_of(config, tokenizer, record.architecture or {}),
        )
        if self._encoder.may_think:
            self._record = record.model_copy(update={"thinking": thinking})
            note(f"{record.name}: its chat template can have it think, which is {thinking}")
        elif self._encoder.thinks:
            note(
                f"{record.name}: its chat template opens a thought, which is left empty where the "
                "answer is read at once; where it thinks, what follows the thought is the answer"
            )

    @property
    def encoder(self) -> Encoder:
        """What counts, cuts and encodes; needs no weights."""
        return self._encoder

    def peaks(self) -> peaks.Peaks:
        """The best that the device does in the model's numbers."""
        return peaks.measured(self.device, self._record.dtype)

    @cached_property
    def _model(self) -> Any:
        return self._weights()

    @cached_property
    def _passes(self) -> Passes:
        return Passes(self._model, self._encoder, self._fill, self.encoder_decoder)

    @cached_property
    def _shares(self) -> bool:
        shares = not self.classifies and self._passes.shares
        if not shares:
            self._note(
                f"{self._record.name} keeps no plain cache of keys and values: identical calls are "
                "asked once, but prompt beginnings are computed anew"
            )
        return shares

    def record(self) -> ModelRecord:
        return self._record

    def cut(self, text: str, most: int) -> tuple[str, int]:
        return self._encoder.cut(text, most)

    def excess(self, request: Request) -> int:
        return self._encoder.excess(request)

    def count(self, request: Request, text: str | None, *, shares: bool) -> Reply:
        """The tokens that a reply would take; no weights are loaded."""
        return self._encoder.count(request, text, shares=shares)

    def prepare(self) -> None:
        """Load the weights, before any clock starts."""
        _ = self._model

    def reply(
        self, requests: Sequence[Request], scopes: Sequence[str] | None = None
    ) -> list[Reply]:
        self.prepare()
        if self._reuse is None or scopes is None:
            return self._compute(requests, [ALONE] * len(requests))
        return self._reuse.reply(requests, scopes, self._row, self._compute)

    def shareable(self, request: Request) -> tuple[tuple[int, ...], int] | None:
        """What a request's prompt may share with others of its query; no weights are loaded."""
        return self._encoder.shareable(request)

    def counted(self, request: Request) -> tuple[list[Reply], int]:
        """What a request takes alone, one reply a prefill, and the FLOPs that PyTorch counts.

        Attention is computed by plain matrix products, which FlopCounterMode sees on any device.
        """
        watch = FlopCounterMode(display=False, custom_mapping=onednn.told())
        with watch as counter, sdpa_kernel(SDPBackend.MATH):
            [reply] = self._compute([request], [ALONE])
        shared = self._encoder.encode(request).question
        if shared:
            prefills = [Reply(None, shared), replace(reply, cached_tokens=shared)]
        else:
            prefills = [reply]
        return prefills, int(counter.get_total_flops())

    def _row(self, request: Request) -> tuple[tuple[int, ...], int] | None:
        return self._encoder.shareable(request) if self._shares else None

    @torch.inference_mode()
    def _compute(self, requests: Sequence[Request], shares: Sequence[Share]) -> list[Reply]:
        for request in requests:
            self._refuse(request)
        began = time.perf_counter()
        beginnings = [share.prefix for share in shares if share.prefix is not None and share.pays]
        self._begin(beginnings)
        beginning = (time.perf_counter() - began) / max(len(beginnings), 1)
        items = [
            Item(place, request, self._encoder.encode(request), share)
            for place, (request, share) in enumerate(zip(requests, shares, strict=True))
        ]
        for item in items:
            self._refuse_unknown(item.encoded.prompt)
        replies: dict[int, Reply] = {}
        for batch in batches(items, self.batch_size, self.batch_tokens):
            for item, reply in zip(batch, self._attempt(batch), strict=True):
                extra = beginning if item.share.pays else 0.0
                replies[item.place] = replace(reply, seconds=reply.seconds + extra)
        return [replies[place] for place in range(len(requests))]

    def _begin(self, beginnings: Sequence[Prefix]) -> None:
        """Compute beginnings, fewer at once where the memory does not hold so many."""
        left = list(beginnings)
        while left:
            batch = left[: self.batch_size]
            try:
                self._passes.begin(batch)
            except (RuntimeError, MemoryError) as error:
                self._halve(len(batch), error)
            else:
                del left[: len(batch)]
                continue
            release()

    def _attempt(self, batch: Sequence[Item]) -> list[Reply]:
        """Replies to a batch, in halves where the memory does not hold it whole."""
        size = self.batch_size
        if len(batch) > size:
            return [*self._attempt(batch[:size]), *self._attempt(batch[size:])]
        began = time.perf_counter()
        try:
            answered = self._forward(batch)
        except (RuntimeError, MemoryError) as error:
            self._halve(len(batch), error)
        else:
            seconds = (time.perf_counter() - began) / len(batch)
            return [replace(r, seconds=seconds, batch_size=len(batch)) for r in answered]
        release()
        return self._attempt(batch)

    def _halve(self, tried: int, error: Exception) -> None:
        """From now on batches of half as many. Raises the error where memory is not its cause."""
        if tried == 1 or not out_of_memory(error):
            raise error
        self.batch_size = tried // 2
        self._note(f"out of memory with {tried} calls a batch; going on with {self.batch_size}")

    def _forward(self, batch: Sequence[Item]) -> list[Reply]:
        first = batch[0].request
        encoded = [item.encoded for item in batch]
        shares = [item.share for item in batch]
        if isinstance(first, Generate):
            return self._passes.generate(encoded, shares, first.max_new_tokens)
        if isinstance(first, Reason):
            ids = self._label_ids(batch)
            return self._passes.reason(encoded, shares, ids, first.until, first.max_new_tokens)
        if isinstance(first, Classify):
            return self._passes.classify(encoded)
        if isinstance(first, Attention):
            return self._passes.attend(encoded)
        if isinstance(first, Labels):
            return self._passes.label_logits(encoded, shares, self._label_ids(batch))
        return self._passes.likelihood(encoded, shares)

    def _label_ids(self, batch: Sequence[Item]) -> list[tuple[int, ...]]:
        return [
            self._encoder.label_ids(item.request)
            for item in batch
            if isinstance(item.request, Labels | Reason)
        ]

    def _refuse_unknown(self, ids: Sequence[int]) -> None:
        if self._rows is not None and max(ids, default=0) >= self._rows:
            raise DataError(
                f"model {self._record.id}: its tokenizer gives token {max(ids)}, but its embedding "
                f"has {self._rows} rows; the tokenizer is another model's, or tokens were added "
                "without resizing the embedding"
            )

    def _refuse(self, request: Request) -> None:
        if isinstance(request, Classify) != self.classifies:
            wants = "a sequence classifier" if isinstance(request, Classify) else "a language model"
            raise UsageError(
                f"this method asks {wants}, which {self._record.id} is not; only "
                "pointwise.cross_encoder asks sequence classifiers, and it asks no others"
            )
