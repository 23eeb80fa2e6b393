"""Features are computed once, survive any crash, and never mix with those of another tower."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import textwrap
import threading

import numpy as np
import pytest
import torch
from PIL import Image

from vlcore.data import feature_cache, lock
from vlcore.data.decode import DecodeReport
from vlcore.data.feature_cache import (
    FeatureCache,
    cache_image_features,
    cache_text_features,
    default_cache_root,
)
from vlcore.data.record import ImageRef, Record
from vlcore.data.stream import GREY
from vlcore.errors import ConfigurationError, FingerprintMismatchError, ImageDecodeError, VlcoreError
from vlcore.types import ImagePreprocess

FINGERPRINT = hashlib.sha256(b"tower").hexdigest()
SMALL = ImagePreprocess(size=(16, 16), resize_to=16)


def key(number):
    return hashlib.sha256(str(number).encode()).digest()


def rows_of(numbers, width=5):
    return np.array(
        [[number * 10 + column for column in range(width)] for number in numbers], dtype=np.float32
    ).reshape(-1, width)


def fill(cache, numbers):
    cache.append([key(number) for number in numbers], rows_of(numbers, cache.width))


def contents(folder):
    return {name: (folder / name).read_bytes() for name in ("keys.bin", "features.bin", "meta.json")}


class Tower:
    """Mean colour of an image; counts what passes through it."""

    def __init__(self):
        self.seen = 0
        self.calls = 0

    def __call__(self, images):
        self.seen += len(images)
        self.calls += 1
        return images.float().mean(dim=(2, 3))


def make_records(folder, count=10):
    folder.mkdir(exist_ok=True)
    records = []
    for index in range(count):
        path = folder / f"{index}.png"
        Image.new("RGB", (20, 18), (index, 100, 2 * index)).save(path)
        records.append(Record(id=f"r{index}", image=ImageRef(path)))
    return records


# The store


def test_rows_come_back_in_any_order(tmp_path):
    cache = FeatureCache(tmp_path, FINGERPRINT, 5)
    assert len(cache) == 0
    fill(cache, [1, 2, 3])
    fill(cache, [4])
    assert cache.folder == tmp_path / FINGERPRINT[:32]
    np.testing.assert_array_equal(cache.rows([key(3), key(1), key(3)]), rows_of([3, 1, 3]))
    assert cache.missing([key(9), key(1), key(8), key(9)]) == [key(9), key(8)]
    again = FeatureCache(tmp_path, FINGERPRINT, 5)
    assert len(again) == 4 and key(2) in again and key(9) not in again
    np.testing.assert_array_equal(again.rows([key(n) for n in (1, 2, 3, 4)]), rows_of([1, 2, 3, 4]))


def test_rows_in_file_order_are_a_view_of_the_map(tmp_path):
    cache = FeatureCache(tmp_path, FINGERPRINT, 5)
    fill(cache, range(6))
    view = cache.rows([key(2), key(3), key(4)])
    assert not view.flags.writeable and not view.flags.owndata
    before = view.copy()
    fill(cache, range(6, 9))  # growing the file leaves earlier views intact
    np.testing.assert_array_equal(view, before)


def test_empty_cache_and_empty_request(tmp_path):
    cache = FeatureCache(tmp_path, FINGERPRINT, 5)
    assert cache.rows([]).shape == (0, 5)
    cache.append([], np.zeros((0, 5), dtype=np.float32))
    with pytest.raises(VlcoreError, match="no row"):
        cache.rows([key(1)])


def test_a_key_is_stored_once_and_keeps_its_first_row(tmp_path):
    cache = FeatureCache(tmp_path, FINGERPRINT, 2)
    cache.append([key(1), key(2), key(1)], np.array([[1, 1], [2, 2], [3, 3]], dtype=np.float32))
    cache.append([key(2), key(4)], np.array([[9, 9], [4, 4]], dtype=np.float32))
    assert len(cache) == 3
    np.testing.assert_array_equal(cache.rows([key(1), key(2), key(4)]), [[1, 1], [2, 2], [4, 4]])


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_not_finite_features_are_refused_by_name_and_nothing_is_stored(tmp_path, bad):
    cache = FeatureCache(tmp_path, FINGERPRINT, 3)
    features = np.ones((3, 3), dtype=np.float32)
    features[1, 2] = bad
    with pytest.raises(VlcoreError, match=r"features of r7 hold NaN or infinite"):
        cache.append([key(1), key(2), key(3)], features, names=["r6", "r7", "r8"])
    with pytest.raises(VlcoreError, match=key(2).hex()[:16]):
        cache.append([key(1), key(2), key(3)], features)
    assert len(FeatureCache(tmp_path, FINGERPRINT, 3)) == 0


def test_wrong_shapes_are_refused(tmp_path):
    cache = FeatureCache(tmp_path, FINGERPRINT, 3)
    with pytest.raises(ValueError, match="shape"):
        cache.append([key(1)], np.ones((1, 4), dtype=np.float32))
    with pytest.raises(ValueError, match="32 bytes"):
        cache.append([b"short"], np.ones((1, 3), dtype=np.float32))


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"width": 7}, "width"),
        ({"fingerprint": "0" * 64}, "fingerprint"),
        ({"version": 0}, "version"),
        ({"dtype": "float16"}, "dtype"),
    ],
)
def test_features_of_another_tower_are_refused_with_the_field(tmp_path, change, field):
    cache = FeatureCache(tmp_path, FINGERPRINT, 5)
    fill(cache, [1])
    meta = cache.folder / "meta.json"
    meta.write_text(json.dumps({**json.loads(meta.read_text()), **change}))
    with pytest.raises(FingerprintMismatchError, match=field) as caught:
        FeatureCache(tmp_path, FINGERPRINT, 5)
    assert caught.value.field == field


def test_another_width_is_refused(tmp_path):
    FeatureCache(tmp_path, FINGERPRINT, 5)
    with pytest.raises(FingerprintMismatchError, match="width"):
        FeatureCache(tmp_path, FINGERPRINT, 6)


def test_a_fingerprint_with_the_same_first_digits_is_refused(tmp_path):
    FeatureCache(tmp_path, FINGERPRINT, 5)
    with pytest.raises(FingerprintMismatchError, match="fingerprint"):
        FeatureCache(tmp_path, FINGERPRINT[:40] + "0" * 24, 5)


def test_damaged_or_missing_meta_is_an_error(tmp_path):
    cache = FeatureCache(tmp_path, FINGERPRINT, 5)
    fill(cache, [1])
    (cache.folder / "meta.json").write_text('{"version": 1')
    with pytest.raises(VlcoreError, match="cannot be read"):
        FeatureCache(tmp_path, FINGERPRINT, 5)
    (cache.folder / "meta.json").unlink()
    with pytest.raises(VlcoreError, match="missing"):
        FeatureCache(tmp_path, FINGERPRINT, 5)


@pytest.mark.parametrize("fingerprint", ["", "../up", "a/b", "a\0b"])
def test_a_fingerprint_is_never_a_path(tmp_path, fingerprint):
    with pytest.raises(ConfigurationError):
        FeatureCache(tmp_path, fingerprint, 5)


# Crashes


@pytest.mark.parametrize("features_kept", [0, 1, 19, 20, 21, 59, 60])
@pytest.mark.parametrize("keys_kept", [0, 1, 31, 32, 33, 64, 95])
def test_a_torn_tail_is_cut_and_the_next_run_gives_the_identical_files(tmp_path, features_kept, keys_kept):
    """Three rows of 20 bytes are being added; the crash keeps the first bytes of features and of keys."""
    whole = FeatureCache(tmp_path / "whole", FINGERPRINT, 5)
    fill(whole, [1, 2])
    sizes = {name: len(data) for name, data in contents(whole.folder).items()}
    fill(whole, [3, 4, 5])
    expected = contents(whole.folder)

    folder = tmp_path / "torn" / FINGERPRINT[:32]
    folder.mkdir(parents=True)
    (folder / "meta.json").write_bytes(expected["meta.json"])
    (folder / "features.bin").write_bytes(expected["features.bin"][: sizes["features.bin"] + features_kept])
    (folder / "keys.bin").write_bytes(expected["keys.bin"][: sizes["keys.bin"] + keys_kept])

    torn = FeatureCache(tmp_path / "torn", FINGERPRINT, 5)
    assert len(torn) == 2 + min(features_kept // 20, keys_kept // 32)
    np.testing.assert_array_equal(torn.rows([key(1), key(2)]), rows_of([1, 2]))
    numbers = [3, 4, 5]
    fill(torn, [number for number in numbers if key(number) not in torn])
    assert contents(folder) == expected


WRITER = """
import os, sys
from pathlib import Path
import numpy as np
sys.path.insert(0, sys.argv[3])
import test_feature_cache as tests
from vlcore.data.feature_cache import FeatureCache

