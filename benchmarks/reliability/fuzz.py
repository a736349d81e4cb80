"""Hostile files: photos whose headers lie, sources of catalogues with damaged bytes and impossible values.

    nice python benchmarks/reliability/fuzz.py [--photos 10000] [--sources 400] [--seed 0]

Photos: small images of the four formats, in which some bytes of the first hundred, or of the whole, are
others. Each is judged as an answer of a host would be; what is taken goes into a store, which must be whole
at the end, photo by photo.

Sources: Parquet, CSV, an export and an archive of iNaturalist, answers of its API, and Open Data, in which
bytes, cells, lines or values are others, too large, of another kind, or missing. A build must end in an
error of ours that leaves nothing behind, or in a catalogue that opens, with rows in = rows kept + listed.

Journals of a store, and the names of its files, are fuzzed by tests:
`pytest -m slow tests/unit/store/test_untrusted_store.py`.

Exits with 1 at the first traceback, or anything else that is not as it should be, and names the input.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import random
import tempfile
import time
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from arboretum_metadata.sample import catalog_path
from arboretum_tools.catalog import open_catalog
from arboretum_tools.catalog.building.build import build_catalog
from arboretum_tools.downloading.fetching.verify import Answer, judge
from arboretum_tools.errors import ArboretumError
from arboretum_tools.store import StoreWriter
from arboretum_tools.store.verify import verify_store

BUCKET = "https://inaturalist-open-data.s3.amazonaws.com/photos"

#: What stands where something else is expected.
VALUES: tuple[Any, ...] = (
    "", "0", "-1", "1e308", "nan", "inf", "9" * 19, "9" * 5000, "1.5", "12345.0", "\x00", "\x1b[2J", "=1+1",
    "'; DROP TABLE photos; --", "../../etc/passwd", "٣", "a" * 100_000, '"', "\\N", "null", "true", "\ud800",
    "2020-13-45", "0000-00-00", "× ", "|", None, 0, -1, 2**63, 1e300, True, [], {}, [[]], {"a": {}},
)  # fmt: skip
TEXTS = tuple(value for value in VALUES if isinstance(value, str) and value.isprintable())


def images(chance: random.Random) -> dict[str, bytes]:
    """One small image of each format."""
    noise = Image.frombytes("RGB", (24, 18), chance.randbytes(24 * 18 * 3))
    found = {}
    for form in ("JPEG", "PNG", "GIF", "WEBP"):
        out = io.BytesIO()
        noise.save(out, form)
        found[form] = out.getvalue()
    return found


def mutated(data: bytes, chance: random.Random) -> bytes:
    """The bytes, of which a few are others, gone, or more; mostly at the beginning."""
    body = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 4, 8))):
        at = chance.randrange(min(len(body), chance.choice((32, 100, len(body)))) or 1)
        kind = chance.random()
        if kind < 0.6:
            body[at : at + 1] = bytes([chance.choice((0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256)))])
        elif kind < 0.8:
            size = chance.choice((2, 4, 8))
            body[at : at + size] = chance.choice((0, 2**31, 2**32 - 1, 2**16 - 1, 1)).to_bytes(8)[-size:]
        elif kind < 0.9:
            del body[at : at + chance.randrange(1, 9)]
        else:
            body[at:at] = chance.randbytes(chance.randrange(1, 9))
    return bytes(body) or b"\0"


def fuzz_photos(count: int, chance: random.Random, folder: Path) -> Counter[str]:
    """Judges so many mutated photos, and stores what is taken."""
    whole, found = images(chance), Counter[str]()
    taken = 0
    with StoreWriter.create(folder / "images", shard_photos=1_000) as writer:
        for number in range(1, count + 1):
            form = chance.choice(list(whole))
            data = mutated(whole[form], chance)
            verdict = judge(Answer(200, f"{BUCKET}/{number}/small.jpg", data))
            found[f"photos {verdict.status}"] += 1
            if verdict.image is not None:
                writer.add_image(number, data)
                taken += 1
    if verify_store(folder / "images").photos != taken:
        raise SystemExit("a photo that was taken is not in the store")
    return found


def cells(table: list[list[str]], chance: random.Random) -> list[list[str]]:
    """A table in which cells, rows or the header are others."""
    table = [list(row) for row in table]
    for _ in range(chance.choice((1, 1, 3))):
        row = chance.choice(table)
        kind = chance.random()
        if row and kind < 0.7:
            row[chance.randrange(len(row))] = chance.choice(TEXTS)
        elif row and kind < 0.8:
            row.pop()
        elif kind < 0.9:
            row.append(chance.choice(TEXTS))
        else:
            table.insert(chance.randrange(len(table)), row)
    return table


def delimited(table: list[list[str]], delimiter: str) -> str:
    """The table as text."""
    out = io.StringIO()
    csv.writer(out, delimiter=delimiter, lineterminator="\n").writerows(table)
    return out.getvalue()


def values(payload: Any, chance: random.Random) -> Any:
    """JSON in which one value is another."""
    copy = json.loads(json.dumps(payload))
    place = copy
    while True:
        if not isinstance(place, dict | list) or not place:
            return copy
        key = chance.choice(list(place) if isinstance(place, dict) else range(len(place)))
        if not isinstance(place[key], dict | list) or chance.random() < 0.25:
            place[key] = chance.choice(VALUES)
            return copy
        place = place[key]


def _sample() -> pa.Table:
    file = catalog_path()
    return pq.read_table(next(file.rglob("*.parquet")) if file.is_dir() else file).slice(0, 40)


def parquet(folder: Path, chance: random.Random) -> Path:
    """Parquet with damaged bytes, or with a column of another type."""
    table, file = _sample(), folder / "photos.parquet"
    if chance.random() < 0.5:
        name = chance.choice(table.column_names)
        other = pa.array([chance.choice(TEXTS) for _ in range(table.num_rows)], pa.string())
        kinds = (other, pa.nulls(table.num_rows), pa.array([chance.uniform(-1e300, 1e300)] * table.num_rows))
        table = table.set_column(table.column_names.index(name), name, chance.choice(kinds))
        pq.write_table(table, file)
        return file
    pq.write_table(table, file)
    data = bytearray(file.read_bytes())
    for _ in range(chance.choice((1, 5, 50))):
        data[chance.randrange(len(data))] = chance.randrange(256)
    file.write_bytes(data)
    return file


def published_csv(folder: Path, chance: random.Random) -> Path:
    """The published columns as CSV."""
    table = _sample()
    rows = [["" if cell is None else str(cell) for cell in row.values()] for row in table.to_pylist()]
    file = folder / "photos.csv"
    file.write_text(delimited(cells([table.column_names, *rows], chance), ","), errors="replace")
    return file


def export(folder: Path, chance: random.Random) -> Path:
    """The export of iNaturalist's own site."""
    header = [
        "id",
        "observed_on",
        "user_login",
        "license",
        "image_url",
        "scientific_name",
        "taxon_genus_name",
    ]
    rows = [
        [str(n), "2020-05-04", "ann", "CC-BY", f"{BUCKET}/{n}/medium.jpg", "Turdus merula", "Turdus"]
        for n in range(1, 9)
    ]
    file = folder / "observations-1.csv"
    file.write_text(delimited(cells([header, *rows], chance), ","), errors="replace")
    return file


