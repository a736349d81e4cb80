"""What the near-duplicate check finds, what it takes for near-duplicates by mistake, and what it costs.

    python benchmarks/catalogs_and_splits/near_duplicates.py --photos 200 --first 1001 [--folder DIR]

Draws so many photos of each kind (`arboretum_tools.testing.copies`), or takes the first ones of a folder, by
name, as squares, and makes seven copies of each. A copy is found if it is paired with its photo. False alarms
are counted among photos without copies: the photos that are in any pair, and the pairs of all. The thresholds
were chosen on drawings up to number 310 and 1001 to 2150; others are held out.
"""

from __future__ import annotations

import argparse
import io
import json
import sys
import tempfile
import time
from pathlib import Path

from PIL import Image, ImageOps

from arboretum_tools.near_duplicates import near_duplicate_pairs
from arboretum_tools.photos.photo_ids import PhotoIds
from arboretum_tools.store import ImageStore
from arboretum_tools.store.shards.layout import StoreConfig
from arboretum_tools.store.writer import StoreWriter
from arboretum_tools.testing.copies import HOW, KINDS, SIDE, copies

# Photos that are compared beside their copies: few, as what others are paired with is counted by itself.
_BESIDE = 4


def pairs_of(photos: dict[int, bytes]) -> tuple[set[tuple[int, int]], float]:
    """The pairs that are found among some photos, and the seconds that took."""
    with tempfile.TemporaryDirectory() as folder:
        with StoreWriter.create(Path(folder) / "images", StoreConfig(size="small")) as writer:
            for photo_id, data in photos.items():
                writer.add_image(photo_id, data)
        start = time.perf_counter()
        found = near_duplicate_pairs(ImageStore.open(Path(folder) / "images"), PhotoIds.of(photos))
        seconds = time.perf_counter() - start
    return {*zip(found["photo_id"].to_pylist(), found["other_id"].to_pylist(), strict=True)}, seconds


def square(path: Path) -> bytes:
    """The middle of a photo, as large as what is drawn."""
    out = io.BytesIO()
    with Image.open(path) as image:
        image.draft("RGB", (2 * SIDE, 2 * SIDE))
        ImageOps.fit(image.convert("RGB"), (SIDE, SIDE)).save(out, "JPEG", quality=92)
    return out.getvalue()


def main() -> None:
    """Measures, and prints a table and JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--photos", type=int, default=200, help="of each kind")
    parser.add_argument("--first", type=int, default=1, help="number of the first drawing")
    parser.add_argument("--kinds", nargs="*", choices=list(KINDS), default=list(KINDS), help="what is drawn")
    parser.add_argument("--folder", type=Path, help="of photographs, measured besides")
    asked = parser.parse_args()
    results: dict[str, dict[str, float]] = {}
    kinds = {
        kind: [KINDS[kind](n) for n in range(asked.first, asked.first + asked.photos)] for kind in asked.kinds
    }
    if asked.folder:
        kinds[asked.folder.name] = [square(path) for path in sorted(asked.folder.iterdir())[: asked.photos]]
    for kind, drawn in kinds.items():
        pictures = dict(enumerate(drawn, start=1))
        count = len(pictures)
        copied = {number: copies(data, number) for number, data in pictures.items()}
        alone, seconds = pairs_of(pictures)
        alarmed = {photo for pair in alone for photo in pair}
        results[kind] = {"false_alarms": len(alarmed) / count, "false_pairs": len(alone)}
        results[kind]["pairs"] = count * (count - 1) // 2
        results[kind]["ms_a_photo"] = 1000 * seconds / count
        for how in HOW:
            found = 0
            for start in range(1, count + 1, _BESIDE):
                some = range(start, min(start + _BESIDE, count + 1))
                both = {n: pictures[n] for n in some} | {n + 10**6: copied[n][how] for n in some}
                pairs, _ = pairs_of(both)
                found += sum((n, n + 10**6) in pairs for n in some)
            results[kind][how] = found / count
        print(kind, json.dumps(results[kind]), file=sys.stderr, flush=True)
    print("| photos | " + " | ".join(HOW) + " | photos in a false pair | false pairs of all | ms per photo |")
    print("|---" * (len(HOW) + 4) + "|")
    for kind, one in results.items():
        recall = " | ".join(f"{100 * one[how]:.1f} %" for how in HOW)
        alarms = f"{100 * one['false_alarms']:.1f} % | {one['false_pairs']:.0f} of {one['pairs']:,.0f}"
        print(f"| {kind} | {recall} | {alarms} | {one['ms_a_photo']:.1f} |")


if __name__ == "__main__":
    main()
