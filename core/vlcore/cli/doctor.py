"""`vlcore doctor`: what is installed, what this machine can do, and what to mend."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from vlcore.cli import environment
from vlcore.cli.console import Format, print_json, print_table
from vlcore.errors import VlcoreError
from vlcore.plugins import load_plugins

LOW_DISK_GIB = 2.0
"""Below this, caching the features of a large corpus may fill the disk."""


def doctor(verify: bool = False, format: Format = "table") -> int:
    """Check this machine and installation: versions, device, memory, cache, extras, starter towers, plugins.

    Ends with what is wrong and how to mend it.

    Args:
        verify: also compute the checksums of the starter towers' files.
        format: `table` for people, `json` for programs and bug reports.

    Returns:
        0 where all is well, 1 where something is broken; a missing extra is no fault.

    Examples:
        vlcore doctor
        vlcore doctor --verify
        vlcore doctor --format json
    """
    findings = examine(verify)
    if format == "json":
        print_json(findings)
    else:
        _print(findings)
    return 1 if findings["problems"] else 0


def examine(verify: bool = False) -> dict[str, Any]:
    """Gather all facts, problems (something is broken) and advice (something could be better)."""
    findings: dict[str, Any] = {
        "versions": environment.versions(),
        "libraries": environment.libraries(),
        "device": _attempt(environment.device),
        "cache": _attempt(environment.cache),
        "hub": environment.hub(),
        "extras": environment.extras(),
        "starter": _attempt(lambda: environment.starter_towers(verify)),
        "plugins": _attempt(lambda: [asdict(status) for status in load_plugins()]),
    }
    findings["problems"] = list(_problems(findings))
    findings["advice"] = list(_advice(findings))
    return findings


def _attempt(check: Any) -> Any:
    """A check that cannot be made must not keep the others from being shown."""
    try:
        return check()
    except VlcoreError as error:
        return {"error": str(error)}
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"}


def _problems(findings: dict[str, Any]) -> Iterator[str]:
    for name, library in findings["libraries"].items():
        if not library["ok"]:
            found = f"version {library['version']} is installed" if library["version"] else "it is not installed"
            yield f'{name}{library["wanted"]} is needed, {found}: pip install "{name}{library["wanted"]}"'
    for part in ("device", "cache", "starter", "plugins"):
        if "error" in findings[part]:
            yield f"{part}: {findings[part]['error']}"
    if findings["cache"].get("writable") is False:
        yield f"The cache folder {findings['cache']['folder']} cannot be written: set VLCORE_CACHE to another one."
    for tower in findings["starter"] if isinstance(findings["starter"], list) else []:
        if tower["state"] == "damaged":
            yield f"The starter tower {tower['name']} is damaged: {tower['message']}"
    for plugin in findings["plugins"] if isinstance(findings["plugins"], list) else []:
        if plugin["state"] in ("broken", "incompatible"):
            yield f"The plugin {plugin['name']} ({plugin['distribution']}) is {plugin['state']}: {plugin['message']}"


def _advice(findings: dict[str, Any]) -> Iterator[str]:
    device, cache = findings["device"], findings["cache"]
    if device.get("threads", 0) > device.get("cores", 0):
        yield (
            f"torch uses {device['threads']} threads on {device['cores']} cores, which slows it down: set "
            f"OMP_NUM_THREADS={device['cores']}."
        )
    if cache.get("free_gib", LOW_DISK_GIB) < LOW_DISK_GIB:
        yield f"Only {cache['free_gib']} GiB are free for the cache: set VLCORE_CACHE to a folder on another disk."
    for name, extra in findings["extras"].items():
        if not extra["installed"] and name == "starter":
            yield f"The starter towers, which `vlcore demo` and `vlcore align` begin with, are missing: {extra['mend']}"


def _print(findings: dict[str, Any]) -> None:
    print_table(("library", "version", "wanted", ""), list(_library_rows(findings)), title="Versions")
    print_table(("what", "value"), list(_machine_rows(findings)), title="This machine")
    print_table(("extra", "state"), list(_extra_rows(findings)), title="Extras")
    if isinstance(findings["starter"], list):
        print_table(*_columns(findings["starter"], {"name": "starter tower", "state": "state"}), title="Starter towers")
    if isinstance(findings["plugins"], list):
        headings = {"name": "plugin", "distribution": "distribution", "version": "version", "state": "state"}
        print_table(*_columns(findings["plugins"], headings), title="Plugins")
    for heading, key in (("To mend:", "problems"), ("Advice:", "advice")):
        if findings[key]:
            print(heading)
            print("\n".join(f"  - {line}" for line in findings[key]))
    if not findings["problems"]:
        print("All is well.")


def _columns(items: list[dict[str, Any]], headings: dict[str, str]) -> tuple[list[str], list[list[str]]]:
    return list(headings.values()), [[item[key] for key in headings] for item in items]


def _library_rows(findings: dict[str, Any]) -> Iterator[tuple[str, str, str, str]]:
    for name, value in findings["versions"].items():
        yield name, value, "", ""
    for name, library in findings["libraries"].items():
        state = "" if library["ok"] else "too old or too new" if library["version"] else "missing"
        yield name, library["version"] or "-", library["wanted"], state


def _machine_rows(findings: dict[str, Any]) -> Iterator[tuple[str, str]]:
    names = {"type": "device", "bf16": "bfloat16", "precision": "advised precision", "memory_gib": "memory (GiB)"}
    names |= {"device_memory_gib": "device memory (GiB)", "free_gib": "cache: free (GiB)", "folder": "cache folder"}
    names |= {"writable": "cache: writable", "offline": "hub: offline", "home": "hub: downloads"}
    for part in ("device", "cache", "hub"):
        for key, value in findings[part].items():
            text = ("no", "yes")[value] if isinstance(value, bool) else "unknown" if value is None else str(value)
            yield names.get(key, key), text


def _extra_rows(findings: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for name, extra in findings["extras"].items():
        yield name, "installed" if extra["installed"] else f"missing {', '.join(extra['missing'])}: {extra['mend']}"
