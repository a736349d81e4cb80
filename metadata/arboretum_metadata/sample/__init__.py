"""The bundled sample catalogue: real names and lineages, invented photos.

`photos.parquet` is a small catalogue in the raw layout, made by `build.py` out of `species.csv`. Photos,
observations and observers in it are invented and exist nowhere; the images that the test kit's origin
server gives for them are drawn. README.md in this folder says what is in it and where the names are from.
"""

from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType

#: No row of the sample has a photo id below this one, so none can be taken for a photo of iNaturalist (the
#: defects `photo_id_not_positive` aside). All are above 2^32, so the upper half of an id matters.
FIRST_PHOTO_ID = 9_000_000_001

#: The ids that photos of the sample may have, now and later. Their images are drawn.
PHOTO_IDS = range(FIRST_PHOTO_ID, FIRST_PHOTO_ID + 1_000_000)

#: Defects put into the sample on purpose, as the published metadata have them, and how many of each:
#: extra rows for the first three, rows for the others.
DEFECTS: Mapping[str, int] = MappingProxyType(
    {
        "exact_duplicate": 3,
        "photo_id_twice_in_one_class": 2,
        "photo_id_in_two_classes": 1,
        "photo_id_not_positive": 2,
        "kingdom_missing": 1,
        "extension_unknown": 1,
        "control_character_in_common_name": 1,
    }
)


def catalog_path() -> Path:
    """The folder with the bundled sample's `photos.parquet`: a catalogue in the raw layout."""
    # Packages are installed unzipped (wheels always, by PEP 427), so the resource is a real folder.
    return Path(str(files("arboretum_metadata.sample"))) / "catalog"
