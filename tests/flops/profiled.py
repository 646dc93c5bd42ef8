"""Calls under the calflops profiler: a JSON list of them in, config facts and FLOPs out as JSON.

Run as a script, because the profiler patches torch for the whole process.
"""

from __future__ import annotations

import json
import sys
from typing import Any


def profile(
    model_type: str, fields: dict[str, Any], auto: str, attention: str, lengths: dict[str, int]
) -> dict[str, Any]:
    import torch
    import transformers
    from calflops import calculate_flops

    config = transformers.CONFIG_MAPPING[model_type](**fields)
    model = getattr(transformers, auto).from_config(config, attn_implementation=attention).eval()
    inputs = {name: torch.ones(1, count, dtype=torch.long) for name, count in lengths.items()}
    with torch.no_grad():
        flops, _, _ = calculate_flops(
            model, kwargs=inputs, print_results=False, output_as_string=False
        )
    return {"flops": int(flops), "config": config.to_diff_dict()}


if __name__ == "__main__":
    answers = {name: profile(**request) for name, request in json.loads(sys.argv[1]).items()}
    print(json.dumps(answers))  # noqa: T201
