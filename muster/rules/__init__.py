"""Facts -> Prometheus rules, Alertmanager routes, their test cases, and the detection time that follows from them."""

from muster.rules.doubts import doubts
from muster.rules.files import FORMATS, differing, render, taken, write
from muster.rules.predict import Prediction, detection

__all__ = ["FORMATS", "Prediction", "detection", "differing", "doubts", "render", "taken", "write"]
