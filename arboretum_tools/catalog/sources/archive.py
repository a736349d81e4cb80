"""Darwin Core archives as their `meta.xml` describes them (https://dwc.tdwg.org/text/).

The descriptor says which text is the core and which extend it, how each is written, and which term each
column holds; file names and headers do not matter. An archive without a descriptor is taken as a download of
GBIF.
"""

from __future__ import annotations

import codecs
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

from arboretum_tools.catalog.sources.containers import Member, members, whole
from arboretum_tools.catalog.sources.delimited import (
    TAB,
    Dialect,
    Text,
    distinct,
    fields,
    first_line,
    with_header,
)
from arboretum_tools.errors import CatalogError
from arboretum_tools.wording import one_line

DESCRIPTOR = "meta.xml"

# What GBIF calls the two texts of its downloads that matter here.
_CORE, _MEDIA = "occurrence.txt", "multimedia.txt"

# A descriptor has some 20 kB; no real one declares entities.
_LARGEST_DESCRIPTOR = 4 * 2**20

# Darwin Core has some 200 terms; one line names them.
_MOST_COLUMNS = 10_000
_MOST_HEADER_LINES = 1_000

#: Column of a text that joins the others.
ID = "archive_id"

_ASK = "Ask GBIF for the format Darwin Core Archive, which has both; the simple CSV has no photos."


@dataclass(frozen=True, slots=True)
class Archive:
    """A Darwin Core archive.

    Attributes:
        core: its occurrences; columns are named by their terms, without namespaces, and ID.
        media: its photos, sounds and videos, of the extension Multimedia (or Audubon Core); likewise.
    """

    core: Text
    media: Text


def is_archive(path: Path) -> bool:
    """Whether a folder or archive has a descriptor, or GBIF's texts without one."""
    found = members(path)
    return DESCRIPTOR in found or _CORE in found


def open_archive(path: Path) -> Archive:
    """Reads the descriptor and the first lines of the texts.

    Raises:
        CatalogError: it is damaged, describes no occurrences or no media, or lacks a text that it names.
    """
    found = members(path)
    if DESCRIPTOR not in found:
        return _by_gbif(path, found)
    root = _parsed(found[DESCRIPTOR])
    cores = [node for node in root if _local(node.tag) == "core"]
    media = [
        node
        for node in root
        if _local(node.tag) == "extension" and _row_type(node) in ("multimedia", "image", "audiovisualcore")
    ]
    if not cores or _row_type(cores[0]) != "occurrence":
        kind = _row_type(cores[0]) if cores else "nothing"
        raise CatalogError(
            f"{path} is a Darwin Core archive of {kind}, not of occurrences",
            path=path,
            hint="An archive of occurrences with the extension Multimedia has photos. Nothing was changed.",
        )
    if not media:
        raise CatalogError(
            f"{path} has occurrences but no media: it lacks the extension Multimedia", path=path, hint=_ASK
        )
    return Archive(_described(path, cores[0], found), _described(path, media[0], found))


def _by_gbif(path: Path, found: Mapping[str, Member]) -> Archive:
    missing = [name for name in (_CORE, _MEDIA) if name not in found]
    if missing:
        raise CatalogError(
            f"{path} lacks {', '.join(missing)} of a Darwin Core archive of GBIF", path=path, hint=_ASK
        )
    texts = []
    for name in (_CORE, _MEDIA):
        text = with_header(found[name], TAB)
        if "gbifID" not in text.names:
            raise CatalogError(
                f"{found[name].name} lacks the column gbifID",
                hint="It should be a Darwin Core archive as GBIF writes it. Nothing was changed.",
            )
        names = tuple(ID if column == "gbifID" else column for column in text.names)
        texts.append(Text(text.member, text.dialect, names))
    return Archive(*texts)


def _parsed(member: Member) -> ET.Element:
    with whole(member.name), member.open() as stream:
        data = stream.read(_LARGEST_DESCRIPTOR + 1)
    wrong = "it declares a document type, or is too large"
    if len(data) <= _LARGEST_DESCRIPTOR and b"<!DOCTYPE" not in data and b"<!ENTITY" not in data:
        try:
            return ET.fromstring(data)  # noqa: S314 (there are no entities)
        except ET.ParseError as error:
            wrong = one_line(error)
    raise CatalogError(
        f"{member.name} is not the descriptor of a Darwin Core archive: {wrong}",
        hint="Fetch the archive again. Nothing was changed.",
    )


def _described(path: Path, node: ET.Element, found: Mapping[str, Member]) -> Text:
    """One text as its element of the descriptor says it is written."""
    named = next((part.text or "" for part in node.iter() if _local(part.tag) == "location"), "")
    location = named.strip().rsplit("/", 1)[-1]
    if location not in found:
        raise CatalogError(
            f"{path} lacks {location or 'a text'}, which its {DESCRIPTOR} names",
            path=path,
            hint="Fetch it again. Nothing was changed.",
        )
    member = found[location]
    delimiter = _unescaped(node.get("fieldsTerminatedBy", ","))
    quote = _unescaped(node.get("fieldsEnclosedBy", '"'))
    encoding = node.get("encoding") or "utf-8"
    if len(delimiter) != 1 or quote not in ("", '"') or not _known(encoding):
        raise CatalogError(
            f"{member.name} is written in a way that is not read: fields end with {delimiter!r}, stand in "
            f"{quote!r}, encoding {encoding!r}",
            hint="One character ends a field, and double quotes or nothing enclose it. Nothing was changed.",
        )
    dialect = Dialect(delimiter, quoted=quote == '"')
    names: dict[int, str] = {}
    constants: dict[str, str] = {}
    for part in node:
        kind, index = _local(part.tag), part.get("index")
        name = ID if kind in ("id", "coreid") else _local(part.get("term", ""))
        if kind in ("id", "coreid") and index is not None:
            names[_column(member, index)] = ID
        elif kind == "field" and index is not None:
            # The column of the id often has a term as well; that the texts are joined by it goes first.
            names.setdefault(_column(member, index), name)
        elif kind == "field" and part.get("default"):
            constants[name] = part.get("default", "")
    width = max(len(fields(first_line(member), dialect)), *(index + 1 for index in names), 1)
    every = tuple(distinct([names.get(index, f"#{index}") for index in range(width)]))
    skipped = _number(member, "ignoreHeaderLines", node.get("ignoreHeaderLines") or "0", _MOST_HEADER_LINES)
    return Text(member, dialect, every, skipped, constants, encoding)


def _column(member: Member, text: str) -> int:
    return _number(member, "index", text, _MOST_COLUMNS - 1)


def _number(member: Member, name: str, text: str, most: int) -> int:
    """A number of the descriptor, which may hold any text."""
    if text.isascii() and text.isdigit() and len(text) <= len(str(most)) and int(text) <= most:
        return int(text)
    raise CatalogError(
        f"{member.name} is described with {name} {text[:40]!r}, which is no whole number from 0 to {most:,}",
        hint=f"Mend {DESCRIPTOR}, or fetch the archive again. Nothing was changed.",
    )


def _local(name: str) -> str:
    """A tag or term without its namespace."""
    return name.rsplit("}", 1)[-1].rstrip("/").rsplit("/", 1)[-1].rsplit("#", 1)[-1]


def _row_type(node: ET.Element) -> str:
    return _local(node.get("rowType", "")).lower()


def _unescaped(text: str) -> str:
    return text.replace("\\t", "\t").replace("\\n", "\n").replace("\\r", "\r")


def _known(encoding: str) -> bool:
    try:
        codecs.lookup(encoding)
    except LookupError:
        return False
    return True
