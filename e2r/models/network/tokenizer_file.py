"""A tokenizer in one file: the tokenizers library's JSON, or a sentencepiece model."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from e2r.borders.reading import CONFIG_BYTES, MIB, content, json_file
from e2r.errors import DataError, MissingError

MOST_BYTES = 64 * MIB
USUAL = {"pad_token": "<pad>", "eos_token": "</s>"}
_SPECIAL = re.compile("(</?s>)")


def load_tokenizer(path: Path) -> Any:
    """The tokenizer of a .json or .model file.

    A chat template and special tokens are taken from NAME_config.json or tokenizer_config.json
    beside a .json file. Raises DataError for another file, MissingError where its library is not
    installed.
    """
    if path.suffix == ".model":
        return SentencePiece(path)
    if path.suffix != ".json":
        raise DataError(f"{path}: a tokenizer's file ends in .json or .model")
    try:
        from transformers import PreTrainedTokenizerFast
    except ImportError as error:
        raise MissingError(
            f"--tokenizer needs {error.name}; run: pip install 'e2r[run]'"
        ) from error
    options: dict[str, Any] = {}
    for name in (f"{path.stem}_config.json", "tokenizer_config.json"):
        beside = path.with_name(name)
        if beside.is_file():
            facts = json_file(beside, CONFIG_BYTES)
            wanted = ("chat_template", "bos_token", "eos_token", "pad_token", "unk_token")
            options = {key: facts[key] for key in wanted if facts.get(key) is not None}
            break
    content(path, MOST_BYTES)
    try:
        found = PreTrainedTokenizerFast(tokenizer_file=str(path), **options)
    except Exception as error:
        raise DataError(f"{path}: not a tokenizer ({str(error)[:200]})") from None
    # The file alone does not say which of its tokens pads and which ends; their spelling does.
    for role, spelled in USUAL.items():
        if getattr(found, role) is None and spelled in found.get_vocab():
            setattr(found, role, spelled)
    return found


class SentencePiece:
    """A sentencepiece model as Llama's first tokenizers use it: a start token before each text.

    The conversion in transformers splits some white space otherwise, so that the library itself is
    asked.
    """

    chat_template = None
    is_fast = False

    def __init__(self, path: Path) -> None:
        try:
            import sentencepiece
        except ImportError as error:
            raise MissingError(
                f"--tokenizer {path} needs sentencepiece; run: pip install 'e2r[run]'"
            ) from error
        try:
            self._model = sentencepiece.SentencePieceProcessor(
                model_proto=content(path, MOST_BYTES)
            )
        except (RuntimeError, ValueError) as error:
            raise DataError(f"{path}: not a sentencepiece model ({error})") from None
        self.bos_token_id, self.eos_token_id = self._model.bos_id(), self._model.eos_id()
        self.pad_token_id = max(self._model.pad_id(), 0)
        self.all_special_ids = [self.bos_token_id, self.eos_token_id]
        self.all_special_tokens = [self._model.id_to_piece(i) for i in self.all_special_ids]
        self.bos_token, self.eos_token = self.all_special_tokens

    def __call__(self, text: str, *, add_special_tokens: bool = True) -> dict[str, list[int]]:
        """Token ids of a text."""
        ids = [self.bos_token_id] if add_special_tokens else []
        for part in _SPECIAL.split(text):
            if part in self.all_special_tokens:
                ids.append(self._model.piece_to_id(part))
            elif part:
                ids += self._model.encode(part)
        return {"input_ids": ids}

    def decode(self, ids: list[int]) -> str:
        """Text of token ids."""
        return str(self._model.decode(ids))
