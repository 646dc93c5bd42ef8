"""How long the calls of a method are: expressions of the query's and the passages' lengths.

The expressions are the only place where prompt lengths are worked out ahead of a run; a page's
script evaluates the same ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from e2r.errors import UsageError
from e2r.flops.config import Task
from e2r.flops.expression import Constant, Expression, Variable, maximum
from e2r.flops.structure import generates
from e2r.flops.work import Mode

CHAT = 30
"""Tokens that a chat template puts around one user turn, its own system prompt included."""
SYSTEM = 13
"""The same where the template brings a system prompt, whose words count as its own."""
PAIR = 3
"""Special tokens around a query and a passage in a cross-encoder's input."""
CONTENTLESS = 3
"""Tokens of the query without content that attention is calibrated with."""

QUERY = Variable("query_tokens")
PASSAGE = Variable("passage_tokens")
EXTRA = Variable("extra_tokens")
ANSWER = Variable("answer_tokens")
PASSAGES = Variable("passages")


@dataclass(frozen=True)
class Lengths:
    """Tokens of a query and of a passage, what else stands in every prompt, and of a thought."""

    query: int = 9
    passage: int = 75
    extra: int = 0
    answer: int | None = None


@dataclass(frozen=True)
class Text:
    """Tokens of a prompt's own words, as SmolLM2's tokenizer counts the templates of this package.

    `fixed` are those of any call, `each` those that come with a passage, `queries` how often the
    query stands in it, `chat` and `turn` what a chat adds to a call and to each passage, `answer`
    the hundredths of a new token that a passage costs, and `start` the decoder prompt of
    encoder–decoder models: its start token and the words that open the answer. `scored` says that
    nothing is generated, `thinks` that the answer is a thought of open length, and `after` how
    many tokens follow the documents, the query apart, where calls share them.
    """

    fixed: int
    each: int = 0
    queries: int = 1
    chat: int = CHAT
    turn: int = 0
    answer: int = 0
    start: int = 1
    scored: bool = False
    thinks: bool = False
    after: int = 0
    before: int = 0
    leads: bool = True


LISTWISE = Text(131, each=6, queries=2, chat=9, turn=15, answer=455, before=81)
SETWISE = Text(32, each=8, start=3, before=50)
TEXTS: Mapping[str, Text] = {
    "pointwise.qlm": Text(13, queries=0, scored=True, before=27, leads=False),
    "pointwise.yes_no": Text(22, scored=True, before=27, leads=False),
    "pointwise.monot5": Text(6, scored=True, before=28),
    "pointwise.qwen3": Text(60, chat=SYSTEM, start=10, scored=True, before=67),
    "pointwise.graded": Text(29, scored=True, before=50),
    "pointwise.reasoning": Text(32, chat=0, thinks=True, before=28),
    "pairwise": Text(29, each=7, start=3, before=49),
    "pairwise.duot5": Text(10, scored=True, before=29),
    "pairwise.duot5.allpair": Text(10, scored=True, before=29),
    "setwise": SETWISE,
    "setwise.heapsort.likelihood": replace(SETWISE, scored=True),
    "setwise.bubblesort.likelihood": replace(SETWISE, scored=True),
    "setwise.insertion.likelihood": replace(SETWISE, scored=True),
    "setwise.heapsort.reasoning": Text(167, each=4, chat=SYSTEM, thinks=True, before=112),
    "listwise": LISTWISE,
    "listwise.likelihood": replace(SETWISE, scored=True),
    "listwise.first": Text(126, each=4, queries=2, chat=SYSTEM, start=2, scored=True, before=66),
    "listwise.reasoning": Text(185, each=5, queries=2, chat=SYSTEM, thinks=True, before=145),
    "listwise.embedding": Text(132, each=16, queries=2, chat=0, scored=True),
    "listwise.fid": Text(0, each=13, answer=455),
    "partition": LISTWISE,
    "tournament.blitzrank": LISTWISE,
    "tournament.jointrank": LISTWISE,
    "tournament.acurank": LISTWISE,
    "tournament": Text(108, each=13, queries=2, chat=22, turn=9, answer=210, before=92),
    "attention.icr": Text(25, each=5, scored=True, after=24, before=34, leads=False),
}
"""Prompt texts by method, else by family."""


