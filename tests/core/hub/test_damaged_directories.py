"""Every way in which a model directory can be wrong, and hostile ones, end in an error that names the place."""

import hashlib
import json
import sys

import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file

from vlcore.errors import ModelDirectoryError
from vlcore.hub.fingerprint import write_fingerprint
from vlcore.hub.model_card import ModelCard
from vlcore.hub.model_directory import load_model_directory, save_model_directory, verify_model_directory
from vlcore.hub.safe_loading import resolve_class

PARTS = [
    "config.yaml",
    "model.safetensors",
    "preprocess.json",
    "README.md",
    "fingerprint",
    "tokenizer/kind.txt",
    "tokenizer/vocabulary/letters.json",
]


def edit_config(folder, change):
    """Change config.yaml as somebody would who also mends the fingerprint."""
    config = yaml.safe_load((folder / "config.yaml").read_text())
    change(config)
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    write_fingerprint(folder)


@pytest.mark.parametrize("name", PARTS)
def test_a_missing_part_is_named(saved, name):
    (saved / name).unlink()
    for use in (load_model_directory, verify_model_directory):
        with pytest.raises(ModelDirectoryError, match=f"{name} is missing"):
            use(saved)


@pytest.mark.parametrize("name", [name for name in PARTS if name not in ("README.md", "fingerprint")])
def test_a_changed_part_is_named_with_both_hashes(saved, name):
    path = saved / name
    expected = hashlib.sha256(path.read_bytes()).hexdigest()
    path.write_bytes(path.read_bytes() + b" ")
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    with pytest.raises(ModelDirectoryError, match=f"{name} was changed.* expected {expected}, found {found}"):
        load_model_directory(saved)


@pytest.mark.parametrize(
    "text, message",
    [
        ("", "starts with ''"),
        ("# vlcore model fingerprint v2 abc\n", "newer vlcore"),
        ("# vlcore model fingerprint v1 " + "0" * 64 + "\n", "does not match its list"),
        ("# vlcore model fingerprint v1 x\nabc  config.yaml\n", "line 2"),
        ("# vlcore model fingerprint v1 x\n" + "0" * 64 + "  /etc/passwd\n", "line 2"),
    ],
)
def test_a_damaged_fingerprint_is_refused(saved, text, message):
    (saved / "fingerprint").write_text(text)
    with pytest.raises(ModelDirectoryError, match=message):
        load_model_directory(saved)


def test_a_fingerprint_that_leaves_a_part_out_is_refused(saved):
    lines = (saved / "fingerprint").read_text().splitlines(keepends=True)
    body = "".join(line for line in lines[1:] if "preprocess" not in line)
    digest = hashlib.sha256(body.encode()).hexdigest()
    (saved / "fingerprint").write_text(f"# vlcore model fingerprint v1 {digest}\n{body}")
    with pytest.raises(ModelDirectoryError, match=r"does not name preprocess\.json"):
        load_model_directory(saved)


def test_a_fingerprint_cannot_point_out_of_the_folder(saved):
    outside = saved.parent / "secret"
    outside.write_text("secret")
    lines = (saved / "fingerprint").read_text().splitlines(keepends=True)[1:]
    lines.append(f"{hashlib.sha256(b'secret').hexdigest()}  tokenizer/../../secret\n")
    body = "".join(sorted(lines, key=lambda line: line[66:]))
    digest = hashlib.sha256(body.encode()).hexdigest()
    (saved / "fingerprint").write_text(f"# vlcore model fingerprint v1 {digest}\n{body}")
    with pytest.raises(ModelDirectoryError, match="leads out of"):
        load_model_directory(saved)


@pytest.mark.parametrize("name", PARTS)
def test_links_that_lead_out_are_refused(saved, name):
    outside = saved.parent / "outside"
    (saved / name).rename(outside)
    (saved / name).symlink_to(outside)
    with pytest.raises(ModelDirectoryError, match="link that leads out"):
        load_model_directory(saved)


def test_a_linked_tokenizer_folder_is_refused(saved):
    (saved / "tokenizer").rename(saved.parent / "elsewhere")
    (saved / "tokenizer").symlink_to(saved.parent / "elsewhere")
    with pytest.raises(ModelDirectoryError, match="leads out"):
        load_model_directory(saved)


