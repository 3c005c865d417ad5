"""Releases: what is deployed, how it is rolled back, and whether it really was."""

from muster.release.canary import (
    CanarySight,
    canary_obstacle,
    canary_since,
    drained,
    look_canary,
    prove_canary,
    scale_down,
    take_traffic_off,
)
from muster.release.command import CommandError, run_command
from muster.release.keepers import keeper_of
from muster.release.known import Known, observe, read_known, remember_rollback
from muster.release.model import Release, RollbackRefused, current, current_of, look, previous, previous_of
from muster.release.monitor import Monitor, UndeliveredError
from muster.release.proof import Proof, Stage, judge, prove
from muster.release.remedy import Prescription, apply_remedy, command_for, is_applied, prescribe, prove_remedy
from muster.release.symptom import Condition, Symptom, condition_of, no_longer, patience_s, watch
from muster.release.undo import obstacle, patch_for, roll_back
from muster.workload import weight_of

__all__ = [
    "CanarySight", "CommandError", "Condition", "Known", "Monitor", "Prescription", "Proof", "Release",
    "RollbackRefused", "Stage", "Symptom", "UndeliveredError", "apply_remedy", "canary_obstacle", "canary_since",
    "command_for", "condition_of", "current", "current_of", "drained", "is_applied", "judge", "keeper_of", "look",
    "look_canary", "no_longer", "observe", "obstacle", "patch_for", "patience_s", "prescribe", "previous",
    "previous_of", "prove", "prove_canary", "prove_remedy", "read_known", "remember_rollback", "roll_back",
    "run_command", "scale_down", "take_traffic_off", "watch", "weight_of",
]  # fmt: skip
