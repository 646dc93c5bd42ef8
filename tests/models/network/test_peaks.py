"""What a processor's data sheet allows is read from its flags, and is never below what it does."""

from __future__ import annotations

import pytest
import torch

from e2r.models.network import peaks


@pytest.mark.parametrize(
    ("flags", "dtype", "a_cycle"),
    [
        ("fma avx2", "float32", 32),
        ("fma avx2 avx512f avx512_bf16", "float32", 64),
        ("fma avx2 avx512f avx512_bf16", "bfloat16", 128),
        ("avx512f amx_bf16", "bfloat16", 2048),
        ("sse2", "bfloat16", 16),
    ],
)
def test_two_of_the_widest_units_at_the_highest_clock(
    flags: str, dtype: str, a_cycle: int, monkeypatch: pytest.MonkeyPatch, tmp_path
) -> None:
    monkeypatch.setattr(peaks, "CPUS", tmp_path)
    text = f"processor : 0\ncpu MHz : 2000.0\nflags : {flags}\n"
    clock = 2e9 * peaks.BOOST
    assert peaks.printed(dtype, text) == a_cycle * clock * torch.get_num_threads()
    (tmp_path / "cpu0/cpufreq").mkdir(parents=True)
    (tmp_path / "cpu0/cpufreq/cpuinfo_max_freq").write_text("4000000\n")
    assert peaks.printed(dtype, text) == a_cycle * 4e9 * torch.get_num_threads()
    assert peaks.printed(dtype, "nothing: known") == 0


def test_a_processor_is_measured() -> None:
    found = peaks.measured("cpu", "float32")
    assert min(found) > 0
    assert found.flops >= peaks.printed("float32", peaks.CPUINFO.read_text())
