"""Tables as data frames."""

import pyarrow as pa

from arboretum_tools.tabular.tables import to_frame

SCHEMA = pa.schema(
    [
        pa.field("photo_id", pa.int64(), nullable=False),
        pa.field("observation_id", pa.int64()),
        pa.field("width", pa.int32()),
        pa.field("latitude", pa.float64()),
    ]
)

# The first 8 bytes of a UUID, top bit cleared: no double holds it.
ID = 2**62 + 1


def test_whole_numbers_stay_whole_beside_unknown_ones():
    frame = to_frame(
        pa.table([[1, 2], [ID, None], [None, 2048], [None, 1.5]], schema=SCHEMA),
    )
    assert [str(kind) for kind in frame.dtypes] == ["int64", "Int64", "Int32", "float64"]
    assert frame["observation_id"][0] == ID
    assert frame["observation_id"].isna().tolist() == [False, True]
    assert frame["width"].dropna().tolist() == [2048]


def test_types_do_not_depend_on_what_is_unknown():
    some = to_frame(pa.table([[1], [None], [None], [None]], schema=SCHEMA))
    none = to_frame(pa.table([[1], [5], [5], [5.0]], schema=SCHEMA))
    assert some.dtypes.equals(none.dtypes)
