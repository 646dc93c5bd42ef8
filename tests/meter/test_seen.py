"""What a meter sees, how it is called or wrapped, and that it says what it does not see."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from torch.utils.flop_counter import FlopCounterMode  # noqa: E402

import e2r  # noqa: E402
from e2r.errors import UsageError  # noqa: E402
from tests import tiny_models  # noqa: E402

IDS = torch.arange(3, 12)[None].repeat(2, 1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models.save_llama(tmp_path_factory.mktemp("models") / "theirs")


@pytest.fixture
def load(folder: Path) -> Callable[[], Any]:
    def loaded() -> Any:
        kind = transformers.AutoModelForCausalLM
        return kind.from_pretrained(folder, attn_implementation="eager").eval()

    return loaded


def dispatched(model: Any) -> Any:
    import accelerate

    return accelerate.cpu_offload(model)


class Wrapper(torch.nn.Module):
    """A stranger's module around a model, with arithmetic of its own."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model
        self.own = torch.nn.Linear(1, 1)

    def forward(self, ids: Any) -> Any:
        self.own(torch.ones(1))
        return self.model.forward(input_ids=ids, logits_to_keep=2)


WRAPPED = {
    "compiled": lambda model: torch.compile(model, backend="eager"),
    "dispatched by accelerate": dispatched,
    "data parallel": torch.nn.DataParallel,
    "by forward": lambda model: model.forward,
    "by forward, inside of another module": Wrapper,
    "positional": lambda model: lambda ids: model(ids, torch.ones_like(ids)),
    "as tuples": lambda model: lambda ids: model(ids, return_dict=False),
    "by embeddings": lambda model: (
        lambda ids: model(inputs_embeds=model.get_input_embeddings()(ids))
    ),
}


@pytest.mark.parametrize("how", WRAPPED)
def test_a_pass_is_counted_once_however_it_is_called(
    how: str, load: Callable[[], Any], tmp_path: Path
) -> None:
    call = WRAPPED[how](load())
    plain = WRAPPED[how](load()) if how in ("compiled",) else call
    with torch.no_grad():
        with FlopCounterMode(display=False) as counter:
            (load() if how == "compiled" else plain)(IDS)
        with e2r.meter(tmp_path / "calls.csv") as meter:
            call(IDS)
            call(IDS)
    own = 2 if how == "by forward, inside of another module" else 0
    assert meter.calls == 4
    assert meter.total("torch").flops == 2 * (counter.get_total_flops() - own)
    said = {"a Linear outside of a transformers model's own pass is not counted": 2} if own else {}
    assert dict(meter.uncounted) == said


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ("compiled in place", "torch.compile made code that calls no hooks"),
        ("a compiled function", "torch.compile made code that calls no hooks"),
        ("a head of the program's own", "a Linear outside of a transformers model's own pass"),
        ("a pass that fails", "raised an error and is not counted"),
        ("a pass that fails by forward", "raised an error and is not counted"),
    ],
)
def test_what_is_computed_and_not_counted_is_said(
    how: str, told: str, load: Callable[[], Any], tmp_path: Path
) -> None:
    model = load()
    with torch.no_grad(), e2r.meter(tmp_path / "calls.csv") as meter:
        if how == "compiled in place":
            model.compile(backend="eager")
            model(IDS)
        elif how == "a head of the program's own":
            model.lm_head(model.model(IDS).last_hidden_state[:, -1])
        elif how == "a compiled function":
            torch.compile(lambda ids: model(ids).logits, backend="eager")(IDS)
        else:
            with pytest.raises(IndexError):
                (model if how == "a pass that fails" else model.forward)(IDS * 1000)
            model(IDS)
    assert any(told in text for text in meter.uncounted)
    assert meter.calls == (0 if "compiled" in how else 2)


def test_a_pass_that_was_interrupted_hides_none_that_follow(
    load: Callable[[], Any], tmp_path: Path
) -> None:
    model, other = load(), load()

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    handle = model.model.layers[1].register_forward_hook(interrupt)
    with torch.no_grad(), e2r.meter(tmp_path / "calls.csv") as meter:
        for call in (model, model.forward):
            with pytest.raises(KeyboardInterrupt):
                call(IDS)
            other(IDS)
        handle.remove()
        model(IDS)
    assert meter.calls == 6


