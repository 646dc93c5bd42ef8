"""Speaks the protocol of e2r's Java process without Java, and breaks it where it is told to.

Usage: fake_lucene.py LOG [FAULT:REQUEST], where a fault is die, garbage, failed, twice or cut.
"""

import json
import sys
from collections import Counter
from pathlib import Path


def main(log: Path, fault: str) -> None:
    documents: list[tuple[str, str]] = []
    folder = Path()
    for line in sys.stdin:
        request = json.loads(line)
        do = request["do"]
        with log.open("a") as stream:
            stream.write(f"{do}\n")
        if fault == f"die:{do}":
            sys.exit("the heap is full")
        if fault == f"garbage:{do}":
            say("WARNING: a deprecated method has been called")
            continue
        if fault == f"cut:{do}":
            sys.stdout.write('{"hits": ')
            sys.stdout.flush()
            return
        if fault == f"failed:{do}":
            say(json.dumps({"failed": "IndexNotFoundException: no segments"}))
            continue
        reply: dict[str, object] = {}
        if do == "create":
            folder = Path(request["folder"])
            folder.mkdir()
            documents = []
        elif do == "add":
            documents += [tuple(row) for row in request["documents"]]
            continue
        elif do == "commit":
            (folder / "segments_1").write_text(json.dumps(documents))
        elif do == "open":
            documents = json.loads((Path(request["folder"]) / "segments_1").read_text())
            reply = {"documents": len(documents), "java": "0"}
        elif do == "fetch":
            reply = {"known": ["msmarco-v1-passage"]}
            if request["name"] == "msmarco-v1-passage":
                reply = {"refused": "no network", "urls": ["https://a.b/c.tar.gz"], "wanted": "/c"}
        elif do == "search":
            found = [search(query, documents, request["depth"]) for query in request["queries"]]
            reply = {"found": found}
            if fault == "twice:search":
                found[0]["hits"] *= 2
        say(json.dumps(reply))


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def search(query: str, documents: list[tuple[str, str]], depth: int) -> dict[str, list | int]:
    terms = set(query.lower().split())
    counts = [(docid, Counter(text.lower().split())) for docid, text in documents]
    scored = [(docid, float(sum(words[t] for t in terms))) for docid, words in counts]
    hits = sorted((row for row in scored if row[1]), key=lambda row: -row[1])
    postings = sum(term in words for term in terms for _, words in counts)
    return {"hits": hits[:depth], "terms": len(terms), "postings": postings}


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else "")
