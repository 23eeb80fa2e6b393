import mmap
import pickle

import numpy as np
import pytest
import torch

from vlcore.data import feature_cache, feature_rows
from vlcore.data.feature_cache import cache_text_features
from vlcore.data.feature_rows import FeatureRows
from vlcore.data.feature_store import FeatureCache
from vlcore.errors import VlcoreError


@pytest.fixture
def stored(tmp_path):
    """A file of 500 rows of 3 numbers, and its content."""
    values = np.random.default_rng(0).normal(size=(500, 3)).astype("<f4")
    path = tmp_path / "features.bin"
    path.write_bytes(values.tobytes())
    return path, values


REQUESTS = {
    "none": [],
    "one": [7],
    "all in order": range(500),
    "backwards": range(499, -1, -1),
    "scattered": [3, 400, 5, 5, 499, 0],
    "runs": [*range(100, 180), *range(10, 90), 499, *range(200, 240)],
    "repeats": np.repeat(np.arange(40), 5),
}


@pytest.mark.parametrize("request_", REQUESTS.values(), ids=REQUESTS.keys())
@pytest.mark.parametrize("layout", ["as on disk", "shuffled", "a few"])
def test_it_reads_what_an_array_would_give(stored, request_, layout):
    path, values = stored
    places = {
        "as on disk": np.arange(500),
        "shuffled": np.random.default_rng(1).permutation(500),
        "a few": np.random.default_rng(2).integers(0, 500, 500),
    }[layout]
    rows = FeatureRows(path, 3, places)
    asked = np.array(request_, dtype=np.int64)
    np.testing.assert_array_equal(rows[asked], values[places][asked])
    assert rows[asked].dtype == np.float32
    assert (len(rows), rows.nbytes) == (500, 6000)


def test_nothing_is_read_before_it_is_asked_for(stored, monkeypatch):
    path, values = stored
    opened = []
    original = feature_rows.mmap.mmap
    monkeypatch.setattr(feature_rows.mmap, "mmap", lambda *a, **k: (opened.append(a), original(*a, **k))[1])
    rows = FeatureRows(path, 3, np.arange(500))
    assert not opened
    rows[np.array([1])], rows[np.array([2])]
    assert len(opened) == 1
    # A batch is a copy: changing it changes no file.
    batch = rows[np.array([4, 5])]
    batch += 1
    np.testing.assert_array_equal(rows[np.array([4, 5])], values[4:6])


@pytest.mark.skipif(not hasattr(mmap, "MADV_WILLNEED"), reason="this system takes no advice")
def test_blocks_are_read_ahead_and_scattered_rows_are_not(tmp_path, monkeypatch):
    advised = []

    class Watched(mmap.mmap):
        def madvise(self, option, start, length):
            advised.append((start, start + length))
            super().madvise(option, start, length)

    monkeypatch.setattr(feature_rows.mmap, "mmap", Watched)
    values = np.arange(400_000, dtype="<f4").reshape(-1, 1)
    path = tmp_path / "features.bin"
    values.tofile(path)
    rows = FeatureRows(path, 1, np.arange(len(values)))
    random = np.random.default_rng(0)
    blocks = random.permutation([*range(5000, 6000), *range(300_000, 300_500)])
    np.testing.assert_array_equal(rows[blocks], values[blocks])
    assert len(advised) == 2
    for (start, end), (first, last) in zip(advised, ((5000, 6000), (300_000, 300_500)), strict=True):
        assert start <= 4 * first
        assert end == 4 * last
        assert 4 * first - start < mmap.PAGESIZE
    advised.clear()
    scattered = random.permutation(np.arange(0, len(values), 1100))
    np.testing.assert_array_equal(rows[scattered], values[scattered])
    assert advised == []


def test_a_pickle_names_the_file_and_does_not_carry_it(stored):
    path, values = stored
    rows = FeatureRows(path, 3, np.arange(4))
    rows[np.array([0])]
    data = pickle.dumps(rows)
    assert len(data) < 1000
    np.testing.assert_array_equal(pickle.loads(data)[np.arange(4)], values[:4])


def test_a_file_that_went_away_or_became_short_is_an_error_not_a_crash(stored):
    path, _ = stored
    rows = FeatureRows(path, 3, np.arange(500))
    rows[np.arange(10)]
    whole = path.read_bytes()
    # Reading a map behind the end of its file would kill the process.
    path.write_bytes(whole[:600])
    with pytest.raises(VlcoreError, match=r"features.bin cannot be read: the file has 600 bytes where 6,000"):
        rows[np.array([499])]
    path.write_bytes(b"")
    with pytest.raises(VlcoreError, match=r"has 0 bytes where 6,000 are needed.*Start again"):
        FeatureRows(path, 3, np.arange(500))
    path.unlink()
    with pytest.raises(VlcoreError, match="the file is gone; it was removed or cut off after the run had opened it"):
        rows[np.array([0])]


def test_the_cache_streams_keys_in_any_order_while_it_grows(tmp_path):
    cache = FeatureCache(tmp_path, "f" * 64, 2)
    keys = [bytes([number]) * 32 for number in range(6)]
    values = np.arange(12, dtype=np.float32).reshape(6, 2)
    cache.append(keys[:4], values[:4])
    rows = cache.stream([keys[3], keys[0], keys[3]])
    np.testing.assert_array_equal(rows[np.arange(3)], values[[3, 0, 3]])
    cache.append(keys[4:], values[4:])
    np.testing.assert_array_equal(rows[np.arange(3)], values[[3, 0, 3]])
    np.testing.assert_array_equal(cache.stream(keys)[np.arange(6)], values)
    assert len(cache.stream([])) == 0
    with pytest.raises(VlcoreError, match="no row for the key"):
        cache.stream([b"x" * 32])


def test_texts_that_were_neighbours_stay_near_each_other_on_disk(tmp_path, monkeypatch):
    monkeypatch.setattr(feature_cache, "SORTED_TEXTS", 8)
    lengths = np.random.default_rng(4).permutation(40) + 1
    texts = ["x" * length for length in lengths.tolist()]
    batches = []

    def encode(part):
        batches.append([len(text) for text in part])
        return torch.tensor([[float(len(text))] for text in part])

    cache = FeatureCache(tmp_path, "f" * 64, 1)
    rows = cache_text_features(texts, encode, cache, batch_size=4).stream
    np.testing.assert_array_equal(rows[np.arange(40)][:, 0], lengths)
    on_disk = np.fromfile(rows.path, dtype="<f4")
    for start in range(0, 40, 8):
        assert sorted(on_disk[start : start + 8]) == sorted(lengths[start : start + 8])
        # Within such a stretch batches are cut by length, so that there is little padding.
        assert (np.diff(on_disk[start : start + 8]) > 0).all()
    assert [len(batch) for batch in batches] == [4] * 10
