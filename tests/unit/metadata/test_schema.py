"""The data dictionary: every column explained, every type one that the library writes."""

import pytest

from arboretum_metadata.schema import CATALOG, CATALOG_REQUIRED, PART, TABLES
from arboretum_metadata.vocab import RANKS
from arboretum_tools.tabular.tables import arrow_schema

tables = pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)


@tables
def test_every_type_maps_to_arrow_in_the_same_order(table):
    schema = arrow_schema(table)
    assert tuple(schema.names) == table.names
    assert [field.nullable for field in schema] == [column.nullable for column in table.columns]


@tables
def test_every_column_is_named_once_and_explained(table):
    spellings = [name for column in table.columns for name in (column.name, *column.also)]
    assert len(spellings) == len(set(spellings))
    assert all(column.meaning.endswith(".") for column in table.columns)
    assert table.meaning
    assert table.order


@tables
def test_a_column_is_found_by_its_name(table):
    assert table[table.names[-1]].name == table.names[-1]
    with pytest.raises(KeyError):
        table["no such column"]


def test_the_catalogue_has_every_rank_as_a_column():
    assert set(RANKS) <= set(CATALOG.names)


def test_what_a_catalogue_needs_are_columns_of_it():
    assert set(CATALOG_REQUIRED) < set(CATALOG.names)


def test_columns_of_a_part_mean_the_same_as_in_the_catalogue():
    for name in ("observation_id", "observer_name", "license", "latitude"):
        assert PART[name] == CATALOG[name]