if sys.argv[2] != "live":
    # Die in the middle of the third append: the fifth write is of its features, the sixth of its keys.
    import vlcore.data.feature_store as store
    write, writes = store._write_at, 0
    def dying(path, offset, data):
        global writes
        writes += 1
        if writes == int(sys.argv[2]):
            write(path, offset, data[: len(data) // 2 + 3])
            os.kill(os.getpid(), 9)
        write(path, offset, data)
    store._write_at = dying
cache = FeatureCache(Path(sys.argv[1]), tests.FINGERPRINT, 5)
for start in range(0, 50, 10):
    numbers = [n for n in range(start, start + 10) if tests.key(n) not in cache]
    tests.fill(cache, numbers)
"""


def write_in_process(root, how):
    here = os.path.dirname(__file__)
    return subprocess.run([sys.executable, "-c", textwrap.dedent(WRITER), str(root), how, here], timeout=120).returncode


@pytest.mark.parametrize(("fatal_write", "survive"), [(5, 20), (6, 25)])
def test_killed_in_the_middle_of_an_append_then_resumed(tmp_path, fatal_write, survive):
    assert write_in_process(tmp_path / "killed", str(fatal_write)) == -signal.SIGKILL
    survivor = FeatureCache(tmp_path / "killed", FINGERPRINT, 5)
    assert len(survivor) == survive
    assert (survivor.folder / "features.bin").stat().st_size > survive * 20  # there is a torn tail
    np.testing.assert_array_equal(survivor.rows([key(n) for n in range(survive)]), rows_of(range(survive)))
    assert write_in_process(tmp_path / "killed", "live") == 0
    whole = FeatureCache(tmp_path / "whole", FINGERPRINT, 5)
    for start in range(0, 50, 10):
        fill(whole, range(start, start + 10))
    assert contents(survivor.folder) == contents(whole.folder)


# Several writers


def test_two_caches_append_in_turn_and_see_each_other(tmp_path):
    first, second = FeatureCache(tmp_path, FINGERPRINT, 5), FeatureCache(tmp_path, FINGERPRINT, 5)
    fill(first, [1, 2])
    fill(second, [2, 3])
    fill(first, [3, 4])
    assert len(first) == 4
    np.testing.assert_array_equal(second.rows([key(n) for n in (1, 2, 3, 4)]), rows_of([1, 2, 3, 4]))


def test_writers_in_threads_lose_nothing(tmp_path):
    def work(offset):
        cache = FeatureCache(tmp_path, FINGERPRINT, 5)
        for number in range(offset, 40, 2):
            fill(cache, [number, (number + 1) % 40])

    threads = [threading.Thread(target=work, args=(offset,)) for offset in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    cache = FeatureCache(tmp_path, FINGERPRINT, 5)
    assert len(cache) == 40
    np.testing.assert_array_equal(cache.rows([key(n) for n in range(40)]), rows_of(range(40)))


def test_a_lock_that_is_never_freed_is_a_clear_error(tmp_path):
    path = tmp_path / "lock"
    with (
        lock.exclusive_lock(path, "The cache"),
        pytest.raises(VlcoreError, match=r"The cache is being written by another process.*lock"),
        lock.exclusive_lock(path, "The cache", wait_seconds=0.05),
    ):
        pytest.fail("the lock was given twice")
    with lock.exclusive_lock(path, "The cache", wait_seconds=0.05):
        assert path.exists()


# Images


def test_images_are_encoded_once(tmp_path):
    records = make_records(tmp_path / "images")
    tower, report = Tower(), DecodeReport()
    cache = FeatureCache(tmp_path / "cache", FINGERPRINT, 3)
    result = cache_image_features(records, SMALL, tower, cache, batch_size=4, report=report)
    assert result.kept == list(range(10))
    np.testing.assert_array_equal(result.rows, [[index, 100, 2 * index] for index in range(10)])
    assert not result.rows.flags.owndata  # mapped, not copied
    assert (tower.seen, tower.calls, report.decoded) == (10, 3, 10)

    second, report = Tower(), DecodeReport()
    again = FeatureCache(tmp_path / "cache", FINGERPRINT, 3)
    repeated = cache_image_features(records[::-1], SMALL, second, again, report=report)
    assert (second.calls, report.decoded) == (0, 0)
    np.testing.assert_array_equal(repeated.rows, result.rows[::-1])


def test_only_new_and_changed_images_pass_the_tower(tmp_path):
    records = make_records(tmp_path / "images")
    cache = FeatureCache(tmp_path / "cache", FINGERPRINT, 3)
    cache_image_features(records[:6], SMALL, Tower(), cache)
    Image.new("RGB", (20, 18), (250, 0, 0)).save(records[2].image.path)
    copy = tmp_path / "copy.png"
    copy.write_bytes(records[9].image.path.read_bytes())
    tower = Tower()
    result = cache_image_features([*records, Record("copy", ImageRef(copy))], SMALL, tower, cache)
    assert tower.seen == 5  # the changed one and four new ones; the copy is one of these
    np.testing.assert_array_equal(result.rows[:, 0], [0, 1, 250, 3, 4, 5, 6, 7, 8, 9, 9])


def bad_records(folder):
    """Ten images; 2 and 5 share broken bytes, 7 is missing."""
    records = make_records(folder)
    for index in (2, 5):
        records[index].image.path.write_bytes(b"\x89PNG broken")
    records[7].image.path.unlink()
    return records


@pytest.mark.parametrize("runs", [1, 2])
def test_skipped_images_keep_features_and_records_aligned(tmp_path, runs):
    records = bad_records(tmp_path / "images")
    cache = FeatureCache(tmp_path / "cache", FINGERPRINT, 3)
    for _ in range(runs):
        tower, report = Tower(), DecodeReport()
        result = cache_image_features(records, SMALL, tower, cache, batch_size=3, on_bad_image="skip", report=report)
    assert result.kept == [0, 1, 3, 4, 6, 8, 9]
    np.testing.assert_array_equal(result.rows[:, 0], result.kept)
    assert tower.seen == (7 if runs == 1 else 0)
    assert (report.skipped, report.replaced) == (3, 0)  # counted in every run
    assert sorted(problem[0] for problem in report.problems) == ["r2", "r5", "r7"]


def test_replaced_images_are_grey_and_never_pass_for_the_bad_file(tmp_path):
    records = bad_records(tmp_path / "images")
    cache = FeatureCache(tmp_path / "cache", FINGERPRINT, 3)
    report = DecodeReport()
    result = cache_image_features(records, SMALL, Tower(), cache, on_bad_image="replace", report=report)
    assert result.kept == list(range(10))
    assert (report.decoded, report.replaced) == (7, 3)
    np.testing.assert_array_equal(result.rows[:, 0], [0, 1, GREY, 3, 4, GREY, 6, GREY, 8, 9])
    with pytest.raises(ImageDecodeError, match="'r2'"):
        cache_image_features(records, SMALL, Tower(), cache)


def test_what_was_encoded_before_an_error_is_kept(tmp_path):
    records = bad_records(tmp_path / "images")
    cache = FeatureCache(tmp_path / "cache", FINGERPRINT, 3)
    with pytest.raises(ImageDecodeError, match=r"'r2'.*2\.png"):
        cache_image_features(records, SMALL, Tower(), cache, batch_size=2)
    assert len(cache) == 2
    tower = Tower()
    cache_image_features([records[index] for index in (0, 1, 3)], SMALL, tower, cache)
    assert tower.seen == 1


def test_a_file_that_changes_while_it_is_read_stands_under_what_was_decoded(tmp_path, monkeypatch):
    records = make_records(tmp_path / "images", 4)
    hashed = feature_cache._content_keys

    def hash_then_change(*arguments):
        keys = hashed(*arguments)
        Image.new("RGB", (20, 18), (77, 0, 0)).save(records[1].image.path)
        return keys

    monkeypatch.setattr(feature_cache, "_content_keys", hash_then_change)
    cache = FeatureCache(tmp_path / "cache", FINGERPRINT, 3)
    result = cache_image_features(records, SMALL, Tower(), cache)
    assert result.kept == [0, 1, 2, 3]
    np.testing.assert_array_equal(result.rows[:, 0], [0, 77, 2, 3])


def test_nan_features_name_the_record(tmp_path):
    records = make_records(tmp_path / "images", 4)

    def tower(images):
        features = images.float().mean(dim=(2, 3))
        features[features[:, 0] == 2] = torch.nan
        return features

    cache = FeatureCache(tmp_path / "cache", FINGERPRINT, 3)
    with pytest.raises(VlcoreError, match="features of r2 hold NaN"):
        cache_image_features(records, SMALL, tower, cache)
    assert len(cache) == 0


def test_a_tower_of_another_width_is_refused(tmp_path):
    cache = FeatureCache(tmp_path / "cache", FINGERPRINT, 4)
    with pytest.raises(ConfigurationError, match=r"\(2, 3\).*\[B, 4\]"):
        cache_image_features(make_records(tmp_path / "images", 2), SMALL, Tower(), cache)


def test_no_records(tmp_path):
    cache = FeatureCache(tmp_path / "cache", FINGERPRINT, 3)
    result = cache_image_features([], SMALL, Tower(), cache, progress=True)
    assert result.kept == [] and result.rows.shape == (0, 3)


def test_progress_goes_to_standard_error(tmp_path, capsys):
    cache = FeatureCache(tmp_path / "cache", FINGERPRINT, 3)
    cache_image_features(make_records(tmp_path / "images", 4), SMALL, Tower(), cache, progress=True)
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "encoding images: 4 in" in printed.err
    cache_image_features(make_records(tmp_path / "images", 4), SMALL, Tower(), cache)
    assert capsys.readouterr().err == ""


def test_half_precision_towers_are_stored_as_float32_without_gradients(tmp_path):
    weight = torch.nn.Parameter(torch.ones(3, dtype=torch.bfloat16))
    cache = FeatureCache(tmp_path / "cache", FINGERPRINT, 3)
    result = cache_image_features(
        make_records(tmp_path / "images", 3),
        SMALL,
        lambda images: images.to(torch.bfloat16).mean(dim=(2, 3)) * weight,
        cache,
    )
    np.testing.assert_array_equal(result.rows[:, 1], [100, 100, 100])


def test_work_is_saved_while_it_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr(feature_cache, "_SAVE_ROWS", 4)
    cache = FeatureCache(tmp_path / "cache", FINGERPRINT, 3)
    stored = []

    def tower(images):
        stored.append(len(FeatureCache(tmp_path / "cache", FINGERPRINT, 3)))
        return images.float().mean(dim=(2, 3))

    cache_image_features(make_records(tmp_path / "images"), SMALL, tower, cache, batch_size=2)
    assert stored == [0, 0, 4, 4, 8]


# Texts


class TextTower:
    def __init__(self):
        self.batches = []

    def __call__(self, texts):
        self.batches.append(list(texts))
        return torch.tensor([[len(text), ord(text[0])] for text in texts], dtype=torch.float32)


def test_texts_are_encoded_once_sorted_by_length_and_returned_in_order(tmp_path):
    texts = ["a dog runs", "b", "a dog runs", "cc", "Déjà vu", "\ud800 lone", "b"]
    cache = FeatureCache(tmp_path, FINGERPRINT, 2)
    tower = TextTower()
    rows = cache_text_features(texts, tower, cache, batch_size=2).rows
    np.testing.assert_array_equal(rows, [[len(text), ord(text[0])] for text in texts])
    assert [len(batch) for batch in tower.batches] == [2, 2, 1]
    flat = [text for batch in tower.batches for text in batch]
    assert len(flat) == len(set(flat)) == 5
    assert [len(text) for text in flat] == sorted(len(text) for text in flat)
    second = TextTower()
    np.testing.assert_array_equal(cache_text_features(texts[:3], second, cache).rows, rows[:3])
    assert second.batches == []
    assert hashlib.sha256(b"cc").digest() in cache


def test_texts_that_differ_only_in_case_are_different(tmp_path):
    cache = FeatureCache(tmp_path, FINGERPRINT, 2)
    rows = cache_text_features(["A dog", "a dog"], TextTower(), cache).rows
    assert rows[0, 1] != rows[1, 1]


def test_nan_text_features_show_the_text(tmp_path):
    cache = FeatureCache(tmp_path, FINGERPRINT, 2)
    with pytest.raises(VlcoreError, match="features of 'bad text' hold NaN"):
        cache_text_features(["bad text"], lambda texts: torch.full((1, 2), torch.nan), cache)


def test_default_root_follows_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("VLCORE_CACHE", str(tmp_path / "elsewhere"))
    assert default_cache_root() == tmp_path / "elsewhere"
    monkeypatch.delenv("VLCORE_CACHE")
    assert default_cache_root().parts[-2:] == (".cache", "vlcore")


def test_real_photos_second_run_never_calls_the_tower(tmp_path, data_root):
    paths = sorted((data_root / "general" / "flickr8k" / "images").glob("*.jpg"))[:50]
    records = [Record(path.name, ImageRef(path)) for path in paths]
    tower = Tower()
    first = cache_image_features(records, SMALL, tower, FeatureCache(tmp_path, FINGERPRINT, 3), batch_size=16)
    assert tower.seen == 50 and first.rows.shape == (50, 3)

    def never(images):
        raise AssertionError("the tower was called")

    second = cache_image_features(records, SMALL, never, FeatureCache(tmp_path, FINGERPRINT, 3))
    np.testing.assert_array_equal(first.rows, second.rows)
