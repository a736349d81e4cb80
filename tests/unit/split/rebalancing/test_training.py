"""Weights against their formulas, and samplers against what they promise."""

import itertools
import json
import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arboretum_tools.errors import SplitError, UsageError
from arboretum_tools.split.rebalancing.samplers import POWERS, LongTailSampler
from arboretum_tools.split.rebalancing.weights import class_weights, sample_weights, save_weights
from arboretum_tools.testing.tiny import tiny_split

COUNTS = [40, 12, 4, 2]
GOLDEN = [8, 11, 2, 10, 11, 11, 11, 9, 1, 6, 8, 3]


def scaled(weights):
    return [w * len(weights) / sum(weights) for w in weights]


@pytest.mark.parametrize("beta", [0.0, 0.9, 0.9999, 1 - 1e-12])
def test_weights_are_those_of_the_papers(beta):
    found = class_weights(tiny_split(), beta=beta)
    assert found.cls_num_list.tolist() == COUNTS
    tolerance = 1e-3 if beta > 0.99999 else 1e-9  # the plain formula loses digits there, ours does not
    assert found.class_balanced == pytest.approx(
        scaled([(1 - beta) / (1 - beta**n) for n in COUNTS]), rel=tolerance
    )
    assert found.inverse == pytest.approx(scaled([1 / n for n in COUNTS]))
    assert found.square_root == pytest.approx(scaled([n**-0.5 for n in COUNTS]))
    assert found.log_prior == pytest.approx([math.log(n / sum(COUNTS)) for n in COUNTS])
    for weights in (found.class_balanced, found.inverse, found.square_root):
        assert weights.sum() == pytest.approx(4)


def test_beta_near_one_is_inverse_and_zero_is_no_weighting():
    assert class_weights(tiny_split(), beta=0).class_balanced.tolist() == [1, 1, 1, 1]
    near = class_weights(tiny_split(), beta=1 - 1e-12)
    assert near.class_balanced == pytest.approx(near.inverse, rel=1e-9)


def test_weights_as_files_are_in_the_order_of_the_part(tmp_path):
    split = tiny_split()
    names = [path.name for path in save_weights(split, tmp_path)]
    assert names == ["cls_num_list.json", "class_weights.json", "sample_weights.npz"]
    assert json.loads((tmp_path / "cls_num_list.json").read_text()) == COUNTS
    assert json.loads((tmp_path / "class_weights.json").read_text())["beta"] == 0.9999
    with np.load(tmp_path / "sample_weights.npz", allow_pickle=False) as arrays:
        assert arrays["photo_id"].tolist() == split.part("train")["photo_id"].to_pylist()
        expected = class_weights(split).inverse[split.part("train")["label"].to_numpy()]
        assert arrays["inverse"].tolist() == expected.tolist()


def test_what_has_no_weights_is_refused():
    with pytest.raises(SplitError, match="1 class of tiny has no train"):
        class_weights(tiny_split({"train": (3, 0)}))
    with pytest.raises(UsageError, match="beta"):
        class_weights(tiny_split(), beta=1)
    with pytest.raises(UsageError, match="4 classes"):
        sample_weights(tiny_split(), np.ones(3))


labels = st.lists(st.integers(0, 5), min_size=1, max_size=60)


@settings(max_examples=60)
@given(labels, st.integers(0, 5), st.integers(1, 7))
def test_the_instance_sampler_gives_every_photo_once(given_labels, epoch, world):
    order = shards(given_labels, "instance", world, epoch)
    assert sorted(order[: len(given_labels)]) == list(range(len(given_labels)))
    assert order[len(given_labels) :] == order[: len(order) - len(given_labels)]