def test_a_full_disk_ends_no_program_and_leaves_no_half_row(
    load: Callable[[], Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from e2r.meter import sheet

    write = sheet.os.write
    model = load()

    def half(handle: int, content: Any) -> int:
        if len(content) < 40:
            raise OSError(28, "No space left on device")
        return write(handle, content[:-39])

    with torch.no_grad(), e2r.meter(tmp_path / "calls.csv") as meter:
        model(IDS)
        with monkeypatch.context() as patch:
            patch.setattr(sheet.os, "write", half)
            alone = model(IDS, use_cache=False).logits
        assert torch.equal(alone, model(IDS).logits)
    assert meter.calls == 4
    assert any("No space left" in text for text in meter.uncounted)


class Own(transformers.PreTrainedModel):
    """A model of nobody's architecture."""

    config_class = transformers.LlamaConfig

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self.inner = transformers.LlamaModel(config)
        self.post_init()

    def forward(self, input_ids: Any, attention_mask: Any = None) -> Any:
        return self.inner(input_ids, attention_mask=attention_mask).last_hidden_state


def test_an_unknown_architecture_has_its_tokens_and_a_reason(
    load: Callable[[], Any], tmp_path: Path
) -> None:
    model = Own(load().config).eval()
    mask = torch.ones_like(IDS)
    mask[0, 5:] = 0
    with torch.no_grad(), e2r.meter(tmp_path / "calls.csv") as meter:
        model(IDS, attention_mask=mask)
    table = meter.to_pandas()
    assert table["prompt_tokens"].tolist() == [5, 9]
    assert table["model"].str.startswith("closed:").all()
    assert meter.petaflops is None
    assert any("'Own', whose head is not described" in text for text in meter.uncounted)


def test_doubts_about_a_price_are_said(load: Callable[[], Any], tmp_path: Path) -> None:
    model = load()
    adapter = torch.nn.Linear(48, 48)
    model.model.layers[0].self_attn.adapter = adapter
    mask = torch.ones_like(IDS)
    with torch.no_grad(), e2r.meter(tmp_path / "calls.csv") as meter:
        model.generate(IDS, attention_mask=mask, max_new_tokens=3, cache_implementation="static")
        model.train()(IDS)
    said = " ".join(meter.uncounted)
    assert "and its config describes" in said
    assert "a static cache" in said
    assert "training mode" in said


@pytest.mark.parametrize("kind", ["llama", "t5"])
def test_a_call_is_written_when_its_cache_is_let_go_and_keeps_nothing_alive(
    kind: str, tmp_path: Path
) -> None:
    getattr(tiny_models, f"save_{kind}")(tmp_path / kind)
    auto = "AutoModelForCausalLM" if kind == "llama" else "AutoModelForSeq2SeqLM"
    model = getattr(transformers, auto).from_pretrained(tmp_path / kind).eval()
    more = {} if kind == "llama" else {"decoder_input_ids": IDS[:, :1]}
    with torch.no_grad(), e2r.meter(tmp_path / "calls.csv") as meter:
        output = model(IDS, **more, use_cache=True)
        kept, states = weakref.ref(output.past_key_values), weakref.ref(output.logits)
        assert meter.calls == 0
        del output
        assert (kept(), states()) == (None, None)
        assert meter.calls == 2
        written = model.generate(IDS, max_new_tokens=4, do_sample=False)
        assert written.shape[0] == 2
        assert meter.calls == 4
        # Before the program ends, and before anybody asks.
        assert len((tmp_path / "calls.csv").read_text().splitlines()) == 5


def test_queries_reach_threads_and_nest(load: Callable[[], Any], tmp_path: Path) -> None:
    model = load()

    @torch.no_grad()
    def ask() -> None:
        model.forward(IDS[:1])

    with e2r.meter(tmp_path / "calls.csv") as meter:
        ask()
        with meter.query("q1"):
            ask()
            thread = threading.Thread(target=ask)
            thread.start()
            thread.join()
            with meter.query("q2"):
                ask()
        with pytest.raises(UsageError, match="an empty one names none"), meter.query(" "):
            pass
    assert sorted(meter.to_pandas()["qid"]) == ["", "q1", "q1", "q2"]


@pytest.mark.parametrize("name", ["", ".", "calls.csv.gz", "/proc/calls.csv"])
def test_a_sheet_that_cannot_be_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match=r"no name of a plain CSV|cannot be written"):
        e2r.meter(name).__enter__()


def test_a_meter_is_used_once_and_writes_over_nothing(tmp_path: Path) -> None:
    meter = e2r.meter(tmp_path / "calls.csv")
    with pytest.raises(UsageError, match="not been entered"):
        _ = meter.calls
    with meter:
        pass
    assert (meter.calls, meter.petaflops) == (0, 0.0)
    with pytest.raises(UsageError, match="has been used"), meter:
        pass
    with (
        pytest.raises(UsageError, match="is there already"),
        e2r.meter(tmp_path / "calls.csv"),
    ):
        pass
