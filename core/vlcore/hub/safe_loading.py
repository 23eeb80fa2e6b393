"""Reading what a stranger may have written: classes by allow-list, weights without pickle."""

from __future__ import annotations

import inspect
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import TypeVar

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from vlcore.errors import MissingDependencyError, ModelDirectoryError
from vlcore.plugins import ENTRY_POINT_GROUP, load_plugins

T = TypeVar("T", bound=nn.Module)


def allowed_packages() -> set[str]:
    """Packages whose classes a model directory may name: vlcore itself and those of the plugins in use."""
    usable = {status.name for status in load_plugins() if status.state in ("ok", "needs extra")}
    modules = [point.module for point in entry_points(group=ENTRY_POINT_GROUP) if point.name in usable]
    # `vlcore_medical.plugin` allows vlcore_medical; a plugin inside a namespace package allows its own part only.
    return {"vlcore", *(module.rpartition(".")[0] or module for module in modules)}


def class_path(cls: type) -> str:
    """How a model directory names a class: `vlcore.heads.linear.LinearHead`."""
    return f"{cls.__module__}.{cls.__qualname__}"


def resolve_class(path: object, base: type[T], place: str) -> type[T]:
    """Turn a class path of a model directory into the class.

    Nothing outside the allow-list is ever imported, and what comes back is a concrete subclass of `base` that was
    itself defined inside the allow-list.

    Args:
        path: `package.module.Class`, untrusted.
        base: what the class must derive from.
        place: file and key, for the message.

    Raises:
        ModelDirectoryError: if the path is malformed, outside the allow-list, missing, or another kind of thing.
        MissingDependencyError: if the class needs an optional library.
    """
    if not isinstance(path, str) or not all(part.isidentifier() for part in path.split(".")) or "." not in path:
        raise ModelDirectoryError(f"{place}: {path!r} is no class path such as vlcore.heads.linear.LinearHead.")
    module_name, _, name = path.rpartition(".")
    allowed = allowed_packages()
    if not _inside(module_name, allowed) or any(part.startswith("_") for part in path.split(".")):
        raise ModelDirectoryError(
            f"{place}: the class {path!r} is not from vlcore or a plugin in use ({', '.join(sorted(allowed))}), so it "
            f"was not imported. If a plugin brings it, install that plugin; otherwise do not trust this folder."
        )
    try:
        value = getattr(import_module(module_name), name)
    except MissingDependencyError:
        raise
    except (ImportError, AttributeError) as error:
        raise ModelDirectoryError(
            f"{place}: the class {path!r} cannot be found ({error}). Use the version of vlcore or the plugin that "
            f"wrote the folder; its README.md names the versions."
        ) from error
    if not (isinstance(value, type) and issubclass(value, base) and _inside(value.__module__, allowed)):
        raise ModelDirectoryError(f"{place}: {path!r} is not a kind of {base.__name__}, which is needed there.")
    if inspect.isabstract(value):
        raise ModelDirectoryError(f"{place}: {path!r} is abstract; name one of its concrete subclasses.")
    return value


def _inside(module: str, packages: set[str]) -> bool:
    return any(module == package or module.startswith(f"{package}.") for package in packages)


@torch.no_grad()
def load_weights(model: nn.Module, path: Path) -> None:
    """Fill a model from a safetensors file, every tensor or none.

    Parameters take the file's floating-point type, so a half-precision model comes back as one.

    Raises:
        ModelDirectoryError: if the file is damaged, or a key, shape or type differs; nothing is loaded then.
    """
    expected: dict[str, Tensor] = model.state_dict(keep_vars=True)
    try:
        with safe_open(path, framework="pt") as file:
            # safe_open is no mapping: it cannot be iterated.
            found = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise ModelDirectoryError(
            f"{path} is damaged or not a safetensors file ({error}). Copy or download it again."
        ) from error
    problems = _differences(expected, found)
    if problems:
        shown = "; ".join(problems[:10]) + (f"; and {len(problems) - 10} more" if len(problems) > 10 else "")
        raise ModelDirectoryError(
            f"{path} does not fit the model that config.yaml describes: {shown}. Nothing was loaded. Take both files "
            f"from the same run."
        )
    for name, tensor in expected.items():
        if tensor.dtype != found[name].dtype:
            tensor.data = tensor.data.to(found[name].dtype)
        tensor.copy_(found[name])


def _differences(expected: dict[str, Tensor], found: dict[str, Tensor]) -> list[str]:
    problems = [f"missing {name!r} {list(expected[name].shape)}" for name in sorted(expected.keys() - found.keys())]
    problems += [f"unexpected {name!r} {list(found[name].shape)}" for name in sorted(found.keys() - expected.keys())]
    for name in sorted(expected.keys() & found.keys()):
        wanted, got = expected[name], found[name]
        if wanted.shape != got.shape:
            problems.append(f"{name!r} has shape {list(got.shape)}, expected {list(wanted.shape)}")
        elif wanted.dtype != got.dtype and not (wanted.is_floating_point() and got.is_floating_point()):
            problems.append(f"{name!r} is {got.dtype}, expected {wanted.dtype}")
    return problems
