"""Reviews: questions to the gate, asked as objects that are answered and never stored."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lab.api import clock, errors
from lab.api.auth.gate import Gate
from lab.api.auth.requests import Attributes
from lab.api.auth.tokens import ISSUER
from lab.api.auth.users import REQUESTER, User
from lab.api.errors import Causes

Body = dict[str, Any]
_SELECTORS = ("verb", "group", "resource", "subresource", "namespace", "name")


def _who_am_i(_gate: Gate, _namespace: str, _sent: Body) -> Body:
    now = clock.stamp(clock.now())
    return {"metadata": {"creationTimestamp": now}, "status": {"userInfo": REQUESTER.get().info()}}


def _attributes(kind: str, spec: Body, causes: Causes) -> Attributes:
    on_resource, on_path = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
    if (on_resource is None) == (on_path is None):
        words = "exactly one of nonResourceAttributes or resourceAttributes must be specified"
        causes.invalid("spec.resourceAttributes", '"null"', words)
    if causes.items:
        raise errors.invalid(kind, "authorization.k8s.io", "", causes.items)
    if on_path is not None:
        return Attributes(on_path.get("verb", ""), path=on_path.get("path", "") or "/")
    return Attributes(**{name: (on_resource or {}).get(name, "") for name in _SELECTORS})


def _answer(gate: Gate, user: User, wanted: Attributes) -> Body:
    decision = gate.authorizer.decide(user, wanted)
    reason = {"reason": decision.reason} if decision.reason else {}
    return {"allowed": decision.allowed, **reason}


def _may_i(gate: Gate, _namespace: str, sent: Body) -> Body:
    spec = sent.get("spec") or {}
    wanted = _attributes("SelfSubjectAccessReview", spec, Causes())
    return {"metadata": {}, "spec": spec, "status": _answer(gate, REQUESTER.get(), wanted)}


def _may_they(gate: Gate, namespace: str, sent: Body) -> Body:
    spec, causes = sent.get("spec") or {}, Causes()
    kind = "LocalSubjectAccessReview" if namespace else "SubjectAccessReview"
    user = User(spec.get("user", ""), spec.get("uid", ""), tuple(spec.get("groups") or ()))
    if not user.name and not user.groups:
        causes.invalid("spec.user", '""', "at least one of user or group must be specified")
    on_resource = spec.get("resourceAttributes")
    if namespace and on_resource is not None:
        inner = on_resource.setdefault("namespace", namespace)
        if inner != namespace:
            causes.invalid(
                "spec.resourceAttributes.namespace", f'"{inner}"', f"must match metadata.namespace: {namespace}"
            )
    return {"metadata": {}, "spec": spec, "status": _answer(gate, user, _attributes(kind, spec, causes))}


def _my_rules(gate: Gate, _namespace: str, sent: Body) -> Body:
    namespace = (sent.get("spec") or {}).get("namespace", "")
    if not namespace:
        raise errors.bad_request("no namespace on request")
    granted = gate.authorizer.granted(REQUESTER.get())
    rules = [rule.source for rule, _ in granted.reaching(namespace)]
    everywhere = [rule.source for rule, _ in granted.reaching("")]
    trouble = granted.troubles(namespace)
    return {
        "metadata": {},
        "spec": {},
        "status": {
            "resourceRules": [rule for rule in rules if rule.get("resources")],
            "nonResourceRules": [rule for rule in everywhere if rule.get("nonResourceURLs")],
            "incomplete": bool(trouble),
            **({"evaluationError": trouble} if trouble else {}),
        },
    }


def _whose_token(gate: Gate, _namespace: str, sent: Body) -> Body:
    spec = sent.get("spec") or {}
    token, audiences = spec.get("token", ""), spec.get("audiences") or [ISSUER]
    if not token:
        raise errors.bad_request("token is required for TokenReview in authentication")
    users = {audience: gate.authenticate(token, audience) for audience in audiences}
    known = {audience: user for audience, user in users.items() if user is not None}
    metadata = {"creationTimestamp": clock.stamp(clock.now())}
    if not known:
        why = "[invalid bearer token, Token could not be validated.]"
        return {"metadata": metadata, "spec": spec, "status": {"user": {}, "error": why}}
    first = next(iter(known.values()))
    status = {"authenticated": True, "user": first.info(), "audiences": list(known)}
    return {"metadata": metadata, "spec": spec, "status": status}


Review = Callable[[Gate, str, Body], Body]
REVIEWS: dict[tuple[str, str], Review] = {
    ("authentication.k8s.io", "selfsubjectreviews"): _who_am_i,
    ("authentication.k8s.io", "tokenreviews"): _whose_token,
    ("authorization.k8s.io", "localsubjectaccessreviews"): _may_they,
    ("authorization.k8s.io", "selfsubjectaccessreviews"): _may_i,
    ("authorization.k8s.io", "selfsubjectrulesreviews"): _my_rules,
    ("authorization.k8s.io", "subjectaccessreviews"): _may_they,
}
