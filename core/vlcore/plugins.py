"""Plugins: found by entry point, loaded in isolation, listed whatever their state.

A distribution brings a plugin with one line in its `pyproject.toml`:

    [project.entry-points."vlcore.plugins"]
    geology = "vlcore_geology.plugin:PLUGIN"

The environment variable `VLCORE_PLUGINS` names the plugins that may load, separated by commas; empty or `none`
loads none of them.
"""

from __future__ import annotations

import os
import re
import time
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from typing import Any, Literal

from vlcore.errors import ConfigurationError, MissingDependencyError, PluginError
from vlcore.registry import Entry, Registries, Registry

PLUGIN_API_VERSION = 1
"""Version of the contract between vlcore and its plugins; grows when a plugin must change to keep working."""

ENTRY_POINT_GROUP = "vlcore.plugins"
ALLOW_VARIABLE = "VLCORE_PLUGINS"
SLOW_SECONDS = 0.5
"""A plugin that takes longer to import is named as slow: it delays every command."""

State = Literal["ok", "needs extra", "disabled", "broken", "incompatible"]

_CORE_NAMES: dict[str, dict[str, str]] = {
    "heads": {
        "identity": "vlcore.heads.identity:IdentityHead",
        "linear": "vlcore.heads.linear:LinearHead",
        "residual_mlp": "vlcore.heads.residual_mlp:ResidualMLPHead",
        "star_mlp": "vlcore.heads.star_mlp:StarMLPHead",
        "token_projector": "vlcore.heads.token_projector:TokenProjectorHead",
    },
}


@dataclass(frozen=True)
class Plugin:
    """What a plugin package exports as `PLUGIN`; importing it must be cheap and must not import torch.

    Attributes:
        name: lower-case identifier, equal to the entry point's name; every name the plugin registers begins
            with `name/`, commands with the same in dashes: `remote_sensing/karpathy`, `remote-sensing/heatmap`.
        register: called once with empty registries to fill; references such as `package.module:attribute` keep
            it cheap. If it raises, nothing of the plugin is kept.
        api_version: `PLUGIN_API_VERSION` of the vlcore it was written for.
        requires: import names that its extra installs; they are looked for, not imported.
        extra: of the plugin's own distribution that installs them.
        summary: one line for listings.
    """

    name: str
    register: Callable[[Registries], None]
    api_version: int = PLUGIN_API_VERSION
    requires: tuple[str, ...] = ()
    extra: str = ""
    summary: str = ""


@dataclass(frozen=True)
class PluginStatus:
    """What became of one plugin.

    Attributes:
        name: of its entry point.
        distribution: that brings it.
        version: of the distribution.
        state: `ok`; `needs extra` (its names are known and say what to install); `disabled` by `VLCORE_PLUGINS`;
            `broken`; `incompatible` with this vlcore's plugin API.
        message: what is wrong and the mend; empty where all is well.
        summary: one line of the plugin about itself.
        seconds: that importing it took.
        traceback: of the failure, for the plugin's authors.
    """

    name: str
    distribution: str
    version: str
    state: State
    message: str = ""
    summary: str = ""
    seconds: float = 0.0
    traceback: str = ""

    @property
    def healthy(self) -> bool:
        """True unless the plugin failed: being switched off or lacking an extra is no fault."""
        return self.state not in ("broken", "incompatible")


class _PluginRegistry(Registry[Any]):
    """A registry that one plugin fills: holds it to its prefix and writes its distribution on every entry."""

    def __init__(self, kind: str, prefix: str, distribution: str) -> None:
        super().__init__(kind)
        self.prefix = prefix
        self.distribution = distribution

    def register(self, name: str, target: Any, *, owner: str = "", summary: str = "") -> None:
        if not re.fullmatch(re.escape(self.prefix) + r"[^/\s]+", name):
            raise PluginError(
                f"The {self.kind} name {name!r} of the distribution {self.distribution!r} must be "
                f"'{self.prefix}' and a name without spaces or slashes, so that plugins cannot collide."
            )
        super().register(name, target, owner=self.distribution, summary=summary)


