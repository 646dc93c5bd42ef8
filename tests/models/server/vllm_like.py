"""A server with everything that vLLM has and e2r asks for, computed by a tiny model in the test."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from tests.models.server.local_servers import Said


class VllmLike:
    """Answers /completions (echo, logprobs, token ids) and /chat/completions (continuing).

    `listed` bounds how many alternatives it lists, `allowed` how many may be asked for, `refuses`
    names settings that it does not know. `by_id` says that it lists the tokens asked for by their
    ids, `names_ids` that it names tokens so always. It is written without e2r, from the model's own
    forward pass.
    """

    def __init__(
        self,
        folder: Path,
        listed: int | None = None,
        allowed: int = 20,
        refuses: Sequence[str] = (),
        by_id: bool = False,
        names_ids: bool = False,
    ) -> None:
        self._refuses = refuses
        self._by_id = by_id
        self._names_ids = names_ids
        self.tokenizer = AutoTokenizer.from_pretrained(folder)
        self.model = AutoModelForCausalLM.from_pretrained(folder).eval()
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.usage: dict[str, Any] = {}
        self._listed = listed
        self._allowed = allowed
        self._lock = threading.Lock()

    def __call__(self, path: str, body: dict[str, Any] | None, headers: Mapping[str, str]) -> Said:
        if path == "/v1/models":
            entry = {"id": "tiny", "object": "model", "owned_by": "tests", "max_model_len": 1024}
            return Said.json({"data": [entry]}, 200, Server="vllm-like/1")
        if path == "/version":
            return Said.json({"version": "0.1"})
        if body is None:
            return Said(404)
        for name in self._refuses:
            if name in body:
                return Said.json({"error": {"message": f"unknown parameter: {name!r}"}}, 400)
        if body["model"] != "tiny":
            return Said.json({"error": {"message": f"no model {body['model']}"}}, 404)
        if max(int(body.get("top_logprobs") or 0), int(body.get("logprobs") or 0)) > self._allowed:
            return Said.json({"error": {"message": "too many logprobs"}}, 400)
        with self._lock, torch.inference_mode():
            self.asked.append((path, json.loads(json.dumps(body))))
            return self._answer(path.removeprefix("/v1/"), body)

    def _answer(self, path: str, body: dict[str, Any]) -> Said:
        chat = path == "chat/completions"
        self._wanted = body.get("logprob_token_ids", []) if self._by_id else []
        prompt = self._of_chat(body) if chat else body["prompt"]
        ids = self.tokenizer(prompt)["input_ids"] if isinstance(prompt, str) else list(prompt)
        logits = self.model(torch.tensor([ids])).logits[0].log_softmax(-1)
        found = [(ids[0], None, None)] if body.get("echo") else []
        if body.get("echo"):
            found += [
                (token, float(row[token]), row) for row, token in zip(logits, ids[1:], strict=False)
            ]
        new: list[int] = []
        row = logits[-1]
        while len(new) < body["max_tokens"]:
            token = int(row.argmax())
            new.append(token)
            found.append((token, float(row[token]), row))
            if token == self.model.config.eos_token_id:
                break
            row = self.model(torch.tensor([ids + new])).logits[0, -1].log_softmax(-1)
        text = self.tokenizer.decode(new, skip_special_tokens=True)
        choice: dict[str, Any] = {"index": 0, "finish_reason": "length"}
        choice |= {"message": {"role": "assistant", "content": text}} if chat else {"text": text}
        if body.get("logprobs"):
            choice["logprobs"] = self._chat_shape(found) if chat else self._plain_shape(found)
        usage = {"prompt_tokens": len(ids), "completion_tokens": len(new), **self.usage}
        return Said.json({"choices": [choice], "usage": usage})

    def _of_chat(self, body: dict[str, Any]) -> list[int]:
        continues = body.get("continue_final_message", False)
        turns = body["messages"]
        opening = turns[-1]["content"] if continues else ""
        text = self.tokenizer.apply_chat_template(
            turns[:-1] if continues else turns, tokenize=False, add_generation_prompt=True
        )
        found: list[int] = self.tokenizer(text + opening)["input_ids"]
        return found

    def _tops(self, row: torch.Tensor) -> list[tuple[str, float]]:
        if self._wanted:
            return [(f"token_id:{token}", float(row[token])) for token in self._wanted]
        best = row.topk(self._listed or len(row))
        pairs = zip(best.indices.tolist(), best.values.tolist(), strict=True)
        return [(self._name(token), value) for token, value in pairs]

    def _name(self, token: int) -> str:
        return f"token_id:{token}" if self._names_ids else str(self.tokenizer.decode([token]))

    def _plain_shape(self, found: list[Any]) -> dict[str, Any]:
        return {
            "tokens": [self._name(token) for token, _, _ in found],
            "token_logprobs": [value for _, value, _ in found],
            "top_logprobs": [
                None if row is None else dict(reversed(self._tops(row))) for _, _, row in found
            ],
        }

    def _chat_shape(self, found: list[Any]) -> dict[str, Any]:
        return {
            "content": [
                {
                    "token": self._name(token),
                    "logprob": value,
                    "top_logprobs": [{"token": t, "logprob": v} for t, v in self._tops(row)],
                }
                for token, value, row in found
            ]
        }
