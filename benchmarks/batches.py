"""How many tokens a batch suit a processor: random models of four widths, batches of five sizes.

Random weights are as fast as trained ones. Each line is a width and a kind: a classifier that
scores 48 passages of BERT's usual lengths, beside sentence-transformers' CrossEncoder on the same
files, or a decoder that reads 16. All of a line take turns in one process, twice, and the best time
of each is told.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
import transformers
from sentence_transformers import CrossEncoder
from tokenizers import ByteLevelBPETokenizer
from tokenizers.processors import TemplateProcessing

from e2r.models.network.transformers import load
from e2r.prompts.request import Classify, Labels, Message, Request
from e2r.records.spec import ExecutionSpec, ModelSpec

# Hidden size, layers and heads as in TinyBERT, MiniLM, BERT base and large; fewer layers for time.
WIDTHS = {128: (2, 2), 384: (6, 12), 768: (3, 12), 1024: (2, 16)}
TOKENS = (1024, 2048, 4096, 8192)
TURNS = 2


def words(count: int, generator: random.Random) -> str:
    return " ".join(f"w{generator.randrange(300)}" for _ in range(count))


def tokenizer(folder: Path) -> int:
    """A tokenizer trained on the words that the passages are made of; its size."""
    trained = ByteLevelBPETokenizer()
    texts = [words(200, random.Random(n)) for n in range(50)]
    trained.train_from_iterator(texts, 1200, special_tokens=["<pad>", "</s>"])
    trained._tokenizer.post_processor = TemplateProcessing(
        single="$A", pair="$A </s> $B </s>", special_tokens=[("</s>", 1)]
    )
    saved = transformers.PreTrainedTokenizerFast(
        tokenizer_object=trained._tokenizer, pad_token="<pad>", eos_token="</s>"
    )
    saved.chat_template = "{% for m in messages %}{{ m.content }}{% endfor %}"
    saved.save_pretrained(folder)
    return len(saved)


def classifier(folder: Path, width: int) -> None:
    layers, heads = WIDTHS[width]
    config = transformers.BertConfig(
        vocab_size=tokenizer(folder),
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=4 * width,
        num_labels=1,
    )
    transformers.BertForSequenceClassification(config).save_pretrained(folder)


def decoder(folder: Path, width: int) -> None:
    layers, heads = WIDTHS[width]
    config = transformers.LlamaConfig(
        vocab_size=tokenizer(folder),
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=3 * width,
        bos_token_id=None,
        eos_token_id=1,
    )
    transformers.LlamaForCausalLM(config).save_pretrained(folder)


def requests(kind: str, count: int) -> list[Request]:
    generator = random.Random(7)
    query = words(6, generator)
    lengths = [min(250, max(20, round(generator.gauss(80, 40)))) for _ in range(count)]
    if kind == "classifier":
        texts = [words(length, generator) for length in lengths]
        return [Classify((Message("query", query), Message("passage", text))) for text in texts]
    return [
        Labels((Message("user", f"{query} {words(length, generator)}"),), ("A", "B"))
        for length in lengths
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    transformers.utils.logging.disable_progress_bar()
    print(f"{torch.get_num_threads()} threads, batches of at most {given.batch_size} calls")
    makers: dict[str, Callable[[Path, int], None]] = {"classifier": classifier, "decoder": decoder}
    for kind, make in makers.items():
        for width in WIDTHS:
            with tempfile.TemporaryDirectory() as name:
                make(Path(name), width)
                best = timed(Path(name), requests(kind, 48 if kind == "classifier" else 16), given)
            told = ", ".join(f"{way}: {it / best['1024']:.2f}" for way, it in best.items())
            print(f"{kind:10} {width:5} wide: {best['1024']:.3f} s with 1024; times that {told}")


def timed(folder: Path, asked: list[Request], given: argparse.Namespace) -> dict[str, float]:
    """The best seconds by tokens a batch, and of the library that others use."""
    ways: dict[str, Callable[[], object]] = {}
    for tokens in TOKENS:
        how = ExecutionSpec(device="cpu", batch_size=given.batch_size, batch_tokens=tokens)
        model = load(ModelSpec(source=str(folder)), how)
        ways[f"{tokens}"] = lambda model=model: model.reply(asked)
    if isinstance(asked[0], Classify):
        pairs = [tuple(message.content for message in each.messages) for each in asked]
        theirs = CrossEncoder(str(folder), device="cpu")
        ways["sentence-transformers"] = lambda: theirs.predict(
            pairs, batch_size=given.batch_size, show_progress_bar=False
        )
    best = dict.fromkeys(ways, float("inf"))
    for turn in range(TURNS + 1):
        for way, work in ways.items():
            began = time.perf_counter()
            work()
            if turn:
                best[way] = min(best[way], time.perf_counter() - began)
    return best


if __name__ == "__main__":
    main()
