"""Mutates every kind of file that a stranger may hand in, and runs the commands that read it.

Run as a program: python fuzzing.py FOLDER SEED CASES. It prints the worst case and ends with 1 at
the first answer that is no answer: a traceback, a hang, or something touched outside of the folder.
"""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from e2r.borders.reading import sha256_of
from e2r.cli import cli
from e2r.errors import E2RError

SECONDS = 30
"""Of computing, for one command over one small file."""
STRANGE: list[Any] = [
    None, True, -1, 0, 2**31, 2**63, 10**40, 1.5, -1e308, "", "x" * 5000, "\x1b[2J\u202e\n::x::",
    [], {}, [[[]]], {"a": {"b": []}}, "../../victim/file", "/dev/zero", "NaN", "0" * 400,
]  # fmt: skip
DEMO = "--dataset demo --limit 2 --depth 3"
HASHED = ("spec.toml", "ledger.parquet", "per_query.jsonl", "run.trec.gz")

FILES: dict[str, str] = {
    "requests.jsonl": '{"query": {"qid": "1", "text": "why"}, "candidates": '
    '[{"docid": "a", "score": 2.0, "doc": {"contents": "because"}}, '
    '{"docid": "b", "score": 1.0, "doc": {"title": "t", "text": "so"}}]}\n',
    "first.run": "1 Q0 a 1 2.0 x\n1 Q0 b 2 1.0 x\n",
    "qrels.txt": "1 0 a 1\n1 0 b 0\n",
    "topics.xml": "<top>\n<num> Number: 1\n<title> why\n</top>\n",
    "topics.txt": '<?xml version="1.0"?><topics><topic number="1"><title>why</title></topic>'
    "</topics>",
    "queries.tsv": "1\twhy\n2\thow\n",
    "corpus.jsonl": '{"_id": "a", "title": "t", "text": "because"}\n{"_id": "b", "text": "so"}\n',
    "usage.csv": "qid,prompt_tokens,generated_tokens,model\n1,5,1,Qwen/Qwen2.5-7B-Instruct\n",
    "own.jinja": "{% for p in passages %}{{ p }}{% endfor %} {{ query }}",
    "config.json": '{"model_type": "qwen2", "architectures": ["Qwen2ForCausalLM"], '
    '"hidden_size": 64, "intermediate_size": 128, "num_attention_heads": 4, '
    '"num_hidden_layers": 2, "num_key_value_heads": 2, "vocab_size": 100, '
    '"tie_word_embeddings": true}',
    "spec.toml": '[data]\ndataset = "demo"\ndepth = 3\nlimit = 1\n[model]\nsource = "oracle"\n'
    '[method]\nname = "setwise.heapsort"\n[prompt]\ntemplate = "own.jinja"\n',
}
COMMANDS: dict[str, list[str]] = {
    "requests.jsonl": [
        "validate {0}",
        "run --candidates {0} --qrels qrels.txt --model oracle --resume --runs out "
        "--method setwise.heapsort",
    ],
    "first.run": [
        "validate {0}",
        "evaluate {0} --qrels qrels.txt",
        "run --candidates {0} --queries queries.tsv --corpus corpus.jsonl --resume --runs out "
        "--method first_stage",
    ],
    "qrels.txt": ["validate {0}", "evaluate first.run --qrels {0}"],
    "topics.xml": ["validate {0}"],
    "topics.txt": ["validate {0}"],
    "queries.tsv": ["validate {0}"],
    "corpus.jsonl": ["validate {0}"],
    "usage.csv": [
        "evaluate {0}",
        "estimate Qwen/Qwen2.5-7B-Instruct --usage {0} --out priced.csv",
    ],
    "own.jinja": ["validate spec.toml", "run spec.toml --resume --runs out"],
    "config.json": ["estimate {0} --prompt-tokens 5", "estimate {0} --export"],
    "spec.toml": ["validate {0}", "run {0} --resume --runs out"],
}
OF_A_RUN = [
    "validate {1}",
    "evaluate {1}",
    "evaluate runs --format csv",
    "leaderboard --runs runs --out site --no-paper",
    "run {1}/spec.toml --resume",
    "frontier runs",
    "compare runs",
]


