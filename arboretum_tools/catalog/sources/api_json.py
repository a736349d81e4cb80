"""Answers of iNaturalist's API (https://api.inaturalist.org/v1/docs/), as JSON lines, lists, or pages.

Pages (`{"results": [...]}`) are what pyinaturalist saves, one or several to a file. One observation is in
memory at a time. It may have several photos, each with its own licence; null means that all rights are
reserved, so the licence is unknown, which no filter lets pass.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Generator, Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from arboretum_metadata.vocab import LIFE_STAGES, RANKS
from arboretum_tools.catalog.building.losses import Losses
from arboretum_tools.catalog.sources import observations
from arboretum_tools.catalog.sources.containers import FETCH_AGAIN, Member, texts, whole
from arboretum_tools.catalog.sources.delimited import LINE, first_line
from arboretum_tools.catalog.sources.source import Reading, Rows
from arboretum_tools.errors import CatalogError
from arboretum_tools.wording import one_line

NAME = "iNaturalist API"

_BATCH = 10_000
_CHUNK = 1 << 20
# An observation with all its identifications and comments has some 100 kB.
_LARGEST = 64 << 20

# How a page begins, up to its first observation.
_PAGE = re.compile(r'\s*\{(?:\s*"[a-z_]+"\s*:\s*(?:[-0-9.]+|null|"[^"]*")\s*,)*\s*"results"\s*:\s*\[')
_LIST = re.compile(r"\s*\[")
_BETWEEN = re.compile(r"[ \t\r\n,]*")
_END_OF_PAGE = re.compile(r'\](?:\s*,\s*"[a-z_]+"\s*:\s*(?:[-0-9.]+|null|"[^"]*"))*\s*\}')
_STAGES = {stage.inat_value_id: name for name, stage in LIFE_STAGES.items()}
_LIFE_STAGE = 1


def recognises(path: Path) -> bool:
    """Whether a text, or each text of a zip archive, begins as JSON does."""
    found = texts(path)
    return bool(found) and all(first_line(member).lstrip()[:1] in ("{", "[") for member in found)


def read(path: Path, reading: Reading) -> Rows:
    """The photos of the observations.

    Raises:
        CatalogError: a document is damaged, or has something else than observations.
    """

    def every() -> Iterator[tuple[str, Iterator[pa.RecordBatch]]]:
        for member in texts(path):
            yield member.label, _batches(member, reading.losses)

    return observations.read(path, every(), reading)


def _batches(member: Member, losses: Losses) -> Iterator[pa.RecordBatch]:
    schema = pa.schema([(name, pa.string()) for name in observations.ASKED])
    held: list[dict[str, str]] = []
    for line, observation in _observations(member, losses):
        try:
            held += list(_rows(observation, line))
        except (AttributeError, TypeError, KeyError) as error:
            # A text where an object must be, or the like.
            losses.add("malformed_row", member.label, line=line, detail=f"no observation: {one_line(error)}")
        if len(held) >= _BATCH:
            yield pa.RecordBatch.from_pylist(held, schema)
            held = []
    if held:
        yield pa.RecordBatch.from_pylist(held, schema)


def _observations(member: Member, losses: Losses) -> Iterator[tuple[int | None, Mapping[str, Any]]]:
    """Each observation with its line, where lines are rows; what is not an observation goes to the losses."""
    with (
        whole(member.name),
        member.open() as stream,
        io.TextIOWrapper(stream, "utf-8-sig", "replace") as text,
    ):
        begin = text.read(_CHUNK)
        found: Iterator[tuple[int | None, Any]]
        if _PAGE.match(begin) or _LIST.match(begin):
            found = ((None, value) for value in _documents(member, text, begin))
        else:
            found = _lines(member, text, begin, losses)
        for line, value in found:
            for one in value["results"] if isinstance(value, dict) and "results" in value else [value]:
                if isinstance(one, dict) and ("photos" in one or "observation_photos" in one or "id" in one):
                    yield line, one
                else:
                    losses.add("malformed_row", member.label, line=line, detail=f"no observation: {one}")


def _lines(member: Member, text: io.TextIOBase, begin: str, losses: Losses) -> Iterator[tuple[int, Any]]:
    for number, line in enumerate(_each_line(member, text, begin), start=1):
        if line.strip():
            try:
                yield number, json.loads(line)
            except (ValueError, RecursionError):
                losses.add("malformed_row", member.label, line=number, detail=f"no JSON: {line[:60]!r}")


def _each_line(member: Member, text: io.TextIOBase, begin: str) -> Iterator[str]:
    """The lines of a text of which `begin` was read already, one in memory at a time."""
    *lines, rest = begin.split("\n")
    yield from lines
    while rest := rest + text.readline(_LARGEST):
        if len(rest) >= _LARGEST:
            raise _too_large(member)
        yield rest.rstrip("\n")
        rest = ""


def _documents(member: Member, text: io.TextIOBase, rest: str) -> Iterator[Any]:
    """The elements of one page or list after the other, each as soon as it is whole."""
    while opened := _PAGE.match(rest) or _LIST.match(rest):
        page = "{" in opened[0]
        rest = yield from _elements(member, text, rest[opened.end() :])
        rest += text.read(_CHUNK)
        end = _END_OF_PAGE.match(rest) if page else re.match(r"\]", rest)
        if not end:
            break
        rest = rest[end.end() :].lstrip()
    if rest.strip():
        raise _damaged(member, f"{rest[:40]!r} follows its observations")


def _elements(member: Member, text: io.TextIOBase, rest: str) -> Generator[Any, None, str]:
    """The elements of the list that has just begun; returns what follows, from its closing bracket on."""
    decoder, at = json.JSONDecoder(), 0
    while True:
        between = _BETWEEN.match(rest, at)
        assert between is not None
        at = between.end()
        if rest.startswith("]", at):
            return rest[at:]
        try:
            value, at = decoder.raw_decode(rest, at)
        except RecursionError as error:
            raise _damaged(member, "a value is nested too deeply") from error
        except ValueError as error:
            # Not whole yet, or not JSON at all: twice as much is looked at, until nothing more comes.
            more = text.read(max(_CHUNK, len(rest) - at))
            if not more:
                raise _damaged(member, "its list of observations does not end") from error
            rest, at = rest[at:] + more, 0
            if len(rest) > 2 * _LARGEST:
                raise _too_large(member) from error
            continue
        yield value


def _damaged(member: Member, what: str) -> CatalogError:
    return CatalogError(f"{member.name} is damaged or not whole: {what}", hint=FETCH_AGAIN)


def _too_large(member: Member) -> CatalogError:
    return CatalogError(
        f"{member.name} has a value of more than {_LARGEST >> 20} MiB, which cannot be an observation",
        hint="Save pages or JSON lines of the API. Nothing was changed.",
    )


def _rows(observation: Mapping[str, Any], line: int | None) -> Iterator[dict[str, str]]:
    """One row of text a photo; one without an address where there is no photo."""
    user = observation.get("user") or {}
    latitude, longitude = _position(observation)
    common = {
        "id": observation.get("id"),
        "uuid": observation.get("uuid"),
        "user_id": user.get("id"),
        "user_login": user.get("login"),
        "user_name": user.get("name"),
        "quality_grade": observation.get("quality_grade"),
        "observed_on": observation.get("observed_on") or observation.get("time_observed_at"),
        "latitude": latitude,
        "longitude": longitude,
        "life_stage": _life_stage(observation),
        LINE: line,
        **_names(observation),
    }
    photos = observation.get("photos") or [
        each.get("photo") for each in observation.get("observation_photos") or []
    ]
    for position, photo in enumerate(photos or [{}]):
        size = (photo or {}).get("original_dimensions") or {}
        own = {
            "image_url": (photo or {}).get("url"),
            "photo_license": (photo or {}).get("license_code"),
            "width": size.get("width"),
            "height": size.get("height"),
            "position": position,
        }
        yield {name: str(value) for name, value in {**common, **own}.items() if value is not None}


def _position(observation: Mapping[str, Any]) -> tuple[Any, Any]:
    """Latitude and longitude: a text with a comma, or, as pyinaturalist converts it, a pair."""
    location = observation.get("location")
    pair = location.split(",") if isinstance(location, str) else location
    return (pair[0], pair[1]) if isinstance(pair, list) and len(pair) == 2 else (None, None)


def _life_stage(observation: Mapping[str, Any]) -> str | None:
    """The one stage that annotations agree on; None where they name several."""
    stages = {
        _STAGES.get(each.get("controlled_value_id"))
        for each in observation.get("annotations") or []
        if each.get("controlled_attribute_id") == _LIFE_STAGE and (each.get("vote_score") or 0) >= 0
    }
    return stages.pop() if len(stages) == 1 else None


def _names(observation: Mapping[str, Any]) -> dict[str, Any]:
    """The lineage: the taxon with its ancestors, which most answers have in the identifications alone."""
    taxon = observation.get("taxon") or {}
    above = {taxon.get("id"), *(taxon.get("ancestor_ids") or [])}
    known = [taxon, *(taxon.get("ancestors") or [])]
    for identification in observation.get("identifications") or []:
        named = identification.get("taxon") or {}
        known += [named, *(named.get("ancestors") or [])]
    ranks = {
        f"taxon_{each['rank']}_name": each.get("name")
        for each in known
        if each.get("rank") in RANKS and each.get("id") in above
    }
    return {
        **ranks,
        "scientific_name": taxon.get("name"),
        "taxon_rank": taxon.get("rank"),
        "taxon_id": taxon.get("id"),
        "common_name": taxon.get("preferred_common_name"),
        "iconic_taxon_name": taxon.get("iconic_taxon_name"),
    }
