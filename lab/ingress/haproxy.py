"""HAProxy's configuration: written once, never reloaded.

All that changes lives in maps and server slots, which the runtime API changes between two requests. A request goes

    host and path --exact.map, prefix.map--> rule
    rule --stable.map, or canary.map for the share in weight.map--> service
    service --pools.map--> pool: a backend of server slots, which the controller gives to ready endpoints.

HAProxy holds the whole state: a controller that restarts reads it back, an HAProxy that restarts is filled again.
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

POOLS = 16  # services that can be reached through ingresses
SLOTS = 32  # endpoints of one service, leaving ones included
WHOLE = 10_000  # a canary's weight is so many of these: hundredths of a percent
# In the order in which entries must appear: what is pointed to before what points to it.
MAPS = ("pools.map", "stable.map", "canary.map", "weight.map", "prefix.map", "exact.map")

_TEMPLATE = """\
global
    stats socket "{socket}" mode 600 level admin
    stats timeout 1m
    default-path config
    nbthread 1
    maxconn 8192

defaults
    mode http
    option http-keep-alive
    option dontlognull
    # A request is sent again, to another server, only where that is safe: nobody got it (conn-failure), or it may be
    # repeated and the server closed the connection under it (empty-response; ruled out for writes below).
    retries 3
    option redispatch 1
    retry-on conn-failure empty-response
    timeout connect 1s
    timeout client 60s
    timeout server 60s
    timeout queue 5s
    timeout http-request 10s
    timeout http-keep-alive 60s

frontend ingress
    bind {bind}
    http-request disable-l7-retry unless METH_GET or METH_HEAD
    http-request set-var(txn.path) path
{routing}
    http-request set-var(txn.weight) var(txn.rule),map_str(weight.map)
    http-request set-var(txn.service) var(txn.rule),map_str(canary.map) if {{ rand({whole}),sub(txn.weight) lt 0 }}
    http-request set-var(txn.service) var(txn.rule),map_str(stable.map) unless {{ var(txn.service) -m found }}
    http-request set-var(txn.pool) var(txn.service),map_str(pools.map)
    http-request return status 404 content-type text/plain string "no ingress rule for this host and path\\n" \
unless {{ var(txn.pool) -m found }}
    use_backend %[var(txn.pool)]

{pools}"""

_POOL = """\
backend {name}
    balance roundrobin
    server-template s {slots} 127.0.0.1:9 disabled
"""


def render(plan: dict[str, str]) -> str:
    """The configuration for the addresses ``plan["ingress"]`` and ``plan["haproxy_socket"]``."""
    address = urlsplit(plan["ingress"])
    return _TEMPLATE.format(
        socket=plan["haproxy_socket"],
        bind=f"{address.hostname}:{address.port}",
        routing="\n".join(_routing()),
        whole=WHOLE,
        pools="\n".join(_POOL.format(name=name, slots=SLOTS) for name in pool_names()),
    )


def map_files(plan: dict[str, str]) -> list[Path]:
    """The map files beside the configuration. HAProxy needs them to exist; they stay empty."""
    return [Path(plan["haproxy_socket"]).parent / name for name in MAPS]


def pool_names() -> list[str]:
    """The backends that services can be given."""
    return [f"pool{number:02}" for number in range(POOLS)]


def _routing() -> list[str]:
    """Find the rule: the host itself, then its wildcard, then rules for any host; exact paths before prefixes.

    A slash is added to path and key before prefixes are compared (the longest wins): /foo covers /foo/bar, not /foobar.
    """
    hosts = ("req.hdr(host),field(1,:),lower", "var(txn.host),regsub(^[^.]+,*)", "str(*)")
    steps = [
        step
        for host in hosts
        for step in (
            f"set-var(txn.host) {host}",
            "set-var(txn.rule) var(txn.host),concat(,txn.path),map_str(exact.map)",
            "set-var(txn.rule) var(txn.host),concat(,txn.path,/),map_beg(prefix.map)",
        )
    ]
    return [f"    http-request {step} unless {{ var(txn.rule) -m found }}" for step in steps]
