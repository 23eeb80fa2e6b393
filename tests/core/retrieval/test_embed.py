from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from vlcore.data.manifest import open_manifest
from vlcore.errors import ConfigurationError, FingerprintMismatchError, ImageDecodeError
from vlcore.retrieval import embedding_shards
from vlcore.retrieval.embed import embed
from vlcore.retrieval.embedding_shards import Embeddings


@pytest.fixture(autouse=True)
def small_shards(monkeypatch):
    monkeypatch.setattr(embedding_shards, "SHARD_RECORDS", 5)


def files(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_table_holds_everything_in_input_order(colour_model, tiny_manifest, tmp_path):
    manifest = open_manifest(tiny_manifest)
    result = embed(colour_model, manifest, tmp_path / "out", batch_size=3)
    assert (result.rows, result.records, result.skipped) == (12, 12, 0)
    assert [len(table) for table in result.tables()] == [5, 5, 2]
    records = list(manifest)
    rows = [row for table in result.tables() for row in table.to_pylist()]
    assert [row["id"] for row in rows] == [record.id for record in records]
    assert rows[0]["texts"] == ["a red square .", "everything here is red"]
    assert rows[0]["split"] == "train" and json.loads(rows[0]["labels"]) == {"label": "red"}
    np.testing.assert_allclose(result.vectors(), colour_model.embed_images([r.image for r in records]), atol=1e-6)
    assert result.vectors().dtype == np.float32


@pytest.mark.parametrize("stop_after", [0, 4, 5, 7, 11])
def test_interrupted_run_ends_with_the_same_files(colour_model, tiny_manifest, tmp_path, stop_after):
    manifest = open_manifest(tiny_manifest)
    embed(colour_model, manifest, tmp_path / "whole", batch_size=2)
    colour_model.images_seen, colour_model.stop_after = 0, stop_after
    with pytest.raises(KeyboardInterrupt):
        embed(colour_model, manifest, tmp_path / "cut", batch_size=2)
    with pytest.raises(ConfigurationError, match="no finished embeddings"):
        Embeddings.open(tmp_path / "cut")
    (tmp_path / "cut" / ".part-00001.parquet.abc.part").write_bytes(b"torn")  # what a killed process leaves
    whole_shards = len(list((tmp_path / "cut").glob("part-*")))
    colour_model.images_seen, colour_model.stop_after = 0, None
    embed(colour_model, manifest, tmp_path / "cut", batch_size=2)
    assert colour_model.images_seen == 12 - 5 * whole_shards
    assert files(tmp_path / "cut") == files(tmp_path / "whole")


def test_finished_folder_is_left_alone(colour_model, tiny_manifest, tmp_path):
    manifest = open_manifest(tiny_manifest)
    first = embed(colour_model, manifest, tmp_path / "out")
    colour_model.images_seen = 0
    assert embed(colour_model, manifest, tmp_path / "out") == first
    assert colour_model.images_seen == 0


def test_another_model_or_manifest_is_refused(colour_model, other_model, tiny_manifest, tmp_path):
    embed(colour_model, open_manifest(tiny_manifest), tmp_path / "out")
    with pytest.raises(FingerprintMismatchError, match="model fingerprint") as error:
        embed(other_model, open_manifest(tiny_manifest), tmp_path / "out")
    assert error.value.field == "model fingerprint"
    lines = tiny_manifest.read_text().splitlines(keepends=True)
    tiny_manifest.write_text("".join(lines[:-1]))
    with pytest.raises(FingerprintMismatchError) as error:
        embed(colour_model, open_manifest(tiny_manifest), tmp_path / "out")
    assert error.value.field == "manifest fingerprint"


def test_bad_images_follow_the_policy_and_are_counted(colour_model, tiny_manifest, tmp_path):
    bad = [tiny_manifest.parent / name for name in ("blue_2.png", "purple_10.png")]
    for path in bad:
        path.write_bytes(b"no image")
    manifest = open_manifest(tiny_manifest)
    with pytest.raises(ImageDecodeError, match=r"blue_2\.png"):
        embed(colour_model, manifest, tmp_path / "raise")
    result = embed(colour_model, manifest, tmp_path / "skip", on_bad_image="skip", batch_size=2)
    assert (result.rows, result.records, result.skipped) == (10, 12, 2)
    ids = [i for table in result.tables() for i in table["id"].to_pylist()]
    assert ids == [record.id for record in manifest if record.image.path not in bad]
    assert [problem["id"] for problem in result.problems] == ["blue_2.png", "purple_10.png"]
    replaced = embed(colour_model, manifest, tmp_path / "replace", on_bad_image="replace")
    assert (replaced.rows, replaced.replaced) == (12, 2)


def test_a_failed_run_goes_on_with_another_policy(colour_model, tiny_manifest, tmp_path):
    (tiny_manifest.parent / "white_11.png").write_bytes(b"")
    manifest = open_manifest(tiny_manifest)
    with pytest.raises(ImageDecodeError):
        embed(colour_model, manifest, tmp_path / "out")
    assert embed(colour_model, manifest, tmp_path / "out", on_bad_image="skip").skipped == 1
    # Now that an image was left out, `raise` would hide it.
    (tmp_path / "out" / "embeddings.json").unlink()
    with pytest.raises(FingerprintMismatchError, match="on_bad_image"):
        embed(colour_model, manifest, tmp_path / "out", on_bad_image="raise")


def test_shards_are_plain_parquet(colour_model, tiny_manifest, tmp_path):
    embed(colour_model, open_manifest(tiny_manifest), tmp_path / "out")
    schema = pq.read_schema(tmp_path / "out" / "part-00000.parquet")
    assert str(schema.field("vector").type) == "fixed_size_list<element: float>[8]"


def test_records_are_not_kept(colour_model, tmp_path, monkeypatch):
    """Only a few batches of records are alive at a time, however long the manifest."""
    from vlcore.data.decode import DecodeReport
    from vlcore.data.record import ImageRef, Record
    from vlcore.retrieval.rows import embed_records

    Image.new("RGB", (16, 16)).save(tmp_path / "a.png")
    drawn = 0

    def endless():
        nonlocal drawn
        while True:
            drawn += 1
            yield Record(str(drawn), ImageRef(tmp_path / "a.png"))

    report = DecodeReport()
    stream = embed_records(colour_model, endless(), batch_size=4, on_bad_image="raise", report=report)
    for number, batch in zip(range(1, 50), stream, strict=False):
        assert [record.id for record in batch.records] == [str(4 * number - 3 + i) for i in range(4)]
        assert drawn <= 4 * number + 16
    stream.close()


CHILD = """
import importlib.util, sys, time
from pathlib import Path
spec = importlib.util.spec_from_file_location("fakes", sys.argv[1])
fakes = importlib.util.module_from_spec(spec)
spec.loader.exec_module(fakes)
from vlcore.data.manifest import open_manifest
from vlcore.retrieval import embedding_shards
from vlcore.retrieval.embed import embed
embedding_shards.SHARD_RECORDS = 5
model = fakes.ColourModel()
project = model.embed_pixels
def slow(images):
    if model.images_seen >= 6:
        print("in the middle", flush=True)
        time.sleep(60)
    return project(images)
model.embed_pixels = slow
embed(model, open_manifest(Path(sys.argv[2])), sys.argv[3], batch_size=2)
"""


def test_killed_process_continues_to_the_same_files(colour_model, tiny_manifest, tmp_path):
    fakes = Path(__file__).parents[1] / "conftest.py"
    command = [sys.executable, "-c", CHILD, str(fakes), str(tiny_manifest), str(tmp_path / "killed")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout.readline() == "in the middle\n"
        child.send_signal(signal.SIGKILL)
    assert [path.name for path in (tmp_path / "killed").glob("part-*")] == ["part-00000.parquet"]
    manifest = open_manifest(tiny_manifest)
    embed(colour_model, manifest, tmp_path / "killed", batch_size=2)
    assert colour_model.images_seen == 7
    embed(colour_model, manifest, tmp_path / "whole", batch_size=2)
    assert files(tmp_path / "killed") == files(tmp_path / "whole")
