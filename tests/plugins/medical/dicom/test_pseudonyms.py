"""Pseudonyms and the salt they are made with."""

from __future__ import annotations

import hashlib
import hmac
import os
from pathlib import Path

import pytest

from vlcore.errors import ConfigurationError
from vlcore_medical.dicom.pseudonyms import Pseudonyms, load_pseudonyms


def test_a_pseudonym_is_an_hmac_of_kind_and_value() -> None:
    pseudonyms = Pseudonyms(b"secret")
    expected = hmac.new(b"secret", b"patient\0P-7", hashlib.sha256).hexdigest()
    assert pseudonyms.of("patient", "P-7") == expected[:32]
    assert pseudonyms.of("study", "P-7") != expected[:32]
    assert "secret" not in repr(pseudonyms)


def test_the_salt_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "new" / "pseudonyms.salt"
    old = os.umask(0)
    try:
        first = load_pseudonyms(path)
    finally:
        os.umask(old)
    assert path.stat().st_mode & 0o777 == 0o600
    assert load_pseudonyms(path) == first
    assert load_pseudonyms(tmp_path / "other.salt") != first


def test_a_salt_that_others_can_read_or_that_is_none_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "pseudonyms.salt"
    load_pseudonyms(path)
    path.chmod(0o640)
    with pytest.raises(ConfigurationError, match=f"may be read or changed by others.*: chmod 600 {path}"):
        load_pseudonyms(path)
    path.chmod(0o600)
    path.write_text("")
    with pytest.raises(ConfigurationError, match="does not hold 64 hexadecimal digits"):
        load_pseudonyms(path)
    with pytest.raises(ConfigurationError, match="is no file"):
        load_pseudonyms(tmp_path)
