"""Cells that a spreadsheet would run: the same ones in single cells and in batches."""

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from arboretum_tools.tabular.spreadsheets import plain, plain_batch

TEXTS = st.one_of(
    st.text(max_size=5), st.builds(str.__add__, st.sampled_from("=+-@\t\r＝＋－＠'a "), st.text())
)


@given(st.lists(TEXTS))
def test_a_batch_has_the_cells_that_single_ones_become(texts):
    batch = pa.RecordBatch.from_pydict({"text": pa.array(texts, pa.string()), "n": range(len(texts))})
    got = plain_batch(batch)
    assert got["text"].to_pylist() == [plain(text) for text in texts]
    assert got["n"].to_pylist() == list(range(len(texts)))


@given(TEXTS)
def test_no_cell_begins_as_a_formula_and_no_text_is_lost(text):
    cell = plain(text)
    assert cell[:1] not in tuple("=+-@\t\r＝＋－＠")
    assert cell in (text, f"'{text}")