def base(folder: Path) -> Path:
    """A folder with one good file of each kind, a run, and a site."""
    good = folder / "good"
    good.mkdir(parents=True)
    for name, text in FILES.items():
        (good / name).write_text(text)
    os.chdir(good)
    for method in ("pointwise.yes_no", "first_stage"):
        model = "--model random:1" if method != "first_stage" else ""
        wanted(f"run {DEMO} --method {method} {model}")
    wanted("leaderboard --runs runs --out site --no-paper")
    for name, lines in COMMANDS.items():
        for line in lines:
            wanted(line.format(name))
    return good


def wanted(line: str) -> None:
    """Run a command over good files, which has to work."""
    if (how := answered(line)) != "done":
        raise RuntimeError(f"e2r {line}: {how}")


def answered(line: str) -> str:
    """Run a command; how it ended, or the exception that is no answer."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        try:
            cli.main(line.split(), standalone_mode=False)
        except (E2RError, click.ClickException, click.exceptions.Exit) as error:
            return type(error).__name__
        except SystemExit as error:
            return f"exit {error.code}"
    return "done"


def in_bytes(raw: bytes, dice: random.Random) -> bytes:
    """Some bytes changed, cut out, doubled, or put in."""
    data = bytearray(raw)
    for _ in range(dice.choice((1, 1, 3, 20))):
        at = dice.randrange(len(data) + 1)
        end = min(len(data), at + dice.choice((1, 2, 50)))
        match dice.randrange(5):
            case 0:
                data[at:end] = dice.randbytes(end - at)
            case 1:
                del data[at:end]
            case 2:
                data[at:at] = data[at:end] * dice.choice((1, 1000))
            case 3:
                data[at:at] = dice.choice(
                    (b"\0", b"\xff", b"[" * 3000, b"9" * 5000, b"\n", b'"', b"{}")
                )
            case _:
                del data[dice.randrange(len(data) + 1) :]
    return bytes(data)


def in_json(value: Any, dice: random.Random) -> Any:
    """One place of a JSON value changed into something strange, or gone."""
    if isinstance(value, dict | list) and value and dice.random() < 0.85:
        key = dice.choice(list(value) if isinstance(value, dict) else range(len(value)))
        if dice.random() < 0.1:
            copy = dict(value) if isinstance(value, dict) else list(value)
            del copy[key]
            return copy
        if isinstance(value, dict):
            return {**value, key: in_json(value[key], dice)}
        return [in_json(item, dice) if place == key else item for place, item in enumerate(value)]
    return dice.choice(STRANGE)


def mutate(path: Path, dice: random.Random, victim: Path) -> None:
    """One file changed in one way."""
    raw = path.read_bytes()
    chance = dice.random()
    if chance < 0.12:
        path.unlink()
        special: list[Callable[[], object]] = [
            lambda: os.mkfifo(path),
            path.mkdir,
            lambda: path.symlink_to(victim / "file"),
            lambda: path.symlink_to(victim),
            lambda: path.symlink_to("/dev/zero"),
            lambda: path.symlink_to("nowhere"),
            lambda: os.truncate(os.open(path, os.O_CREAT | os.O_WRONLY), 2**34),
            lambda: path.write_bytes(gzip.compress(b"\0" * 2**27)),
        ]
        dice.choice(special)()
        return
    if path.suffix == ".gz" and chance < 0.7:
        path.write_bytes(gzip.compress(in_bytes(gzip.decompress(raw), dice)))
        return
    if path.suffix in (".json", ".jsonl") and chance < 0.7:
        lines = raw.decode().splitlines() if path.suffix == ".jsonl" else [raw.decode()]
        at = dice.randrange(len(lines))
        lines[at] = json.dumps(in_json(json.loads(lines[at]), dice))
        path.write_text("\n".join(lines) + "\n")
        return
    if path.suffix == ".parquet" and chance < 0.7:
        in_ledger(path, dice)
        return
    path.write_bytes(in_bytes(raw, dice))


def in_ledger(path: Path, dice: random.Random) -> None:
    """A column of a ledger changed, in a value or in its type."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pq.read_table(path)
    if not table.num_rows:
        return
    name = dice.choice(table.column_names)
    place, values = table.column_names.index(name), table[name].to_pylist()
    values[dice.randrange(len(values))] = dice.choice([*STRANGE, ["a", None], [1.5], float("inf")])
    try:
        column = pa.array(values, table.schema.field(name).type)
    except (pa.ArrowException, TypeError, OverflowError, ValueError):
        try:
            column = pa.array(values)
        except (pa.ArrowException, TypeError, OverflowError, ValueError):
            column = pa.nulls(len(values))
    changed = table.set_column(place, name, column)
    with contextlib.suppress(pa.ArrowException):
        pq.write_table(changed, path)


