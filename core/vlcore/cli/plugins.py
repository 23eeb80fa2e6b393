"""`vlcore plugins`: which plugins are installed and what became of them."""

from __future__ import annotations

from dataclasses import asdict

from vlcore.cli.console import Format, print_json, print_table
from vlcore.plugins import PLUGIN_API_VERSION, load_plugins, registries


def plugins(format: Format = "table") -> None:
    """List the installed plugins: name, distribution, version and state.

    A plugin that lacks an extra is listed with what to install; a broken one with what is wrong. The environment
    variable VLCORE_PLUGINS holds the names of the plugins that may load, separated by commas; empty or `none`
    switches all of them off.

    Args:
        format: `table` for people; `json` also holds the names that each plugin registers and tracebacks.

    Examples:
        vlcore plugins
        vlcore plugins --format json
        VLCORE_PLUGINS=medical vlcore plugins
    """
    statuses = load_plugins()
    if format == "json":
        names = _registered_names()
        print_json(
            {
                "plugin_api": PLUGIN_API_VERSION,
                "plugins": [{**asdict(status), "registers": names.get(status.name, {})} for status in statuses],
            }
        )
        return
    if not statuses:
        print("No plugins are installed.")
        return
    # "needs: pip install …" is a state and its mend in one; other messages need more room than a cell has.
    states = [status.message if status.state == "needs extra" else status.state for status in statuses]
    print_table(
        ("name", "distribution", "version", "status"),
        [(one.name, one.distribution, one.version, state) for one, state in zip(statuses, states, strict=True)],
    )
    for status, state in zip(statuses, states, strict=True):
        if status.message and status.message != state:
            print(f"{status.name} ({status.distribution}) is {state}: {status.message}")


def _registered_names() -> dict[str, dict[str, list[str]]]:
    """Names by plugin and kind."""
    names: dict[str, dict[str, list[str]]] = {}
    for kind, registry in registries().all().items():
        for name in registry:
            if "/" in name:
                plugin = name.partition("/")[0].replace("-", "_")
                names.setdefault(plugin, {}).setdefault(kind, []).append(name)
    return names
