"""Readings with time to spare: the machine may stand still for seconds, and few tests are about the deadline."""

from __future__ import annotations

import functools

from muster import read

take = functools.partial(read.take, deadline_s=20.0, within_s=30.0)
