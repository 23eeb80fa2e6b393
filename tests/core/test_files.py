"""Files: whole or not at all; names that stay inside their folder."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path

import pytest

from vlcore.errors import UnsafePathError
from vlcore.files import atomic_write, contained, safe_name, sha256_file, write_text


def test_a_failed_write_keeps_the_old_file_and_leaves_no_rubbish(tmp_path: Path) -> None:
    target = tmp_path / "scores.json"
    write_text(target, "old")
    with pytest.raises(RuntimeError, match="disk full"), atomic_write(target) as temporary:
        temporary.write_text("half")
        raise RuntimeError("disk full")
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_nothing_is_at_the_path_before_the_write_is_finished(tmp_path: Path) -> None:
    target = tmp_path / "new" / "scores.json"
    with atomic_write(target) as temporary:
        temporary.write_text("all")
        assert not target.exists()
        assert temporary.parent == target.parent  # a rename across file systems would not be atomic
    assert target.read_text() == "all"


def test_a_finished_file_has_ordinary_rights(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        write_text(tmp_path / "a.txt", "a")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a.txt").stat().st_mode) == 0o644


def test_interruption_counts_as_failure(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), atomic_write(tmp_path / "a.txt"):
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_text_is_utf_8_whatever_the_locale(tmp_path: Path) -> None:
    write_text(tmp_path / "a.txt", "魔法, é")
    assert (tmp_path / "a.txt").read_bytes() == "魔法, é".encode()


def test_sha256_of_a_file_larger_than_a_block(tmp_path: Path) -> None:
    data = bytes(range(256)) * 5000
    (tmp_path / "a.bin").write_bytes(data)
    assert sha256_file(tmp_path / "a.bin") == hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize("name", ["../secret", "a/../../secret", "/etc/passwd", "a\\..\\..\\b", "", "a\0b", ".."])
def test_paths_that_lead_out_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UnsafePathError, match="leads out of"):
        contained(tmp_path, name)


@pytest.mark.parametrize("name", ["a.jpg", "a/b/c.jpg", "a..b.jpg", "…/bild.png", "a//b.jpg"])
def test_paths_inside_are_joined(tmp_path: Path, name: str) -> None:
    assert contained(tmp_path, name) == tmp_path / name


def test_links_out_are_refused_and_links_inside_are_not(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (tmp_path / "secret").write_text("s")
    (root / "a.txt").write_text("a")
    (root / "out").symlink_to(tmp_path / "secret")
    (root / "in").symlink_to(root / "a.txt")
    with pytest.raises(UnsafePathError, match="is a link that leads out"):
        contained(root, "out")
    assert contained(root, "in").read_text() == "a"


def test_safe_names_are_never_paths_short_and_distinct(tmp_path: Path) -> None:
    identifiers = [
        "a",
        "../a",
        "/a",
        "a/b",
        "a\\b",
        "..",
        ".",
        ".hidden",
        "é",
        "a%2Fb",
        "x" * 500,
        "x" * 501,
        "a b",
        "\0",
    ]
    names = [safe_name(identifier) for identifier in identifiers]
    assert len(set(names)) == len(identifiers)
    for name in names:
        assert len(name.encode()) <= 200
        assert Path(name).name == name
        (tmp_path / name).write_text("x")
    assert len(list(tmp_path.iterdir())) == len(identifiers)
    assert safe_name("photo 1 (small)") == "photo 1 (small)"