def test_a_file_added_to_the_tokenizer_is_refused_and_beside_the_parts_is_not(saved):
    (saved / "notes.txt").write_text("mine")
    load_model_directory(saved)
    (saved / "tokenizer" / "added_tokens.json").write_text("{}")
    with pytest.raises(ModelDirectoryError, match=r"added_tokens\.json is not named"):
        load_model_directory(saved)


def test_a_truncated_weights_file_is_refused_even_with_a_mended_fingerprint(saved):
    path = saved / "model.safetensors"
    for keep in (len(path.read_bytes()) - 10, 100, 4, 0):
        path.write_bytes(path.read_bytes()[:keep])
        write_fingerprint(saved)
        with pytest.raises(ModelDirectoryError, match=r"model\.safetensors is damaged"):
            load_model_directory(saved)


def test_a_pickle_is_never_read(saved):
    marker = saved.parent / "executed"

    class Payload:
        def __reduce__(self):
            return (open, (str(marker), "w"))

    torch.save(Payload(), saved / "model.safetensors")
    write_fingerprint(saved)
    with pytest.raises(ModelDirectoryError, match="damaged or not a safetensors file"):
        load_model_directory(saved)
    assert not marker.exists()


def change_shape(weights):
    weights["text_head.projection.weight"] = torch.zeros(4, 6)


def drop(weights):
    del weights["logit_scale"]


def add(weights):
    weights["extra"] = torch.zeros(2)


def change_type(weights):
    weights["image_encoder.norm.num_batches_tracked"] = torch.tensor(1.0)


@pytest.mark.parametrize(
    "change, message",
    [
        (change_shape, r"'text_head.projection.weight' has shape \[4, 6\], expected \[4, 5\]"),
        (drop, "missing 'logit_scale'"),
        (add, r"unexpected 'extra' \[2\]"),
        (change_type, "num_batches_tracked' is torch.float32, expected torch.int64"),
    ],
)
def test_weights_that_do_not_fit_are_named_and_nothing_is_loaded(saved, change, message):
    weights = load_file(saved / "model.safetensors")
    change(weights)
    save_file(weights, saved / "model.safetensors")
    write_fingerprint(saved)
    with pytest.raises(ModelDirectoryError, match=message):
        load_model_directory(saved)


@pytest.mark.parametrize("key", ["image_encoder", "text_encoder", "image_head", "text_head", "model"])
@pytest.mark.parametrize(
    "path", ["os.system", "subprocess:Popen", "subprocess.Popen", "antigravity.fly", "builtins.eval", "vlcore_evil.X"]
)
def test_classes_outside_the_allow_list_are_refused_without_an_import(saved, key, path):
    edit_config(saved, lambda config: config[key].update(class_path=path))
    with pytest.raises(ModelDirectoryError, match=f"config.yaml, {key}: .*{path}"):
        load_model_directory(saved)
    assert "antigravity" not in sys.modules and "vlcore_evil" not in sys.modules


@pytest.mark.parametrize(
    "path, message",
    [
        ("vlcore.hub.model_directory.json", "not a kind of Head"),
        ("vlcore.hub.model_directory.Path", "not a kind of Head"),
        ("vlcore.heads.closed_form.fit_cca", "not a kind of Head"),
        ("vlcore.heads.linear.nn", "not a kind of Head"),
        ("vlcore.heads.residual_mlp.nn.Linear", "cannot be found"),
        ("tiny_model.NotATower", "not a kind of Head"),
        ("tiny_model.TinyImageEncoder", "not a kind of Head"),
        ("tiny_model.AbstractHead", "abstract"),
        ("vlcore.heads.base.Head", "abstract"),
        ("vlcore.heads.linear.Missing", "cannot be found"),
        ("vlcore.nowhere.LinearHead", "cannot be found"),
        ("vlcore.__main__.LinearHead", "not from vlcore or a plugin"),
        ("vlcore.heads.linear._Private", "not from vlcore or a plugin"),
        ("LinearHead", "no class path"),
        ("", "no class path"),
        ("vlcore..LinearHead", "no class path"),
        ("../vlcore.LinearHead", "no class path"),
        (None, "no class path"),
        (["vlcore.heads.linear.LinearHead"], "no class path"),
    ],
)
def test_a_class_path_must_name_a_concrete_class_of_the_right_kind(saved, path, message):
    edit_config(saved, lambda config: config["image_head"].update(class_path=path))
    with pytest.raises(ModelDirectoryError, match=message):
        load_model_directory(saved)


