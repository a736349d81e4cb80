"""How smoothly the page's grid of photos scrolls, in a real Chromium.

    python benchmarks/exports/scrolling.py [--photos 100000] [--seconds 5] [--folder DIR]

The store holds real JPEGs of 240 x 180 pixels. The grid is scrolled from within the page by a fixed distance
a frame, from the head and from the middle, and once in jumps over the whole list; what is counted are the
frames that Chromium drew (requestAnimationFrame, at most 60 a second). It runs without a GPU, so it draws by
the processor, beside the server and whatever else the machine does.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import photos

import arboretum_tools as at

SCROLL = """
new Promise((done) => {
  const list = document.querySelector(".grid");
  list.scrollTop = %(start)s * (list.scrollHeight - list.clientHeight);
  const times = [];
  let empty = 0, seen = 0;
  const begun = performance.now();
  function frame(now) {
    times.push(now);
    const cells = [...document.querySelectorAll(".cell")];
    seen += cells.length;
    empty += cells.filter((cell) => cell.dataset.empty).length;
    if (%(jump)s) list.scrollTop = Math.random() * list.scrollHeight;
    else list.scrollTop += %(pixels)s;
    if (now - begun < 1000 * %(seconds)s) requestAnimationFrame(frame);
    else {
      const gaps = times.slice(1).map((time, i) => time - times[i]).sort((a, b) => a - b);
      done({ fps: (1000 * gaps.length) / (times.at(-1) - times[0]),
             slow: gaps[Math.floor(0.95 * gaps.length)],
             empty: empty / Math.max(1, seen), cells: document.querySelectorAll(".cell").length });
    }
  }
  requestAnimationFrame(frame);
})
"""


def chromium() -> Any:
    """The driver that the tests of the page use."""
    file = Path(__file__).parents[2] / "tests" / "browser" / "chromium.py"
    spec = importlib.util.spec_from_file_location("chromium_driver", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["chromium_driver"] = module
    spec.loader.exec_module(module)
    return module.Chromium()


def main() -> None:
    """Makes the store, opens the page and scrolls."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--folder", type=Path, help="keep what is made here")
    asked = parser.parse_args()
    folder = asked.folder or Path(tempfile.mkdtemp())
    split = photos.make_split(asked.photos)
    if not (folder / "images").exists():
        photos.make_store(folder / "images", split, photos.pictures((240, 180), 12_000))
    with (
        at.browse(split, images=folder / "images", marks=folder / "m.csv", port=0, open=False) as page,
        chromium() as browser,
    ):
        page.ready()
        browser.size(1440, 900)
        browser.open(f"{page.url}#photos")
        browser.until("[...document.querySelectorAll('.cell img')].filter((i) => i.naturalWidth).length > 20")
        for name, start, pixels, jump in (
            ("a screen a second, from the head", 0, 15, False),
            ("four screens a second, from the middle", 0.5, 60, False),
            ("jumps over the whole list", 0, 0, True),
        ):
            script = SCROLL % {
                "start": start,
                "pixels": pixels,
                "jump": str(jump).lower(),
                "seconds": asked.seconds,
            }
            found = browser.run(script)
            print(
                f"{name}: {found['fps']:.0f} frames a second, 95 % of them within {found['slow']:.0f} ms; "
                f"{found['cells']} cells, {found['empty']:.0%} of them not filled yet"
            )
        browser.open("about:blank")
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    print(f"{os.cpu_count()} cores, load {load}")


if __name__ == "__main__":
    main()
