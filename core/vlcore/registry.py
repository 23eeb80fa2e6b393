"""Typed registries: one name, one thing, one owner."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, Generic, TypeVar

from vlcore.errors import DuplicateNameError, UnknownNameError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Entry(Generic[T]):
    """What a registry knows of a name before the thing itself is imported.

    Attributes:
        name: full name, such as `medical/iu_reports`.
        target: `package.module:attribute` to import on first use, or the object itself.
        owner: distribution that registered it.
        summary: one line for listings.
    """

    name: str
    target: str | T
    owner: str
    summary: str = ""

    def load(self) -> T:
        """Import the target if it is still a reference."""
        if not isinstance(self.target, str):
            return self.target
        module, _, attribute = self.target.partition(":")
        value: T = getattr(import_module(module), attribute)
        return value


class Registry(Generic[T]):
    """Names of one kind of thing, each with its owner, imported only when asked for.

    Args:
        kind: what the names stand for, in the singular; used in error messages.

    Attributes:
        explain: given a name that is not here, a sentence on why, or "" if nothing is known.
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.explain: Callable[[str], str] = lambda name: ""
        self._entries: dict[str, Entry[T]] = {}

    def register(self, name: str, target: str | T, *, owner: str = "vlcore", summary: str = "") -> None:
        """Add a name.

        Args:
            name: the full name.
            target: the object, or `package.module:attribute` to import when it is first needed.
            owner: distribution that brings it.
            summary: one line for listings.

        Raises:
            DuplicateNameError: if the name is taken; both owners are named.
        """
        self.add(Entry(name, target, owner, summary))

    def add(self, entry: Entry[T]) -> None:
        """Add an entry as it is.

        Raises:
            DuplicateNameError: if the name is taken; both owners are named.
        """
        if entry.name in self._entries:
            raise DuplicateNameError(self.kind, entry.name, self._entries[entry.name].owner, entry.owner)
        self._entries[entry.name] = entry

    def get(self, name: str) -> T:
        """Return the thing of that name.

        Raises:
            UnknownNameError: if there is none; near names are offered.
        """
        return self.entry(name).load()

    def entry(self, name: str) -> Entry[T]:
        """Return what is known of a name without importing it."""
        try:
            return self._entries[name]
        except KeyError:
            raise UnknownNameError(self.kind, name, self._entries, self.explain(name)) from None

    def names(self) -> list[str]:
        """All names, sorted."""
        return sorted(self._entries)

    def entries(self) -> Mapping[str, Entry[T]]:
        """Read-only view of all entries."""
        return dict(self._entries)

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self.names())

    def __len__(self) -> int:
        return len(self._entries)


@dataclass
class Registries:
    """Everything that can be looked up by name; a plugin's `register` receives one of these.

    Attributes:
        readers: `(path, **options) -> Iterable[Record]`, data set layouts.
        image_encoders: `(argument, trainable) -> ImageEncoder`, image tower factories by source prefix.
        text_encoders: `(argument, trainable) -> TextEncoder`, text tower factories by source prefix.
        dual_encoders: `(argument, trainable) -> DualTowers`, pairs that come aligned.
        heads: head classes.
        models: model classes.
        tasks: LightningModule classes.
        prompts: `PromptSet`s for zero-shot classification.
        metrics: `(…) -> Mapping[str, float]`.
        configs: paths of packaged YAML files, as `package:file`.
        commands: command-line functions.
    """

    readers: Registry[Any] = field(default_factory=lambda: Registry[Any]("reader"))
    image_encoders: Registry[Any] = field(default_factory=lambda: Registry[Any]("image encoder"))
    text_encoders: Registry[Any] = field(default_factory=lambda: Registry[Any]("text encoder"))
    dual_encoders: Registry[Any] = field(default_factory=lambda: Registry[Any]("dual encoder"))
    heads: Registry[Any] = field(default_factory=lambda: Registry[Any]("head"))
    models: Registry[Any] = field(default_factory=lambda: Registry[Any]("model"))
    tasks: Registry[Any] = field(default_factory=lambda: Registry[Any]("task"))
    prompts: Registry[Any] = field(default_factory=lambda: Registry[Any]("prompt set"))
    metrics: Registry[Any] = field(default_factory=lambda: Registry[Any]("metric"))
    configs: Registry[Any] = field(default_factory=lambda: Registry[Any]("config"))
    commands: Registry[Any] = field(default_factory=lambda: Registry[Any]("command"))

    def all(self) -> dict[str, Registry[Any]]:
        """Every registry by its field name."""
        return dict(vars(self))
