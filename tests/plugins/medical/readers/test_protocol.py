"""Leaks between splits, against a slow look at all pairs; and what is told."""

from __future__ import annotations

import random
import warnings
from pathlib import Path

import pytest

from vlcore.data.record import ImageRef, Record
from vlcore.errors import ConfigurationError
from vlcore_medical.readers.protocol import check_choice, tell_counts, without_leaks

STRONGER = {"train": ("val", "test"), "val": ("test",)}


def test_no_group_is_left_on_two_sides_and_nothing_else_goes() -> None:
    draw = random.Random(0)
    for _ in range(30):
        records = [
            Record(
                str(number),
                ImageRef(Path("a.png")),
                group=draw.choice([None, *"abcdefgh"]),
                split=draw.choice([None, "train", "train", "val", "test"]),
            )
            for number in range(12)
        ]
        leaking = {
            one.id
            for one in records
            for other in records
            if one.group is not None and one.group == other.group and other.split in STRONGER.get(one.split or "", ())
        }
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            kept = without_leaks(Path("data"), records)
        assert [record.id for record in kept] == [record.id for record in records if record.id not in leaking]
        expected = f"data: {len(leaking)} records of train or val left out, whose group is also held out."
        assert [str(one.message) for one in told] == ([expected] if leaking else [])


def test_counts_are_told_together() -> None:
    with pytest.warns(UserWarning, match=r"^data: 2 apples; 1 pears\.$"):
        tell_counts(Path("data"), {"apples": 2, "plums": 0, "pears": 1})


def test_another_choice_is_told() -> None:
    check_choice("kind", "a", ["a", "b"])
    with pytest.raises(ConfigurationError, match=r"^kind='c': choose one of a, b\.$"):
        check_choice("kind", "c", ["a", "b"])
