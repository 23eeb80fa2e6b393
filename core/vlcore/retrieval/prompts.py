"""Sentences that put a class name into the words a model has seen."""

from __future__ import annotations

from dataclasses import dataclass
from string import Formatter

from vlcore.errors import ConfigurationError, UnknownNameError


@dataclass(frozen=True)
class PromptSet:
    """Templates for zero-shot classification; the mean of their embeddings stands for a class.

    Attributes:
        name: as given on the command line.
        templates: each with `{}` in the place of the class name.

    Raises:
        ConfigurationError: if there is no template, or one has not exactly one `{}`.
    """

    name: str
    templates: tuple[str, ...]

    def __post_init__(self) -> None:
        if not self.templates:
            raise ConfigurationError(f"The prompt set {self.name!r} has no templates; give at least '{{}}'.")
        for template in self.templates:
            try:
                fields = [field for _, field, *_ in Formatter().parse(template) if field is not None]
            except ValueError:
                fields = []
            if fields != [""]:
                raise ConfigurationError(
                    f"The template {template!r} of the prompt set {self.name!r} must hold exactly one '{{}}', the "
                    f"place of the class name."
                )

    def fill(self, label: str) -> list[str]:
        """One sentence per template."""
        return [template.format(label) for template in self.templates]


PLAIN = PromptSet("plain", ("{}",))
PHOTO = PromptSet(
    "photo",
    (
        "a photo of {}",
        "a picture that shows {}",
        "{} in a photograph",
        "a close view of {}",
        "an everyday scene with {}",
    ),
)
AERIAL = PromptSet(
    "aerial",
    (
        "an aerial image of {}",
        "{} seen from above",
        "a satellite picture showing {}",
        "an overhead view of a place with {}",
        "{} in a remote sensing scene",
    ),
)
BUILT_IN = {prompts.name: prompts for prompts in (PLAIN, PHOTO, AERIAL)}


def prompt_set(prompts: PromptSet | str) -> PromptSet:
    """Find a prompt set by name: built in, or registered by a plugin.

    Raises:
        UnknownNameError: if there is none of that name.
    """
    if isinstance(prompts, PromptSet):
        return prompts
    if prompts in BUILT_IN:
        return BUILT_IN[prompts]
    from vlcore.plugins import registries

    registered = registries().prompts
    if prompts not in registered:
        raise UnknownNameError("prompt set", prompts, [*BUILT_IN, *registered.names()])
    found: PromptSet = registered.get(prompts)
    return found
