"""The options of a publication: what stands in its citation, and where it goes."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from arboretum_tools.errors import UsageError
from arboretum_tools.options import Option, check

_DOI = re.compile(r"(?:https?://(?:dx\.)?doi\.org/|doi:)?(10\.[0-9]{4,9}/\S+)", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class PublishOptions:
    """What `publish_split` takes."""

    to: Annotated[str | Path, Option("Folder to write.", metavar="DIR", flag="out", short="o", required=True)]
    authors: Annotated[
        str | Iterable[str],
        Option(
            'Who made it, as "Family, Given"; a name without a comma is an organisation\'s. Once for each.',
            metavar="NAME",
            flag="author",
            many=True,
            commas=False,
            required=True,
        ),
    ]
    doi: Annotated[
        str | None,
        Option("The DOI that was reserved for it, such as 10.5281/zenodo.1234567.", metavar="DOI"),
    ] = None
    title: Annotated[str | None, Option("Its title.", metavar="TEXT", default="the name of the split")] = None

    def __post_init__(self) -> None:
        check(self)
        if not [name for name in self.authors if name.strip()]:
            raise UsageError("a publication has an author", hint="Name one with --author 'Family, Given'.")
        for text in (*self.authors, self.title or ""):
            if not " ".join(text.split()).isprintable():
                raise UsageError(f"{text!r} holds what cannot be printed")
        for name in self.authors:
            if name.strip() and not name.partition(",")[0].strip():
                raise UsageError(f"{name!r} names no family", hint="Write 'Family, Given'.")
            if ";" in name:
                raise UsageError(
                    f"{name!r} names several authors in one text", hint="Repeat --author, once for each."
                )
        if self.doi is not None:
            found = _DOI.fullmatch(self.doi.strip())
            if found is None:
                raise UsageError(f"{self.doi!r} is not a DOI", hint="Write it as 10.5281/zenodo.1234567.")
            object.__setattr__(self, "doi", found[1])
