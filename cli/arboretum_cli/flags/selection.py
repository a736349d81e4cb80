"""The selection flags that several commands share.

A command takes one parameter `flags: SelectionFlags`; `takes_selection` puts the flags themselves into the
signature that Typer reads.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from arboretum_cli.flags.declared import Command, Given, in_place_of, own_parameters, takes
from arboretum_cli.flags.settings import license_setting
from arboretum_cli.flags.shared import CatalogPath
from arboretum_tools.errors import UsageError
from arboretum_tools.options.select import SelectionOptions

if TYPE_CHECKING:
    from arboretum_tools.catalog import Catalog, Selection
    from arboretum_tools.events import OnEvent


@dataclass(frozen=True, slots=True)
class SelectionFlags:
    """Which photos to take, of which catalogue.

    Attributes:
        given: arguments of `Catalog.select`, as far as flags were given.
        catalog: the catalogue; None = the default.
        preferred: arguments of `Catalog.select` that settings files give where no flag does.
    """

    given: Given
    catalog: Path | None
    preferred: Given = field(default_factory=dict)

    def open(self, on_event: OnEvent) -> Catalog:
        """The catalogue."""
        from arboretum_tools.catalog import open_catalog

        return open_catalog(self.catalog, on_event=on_event)

    def select(self, catalog: Catalog) -> Selection:
        """The selection that the flags say; without --license under the licences of the settings."""
        return catalog.select(**self.preferred, **self.given)

    def select_or_downloaded(self, images: str | Path, on_event: OnEvent) -> tuple[Selection, bool]:
        """The selection that the flags say; without flags, what was asked of the store, if anything was.

        Returns: the selection, and whether it is what was asked of the store.
        """
        from arboretum_tools.stored_photos import downloaded_selection, has_selections

        catalog = self.open(on_event)
        if not self.given and has_selections(images):
            return downloaded_selection(catalog, images), True
        return self.select(catalog), False

    def refuse_beside(self, named: object) -> None:
        """Raises UsageError if flags select photos beside something that names them."""
        if self.given:
            raise UsageError(f"{named} names the photos already; leave the selection flags out")


def takes_selection(command: Command) -> Command:
    """Replaces the parameter `flags: SelectionFlags` of a command by the flags, at the end of its options."""
    own = [parameter for parameter in own_parameters(command) if parameter.name != "flags"]
    added = [
        inspect.Parameter("selection", inspect.Parameter.KEYWORD_ONLY, annotation=Given),
        inspect.Parameter("catalog", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=CatalogPath),
    ]

    def called(*, selection: Given, catalog: Path | None, **values: Any) -> None:
        licenses = None if "license" in selection else license_setting()
        preferred = {} if licenses is None else {"license": licenses}
        command(flags=SelectionFlags(selection, catalog, preferred), **values)

    return takes(selection=SelectionOptions)(in_place_of(command, called, [*own, *added]))