@dataclass(frozen=True, slots=True)
class _UnavailableEntry(Entry[Any]):
    """A known name that cannot be used until an extra is installed."""

    module: str = ""
    extra: str = ""

    def load(self) -> Any:
        raise MissingDependencyError(self.module, self.extra, f"{self.name!r}", self.owner)


def load_plugins() -> list[PluginStatus]:
    """Find every installed plugin, load those that may, and say what became of each.

    A plugin that fails is reported here and changes nothing else. The work is done once per process and value of
    `VLCORE_PLUGINS`.

    Returns:
        One status per plugin and distribution, sorted by name.

    Raises:
        ConfigurationError: if `VLCORE_PLUGINS` names a plugin that is not installed.
    """
    return list(_load(os.environ.get(ALLOW_VARIABLE))[0])


def registries() -> Registries:
    """Every name that can be looked up: the core's own and those of all healthy plugins.

    Raises:
        ConfigurationError: if `VLCORE_PLUGINS` names a plugin that is not installed.
    """
    return _load(os.environ.get(ALLOW_VARIABLE))[1]


@cache
def _load(selection: str | None) -> tuple[tuple[PluginStatus, ...], Registries]:
    found: dict[str, list[EntryPoint]] = {}
    for point in _distinct(entry_points(group=ENTRY_POINT_GROUP)):
        found.setdefault(point.name, []).append(point)
    allowed = _allowed(selection, sorted(found))
    registered = Registries()
    for kind, names in _CORE_NAMES.items():
        for name, target in names.items():
            registered.all()[kind].register(name, target)
    statuses: list[PluginStatus] = []
    for name, points in sorted(found.items()):
        for point in points:
            status = PluginStatus(name, *_origin(point), state="disabled")
            if name not in allowed:
                mend = f"Add {name} to the environment variable {ALLOW_VARIABLE} to switch it on."
                statuses.append(replace(status, message=mend))
            elif len(points) > 1:
                owners = " and ".join(repr(_origin(other)[0]) for other in points)
                conflict = PluginError(
                    f"The plugin name {name!r} is claimed by the distributions {owners}. Neither is loaded: "
                    f"uninstall one of them, or ask its authors for another name."
                )
                statuses.append(replace(status, state="broken", message=str(conflict)))
            else:
                statuses.append(_load_one(point, status, registered))
    for registry in registered.all().values():
        registry.explain = lambda name: _explain(name, statuses)
    return tuple(statuses), registered


def _distinct(points: Iterable[EntryPoint]) -> list[EntryPoint]:
    """Drop repetitions: an editable install beside stale metadata shows one distribution's entry point twice."""
    distinct = {(_key(_origin(point)[0]), point.name, point.value): point for point in reversed(list(points))}
    return sorted(distinct.values(), key=lambda point: (point.name, _origin(point)))


def _key(distribution: str) -> str:
    """The form in which two spellings of a distribution's name are equal (PEP 503)."""
    return re.sub(r"[-_.]+", "-", distribution).lower()


def _origin(point: EntryPoint) -> tuple[str, str]:
    """Name and version of the distribution behind an entry point; damaged metadata has neither."""
    try:
        return (point.dist.name or "unknown", point.dist.version or "?") if point.dist else ("unknown", "?")
    except Exception:
        return ("unknown", "?")


def _allowed(selection: str | None, known: list[str]) -> set[str]:
    if selection is None:
        return set(known)
    names = {name.strip().replace("-", "_") for name in selection.split(",") if name.strip()}
    if names == {"none"}:
        return set()
    if unknown := sorted(names - set(known)):
        raise ConfigurationError(
            f"The environment variable {ALLOW_VARIABLE}={selection!r} names {', '.join(map(repr, unknown))}, which "
            f"is not installed. Installed plugins: {', '.join(known) or 'none'}. Correct it, or write 'none' to "
            f"switch all of them off."
        )
    return names


