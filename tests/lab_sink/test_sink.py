"""The pager's stand-in takes what a pager takes, refuses what it refuses, and shows who was told."""

import asyncio

import pytest


def exchange(serve, *requests, headers=None):
    """Play (method, path, body) one after another on a fresh sink; [(status, JSON), ...]."""

    async def play():
        answers = []
        async with serve() as client:
            for method, path, body in requests:
                kind = {"data": body} if isinstance(body, bytes) else {"json": body} if body is not None else {}
                async with client.request(method, path, headers=headers, **kind) as response:
                    is_json = response.content_type == "application/json"
                    answers.append((response.status, await response.json() if is_json else await response.text()))
        return answers

    return asyncio.run(play())


def messages(serve, since=0):
    [(status, body)] = exchange(serve, ("GET", f"/inbox?since={since}", None))
    assert status == 200
    return body["messages"]


def test_a_page_is_accepted_in_the_pagers_words_and_shown_under_its_contact(serve, trigger):
    """A trigger is answered with 202 and its dedup_key; the inbox shows the contact and the alert."""
    [(status, body)] = exchange(serve, ("POST", "/v2/enqueue", trigger))
    assert (status, body) == (202, {"status": "success", "message": "Event processed", "dedup_key": "d-1"})
    [message] = messages(serve)
    assert (message["channel"], message["to"], message["action"]) == ("pagerduty", "on-call", "trigger")
    assert (message["alert"], message["summary"]) == ("TooManyErrors", "15% of requests fail")


def test_the_inbox_outlives_the_sink(serve, trigger):
    """Messages are on disk before their sender hears of it: a restarted sink still shows them."""
    exchange(serve, ("POST", "/v2/enqueue", trigger))
    exchange(serve, ("POST", "/v2/enqueue", {**trigger, "dedup_key": "d-2"}))
    assert [message["body"]["dedup_key"] for message in messages(serve)] == ["d-1", "d-2"]


def test_a_torn_last_line_does_not_hide_the_others(serve, state, trigger):
    """A sink that was killed while writing loses that line only."""
    exchange(serve, ("POST", "/v2/enqueue", trigger))
    with (state / "inbox.jsonl").open("a") as file:
        file.write('{"received_at": 1')
    assert len(messages(serve)) == 1


def test_no_routing_key_is_ever_shown_or_kept(serve, state, trigger, secrets):
    """Keys are secrets: neither the inbox nor the file behind it holds one."""
    exchange(serve, ("POST", "/v2/enqueue", trigger))
    [(_, shown)] = exchange(serve, ("GET", "/inbox", None))
    kept = (state / "inbox.jsonl").read_text()
    assert not any(secret in kept or secret in str(shown) for secret in secrets)


def test_a_resolve_without_payload_names_the_alert_that_it_resolves(serve, trigger):
    """PagerDuty asks only for the dedup_key to resolve; the sink remembers what was triggered under it."""
    resolve = {"routing_key": trigger["routing_key"], "event_action": "resolve", "dedup_key": "d-1"}
    exchange(serve, ("POST", "/v2/enqueue", trigger), ("POST", "/v2/enqueue", resolve))
    assert [(each["action"], each["alert"]) for each in messages(serve)] == [
        ("trigger", "TooManyErrors"),
        ("resolve", "TooManyErrors"),
    ]


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"routing_key": "c" * 32}, "'routing_key' is missing or not known"),
        ({"event_action": "explode"}, "'event_action' must be one of trigger, acknowledge, resolve"),
        ({"payload": None}, "'payload' is missing or not an object"),
        ({"payload": {"source": "x", "severity": "critical"}}, "'payload.summary' is missing or blank"),
        ({"payload": {"summary": "x", "source": "x", "severity": "bad"}}, "'payload.severity' must be one of"),
        ({"event_action": "resolve", "dedup_key": ""}, "'dedup_key' is required to resolve"),
    ],
)
def test_a_malformed_event_is_refused_with_its_reason_and_kept_nowhere(serve, trigger, change, complaint):
    """A page that a real pager would refuse must not look delivered: 400 with the reason, and an empty inbox."""
    [(status, body)] = exchange(serve, ("POST", "/v2/enqueue", {**trigger, **change}))
    assert status == 400
    assert body["status"] == "invalid event"
    assert any(complaint in error for error in body["errors"])
    assert messages(serve) == []


