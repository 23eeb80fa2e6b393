"""Stable pseudonyms for identifiers: HMAC-SHA256 (RFC 2104) under a salt that the project keeps to itself."""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
from dataclasses import dataclass, field
from pathlib import Path

from vlcore.errors import ConfigurationError
from vlcore.files import sync


@dataclass(frozen=True, slots=True)
class Pseudonyms:
    """Makes pseudonyms; the same value and salt give the same one, in every run.

    Attributes:
        salt: secret of the project. Who has it can try out identifiers.
    """

    salt: bytes = field(repr=False)

    def of(self, kind: str, value: str) -> str:
        """The pseudonym of a value, 32 hexadecimal digits.

        Args:
            kind: what it identifies, such as `patient`; equal values of two kinds get different pseudonyms.
            value: the identifier.
        """
        return hmac.new(self.salt, f"{kind}\0{value}".encode(), hashlib.sha256).hexdigest()[:32]


def load_pseudonyms(path: Path) -> Pseudonyms:
    """Read the salt of a project, or make it where there is none yet.

    Args:
        path: file of 64 hexadecimal digits; it is created readable and writable by its owner alone.

    Raises:
        ConfigurationError: if others may read the file, or it holds no salt.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        # Created with its final rights: a file that is narrowed later could be opened in between.
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    except FileExistsError:
        return Pseudonyms(_read(path))
    except OSError as error:
        raise ConfigurationError(f"The salt {path} cannot be made: {error.strerror}. Choose another place.") from None
    with os.fdopen(descriptor, "w", encoding="ascii") as handle:
        handle.write(secrets.token_hex(32) + "\n")
    sync(path)
    return Pseudonyms(_read(path))


def _read(path: Path) -> bytes:
    if not path.is_file():
        raise ConfigurationError(f"The salt {path} is no file. Give the path of a file, or of one to make.")
    if os.name == "posix" and path.stat().st_mode & 0o077:
        raise ConfigurationError(
            f"The salt {path} may be read or changed by others, who could then find out who is who: chmod 600 {path}"
        )
    text = path.read_text(encoding="ascii", errors="replace").strip()
    if not re.fullmatch("[0-9a-f]{64}", text):
        raise ConfigurationError(
            f"The salt {path} does not hold 64 hexadecimal digits. Restore it: another salt gives other pseudonyms."
        )
    return bytes.fromhex(text)
