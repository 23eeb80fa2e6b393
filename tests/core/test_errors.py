"""Errors: one readable message with place, value and mend."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest

from vlcore import errors
from vlcore.errors import (
    DuplicateNameError,
    FingerprintMismatchError,
    ImageDecodeError,
    ManifestError,
    MissingDependencyError,
    Problem,
    UnknownNameError,
    VlcoreError,
)


def test_every_error_is_a_vlcore_error_with_a_docstring() -> None:
    kinds = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, Exception)]
    assert len(kinds) > 8
    for kind in kinds:
        assert issubclass(kind, VlcoreError)
        assert inspect.getdoc(kind)


def test_an_unknown_name_among_none() -> None:
    assert str(UnknownNameError("reader", "x", [])) == "There is no reader named 'x'. Known: none."


def test_a_duplicate_names_both_owners() -> None:
    error = DuplicateNameError("reader", "a/b", "first-dist", "second-dist")
    assert "'a/b' is claimed by both 'first-dist' and 'second-dist'" in str(error)


def test_a_missing_dependency_is_an_import_error_with_the_command() -> None:
    error = MissingDependencyError("rasterio", "remote_sensing", "Reading GeoTIFF")
    assert isinstance(error, ImportError)
    assert str(error) == (
        "Reading GeoTIFF needs the library 'rasterio', which is not installed: pip install \"vlcore[remote_sensing]\""
    )
    other = MissingDependencyError("segyio", "seismic", "Reading SEG-Y", "vlcore-geology")
    assert 'pip install "vlcore-geology[seismic]"' in str(other)
    with pytest.raises(ImportError, match="segyio"):
        raise other


def test_a_manifest_error_lists_all_problems_up_to_a_cap() -> None:
    one = ManifestError("a.jsonl", [Problem("line 3", "'image' is missing.")])
    assert str(one) == "a.jsonl: 1 problem. Nothing was read; mend these and run again:\n  line 3: 'image' is missing."
    many = ManifestError(Path("a.jsonl"), [Problem(f"line {n}", "bad") for n in range(1, 26)])
    assert "25 problems" in str(many)
    assert "line 20: bad" in str(many)
    assert "line 21" not in str(many)
    assert str(many).endswith("… and 5 more")
    counted = ManifestError("a.jsonl", [Problem("line 1", "bad")] * 20, total=1000)
    assert str(counted).endswith("… and 980 more")
    assert (counted.total, counted.path) == (1000, Path("a.jsonl"))


def test_an_undecodable_image_names_record_file_reason_and_choices() -> None:
    message = str(ImageDecodeError("patient 7", "a/b.jpg", "the file is empty"))
    for part in ("'patient 7'", "a/b.jpg", "the file is empty", "skip", "replace"):
        assert part in message


def test_a_fingerprint_mismatch_names_field_and_both_values() -> None:
    error = FingerprintMismatchError("The index photos.index", "preprocessing", 224, 256, "Build it again.")
    assert "another preprocessing: stored 224, now 256" in str(error)
    assert str(error).endswith("Build it again.")
    assert (error.field, error.stored, error.current) == ("preprocessing", 224, 256)
