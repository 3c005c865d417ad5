"""An HTTP/1.1 client for high rates: what a request costs is what its bytes cost, and no answer is taken on trust.

``request`` makes the bytes of a request once, ``reader`` reads answers (pure, no I/O), ``connection`` and ``tls`` carry
both over one persistent connection, ``user`` is the Locust user. Only ``connection``, ``tls`` and ``endpoint`` import
gevent, only ``user`` imports Locust; so nothing is imported here.
"""
