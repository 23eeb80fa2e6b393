"""Where a model directory is: a folder, or a hub id that is downloaded once and then found offline."""

from __future__ import annotations

import re
from pathlib import Path

from vlcore.errors import ModelDirectoryError
from vlcore.hub.fingerprint import PARTS, TOKENIZER


def model_folder(path_or_hub_id: Path | str) -> Path:
    """Return the folder of a model, downloading a hub id that is not yet in the Hugging Face cache.

    Args:
        path_or_hub_id: a folder, or `organisation/name` on the hub.

    Raises:
        ModelDirectoryError: if there is no such folder, and it is no hub id or cannot be downloaded.
    """
    path = Path(path_or_hub_id)
    if path.is_dir():
        return path
    if path.exists():
        raise ModelDirectoryError(f"{path} is a file: pass the model directory, the folder that training wrote.")
    name = path.as_posix()
    if not re.fullmatch(r"\w[\w.-]*/\w[\w.-]*", name):
        raise ModelDirectoryError(f"There is no folder {path}. Train a model, or pass the folder or hub id of one.")
    from huggingface_hub import snapshot_download

    try:
        # Only the parts: nothing else of a repository is fetched, so no pickle ever reaches the disk.
        patterns = [*PARTS, f"{TOKENIZER}/*"]
        return Path(snapshot_download(name, allow_patterns=patterns))
    except Exception as error:
        reason = str(error).strip().splitlines()
        raise ModelDirectoryError(
            f"There is no folder {path}, and {name!r} cannot be had from the hub ({type(error).__name__}: "
            f"{reason[0] if reason else 'no reason given'}). Check the spelling; if HF_HUB_OFFLINE is set, unset it "
            f"once to download, or copy the folder here."
        ) from error
