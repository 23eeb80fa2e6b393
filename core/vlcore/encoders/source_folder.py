"""Where a tower's files are: a local folder, or a hub repository that is downloaded once and then found offline."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from vlcore.errors import ConfigurationError, ModelDirectoryError

_HUB_ID = re.compile(r"\w[\w.-]*/\w[\w.-]*")
_DESCRIPTIONS = ["*.json", "*.txt", "*.model", "README.md"]
# The same weights for other engines, in folders of their own.
_FOREIGN = ["onnx/*", "openvino/*", "coreml/*", "gguf/*", "original/*"]


def source_folder(argument: str, source: str) -> Path:
    """Return the folder of a tower: `argument` itself if it is one, else the hub repository of that id.

    Args:
        argument: a local folder or `organisation/name`.
        source: `timm`, `transformers` and so on, for the message.

    Raises:
        ConfigurationError: if it is neither, or cannot be downloaded.
    """
    path = Path(argument).expanduser()
    if path.is_dir():
        return path
    if path.exists():
        raise ConfigurationError(f"{source}/{argument}: {path} is a file; name the folder that holds it.")
    if not _HUB_ID.fullmatch(argument):
        raise ConfigurationError(
            f"{source}/{argument}: there is no folder {path}, and it is no hub id of the form 'organisation/name'."
        )
    return _download(argument, source)


def read_json(path: Path, holds: str) -> dict[str, Any]:
    """Read a JSON object that a tower folder must have.

    Args:
        path: of the file.
        holds: what is in it, for the message: `the architecture`.

    Raises:
        ModelDirectoryError: if it is missing or damaged; nothing is filled in.
    """
    if not path.is_file():
        raise ModelDirectoryError(
            f"{path} is missing; it holds {holds}, and a guess would change the features. Copy the whole folder of "
            f"the tower."
        )
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ModelDirectoryError(f"{path} is not JSON: {error}. Copy it again.") from error
    if not isinstance(values, dict):
        raise ModelDirectoryError(f"{path} must hold a JSON object, found {type(values).__name__}. Copy it again.")
    return values


def licence_of(folder: Path) -> str:
    """Licence that the folder's model card states in its header, or `unknown`."""
    card = folder / "README.md"
    if not card.is_file():
        return "unknown"
    text = card.read_text(encoding="utf-8", errors="replace")
    header = re.match(r"---\n(.*?)\n---", text, flags=re.DOTALL)
    found = re.search(r"^license(?:_name)?:[ \t]*[\"']?([\w.+-]+)", header[1] if header else "", flags=re.MULTILINE)
    return found[1] if found else "unknown"


def _download(repository: str, source: str) -> Path:
    from huggingface_hub import snapshot_download

    try:
        for weights in ("*.safetensors", "*.bin"):
            wanted = [*_DESCRIPTIONS, weights]
            folder = Path(snapshot_download(repository, allow_patterns=wanted, ignore_patterns=_FOREIGN))
            if any(folder.rglob("*.safetensors")):
                break
    # Every failure of the network, of rights and of the cache means the same to the user.
    except Exception as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ConfigurationError(
            f"{source}/{repository}: there is no such local folder, and the hub repository cannot be fetched "
            f"({type(error).__name__}: {reason}). Download it on a machine with network and name its folder: "
            f"{source}/path/to/folder."
        ) from error
    return folder
