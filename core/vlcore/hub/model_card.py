"""The model card: what a model was made of and how far to trust it, as README.md with YAML front matter."""

from __future__ import annotations

import platform
import shlex
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from numbers import Integral, Real
from pathlib import Path
from typing import Any

import yaml

from vlcore.errors import ConfigurationError, ModelDirectoryError
from vlcore.hub.card_text import render_card
from vlcore.models.dual_encoder import DualEncoder
from vlcore.models.fusion.model import FusionModel
from vlcore.models.headed_towers import HeadedTowers

_TEXTS = ("name", "command", "purpose")
_PACKAGES = ("vlcore", "torch", "timm", "transformers", "numpy")


def installed_versions() -> dict[str, str]:
    """Versions of Python and of the libraries that decide an embedding."""
    versions = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return versions


def command_line() -> str:
    """The command as it was typed, to run it again."""
    return shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])


@dataclass(frozen=True)
class ModelCard:
    """Facts about a model, all plain values.

    Attributes:
        name: of the model, for its title.
        purpose: of a model that is not searched with: what it is for and how it is called, in one sentence.
        command: that made it, to run again.
        data: manifest name, records, splits, leak audit.
        training: how it was aligned: method, objective, what was tried and chosen.
        scores: results; may be nested, `{"test": {"i2t_r1": 25.6}}`.
        floors: by floor, in the form of `scores`: `{"chance": {"test": {"i2t_r1": 2.0}}}`.
        towers: `image` and `text`, each with `source` and `licence`; filled in from the model when it is saved.
        versions: of Python and the libraries.
    """

    name: str
    command: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)
    scores: Mapping[str, Any] = field(default_factory=dict)
    floors: Mapping[str, Any] = field(default_factory=dict)
    towers: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=installed_versions)
    purpose: str = ""

    def with_towers(self, model: DualEncoder | FusionModel | HeadedTowers) -> ModelCard:
        """The same card with source and licence of a model's towers; they are kept nowhere else."""
        towers = {"image": model.image_encoder, "text": model.text_encoder}
        origins = {
            side: {"source": tower.source, "licence": tower.licence}
            for side, tower in towers.items()
            if tower is not None
        }
        return replace(self, towers=origins)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for YAML and JSON.

        Raises:
            ConfigurationError: if a value is not plain.
        """
        values: dict[str, Any] = {item.name: plain(getattr(self, item.name), item.name) for item in fields(self)}
        return values

    def render(self) -> str:
        """README.md: front matter that the Hugging Face hub reads, the facts under `vlcore`, and the same in words."""
        return render_card(self.to_dict())

    @classmethod
    def read(cls, path: Path) -> ModelCard:
        """Read the facts back from README.md; the words below them may have been edited.

        Raises:
            ModelDirectoryError: if the front matter is missing or not of this form.
        """
        mend = "Restore it from where the model was saved."
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
        if not lines or lines[0] != "---" or "---" not in lines[1:]:
            raise ModelDirectoryError(f"{path} has no YAML front matter between two '---' lines. {mend}")
        try:
            front = yaml.safe_load("\n".join(lines[1 : lines.index("---", 1)]))
        except yaml.YAMLError as error:
            raise ModelDirectoryError(f"{path}: the front matter is not readable YAML: {error}. {mend}") from error
        facts = front.get("vlcore") if isinstance(front, dict) else None
        known = {item.name for item in fields(cls)}
        if not isinstance(facts, dict) or "name" not in facts or not set(facts) <= known or not _well_typed(facts):
            raise ModelDirectoryError(f"{path}: the front matter needs a 'vlcore' section with {sorted(known)}. {mend}")
        return cls(**facts)


def _well_typed(facts: Mapping[str, Any]) -> bool:
    texts = [facts[key] for key in _TEXTS if key in facts]
    sections = [value for key, value in facts.items() if key not in _TEXTS]
    sections += list(facts["towers"].values()) if isinstance(facts.get("towers"), dict) else []
    return all(isinstance(text, str) for text in texts) and all(isinstance(section, dict) for section in sections)


def plain(value: Any, place: str) -> Any:
    """Turn NumPy scalars, tuples, paths and dataclasses into the values YAML and JSON hold.

    Raises:
        ConfigurationError: if something else is in there.
    """
    if value is None or isinstance(value, bool | str):
        return str(value) if isinstance(value, str) else value
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Real):
        return float(value)
    if isinstance(value, Path):
        return value.as_posix()
    if isinstance(value, Mapping):
        return {str(key): plain(item, f"{place}.{key}") for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item, f"{place}[{index}]") for index, item in enumerate(value)]
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value), place)
    if type(value).__module__ == "numpy" and hasattr(value, "tolist"):
        return plain(value.tolist(), place)
    raise ConfigurationError(f"Model card, {place}: {type(value).__name__} is no plain value; pass numbers and text.")
