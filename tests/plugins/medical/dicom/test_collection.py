"""Folders and archives that are read in place."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from vlcore.errors import ConfigurationError, ManifestError, UnsafePathError
from vlcore_medical.dicom import collection as module
from vlcore_medical.dicom.collection import open_collection


def archive(path: Path, **members: bytes) -> Path:
    """Write a zip archive; `__` in a name stands for `/`."""
    with zipfile.ZipFile(path, "w") as file:
        for name, data in members.items():
            file.writestr(name.replace("__", "/"), data)
    return path


def test_a_folder_and_its_archive_are_the_same(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "2").write_bytes(b"two")
    (tmp_path / "a" / "1").write_bytes(b"one")
    for path in (tmp_path / "a", archive(tmp_path / "a.zip", b__2=b"two", **{"1": b"one"})):
        with open_collection(path) as collection:
            assert collection.names == ("1", "b/2")
            with collection.open("b/2") as handle:
                assert handle.read() == b"two"


@pytest.mark.parametrize("name", ["../evil.dcm", "a/../../evil.dcm", "/etc/evil.dcm", "..\\evil.dcm"])
def test_a_member_that_leads_out_is_refused(tmp_path: Path, name: str) -> None:
    path = archive(tmp_path / "a.zip", **{name: b"x"})
    with pytest.raises(UnsafePathError, match="leads out of"), open_collection(path):
        pass


def test_a_link_that_leads_out_is_refused(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("x")
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "link.dcm").symlink_to(tmp_path / "secret")
    with pytest.raises(UnsafePathError, match="is a link that leads out"), open_collection(tmp_path / "a"):
        pass


def test_encrypted_and_huge_members_are_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = archive(tmp_path / "a.zip", big=b"12345", locked=b"1")
    data = bytearray(path.read_bytes())
    data[data.rindex(b"PK\x01\x02") + 8] |= 1  # the last member's flag of encryption, in the central directory
    path.write_bytes(data)
    monkeypatch.setattr(module, "MAX_MEMBER_BYTES", 4)
    with pytest.raises(ManifestError) as caught, open_collection(path):
        pass
    assert "member big: says it has 0.0 GiB. Unpack the archive yourself." in str(caught.value)
    assert "member locked: is encrypted." in str(caught.value)


def test_anything_else_is_told(tmp_path: Path) -> None:
    is_told = pytest.raises(ConfigurationError, match="is neither a folder nor a zip archive")
    with is_told, open_collection(tmp_path / "gone"):
        pass
