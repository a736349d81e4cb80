"""Settings files: what somebody would otherwise type with every command.

`arboretum.toml` in the current folder is a project's, `~/.config/arboretum/arboretum.toml` a user's. What is
typed wins over the environment, that over the project's file, that over the user's, that over the default.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from arboretum_tools.errors import BadInputError, UsageError
from arboretum_tools.wording import one_line

NAME = "arboretum.toml"


@dataclass(frozen=True, slots=True)
class Setting:
    """A key of a settings file.

    Attributes:
        meaning: what it stands for.
        default: what holds without it.
        variable: of the environment, which wins over files; "" = none.
        is_path: whether a relative value is meant from the folder of its file.
        several: whether a list is taken.
    """

    meaning: str
    default: str
    variable: str = ""
    is_path: bool = False
    several: bool = False


KEYS: dict[str, Setting] = {
    "catalog": Setting("the catalogue", "./catalog", "ARBORETUM_CATALOG", is_path=True),
    "images": Setting("the image store: a folder, or s3://BUCKET/PREFIX", "./images", is_path=True),
    "contact": Setting("address for the operators of image hosts", "none"),
    "origin": Setting("server to ask for photos", "the image hosts", "ARBORETUM_ORIGIN"),
    "size": Setting("size of photos to fetch", "medium"),
    "license": Setting(
        "licences that selections are limited to where no --license is given", "all", several=True
    ),
}


@dataclass(frozen=True, slots=True)
class Found:
    """A setting that holds.

    Attributes:
        value: as it stands in the file, a path made absolute.
        source: the file or variable that it comes from.
    """

    value: Any
    source: str


def settings() -> dict[str, Found]:
    """Every setting that an environment variable or a file makes, by its key.

    Raises:
        BadInputError: a file cannot be read, or holds a key or value that there is not.
    """
    found: dict[str, Found] = {}
    for file in (_of_user(), Path(NAME)):
        found |= _read(file)
    for key, setting in KEYS.items():
        if value := os.environ.get(setting.variable):
            found[key] = Found(value, f"${setting.variable}")
    return found


def default_map(group: Any) -> dict[str, Any]:
    """The settings as defaults of every command of a group, in the form of Click's `default_map`."""
    values = {key: one.value for key, one in settings().items() if key != "license" and one.source[:1] != "$"}
    return _defaults(group, values) if values else {}


def license_setting() -> Any:
    """The licences that a file limits selections to; None = none."""
    one = settings().get("license")
    return None if one is None else one.value


def images_setting() -> Path:
    """The image store where no flag names one."""
    one = settings().get("images")
    return Path("images" if one is None else one.value)


def _defaults(group: Any, values: Mapping[str, Any]) -> dict[str, Any]:
    found = {}
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            found[name] = _defaults(command, values)
        elif name not in ("demo", "make-split"):
            # The demo has a folder of its own; what make-split takes of a store depends on what is typed.
            names = {parameter.name for parameter in command.params}
            found[name] = {key: value for key, value in values.items() if key in names}
        else:
            found[name] = {key: value for key, value in values.items() if key == "catalog"}
    return found


def _of_user() -> Path:
    home = os.environ.get("XDG_CONFIG_HOME") or "~/.config"
    return Path(home).expanduser() / "arboretum" / NAME


def _read(file: Path) -> dict[str, Found]:
    try:
        if not os.path.lexists(file):
            return {}
        if not file.is_file():
            raise BadInputError(f"the settings {file} are not a file")
        stated = tomllib.loads(file.read_text("utf-8-sig"))
    except (OSError, UnicodeDecodeError) as error:
        raise BadInputError(f"the settings {file} cannot be read: {one_line(error)}") from error
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise BadInputError(f"the settings {file} are not TOML: {error}") from error
    return {key: Found(_checked(key, value, file), str(file)) for key, value in stated.items()}


def _checked(key: str, value: Any, file: Path) -> Any:
    from arboretum_tools.wording import did_you_mean

    setting = KEYS.get(key)
    if setting is None:
        raise BadInputError(
            f"the settings {file} have no key {key!r}; known: {', '.join(KEYS)}",
            hint=did_you_mean(key, list(KEYS)),
        )
    texts = value if setting.several and isinstance(value, list) else [value]
    if not texts or not all(isinstance(text, str) and text and text.isprintable() for text in texts):
        raise BadInputError(
            f"the settings {file}: {key} is {value!r}, which is not a text"
            + (" or a list of texts" if setting.several else "")
        )
    try:
        _check_value(key, value)
    except UsageError as error:
        raise BadInputError(f"the settings {file}: {error.message}", hint=error.hint) from error
    if setting.is_path and "://" not in value:
        return str(Path(file.parent, Path(value).expanduser()))
    return value


def _check_value(key: str, value: Any) -> None:
    from arboretum_tools.options import declared
    from arboretum_tools.options.download import DownloadArguments
    from arboretum_tools.options.select import SelectionOptions

    for entry in (*declared(DownloadArguments), *declared(SelectionOptions)):
        if entry.name == key:
            entry.checked(value)