def call_counts(mode: Mode, task: Task, method: str, kind: str) -> dict[str, Expression]:
    """The counts of a call, by the names of Usage's fields, as expressions.

    `kind` is the task that the plan asks, by its class's name. The variables are query_tokens,
    passage_tokens, extra_tokens, passages (how many stand in the call) and, for methods that
    think, answer_tokens. Raises UsageError where the method asks for what such a model cannot do.
    """
    if method == "pointwise.cross_encoder":
        _able(method, task == "classification", "a classifier")
        return _counts(mode, QUERY + PASSAGE + EXTRA + PAIR)
    if method == "listwise.embedding":
        _able(method, mode == "causal" and task == "embedding", "a decoder that embeds")
        text = TEXTS[method]
        prompt = PASSAGES * (PASSAGE + text.each) + QUERY * text.queries + EXTRA + text.fixed
        return _counts(mode, prompt, head=PASSAGES + 1)
    _able(method, method != "listwise.fid", "an encoder that reads each passage for itself")
    _able(method, generates(mode, task), "a model that generates")
    text = TEXTS.get(method) or TEXTS[method.partition(".")[0]]
    asked = Constant(CONTENTLESS) if kind == "Calibrate" else QUERY
    prompt = PASSAGES * (PASSAGE + text.each) + asked * text.queries + EXTRA + text.fixed
    if mode == "decoder":
        _able(method, kind not in ("Attend", "Calibrate"), "a decoder-only model")
        if method == "pointwise.qlm":
            return _counts(mode, prompt, decoder_prompt=asked, head=asked)
        return _counts(
            mode, prompt, generated=_new_tokens(text, 2), decoder_prompt=Constant(text.start)
        )
    prompt = prompt + PASSAGES * text.turn + (text.chat + text.start - 1)
    if method == "pointwise.qlm":
        # The query's last token is scored and never fed.
        return _counts(mode, prompt + asked - 1, head=asked)
    if kind in ("Attend", "Calibrate"):
        shared = prompt - asked - text.after if kind == "Calibrate" else None
        return _counts(mode, prompt, cached=shared, head=Constant(0))
    return _counts(mode, prompt, generated=_new_tokens(text, 1))


def shared_beginning(method: str, query_tokens: int) -> int:
    """Tokens with which every call of a query begins, for a causal model that writes.

    0 for a method whose prompts are a model's own.
    """
    text = TEXTS.get(method) or TEXTS.get(method.partition(".")[0])
    if text is None:
        return 0
    return text.before + (query_tokens if text.leads else 0)


def fused_counts(mode: Mode) -> dict[str, Expression]:
    """The counts of a window under fusion in the decoder (see `variants.fused`).

    The encoder reads each passage behind the query; the decoder reads all of them. Raises
    UsageError for a model of another kind.
    """
    _able("listwise.fid", mode == "decoder", "an encoder-decoder")
    text = TEXTS["listwise.fid"]
    prompt = PASSAGES * (PASSAGE + QUERY + EXTRA + text.each)
    return _counts(mode, prompt, generated=_new_tokens(text, 2))


def thinks(method: str) -> bool:
    """Whether the method's answers are thoughts, whose length has to be given."""
    text = TEXTS.get(method)
    return text is not None and text.thinks


def _counts(
    mode: Mode,
    prompt: Expression,
    *,
    cached: Expression | None = None,
    generated: Expression | None = None,
    decoder_prompt: Expression | None = None,
    head: Expression | None = None,
) -> dict[str, Expression]:
    return {
        "prompt_tokens": prompt,
        "cached_tokens": cached or Constant(0),
        "decoder_prompt_tokens": decoder_prompt or Constant(int(mode == "decoder")),
        "generated_tokens": generated or Constant(0),
        "head_positions": head or Constant(1),
    }


def _new_tokens(text: Text, label: int) -> Expression:
    """New tokens of a call; `label` are those of an answer of one letter."""
    if text.scored:
        return Constant(0)
    if text.thinks:
        return ANSWER
    return maximum((PASSAGES * text.answer + 50) // 100, label) if text.answer else Constant(label)


def _able(method: str, able: bool, wanted: str) -> None:
    if not able:
        raise UsageError(f"{method} wants {wanted}")
