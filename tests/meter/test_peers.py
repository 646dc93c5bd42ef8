"""Libraries that others rerank with, metered: their own algorithm's calls, at their price."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from torch.nn.attention import SDPBackend, sdpa_kernel  # noqa: E402
from torch.utils.flop_counter import FlopCounterMode  # noqa: E402

import e2r  # noqa: E402
from tests import tiny_models  # noqa: E402

QUERY = "how long does the flea live"
PASSAGES = ["a flea lives for a year", "concrete", "rivers carve deep valleys", "quick foxes", "x"]
PAIRS = [(QUERY, passage) for passage in PASSAGES]

# Both warn of their own dependencies when they are imported.
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    made: dict[str, Path] = {}

    def save(name: str) -> str:
        if name not in made:
            made[name] = tmp_path_factory.mktemp("models") / name
            getattr(tiny_models, f"save_{name}")(made[name])
        return str(made[name])

    return save


def cross_encoder(folder: Callable[[str], str]) -> Callable[[], Any]:
    peers = pytest.importorskip("sentence_transformers")
    model = peers.CrossEncoder(folder("cross_encoder"), device="cpu")
    return lambda: model.predict(PAIRS, batch_size=2).tolist()


def bi_encoder(folder: Callable[[str], str]) -> Callable[[], Any]:
    peers = pytest.importorskip("sentence_transformers")
    model = peers.SentenceTransformer(folder("cross_encoder"), device="cpu")
    return lambda: model.encode(PASSAGES, batch_size=2).tolist()


def rerankers(kind: str, saved: str, **more: str) -> Callable[[Callable[[str], str]], Any]:
    def make(folder: Callable[[str], str]) -> Callable[[], Any]:
        peers = pytest.importorskip("rerankers")
        ranker = peers.Reranker(folder(saved), model_type=kind, device="cpu", verbose=0, **more)

        def rank() -> Any:
            found = ranker.rank(QUERY, PASSAGES).results
            return [(result.document.doc_id, result.score) for result in found]

        return rank

    return make


PEERS = {
    "sentence-transformers CrossEncoder": cross_encoder,
    "sentence-transformers SentenceTransformer": bi_encoder,
    "rerankers cross-encoder": rerankers("cross-encoder", "cross_encoder"),
    "rerankers monoT5": rerankers("t5", "t5", token_false="B", token_true="A"),
}


@pytest.mark.parametrize("name", PEERS)
def test_a_peer_makes_one_call_a_passage_at_pytorchs_own_price(
    name: str, folder: Callable[[str], str], tmp_path: Path
) -> None:
    rank = PEERS[name](folder)
    alone = rank()
    # Plain products, which PyTorch's counter sees; its kernel for processors it does not know.
    with (
        sdpa_kernel(SDPBackend.MATH),
        FlopCounterMode(display=False) as counter,
        e2r.meter(tmp_path / "calls.csv") as meter,
        meter.query("q1"),
    ):
        rank()
    assert dict(meter.uncounted) == {}
    assert meter.calls == len(PASSAGES)
    assert meter.total("torch").flops == counter.get_total_flops()
    assert set(meter.to_pandas()["qid"]) == {"q1"}
    with e2r.meter(tmp_path / "again.csv"):
        assert rank() == alone
