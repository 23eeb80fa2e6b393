"""The fingerprint of a model directory: hashes of every file that changes an embedding, and one hash over them.

The file can be checked by hand: `sha256sum --check fingerprint`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path

from vlcore.errors import ModelDirectoryError, UnsafePathError
from vlcore.files import contained, sha256_file

FILE = "fingerprint"
CONFIG = "config.yaml"
WEIGHTS = "model.safetensors"
PREPROCESS = "preprocess.json"
TOKENIZER = "tokenizer"
CARD = "README.md"
PARTS = (CARD, CONFIG, FILE, WEIGHTS, PREPROCESS, TOKENIZER)
"""Everything a model directory consists of; other files in it belong to the user."""

HEADER = "# vlcore model fingerprint v1 "


def write_fingerprint(folder: Path) -> str:
    """Hash the parts of a new model directory and write them down.

    Returns:
        The fingerprint, 64 hexadecimal digits.
    """
    names = [CONFIG, WEIGHTS, PREPROCESS, *_tokenizer_files(folder)]
    hashes = {name: sha256_file(folder / name) for name in names}
    fingerprint = _combined(hashes)
    (folder / FILE).write_text(f"{HEADER}{fingerprint}\n{_listing(hashes)}", encoding="utf-8")
    return fingerprint


def verify_fingerprint(folder: Path) -> str:
    """Check that every part is there, unchanged and inside the folder.

    Returns:
        The fingerprint, 64 hexadecimal digits.

    Raises:
        ModelDirectoryError: naming the file, what was expected and what was found.
    """
    expected = read_fingerprint(folder)
    for name in (CONFIG, WEIGHTS, PREPROCESS):
        if name not in expected:
            raise ModelDirectoryError(f"{folder / FILE} does not name {name}: the folder was not written by vlcore.")
    for name in _tokenizer_files(folder):
        if name not in expected:
            raise ModelDirectoryError(
                f"{folder / name} is not named in {FILE}: a tokeniser reads what it finds, so a file that was added "
                f"later changes the ids. Remove it."
            )
    for name, digest in expected.items():
        found = sha256_file(part(folder, name))
        if found != digest:
            raise ModelDirectoryError(
                f"{folder / name} was changed or is incomplete: SHA-256 expected {digest}, found {found}. Copy it "
                f"again from where the model was saved."
            )
    return _combined(expected)


def part(folder: Path, name: str) -> Path:
    """Path of a part that is there and is not a link out of the folder.

    The Hugging Face cache keeps a snapshot's files as links to its own `blobs` folder; those alone are followed.

    Raises:
        ModelDirectoryError: if the part is missing or leads out.
    """
    path = folder / name
    blobs = folder.parent.parent / "blobs"
    try:
        if not (folder.parent.name == "snapshots" and path.resolve().parent == blobs.resolve()):
            path = contained(folder, name)
    except UnsafePathError as error:
        raise ModelDirectoryError(str(error)) from error
    if not path.is_file():
        raise ModelDirectoryError(f"{path} is missing: a model directory is complete or it is not one. Copy it again.")
    return path


def read_fingerprint(folder: Path) -> dict[str, str]:
    """SHA-256 by file name, as written in the fingerprint file.

    Raises:
        ModelDirectoryError: if there is no such file or it is damaged.
    """
    path = part(folder, FILE)
    first, _, body = path.read_text(encoding="utf-8", errors="replace").partition("\n")
    if not first.startswith(HEADER):
        raise ModelDirectoryError(
            f"{path} starts with {first[:60]!r}, expected {HEADER.strip()!r}: it was written by another program or a "
            f"newer vlcore. Update vlcore, or save the model again."
        )
    hashes: dict[str, str] = {}
    for number, line in enumerate(body.splitlines(), start=2):
        match = re.fullmatch(r"([0-9a-f]{64})  (.+)", line)
        name = match[2] if match else ""
        if not match or name in hashes or not (name in (CONFIG, WEIGHTS, PREPROCESS) or name.startswith("tokenizer/")):
            raise ModelDirectoryError(f"{path}, line {number}: {line[:100]!r} is not a hash and a part's name.")
        hashes[name] = match[1]
    if first.removeprefix(HEADER) != _combined(hashes):
        raise ModelDirectoryError(f"{path} was changed: its first line does not match its list. Copy it again.")
    return hashes


def _tokenizer_files(folder: Path) -> list[str]:
    found = [path for path in (folder / TOKENIZER).rglob("*") if path.is_symlink() or not path.is_dir()]
    return sorted(path.relative_to(folder).as_posix() for path in found)


def _listing(hashes: Mapping[str, str]) -> str:
    return "".join(f"{digest}  {name}\n" for name, digest in sorted(hashes.items()))


def _combined(hashes: Mapping[str, str]) -> str:
    return hashlib.sha256(_listing(hashes).encode()).hexdigest()
