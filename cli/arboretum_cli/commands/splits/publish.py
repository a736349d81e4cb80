"""`arboretum publish`: a split as a folder that a repository takes as it is."""

from __future__ import annotations

from arboretum_cli.flags.declared import Given, takes
from arboretum_cli.flags.shared import Json, SplitFolder
from arboretum_cli.printing.output import result, table
from arboretum_tools.options.publish import PublishOptions
from arboretum_tools.wording import size


@takes(options=PublishOptions)
def publish(
    options: Given,
    split: SplitFolder,
    json: Json = False,
) -> None:
    """Write a split as a folder for publication, with a datasheet, a citation and Croissant metadata.

    The folder has no subfolders, so that Zenodo and similar archives take it as it is, and is itself a split.
    In Python: `arboretum_tools.publish_split(split, to="published", authors="Doe, Jane")`.

    \b
    Examples:
        arboretum publish splits/aves-lt100 --author "Doe, Jane" --out published
        arboretum publish splits/aves-lt100 --author "Doe, Jane" --author "The Lab" -o with-the-lab
        arboretum publish splits/aves-lt100 --author "Doe, Jane" --doi 10.5281/zenodo.1234567 -o with-doi
    """
    from arboretum_tools import publish_split

    found = publish_split(split, **options)
    rows = [(name, size(length)) for name, length in found.files.items()]
    lines = table(("file", "size"), rows)
    if found.doi is None:
        lines.append("no DOI is in it; reserve one and name it with --doi")
    lines.append(f"written to {found.path}")
    result(json, found.to_dict(), lines)
