import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arboretum_tools import stable_key
from arboretum_tools.tabular.query import connect

IDS = st.integers(1, 2**63 - 1)
ROLES = st.sampled_from(["holdout", "train", "limit", "shuffle", "fingerprint"])


@pytest.mark.parametrize(
    ("identifier", "expected"),
    [(1, 1041669002), (12345, 2629493446), (159565485, 27343290), (4294967297, 3651678667)],
)
def test_the_key_has_the_golden_values(identifier, expected):
    assert stable_key.salt("train", 0) == 162798752
    assert stable_key.key(identifier, "train", 0) == expected


@settings(max_examples=30)
@given(st.lists(IDS, min_size=1, max_size=50), ROLES, st.integers(-(2**40), 2**40))
def test_python_numpy_and_sql_give_the_same_key(ids, role, seed):
    by_python = [stable_key.key(i, role, seed) for i in ids]
    assert stable_key.keys(np.array(ids, dtype=np.int64), role, seed).tolist() == by_python
    sql = f"SELECT {stable_key.key_sql('id', role, seed)} FROM (SELECT unnest(?::BIGINT[]) AS id)"
    with connect(threads=1) as connection:
        assert [key for (key,) in connection.execute(sql, [ids]).fetchall()] == by_python


def test_ids_below_2_to_the_32_never_share_a_key():
    ids = np.arange(1, 200_001, dtype=np.int64)
    assert len(np.unique(stable_key.keys(ids, "train", 0))) == len(ids)


def test_another_role_or_seed_gives_another_order():
    ids = np.arange(1, 1001, dtype=np.int64)
    orders = {
        tuple(np.argsort(stable_key.keys(ids, role, seed)).tolist())
        for role in ("train", "holdout")
        for seed in (0, 1, 42)
    }
    assert len(orders) == 6


def test_the_id_of_a_text_is_the_head_of_its_sha256():
    assert stable_key.text_id("") == 0xE3B0C44298FC1C14
