"""The core's own commands, by reference: listing them imports nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any


@dataclass(frozen=True, slots=True)
class Command:
    """One command.

    Attributes:
        name: what the user types.
        target: `module:function`; its type hints and docstring are the command's arguments and help.
        summary: one line of `vlcore --help`.
        group: heading it stands under there.
        positional: optional parameters that are given by place, such as a query.
        raw: the function takes the command's name and the unparsed arguments as one list.
    """

    name: str
    target: str
    summary: str
    group: str
    positional: tuple[str, ...] = ()
    raw: bool = False

    def load(self) -> Callable[..., Any]:
        """Import the function."""
        module, _, attribute = self.target.partition(":")
        function: Callable[..., Any] = getattr(import_module(module), attribute)
        return function


_START, _TRAIN, _USE, _CHECK = "Start", "Align and train", "Use a model", "Check"

COMMANDS: dict[str, Command] = {
    command.name: command
    for command in (
        Command("demo", "vlcore.cli.demo:demo", "align, evaluate and report on a rendered corpus, in minutes", _START),
        Command("align", "vlcore.cli.align:align", "make a model from a manifest of captioned images", _TRAIN),
        Command("fit", "vlcore.cli.fit:main_lightning", "train from a configuration file", _TRAIN, raw=True),
        Command("validate", "vlcore.cli.fit:main_lightning", "score a checkpoint on validation data", _TRAIN, raw=True),
        Command("test", "vlcore.cli.fit:main_lightning", "score a checkpoint on test data", _TRAIN, raw=True),
        Command("predict", "vlcore.cli.fit:main_lightning", "run a checkpoint over a data set", _TRAIN, raw=True),
        Command("curate", "vlcore.cli.curate:curate", "choose a balanced part of a manifest by concepts", _TRAIN),
        Command("replay", "vlcore.cli.replay:replay", "look into a step that training refused", _TRAIN, ("folder",)),
        Command("embed", "vlcore.cli.embed:embed", "turn images into vectors, resumable", _USE),
        Command("index", "vlcore.cli.index:index", "make images searchable", _USE),
        Command("search", "vlcore.cli.search:search", "find images by words or by an image", _USE, ("query",)),
        Command("classify", "vlcore.cli.zero_shot:classify", "sort images into classes named by words", _USE),
        Command("evaluate", "vlcore.cli.evaluate:evaluate", "score a model, with floors and intervals", _USE),
        Command("audit", "vlcore.cli.audit:audit", "look for leaks between the splits of a manifest", _CHECK),
        Command("plugins", "vlcore.cli.plugins:plugins", "list the installed plugins and their state", _CHECK),
        Command("doctor", "vlcore.cli.doctor:doctor", "check this machine and installation", _CHECK),
    )
}