def test_an_image_tower_in_the_place_of_the_text_tower_is_refused(saved):
    edit_config(saved, lambda config: config["text_encoder"].update(class_path=config["image_encoder"]["class_path"]))
    with pytest.raises(ModelDirectoryError, match="not a kind of TextEncoder"):
        load_model_directory(saved)


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda config: config.update(format=2), "format expected 1, found 2"),
        (lambda config: config.pop("format"), "format expected 1, found None"),
        (lambda config: config.pop("text_head"), r"missing keys \['text_head'\]"),
        (lambda config: config.update(other=1), r"unknown keys \['other'\]"),
        (lambda config: config.update(image_head=5), "image_head needs a class_path"),
        (lambda config: config["image_head"].update(arguments=[1]), "mapping of arguments"),
        (lambda config: config["image_head"]["arguments"].update(colour="red"), "image_head cannot be built"),
        (lambda config: config["image_head"]["arguments"].pop("in_features"), "image_head cannot be built"),
        (lambda config: config["image_encoder"].update(arguments={}), "image_encoder cannot be built"),
        (lambda config: config["text_head"]["arguments"].update(out_features=3), "same out_features"),
        (lambda config: config["text_head"]["arguments"].update(bias=True), "missing 'text_head.projection.bias'"),
        (lambda config: config["model"]["arguments"].update(logit_bias=1.0), "missing 'logit_bias'"),
    ],
)
def test_a_config_that_does_not_describe_the_model_is_refused(saved, change, message):
    edit_config(saved, change)
    with pytest.raises(ModelDirectoryError, match=message):
        load_model_directory(saved)


@pytest.mark.parametrize("text", ["a: [", "just words", "", "!!python/object/apply:os.system ['true']", "\x00"])
def test_a_config_that_is_no_plain_yaml_is_refused(saved, text):
    (saved / "config.yaml").write_text(text)
    write_fingerprint(saved)
    with pytest.raises(ModelDirectoryError, match=r"config\.yaml"):
        load_model_directory(saved)


@pytest.mark.parametrize(
    "change",
    [lambda values: values.pop("mean"), lambda values: values.update(crop=1), lambda values: values.update(size=4)],
)
def test_preprocessing_that_is_incomplete_is_refused_not_filled_in(saved, change):
    values = json.loads((saved / "preprocess.json").read_text())
    change(values)
    (saved / "preprocess.json").write_text(json.dumps(values))
    write_fingerprint(saved)
    with pytest.raises(ModelDirectoryError, match=r"preprocess\.json"):
        load_model_directory(saved)


@pytest.mark.parametrize("text", ["{", "[]", "5", "null"])
def test_preprocessing_that_is_no_mapping_is_refused(saved, text):
    (saved / "preprocess.json").write_text(text)
    write_fingerprint(saved)
    with pytest.raises(ModelDirectoryError, match=r"preprocess\.json"):
        load_model_directory(saved)


def test_a_class_defined_elsewhere_but_visible_in_an_allowed_module_is_refused(monkeypatch):
    import tiny_model

    foreign = type("Foreign", (tiny_model.LinearHead,), {"__module__": "somewhere.else"})
    monkeypatch.setattr(tiny_model, "Foreign", foreign, raising=False)
    with pytest.raises(ModelDirectoryError, match="not a kind of"):
        resolve_class("tiny_model.Foreign", tiny_model.Head, "here")


def test_a_model_can_be_saved_over_a_damaged_one(saved, model):
    (saved / "model.safetensors").write_bytes(b"damaged")
    (saved / "config.yaml").unlink()
    fingerprint = save_model_directory(saved, model, ModelCard("New"))
    assert load_model_directory(saved).fingerprint == fingerprint
