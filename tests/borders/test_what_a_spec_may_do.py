"""A stranger's spec runs no code, sends no key, and reads no template elsewhere."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from e2r.borders import trust
from e2r.cli import cli
from e2r.engines.cascade import vouched
from e2r.errors import DataError, UsageError
from e2r.models.server.http import Server
from e2r.prompts.sandbox import SANDBOX
from e2r.prompts.template import PromptTemplate
from e2r.records.spec import ServerSpec, Spec
from tests.tiny_models import CHAT, save_llama

SHOWS = "{{ query }}{{ passages | join }}"
HOSTILE = {
    "python": "{{ cycler.__init__.__globals__.os.popen('touch MARKER').read() }}",
    "python by filters": "{{ query | attr('__class__') | attr('mro') }}{{ ''.__class__.mro() }}",
    "changes what it is given": "{{ passages.append('more') }}",
    "division": "{{ 1 / 0 }}",
    "types": "{{ query + 1 }}",
    "another file": "{% include '/etc/passwd' %}",
    "nesting": "{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}",
    "output": "{% for i in range(99999) %}{{ 'x' * 999 }}{% endfor %}",
    "loops": "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
    "a constant": "{{ 9 ** (9 ** 9) }}",
    "memory": "{% set x = namespace(a='a') %}{% for i in range(60) %}"
    "{% set x.a = x.a ~ x.a %}{% endfor %}",
    "padding": "{{ '%9999999999d' | format(1) }}",
}


@pytest.fixture(autouse=True)
def own_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)
    return


def spec_file(folder: Path, **tables: object) -> Path:
    """A small spec over the demo collection, in a file of that folder."""
    spec = Spec.of(
        {
            "data": {"dataset": "demo", "depth": 3, "limit": 1},
            "model": {"source": "oracle"},
            "method": {"name": "pointwise.yes_no"},
            **tables,
        },
        "the test",
    )
    folder.mkdir(exist_ok=True)
    path = folder / "spec.toml"
    path.write_text(spec.to_toml())
    return path


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_template_is_bad_data(tmp_path: Path, name: str) -> None:
    (tmp_path / "evil.jinja").write_text(SHOWS + HOSTILE[name])
    with pytest.raises(DataError):
        PromptTemplate.load("evil.jinja").fill("why", ["a", "b"], encoder_decoder=False)
    assert not (tmp_path / "MARKER").exists()


def test_a_template_that_takes_too_long_costs_the_next_one_nothing(tmp_path: Path) -> None:
    for name, text in (("evil", SHOWS + HOSTILE["loops"]), ("good", SHOWS)):
        (tmp_path / f"{name}.jinja").write_text(text)
    with pytest.raises(DataError, match="2 seconds of computing"):
        PromptTemplate.load("evil.jinja").fill("q", ["a"], encoder_decoder=False)
    filled = PromptTemplate.load("good.jinja").fill("q", ["a", "b"], encoder_decoder=False)
    assert [message.content for message in filled.messages] == ["qab"]


@pytest.mark.parametrize("name", ["qlm", "setwise", "rank1", "listwise", "icr"])
def test_a_file_of_our_own_words_is_filled_as_the_package_fills_them(
    tmp_path: Path, name: str
) -> None:
    ours = PromptTemplate.load(name)
    (tmp_path / "copy.jinja").write_text(ours.text)
    theirs = PromptTemplate.load("copy.jinja")
    assert (ours.foreign, theirs.foreign) == (False, True)
    passages = ["a <b> & \ud800 {{ 1 }}", "c\n\n"]
    for t5 in (True, False):
        assert theirs.fill("q?", passages, encoder_decoder=t5, count=2) == ours.fill(
            "q?", passages, encoder_decoder=t5, count=2
        )


def test_a_spec_names_templates_of_its_folder_alone(tmp_path: Path) -> None:
    outside, home = tmp_path / "outside.jinja", tmp_path / "theirs"
    outside.write_text(SHOWS)
    spec_file(home)
    (home / "inside.jinja").write_text(SHOWS)
    (home / "link.jinja").symlink_to(outside)
    assert PromptTemplate.load("inside.jinja", home).name == "inside"
    for name in ("outside.jinja", str(outside), "../outside.jinja", "link.jinja"):
        with pytest.raises(UsageError, match="outside of"):
            PromptTemplate.load(name, home)
    for name in ("../templates/qlm", "templates/../qlm", "/etc/passwd", ""):
        with pytest.raises(UsageError, match="unknown template"):
            PromptTemplate.load(name, home)


def test_a_template_that_was_typed_once_is_remembered(tmp_path: Path) -> None:
    (tmp_path / "own.jinja").write_text(SHOWS)
    words = "run --dataset demo --limit 1 --depth 3 --model oracle --method pointwise.yes_no"
    typed = CliRunner().invoke(cli, [*words.split(), "--template", "own.jinja"])
    assert typed.exit_code == 0, typed.output
    [spec] = Path("runs").rglob("spec.toml")
    again = CliRunner().invoke(cli, ["run", str(spec), "--resume"])
    assert again.exit_code == 0, again.output
    assert CliRunner().invoke(cli, ["trust", "--forget", "all"]).exit_code == 0
    with pytest.raises(UsageError, match="outside of"):
        CliRunner().invoke(cli, ["run", str(spec), "--resume"], catch_exceptions=False)


@pytest.fixture(scope="module")
def coded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model's folder whose config brings code."""
    folder = save_llama(tmp_path_factory.mktemp("coded"))
    config = json.loads((folder / "config.json").read_text())
    config |= {"model_type": "evil", "auto_map": {"AutoConfig": "evil.Evil"}}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "evil.py").write_text(
        "from pathlib import Path\nfrom transformers import LlamaConfig\n"
        "Path('MARKER').touch()\nclass Evil(LlamaConfig):\n    model_type = 'evil'\n"
    )
    return folder


