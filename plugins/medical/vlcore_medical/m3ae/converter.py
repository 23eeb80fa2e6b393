"""From a released checkpoint to a model, every tensor accounted for."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from vlcore.encoders.base import TextTokenizer
from vlcore.errors import ConfigurationError, ModelDirectoryError
from vlcore.files import write_text
from vlcore_medical.m3ae.image_encoder import ClipImageEncoder
from vlcore_medical.m3ae.model import M3AEModel
from vlcore_medical.m3ae.network import M3AENetwork
from vlcore_medical.m3ae.positions import resize_positions
from vlcore_medical.m3ae.released_checkpoint import ReleasedCheckpoint
from vlcore_medical.m3ae.released_names import place_of
from vlcore_medical.m3ae.released_shape import PADDING, released_heads, released_shape

_IMAGE_POSITION = "image_encoder.position"
_DECODER_POSITION = "network.masked_image.position"
_TEXT_POSITION = "network.stream.text_embedding.position.weight"
_TEXT_KIND = "network.stream.text_embedding.kind"


@dataclass
class ConversionReport:
    """What became of every tensor of a checkpoint.

    Attributes:
        checkpoint: file name.
        mapped: vlcore's names by released names.
        dropped: reasons by released names.
        changed: what was done to some of the mapped ones besides splitting, by released names.
        computed: vlcore's names that the checkpoint gives nothing for, with where they come from.
    """

    checkpoint: str
    mapped: dict[str, list[str]] = field(default_factory=dict)
    dropped: dict[str, str] = field(default_factory=dict)
    changed: dict[str, str] = field(default_factory=dict)
    computed: dict[str, str] = field(default_factory=dict)

    def save(self, path: Path | str) -> None:
        """Write it as JSON."""
        write_text(path, json.dumps(asdict(self), indent=2) + "\n")


def convert_checkpoint(
    checkpoint: ReleasedCheckpoint,
    tokenizer: TextTokenizer,
    *,
    answers: Sequence[str] | None = None,
    image_size: int | None = None,
) -> tuple[M3AEModel, ConversionReport]:
    """Build the model of a checkpoint.

    Args:
        checkpoint: as `read_released_checkpoint` gives it.
        tokenizer: RoBERTa's, cut at the length that the checkpoint was trained with.
        answers: that its head chooses among, in the order of its classes: they are not in the checkpoint. The released
            order is that of first occurrence over the train, validation and test files.
        image_size: pixels of a side, in place of the checkpoint's own; positions are interpolated.

    Returns:
        The model in evaluation mode, and what became of every tensor.

    Raises:
        ConfigurationError: if the number of answers is another one.
        ModelDirectoryError: if a tensor is unknown, missing, or of another shape.
    """
    shape, (heads, count) = released_shape(checkpoint, image_size), released_heads(checkpoint)
    if count != len(answers or ()):
        raise ConfigurationError(
            f"{checkpoint.path} chooses among {count} answers and {len(answers or ())} were given. They are not in the "
            f"checkpoint: pass exactly those of its data set, in the order of first occurrence in its files."
        )
    with torch.random.fork_rng(devices=[]):
        model = M3AEModel(ClipImageEncoder.of(shape), tokenizer, M3AENetwork(shape, heads, answers))
    model.image_encoder.source = f"zhjohnchan/M3AE {checkpoint.path.name}"
    model.text_encoder.source = model.image_encoder.source
    report = ConversionReport(checkpoint.path.name)
    _fill(model, _translate(checkpoint, report, shape.patches), checkpoint, report)
    return model.eval(), report


def _translate(checkpoint: ReleasedCheckpoint, report: ConversionReport, patches: int) -> dict[str, Tensor]:
    state: dict[str, Tensor] = {}
    unknown = []
    for name, tensor in checkpoint.state.items():
        place = place_of(name)
        if place is None:
            unknown.append(name)
        elif not place.names:
            report.dropped[name] = place.reason
        elif place.names == (_DECODER_POSITION,) and tensor.shape[1] != 1 + patches:
            report.dropped[name] = "positions of another image size: those of the new one are computed"
        else:
            report.mapped[name] = list(place.names)
            parts = _changed(name, place.names[0], tensor, report, patches).chunk(len(place.names))
            state |= dict(zip(place.names, parts, strict=True))
    if unknown:
        raise ModelDirectoryError(
            f"{checkpoint.path} has {len(unknown)} tensors that no M3AE has, such as {', '.join(unknown[:5])}. It is "
            f"another model, or a variant that is not supported; nothing was converted."
        )
    return state


def _changed(name: str, ours: str, tensor: Tensor, report: ConversionReport, patches: int) -> Tensor:
    """A tensor in vlcore's form."""
    if ours == _TEXT_POSITION:
        report.changed[name] = f"the first {PADDING} rows are never read and left out"
        return tensor[PADDING:]
    if ours == _TEXT_KIND:
        report.changed[name] = "the kind of the first sentence, the only one"
        return tensor[0]
    if ours == _DECODER_POSITION:
        return tensor[0]
    if ours.endswith("masked_image.masked"):
        return tensor.flatten()
    if ours == _IMAGE_POSITION and len(tensor) != 1 + patches:
        report.changed[name] = f"interpolated from {len(tensor) - 1} patches to {patches}"
        return resize_positions(tensor, patches)
    return tensor


@torch.no_grad()
def _fill(model: M3AEModel, state: dict[str, Tensor], checkpoint: ReleasedCheckpoint, report: ConversionReport) -> None:
    own = model.state_dict()
    if _DECODER_POSITION in own and _DECODER_POSITION not in state:
        report.computed[_DECODER_POSITION] = "sines and cosines of rows and columns"
        state[_DECODER_POSITION] = own[_DECODER_POSITION]
    problems = [f"nothing for {name!r}" for name in sorted(own.keys() - state.keys())]
    problems += [f"no place {name!r}" for name in sorted(state.keys() - own.keys())]
    problems += [
        f"{name!r} would be {list(state[name].shape)}, needed {list(own[name].shape)}"
        for name in sorted(own.keys() & state.keys())
        if own[name].shape != state[name].shape
    ]
    if problems:
        more = f"; and {len(problems) - 10} more" if len(problems) > 10 else ""
        raise ModelDirectoryError(
            f"{checkpoint.path} does not fit: {'; '.join(problems[:10])}{more}. Nothing was converted; download it "
            f"again."
        )
    model.load_state_dict(state)
