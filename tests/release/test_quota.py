"""Whether a scaling fits the namespace's quotas."""

from decimal import Decimal

import pytest

from muster.errors import Unknown
from muster.release.quota import amount, forbids

TEMPLATE = {
    "spec": {
        "containers": [
            {"resources": {"requests": {"cpu": "250m", "memory": "64Mi"}, "limits": {"memory": "1Gi"}}},
            {"resources": {"limits": {"cpu": "250m"}}},  # what is only limited requests as much
        ]
    }
}


def quota(hard, used=None, **spec):
    return {"metadata": {"name": "q"}, "spec": {"hard": hard, **spec}, "status": {"hard": hard, "used": used or {}}}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("3", 3),
        ("100m", Decimal("0.1")),
        ("64Mi", 64 * 2**20),
        ("2G", 2 * 10**9),
        ("1e3", 1000),
        ("1.5Gi", 1.5 * 2**30),
    ],
)
def test_quantity_is_read_as_kubernetes_writes_it(text, value):
    """Decimal and binary suffixes, thousandths, exponents."""
    assert amount(text) == Decimal(value)


def test_quantity_of_another_world_is_unknown():
    """Not zero: no data is never a pass."""
    with pytest.raises(Unknown, match="no quantity"):
        amount("a lot")


@pytest.mark.parametrize(
    ("hard", "used", "room"),
    [
        ({"pods": "7"}, {"pods": "3"}, ""),
        ({"pods": "6"}, {"pods": "3"}, "leaves room for 3 more pods, 4 are needed"),
        ({"count/pods": "3"}, {"count/pods": "3"}, "room for 0 more"),
        ({"requests.cpu": "3"}, {"requests.cpu": "1"}, ""),
        ({"cpu": "2"}, {"cpu": "1"}, "room for 2 more"),
        ({"limits.memory": "5Gi"}, {"limits.memory": "3Gi"}, "room for 2 more"),
        ({"services": "1", "requests.storage": "1Gi"}, {"services": "1"}, ""),
    ],
)
def test_four_more_pods_need_room_in_every_resource(hard, used, room):
    """Said with what is left and what is needed."""
    found = forbids([quota({"pods": "100"}), quota(hard, used)], TEMPLATE, 4)
    assert (room in found) if room else (found == "")


def test_quota_with_scopes_is_taken_at_its_word():
    """Whether it counts these pods is not known here, and a remedy that may fail is none."""
    assert "(it has scopes)" in forbids([quota({"pods": "3"}, {"pods": "3"}, scopes=["NotTerminating"])], TEMPLATE, 1)
