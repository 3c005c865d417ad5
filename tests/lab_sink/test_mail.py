"""The mail server's stand-in, asked by the standard library's own client."""

import email.message
import smtplib
import ssl

import pytest

from lab.sink import mail


def letter(text="it is bad"):
    made = email.message.EmailMessage()
    made["Subject"], made["From"] = "[FIRING:1] TooManyErrors (critical)", "alerts@lab"
    made.set_content(text)
    return made


@pytest.fixture
def server(sink):
    with smtplib.SMTP("127.0.0.1", sink.smtp_port, timeout=20) as client:
        yield client


@pytest.fixture
def tls(sink):
    return ssl.create_default_context(cafile=sink.state / "pki" / "ca.crt")


def test_a_mail_is_one_message_for_each_recipient(sink, server):
    """Whoever is in the envelope is shown, with subject and alert."""
    server.send_message(letter(), to_addrs=["a@lab", "b@lab"])
    shown = [(each["channel"], each["to"], each["action"], each["alert"]) for each in sink.messages()]
    assert shown == [("email", "a@lab", "trigger", "TooManyErrors"), ("email", "b@lab", "trigger", "TooManyErrors")]
    assert sink.messages()[0]["body"] == {
        "from": "alerts@lab",
        "subject": "[FIRING:1] TooManyErrors (critical)",
        "text": "it is bad",
    }


def test_starttls_is_trusted_by_the_labs_ca_and_opens_authentication(sink, server, tls):
    """No password travels in the clear: AUTH is offered after STARTTLS only; the right password is taken."""
    server.ehlo()
    assert not server.has_extn("auth")
    server.starttls(context=tls)
    server.login("alerts", "s3cret")
    server.send_message(letter(), to_addrs=["c@lab"])
    assert [each["to"] for each in sink.messages()] == ["c@lab"]
    assert "s3cret" not in (sink.state / "inbox.jsonl").read_text()


def test_a_wrong_password_is_refused(server, tls):
    """535, as everywhere."""
    server.starttls(context=tls)
    with pytest.raises(smtplib.SMTPAuthenticationError) as refused:
        server.login("alerts", "guess")
    assert refused.value.smtp_code == 535


def test_an_oversized_mail_is_refused_and_kept_nowhere(sink, server):
    """Over 512 KB ends in 552."""
    with pytest.raises(smtplib.SMTPResponseException) as refused:
        server.send_message(letter(("x" * 70 + "\n") * 9_000), to_addrs=["d@lab"])
    assert refused.value.smtp_code == 552
    assert sink.messages() == []


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\x00 no header at all",
        b"Content-Type: text/plain; charset=klingon\n\ntext",
        b"Subject: =?utf-8?q?=ff?=\nContent-Type: multipart/mixed\n\nx",
        b"Content-Transfer-Encoding: base64\n\n!!!",
    ],
)
def test_any_bytes_are_a_mail(content):
    """What cannot be read is shown as far as it can be, never refused."""
    [message] = mail.accept(["e@lab"], content)
    assert message.to == "e@lab"


def test_html_alone_is_read_as_text():
    """Alertmanager's own template writes HTML and names the alert in it."""
    content = b"Subject: [RESOLVED] x\nContent-Type: text/html\n\n<b>alertname</b> = <i>TooManyErrors</i>"
    [message] = mail.accept(["e@lab"], content)
    assert (message.action, message.alert) == ("resolve", "TooManyErrors")
