"""`arboretum config`: which settings hold here, and where each comes from."""

from __future__ import annotations

from arboretum_cli.flags import settings
from arboretum_cli.flags.shared import Json
from arboretum_cli.printing.output import result, table


def config(json: Json = False) -> None:
    """Show the settings in effect here, and where each comes from.

    arboretum.toml in the current folder is the project's file; ~/.config/arboretum/arboretum.toml (or below
    $XDG_CONFIG_HOME) is the user's. Flags take precedence over environment variables, these over the
    project's file, and that over the user's. Relative paths start at the folder of the file. In Python:
    settings are not read from files.

    \b
    Keys:
        catalog = "/data/catalog"          the catalogue
        images = "/data/images"            the image store
        contact = "me@example.org"         your address for the operators of image hosts
        origin = "https://mirror.example"  server to ask for photos
        size = "medium"                    size of photos to fetch
        license = ["CC0", "CC-BY"]         licences that selections are limited to where no --license is given

    \b
    Examples:
        arboretum config
        arboretum config --json
    """
    found = settings.settings()
    value = {
        key: {"value": found[key].value, "source": found[key].source} if key in found else None
        for key in settings.KEYS
    }
    rows = [
        (key, _text(found[key].value), found[key].source)
        if key in found
        else (key, setting.default, "default")
        for key, setting in settings.KEYS.items()
    ]
    result(json, value, table(("setting", "value", "from"), rows))


def _text(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
