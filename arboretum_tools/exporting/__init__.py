"""Exports: a split and an image store, written in the form that training code already reads.

One file per format; the formats never import each other. What every one of them does is held together by
`arboretum_tools.testing.exporter_conformance`.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import fields, replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from arboretum_metadata.schema import EVENED, EXPORT_CLASSES
from arboretum_tools import events
from arboretum_tools.display.progress import shows_progress
from arboretum_tools.errors import ExportError, UsageError
from arboretum_tools.exporting.base import Evened, Evening, Exporter, Pointing, Source, undecodable
from arboretum_tools.exporting.classes import as_written, beside, empty_classes, refuse_empty, without
from arboretum_tools.exporting.documents.attribution import write_attribution
from arboretum_tools.exporting.documents.croissant import write_croissant
from arboretum_tools.exporting.formats.csv import Csv
from arboretum_tools.exporting.formats.folder import Folder
from arboretum_tools.exporting.formats.hf import HuggingFace
from arboretum_tools.exporting.formats.imagefolder import ImageFolder
from arboretum_tools.exporting.formats.inat_json import INatJson
from arboretum_tools.exporting.formats.lists import Lists
from arboretum_tools.exporting.formats.webdataset import WebDataset
from arboretum_tools.exporting.kept_out import kept_out
from arboretum_tools.exporting.photo_records import PhotoRecords
from arboretum_tools.exporting.report import ExportReport, found_at, made_from, report, write_export_json
from arboretum_tools.exporting.staging import other_leftovers, staging_for
from arboretum_tools.options import declared, takes
from arboretum_tools.options.export import FORMATS as FORMAT_NAMES
from arboretum_tools.options.export import ExportOptions
from arboretum_tools.samples import Samples, join, missing_of, require
from arboretum_tools.split import Split, open_split
from arboretum_tools.split.drawing.exclusion import read_exclusion
from arboretum_tools.store.reader import ImageStore
from arboretum_tools.system.atomic_files import out_of_space, placed, refuse_existing, sha256_of_json
from arboretum_tools.tabular.tables import write_table
from arboretum_tools.taxa.captions import Templates
from arboretum_tools.version import __version__
from arboretum_tools.wording import counted, did_you_mean, does

if TYPE_CHECKING:
    from arboretum_tools.catalog import Catalog, Selection

__all__ = [
    "FORMATS",
    "Csv",
    "ExportReport",
    "Exporter",
    "Folder",
    "HuggingFace",
    "INatJson",
    "ImageFolder",
    "Lists",
    "WebDataset",
    "export",
]


def _class_of(name: str) -> type[Any]:
    module = import_module(f"{__name__}.formats.{name.replace('-', '_')}")
    kind: type[Any] = next(one for one in vars(module).values() if getattr(one, "format", None) == name)
    return kind


#: Every format by its name, which is that of its module.
FORMATS: Mapping[str, type[Any]] = {name: _class_of(name) for name in FORMAT_NAMES}


@shows_progress
@takes(ExportOptions)
def export(what: Split | Selection | Catalog | str | Path, options: ExportOptions) -> ExportReport:
    """Writes a split, or any selection, with the photos of an image store into a training format.

    The folder appears whole or not at all. The same export again finds it there and writes nothing; one that
    was interrupted goes on where it stopped, with the result of an undisturbed one. Beside the format's own
    files it holds `classes.parquet`, `ATTRIBUTION.parquet` and `ATTRIBUTION.html`, `croissant.json`,
    `export.json`, `missing.parquet` where photos are missing, and `evened.parquet` where some are dropped or
    repeated. Counts, bands and labels are those of what is written; in `classes.parquet` those of the split
    stand beside them.

    Args:
        what: a split, the folder of one, or a selection, which becomes one part `train` of all its photos.
        options: {options}
        progress: draw bars where somebody watches and no `on_event` is given.
        on_event: is told of progress.

    Raises:
        UsageError: there is no such format or option.
        SplitError: the split cannot be read or has no such part.
        RecipeError: a file of `exclude` cannot be read, or names nothing.
        StoreError: `images` is not an image store.
        MissingPhotosError: the store lacks photos and `allow_missing` is not set.
        ExportError: a part would be empty, a class has no photo in a part and the format needs one, or `to`
            lies inside the store or the split.
        TargetExistsError: `to` holds something else.
        VerificationError: stored bytes do not match their hash.
        NotWritableError: `to` cannot be made.
        OutOfSpaceError: the disk ran full.

    >>> import arboretum_tools as at
    >>> report = at.export("splits/aves-lt100", images="images", to="lists", format="lists")
    >>> report.photos["test"]
    210
    """
    to, on_event = Path(options.to), options.on_event
    exporter = _exporter(options)
    split = _split(what)
    store = ImageStore.open(options.images)
    _refuse_inside(to, store, split)
    found = {part: join(split, part, store) for part in _parts(split, options.parts)}
    notes: list[events.Event] = []
    excluded: dict[str, Any] | None = None
    if options.exclude is not None:
        exclusion = read_exclusion(options.exclude, split.meta.get("group_by"))
        whose = "split" if isinstance(what, Split | str | Path) else "selection"
        found, counts = kept_out(exclusion, split, found, whose, notes.append)
        excluded = {"sha256": exclusion.sha256, "photos": counts}
        notes.append(events.Note(f"{counted(sum(counts.values()), 'photo')} of the {whose} kept out"))
    if not options.allow_missing:
        require(found.values(), split, store.location)
    if options.skip_bad:
        found = {part: _decodable(samples, split, store, to, exporter) for part, samples in found.items()}
    for part, samples in found.items():
        if not len(samples):
            raise ExportError(
                f"part {part} would be empty: {store.location} holds none of its photos"
                f"{'' if excluded is None else ' that are not kept out'}; nothing was written",
                hint="Download the split first, or choose other parts with --parts.",
            )
    split = beside(split)
    empty = empty_classes(split, found)
    dropped: list[str] = []
    if options.drop_classes and empty:
        labels = {label for labels in empty.values() for label in labels}
        dropped = [split.classes["class_key"][label].as_py() for label in sorted(labels)]
        split, found = without(split, found, labels)
        notes.append(
            events.Note(
                f"{counted(len(dropped), 'class')} {does(len(dropped), 'were')} left out, and the others "
                "numbered anew"
            )
        )
    elif exporter.needs_every_class:
        refuse_empty(split, empty, exporter.format)
    evened = _evened(exporter, found, options.seed)
    even = _evened_photos(split, found, evened)
    found = {part: _kept(samples, evened.get(part)) for part, samples in found.items()}
    repeated = {part: one.repeated for part, one in evened.items()}
    before = split.classes["class_key"].to_pylist()
    split, found = as_written(split, found, repeated)
    if split.classes["class_key"].to_pylist() != before:
        notes.append(
            events.Note(
                "labels are numbered anew, by the photos that are written; classes.parquet has those of the "
                "split as split_label"
            )
        )
    with ExitStack() as open_files:
        details = {
            part: open_files.enter_context(_details(samples, split, store, to))
            for part, samples in found.items()
        }
        source = Source(split, store, found, details, options.seed, on_event, evened)
        return _export(exporter, source, to, dropped, even, excluded, notes)


def _evened(exporter: Exporter, found: Mapping[str, Samples], seed: int) -> dict[str, Evened]:
    if not isinstance(exporter, Evening):
        return {}
    evened = {part: exporter.evened(part, samples, seed) for part, samples in found.items()}
    return {part: one for part, one in evened.items() if one is not None}


def _evened_photos(split: Split, found: Mapping[str, Samples], evened: Mapping[str, Evened]) -> pa.Table:
    """What is dropped or repeated, one row each time: the columns of the schema's EVENED."""
    keys = split.classes["class_key"].combine_chunks()
    tables = []
    for part, one in evened.items():
        samples = found[part]
        for change, positions in (("dropped", one.dropped), ("repeated", one.repeated)):
            count = len(positions)
            columns = {
                "part": pa.array([part] * count, pa.string()),
                "photo_id": pa.array(samples.photo_ids[positions], pa.int64()),
                "class_key": keys.take(pa.array(samples.labels[positions])),
                "change": pa.array([change] * count, pa.string()),
            }
            tables.append(pa.table(columns))
    if not tables:
        return pa.table({"photo_id": pa.array([], pa.int64())})
    return pa.concat_tables(tables).sort_by([("part", "ascending"), ("photo_id", "ascending")])


