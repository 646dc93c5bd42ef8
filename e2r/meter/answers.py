"""Requests that something else computed: their tokens, as it reports them."""

from __future__ import annotations

from dataclasses import dataclass

from e2r.meter.sheet import Row


@dataclass(frozen=True)
class Answer:
    """A request's counts; `model` is what the column of that name says. `qid` may be empty.

    `prompt` is the text that was asked, by which a request finds its topic.
    """

    model: str
    prompt_tokens: int
    generated_tokens: int = 0
    cached_tokens: int = 0
    decoder_prompt_tokens: int = 0
    qid: str = ""
    prompt: str = ""

    def row(self, qid: str) -> Row:
        """The row: what was computed elsewhere is taken to be what was asked for."""
        head = 1
        return Row(
            self.qid or qid,
            self.model,
            self.prompt_tokens,
            self.cached_tokens,
            self.decoder_prompt_tokens,
            self.generated_tokens,
            head,
            0,
            1,
            self.prompt_tokens,
            self.cached_tokens,
            self.decoder_prompt_tokens,
            self.generated_tokens,
            head,
        )
