"""Releases: what is deployed, how it is rolled back, and whether it really was."""

from muster.release.known import Known, observe, read_known, remember_rollback
from muster.release.model import Release, RollbackRefused, current, current_of, look, previous, previous_of
from muster.release.proof import Proof, Stage, judge, prove
from muster.release.undo import obstacle, patch_for, roll_back

__all__ = [
    "Known",
    "Proof",
    "Release",
    "RollbackRefused",
    "Stage",
    "current",
    "current_of",
    "judge",
    "look",
    "observe",
    "obstacle",
    "patch_for",
    "previous",
    "previous_of",
    "prove",
    "read_known",
    "remember_rollback",
    "roll_back",
]
