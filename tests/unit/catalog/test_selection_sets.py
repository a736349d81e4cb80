"""Selections put together, sampled, and sent to another process."""

import pickle
import subprocess
import sys

import pytest

from arboretum_metadata.sample import catalog_path
from arboretum_tools import open_catalog
from arboretum_tools.errors import UsageError


@pytest.fixture(scope="module")
def catalog():
    return open_catalog(catalog_path())


def ids(selection):
    return set(selection.to_arrow()["photo_id"].to_pylist())


def test_they_are_sets(catalog):
    thrushes, adults = catalog.select("Turdus"), catalog.select("Aves", life_stage="adult")
    assert ids(thrushes) & ids(adults)
    assert ids(thrushes | adults) == ids(thrushes) | ids(adults)
    assert ids(thrushes & adults) == ids(thrushes) & ids(adults)
    assert ids(thrushes - adults) == ids(thrushes) - ids(adults)
    assert ids(adults - thrushes) == ids(adults) - ids(thrushes)
    assert ids((thrushes | adults) - (thrushes & adults)) == ids(thrushes) ^ ids(adults)
    assert ids(catalog.select("Turdus", limit=20) & catalog.select("Turdus", limit=5)) == ids(
        catalog.select("Turdus", limit=5)
    )


def test_what_is_empty_stays_a_selection(catalog):
    nothing = catalog.select("Turdus") - catalog.select("Aves")
    assert nothing.count() == 0
    assert ids(nothing | catalog.select("Turdus")) == ids(catalog.select("Turdus"))


def test_grades_are_those_of_the_selections_that_were_put_together(catalog):
    every = catalog.select("Aves", quality_grade="any")
    assert ids(every & every) == ids(every)
    assert ids(every.sample(10**6)) == ids(every)


def test_a_sample_is_the_same_everywhere_and_another_for_another_seed(catalog):
    birds = catalog.select("Aves")
    assert ids(birds.sample(25)) == ids(catalog.select("Aves", limit=25))
    assert ids(birds.sample(25)) <= ids(birds.sample(50))
    assert len(ids(birds.sample(25, seed=1))) == 25
    assert ids(birds.sample(25, seed=1)) != ids(birds.sample(25))
    with pytest.raises(UsageError, match="1 photo or more"):
        birds.sample(0)


def test_only_selections_of_one_catalogue_can_be_combined(catalog, tmp_path):
    birds = catalog.select("Aves")
    birds.save(tmp_path / "birds.parquet")
    others = open_catalog(tmp_path / "birds.parquet").select("Aves")
    for combine in (lambda: birds | others, lambda: birds & others, lambda: birds - others):
        with pytest.raises(UsageError, match="two catalogues"):
            combine()
    again = open_catalog(catalog_path()).select("Turdus")
    assert ids(birds & again) == ids(again)
    with pytest.raises(TypeError):
        birds | 5


def test_they_pickle_with_lists_and_answers(catalog):
    selection = catalog.select("Aves", life_stage="adult").sample(12) | catalog.select("Danaus")
    expected = selection.count()
    assert selection.explanation.sql
    script = (
        "import pickle, sys; s = pickle.load(sys.stdin.buffer); print(s.count(), s.criteria == pickle.loads("
        "pickle.dumps(s)).criteria)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], input=pickle.dumps(selection), capture_output=True, check=True
    )
    assert done.stdout.split() == [str(expected).encode(), b"True"]
    assert len(pickle.loads(pickle.dumps(catalog))) == len(catalog)