def _decodable(samples: Samples, split: Split, store: ImageStore, to: Path, exporter: Exporter) -> Samples:
    """The samples without those that the format cannot make anew, which are recorded as missing."""
    if not len(samples):
        return samples
    with _details(samples, split, store, to) as details:
        part = samples.part
        source = Source(split, store, {part: samples}, {part: details}, 0, events.ignore)
        bad = undecodable(source, part, exporter)
    keep = np.ones(len(samples), np.bool_)
    keep[bad] = False
    lost = pa.table({"photo_id": samples.photo_ids[bad], "status": ["undecodable"] * len(bad)})
    missing = pa.concat_tables([samples.missing, lost.cast(samples.missing.schema)]).sort_by("photo_id")
    return replace(samples.only(keep, samples.labels[keep]), missing=missing)


def _kept(samples: Samples, evened: Evened | None) -> Samples:
    """The samples without those that are dropped."""
    if evened is None or not len(evened.dropped):
        return samples
    keep = np.ones(len(samples), np.bool_)
    keep[evened.dropped] = False
    return samples.only(keep, samples.labels[keep])


def _refuse_inside(to: Path, store: ImageStore, split: Split) -> None:
    """Raises ExportError for a target in the store or in the split, whose files are theirs alone."""
    for what, folder in (("image store", Path(store.storage.absolute())), ("split", split.path)):
        if folder is not None and folder.resolve() in to.resolve().parents:
            raise ExportError(
                f"{to} lies inside the {what} {folder}; nothing was written",
                hint="Choose a folder beside it with --out.",
            )


