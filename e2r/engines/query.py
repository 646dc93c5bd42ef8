"""One query on its way through a plan, its calls kept; and questions answered in batches."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Generator, Sequence

from e2r.data.collection import CandidateList
from e2r.engines.cascade import Reranked, Stage, rerank
from e2r.engines.engine import Finished, Replied
from e2r.errors import E2RError
from e2r.models.answerer import Answered, Answerer, Question
from e2r.prompts.request import Reply
from e2r.ranking.plan import Duel, Plan, Score
from e2r.records.ledger import Call, encode_answer
from e2r.records.query import LONGEST_ERROR, QueryRecord

_EXAMPLE = 1000
"""Characters of an answer that cannot be read, for the user to see."""


def rerank_query(
    topic: CandidateList,
    stages: Sequence[Stage],
    finish: Callable[[Finished], None],
    *,
    alone: bool,
) -> Plan[None]:
    """One query, its calls kept and its end told.

    Alone, its seconds are those that pass; in company they are its share of the batches.
    """
    calls: list[Call] = []
    docids: dict[int, tuple[str, ...]] = {}
    began = time.perf_counter()

    def hear(round_: int, question: Question, answered: Answered) -> None:
        # Each stage has candidates of its own, and asks many questions about them.
        if question.stage not in docids:
            docids[question.stage] = tuple(each.docid for each in question.topic.candidates)
        named = docids[question.stage]
        calls.append(_call(round_, len(calls), question, answered, named))

    done: Reranked = yield from rerank(topic, stages, hear)
    seconds = time.perf_counter() - began if alone else sum(call.seconds for call in calls)
    finish(_ended(topic, done, calls, seconds))


def failed_query(topic: CandidateList, error: str) -> Finished:
    """The end of a query of which nothing came back."""
    return _ended(topic, Reranked((), 0, error), (), 0.0)


def _ended(topic: CandidateList, done: Reranked, calls: Sequence[Call], seconds: float) -> Finished:
    record = QueryRecord(
        qid=topic.query.qid,
        status="ok" if done.error is None else "failed",
        calls=len(calls),
        rounds=done.rounds,
        prompt_tokens=sum(call.prompt_tokens for call in calls),
        generated_tokens=sum(call.generated_tokens for call in calls),
        parse_failures=sum(not call.parsed for call in calls),
        truncated=sum(call.truncated > 0 for call in calls),
        seconds=seconds,
        query_terms=len(topic.query.text.split()),
        ranking=tuple(c.docid for c in done.ranking) if done.error is None else (),
        error=None if done.error is None else _short(done.error),
        searched_terms=topic.searched.terms if topic.searched else None,
        postings=topic.searched.postings if topic.searched else None,
    )
    return Finished(record, tuple(calls))


def _short(error: str) -> str:
    """An error on one line and of a record's length, whatever a model or a server says."""
    line = " ".join(error.split())
    return line if len(line) <= LONGEST_ERROR else f"{line[: LONGEST_ERROR - 1]}…"


def answer(
    answerer: Answerer, questions: Sequence[Question]
) -> Generator[Replied, None, list[Answered]]:
    """Answer a merged round, telling of each batch of replies.

    Scores and duels are asked for query by query: they are floats, whose last bits follow the
    shape of the batch, and a resumed run must find the same batches. Answers of other kinds are
    discrete or asked for one by one, and queries share their batches.
    """

    def batch(question: Question) -> str:
        return question.topic.query.qid if isinstance(question.task, Score | Duel) else ""

    answered: list[Answered] = []
    for _, group in itertools.groupby(questions, batch):
        part = _answer_or_fail(answerer, list(group))
        yield _replied(part)
        answered.extend(part)
    return answered


def _replied(part: Sequence[Answered]) -> Replied:
    come = [found for found in part if found.error is None]
    unread = [str(found.reply.value) for found in come if not found.parsed]
    return Replied(
        tuple(found.reply for found in come),
        len(unread),
        unread[0][:_EXAMPLE] if unread else "",
        sum(found.reply.attempts for found in part if found.reply.error is not None),
    )


def _answer_or_fail(answerer: Answerer, questions: list[Question]) -> list[Answered]:
    """Answers, where a model that breaks on one query's questions fails that query alone."""
    try:
        return answerer.answer(questions)
    except E2RError:
        raise
    except Exception as error:
        if len({question.topic.query.qid for question in questions}) > 1:
            return [
                found for question in questions for found in _answer_or_fail(answerer, [question])
            ]
        failed = Answered(None, False, Reply(None), error=f"{type(error).__name__}: {error}")
        return [failed] * len(questions)


def _call(
    round_: int, number: int, question: Question, answered: Answered, docids: tuple[str, ...]
) -> Call:
    reply = answered.reply
    return Call(
        qid=question.topic.query.qid,
        round=round_,
        call=number,
        task=type(question.task).__name__,
        docids=tuple(docids[i] for i in question.task.candidates),
        prompt_tokens=reply.prompt_tokens,
        cached_tokens=reply.cached_tokens,
        decoder_prompt_tokens=reply.decoder_prompt_tokens,
        generated_tokens=reply.generated_tokens,
        head_positions=reply.head_positions,
        padded_tokens=reply.padded_tokens,
        truncated=answered.truncated,
        answer=encode_answer(answered.answer, docids),
        parsed=answered.parsed,
        seconds=reply.seconds,
        batch_size=reply.batch_size,
    )
