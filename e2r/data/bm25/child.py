"""Indexes and searches by Pyserini, as a script in a process of its own: Java lives here alone.

`process.py` starts this file and talks to it in JSON, one message a line; nothing of e2r is
imported here, and nothing imports this. Words on the command line are Java modules that the
runtime lacks.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any, TextIO

Message = dict[str, Any]


def main(missing_modules: list[str], requests: TextIO, replies: TextIO) -> None:
    """Answer requests until they end. A request that fails is answered by {"failed": why}."""
    lucene = Lucene(missing_modules)
    for line in requests:
        request = json.loads(line)
        try:
            reply = lucene.answer(request)
        except Exception as error:
            reply = {"failed": f"{type(error).__name__}: {error}"}
        if reply is not None:
            replies.write(json.dumps(reply) + "\n")
            replies.flush()


class Lucene:
    """An index being written or searched."""

    def __init__(self, missing_modules: list[str]) -> None:
        import jnius_config

        add_options = jnius_config.add_options

        def add_possible(*options: str) -> None:
            # Pyserini asks for jdk.incubator.vector; a runtime without it would refuse to start.
            add_options(*(o for o in options if not any(name in o for name in missing_modules)))

        jnius_config.add_options = add_possible
        # Importing pyserini.search.lucene would load torch, and wants a key for OpenAI; the classes
        # of Anserini that it wraps need neither.
        from pyserini.pyclass import autoclass

        self.java_class = autoclass
        self.indexer: Any = None
        self.searcher: Any = None
        self.reader: Any = None

    def answer(self, request: Message) -> Message | None:
        """Carry out one request; documents are taken without an answer, so that they stream."""
        do = request.pop("do")
        if do == "add":
            self.add(**request)
            return None
        reply: Message = getattr(self, do)(**request)
        return reply

    def create(self, folder: str) -> Message:
        """Begin an index. One thread, so that the same corpus gives the same index."""
        from pyserini.index.lucene import LuceneIndexer

        self.indexer = LuceneIndexer(folder, threads=1)
        return {}

    def add(self, documents: list[tuple[str, str]]) -> None:
        """Index documents given as (docid, text)."""
        self.indexer.add_batch_dict([{"id": docid, "contents": text} for docid, text in documents])

    def commit(self) -> Message:
        """Write the index down."""
        self.indexer.close()
        self.indexer = None
        return {}

    def fetch(self, name: str) -> Message:
        """The folder of a prebuilt index, downloaded if it is not there yet."""
        from pyserini.prebuilt_index_info import TF_INDEX_INFO
        from pyserini.util import download_prebuilt_index, get_cache_home

        if name not in TF_INDEX_INFO:
            return {"known": sorted(TF_INDEX_INFO)}
        facts = TF_INDEX_INFO[name]
        try:
            return {"folder": download_prebuilt_index(name, verbose=False)}
        except Exception as error:
            archive = facts.get("filename", facts["urls"][0].rpartition("/")[2])
            folder = f"{archive.partition('.tar.gz')[0]}.{facts['md5']}"
            return {
                "refused": f"{type(error).__name__}: {error}",
                "urls": facts["urls"],
                "wanted": os.path.join(get_cache_home(), "indexes", folder),  # noqa: PTH118
            }

    def open(self, folder: str, k1: float, b: float) -> Message:
        """Make an index ready to be searched."""
        from pyserini.index.lucene import LuceneIndexReader

        self.searcher = self.java_class("io.anserini.search.SimpleSearcher")(folder)
        self.searcher.set_bm25(k1, b)
        self.reader = LuceneIndexReader(folder)
        system = self.java_class("java.lang.System")
        return {
            "documents": self.searcher.get_total_num_docs(),
            "java": system.getProperty("java.version"),
        }

    def search(self, queries: list[str], depth: int) -> Message:
        """The best documents of each query, its distinct terms, and the postings they have."""
        return {"found": [self._search(query, depth) for query in queries]}

    def _search(self, query: str, depth: int) -> Message:
        terms = set(self.reader.analyze(query))
        postings = [self.reader.get_term_counts(term, analyzer=None)[0] for term in terms]
        hits = [(hit.docid, hit.score) for hit in self.searcher.search(query, depth)]
        return {"hits": hits, "terms": len(terms), "postings": sum(postings)}


if __name__ == "__main__":
    # Java, Anserini and Pyserini write to stdout as they like. It goes where stderr goes; replies
    # take the place that stdout had.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    main(sys.argv[1:], sys.stdin, answers)
