"""docs/models.md: which model types are priced, under which heads, and which are refused.

python -m tests.flops.models_page        writes the page anew
"""

from __future__ import annotations

from pathlib import Path
from textwrap import fill

import transformers
from transformers.models.auto import modeling_auto as auto

from e2r.flops.catalogue import entries
from e2r.flops.families import family, index

PAGE = Path(__file__).parents[2] / "docs" / "models.md"
TEXT = (
    auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
    auto.MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES,
    auto.MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES,
    auto.MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES,
    auto.MODEL_FOR_MASKED_LM_MAPPING_NAMES,
)
"""What transformers maps to a class that reads or writes text."""

HEAD = """# Models that are priced

A model is priced to the last matrix product or refused by name; nothing is guessed
([ADR 3](adr/0003-unknown-architectures-are-refused.md)). Refused are a `model_type` that is not in
the first table, a class in `architectures` that is not in its row, and a field that changes the
arithmetic in a way that is not described; the message names it. Where `architectures` is absent,
decoders generate and encoders classify; `--task` says otherwise, and overrides `architectures`.

"Priced" means that the convention `torch` equals PyTorch's FlopCounterMode in every module, and
that the parameters are the model's own. The tests hold both for every row below, on the meta
device, with eager attention, a cache, and experts as batched products.

## Versions of transformers

Equality holds for transformers 5.19 to 5.24, with which the tests were run; `pyproject.toml` asks
for 5.19. Up to 5.18, rotary embeddings were a matrix product, which FlopCounterMode counts: the
width of a head in FLOPs for each token, once for each kind of layer. DeBERTa-v2 was TorchScript up
to 5.22 and cannot be counted there without weights. T5 and its kin are tied when transformers
builds them from a config that says `tie_word_embeddings: false`, and untied when it loads such a
checkpoint, which brings two tables: e2r counts the checkpoint's.

"""
FOOT = """
This page is written by `python -m tests.flops.models_page`, and a test holds it to the code.
"""


CATALOGUE = """
## The catalogue

{count} models are known by name, without a network: `e2r list models`. {pinned} of them are
pinned to a commit; for the others none is known here, and `main` may have changed since. The last
column says what confirms an entry beside the config it was taken from. A base model confirms
sizes, not the context. Checkpoints for fusion in the decoder (LiT5, ListT5) are refused by name:
they run the encoder once a passage, which no call of one prompt describes.

| model | commit | confirmed by |
|---|---|---|
"""


def catalogue() -> str:
    """What each entry of the catalogue stands on."""
    found = entries()
    pinned = [name for name, entry in found.items() if entry["revision"] != "unpinned"]
    rows = "".join(
        f"| {name} | {entry['revision'][:8]} | {'; '.join(entry['confirmed']) or 'nothing'} |\n"
        for name, entry in found.items()
    )
    return CATALOGUE.format(count=len(found), pinned=len(pinned)) + rows


def page() -> str:
    """The page as it has to be."""
    rows = "".join(
        f"| `{name}` | {', '.join(f'`{head}`' for head in family(name).HEADS[name])} |\n"
        for name in sorted(index())
    )
    refused = sorted({name for mapping in TEXT for name in mapping} - set(index()))
    version = ".".join(transformers.__version__.split(".")[:2])
    names = ", ".join(f"`{name}`" for name in refused)
    return (
        f"{HEAD}## Priced: {len(index())} model types\n\n"
        f"| `model_type` | classes whose head is described |\n|---|---|\n{rows}\n"
        f"## Refused: the other {len(refused)} text model types of transformers {version}\n\n"
        f"{fill(names, 110, break_long_words=False, break_on_hyphens=False)}\n"
        f"{catalogue()}{FOOT}"
    )


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
