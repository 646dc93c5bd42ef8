"""The collection that a spec names; of files that only a spec file names, no word is shown."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from e2r.data import sources
from e2r.data.collection import Collection
from e2r.data.findings import without_words
from e2r.data.progress import Working, unheard
from e2r.errors import DataError
from e2r.records.spec import Spec


def load_collection(
    spec: Spec,
    tell: Callable[[str], None] = lambda text: None,
    working: Working = unheard,
) -> Collection:
    """The collection that a spec names, cut to its depth and limit.

    `tell` hears of long work, `working` how far the reading is.

    Of files outside of its folder that a spec file alone names, no word is shown.
    """
    try:
        return _load_collection(spec, tell, working)
    except DataError as error:
        if spec.home is None or not _leaves(spec):
            raise
        raise DataError(f"{without_words(error)} (e2r validate FILE says what is wrong)") from None


def _leaves(spec: Spec) -> bool:
    """Whether a path of the spec's data leaves the folder of its file."""
    data, home = spec.data, spec.home or Path()
    words = (data.dataset, data.candidates, data.queries, data.corpus, data.qrels)
    paths = [word.partition(":")[2] or word for word in words if word]
    inside = home.resolve()
    return any(not Path(path).resolve().is_relative_to(inside) for path in paths if path != "demo")


def _load_collection(spec: Spec, tell: Callable[[str], None], working: Working) -> Collection:
    data = spec.data
    return sources.load(
        sources.Sources(
            dataset=data.dataset,
            candidates=data.candidates,
            qrels=data.qrels,
            queries=data.queries,
            corpus=data.corpus,
            name=data.name,
            documents=data.documents,
            first_stage=data.first_stage,
            bm25_k1=data.bm25_k1,
            bm25_b=data.bm25_b,
        ),
        data.depth,
        data.limit,
        tell,
        working,
    )