def _details(samples: Samples, split: Split, store: ImageStore, to: Path) -> PhotoRecords:
    # Beside the target, which has room for the photos themselves, but where nothing may be written there.
    with placed(to):
        to.parent.mkdir(parents=True, exist_ok=True)
    folder = to.parent if os.access(to.parent, os.W_OK) else Path(tempfile.gettempdir())
    with placed(to), out_of_space(folder):
        return PhotoRecords(samples, split, store, folder)


def _export(
    exporter: Exporter,
    source: Source,
    to: Path,
    dropped: list[str],
    even: pa.Table,
    excluded: dict[str, Any] | None,
    notes: Iterable[events.Event],
) -> ExportReport:
    """Writes what `export` has found out about, unless it is there already."""
    split, on_event = source.split, source.on_event
    made = {**made_from(exporter, source), "dropped_classes": dropped}
    if excluded is not None:
        made["excluded"] = excluded
    if isinstance(exporter, Pointing):
        made |= exporter.outside(source, to)
    earlier = found_at(to, made)
    if earlier is None:
        refuse_existing(to)
    # What is said of an export holds only where it may be there.
    for note in notes:
        on_event(note)
    if earlier is not None:
        return report(to, made, earlier, written=False)
    # Another version may lay files out in another way, so it takes up no work of this one.
    identity = sha256_of_json({**made, "toolkit_version": __version__})
    for path in other_leftovers(to, identity):
        on_event(events.Note(f"{path} is left over from another export to {to.name}; nothing needs it"))
    on_event(events.StageStarted("export", sum(made["photos"].values())))
    with staging_for(to, identity) as work:
        if work.found:
            on_event(events.Note(f"going on with an interrupted export: {work.found:,} of its steps stand"))
        details = exporter.write(source, work)
        folder = work.folder
        write_table(folder / "classes.parquet", split.classes, EXPORT_CLASSES, {"split_sha256": split.sha256})
        if even.num_rows:
            write_table(folder / "evened.parquet", even, EVENED, {"split_sha256": split.sha256})
        by_license = write_attribution(folder, source)
        missing = missing_of(source.parts.values())
        if missing.num_rows:
            pq.write_table(missing, folder / "missing.parquet")
        write_croissant(folder, source)
        write_export_json(folder, made, {**details, "licenses": by_license})
    on_event(events.StageFinished("export"))
    earlier = found_at(to, made)
    assert earlier is not None, "an export that was just written is found again"
    return report(to, made, earlier, written=True)


def _exporter(options: ExportOptions) -> Exporter:
    """The exporter that is asked for, with those of the options that are a format's own."""
    of_formats = {field.name for kind in FORMATS.values() for field in fields(kind)}
    given: dict[str, Any] = {
        entry.name: value
        for entry in declared(ExportOptions)
        if entry.name in of_formats and (value := getattr(options, entry.name)) != entry.value
    }
    chosen = options.format
    if not isinstance(chosen, str):
        if given:
            raise UsageError(f"{', '.join(given)}: give options to the exporter itself, not beside it")
        return cast("Exporter", chosen)
    if chosen.lower() not in FORMATS:
        raise UsageError(
            f"there is no export format {chosen!r}; there are {', '.join(FORMATS)}",
            hint=did_you_mean(chosen.lower(), tuple(FORMATS)),
        )
    kind = FORMATS[chosen.lower()]
    known = [field.name.replace("_", "-") for field in fields(kind)]
    for name in given:
        if name.replace("_", "-") not in known:
            raise UsageError(
                f"the format {chosen} has no option {name.replace('_', '-')}",
                hint=f"It has {', '.join(known)}." if known else "It has no options.",
            )
    if given.get("captions") in (("all",), ("none",)):
        (given["captions"],) = given["captions"]
    if isinstance(templates := given.get("templates"), str | Path):
        given["templates"] = Templates.read(Path(templates))
    return cast("Exporter", kind(**given))


def _split(what: Split | Selection | Catalog | str | Path) -> Split:
    if isinstance(what, Split):
        return what
    if isinstance(what, str | Path):
        return open_split(what, in_memory=False)
    # Only a selection needs the database that makes a split of it.
    from arboretum_tools.split.make import whole

    return whole(what)


def _parts(split: Split, requested: Iterable[str] | None) -> tuple[str, ...]:
    """The parts to export, in the split's own order; each is checked to exist."""
    if requested is None:
        return split.parts
    requested = [split.part_named(part) for part in requested]
    return tuple(part for part in split.parts if part in requested)
