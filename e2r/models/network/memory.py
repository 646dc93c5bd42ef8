"""When memory ran out, and giving back what is unused."""

from __future__ import annotations

import torch


def release() -> None:
    """Give an accelerator's unused memory back, once no traceback holds it any more."""
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out: on an accelerator, or in the host's allocator."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or (
        "can't allocate memory" in str(error)
    )
