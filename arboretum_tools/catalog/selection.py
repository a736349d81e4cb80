"""A selection: a catalogue and what to take of it. Lazy: every question runs one query."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from arboretum_metadata.schema import SELECTION, SPECIES
from arboretum_tools.catalog.explanation import Explanation, emptied_by, explain
from arboretum_tools.catalog.saving import check_file, save_rows
from arboretum_tools.display import notebook_views
from arboretum_tools.errors import UsageError
from arboretum_tools.photos.criteria import Criteria
from arboretum_tools.photos.photo_ids import PhotoIds
from arboretum_tools.photos.photo_plan import COLUMNS, PhotoPlan
from arboretum_tools.stable_key import key_sql
from arboretum_tools.tabular.query import identifier
from arboretum_tools.tabular.tables import arrow_schema, to_frame
from arboretum_tools.taxa.identity import joined_slugs
from arboretum_tools.wording import counted

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from arboretum_tools.catalog.catalog import Catalog

#: Key under which a selection's recipe says how it was made.
RECIPE_VERSION = 1

# Species that a notebook shows.
_SHOWN = 10

_SPECIES_COUNT = "class_key, scientific_name, common_name, n_selected, n_catalog"


@dataclass(frozen=True, slots=True)
class SpeciesCount:
    """A species class and its photos.

    Attributes:
        class_key: its identity.
        scientific_name: genus and epithet.
        common_name: English; None where unknown.
        n_selected: photos of the selection.
        n_catalog: photos of the whole catalogue.
    """

    class_key: str
    scientific_name: str
    common_name: str | None
    n_selected: int
    n_catalog: int


@dataclass(frozen=True, repr=False)
class Selection:
    """The photos of a catalogue that pass any of some criteria.

    Attributes:
        catalog: where the photos stand.
        criteria: at least one.
    """

    catalog: Catalog
    criteria: tuple[Criteria, ...]

    @cached_property
    def explanation(self) -> Explanation:
        """Its SQL, parameters and English."""
        return explain(self.catalog, self.criteria, self.source("photos"))

    @cached_property
    def emptied_by(self) -> tuple[str, ...]:
        """For each of the criteria that no photo passes, the first filter that leaves none, as a sentence."""
        return tuple(filter(None, (emptied_by(self.catalog, one) for one in self.criteria)))

    def why_empty(self) -> str:
        """The filters that leave none, as a phrase; asked of a selection of no photo.

        >>> import arboretum_tools as at
        >>> at.open_catalog("catalog").select("Aves", min_photos=5000).why_empty()[:45]
        "the filter 'species with at least 5,000 photo"
        """
        return "; ".join(self.emptied_by)

    def __repr__(self) -> str:
        # Asks the catalogue nothing, as its English would.
        return f"Selection(catalog={str(self.catalog.path)!r}, any_of={self.recipe()['any_of']!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        # What was asked of the catalogue is asked again where this arrives.
        return (Selection, (self.catalog, self.criteria))

    def __or__(self, other: object) -> Selection:
        """The photos of either selection."""
        if not isinstance(other, Selection):
            return NotImplemented
        self._refuse_another_catalog(other)
        return Selection(self.catalog, tuple(dict.fromkeys((*self.criteria, *other.criteria))))

    def __and__(self, other: object) -> Selection:
        """The photos of both selections, as a list: 8 bytes of memory each."""
        if not isinstance(other, Selection):
            return NotImplemented
        self._refuse_another_catalog(other)
        return self._of_ids(f"photo_id IN (SELECT photo_id FROM ({other.query('photo_id')[0]}))", other)

    def __sub__(self, other: object) -> Selection:
        """The photos of this selection that the other lacks, as a list: 8 bytes of memory each."""
        if not isinstance(other, Selection):
            return NotImplemented
        self._refuse_another_catalog(other)
        return self._of_ids(f"photo_id NOT IN (SELECT photo_id FROM ({other.query('photo_id')[0]}))", other)

    def sample(self, n: int, seed: int = 0) -> Selection:
        """Some of the photos, as a list: those smallest by key, the same everywhere.

        Args:
            n: how many; all where there are fewer.
            seed: another seed, another sample.

        Raises:
            UsageError: n is below 1.

        >>> import arboretum_tools as at
        >>> birds = at.open_catalog("catalog").select("Aves")
        >>> len(birds.sample(10)), len(birds.sample(10) & birds.sample(10, seed=1))
        (10, 0)
        """
        if n < 1:
            raise UsageError(f"a sample has 1 photo or more, not {n}")
        return self._of_ids(
            "true", order=f"ORDER BY {key_sql('photo_id', 'limit', seed)}, photo_id LIMIT {n:d}"
        )

    def _refuse_another_catalog(self, other: Selection) -> None:
        ours, theirs = self.catalog, other.catalog
        if ours is not theirs and ours.path.resolve() != theirs.path.resolve():
            raise UsageError(
                f"selections of two catalogues cannot be combined: {ours.path} and {theirs.path}",
                hint="Select both in one of them.",
            )

    def _of_ids(self, where: str, *others: Selection, order: str = "") -> Selection:
        """The photos of this selection that meet a condition, with the parameters of other selections."""
        import pyarrow as pa

        sql, parameters = self.query("photo_id", where=where)
        values = (*parameters, *(value for other in others for value in other.query("photo_id")[1]))
        table = self.catalog.table(f"{sql} {order}", values)
        ids = PhotoIds.of(table["photo_id"].combine_chunks().cast(pa.int64()))
        return Selection(self.catalog, (Criteria(photo_ids=ids, quality_grade="any"),))

    def _repr_html_(self) -> str:
        counts = self.summary()
        rows = [
            (one.scientific_name, one.common_name, one.n_selected, one.n_catalog)
            for one in self.species(_SHOWN)
        ]
        more = counts["classes"] - len(rows)
        return notebook_views.card(
            self.english,
            notebook_views.line(f"{counted(counts['photos'], 'photo')} of {counts['classes']:,} species"),
            notebook_views.table(("species", "common name", "photos", "in catalogue"), rows),
            notebook_views.line(f"and {more:,} more") if more else "",
        )

    @property
    def english(self) -> str:
        """What is selected, in one line."""
        return self.explanation.english

    @property
    def label(self) -> str:
        """A short name for files: the names of the taxa, as `joined_slugs` has them, or `all`."""
        if any(not one.taxa for one in self.criteria):
            return "all"
        return joined_slugs(taxon.name for one in self.criteria for taxon in one.taxa) or "all"

    def recipe(self) -> dict[str, Any]:
        """How it is made, as JSON: version and criteria; no path, time or host.

        >>> import arboretum_tools as at
        >>> birds = at.open_catalog("catalog").select("Aves")
        >>> birds.recipe()
        {'version': 1, 'any_of': [{'taxa': ['class:Aves']}]}
        """
        return {"version": RECIPE_VERSION, "any_of": [one.recipe() for one in self.criteria]}

    def query(
        self, columns: str = "*", *, where: str = "true", relation: str = "photos"
    ) -> tuple[str, tuple[Any, ...]]:
        """A query for columns of the selected rows of `photos`, and its parameters.

        Args:
            columns: an SQL select list over `photos`.
            where: a further condition of ours on `photos`.
            relation: `photos`, or `Catalog.photos_alone` where no column is asked that a taxon has.

        >>> import arboretum_tools as at
        >>> birds = at.open_catalog("catalog").select("Aves")
        >>> sql, parameters = birds.query("photo_id")
        >>> sql.startswith("SELECT photo_id FROM")
        True
        """
        found = self.explanation
        source = self.source(relation)
        return f"SELECT {columns} FROM {source} WHERE ({found.condition}) AND ({where})", found.parameters

    def source(self, relation: str) -> str:
        """What to read for one of the relations that `tally` or `query` name: the files that may matter."""
        if relation == "counts" or not all(one.taxa for one in self.criteria):
            return relation
        return self.catalog.narrowed(relation, (taxon for one in self.criteria for taxon in one.taxa))

    def tally(self, known: str) -> tuple[str, str]:
        """The relation that counts this selection, and how it counts photos whose `known` is not null.

        That is `counts`, which has a row for each kind of photo, where catalogue and criteria allow, and
        else `photos`. Both take the same condition.
        """
        if not (self.catalog.counted and all(one.by_counts for one in self.criteria)):
            return "photos", f"count({known})"
        if known == "observation_id":
            return "counts", "coalesce(sum(n_observation), 0)"
        where = "" if known == "*" else f" FILTER ({known} IS NOT NULL)"
        return "counts", f"coalesce(sum(n){where}, 0)"

    def count(self) -> int:
        """Number of photos.

        >>> import arboretum_tools as at
        >>> birds = at.open_catalog("catalog").select("Aves")
        >>> birds.count()
        1436
        """
        relation, photos = self.tally("*")
        found = self.explanation
        sql = f"SELECT {photos} FROM {self.source(relation)} WHERE {found.condition}"
        count = int(str(self.catalog.rows(sql, found.parameters)[0][0]))
        if not count and self.emptied_by:
            self.catalog.note(f"no photo is selected: {self.why_empty()}")
        return count

    def __len__(self) -> int:
        return self.count()

    def summary(self) -> dict[str, int]:
        """Counts: photos, classes, and photos without class, licence, life stage, observation.

        >>> import arboretum_tools as at
        >>> birds = at.open_catalog("catalog").select("Aves")
        >>> birds.summary()["classes"]
        28
        """
        _, photos = self.tally("*")
        known = {column: self.tally(column)[1] for column in ("license", "life_stage", "observation_id")}
        missing = ", ".join(f"{photos} - {count} AS no_{column}" for column, count in known.items())
        sums = ", ".join(f"coalesce(sum(no_{column}), 0)" for column in known)
        counts = self.catalog.rows(
            "SELECT coalesce(sum(photos), 0), count(DISTINCT class_key), "
            f"coalesce(sum(photos) FILTER (class_key IS NULL), 0), {sums} "
            f"FROM {self._by_taxon(f'{photos} AS photos, {missing}')}",
            self.explanation.parameters,
        )[0]
        names = ("photos", "classes", "no_class", "no_license", "no_life_stage", "no_observation")
        return {name: int(str(count)) for name, count in zip(names, counts, strict=True)}

    def species_sql(self) -> tuple[str, tuple[Any, ...]]:
        """A query for what `SpeciesCount` has and the rest of `classes`, and its parameters; in no order."""
        if self.explanation.everything:
            return "SELECT *, n_catalog AS n_selected FROM classes", ()
        _, photos = self.tally("*")
        return (
            "SELECT * FROM (SELECT class_key, sum(photos)::BIGINT AS n_selected "
            f"FROM {self._by_taxon(f'{photos} AS photos')} WHERE class_key IS NOT NULL GROUP BY class_key) "
            "JOIN classes USING (class_key)",
            self.explanation.parameters,
        )

    def _by_taxon(self, counted: str) -> str:
        """A table expression: class_key, NULL outside of classes, and what is counted; some rows per class.

        Where `counts` counts, taxa are numbers until all is summed up, and a name is read once a taxon.
        """
        relation, _ = self.tally("*")
        key = "tax" if relation == "counts" else "class_key"
        where = f"FROM {self.source(relation)} WHERE {self.explanation.condition}"
        sums = f"(SELECT {key}, {counted} {where} GROUP BY {key})"
        return f"{sums} JOIN (SELECT tax, class_key FROM taxa) USING (tax)" if key == "tax" else sums

    def species(self, most: int, *, last: bool = False) -> list[SpeciesCount]:
        """Species by their photos, most first, ties by class_key: those at the head of that order.

        Args:
            most: how many at most.
            last: those at its end instead, in the same order.

        >>> import arboretum_tools as at
        >>> birds = at.open_catalog("catalog").select("Aves")
        >>> [(one.scientific_name, one.n_selected) for one in birds.species(2)]
        [('Passer domesticus', 320), ('Turdus merula', 175)]
        """
        sql, parameters = self.species_sql()
        order = "n_selected, class_key DESC" if last else "n_selected DESC, class_key"
        found = self.catalog.rows(
            f"SELECT {_SPECIES_COUNT} FROM ({sql}) ORDER BY {order} LIMIT ?", (*parameters, most)
        )
        rows: list[Any] = found[::-1] if last else found
        return [SpeciesCount(*row) for row in rows]

    def species_counts(self) -> pd.DataFrame:
        """Photos per species class, most first, ties by class_key.

        Returns:
            Columns class_key, scientific_name, common_name, n_selected, n_catalog.

        >>> import arboretum_tools as at
        >>> birds = at.open_catalog("catalog").select("Aves")
        >>> birds.species_counts()["n_selected"].sum()
        np.int64(1436)
        """
        counts: pd.DataFrame = self.species_table().to_pandas()
        return counts

    def species_table(self) -> pa.Table:
        """`species_counts` as an Arrow table, which takes no pandas.

        >>> import arboretum_tools as at
        >>> birds = at.open_catalog("catalog").select("Aves")
        >>> birds.species_table().num_rows
        28
        """
        sql, parameters = self.species_sql()
        return self.catalog.table(
            f"SELECT {_SPECIES_COUNT} FROM ({sql}) ORDER BY n_selected DESC, class_key", parameters
        )

    def species_batches(self) -> Iterator[pa.RecordBatch]:
        """Every species with its counts, names, lineage and taxon_id, the columns of `schema.SPECIES`.

        >>> import arboretum_tools as at
        >>> birds = at.open_catalog("catalog").select("Aves")
        >>> sum(batch.num_rows for batch in birds.species_batches())
        28
        """
        import pyarrow as pa

        schema = arrow_schema(SPECIES)
        sql, parameters = self.species_sql()
        columns = ", ".join(identifier(name) for name in schema.names)
        order = "ORDER BY n_selected DESC, class_key"
        for batch in self.catalog.batches(f"SELECT {columns} FROM ({sql}) {order}", parameters):
            cast = [batch.column(field.name).cast(field.type) for field in schema]
            yield pa.RecordBatch.from_arrays(cast, schema=schema)

    def save_species(self, path: str | Path, *, overwrite: bool = False) -> int:
        """Writes every species with its counts, names and ids, and returns how many they are.

        Args:
            path: a file ending in `.csv`, `.parquet` or `.json`.
            overwrite: replace a file that is there.

        Raises:
            UsageError: the name ends in something else.
            TargetExistsError: the file is there and may not be replaced, or lies in the catalogue.

        >>> import arboretum_tools as at
        >>> birds = at.open_catalog("catalog").select("Aves")
        >>> birds.save_species("species.csv", overwrite=True)
        28
        """
        path = Path(path)
        check_file(path, (".csv", ".parquet", ".json"), self.catalog.path, overwrite=overwrite)
        return save_rows(path, self.species_batches(), SPECIES, {"selection": self.recipe()})

    def to_arrow(self) -> pa.Table:
        """All selected rows with all columns, photo_id ascending. Memory grows with the selection.

        >>> import arboretum_tools as at
        >>> birds = at.open_catalog("catalog").select("Aves")
        >>> birds.to_arrow().num_rows
        1436
        """
        import pyarrow as pa

        return pa.Table.from_batches(self.batches(), schema=_photo_schema())

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """What polars, DuckDB and others read `to_arrow` by: `polars.DataFrame(selection)`."""
        return self.to_arrow().__arrow_c_stream__(requested_schema)

    def to_pandas(self) -> pd.DataFrame:
        """`to_arrow` as a data frame; whole numbers that may be unknown are `Int64` and `Int32`.

        >>> import arboretum_tools as at
        >>> birds = at.open_catalog("catalog").select("Aves")
        >>> birds.to_pandas()["genus"].nunique()
        26
        """
        return to_frame(self.to_arrow())

    def batches(self) -> Iterator[pa.RecordBatch]:
        """All selected rows with all columns, photo_id ascending, streamed.

        >>> import arboretum_tools as at
        >>> birds = at.open_catalog("catalog").select("Aves")
        >>> sum(batch.num_rows for batch in birds.batches())
        1436
        """
        import pyarrow as pa

        schema = _photo_schema()
        columns = ", ".join("url AS photo_url" if n == "photo_url" else f'"{n}"' for n in schema.names)
        sql, parameters = self.query(columns)
        for batch in self.catalog.batches(f"{sql} ORDER BY photo_id", parameters):
            cast = [batch.column(f.name).cast(f.type) for f in schema]
            yield pa.RecordBatch.from_arrays(cast, schema=schema)

    def plan(self) -> PhotoPlan:
        """What a download of these photos fetches."""
        source = {"kind": "selection", "english": self.english, "criteria": self.recipe()}
        return PhotoPlan(self._plan_batches, source)

    def _plan_batches(self) -> Iterator[pa.RecordBatch]:
        sql, parameters = self.query(", ".join(COLUMNS))
        yield from self.catalog.batches(f"{sql} ORDER BY photo_id", parameters)

    def count_classes(self) -> int:
        """Species classes among these photos."""
        return self.summary()["classes"]

    def count_by(self, *columns: str) -> list[tuple[Any, ...]]:
        """Photos by the values of some columns: the values and how many, each combination once."""
        keys = ", ".join(map(identifier, columns))
        sql, parameters = self.query(f"{keys}, count(*)")
        return self.catalog.rows(f"{sql} GROUP BY {keys}", parameters)

    def save(self, path: str | Path, *, overwrite: bool = False) -> int:
        """Writes the selected rows and returns how many they are.

        `photo_url` is set only where id and extension do not give it.

        Args:
            path: a file ending in `.parquet`, which also holds recipe and fingerprint, or in `.csv`, with
                the rows alone, and an apostrophe before text that a spreadsheet would run (`spreadsheets`).
            overwrite: replace a file that is there.

        Raises:
            UsageError: the name ends in something else.
            TargetExistsError: the file is there and may not be replaced, or lies in the catalogue.

        >>> import arboretum_tools as at
        >>> birds = at.open_catalog("catalog").select("Aves")
        >>> birds.save("birds.parquet", overwrite=True)
        1436
        """
        path = Path(path)
        check_file(path, (".parquet", ".csv"), self.catalog.path, overwrite=overwrite)
        provenance: Mapping[str, Any] = {
            "selection": self.recipe(),
            "english": self.english,
            "catalog": {"rows": len(self.catalog), "fingerprint": self.catalog.fingerprint},
        }
        return save_rows(path, self.batches(), SELECTION, provenance)


def _photo_schema() -> pa.Schema:
    return arrow_schema(SELECTION)
