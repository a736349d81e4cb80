"""The photos of a filter as a page that needs no server: HTML, a style sheet, and the images beside it."""

from __future__ import annotations

import html
from collections.abc import Iterator
from contextlib import closing
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from arboretum_metadata.vocab import PHOTO_PAGE
from arboretum_tools import events
from arboretum_tools.browsing.filters import Filter
from arboretum_tools.browsing.photo_table import PhotoTable
from arboretum_tools.browsing.sources import source_of
from arboretum_tools.browsing.thumbnails import Thumbnails
from arboretum_tools.display.progress import shows_progress
from arboretum_tools.errors import BadInputError, MissingPhotosError, UsageError
from arboretum_tools.imaging.images import UndecodableImageError
from arboretum_tools.options import takes
from arboretum_tools.options.browse import GalleryOptions
from arboretum_tools.photos.credit import credit_html
from arboretum_tools.publication.origin import Origin
from arboretum_tools.split import Split
from arboretum_tools.store.reader import ImageStore
from arboretum_tools.system.atomic_files import refuse_existing, refuse_inside, whole_folder
from arboretum_tools.wording import counted

if TYPE_CHECKING:
    from arboretum_tools.catalog import Selection

_SIDE = 320
_POLICY = "default-src 'none'; img-src 'self'; style-src 'self'"


@shows_progress
@takes(GalleryOptions)
def save_gallery(what: Split | Selection | ImageStore | str | Path | None, options: GalleryOptions) -> Path:
    """Writes photos as a page that opens from disk or any web server: class by class, each with its credit.

    The folder appears whole or not at all. It holds `index.html`, `gallery.css` and `photos/`, with a link to
    iNaturalist at each photo; it loads nothing from elsewhere, and runs no script.

    Args:
        what: as `browse` takes it.
        options: {options}
        catalog: names the photos of a store: a catalogue, or where it lies. Default the default catalogue.
        progress: draw bars where somebody watches and no `on_event` is given.
        on_event: is told of progress.

    Returns:
        The page.

    Raises:
        UsageError: `to` is not given, or the filter asks for something that there is not.
        BadInputError: `what` is nothing that can be shown.
        MissingPhotosError: the store holds none of the photos.
        TargetExistsError: `to` holds something else.

    >>> import arboretum_tools as at
    >>> at.save_gallery("splits/aves-lt100", images="images", show="band=few", to="gallery")
    PosixPath('gallery/index.html')
    """
    if options.to is None:
        raise UsageError("a gallery is written into a folder", hint="Name it with --out.")
    to = Path(options.to)
    asked = Filter.parse(options.show)
    refuse_existing(to)
    source = source_of(what, options)
    if source.store is None:
        raise BadInputError(f"{options.images} is no image store, so there is no photo to show")
    read = [what] if isinstance(what, str | Path) else []
    refuse_inside(to, [Path(one) for one in (*read, source.store.location) if "://" not in str(one)])
    with closing(PhotoTable(source)) as table:
        photos = _shared_out(table, asked, options.most)
        if not photos:
            raise MissingPhotosError(
                f"{source.store.location} holds none of the photos; nothing was written", by_status={}
            )
        options.on_event(events.StageStarted("gallery", len(photos)))
        with whole_folder(to) as folder:
            (folder / "photos").mkdir()
            kept = []
            thumbnails = Thumbnails(source.store, kept_bytes=0)
            for photo in photos:
                place = table.stored_image(photo["row"])
                assert place is not None, "only stored photos are chosen"
                try:
                    data = thumbnails.of(
                        place.photo_id, place.shard, place.offset, place.size_bytes, side=_SIDE
                    )
                except UndecodableImageError as error:
                    options.on_event(events.Note(f"left out: {error.message}"))
                    continue
                (folder / "photos" / f"{photo['photo_id']}.jpg").write_bytes(data)
                kept.append(photo)
                options.on_event(events.PhotoDone(photo["photo_id"], "written", len(data)))
            style = resources.files("arboretum_tools.browsing") / "static" / "styles" / "gallery.css"
            (folder / "gallery.css").write_bytes(style.read_bytes())
            names = table.class_names(kept)
            total = table.overview(asked)["stored"]
            ids = [np.array([photo["photo_id"] for photo in kept], np.int64)]
            origin = Origin.of_store(source.store, ids)
            text = "".join(_page(source.name, source.english, kept, names, total, origin))
            (folder / "index.html").write_text(text, encoding="utf-8")
        options.on_event(events.StageFinished("gallery"))
    return to / "index.html"


def _shared_out(table: PhotoTable, asked: Filter, most: int) -> list[dict[str, Any]]:
    """Stored photos of a filter, head to tail: dealt out to the classes in turn."""
    condition, values = asked.sql()
    rows = table.rows(
        "SELECT row FROM (SELECT row, "
        "row_number() OVER (PARTITION BY label ORDER BY hash(photo_id), row) AS nth "
        f"FROM photos WHERE ({condition}) AND status = 'ok') ORDER BY nth, row LIMIT ?",
        [*values, most],
    )
    return table.photos_at(sorted(row for (row,) in rows))


def _page(
    name: str,
    english: str,
    photos: list[dict[str, Any]],
    names: dict[int, list[Any]],
    total: int,
    origin: Origin,
) -> Iterator[str]:
    title = html.escape(name)
    said = (
        f"{len(photos):,} of the {counted(total, 'photo')}"
        if len(photos) < total
        else counted(total, "photo")
    )
    yield (
        '<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        f'<title>{title}</title>\n<link rel="stylesheet" href="gallery.css">\n'
        f"<header><h1>{title}</h1><p>{html.escape(english)}. {said} of {counted(len(names), 'class')}. "
        f"{_from(origin)}</p></header>\n"
    )
    label = None
    for photo in photos:
        if photo["label"] != label:
            if label is not None:
                yield "</div></section>\n"
            label = photo["label"]
            scientific, common, n, _ = names.get(label, ["in no species class", None, None, None])
            heading = (
                f"{html.escape(common)} <i>{html.escape(scientific)}</i>"
                if common
                else (f"<i>{html.escape(scientific)}</i>")
            )
            yield f"<section><h2>{heading} <small>{'' if n is None else f'{n:,}'}</small></h2><div>\n"
        yield _figure(photo, names, has_page=origin.inaturalist)
    yield "</div></section>\n"


def _from(origin: Origin) -> str:
    if not origin.inaturalist:
        return f"The photos are {origin.words}."
    if origin.drawn:
        return "The photos are drawn for the bundled sample catalogue, not taken."
    return "Photos from iNaturalist; each leads to its page there."


def _figure(photo: dict[str, Any], names: dict[int, list[Any]], *, has_page: bool) -> str:
    number = photo["photo_id"]
    credit = credit_html(photo["observer_name"], photo["license"], unknown="licence not known")
    shows = html.escape(names.get(photo["label"], ["photo"])[0])
    picture = f'<img src="photos/{number}.jpg" alt="{shows}" loading="lazy">'
    if has_page:
        picture = f'<a href="{PHOTO_PAGE}{number}">{picture}</a>'
    return f"<figure>{picture}<figcaption>{credit}</figcaption></figure>\n"
