"""JPEGs in which one bit of the pixels was flipped: how many `verify --decode` and others find, at what cost.

    python benchmarks/reliability/bit_flips.py [--flips 500] [--seed 0]

Photos of 500 x 375 pixels, coarse colours with fine noise, are written in four ways; of each, one bit behind
the start of the first scan is flipped, four times anew. Counted is who reports the damage: Pillow when it
decodes, the look at the markers alone, and `pixel_damage`, which `verify --decode` and `download --check
decode` use. Where nobody does, it is counted too whether Pillow gives other pixels at all.
"""

from __future__ import annotations

import argparse
import io
import random
import time
from collections import Counter

import numpy as np
from PIL import Image

from arboretum_tools.imaging.image_format import NotWholeError, inspect, scan_damage
from arboretum_tools.imaging.pixel_damage import pixel_damage

#: What Pillow is told when it writes a photo.
KINDS: dict[str, dict[str, object]] = {
    "baseline, quality 85, 4:2:0": {"quality": 85, "subsampling": 2},
    "baseline, quality 95, 4:4:4": {"quality": 95, "subsampling": 0},
    "progressive, quality 85": {"quality": 85, "progressive": True},
    "with restart markers, quality 85": {"quality": 85, "restart_marker_rows": 1},
}
FLIPS_A_PHOTO = 4


def photo(seed: int, options: dict[str, object]) -> bytes:
    """A JPEG that is about as hard to code as a photo."""
    draw = np.random.default_rng(seed)
    coarse = draw.normal(128, 60, (46, 62, 3)).clip(0, 255).astype(np.uint8)
    pixels = np.asarray(Image.fromarray(coarse).resize((500, 375), Image.Resampling.BICUBIC), dtype=np.int16)
    noisy = (pixels + draw.normal(0, 6, pixels.shape)).clip(0, 255).astype(np.uint8)
    out = io.BytesIO()
    Image.fromarray(noisy).save(out, "JPEG", **options)
    return out.getvalue()


def pixels_of(data: bytes) -> bytes | None:
    """What Pillow decodes; None where it refuses."""
    try:
        return Image.open(io.BytesIO(data)).convert("RGB").tobytes()
    except (OSError, ValueError, SyntaxError):
        return None


def looked_at(flips: int, seed: int, options: dict[str, object]) -> tuple[Counter[str], float]:
    """What was found of so many flips, and the seconds that a look at a whole photo takes."""
    chance, found, seconds = random.Random(seed), Counter[str](), 0.0
    photos = -(-flips // FLIPS_A_PHOTO)
    for number in range(photos):
        whole = photo(number, options)
        began = time.perf_counter()
        alarm = pixel_damage(whole)
        seconds += time.perf_counter() - began
        found["false alarms"] += bool(alarm)
        right, scan = pixels_of(whole), whole.index(b"\xff\xda")
        for _ in range(FLIPS_A_PHOTO):
            at, bit = chance.randrange(scan + 14, len(whole) - 2), chance.randrange(8)
            data = whole[:at] + bytes([whole[at] ^ 1 << bit]) + whole[at + 1 :]
            try:
                inspect(data)
            except NotWholeError:
                found["bytes"] += 1
            now = pixels_of(data)
            found["Pillow"] += now is None
            found["markers"] += bool(scan_damage(data))
            seen = bool(pixel_damage(data))
            found["pixel_damage"] += seen
            found["unseen, other pixels"] += not seen and now != right
    return found, seconds / photos


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--flips", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    for kind, how in KINDS.items():
        found, seconds = looked_at(options.flips, options.seed, how)
        print(f"{kind}: {seconds * 1e3:.1f} ms per photo; " + ", ".join(f"{n} {k}" for k, n in found.items()))


if __name__ == "__main__":
    main()