def test_a_spec_alone_runs_no_code_of_a_model(coded: Path, tmp_path: Path) -> None:
    model = {"source": str(coded), "trust_remote_code": True}
    spec = str(spec_file(tmp_path / "theirs", model=model))
    for words in (["run", spec], ["plan", spec]):
        with pytest.raises(UsageError, match="nobody typed"):
            CliRunner().invoke(cli, words, catch_exceptions=False)
        assert not Path("MARKER").exists()
    CliRunner().invoke(cli, ["plan", spec, "--trust-remote-code"])
    assert Path("MARKER").exists()
    Path("MARKER").unlink()
    [row] = trust.remembered()
    assert (row.kind, row.what[:7]) == ("code", "sha256:")
    # Other code is another revision, which nobody typed.
    (coded / "evil.py").write_text((coded / "evil.py").read_text() + "# changed\n")
    with pytest.raises(UsageError, match="nobody typed"):
        CliRunner().invoke(cli, ["run", spec], catch_exceptions=False)
    assert not Path("MARKER").exists()


def test_code_of_another_repository_is_no_part_of_a_revision(coded: Path, tmp_path: Path) -> None:
    config = json.loads((coded / "config.json").read_text())
    config["auto_map"] = {"AutoConfig": "someone/else--evil.Evil"}
    (coded / "tokenizer_config.json").write_text(json.dumps(config))
    words = f"plan --dataset demo --limit 1 --depth 2 --method pointwise.yes_no --model {coded}"
    with pytest.raises(UsageError, match="another repository"):
        CliRunner().invoke(cli, [*words.split(), "--trust-remote-code"], catch_exceptions=False)


def server(home: Path | None, variable: str | None = "MY_SECRET") -> ServerSpec:
    """A server as a file of `home` names it, or as it was typed."""
    return ServerSpec(base_url="http://127.0.0.1:9/v1", api_key_env=variable).at(home)


def test_a_spec_alone_sends_no_key(tmp_path: Path) -> None:
    environment = {"MY_SECRET": "s3cr3t", "OPENAI_API_KEY": "0p3n"}
    with pytest.raises(UsageError, match="nobody typed") as refused:
        Server(server(tmp_path), environment)
    assert "s3cr3t" not in str(refused.value)
    without = Server(server(tmp_path, None), environment)
    assert (without._key, str(without.withheld)[:14]) == (None, "OPENAI_API_KEY")
    assert Server(server(None), environment)._key == "s3cr3t"
    # The same host and variable, once typed, are asked for by no spec again; others are.
    assert Server(server(tmp_path), environment)._key == "s3cr3t"
    assert Server(server(tmp_path, None), environment)._key is None
    elsewhere = ServerSpec(base_url="http://127.0.0.1:10/v1", api_key_env="MY_SECRET")
    with pytest.raises(UsageError, match="nobody typed"):
        Server(elsewhere.at(tmp_path), environment)
    trust.forget("MY_SECRET to http://127.0.0.1:9")
    with pytest.raises(UsageError, match="nobody typed"):
        Server(server(tmp_path), environment)


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (["--base-url", "http://127.0.0.1:9/v1"], "give both"),
        (["--api-key-env", "MY_SECRET"], "give both"),
        (["--base-url", "http://127.0.0.1:8/v1", "--api-key-env", "MY_SECRET"], "asks for"),
        (["--base-url", "http://127.0.0.1:9/v1", "--api-key-env", "OTHER"], "asks for"),
        (["--trust-remote-code"], "does not ask for"),
        (["--depth", "3"], "says everything"),
    ],
)
def test_what_is_typed_beside_a_spec_is_what_it_asks_for(
    tmp_path: Path, typed: list[str], said: str
) -> None:
    execution = {"server": {"base_url": "http://127.0.0.1:9/v1", "api_key_env": "MY_SECRET"}}
    model = {"source": "openai:tiny"}
    spec = str(spec_file(tmp_path / "theirs", model=model, execution=execution))
    with pytest.raises(UsageError, match=said):
        CliRunner().invoke(cli, ["run", spec, *typed], catch_exceptions=False)