OBSERVATION = {
    "id": 7, "uuid": "u", "quality_grade": "research", "observed_on": "2020-05-04", "location": "1.5,2.5",
    "user": {"id": 5, "login": "ann", "name": None},
    "taxon": {
        "id": 17, "rank": "species", "name": "Turdus merula", "ancestor_ids": [1, 3, 17],
        "ancestors": [{"id": 1, "rank": "kingdom", "name": "Animalia"}],
    },
    "identifications": [{"taxon": {"id": 17, "rank": "species", "name": "Turdus merula"}}],
    "annotations": [{"controlled_attribute_id": 1, "controlled_value_id": 6, "vote_score": 0}],
    "photos": [{
        "id": 1, "url": f"{BUCKET}/1/square.jpg", "license_code": "cc0",
        "original_dimensions": {"width": 640, "height": 480},
    }],
}  # fmt: skip


def api(folder: Path, chance: random.Random) -> Path:
    """Answers of iNaturalist's API as lines, a list or a page."""
    good = [OBSERVATION | {"id": n} for n in range(1, 4)]
    several: list[Any] = [*good, values(OBSERVATION, chance), chance.choice((OBSERVATION, *VALUES))]
    form = chance.random()
    if form < 0.4:
        text = "".join(json.dumps(one) + "\n" for one in several)
    else:
        text = json.dumps(several if form < 0.7 else values({"total_results": 1, "results": several}, chance))
    if chance.random() < 0.3:
        at = chance.randrange(len(text))
        text = text[:at] + chance.choice(("", "[" * 100_000, "}", '"', "\x00")) + text[at + 1 :]
    file = folder / "observations.json"
    file.write_text(text, errors="replace")
    return file


META = (
    '<archive xmlns="http://rs.tdwg.org/dwc/text/"><core encoding="utf-8" ignoreHeaderLines="1" '
    'rowType="http://rs.tdwg.org/dwc/terms/Occurrence" fieldsTerminatedBy=","><files><location>a.csv'
    '</location></files><id index="0"/><field index="1" term="http://rs.tdwg.org/dwc/terms/scientificName"/>'
    '<field index="2" term="http://rs.tdwg.org/dwc/terms/genus"/></core><extension encoding="utf-8" '
    'ignoreHeaderLines="1" rowType="http://rs.gbif.org/terms/1.0/Multimedia" fieldsTerminatedBy=","><files>'
    '<location>b.csv</location></files><coreid index="0"/><field index="1" '
    'term="http://purl.org/dc/terms/identifier"/></extension></archive>'
)


