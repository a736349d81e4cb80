"""A folder for people: photos under the names of their species, in words that a file manager shows.

    Danaus plexippus/Danaus plexippus 9000000019 adult 2024-06-01 CC-BY.jpg
    metadata.csv         a row per photo: names, date, place, observer, licence, credit, link
    CREDITS.html         the same photos with their credits, to read or to pass on

A photo carries its creator, licence and address in its EXIF and XMP, as Bridge, digiKam, Photos or exiftool
show them; its pixels are those of the store. `metadata.csv` begins with `file_name`, by which Hugging Face's
`imagefolder` finds the photos, and has latitude and longitude, by which QGIS places them.
"""

from __future__ import annotations

import csv
import html
import re
import string
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar
from urllib.parse import quote

from arboretum_metadata.schema import FOLDER_METADATA
from arboretum_metadata.vocab import LICENSES, PHOTO_PAGE, RANKS
from arboretum_tools.errors import UsageError
from arboretum_tools.events import PhotoDone
from arboretum_tools.exporting.base import Sample, Source, encoded
from arboretum_tools.exporting.staging import Staging
from arboretum_tools.options import check
from arboretum_tools.options.export import FolderOptions
from arboretum_tools.photos.credit import credit_html, credit_line
from arboretum_tools.tabular.spreadsheets import plain
from arboretum_tools.taxa.captions import Names

#: What a template may name.
TEMPLATE_FIELDS = (
    "scientific_name",
    "common_name",
    *(rank for rank in RANKS if rank != "species"),
    "photo_id",
    "part",
    "life_stage",
    "observed_on",
    "license",
    "observer",
)

_PLACE = ("latitude", "longitude")

# Images per step: what an interrupted export does again at most.
_STEP = 500

# What no file name holds on Windows, macOS or Linux, and what ends a line or hides in one.
_UNSAFE = re.compile(r'[\x00-\x1f\x7f-\x9f/\\:*?"<>|\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]+')
_RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?", re.IGNORECASE)

# How the names of the files end that lie beside the photos: no folder takes one of them.
_OWN = re.compile(r"\.(csv|html|json|md|parquet)$", re.IGNORECASE)

_FORMULA = " .=+-@'＝＋－＠"

# File systems take 255 bytes; the suffix and what a copy adds need room.
_NAME_BYTES = 180

# So many of them, one in the other, and the folder of the export stay below the 4,096 bytes of a path.
_MOST_FOLDERS = 10

_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:64em;margin:2em auto;padding:0 1em}"
    "table{border-collapse:collapse;width:100%}td,th{padding:.2em 1em .2em 0;text-align:left;"
    "vertical-align:top;overflow-wrap:anywhere}td:last-child{white-space:nowrap}h2{margin:1.5em 0 .3em}"
)


