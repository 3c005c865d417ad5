"""The workers of a parallel run: what belongs together stays together."""

import pytest


@pytest.mark.xdist_group("proof")
def test_groups_are_told_to_whoever_distributes_the_tests(request):
    """Under ``--dist loadgroup`` the group ends the id; were it lost, each worker would boot a lab of its own."""
    by_group = getattr(request.config.option, "loadgroup", False)  # set in xdist's workers only
    assert request.node.nodeid.endswith("@proof") == by_group
