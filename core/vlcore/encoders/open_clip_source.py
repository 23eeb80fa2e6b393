"""What a folder, a hub repository or a named release of open_clip holds, read without filling anything in."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from torch import Tensor

from vlcore.encoders.base import TextTokenizer
from vlcore.encoders.clip_tokenizer import clip_tokenizer
from vlcore.encoders.source_folder import licence_of, read_json, source_folder
from vlcore.encoders.tokenizer import Cleaning
from vlcore.encoders.transformers_model import is_dual, plain_config, read_config
from vlcore.encoders.transformers_tokenizer import plain_tokenizer, read_transformers_tokenizer
from vlcore.encoders.weights import find_weights, read_weights
from vlcore.errors import ConfigurationError, MissingDependencyError, ModelDirectoryError
from vlcore.types import ImagePreprocess

CONFIG_FILE = "open_clip_config.json"
WEIGHT_STEMS = ("open_clip_model", "open_clip_pytorch_model", "model", "pytorch_model")
HUB_PREFIX = "hf-hub:"
_CLEANING: dict[str, Cleaning] = {"lower": "lower", "whitespace": "whitespace", "canonicalize": "canonical"}
_TEXT_LAYERS = ("token_embedding.", "transformer.", "ln_final.")
_TEXT_PARAMETERS = ("positional_embedding", "text_projection", "cls_emb")


@dataclass(frozen=True)
class OpenClipSource:
    """One pretrained model of open_clip.

    Attributes:
        place: folder or name, for messages.
        model: `embed_dim`, `vision_cfg`, `text_cfg`, `quick_gelu` and `text_model` (of transformers, or None).
        preprocess: of images.
        image_state: weights of the image tower.
        text_state: weights of the text tower.
        logit_scale: exponentiated.
        logit_bias: or None.
        licence: as the model card states it.
        tokenizer: builds the tokeniser; a caller who wants the image tower alone needs none.
    """

    place: Path | str
    model: dict[str, Any]
    preprocess: ImagePreprocess
    image_state: dict[str, Tensor]
    text_state: dict[str, Tensor]
    logit_scale: float
    logit_bias: float | None
    licence: str
    tokenizer: Callable[[], TextTokenizer]

    def check_end(self, tower: Any, tokenizer: TextTokenizer) -> None:
        """Make sure that the text tower pools at the token that the tokeniser ends texts with.

        Raises:
            ModelDirectoryError: if it does not.
        """
        pool_type = getattr(tower, "pool_type", None)
        if pool_type not in ("argmax", "eos"):
            return
        expected = tokenizer.largest_id if pool_type == "argmax" else tower.eos_id
        ids = tokenizer(["a"]).input_ids[0]
        if int(ids[-1]) != expected:
            raise ModelDirectoryError(
                f"{self.place}: the tokeniser ends texts with id {int(ids[-1])}, the tower pools at id {expected} "
                f"({pool_type}). Tokeniser and weights belong to different models: take both from one release."
            )


def open_clip_library() -> Any:
    """Import open_clip.

    Raises:
        MissingDependencyError: if it is not installed.
    """
    try:
        import open_clip
        import open_clip.transformer
    except ImportError as error:
        raise MissingDependencyError("open_clip", "open_clip", "A tower of open_clip") from error
    return open_clip


def read_source(argument: str) -> OpenClipSource:
    """Read a local folder, a hub id, or `model/tag`; see `vlcore.encoders.open_clip.build_dual`.

    Raises:
        ConfigurationError: if there is no such model, it cannot be fetched, or is not supported.
        MissingDependencyError: if open_clip is not installed.
        ModelDirectoryError: if a folder is incomplete or does not fit.
    """
    library = open_clip_library()
    name, _, tag = argument.partition("/")
    if not Path(argument).expanduser().is_dir() and name in library.list_models():
        return _from_tag(library, name, tag)
    folder = source_folder(argument.removeprefix(HUB_PREFIX), "open_clip")
    local = Path(argument).expanduser().is_dir()
    config = read_json(folder / CONFIG_FILE, "the architecture and the preprocessing")
    for key in ("model_cfg", "preprocess_cfg"):
        if not isinstance(config.get(key), dict):
            raise ModelDirectoryError(
                f"{folder / CONFIG_FILE} has no {key}; a default could change the features silently. Take the file "
                f"from the release that brought the weights."
            )
    paths = find_weights(folder, WEIGHT_STEMS)
    return _assemble(
        folder, deepcopy(config["model_cfg"]), config["preprocess_cfg"], read_weights(paths), licence_of(folder), local
    )


def _from_tag(library: Any, name: str, tag: str) -> OpenClipSource:
    release = library.get_pretrained_cfg(name, tag) if tag else None
    if not release:
        tags = ", ".join(library.list_pretrained_tags_by_model(name)) or "none"
        raise ConfigurationError(f"open_clip/{name}/{tag}: the model {name} has the releases {tags}; name one of them.")
    model = deepcopy(library.get_model_config(name))
    # The release knows its activation; the configuration of the same name may say otherwise.
    model["quick_gelu"] = bool(release.get("quick_gelu", False))
    try:
        with warnings.catch_warnings():
            # It warns of the very mismatch that `quick_gelu` mends.
            warnings.filterwarnings("ignore", message="QuickGELU mismatch")
            loaded = library.create_model(name, pretrained=tag, weights_only=True, quick_gelu=model["quick_gelu"])
    except Exception as error:
        raise ConfigurationError(
            f"open_clip/{name}/{tag}: the weights cannot be fetched ({type(error).__name__}: {error}). Download a "
            f"folder with {CONFIG_FILE} on a machine with network and name it: open_clip/path/to/folder."
        ) from error
    state = {key: value.detach() for key, value in loaded.state_dict().items()}
    return _assemble(f"open_clip/{name}/{tag}", model, loaded.visual.preprocess_cfg, state, "unknown", local=False)


def _assemble(
    place: Path | str,
    model_cfg: dict[str, Any],
    preprocess_cfg: Mapping[str, Any],
    state: dict[str, Tensor],
    licence: str,
    local: bool,
) -> OpenClipSource:
    if missing := [key for key in ("embed_dim", "vision_cfg", "text_cfg") if key not in model_cfg]:
        raise ModelDirectoryError(f"{place}: model_cfg lacks {', '.join(missing)}.")
    text = model_cfg["text_cfg"]
    model = {
        "embed_dim": model_cfg["embed_dim"],
        "vision_cfg": model_cfg["vision_cfg"],
        "text_cfg": text,
        "quick_gelu": bool(model_cfg.get("quick_gelu", False)),
        "text_model": _text_model(place, text["hf_model_name"]) if text.get("hf_model_name") else None,
    }
    image_state, text_state, rest = _split({key.removeprefix("module."): value for key, value in state.items()})
    scale, bias = rest.pop("logit_scale", None), rest.pop("logit_bias", None)
    strange = [key for key in rest if not ("multimodal_cfg" in model_cfg and key.startswith("text_decoder."))]
    if scale is None or strange:
        raise ModelDirectoryError(
            f"{place}: the weights are not of an open_clip model: "
            f"{'logit_scale is missing' if scale is None else f'unexpected {sorted(strange)[:6]}'}."
        )
    return OpenClipSource(
        place,
        model,
        preprocess_of(preprocess_cfg, model["vision_cfg"], place),
        image_state,
        text_state,
        math.exp(float(scale)),
        None if bias is None else float(bias),
        licence,
        lambda: _tokenizer(place, text, local),
    )


def preprocess_of(values: Mapping[str, Any], vision: Mapping[str, Any], place: Path | str) -> ImagePreprocess:
    """Turn open_clip's preprocess_cfg into vlcore's preprocessing.

    Releases that state mean and standard deviation alone are older than open_clip's other modes: they mean a bicubic
    resize of the short side and a centre crop.

    Raises:
        ModelDirectoryError: if mean, standard deviation or size is missing, or something has no equal.
    """
    if missing := [key for key in ("mean", "std") if not values.get(key)]:
        raise ModelDirectoryError(f"{place}: preprocess_cfg lacks {', '.join(missing)}; a default is not used.")
    # open_clip itself lets the size of the tower win over the one written beside it.
    size = vision.get("image_size") or values.get("size") or 224
    height, width = (size, size) if isinstance(size, int) else (int(size[0]), int(size[1]))
    mode = values.get("resize_mode") or "shortest"
    interpolation = values.get("interpolation") or "bicubic"
    resize: Literal["shortest", "squash", "pad"] | None
    resize = {"shortest": "shortest", "squash": "squash", "longest": "pad"}.get(mode)  # type: ignore[assignment]
    triples = len(values["mean"]) == len(values["std"]) == 3
    supported = triples and values.get("mode", "RGB") == "RGB" and interpolation in ("bilinear", "bicubic", "random")
    if resize is None or not supported or (resize == "shortest" and height != width):
        raise ModelDirectoryError(f"{place}: the preprocessing {dict(values)} is not supported.")
    mean, std = ((float(a), float(b), float(c)) for a, b, c in (values["mean"], values["std"]))
    return ImagePreprocess(
        (height, width),
        resize,
        min(height, width),
        "bilinear" if interpolation == "bilinear" else "bicubic",
        mean,
        std,
        int(values.get("fill_color") or 0),
    )


def _split(state: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor], dict[str, Tensor]]:
    """Weights of the image tower, of the text tower, and the rest."""
    image: dict[str, Tensor] = {}
    text: dict[str, Tensor] = {}
    rest: dict[str, Tensor] = {}
    for key, value in state.items():
        if key.startswith("visual."):
            image[key.removeprefix("visual.")] = value
        elif key.startswith("text."):
            text[key.removeprefix("text.")] = value
        elif key.startswith(_TEXT_LAYERS) or key.split(".")[0] in _TEXT_PARAMETERS:
            text[key] = value
        else:
            rest[key] = value
    return image, text, rest


def _text_model(place: Path | str, name: str) -> dict[str, Any]:
    """Configuration of a text tower that is a model of transformers."""
    if isinstance(place, Path) and (place / "config.json").is_file():
        values = read_json(place / "config.json", "the architecture of the text tower")
        if "model_type" in values and not is_dual(config := read_config(place)):
            return plain_config(config)
    try:
        return plain_config(read_config(source_folder(name, "transformers")))
    except ConfigurationError as error:
        raise ModelDirectoryError(
            f"{place}: the text tower is {name!r} of transformers, and its architecture is not here. Copy the "
            f"config.json of {name} into the folder."
        ) from error


def _tokenizer(place: Path | str, text: Mapping[str, Any], local: bool) -> TextTokenizer:
    context_length = int(text.get("context_length", 77))
    options = dict(text.get("tokenizer_kwargs") or {})
    name = text.get("hf_tokenizer_name") or ""
    cleaning = _CLEANING.get(options.pop("clean", "whitespace" if name else "lower"))
    strip_separator = bool(options.pop("strip_sep_token", False))
    if cleaning is None or options or text.get("tokenizer_mode"):
        raise ConfigurationError(
            f"{place}: the tokeniser settings {text.get('tokenizer_kwargs')}, mode {text.get('tokenizer_mode')!r} are "
            f"not supported."
        )
    if not name:
        library = open_clip_library()
        merges = Path(library.__file__).with_name("bpe_simple_vocab_16e6.txt.gz")
        return clip_tokenizer(merges, context_length, cleaning)
    folder = place if local and isinstance(place, Path) else source_folder(name, "transformers")
    raw = read_transformers_tokenizer(folder)
    # open_clip cuts at the tower's length, whatever limit the tokeniser states.
    raw.model_max_length = context_length
    blanked = raw.sep_token_id if strip_separator else None
    return plain_tokenizer(raw, context_length, cleaning=cleaning, blanked_id=blanked)