def _load_one(point: EntryPoint, status: PluginStatus, registered: Registries) -> PluginStatus:
    """Import one plugin and take over what it registers, or nothing at all."""
    doing = f"importing {point.value!r} failed"
    start = time.perf_counter()
    try:
        plugin = point.load()
        status = replace(status, seconds=time.perf_counter() - start)
        doing = f"what {point.value!r} says of itself cannot be read"
        _check(plugin, point)
        status = replace(status, summary=plugin.summary)
        if plugin.api_version != PLUGIN_API_VERSION:
            return _incompatible(status, plugin.api_version)
        doing = "its register function failed"
        own = _empty_registries(plugin.name, status.distribution)
        plugin.register(own)
        missing = [module for module in plugin.requires if not _installed(module)]
    except PluginError as error:
        return replace(status, state="broken", message=str(error), traceback=traceback.format_exc())
    # SystemExit too: a plugin that calls sys.exit while it is imported must not end the user's work.
    except (Exception, SystemExit) as error:
        mend = f"Upgrade or uninstall {status.distribution}, or leave it out with {ALLOW_VARIABLE}."
        message = f"{doing}: {type(error).__name__}: {error}. {mend}"
        return replace(status, state="broken", message=message, traceback=traceback.format_exc())
    for kind, registry in registered.all().items():
        for entry in getattr(own, kind).entries().values():
            registry.add(_unavailable(entry, missing[0], plugin.extra) if missing else entry)
    if missing:
        return replace(
            status, state="needs extra", message=f'needs: pip install "{status.distribution}[{plugin.extra}]"'
        )
    slow = status.seconds > SLOW_SECONDS
    return replace(
        status,
        state="ok",
        message=f"Its import took {status.seconds:.1f} s, which delays every command." if slow else "",
    )


def _check(plugin: Any, point: EntryPoint) -> None:
    """Hold an object to the contract of `Plugin`, whose types nothing has checked so far."""
    if not isinstance(plugin, Plugin):
        raise PluginError(f"{point.value!r} is of type {type(plugin).__name__}; it must be a vlcore.Plugin.")
    name, version, requires = (getattr(plugin, field) for field in ("name", "api_version", "requires"))
    if name != point.name:
        raise PluginError(f"The entry point is named {point.name!r} and its Plugin {name!r}; make them equal.")
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or name in ("none", "vlcore"):
        raise PluginError(f"The plugin name {name!r} must be a lower-case identifier other than none and vlcore.")
    if isinstance(version, bool) or not isinstance(version, int):
        raise PluginError(f"api_version={version!r} must be a whole number such as {PLUGIN_API_VERSION}.")
    if isinstance(requires, str) or not all(isinstance(module, str) for module in requires):
        raise PluginError(f"requires={requires!r} must be a tuple of import names.")
    if requires and not plugin.extra:
        raise PluginError(f"It requires {', '.join(requires)} and must name the extra that installs them.")


def _incompatible(status: PluginStatus, version: int) -> PluginStatus:
    upgrade = status.distribution if version < PLUGIN_API_VERSION else "vlcore"
    return replace(
        status,
        state="incompatible",
        message=f"It is written for plugin API {version}, this vlcore has {PLUGIN_API_VERSION}: "
        f"pip install --upgrade {upgrade}",
    )


def _empty_registries(name: str, distribution: str) -> Registries:
    """Registries of their own for one plugin, so that a failure half-way leaves nothing behind."""
    prefixes = {"commands": name.replace("_", "-") + "/"}
    return Registries(
        **{
            kind: _PluginRegistry(registry.kind, prefixes.get(kind, f"{name}/"), distribution)
            for kind, registry in Registries().all().items()
        }
    )


def _unavailable(entry: Entry[Any], module: str, extra: str) -> Entry[Any]:
    return _UnavailableEntry(entry.name, entry.target, entry.owner, entry.summary, module, extra)


def _installed(module: str) -> bool:
    """Whether a module can be imported, without importing it (looking up `a.b` would import `a`)."""
    try:
        return find_spec(module.partition(".")[0]) is not None
    except (ImportError, ValueError):
        return False


def _explain(name: str, statuses: list[PluginStatus]) -> str:
    """Why a plugin's name is not there."""
    prefix = name.partition("/")[0].replace("-", "_")
    for status in statuses:
        if status.name == prefix and status.state != "ok" and "/" in name:
            return f"The plugin {status.name!r} is {status.state}: {status.message}"
    return ""
