"""What the head reads: on the device where a network ends, and where it cannot be watched."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from transformers import AutoModelForCausalLM, AutoTokenizer

from e2r.errors import DataError
from e2r.models.encoding import Encoded, Encoder
from e2r.models.network.passes import Passes
from e2r.models.reuse import ALONE
from tests.tiny_models import save_llama


def test_a_network_spread_over_devices_is_read_where_it_ends() -> None:
    """Of two devices only one computes here; the mode checks devices, and computes nothing."""
    head = nn.Identity()
    network: Any = SimpleNamespace(get_output_embeddings=lambda: head)
    with FakeTensorMode():
        places = torch.zeros(2, 3, dtype=torch.long)
        hidden = torch.zeros(2, 9, 4, device="meta")
        with Passes(network, None, 0, False)._head_reads(places):  # type: ignore[arg-type]
            read = head(hidden)
    assert read.shape == (2, 3, 4)
    assert read.device == hidden.device


def test_a_head_that_cannot_be_watched_is_refused(tmp_path: Path) -> None:
    """Padding would be read instead, without a word."""
    network = AutoModelForCausalLM.from_pretrained(save_llama(tmp_path)).eval()
    encoder = Encoder(AutoTokenizer.from_pretrained(tmp_path), None, None)
    passes = Passes(network, encoder, 0, False)
    rows = [Encoded((5, 6, 7)), Encoded((5, 6, 7, 8, 9))]
    [short, _] = passes.label_logits(rows, [ALONE, ALONE], [(3, 4), (3, 4)])
    [alone] = passes.label_logits(rows[:1], [ALONE], [(3, 4)])
    assert short.value == pytest.approx(alone.value, abs=1e-5)
    network.lm_head = None
    network.get_output_embeddings = lambda: None
    with pytest.raises(DataError, match="no head"):
        passes.label_logits(rows, [ALONE, ALONE], [(3, 4), (3, 4)])
    network.get_output_embeddings = lambda: nn.Identity()
    network.forward = lambda input_ids, **_: SimpleNamespace(logits=torch.zeros(2, 5, 9))
    with pytest.raises(DataError, match="read 5 positions where 1 were asked for"):
        passes.label_logits(rows, [ALONE, ALONE], [(3, 4), (3, 4)])
