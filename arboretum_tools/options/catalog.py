"""The options of what makes a catalogue, fills it in, and says what it holds."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import Annotated

from arboretum_metadata.vocab import VOCABULARIES
from arboretum_tools.events import OnEvent, ignore
from arboretum_tools.options import Option, check

#: Where a catalogue lies that nobody names.
DEFAULT_CATALOG = "$ARBORETUM_CATALOG, else ./catalog"

#: Where the metadata of the 40M training set and of the whole are published.
REPOSITORY = "BGLab/BioTrove-Train"

#: Photos per bucket of a build, and so a part, about: with the workers, what bounds memory.
BUCKET_PHOTOS = 2_000_000


def _listed(names: Iterable[str]) -> str:
    *first, last = names
    return f"{', '.join(first)} or {last}"


@dataclass(frozen=True)
class BuildOptions:
    """What `build_catalog` takes.

    Attributes:
        threads: None = all cores.
        bucket_photos: photos per part, about; memory grows with it.
        progress: draw bars where somebody watches and no `on_event` is given.
        on_event: progress.
    """

    to: Annotated[
        str | Path | None,
        Option(
            "The catalogue's folder. A built catalogue there is replaced once the new one is whole; anything "
            "else is refused.",
            metavar="DIR",
            flag="out",
            short="o",
            default=DEFAULT_CATALOG,
        ),
    ] = None
    _: KW_ONLY
    strict: Annotated[
        bool,
        Option(
            "Refuse sources of which rows must be left out: duplicates, photos under several classes, bad "
            "ids or extensions. Else they are left out by rule and listed in the catalogue."
        ),
    ] = False
    observation_uuid: Annotated[
        bool, Option("Keep the observations' full UUIDs (Open Data): about 11 bytes more a photo.")
    ] = False
    threads: int | None = None
    bucket_photos: int = BUCKET_PHOTOS
    progress: bool = True
    on_event: OnEvent = ignore

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True)
class AnnotateOptions:
    """What `annotate_catalog` takes.

    Attributes:
        threads: None = all cores.
        progress: draw bars where somebody watches and no `on_event` is given.
        on_event: progress.
    """

    column: Annotated[
        str,
        Option(
            f"The column to fill in: {_listed(VOCABULARIES)}.",
            metavar="COLUMN",
            choices=tuple(VOCABULARIES),
            noun="column",
        ),
    ] = "life_stage"
    _: KW_ONLY
    source: Annotated[
        str | None,
        Option("What to call the table in the catalogue.", metavar="NAME", default="its file name"),
    ] = None
    overwrite: Annotated[bool, Option("Let the table win over values that are there.")] = False
    threads: int | None = None
    progress: bool = True
    on_event: OnEvent = ignore

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True, kw_only=True)
class ChangesOptions:
    """What `catalog_changes` takes.

    Attributes:
        progress: draw bars where somebody watches and no `on_event` is given.
        on_event: called with each event of `arboretum_tools.events`.
    """

    out: Annotated[
        str | Path | None,
        Option("List each change in this file, Parquet or CSV.", metavar="FILE", short="o"),
    ] = None
    overwrite: Annotated[bool, Option("Replace the file that --out names.")] = False
    progress: bool = True
    on_event: OnEvent = ignore

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True)
class PullOptions:
    """What `plan_pull` takes."""

    repository: Annotated[str, Option("A dataset on the hub.", metavar="OWNER/NAME", flag="repo")] = (
        REPOSITORY
    )
    _: KW_ONLY
    revision: Annotated[
        str | None, Option("Branch, tag or commit.", metavar="REVISION", default="the main branch")
    ] = None
    include: Annotated[
        str,
        Option("Pattern of file names; `**/` also stands for no folder at all.", metavar="PATTERN"),
    ] = "**/*.parquet"

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True, kw_only=True)
class TaxonOptions:
    """What `describe_taxon` takes besides the taxon."""

    levels: Annotated[int, Option("How many ranks of branches to give.", metavar="N", least=1, most=7)] = 1

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True, kw_only=True)
class CatalogStatsOptions:
    """What `catalog_stats` takes."""

    top: Annotated[
        int,
        Option(
            "Catalogue: species in the tables of the most and the least photographed; 0 = no such tables.",
            metavar="N",
            least=0,
        ),
    ] = 10

    def __post_init__(self) -> None:
        check(self)