def shards(given_labels, kind, world, epoch=0, **more):
    """What all processes together are given, interleaved as a step takes it."""
    samplers = [LongTailSampler(given_labels, kind, rank=r, world_size=world, **more) for r in range(world)]
    for sampler in samplers:
        sampler.set_epoch(epoch)
    lengths = {len(sampler) for sampler in samplers}
    found = [list(sampler) for sampler in samplers]
    assert {len(one) for one in found} == lengths
    assert len(lengths) == 1
    return list(itertools.chain.from_iterable(zip(*found, strict=True)))


@settings(max_examples=60)
@given(labels, st.sampled_from(["class", "square-root"]), st.integers(1, 200), st.integers(0, 3))
def test_classes_get_their_share_and_their_photos_come_up_evenly(given_labels, kind, draws, epoch):
    order = shards(given_labels, kind, 1, epoch, num_samples=draws)
    assert len(order) == draws
    sizes = Counter(given_labels)
    total = sum(n ** POWERS[kind] for n in sizes.values())
    drawn = Counter(given_labels[i] for i in order)
    times = Counter(order)
    for label, size in sizes.items():
        share = draws * size ** POWERS[kind] / total
        assert abs(drawn[label] - share) <= 1 + 1e-9
        own = [times[i] for i, other in enumerate(given_labels) if other == label]
        assert max(own) - min(own) <= 1


def test_epoch_and_seed_change_the_order_and_nothing_else_does():
    many = [0] * 50 + [1] * 20 + [2] * 3
    for kind in POWERS:
        one = shards(many, kind, 1)
        assert one == shards(many, kind, 1)
        assert one != shards(many, kind, 1, epoch=1)
        assert one != shards(many, kind, 1, seed=1)
        assert shards(many, kind, 4)[:73] == one


def test_the_order_never_changes_without_notice():
    order = list(LongTailSampler([0] * 8 + [1] * 3 + [2], "class", seed=7))
    assert order == GOLDEN
    assert Counter(min(i // 8 + (i == 11), 2) for i in order) == {0: 4, 1: 4, 2: 4}


@settings(max_examples=40)
@given(labels, st.sampled_from(sorted(POWERS)), st.integers(1, 4), st.integers(1, 4), st.integers(0, 10))
def test_an_interrupted_epoch_goes_on_with_another_number_of_processes(
    given_labels, kind, before, after, steps
):
    whole = LongTailSampler(given_labels, kind, seed=3).order().tolist()
    samplers = [LongTailSampler(given_labels, kind, seed=3, rank=r, world_size=before) for r in range(before)]
    steps = min(steps, len(samplers[0]) - 1)
    seen = [list(itertools.islice(iter(sampler), steps)) for sampler in samplers]
    states = [sampler.state_dict() for sampler in samplers]
    assert all(state == states[0] for state in states)
    rest = [LongTailSampler(given_labels, kind, seed=3, rank=r, world_size=after) for r in range(after)]
    for sampler in rest:
        sampler.load_state_dict(json.loads(json.dumps(states[0])))
    found = list(itertools.chain.from_iterable(zip(*seen, strict=True)))
    found += itertools.chain.from_iterable(zip(*map(list, rest), strict=True))
    assert found[: len(whole)] == whole
    assert len(found) < len(whole) + max(before, after)


def test_a_finished_epoch_starts_anew_and_has_its_length():
    sampler = LongTailSampler([0, 0, 1], "instance", world_size=2)
    assert (len(sampler), len(list(sampler)), len(sampler), len(list(sampler))) == (2, 2, 2, 2)


@pytest.mark.parametrize(
    "arguments",
    [
        {"kind": "reverse"},
        {"rank": 2, "world_size": 2},
        {"num_samples": 0},
        {"kind": "instance", "num_samples": 9},
        {"labels": []},
    ],
)
def test_what_is_no_sampler_is_a_usage_error(arguments):
    with pytest.raises(UsageError):
        LongTailSampler(**{"labels": [0, 1], **arguments})
    with pytest.raises(UsageError, match="seed"):
        LongTailSampler([0]).load_state_dict({"kind": "class", "seed": 9, "num_samples": 1})