def touched(victim: Path) -> dict[str, bytes]:
    """All files of a folder."""
    return {str(p): p.read_bytes() for p in victim.rglob("*") if p.is_file()}


def hang(number: int, frame: Any) -> None:
    raise TimeoutError(f"more than {SECONDS} seconds of computing")


def main(folder: Path, seed: int, cases: int) -> None:
    """Mutate and run, so many times."""
    signal.signal(signal.SIGVTALRM, hang)
    victim = folder / "victim"
    victim.mkdir(parents=True)
    (victim / "file").write_text("precious")
    before = touched(victim)
    good = base(folder)
    runs = sorted(path.parent.relative_to(good) for path in good.glob("runs/*/*/*/manifest.json"))
    places = [Path(name) for name in FILES]
    # Runs hold most of what is read, and so are changed most often.
    places += [
        path.relative_to(good) for run in runs for path in sorted((good / run).glob("[!.]*"))
    ] * 3
    places += [Path("site/site.json")]
    slowest = (0.0, "")
    for case in range(cases):
        dice = random.Random(seed * 100_003 + case)
        work = folder / f"case{case}"
        shutil.copytree(good, work)
        os.chdir(work)
        place = dice.choice(places)
        line = ""
        try:
            mutate(work / place, dice, victim)
            run = place.parent if place.parent in runs else runs[0]
            if place.name in HASHED and place.parent in runs and dice.random() < 0.8:
                vouch(work / place)
            known = COMMANDS.get(place.name) if place.parent == Path() else OF_A_RUN
            line = dice.choice(known or OF_A_RUN).format(place, run)
            began = time.process_time()
            signal.setitimer(signal.ITIMER_VIRTUAL, SECONDS)
            answered(line)
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
            slowest = max(slowest, (time.process_time() - began, f"{case}: {line}"))
            if touched(victim) != before:
                raise RuntimeError("a file outside of the folder was touched")
        except BaseException:
            print(f"seed {seed}, case {case}: {place}: e2r {line}", file=sys.stderr)  # noqa: T201
            raise
        os.chdir(folder)
        shutil.rmtree(work)
    # Not ru_maxrss, which a process inherits from the one that started it.
    status = Path("/proc/self/status").read_text()
    most = int(status.partition("VmHWM:")[2].split()[0]) / 2**10
    print(json.dumps({"most_mib": most, "slowest": slowest}))  # noqa: T201


def vouch(path: Path) -> None:
    """Put the hash of a changed file into its manifest, so that more of it is looked at."""
    manifest = path.parent / "manifest.json"
    with contextlib.suppress(OSError, E2RError):
        facts = json.loads(manifest.read_text())
        facts["files"][path.name] = sha256_of(path, 2**30)
        manifest.write_text(json.dumps(facts))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
