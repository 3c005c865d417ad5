"""The reference service: the system of the runbooks, small enough to run many times on one machine.

A replica is one process: an HTTP API with health, metrics and status pages, and a mesh port on which replicas greet one
another over TLS 1.3 with X25519MLKEM768. What goes wrong comes with a release: see :mod:`lab.service.faults`.
"""
