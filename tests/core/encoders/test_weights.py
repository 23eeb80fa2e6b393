from __future__ import annotations

import json
import os

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from vlcore.encoders.weights import find_weights, load_strict, read_weights
from vlcore.errors import ModelDirectoryError


class Payload:
    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return os.mkdir, (str(self.target),)


def test_safetensors_win_over_archives(tmp_path):
    torch.save({"a": torch.zeros(1)}, tmp_path / "pytorch_model.bin")
    assert find_weights(tmp_path, ["model", "pytorch_model"]) == [tmp_path / "pytorch_model.bin"]
    save_file({"a": torch.ones(1)}, tmp_path / "model.safetensors")
    assert find_weights(tmp_path, ["model", "pytorch_model"]) == [tmp_path / "model.safetensors"]


def test_shards_are_put_together(tmp_path):
    names = ["model-1.safetensors", "model-2.safetensors"]
    save_file({"a": torch.ones(1)}, tmp_path / names[0])
    save_file({"b": torch.zeros(2)}, tmp_path / names[1])
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": names[0], "b": names[1]}}))
    assert set(read_weights(find_weights(tmp_path, ["model"]))) == {"a", "b"}
    (tmp_path / names[1]).unlink()
    with pytest.raises(ModelDirectoryError, match=r"model-2\.safetensors is missing"):
        find_weights(tmp_path, ["model"])
    index.write_text(json.dumps({"weight_map": {"a": "../model-1.safetensors"}}))
    with pytest.raises(ModelDirectoryError, match="outside its folder"):
        find_weights(tmp_path, ["model"])


def test_no_weights(tmp_path):
    with pytest.raises(ModelDirectoryError, match=r"model\.safetensors is missing"):
        find_weights(tmp_path, ["model"])


@pytest.mark.parametrize("name", ["w.bin", "w.pth"])
def test_pickle_with_code_is_not_run(tmp_path, name):
    torch.save({"a": Payload(tmp_path / "owned")}, tmp_path / name)
    with pytest.raises(ModelDirectoryError, match="refused"):
        read_weights([tmp_path / name])
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize("name", ["w.bin", "w.safetensors"])
def test_damaged_files_are_named(tmp_path, name):
    path = tmp_path / name
    torch.save({"a": torch.zeros(100)}, path) if name == "w.bin" else save_file({"a": torch.zeros(100)}, path)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(ModelDirectoryError, match=name):
        read_weights([path])
    path.write_bytes(b"")
    with pytest.raises(ModelDirectoryError, match=name):
        read_weights([path])


def test_archive_without_tensors_is_refused(tmp_path):
    torch.save([1, 2], tmp_path / "w.bin")
    with pytest.raises(ModelDirectoryError, match="not a dictionary of tensors"):
        read_weights([tmp_path / "w.bin"])


def test_misfits_are_all_named_and_nothing_is_loaded():
    module = nn.Linear(2, 3)
    before = module.weight.clone()
    with pytest.raises(ModelDirectoryError) as caught:
        load_strict(module, {"weight": torch.zeros(3, 4), "extra": torch.zeros(1)}, "file.bin")
    for part in ("file.bin", "Linear", "missing bias", "unexpected extra", "weight ((3, 4) in the file, (3, 2)"):
        assert part in str(caught.value)
    assert torch.equal(module.weight, before)


def test_long_lists_are_shortened():
    with pytest.raises(ModelDirectoryError, match="and 4 more"):
        load_strict(nn.Identity(), {f"k{index}": torch.zeros(1) for index in range(10)}, "file.bin")
