"""A session outlives its token: what a kubelet exchanged in the file is used."""

import http.server
import threading

import pytest
import yaml

from muster.kube import Kube, KubeError, load_access


@pytest.fixture
def api(tmp_path):
    """An API that takes one token, ``api.token``, and a kubeconfig that names the file with ours."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            good = self.headers.get("Authorization") == f"Bearer {server.token}"
            server.asked += 1
            body = b'{"kind": "List"}' if good else b'{"message": "Unauthorized"}'
            self.send_response(200 if good else 401)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *words):
            """Quiet."""

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        server.token, server.asked = "first", 0
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        server.file = tmp_path / "token"
        server.file.write_text("first")
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "x",
            "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
            "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{server.server_port}"}}],
            "users": [{"name": "u", "user": {"tokenFile": str(server.file)}}],
        }
        server.kubeconfig = tmp_path / "kubeconfig"
        server.kubeconfig.write_text(yaml.safe_dump(config))
        yield server
        server.shutdown()
        thread.join(10)


def test_token_that_was_exchanged_in_its_file_is_read_again(api):
    """After the first 401, and then kept."""
    with Kube(load_access(api.kubeconfig)) as kube:
        assert kube.get("/api")["kind"] == "List"
        api.token = "second"  # noqa: S105 - a test's
        api.file.write_text("second")
        assert kube.get("/api")["kind"] == "List"
        asked = api.asked
        kube.get("/api")
        assert api.asked == asked + 1


def test_token_that_is_no_longer_good_is_refused_at_once(api):
    """Nothing new in the file: one request, and the API's own words."""
    with Kube(load_access(api.kubeconfig)) as kube:
        api.token = "second"  # noqa: S105 - a test's
        with pytest.raises(KubeError, match="Unauthorized"):
            kube.get("/api")
        assert api.asked == 1