@pytest.mark.parametrize("path", ["/v2/enqueue", "/webhook/chat"])
@pytest.mark.parametrize("body", [b"", b"{", b"[1]", b'"text"'])
def test_what_is_not_a_json_object_is_refused(serve, path, body):
    """Bodies that are not JSON objects end in 400, never in 500."""
    [(status, _)] = exchange(serve, ("POST", path, body))
    assert status == 400


def test_an_oversized_event_is_refused(serve, trigger):
    """PagerDuty takes 512 KB; more ends in 413."""
    trigger["payload"]["summary"] = "x" * 600_000
    [(status, _)] = exchange(serve, ("POST", "/v2/enqueue", trigger))
    assert status == 413


def test_an_alertmanager_notification_is_one_message_per_alert(serve):
    """Each alert of a group is shown with its own name and whether it fires."""
    alerts = [
        {"status": "firing", "labels": {"alertname": "A"}, "annotations": {"summary": "a is bad"}},
        {"status": "resolved", "labels": {"alertname": "B"}},
    ]
    exchange(serve, ("POST", "/webhook/chat", {"status": "firing", "alerts": alerts}))
    shown = [(each["to"], each["action"], each["alert"], each["summary"]) for each in messages(serve)]
    assert shown == [("chat", "trigger", "A", "a is bad"), ("chat", "resolve", "B", "")]


def test_any_other_webhook_body_is_kept_as_it_is(serve):
    """A body of unknown shape is one message with that body."""
    exchange(serve, ("POST", "/webhook/mail", {"text": "hello", "alerts": []}))
    [message] = messages(serve)
    assert (message["summary"], message["body"]["text"]) == ("hello", "hello")


def test_since_selects_by_time_of_arrival(serve, trigger):
    """?since=EPOCH leaves out what arrived before."""
    exchange(serve, ("POST", "/v2/enqueue", trigger))
    [message] = messages(serve)
    assert messages(serve, since=message["received_at"]) == [message]
    assert messages(serve, since=message["received_at"] + 1) == []


@pytest.mark.parametrize("since", ["yesterday", "nan"])
def test_a_since_that_is_no_time_is_refused(serve, since):
    """A time that cannot be read is refused: everything, or nothing, would be a lie."""
    [(status, body)] = exchange(serve, ("GET", f"/inbox?since={since}", None))
    assert status == 400
    assert since in body["error"]


@pytest.mark.parametrize(
    ("body", "to", "summary"),
    [
        ({"text": "hello"}, "ops", "hello"),
        (
            {"channel": "#storm", "attachments": [{"title": "bad", "fallback": "[FIRING:1] TooManyErrors | x"}]},
            "#storm",
            "bad",
        ),
        (b"payload=%7B%22text%22%3A%22a+form%22%7D", "ops", "a form"),
    ],
)
def test_slack_is_answered_ok_and_shown_under_channel_or_webhook(serve, body, to, summary):
    """JSON or a form, as Slack takes both; the answer is its two letters."""
    form = {"Content-Type": "application/x-www-form-urlencoded"} if isinstance(body, bytes) else None
    [(status, text)] = exchange(serve, ("POST", "/slack/ops", body), headers=form)
    assert (status, text) == (200, "ok")
    [message] = messages(serve)
    assert (message["channel"], message["to"], message["summary"]) == ("slack", to, summary)
    assert message["alert"] == ("TooManyErrors" if to == "#storm" else "")


@pytest.mark.parametrize(
    ("body", "word"),
    [
        (b"", "invalid_payload"),
        (b"{", "invalid_payload"),
        (b"[1]", "invalid_payload"),
        (b"\xff", "invalid_payload"),
        ({"channel": "#storm"}, "no_text"),
        ({"attachments": ["x"]}, "invalid_attachments"),
    ],
)
def test_what_slack_refuses_is_refused_in_its_words(serve, body, word):
    """400 with the word as text, and nothing kept."""
    assert exchange(serve, ("POST", "/slack/ops", body)) == [(400, word)]
    assert messages(serve) == []
