"""Queries in a file: JSON lines, two tab-separated columns, or TREC topics in SGML or XML."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, cast
from xml.etree import ElementTree

from e2r.data.files.lines import (
    id_field,
    is_markup,
    is_object,
    json_rows,
    lines,
    numbered_lines,
    valid_id,
)
from e2r.data.findings import Hear, Teller, finding_of, refuse
from e2r.errors import DataError

IDS = ("_id", "id", "qid", "query_id")
TEXTS = ("text", "query", "title")
TOPIC_TEXTS = ("title", "query", "text", "question")
NUMBERS = ("number", "num", "id", "qid")
LONG_NAMES = {"desc": "description", "narr": "narrative"}
# What NIST's files write before a field's text: <num> Number: 301, <desc> Description: …
LABEL = re.compile(r"^(number|topic|description|narrative)\s*:", re.IGNORECASE)
OPENS = re.compile(r"<top(?:\s[^>]*)?>", re.IGNORECASE)
CLOSES = re.compile(r"</top>", re.IGNORECASE)
TAG = re.compile(r"<(/?)([a-z_]+)[^<>]*>", re.IGNORECASE)
MOST_LINES = 1_000_000
"""Lines of a file of topics, which is in memory as a whole."""


def read_queries(path: Path, field: str | None = None, hear: Hear = refuse) -> dict[str, str]:
    """Read queries by id, in the file's order; the first line tells the format.

    `field` names the text: a member of the objects or topics, with dots for members of members;
    without it objects give their text, query or title, and topics their title, query or text.
    Raises DataError with the line for a missing field, an empty text, an id twice, no query.
    """
    first = next(lines(path, hear), None)
    if first is None:
        Teller(path, hear).error("no query in it")
        return {}
    if is_object(first.text):
        rows = _objects(path, field, hear)
    elif is_markup(first.text):
        rows = _topics(path, field)
    elif field is None:
        rows = _columns(path, hear)
    else:
        raise DataError(f"{path}: its lines have no field {field!r}; drop #{field}")
    return unique(rows, hear)


def unique(rows: Iterator[tuple[str, str, str]], hear: Hear = refuse) -> dict[str, str]:
    """Texts by id from (where, id, text). Raises DataError for an id twice and an empty text."""
    queries: dict[str, str] = {}
    for where, qid, text in rows:
        if qid in queries:
            hear(finding_of(DataError(f"{where}: query {qid} is there twice"), ""))
        elif not text.strip():
            hear(finding_of(DataError(f"{where}: query {qid} has no text"), ""))
        else:
            queries[qid] = text
    return queries


def chosen(row: Mapping[str, Any], field: str | None, usual: tuple[str, ...], where: str) -> str:
    """The text of a record: of the named field, or of the first usual one that it has.

    Raises DataError, listing the record's fields, where there is no such text.
    """
    value: Any = None
    if field is None:
        value = next((row[name] for name in usual if row.get(name) is not None), None)
    else:
        value = row
        for name in field.split("."):
            value = value.get(name) if isinstance(value, Mapping) else None
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str):
        wanted = repr(field) if field else " or ".join(map(repr, usual))
        raise DataError(
            f"{where}: field {wanted} is missing or not a string; its fields are "
            f"{', '.join(row) or 'none'}; choose one by SOURCE#FIELD"
        )
    return value


def _objects(path: Path, field: str | None, hear: Hear) -> Iterator[tuple[str, str, str]]:
    for line, row in json_rows(path, hear):
        where = f"{path}:{line.number}"
        name = next((name for name in IDS if row.get(name) is not None), IDS[0])
        try:
            qid = id_field(row, name, where)
            text = chosen(row, field, TEXTS, f"{where}: query {qid}")
        except DataError as error:
            hear(finding_of(error, path))
        else:
            yield where, qid, text


def _columns(path: Path, hear: Hear) -> Iterator[tuple[str, str, str]]:
    tell = Teller(path, hear)
    for line in lines(path, hear):
        qid, tab, text = line.text.partition("\t")
        if not tab:
            tell.error(
                "a line of queries is a JSON object or qid<TAB>text, or the file holds TREC "
                "topics; this line is neither",
                line.number,
            )
            continue
        try:
            yield f"{path}:{line.number}", valid_id({"qid": qid}, "qid"), text
        except ValueError as error:
            tell.error(str(error), line.number)


def _topics(path: Path, field: str | None) -> Iterator[tuple[str, str, str]]:
    numbered = list(islice(numbered_lines(path), MOST_LINES + 1))
    if len(numbered) > MOST_LINES:
        raise DataError(f"{path}: more than {MOST_LINES:,} lines; queries so many go into JSONL")
    sgml = any(OPENS.search(line) for _, line in numbered)
    found = False
    for number, fields in _sgml(path, numbered) if sgml else _xml(path, numbered):
        found = True
        where = f"{path}:{number}"
        name = next((name for name in NUMBERS if name in fields), "num")
        qid = id_field(fields, name, f"{where}: topic")
        fields = {key: text for key, text in fields.items() if key not in NUMBERS}
        wanted = LONG_NAMES.get(field, field) if field else None
        yield where, qid, chosen(fields, wanted, TOPIC_TEXTS, f"{where}: topic {qid}")
    if not found:
        raise DataError(f"{path}: no topic in it; a topic is <top>…</top> or <topic number=…>")


def _sgml(path: Path, lines: list[tuple[int, str]]) -> Iterator[tuple[int, dict[str, str]]]:
    """(line, fields) of each <top>…</top>, whose inner tags need not be closed."""
    text = "\n".join(line for _, line in lines)
    opens = [match.start() for match in OPENS.finditer(text)]
    line = before = 0
    for start, end in zip(opens, [*opens[1:], len(text)], strict=True):
        line, before = line + text.count("\n", before, start), start
        number = lines[line][0]
        close = CLOSES.search(text, start, end)
        if close is None:
            raise DataError(f"{path}:{number}: the topic that begins here has no </top>")
        yield number, _tagged(text[start : close.start()])


def _tagged(block: str) -> dict[str, str]:
    fields: dict[str, str] = {}
    tags = list(TAG.finditer(block))
    ends = [tag.start() for tag in tags[1:]] + [len(block)]
    for tag, end in zip(tags, ends, strict=True):
        name = tag[2].lower()
        if not tag[1] and name != "top":
            text = LABEL.sub("", block[tag.end() : end].strip())
            fields.setdefault(LONG_NAMES.get(name, name), " ".join(html.unescape(text).split()))
    return fields


def _xml(path: Path, lines: list[tuple[int, str]]) -> Iterator[tuple[int, dict[str, str]]]:
    """(line, fields) of each <topic>, from its attributes and children."""
    parser: ElementTree.XMLPullParser[Any] = ElementTree.XMLPullParser(["start", "end"])
    number = 0
    starts: list[int] = []
    if not lines[0][1].lstrip().startswith(("<?xml", "<!")):
        parser.feed("<topics>")
        lines = [*lines, (lines[-1][0], "</topics>")]
    try:
        for number, line in lines:
            parser.feed(line + "\n")
            events = cast("Iterator[tuple[str, ElementTree.Element]]", parser.read_events())
            for event, element in events:
                if element.tag.lower() != "topic":
                    continue
                if event == "start":
                    starts.append(number)
                elif starts:
                    yield starts.pop(), _members(element)
        parser.close()
    except (ElementTree.ParseError, ValueError) as error:
        raise DataError(f"{path}:{number}: not well-formed XML ({error})") from None


def _members(element: ElementTree.Element) -> dict[str, str]:
    fields = {name.lower(): text for name, text in element.attrib.items()}
    for child in element:
        name = child.tag.lower()
        text = " ".join("".join(child.itertext()).split())
        fields.setdefault(LONG_NAMES.get(name, name), LABEL.sub("", text).strip())
    return fields