def test_a_spec_alone_joins_no_cluster(tmp_path: Path) -> None:
    execution = {"ray": {"address": "127.0.0.1:9"}}
    spec = str(spec_file(tmp_path / "theirs", execution=execution))
    for words in (["run", spec], ["run", spec, "--workers", "1"]):
        with pytest.raises(UsageError, match="nobody typed"):
            CliRunner().invoke(cli, words, catch_exceptions=False)


def test_a_spec_that_was_accepted_is_carried_out_elsewhere_as_if_typed(tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "own.jinja").write_text(SHOWS)
    spec = Spec.load(spec_file(tmp_path / "theirs", prompt={"template": "own.jinja"}))
    assert (spec.home, spec.model.home) == (tmp_path / "theirs", tmp_path / "theirs")
    sent = vouched(spec)
    assert (sent.home, sent.model.home) == (None, None)
    assert sent.prompt.template == str(tmp_path / "theirs" / "own.jinja")


CHATS: dict[str, str] = {
    "plain": CHAT,
    "controls": "{% for m in messages %}{% if m.role == 'x' %}{% continue %}{% endif %}"
    "{{ bos_token if bos_token is defined }}{{ m | tojson }}"
    "{% if loop.last %}{% break %}{% endif %}"
    "{% endfor %}",
    "marked": "{% for m in messages %}\n  {% generation %}\n{{ m.content | trim }}\n"
    "  {% endgeneration %}\n{% endfor %}{{ eos_token }}{{ tools is none }}{{ documents is none }}",
    "macros": "{% macro turn(m) %}<{{ m['role'] }}>{{ m['content'] }}{% endmacro %}"
    "{% set ns = namespace(n=0) %}{% for m in messages %}{% set ns.n = ns.n + 1 %}{{ turn(m) }}"
    "{% endfor %}{{ ns.n }}{{ strftime_now('%Y') }}",
}


@pytest.mark.parametrize("name", CHATS)
def test_chat_templates_are_filled_as_transformers_fills_them(
    tmp_path: Path, name: str, load_tokenizer: Callable[[], object]
) -> None:
    from transformers import PreTrainedTokenizerBase

    tokenizer = load_tokenizer()
    assert isinstance(tokenizer, PreTrainedTokenizerBase)
    turns = [{"role": "system", "content": " é<&\n"}, {"role": "user", "content": "q"}]
    meant = tokenizer.apply_chat_template(
        turns, chat_template=CHATS[name], tokenize=False, add_generation_prompt=True
    )
    values = {
        "messages": turns,
        "tools": None,
        "documents": None,
        "add_generation_prompt": True,
        **{key: str(value) for key, value in tokenizer.special_tokens_map.items()},
    }
    assert SANDBOX.filled(CHATS[name], values, chat=True, name="it")["text"] == meant


@pytest.fixture(scope="module")
def load_tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], object]:
    from transformers import AutoTokenizer

    from tests.tiny_models import save_tokenizer

    folder = tmp_path_factory.mktemp("tokenizer")
    save_tokenizer(folder, chat=True)
    return lambda: AutoTokenizer.from_pretrained(folder)


@pytest.mark.parametrize(
    "chat",
    [
        HOSTILE["loops"],
        "{{ raise_exception('no') }}",
        HOSTILE["python"],
        HOSTILE["a constant"],
        "{{ messages[0].content.x.y }}",
        "{% if",
    ],
)
def test_a_model_s_own_chat_template_may_be_hostile_too(tmp_path: Path, chat: str) -> None:
    folder = save_llama(tmp_path / "model")
    (folder / "chat_template.jinja").write_text(chat)
    words = f"plan --dataset demo --limit 1 --depth 2 --method pointwise.yes_no --model {folder}"
    with pytest.raises(DataError, match="chat template"):
        CliRunner().invoke(cli, words.split(), catch_exceptions=False)
