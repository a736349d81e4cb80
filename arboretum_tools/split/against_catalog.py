"""A split against a catalogue: whether its rows are the catalogue's, and its parts what the recipe draws.

What files alone can prove stands in `audit`, which shares no code with what makes splits. This part draws the
split once more with the code that makes splits: it proves that nothing was chosen by hand, not that the
drawing is right.

Where the catalogue is the one that the split names (by its fingerprint), everything must agree. A later one
may have lost photos, or have them under other names, and what that moves is counted apart: a class whose
photos are what they were has the same hold-out, and a class that the catalogue still has was not renamed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa

from arboretum_metadata.schema import PART
from arboretum_metadata.vocab import RANKS
from arboretum_tools.catalog import Catalog
from arboretum_tools.errors import ArboretumError, RecipeError
from arboretum_tools.photos.photo_ids import PhotoIds
from arboretum_tools.split.audit.checks import Check, Outcome, found
from arboretum_tools.split.drawing.benchmark import class_key_of
from arboretum_tools.split.files.manifest import PARTS, Split, open_split
from arboretum_tools.split.reproduce import register_photos, register_rows, remake_split
from arboretum_tools.tabular.arrays import texts
from arboretum_tools.tabular.query import identifier
from arboretum_tools.wording import counted, does

# Examples that a finding names.
_SHOWN = 5

_COLUMNS = tuple(name for name in PART.names if name not in ("photo_id", "label"))

# Types of a part in SQL: a catalogue may have narrower ones.
_SQL_TYPES = {
    "int32": "INTEGER",
    "int64": "BIGINT",
    "float64": "DOUBLE",
    "string": "VARCHAR",
    "date32": "DATE",
}

# Columns of a class that the catalogue alone decides.
_NAMES = ("scientific_name", "common_name", "taxon_id", *RANKS)


def against_catalog(
    path: str | Path,
    catalog: Catalog,
    *,
    photo_ids: PhotoIds | None = None,
    observation_ids: PhotoIds | None = None,
) -> tuple[Check, ...]:
    """Compares a split with a catalogue, to be put beside the checks of `audit_split`.

    Args:
        path: the folder of the split.
        catalog: the one that it was made from, or a later one.
        photo_ids: the list that the selection was made from, where it was made from one.
        observation_ids: likewise.

    Raises:
        SplitError: the folder holds no split.
    """
    split = open_split(path, in_memory=False)
    if split.meta["recipe"].get("profile") == "imported":
        return (Check("catalogue", "not checkable", "a published split was made from no catalogue"),)
    return tuple(_Comparison(split, catalog).checks(photo_ids, observation_ids))


class _Comparison:
    """One split beside one catalogue; its rows stay in their files.

    Makes in the catalogue the view `old_photos` of all photos, and the table `beside` of those that are not
    there as they are in the split, with what differs.
    """

    def __init__(self, split: Split, catalog: Catalog) -> None:
        self.split, self.catalog = split, catalog
        self.original = split.meta["catalog"].get("fingerprint") == catalog.fingerprint

    def checks(self, photo_ids: PhotoIds | None, observation_ids: PhotoIds | None) -> Iterator[Check]:
        detail = "its fingerprint is that of the catalogue that the split was made from"
        if not self.original:
            detail = "its fingerprint differs from that of the catalogue that the split was made from"
        yield Check("catalogue", "kept", detail)
        self._join()
        yield self._photos()
        yield self._columns()
        try:
            again = remake_split(
                self.split.path or "", self.catalog, photo_ids=photo_ids, observation_ids=observation_ids
            ).split
        except ArboretumError as error:
            # What only needs a file beside it (a list of photos, left_out.parquet) is no defect of the split.
            lost = self.original and not isinstance(error, RecipeError)
            outcome: Outcome = "broken" if lost else "not checkable"
            yield Check("catalogue: drawn", outcome, f"it cannot be drawn again: {error}")
            return
        yield self._exchanged(again)
        yield self._names(again)
        yield self._capacities(again)
        yield self._drawn(again)

    def _found(self, name: str, wrong: int, detail: str, examples: Sequence[object] = ()) -> Check:
        """Broken against the original catalogue; against another one a change that is counted."""
        outcome: Outcome = "kept" if not wrong else "broken" if self.original else "not promised"
        if wrong and not self.original:
            detail += "; another catalogue cannot tell whether this was changed since or forged"
        return Check(name, outcome, detail, tuple(map(str, examples))[:_SHOWN])

    def _join(self) -> None:
        register_photos(self.catalog, "old_photos", self.split)
        columns = [name for name in _COLUMNS if name in ("ext", "url") or self.catalog.has(name)]
        self.columns = columns
        key = class_key_of(self.split.meta["recipe"])
        # Rows that are equal are known by a number each; the others are few, and looked at column by column.
        sql = f"SELECT photo_id, label, {_digest(columns)} AS digest FROM arriving"
        register_rows(self.catalog, "audited", self.split, PART.names, sql)
        self.catalog.run(
            "CREATE OR REPLACE TABLE suspects AS SELECT DISTINCT photo_id FROM audited a "
            "JOIN old_photos_classes USING (label) LEFT JOIN (SELECT photo_id, "
            f"{key} AS key_there, {_digest(columns)} AS digest FROM photos) c USING (photo_id) "
            "WHERE a.digest IS DISTINCT FROM c.digest OR class_key IS DISTINCT FROM key_there"
        )
        sql = "SELECT * FROM arriving WHERE photo_id IN (FROM suspects)"
        register_rows(self.catalog, "audited", self.split, PART.names, sql)
        differ = "".join(
            f", a.{identifier(name)} IS DISTINCT FROM c.{identifier(name)} AS {identifier(name)}"
            for name in columns
        )
        self.catalog.run(
            "CREATE OR REPLACE TABLE beside AS SELECT a.photo_id, class_key, c.there IS NULL AS gone, "
            f"coalesce(c.there AND class_key IS DISTINCT FROM c.key_there, false) AS renamed{differ} "
            "FROM audited a JOIN old_photos_classes USING (label) LEFT JOIN (SELECT photo_id, true AS there, "
            f"{key} AS key_there, {', '.join(map(identifier, columns))} FROM photos "
            "WHERE photo_id IN (FROM suspects)) c USING (photo_id)"
        )

    def _examples(self, condition: str) -> tuple[int, list[object]]:
        ((n,),) = self.catalog.rows(f"SELECT count(*) FROM beside WHERE {condition}")
        first = self.catalog.rows(
            f"SELECT photo_id FROM beside WHERE {condition} ORDER BY photo_id LIMIT {_SHOWN}"
        )
        return int(str(n)), [photo for (photo,) in first]

    def _photos(self) -> Check:
        gone, first = self._examples("gone")
        renamed, others = self._examples("renamed")
        detail = "every photo is in the catalogue, in the same class"
        if gone or renamed:
            detail = (
                f"{counted(gone, 'photo')} {does(gone, 'are')} not in the catalogue, "
                f"{renamed:,} {does(renamed, 'are')} in another class there"
            )
        return self._found("catalogue: photos", gone + renamed, detail, [*first, *others])

    def _columns(self) -> Check:
        counts = ", ".join(f"count(*) FILTER ({identifier(name)})" for name in self.columns)
        (differing,) = self.catalog.rows(f"SELECT {counts} FROM beside WHERE NOT gone")
        wrong = {name: int(str(n)) for name, n in zip(self.columns, differing, strict=True) if n}
        detail = f"they match the catalogue: {', '.join(self.columns)}"
        if wrong:
            differ = ", ".join(f"{name} of {counted(n, 'photo')}" for name, n in wrong.items())
            detail = f"they differ from the catalogue: {differ}"
        condition = " OR ".join(map(identifier, wrong)) or "false"
        examples = self._examples(f"NOT gone AND ({condition})")[1]
        return self._found("catalogue: columns of photos", len(wrong), detail, examples)

    def _exchanged(self, again: Split) -> Check:
        """A class that holds none of its own photos, although the catalogue has it, was not renamed."""
        known = [*again.classes["class_key"].to_pylist()]
        if again.unused_classes is not None:
            known += again.unused_classes["class_key"].to_pylist()
        self.catalog.register("known_classes", pa.table({"class_key": texts(known)}))
        swapped = self.catalog.rows(
            "SELECT class_key FROM (SELECT class_key, count(*) AS n FROM old_photos GROUP BY class_key) JOIN "
            "(SELECT class_key, count(*) FILTER (gone) AS gone, count(*) FILTER (renamed) AS renamed "
            "FROM beside GROUP BY class_key) USING (class_key) WHERE renamed > 0 AND gone + renamed = n "
            "AND class_key IN (SELECT class_key FROM known_classes) ORDER BY class_key"
        )
        detail = "no class was given the photos of another class"
        if swapped:
            what = counted(len(swapped), "class")
            detail = f"{what} {does(len(swapped), 'hold')} nothing but photos of other classes"
        return found("catalogue: classes exchanged", bool(swapped), detail, [key for (key,) in swapped])

    def _names(self, again: Split) -> Check:
        now = {row["class_key"]: row for row in again.classes.to_pylist()}
        wrong = [
            f"{row['class_key']}: {name}"
            for row in self.split.classes.to_pylist()
            if row["class_key"] in now
            for name in _NAMES
            if row[name] != now[row["class_key"]][name]
        ]
        detail = "names and lineages match the catalogue"
        if wrong:
            detail = (
                f"{counted(len(wrong), 'name')} of classes {does(len(wrong), 'differ')} from the catalogue"
            )
        return self._found("catalogue: names of classes", len(wrong), detail, wrong)

    def _capacities(self, again: Split) -> Check:
        """The numbers of every class; each must be right where the catalogue has as many photos of it."""
        now = _numbers(again)
        wrong, other = [], 0
        for key, (selected, available) in _numbers(self.split).items():
            numbers = now.get(key)
            if numbers is None or numbers[0] != selected:
                other += 1
            elif numbers[1] != available:
                wrong.append(f"{key}: {available} instead of {numbers[1]}")
        if self.original and other:
            wrong.append(f"{counted(other, 'class')} with another number of selected photos")
        detail = "the number of photos of every class is right"
        if other:
            detail = f"{counted(other, 'class')} {does(other, 'have')} gained or lost photos since"
        return found("catalogue: capacities", bool(wrong), detail, wrong)

    def _drawn(self, again: Split) -> Check:
        """Whether photos are elsewhere in what is drawn now, though nothing of their class has changed."""
        old, new = _numbers(self.split), _numbers(again)
        before = dict(
            zip(*(self.split.classes[n].to_pylist() for n in ("class_key", "n_train")), strict=True)
        )
        after = dict(zip(*(again.classes[n].to_pylist() for n in ("class_key", "n_train")), strict=True))
        same = [key for key in before if key in after and old[key][0] == new[key][0]]
        # A class that gives as many photos as before or more to train still gives those.
        trained = [key for key in same if after[key] >= before[key]]
        self.catalog.register("same_classes", pa.table({"class_key": texts(same)}))
        self.catalog.register("same_train", pa.table({"class_key": texts(trained)}))
        register_photos(self.catalog, "new_photos", again)
        self.catalog.run(
            "CREATE OR REPLACE TABLE elsewhere AS SELECT photo_id, class_key FROM beside "
            "WHERE gone OR renamed"
        )
        unexplained = (
            "c.class_key IN (SELECT class_key FROM same_classes) AND c.class_key NOT IN "
            "(SELECT class_key FROM elsewhere) AND "
            f"(o.part <> {PARTS.index('train')} OR c.class_key IN (SELECT class_key FROM same_train))"
        )
        # Compared by labels: no name of a class is held for a photo.
        moved = self.catalog.rows(
            f"SELECT o.photo_id, {unexplained} FROM old_photos_rows o "
            "JOIN old_photos_classes c USING (label) LEFT JOIN new_photos_classes a USING (class_key) "
            "LEFT JOIN new_photos_rows n USING (photo_id) "
            "WHERE (o.part IS DISTINCT FROM n.part OR a.label IS DISTINCT FROM n.label) "
            "AND o.photo_id NOT IN (SELECT photo_id FROM elsewhere) ORDER BY o.photo_id"
        )
        chosen = [photo for photo, forged in moved if forged or self.original]
        detail = "drawing the split again puts every photo into the same part"
        if moved:
            detail = f"drawn again, {counted(len(moved), 'photo')} would be in another part, or in none"
            detail += f"; no change in the catalogue explains {len(chosen):,} of these"
        hashes = ("sha256", "recipe_sha256", "group_by", "sides")
        broken = bool(chosen) or (
            self.original and any(self.split.meta.get(one) != again.meta.get(one) for one in hashes)
        )
        outcome: Outcome = "broken" if broken else "not promised" if moved else "kept"
        return Check("catalogue: drawn", outcome, detail, tuple(map(str, chosen[:_SHOWN])))


def _digest(columns: Sequence[str]) -> str:
    """SQL of the MD5 of a row as a number: of these columns, each behind its length."""
    values = (f"{identifier(name)}::{_SQL_TYPES[PART[name].type]}::VARCHAR" for name in columns)
    written = (f"coalesce(length({value}) || ':' || {value}, '-')" for value in values)
    return f"md5_number({' || '.join(written)})"


def _numbers(split: Split) -> dict[str, tuple[int, int]]:
    """n_selected and n_available of every class of the selection, by class_key."""
    names = ("class_key", "n_selected", "n_available")
    tables = [split.classes] + ([] if split.unused_classes is None else [split.unused_classes])
    return {
        key: (selected, available)
        for table in tables
        for key, selected, available in zip(*(table[name].to_pylist() for name in names), strict=True)
    }
