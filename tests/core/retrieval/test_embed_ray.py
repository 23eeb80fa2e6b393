import os
import sys

import pytest
import ray_worker
from tiny_model import tiny_model

from vlcore.cli.main import main
from vlcore.data.manifest import open_manifest
from vlcore.errors import ConfigurationError, FingerprintMismatchError, ImageDecodeError
from vlcore.hub.model_directory import ModelCard, save_model_directory
from vlcore.retrieval import embed_ray
from vlcore.retrieval.embed import embed
from vlcore.retrieval.embed_ray import embed_with_ray
from vlcore.retrieval.embedding_shards import Embeddings
from vlcore.retrieval.model import load

ray = pytest.importorskip("ray", reason="Ray is not installed")


@pytest.fixture(scope="module")
def cluster():
    """Two workers on this machine."""
    ray.init(
        num_cpus=2,
        include_dashboard=False,
        log_to_driver=False,
        logging_level="error",
        object_store_memory=100_000_000,
        runtime_env={"env_vars": {"PYTHONPATH": os.pathsep.join(sys.path)}},
    )
    yield
    ray.shutdown()


@pytest.fixture
def model(cluster, tmp_path, monkeypatch):
    monkeypatch.setattr("vlcore.hub.safe_loading.allowed_packages", lambda: {"vlcore", "tiny_model"})
    monkeypatch.setattr("vlcore.retrieval.embedding_shards.SHARD_RECORDS", ray_worker.SMALL)
    monkeypatch.setattr(embed_ray, "ShardEmbedder", ray_worker.Worker)
    save_model_directory(tmp_path / "model", tiny_model(), ModelCard(name="tiny", command="", data={}, training={}))
    return tmp_path / "model"


def files(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_the_folder_is_that_of_one_process_and_a_second_call_does_nothing(model, tiny_manifest, tmp_path, monkeypatch):
    manifest = open_manifest(tiny_manifest)
    embed(load(model, "cpu"), manifest, tmp_path / "local", batch_size=2)
    result = embed_with_ray(model, manifest, tmp_path / "ray", workers=2, batch_size=2)
    assert (result.rows, result.records, len(result.shards())) == (12, 12, 4)
    assert files(tmp_path / "ray") == files(tmp_path / "local")
    monkeypatch.setattr(embed_ray, "_embed_wave", None)
    assert embed_with_ray(model, manifest, tmp_path / "ray", workers=2, batch_size=2) == result


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_worker_that_is_killed_loses_nothing(model, tiny_manifest, tmp_path, when):
    manifest = open_manifest(tiny_manifest)
    embed(load(model, "cpu"), manifest, tmp_path / "local")
    marker = tmp_path / ray_worker.DIE
    marker.write_text(f"2 {when}")
    embed_with_ray(model, manifest, tmp_path / "ray", workers=2)
    assert not marker.exists()
    assert files(tmp_path / "ray") == files(tmp_path / "local")


def test_what_one_engine_began_the_other_finishes(model, tiny_manifest, tmp_path):
    manifest = open_manifest(tiny_manifest)
    embed(load(model, "cpu"), manifest, tmp_path / "whole")
    for first, second in (("local", "ray"), ("ray", "local")):
        folder = tmp_path / first
        engines = {
            "local": lambda folder: embed(load(model, "cpu"), manifest, folder),
            "ray": lambda folder: embed_with_ray(model, manifest, folder, workers=1),
        }
        engines[first](folder)
        # As after a kill: one shard in the middle and the summary are missing, and half a file is left.
        (folder / "embeddings.json").unlink()
        (folder / "part-00001.parquet").unlink()
        (folder / ".part-00001.parquet.x.part").write_bytes(b"half")
        before = (folder / "part-00002.parquet").stat().st_mtime_ns
        engines[second](folder)
        assert (folder / "part-00002.parquet").stat().st_mtime_ns == before
        assert files(folder) == files(tmp_path / "whole")


def test_bad_images_follow_the_policy_and_are_counted(model, tiny_manifest, tmp_path):
    for name in ("blue_2.png", "purple_10.png"):
        (tiny_manifest.parent / name).write_bytes(b"no image")
    manifest = open_manifest(tiny_manifest)
    with pytest.raises(ImageDecodeError, match=r"blue_2\.png|purple_10\.png"):
        embed_with_ray(model, manifest, tmp_path / "raise", workers=2)
    result = embed_with_ray(model, manifest, tmp_path / "skip", workers=2, on_bad_image="skip")
    assert (result.rows, result.records, result.skipped) == (10, 12, 2)
    assert [problem["id"] for problem in result.problems] == ["blue_2.png", "purple_10.png"]


def test_mistakes_are_one_message(model, tiny_manifest, tmp_path):
    manifest = open_manifest(tiny_manifest)
    with pytest.raises(ConfigurationError, match="workers=0: choose at least 1"):
        embed_with_ray(model, manifest, tmp_path / "out", workers=0)
    embed_with_ray(model, manifest, tmp_path / "out", workers=1)
    save_model_directory(
        tmp_path / "other", tiny_model(seed=1), ModelCard(name="tiny", command="", data={}, training={})
    )
    with pytest.raises(FingerprintMismatchError, match="model fingerprint"):
        embed_with_ray(tmp_path / "other", manifest, tmp_path / "out", workers=1)


def test_the_command(model, tiny_manifest, tmp_path, capsys):
    arguments = ["embed", str(model), str(tiny_manifest), "-o", str(tmp_path / "out")]
    assert main([*arguments, "--engine", "ray", "--workers", "1", "--device", "cpu"]) == 0
    assert "12 vectors of 4 numbers from 12 records" in capsys.readouterr().out
    assert Embeddings.open(tmp_path / "out").vectors().shape == (12, 4)
    assert main([*arguments, "--workers", "2"]) == 2
    assert "--workers is for --engine ray" in capsys.readouterr().err


def test_without_ray_the_extra_is_named(model, tiny_manifest, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "ray.data", None)
    arguments = ["embed", str(model), str(tiny_manifest), "-o", str(tmp_path / "out"), "--engine", "ray"]
    assert main(arguments) == 2
    assert 'pip install "vlcore[ray]"' in capsys.readouterr().err
