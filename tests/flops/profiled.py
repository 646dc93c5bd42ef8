"""One call under the calflops profiler: config facts and token ids' lengths in, FLOPs out as JSON.

Run as a script, because the profiler patches torch for the whole process.
"""

from __future__ import annotations

import json
import sys
from typing import Any


def main(
    model_type: str, fields: dict[str, Any], auto: str, attention: str, lengths: dict[str, int]
) -> None:
    import torch
    import transformers
    from calflops import calculate_flops

    torch.manual_seed(0)
    config = transformers.CONFIG_MAPPING[model_type](**fields)
    model = getattr(transformers, auto).from_config(config, attn_implementation=attention).eval()
    inputs = {name: torch.ones(1, count, dtype=torch.long) for name, count in lengths.items()}
    with torch.no_grad():
        flops, _, _ = calculate_flops(
            model, kwargs=inputs, print_results=False, output_as_string=False
        )
    print(json.dumps({"flops": int(flops), "config": config.to_diff_dict()}))  # noqa: T201


if __name__ == "__main__":
    main(**json.loads(sys.argv[1]))
