"""Users for the tests of the lean user: endless, or so many requests each (``LEAN_EACH``)."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from locust import constant, task
from locust.exception import StopUser

sys.path.insert(0, str(Path(__file__).parents[2] / "loadtests"))
from lean.user import LeanUser


class Caller(LeanUser):
    wait_time = constant(0.002)
    answer_timeout_s = float(os.environ["LEAN_TIMEOUT_S"])

    def on_start(self):
        self.left = int(os.environ["LEAN_EACH"])
        self.mix = [
            self.client.prepare("GET", "/fine?page=1", name="/fine"),
            self.client.prepare("POST", "/busy", json={"a": 1}),
            self.client.prepare("GET", "/gone", expect={404}),
            self.client.prepare("GET", "/slow"),
        ]

    @task
    def call(self):
        if not self.left:
            raise StopUser
        self.left -= 1
        outcome = self.client.send(self.mix[self.left % 4])
        assert (outcome.error is None) == (outcome.answer is not None and outcome.answer.status in {200, 404})
