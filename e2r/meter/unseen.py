"""Libraries that run models where no meter can look."""

from __future__ import annotations

import sys
from collections.abc import Mapping

UNSEEN: Mapping[str, str] = {
    "llama_cpp": "llama.cpp in the process (llama_cpp)",
    "onnxruntime": "ONNX Runtime (onnxruntime)",
    "tensorflow": "TensorFlow (tensorflow)",
    "jax": "JAX (jax)",
    "ctranslate2": "CTranslate2 (ctranslate2)",
    "openvino": "OpenVINO (openvino)",
    "mlx": "MLX (mlx)",
    "exllamav2": "ExLlamaV2 (exllamav2)",
    "tensorrt_llm": "TensorRT-LLM (tensorrt_llm)",
    "sglang": "SGLang (sglang)",
    "requests": "HTTP by requests (requests)",
    "aiohttp": "HTTP by aiohttp (aiohttp)",
}
"""By the module that is loaded: what it may compute or ask for that is in no row."""
OFTEN_IDLE = ("requests", "aiohttp")
"""Loaded by many libraries for other ends; told only where nothing else was counted."""


def unseen() -> list[str]:
    """What is loaded in this process and cannot be counted."""
    return [told for name, told in UNSEEN.items() if name in sys.modules]
