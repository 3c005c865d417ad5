"""Logs are proxied to the node's agent; here a small one of our own."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest
from ports import free_port


class _Agent(BaseHTTPRequestHandler):
    """Answers like a node agent: lines for "main", a refusal for its previous one, a stream when followed."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        url = urlsplit(self.path)
        query = parse_qs(url.query)
        if self.headers["Authorization"] != f"Bearer {self.server.token}":
            return self._send(401, "who are you")
        if "previous" in query:
            return self._send(400, 'previous terminated container "main" in pod "one" not found')
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self._chunk(f"{url.path} tail={query.get('tailLines', ['all'])[0]}\n")
        if "follow" in query:
            self.server.more.wait(5)
            self._chunk("later\n")
        self.wfile.write(b"0\r\n\r\n")
        return None

    def _chunk(self, text):
        self.wfile.write(f"{len(text):x}\r\n{text}\r\n".encode())
        self.wfile.flush()

    def _send(self, code, text):
        self.send_response(code)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_):
        """Quiet."""


@pytest.fixture
def node(http, namespace):
    """Register a node whose agent listens on a port."""
    made = []

    def make(port):
        name = f"node-{namespace}"
        status = {
            "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": port}},
        }
        http.post("/api/v1/nodes", json={"metadata": {"name": name}, "status": status}).raise_for_status()
        made.append(name)
        return name

    yield make
    for name in made:
        http.delete(f"/api/v1/nodes/{name}")


@pytest.fixture
def agent(api_server, node):
    with ThreadingHTTPServer(("127.0.0.1", 0), _Agent) as server:
        server.token, server.more = (api_server.state / "token").read_text().strip(), threading.Event()
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        server.node = node(server.server_address[1])
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def log(http, namespace, pod, agent):
    """The path of a pod's log on that node."""
    path = f"/api/v1/namespaces/{namespace}/pods"
    http.post(path, json=pod(nodeName=agent.node)).raise_for_status()
    return f"{path}/one/log"


def test_a_log_is_the_agents(http, namespace, log):
    """Path and query reach the agent; its text comes back as text/plain."""
    answer = http.get(log, params={"tailLines": "3"})
    assert answer.headers["Content-Type"] == "text/plain"
    assert answer.text == f"/containerLogs/{namespace}/one/main tail=3\n"


def test_a_log_is_followed(http, log, agent):
    """What is written later arrives while the request is open."""
    with http.stream("GET", log, params={"follow": "true"}) as answer:
        lines = answer.iter_lines()
        assert next(lines).startswith("/containerLogs/")
        agent.more.set()
        assert next(lines) == "later"


def test_refusals(http, log):
    """The agent's refusal and an unknown container are 400 in the real words."""
    previous = http.get(log, params={"previous": "true"})
    assert (previous.status_code, previous.json()["reason"]) == (400, "BadRequest")
    assert previous.json()["message"] == 'previous terminated container "main" in pod "one" not found'
    other = http.get(log, params={"container": "nosuch"})
    assert (other.status_code, other.json()["message"]) == (400, "container nosuch is not valid for pod one")


def test_a_dead_agent_is_a_500(http, namespace, pod, node):
    """The one 500 that a client sees names the address that refused."""
    port = free_port()
    path = f"/api/v1/namespaces/{namespace}/pods"
    http.post(path, json=pod(nodeName=node(port)))
    answer = http.get(f"{path}/one/log")
    assert answer.status_code == 500
    assert answer.json()["message"] == (
        f'Get "http://127.0.0.1:{port}/containerLogs/{namespace}/one/main": dial tcp 127.0.0.1:{port}: connect:'
        " connection refused"
    )


def test_several_containers_must_be_told_apart(http, namespace, pod, agent):
    """Without a name the choice is offered."""
    containers = [{"name": name, "image": "x"} for name in ("a", "b")]
    path = f"/api/v1/namespaces/{namespace}/pods"
    http.post(path, json=pod("two", nodeName=agent.node, containers=containers)).raise_for_status()
    message = http.get(f"{path}/two/log").json()["message"]
    assert message == "a container name must be specified for pod two, choose one of: [a b]"


def test_a_pod_without_a_node_has_no_log(http, namespace, pod):
    """400, not a guess."""
    body = pod("loose")
    del body["spec"]["nodeName"]
    path = f"/api/v1/namespaces/{namespace}/pods"
    http.post(path, json=body)
    assert http.get(f"{path}/loose/log").json()["message"] == "pod loose does not have a host assigned"
