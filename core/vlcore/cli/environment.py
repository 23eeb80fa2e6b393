"""Facts about this machine and installation, for `vlcore doctor`."""

from __future__ import annotations

import base64
import csv
import os
import platform
import shutil
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution, metadata, requires, version
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

from vlcore import __version__
from vlcore.files import sha256_file

_GIB = 2**30
_FOR_DEVELOPERS = ("all", "bench", "dev")
"""Extras that a user has no use for, or that only gather others."""


def versions() -> dict[str, str]:
    """Versions of vlcore, Python and the system."""
    return {"vlcore": __version__, "python": platform.python_version(), "system": platform.platform()}


def libraries() -> dict[str, dict[str, Any]]:
    """Every library that vlcore depends on: the version found, the versions wanted, and whether they agree."""
    return {
        one.name: _found(one) for one in _requirements() if one.marker is None or one.marker.evaluate({"extra": ""})
    }


def extras() -> dict[str, dict[str, Any]]:
    """Every extra: whether it is complete, what is missing and the command that installs it."""
    names = [extra for extra in metadata("vlcore").get_all("Provides-Extra") or [] if extra not in _FOR_DEVELOPERS]
    found = {}
    for name in sorted(names):
        wanted = [one for one in _requirements() if _belongs_to(one, name)]
        missing = [str(one).partition(";")[0].strip() for one in wanted if not _found(one)["ok"]]
        mend = f'pip install "vlcore[{name}]"' if missing else ""
        if wanted:
            found[name] = {"installed": not missing, "missing": missing, "mend": mend}
    return found


def device() -> dict[str, Any]:
    """What computes here, and the precision that suits it.

    Raises:
        ImportError: if torch cannot be imported.
    """
    import torch

    facts: dict[str, Any] = {"cores": cores(), "threads": torch.get_num_threads(), "memory_gib": memory_gib()}
    if torch.cuda.is_available():
        properties = torch.cuda.get_device_properties(0)
        bf16 = torch.cuda.is_bf16_supported(including_emulation=False)
        return {
            "type": "cuda",
            "name": properties.name,
            "count": torch.cuda.device_count(),
            "device_memory_gib": round(properties.total_memory / _GIB, 1),
            "bf16": bf16,
            "precision": "bf16-mixed" if bf16 else "16-mixed",
            **facts,
        }
    if torch.backends.mps.is_available():
        return {"type": "mps", "name": platform.processor(), "bf16": False, "precision": "32-true", **facts}
    flags = {*_cpu_facts("flags").split(), *_cpu_facts("Features").split()}
    # Only units that multiply whole tiles of bf16 (AMX, ARM's BF16) are sure to repay the conversions of autocast.
    fast = "amx_bf16" in flags or "bf16" in flags
    return {
        "type": "cpu",
        "name": _cpu_facts("model name") or platform.processor() or platform.machine(),
        "bf16": fast or "avx512_bf16" in flags,
        "precision": "bf16-mixed" if fast else "32-true",
        **facts,
    }


def cores() -> int:
    """Processor cores that this process may use: affinity and container limits count."""
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota, _, period = _read("/sys/fs/cgroup/cpu.max").partition(" ")
    if quota.isdigit() and period.strip().isdigit():
        return max(1, min(affinity, int(quota) // int(period)))
    return affinity


def memory_gib() -> float | None:
    """Main memory that this process may use, in GiB; None where the system does not say."""
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None
    limit = _read("/sys/fs/cgroup/memory.max").strip()
    return round(min(total, int(limit) if limit.isdigit() else total) / _GIB, 1)


def cache() -> dict[str, Any]:
    """The folder of cached features: place, whether it can be written, free space in GiB."""
    from vlcore.data.feature_cache import default_cache_root

    folder = default_cache_root()
    existing = next(parent for parent in [folder.absolute(), *folder.absolute().parents] if parent.exists())
    return {
        "folder": str(folder),
        "writable": existing.is_dir() and os.access(existing, os.W_OK | os.X_OK),
        "free_gib": round(shutil.disk_usage(existing).free / _GIB, 1),
    }


def hub() -> dict[str, Any]:
    """How Hugging Face's hub is used: offline or not, and where downloads are kept."""
    offline = os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE")
    home = os.environ.get("HF_HOME") or str(Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")) / "huggingface")
    return {"offline": offline, "home": str(Path(home).expanduser())}


def starter_towers(verify: bool = False) -> list[dict[str, str]]:
    """The wheels that carry the starter towers, held against their own list of files.

    Loading a tower also checks its weights against the checksums that vlcore knows; here it is about files that went
    missing or were damaged on the disk.

    Args:
        verify: read every file and compare checksums, not only sizes.

    Returns:
        Name, state (`missing`, `present`, `verified` or `damaged`) and message of each.
    """
    return [_starter_tower(one, verify) for one in _requirements() if _belongs_to(one, "starter")]


def _starter_tower(requirement: Requirement, verify: bool) -> dict[str, str]:
    try:
        found = distribution(requirement.name)
    except PackageNotFoundError:
        return {"name": requirement.name, "state": "missing", "message": 'pip install "vlcore[starter]"'}
    # RECORD itself: from Python 3.12 on, `files` leaves out what is missing.
    for name, digest, size in csv.reader((found.read_text("RECORD") or "").splitlines()):
        path = Path(str(found.locate_file(name)))
        wrong = not path.is_file() or (size != "" and path.stat().st_size != int(size))
        if not wrong and verify and digest.startswith("sha256="):
            wrong = _record_hash(path) != digest.removeprefix("sha256=")
        if wrong and path.suffix != ".pyc":  # Python writes those anew
            mend = f"pip install --force-reinstall --no-deps {requirement.name}{requirement.specifier}"
            return {"name": requirement.name, "state": "damaged", "message": f"{path} is not as installed: {mend}"}
    return {"name": requirement.name, "state": "verified" if verify else "present", "message": ""}


def _record_hash(path: Path) -> str:
    """SHA-256 as a wheel's RECORD writes it: URL-safe base64 without padding."""
    return base64.urlsafe_b64encode(bytes.fromhex(sha256_file(path))).decode().rstrip("=")


def _belongs_to(requirement: Requirement, extra: str) -> bool:
    """Whether a requirement comes with an extra and not without it."""
    marker = requirement.marker
    return marker is not None and not marker.evaluate({"extra": ""}) and marker.evaluate({"extra": extra})


def _requirements() -> Iterator[Requirement]:
    for text in requires("vlcore") or []:
        requirement = Requirement(text)
        if requirement.name != "vlcore":  # an extra that gathers other extras
            yield requirement


def _found(requirement: Requirement) -> dict[str, Any]:
    wanted = str(requirement.specifier)
    try:
        found = version(requirement.name)
    except PackageNotFoundError:
        return {"version": None, "wanted": wanted, "ok": False}
    return {"version": found, "wanted": wanted, "ok": requirement.specifier.contains(found, prereleases=True)}


def _cpu_facts(key: str) -> str:
    """What Linux says of the first processor."""
    for line in _read("/proc/cpuinfo").splitlines():
        name, _, value = line.partition(":")
        if name.strip() == key:
            return value.strip()
    return ""


def _read(path: str) -> str:
    """A file of the system, or nothing where there is none."""
    if sys.platform != "linux":
        return ""
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