@dataclass(frozen=True, kw_only=True)
class Folder(FolderOptions):
    """The format with its options."""

    format: ClassVar[str] = "folder"
    needs_every_class: ClassVar[bool] = False

    def __post_init__(self) -> None:
        check(self)
        _check_template(self.file_template)

    def options(self) -> Mapping[str, Any]:
        """The options in force."""
        return {"file_template": self.file_template, "resize": self.resize, "place": self.place}

    def write(self, source: Source, work: Staging) -> Mapping[str, Any]:
        """Writes the photos, the table and the page."""
        named = _Names(source, self.file_template)
        made_anew: Counter[str] = Counter()
        for part in source.parts:
            made_anew.update(_write_images(source, part, work, named, self.resize))
        with work.path("metadata.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            columns = [name for name in FOLDER_METADATA.names if self.place or name not in _PLACE]
            writer.writerow(columns)
            for row in _rows(source, named):
                writer.writerow([plain(row[name]) for name in columns])
        with work.path("CREDITS.html").open("w", encoding="utf-8") as page:
            page.writelines(_page(source, named))
        return {"made_anew": dict(sorted(made_anew.items()))}


def _check_template(template: str) -> None:
    form = string.Template(template)
    if not form.is_valid():
        raise UsageError(
            f"the file template has a $ that begins no name: {template!r}", hint="Write $$ for a $."
        )
    for asked in form.get_identifiers():
        if asked not in TEMPLATE_FIELDS:
            raise UsageError(
                f"the file template names ${asked}, which no photo has",
                hint=f"There are {', '.join(f'${known}' for known in TEMPLATE_FIELDS)}.",
            )
    if len(_folders_and_name(template)) - 1 > _MOST_FOLDERS:
        raise UsageError(
            f"the file template has {len(_folders_and_name(template)) - 1} folders, one in the other",
            hint=f"At most {_MOST_FOLDERS} fit into a path.",
        )
    if "photo_id" not in string.Template(template.rpartition("/")[2]).get_identifiers():
        raise UsageError(
            "the name of a file needs $photo_id, by which no two are the same",
            hint="Such as '$scientific_name/$common_name $photo_id'.",
        )


def _folders_and_name(template: str) -> list[str]:
    return [part for part in template.split("/") if part.strip()]


class _Names:
    """The names of classes, and the files of their photos."""

    def __init__(self, source: Source, template: str) -> None:
        self.of_class = [Names.of(row) for row in source.classes()]
        # A plant and a moth may have one name, and file systems may not tell capitals apart.
        shared = Counter(names.scientific.casefold() for names in self.of_class)
        self._known: list[dict[str, str]] = []
        for names in self.of_class:
            ranks = dict(names.ranks)
            known = {rank: name for rank, name in ranks.items() if rank != "species"}
            known["scientific_name"] = names.scientific
            if shared[names.scientific.casefold()] > 1:
                known["scientific_name"] += f" ({ranks.get('kingdom', 'no kingdom')})"
            known["common_name"] = names.common
            self._known.append(known)
        self._parts = list(map(string.Template, _folders_and_name(template)))

    def file(self, part: str, sample: Sample, observed_on: object) -> str:
        """Where a photo lies in the export."""
        known = self._known[sample.label] | {
            "photo_id": str(sample.photo_id),
            "part": part,
            "life_stage": sample.life_stage or "",
            "observed_on": "" if observed_on is None else str(observed_on),
            "license": sample.license or "",
            "observer": sample.observer_name or "",
        }
        known = dict.fromkeys(TEMPLATE_FIELDS, "") | known
        names = [_safe(form.substitute(known)) for form in self._parts]
        if len(names) > 1 and _OWN.search(names[0]):
            names[0] = f"_{names[0]}"
        # Were it cut off, two photos might share a name.
        if str(sample.photo_id) not in names[-1]:
            names[-1] = f"{names[-1]} {sample.photo_id}"
        return "/".join(names) + ".jpg"


def _safe(text: str) -> str:
    """A text as the name of a file or folder, wherever it is copied to."""
    name = " ".join(_UNSAFE.sub("-", text).split())
    # What a spreadsheet would run is no beginning either, so that the table names files as they are.
    name = name.encode()[:_NAME_BYTES].decode(errors="ignore").lstrip(_FORMULA).strip(" .") or "unknown"
    return f"_{name}" if _RESERVED.fullmatch(name) else name


def _write_images(
    source: Source, part: str, work: Staging, named: _Names, resize: int | None
) -> Mapping[str, int]:
    # Pillow is loaded where it is needed, and not before.
    from arboretum_tools.imaging.images import with_credit

    made_anew: Counter[str] = Counter()
    samples, details = source.parts[part], source.details[part]
    order = samples.by_label()
    for start in range(0, len(order), _STEP):

        def write(start: int = start) -> Mapping[str, int]:
            done: Counter[str] = Counter()
            some = order[start : start + _STEP]
            days = details.numbers(some)["observed_on"].to_pylist()
            for stored, day in zip(source.samples(part, some), days, strict=True):
                sample, what = encoded(stored, resize)
                if what is not None:
                    done[what] += 1
                about = LICENSES.get(sample.license or "")
                data = with_credit(
                    sample.data,
                    name=f"photo {sample.photo_id}",
                    creator=sample.observer_name,
                    rights=credit_line(sample.observer_name, sample.license),
                    license_url=about.url if about is not None else None,
                    source=_photo_page(source, sample.photo_id),
                    title=named.of_class[sample.label].scientific,
                )
                work.path(named.file(part, sample, day)).write_bytes(data)
                source.on_event(PhotoDone(sample.photo_id, "written", len(data)))
            return done

        made_anew.update(work.step(f"{part} {start}", write))
    return made_anew


def _rows(source: Source, named: _Names) -> Iterator[dict[str, Any]]:
    """The rows of metadata.csv, in the order of the split."""
    for part, samples in source.parts.items():
        order, details = samples.by_label(), source.details[part]
        for start in range(0, len(order), _STEP):
            some = order[start : start + _STEP]
            about, numbers = details.about(some), details.numbers(some)
            columns = {name: values.to_pylist() for name, values in numbers.items()}
            for position, (photo_id, label) in enumerate(
                zip(samples.photo_ids[some].tolist(), samples.labels[some].tolist(), strict=True)
            ):
                license_name, observer = about.license[position], about.observer_name[position]
                stage, day = about.life_stage[position], columns["observed_on"][position]
                sample = Sample(photo_id, label, b"", "", "jpeg", 0, 0, license_name, observer, stage)
                names = named.of_class[label]
                ranks = dict(names.ranks)
                yield {
                    "file_name": named.file(part, sample, day),
                    "photo_id": photo_id,
                    "part": part,
                    "scientific_name": names.scientific_name,
                    "common_name": names.common_name,
                    **{rank: ranks.get(rank) for rank in RANKS if rank != "species"},
                    "life_stage": stage,
                    "observed_on": None if day is None else day.isoformat(),
                    "latitude": columns["latitude"][position],
                    "longitude": columns["longitude"][position],
                    "observer_name": observer,
                    "license": license_name,
                    "credit": credit_line(observer, license_name),
                    "page": _photo_page(source, photo_id) or None,
                }


def _photo_page(source: Source, photo_id: int) -> str:
    """The page of a photo at iNaturalist; "" where it is none of its photos."""
    return f"{PHOTO_PAGE}{photo_id}" if source.store.config.of_inaturalist else ""


def _page(source: Source, named: _Names) -> Iterator[str]:
    title = html.escape(source.split.title)
    yield (
        f'<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n<title>Credits of {title}</title>\n'
        f"<style>{_STYLE}</style>\n<h1>Credits of {title}</h1>\n"
        f"<p>The photos are {html.escape(source.origin.words)}. Their credit lines are in the words of "
        "iNaturalist. Keep this page with the photos: most licences ask for the name of the author "
        "wherever a photo is shown.</p>\n"
    )
    before = None
    for row in _rows(source, named):
        heading = (row["scientific_name"], row["common_name"])
        if heading != before:
            yield "</table>\n" if before is not None else ""
            names = [f"<i>{html.escape(heading[0])}</i>", html.escape(heading[1] or "")]
            yield f"<h2>{' '.join(filter(None, names))}</h2>\n<table>\n"
            before = heading
        credit = credit_html(
            row["observer_name"], row["license"], unknown="licence not known: may not be passed on"
        )
        file = row["file_name"]
        yield (
            f'<tr><td><a href="{quote(file)}">{html.escape(file.rpartition("/")[2])}</a>'
            f"<td>{credit}" + (f'<td><a href="{row["page"]}">iNaturalist</a>\n' if row["page"] else "\n")
        )
    yield "</table>\n"
