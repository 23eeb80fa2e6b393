"""Splits keep groups whole, do not move when rows are added, and the audit finds what leaks."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vlcore.data.audit import audit_splits
from vlcore.data.manifest import read_records
from vlcore.data.record import ImageRef, Record, Text
from vlcore.data.splits import assign_splits, hold_out
from vlcore.data.text import normalise_text, text_key
from vlcore.errors import ConfigurationError

THIRDS = {"train": 0.6, "val": 0.2, "test": 0.2}


def record(number: int, group: str | None = None, **more: object) -> Record:
    return Record(f"id{number}", ImageRef(Path(f"{number}.png")), group=group, **more)  # type: ignore[arg-type]


def test_added_rows_and_another_order_move_nothing() -> None:
    records = [record(number, f"patient{number // 3}") for number in range(300)]
    before = dict(zip([r.id for r in records], assign_splits(records, THIRDS), strict=True))
    more = [record(number, f"patient{number // 3}") for number in range(600)][::-1]
    after = dict(zip([r.id for r in more], assign_splits(more, THIRDS), strict=True))
    assert {name: after[name] for name in before} == before


def test_groups_stay_whole_and_shares_are_met() -> None:
    records = [record(number, f"patient{number // 3}") for number in range(3000)]
    splits = assign_splits(records, THIRDS)
    by_group: dict[str | None, set[str]] = {}
    for row, split in zip(records, splits, strict=True):
        by_group.setdefault(row.group, set()).add(split)
    assert all(len(names) == 1 for names in by_group.values())
    counts = Counter(splits)
    for name, share in THIRDS.items():
        assert abs(counts[name] / 3000 - share) < 0.05


def test_another_seed_gives_another_division() -> None:
    records = [record(number) for number in range(100)]
    assert assign_splits(records, THIRDS) != assign_splits(records, THIRDS, seed=1)


@pytest.mark.parametrize("fractions", [{}, {"a": 0.5, "b": 0.4}, {"a": 1.2, "b": -0.2}])
def test_fractions_that_make_no_whole_are_refused(fractions: dict[str, float]) -> None:
    with pytest.raises(ConfigurationError, match="fractions"):
        assign_splits([record(0), record(1)], fractions)


def test_hold_out_keeps_groups_whole_and_order() -> None:
    records = [record(number, f"g{number // 2}") for number in range(200)]
    kept, held = hold_out(records, 0.2)
    assert not {r.group for r in kept} & {r.group for r in held}
    assert sorted([*kept, *held], key=lambda r: int(r.id[2:])) == records
    assert 20 <= len(held) <= 60


@pytest.fixture
def pictures(tmp_path: Path) -> dict[str, ImageRef]:
    random = np.random.default_rng(0)
    coarse = random.integers(0, 255, (8, 8, 3), dtype=np.uint8)
    base = Image.fromarray(coarse).resize((256, 256), Image.Resampling.BICUBIC)
    base.save(tmp_path / "base.png")
    (tmp_path / "copy.png").write_bytes((tmp_path / "base.png").read_bytes())
    base.resize((200, 200)).save(tmp_path / "smaller.jpg", quality=80)
    other = Image.fromarray(random.integers(0, 255, (8, 8, 3), dtype=np.uint8)).resize((256, 256))
    other.save(tmp_path / "other.png")
    Image.new("RGB", (64, 64), (250, 0, 0)).save(tmp_path / "red.png")
    Image.new("RGB", (64, 64), (0, 0, 250)).save(tmp_path / "blue.png")
    (tmp_path / "broken.png").write_bytes(b"no image")
    return {path.stem: ImageRef(path) for path in tmp_path.iterdir()}


def pair(pictures: dict[str, ImageRef], train: str, test: str, **more: object) -> list[Record]:
    return [
        Record("first", pictures[train], split="train", texts=(Text("A red House ."),), **more),  # type: ignore[arg-type]
        Record("second", pictures[test], split="test", texts=(Text("a  red house"),), **more),  # type: ignore[arg-type]
    ]


def test_equal_files_groups_and_texts_are_found(pictures: dict[str, ImageRef]) -> None:
    audit = audit_splits(pair(pictures, "base", "copy", group="patient1"))
    assert audit.leaks
    assert (audit.same_group.count, audit.same_image.count, audit.same_text.count) == (2, 2, 2)
    (example,) = audit.same_image.examples
    assert {example["first"], example["second"]} == {"first", "second"}
    assert audit.to_dict()["leaks"] is True


def test_a_scaled_and_compressed_copy_is_a_near_duplicate(pictures: dict[str, ImageRef]) -> None:
    audit = audit_splits(pair(pictures, "base", "smaller"))
    assert audit.leaks and audit.near_duplicate.count == 2 and audit.same_image.count == 0


@pytest.mark.parametrize(("train", "test"), [("base", "other"), ("red", "blue")])
def test_different_images_are_no_leak_even_when_flat(train: str, test: str, pictures: dict[str, ImageRef]) -> None:
    audit = audit_splits(pair(pictures, train, test))
    assert not audit.leaks, audit.summary()
    assert audit.same_text.count == 2, "equal captions are reported, and are no leak"


def test_unreadable_images_are_counted(pictures: dict[str, ImageRef]) -> None:
    audit = audit_splits(pair(pictures, "broken", "base"))
    assert audit.undecodable == 1
    assert audit.undecodable_examples[0]["id"] == "first"


def test_flickr8k_splits_do_not_leak(data_root: Path) -> None:
    audit = audit_splits(read_records(data_root / "general" / "flickr8k" / "captions.jsonl", lang="en"))
    assert audit.splits == {"test": 250, "train": 750}
    assert audit.same_image.count == 0 and audit.same_group.count == 0


@pytest.mark.parametrize(
    ("one", "other"), [("A Dog .", "a dog"), ("caf\u00e9!", "cafe\u0301"), ("two\u00a0dogs\n run", "Two dogs run.")]
)
def test_texts_that_say_the_same_have_one_key(one: str, other: str) -> None:
    assert normalise_text(one) == normalise_text(other)
    assert text_key(one) == text_key(other)
    assert -(2**63) <= text_key(one) < 2**63


def test_texts_that_differ_have_different_keys() -> None:
    assert text_key("a dog") != text_key("a cat")
