"""A fault is checked when it is built."""

import pytest

from arboretum_tools.testing import Fault


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"kind": "explode"}, "no fault of kind 'explode'"),
        ({"kind": "reset", "times": 0}, "times must be 1 or more"),
        ({"kind": "redirect"}, "needs it"),
        ({"kind": "reset", "to": "/elsewhere"}, "goes with the kind"),
        ({"kind": "reset", "retry_after": 1}, "not with reset"),
        ({"kind": "slow_drip", "drip_bytes": 0}, "drip_bytes"),
    ],
)
def test_a_fault_that_contradicts_itself_is_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        Fault(**wrong)


def test_faults_are_values():
    assert Fault("throttled", times=2, retry_after=1) == Fault("throttled", times=2, retry_after=1)
