"""Counting in a program that `e2r meter` started, and in the Python processes that it starts."""

from __future__ import annotations

import atexit
import json
import os
from pathlib import Path

from e2r.meter.children import watch
from e2r.meter.counter import Counter
from e2r.meter.sheet import PROCESS, Sheet
from e2r.meter.topics import Topics

OUT = "E2R_METER_OUT"
TOPICS = "E2R_METER_TOPICS"


def start() -> None:
    """Begin to count into the sheet that the environment names."""
    sheet = Sheet(Path(os.environ[OUT]))
    queries = os.environ.get(TOPICS)
    topics = Topics(json.loads(Path(queries).read_text(encoding="utf-8"))) if queries else None
    sheet.note(PROCESS, "")
    counter = Counter(sheet, topics)
    counter.start()
    watch(counter.note, (OUT, "PYTHONPATH"))
    atexit.register(counter.close)
