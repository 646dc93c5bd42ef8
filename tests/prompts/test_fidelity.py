"""What fidelity llm-rankers changes in prompts and readings: each fault, and that it is kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from e2r.models.network.transformers import load
from e2r.prompts.read import Asked
from e2r.prompts.reading import READINGS, reading
from e2r.prompts.request import Generate, Likelihood, Reply
from e2r.prompts.template import Filled, Message, PromptTemplate
from e2r.ranking.plan import Choose, Order, Prefer, Score
from e2r.records.spec import ExecutionSpec, ModelSpec
from tests.tiny_models import save_t5

MESSAGES = (Message("user", "x"),)
KEPT = "llm-rankers"


def asked(task: Score | Order, encoder_decoder: bool) -> Asked:
    return Asked(Filled(MESSAGES), "q", ("p",), task, encoder_decoder)


def test_fault_3_real_tokens_stand_where_padding_was_counted(tmp_path: Path) -> None:
    """llm-rankers' prompt count is rows × the longest; here both parts of it are facts.

    Its completion count for T5 is the whole decoder sequence: the decoder prompt and what is new.
    """
    model = load(ModelSpec(source=str(save_t5(tmp_path))), ExecutionSpec(device="cpu"))
    words = ("the dog", "rivers carve deep valleys over dogs")
    replies = model.reply([Generate((Message("user", w),), 2, "Passage") for w in words])
    longest = max(reply.prompt_tokens for reply in replies)
    counted = sum(reply.prompt_tokens + reply.padded_tokens for reply in replies)
    assert counted == len(replies) * longest
    assert sum(reply.prompt_tokens for reply in replies) < counted
    for reply in replies:
        completion = reply.decoder_prompt_tokens + reply.generated_tokens
        assert completion - reply.decoder_prompt_tokens <= 2


def test_fault_4_query_likelihood_scores_padding_as_well() -> None:
    mended, kept = reading("pointwise.qlm"), reading("pointwise.qlm", KEPT)
    assert mended.ask(asked(Score(0), True)) == Likelihood(MESSAGES, "q")
    assert kept.ask(asked(Score(0), True)) == Likelihood(MESSAGES, "q", padded=True)
    assert kept.ask(asked(Score(0), False)) == Likelihood(MESSAGES, "q")


@pytest.mark.parametrize(
    ("text", "pairs", "mended", "kept"),
    [
        (" A", True, 4, 4),
        (" B.", True, 2, None),
        (" b", True, 2, None),
        (" b", False, 2, 2),
        (" B is", False, 2, None),
        ("", True, None, None),
        ("C", True, 9, 9),
        ("D", True, None, None),
    ],
)
def test_fault_5_labels_are_read_more_strictly_and_failures_recorded(
    text: str, pairs: bool, mended: int | None, kept: int | None
) -> None:
    """T5: the last character decoded, as it is. Decoder-only: the completion, upper-cased."""
    task = Choose((4, 2, 9))
    for fidelity, answer in (("mended", mended), (KEPT, kept)):
        read = reading("setwise.heapsort", fidelity).read(Reply(text), task, pairs)
        assert (read.answer, read.parsed) == (answer, answer is not None)


@pytest.mark.parametrize(
    ("text", "pairs", "mended", "kept"),
    [
        (" A", True, True, True),
        (" a", True, True, None),
        (" a", False, True, True),
        (" B because", True, False, None),
        ("neither", True, None, None),
    ],
)
def test_fault_5_preferences_likewise(
    text: str, pairs: bool, mended: bool | None, kept: bool | None
) -> None:
    for fidelity, answer in (("mended", mended), (KEPT, kept)):
        read = reading("pairwise.heapsort", fidelity).read(Reply(text), Prefer(1, 0), pairs)
        assert (read.answer, read.parsed) == (answer, answer is not None)


def test_fault_6_the_instruction_follows_the_query_without_a_break() -> None:
    passages = ["one  two", "three"]
    shown = {
        name: PromptTemplate.load(name).fill("why", passages, encoder_decoder=True).messages[0]
        for name in ("listwise", "listwise_llm_rankers")
    }
    assert "The search query is: why\nI will rank" in shown["listwise"].content
    assert "The search query is: whyI will rank" in shown["listwise_llm_rankers"].content
    mended = shown["listwise"].content.replace("why\nI will", "whyI will")
    assert shown["listwise_llm_rankers"].content == mended.replace("one  two", "one two")
    assert reading("listwise.generation", KEPT).template == "listwise_llm_rankers"


def test_listwise_words_and_lengths_are_those_of_the_reference() -> None:
    """Three hundred words a passage; T5 generates nineteen tokens where nothing is said."""
    template = PromptTemplate.load("listwise_llm_rankers")
    long = "Title: Content: " + " ".join(f"w{i}" for i in range(400))
    chat = template.fill("why", [long], encoder_decoder=False).messages
    assert chat[3].content == "[1] " + " ".join(f"w{i}" for i in range(300))
    assert chat[-1].content.startswith("Search Query: why. \nRank the 1 passages above")
    assert chat[1].content.startswith("I will provide you with 1 passages")
    kept = reading("listwise.generation", KEPT)
    assert kept.ask(asked(Order((0, 1)), True)) == Generate(MESSAGES, 19)
    assert kept.ask(asked(Order((0, 1)), False)) == Generate(MESSAGES, 12)


def test_all_other_readings_are_the_same() -> None:
    changed = {name for name in READINGS if reading(name, KEPT) is not READINGS[name]}
    assert changed == {
        "pointwise.qlm",
        "pairwise.allpair",
        "pairwise.heapsort",
        "pairwise.bubblesort",
        "setwise.heapsort",
        "setwise.bubblesort",
        "listwise.generation",
    }
