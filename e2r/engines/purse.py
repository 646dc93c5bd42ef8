"""What a run has paid so far, and the stop before it pays more than it may."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from decimal import Decimal, InvalidOperation
from typing import Any

import numpy as np

from e2r.borders.reading import shortened
from e2r.errors import DataError, IncompleteError, UsageError
from e2r.models.answerer import Answered, Answerer, Question
from e2r.models.prompted import Prompted, TooLong
from e2r.models.sampling import Counted
from e2r.money.bill import Money, bill, summed
from e2r.money.prices import Hours, PriceList
from e2r.prompts.request import Reason, Reply, Request
from e2r.records.manifest import UNCOUNTED, Manifest, ModelRecord

TEMPLATE_TOKENS = 64
"""What a chat template may add to a message, at most."""


class Purse:
    """Answers as `answerer` does, and adds up what that costs; `spent` is in the list's currency.

    `least` is what it costs if the prompts of replies that say nothing of a cache were all cached,
    `attempts` what it costs if requests that were sent again, or for nothing, are charged too.
    With `most`, nothing is sent that could cost more than is left by `attempts`. No token is
    shorter than a byte, so that a prompt's bytes bound its tokens, and a request says how much it
    may generate.
    """

    def __init__(
        self,
        answerer: Answerer,
        prices: PriceList,
        most: Decimal | None,
        tell: Callable[[Decimal, str], None],
    ) -> None:
        if isinstance(prices.terms, Hours):
            raise UsageError(
                f"--price {prices.word}: hours are known when a run has ended; give it to evaluate"
            )
        if most is not None and not isinstance(answerer, Prompted):
            raise UsageError("--most is for a model that is prompted: this one costs nothing")
        server = answerer.record().server
        self._uncounted = server is not None and server.counted_by == UNCOUNTED
        if self._uncounted and prices.needs_tokens:
            raise UsageError(
                f"--price {prices.word}: the server tells no tokens; pass --tokenizer FOLDER, "
                "which counts them here, or a list by the search without document_tokens"
            )
        self.inner = answerer
        self.batch_size = answerer.batch_size
        self.device = answerer.device
        self.spent = Decimal(0)
        self.least = Decimal(0)
        self.attempts = Decimal(0)
        self._prices = prices
        self._most = most
        self._tell = tell

    def record(self) -> ModelRecord:
        return self.inner.record()

    def prepare(self) -> None:
        self.inner.prepare()

    def counted(self) -> list[Counted]:
        """The calls that were sampled to be counted, none where none were."""
        return self.inner.counted() if isinstance(self.inner, Prompted) else []

    def facts(self) -> dict[str, Any]:
        """The list and what was spent by it, for the manifest; what else it may be, if it may."""
        others = {"least": self.least, "attempts": self.attempts}
        ranged = {name: str(it) for name, it in others.items() if it != self.spent}
        return {**self._prices.to_json(), "spent": str(self.spent), **ranged}

    def go_on(self, before: Manifest) -> None:
        """Begin with what earlier sessions of the run have spent, unfinished queries included.

        Raises UsageError where that was in another currency, DataError where it is no money.
        """
        recorded = before.prices
        if recorded is None:
            return
        if recorded.get("currency") != self._prices.currency:
            raise UsageError(
                f"the run was begun in {recorded.get('currency')}; give a list in that currency"
            )
        self.spent = _amount(before.run, recorded.get("spent"))
        self.least = _amount(before.run, recorded.get("least", self.spent))
        self.attempts = _amount(before.run, recorded.get("attempts", self.spent))

    def answer(self, questions: Sequence[Question]) -> list[Answered]:
        if self._most is not None and isinstance(self.inner, Prompted):
            self._refuse_more(questions, self._most)
        answered = self.inner.answer(questions)
        replies = [found.reply for found in answered]
        spent = self._money(questions, replies)
        self.spent += spent
        self.attempts += spent + self._sent_again(questions, replies)
        self.least += self._money(questions, [_all_cached(reply) for reply in replies])
        self._tell(self.spent, self._prices.currency)
        return answered

    def _refuse_more(self, questions: Sequence[Question], most: Decimal) -> None:
        assert isinstance(self.inner, Prompted)  # noqa: S101 — said for the type checker
        asked = [_most_of(self.inner.request_of(question)[0]) for question in questions]
        worst = self._money(questions, asked)
        if self.attempts + worst > most:
            again = self.attempts - self.spent
            repeated = f" ({again:.6f} more if failed requests are charged)" if again else ""
            raise IncompleteError(
                f"stopped by --most {most}: {self._prices.currency} {self.spent:.6f} are spent"
                f"{repeated}, and the next {len(questions)} calls could cost up to {worst:.6f}; "
                "what has finished is kept: go on by --resume with a larger --most"
            )

    def _sent_again(self, questions: Sequence[Question], replies: Sequence[Reply]) -> Decimal:
        """Money of requests beyond the first: as their reply's, or the most where none came."""
        left: list[tuple[int, Question, Reply]] = []
        for question, reply in zip(questions, replies, strict=True):
            if reply.error is None:
                left.append((reply.attempts - 1, question, reply))
            elif isinstance(self.inner, Prompted):
                worst = _most_of(self.inner.request_of(question)[0])
                left.append((reply.attempts, question, worst))
        total = Decimal(0)
        # Each time together: by the search, documents of a query are one request.
        while left := [(times - 1, it, reply) for times, it, reply in left if times]:
            total += self._money([it for _, it, _ in left], [it for _, _, it in left])
        return total

    def _money(self, questions: Sequence[Question], replies: Sequence[Reply]) -> Decimal:
        qids = list(dict.fromkeys(question.topic.query.qid for question in questions))
        places = {qid: place for place, qid in enumerate(qids)}
        paid: list[Money] = bill(
            self._prices,
            np.array([places[question.topic.query.qid] for question in questions], dtype=np.intp),
            len(qids),
            np.array([self._prompt_tokens(reply) for reply in replies], dtype=np.int64),
            # What nobody reports counts as paid in full.
            np.array([reply.cached_tokens or 0 for reply in replies], dtype=np.int64),
            np.array([reply.generated_tokens for reply in replies], dtype=np.int64),
            np.array([len(question.task.candidates) for question in questions], dtype=np.int64),
        )
        return summed(paid).total

    def _prompt_tokens(self, reply: Reply) -> int:
        """Those of a reply; any will do for one that was sent and that nobody counts."""
        sent = self._uncounted and reply.error is None and reply.batch_size > 0
        return max(reply.prompt_tokens, int(sent))


def _amount(run: str, recorded: Any) -> Decimal:
    """Money that a manifest says was paid, not to be believed below 0."""
    try:
        found = Decimal(str(recorded))
    except InvalidOperation:
        found = Decimal("nan")
    if not (found.is_finite() and found >= 0):
        said = shortened(str(recorded))
        raise DataError(f"{run}: manifest.json says that {said} was spent, which is no money")
    return found


def _all_cached(reply: Reply) -> Reply:
    """The same with its whole prompt cached, where nobody says how much of it was."""
    return (
        reply
        if reply.cached_tokens is not None
        else replace(reply, cached_tokens=reply.prompt_tokens)
    )


def _most_of(request: Request | TooLong) -> Reply:
    """The most tokens that a request can be billed for."""
    if isinstance(request, TooLong):
        return Reply(None)
    prompt = len(repr(request).encode()) + TEMPLATE_TOKENS * (1 + len(request.messages))
    generated = int(getattr(request, "max_new_tokens", 1)) + 1
    if isinstance(request, Reason):
        # The thought is sent again, and its label asked for.
        prompt = 2 * prompt + generated
    return Reply(None, prompt_tokens=prompt, generated_tokens=generated)