def archive(folder: Path, chance: random.Random) -> Path:
    """A Darwin Core archive whose texts, descriptor or bytes are damaged."""
    occurrences = [["id", "name", "genus"], *([str(n), "Turdus merula", "Turdus"] for n in range(1, 6))]
    media = [["id", "url"], *([str(n), f"{BUCKET}/{n}/original.jpg"] for n in range(1, 6))]
    meta = META
    kind = chance.random()
    if kind < 0.4:
        parts = meta.split('"')
        at = chance.randrange(1, len(parts), 2)
        parts[at] = chance.choice(TEXTS).replace("<", "").replace("&", "")
        meta = '"'.join(parts)
    elif kind < 0.6:
        occurrences = cells(occurrences, chance)
    elif kind < 0.8:
        media = cells(media, chance)
    file = folder / "dwca.zip"
    with zipfile.ZipFile(file, "w") as packed:
        packed.writestr("meta.xml", meta.encode("utf-8", "replace"))
        packed.writestr("a.csv", delimited(occurrences, ",").encode("utf-8", "replace"))
        packed.writestr("b.csv", delimited(media, ",").encode("utf-8", "replace"))
    if kind >= 0.8:
        file.write_bytes(mutated(file.read_bytes(), chance))
    return file


def open_data(folder: Path, chance: random.Random) -> Path:
    """The four tables of iNaturalist Open Data."""
    tables = {
        "observations": [
            ["observation_uuid", "observer_id", "latitude", "longitude", "positional_accuracy", "taxon_id",
             "quality_grade", "observed_on"],
            *([f"{n:08x}-0000-4000-8000-000000000000", "5", "1.5", "2.5", "", "3", "research", "2020-05-04"]
              for n in range(1, 6)),
        ],
        "photos": [
            ["photo_uuid", "photo_id", "observation_uuid", "observer_id", "extension", "license", "width",
             "height", "position"],
            *([f"{n}", f"{n}", f"{n:08x}-0000-4000-8000-000000000000", "5", "jpg", "CC0", "640", "480", "0"]
              for n in range(1, 6)),
        ],
        "taxa": [
            ["taxon_id", "ancestry", "rank_level", "rank", "name", "active"],
            ["1", "48460", "70", "kingdom", "Animalia", "true"],
            ["2", "48460/1", "20", "genus", "Turdus", "true"],
            ["3", "48460/1/2", "10", "species", "Turdus merula", "true"],
        ],
        "observers": [["observer_id", "login", "name"], ["5", "ann", "Ann"]],
    }  # fmt: skip
    name = chance.choice(list(tables))
    tables[name] = cells(tables[name], chance)
    for table, rows in tables.items():
        (folder / f"{table}.csv").write_text(delimited(rows, "\t"), errors="replace")
    return folder


SOURCES: tuple[Callable[[Path, random.Random], Path], ...] = (
    parquet,
    published_csv,
    export,
    api,
    archive,
    open_data,
)


def balance_of(built: Path) -> int:
    """Rows that a catalogue holds or lists as left out."""
    catalog = open_catalog(built)
    ((listed,),) = catalog.rows("SELECT coalesce(sum(rows), 0) FROM rejected")
    return len(catalog) + int(str(listed))


def fuzz_sources(count: int, seed: int, folder: Path) -> Counter[str]:
    """Builds catalogues of so many hostile sources."""
    found = Counter[str]()
    for number in range(count):
        make = SOURCES[number % len(SOURCES)]
        work = folder / f"source-{number}"
        (work / "source").mkdir(parents=True)
        source, built = make(work / "source", random.Random(f"{seed}/{number}")), work / "built"
        report = None
        try:
            report = build_catalog(source, built)
            balance = balance_of(built) - report.defects.rows
        except ArboretumError:
            balance = 0
        except Exception:
            print(f"source {number}, seed {seed}: {source}")
            raise
        if balance or (report is None and built.exists()):
            raise SystemExit(
                f"source {number}, seed {seed}: rows that are neither kept nor listed: {balance}"
            )
        found[f"{make.__name__}: {'built' if report else 'refused'}"] += 1
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--photos", type=int, default=10_000)
    parser.add_argument("--sources", type=int, default=400)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="arboretum-fuzz-") as folder:
        found = fuzz_photos(options.photos, random.Random(options.seed), Path(folder))
        found += fuzz_sources(options.sources, options.seed, Path(folder))
    print(f"{time.monotonic() - began:.0f} s, seed {options.seed}: no traceback, nothing half-done")
    for name, count in sorted(found.items()):
        print(f"{count:>8,} {name}")


if __name__ == "__main__":
    main()
