"""What surrounds the shop of ``tests/cluster``: monitoring that says what a test wants, a kubelet without a node."""

import hashlib
import http.server
import json
import threading
import time
import urllib.parse

from muster.kube import MERGE, Kube, KubeError, load_access


class Monitoring:
    """Prometheus' instant queries and Alertmanager's intake: what the test says they hold, and what was posted.

    ``tells(query, at)`` gives the one value of a query, None for no samples. An unknown route is a 404.
    """

    def __init__(self):
        self.tells = lambda _query, _at: 0.0  # nobody suffers
        self.asked, self.posted, self.takes = [], [], True
        monitoring = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                url = urllib.parse.urlsplit(self.path)
                given = {key: values[0] for key, values in urllib.parse.parse_qs(url.query).items()}
                if url.path != "/api/v1/query":
                    return self._say(404, {})
                at = float(given["time"]) if "time" in given else None
                monitoring.asked.append((given["query"], at))
                value = monitoring.tells(given["query"], at)
                result = [] if value is None else [{"metric": {}, "value": [time.time(), str(value)]}]
                return self._say(200, {"status": "success", "data": {"resultType": "vector", "result": result}})

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if self.path != "/api/v2/alerts" or not monitoring.takes:
                    return self._say(503 if self.path == "/api/v2/alerts" else 404, {})
                monitoring.posted += body
                return self._say(200, {})

            def _say(self, status, body):
                text = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *words):
                """Quiet."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    def end(self):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)


class Kubelet(threading.Thread):
    """Makes pods of one namespace ready as a node would, and deletes them when asked; knows no processes.

    A pod's image id is the digest of its containers' image and environment. Pods whose environment has NEVER_READY
    stay unready.
    """

    def __init__(self, kubeconfig, namespace):
        super().__init__(daemon=True)
        self._kube = Kube(load_access(kubeconfig), timeout_s=60)
        self._folder = f"/api/v1/namespaces/{namespace}/pods"
        self.ended = threading.Event()
        self.paused = threading.Event()
        self.digest = None  # set: what every new pod claims to run

    def run(self):
        while not self.ended.wait(0.03):
            for pod in [] if self.paused.is_set() else self._pods():
                try:
                    self._tend(pod)
                except KubeError as error:
                    if error.status not in (0, 404, 409):
                        raise
        self._kube.close()

    def _pods(self):
        try:
            return self._kube.get(self._folder)["items"]
        except KubeError as error:
            if error.status:  # else nobody answered: it looks again
                raise
            return []

    def _tend(self, pod):
        path = f"{self._folder}/{pod['metadata']['name']}"
        if pod["metadata"].get("deletionTimestamp"):
            self._kube.delete(path, {"gracePeriodSeconds": 0})
        elif pod.get("status", {}).get("phase", "Pending") == "Pending":
            self._kube.patch(f"{path}/status", {"status": self._status(pod)}, kind=MERGE)

    def _status(self, pod):
        (container,) = pod["spec"]["containers"]
        env = container.get("env") or []
        ready = not any(item["name"] == "NEVER_READY" for item in env)
        build = hashlib.sha256(json.dumps([container["image"], env], sort_keys=True).encode()).hexdigest()
        status = {
            "name": container["name"],
            "image": container["image"],
            "imageID": f"shop/web@{self.digest or 'sha256:' + build}",
            "ready": ready,
            "restartCount": 0,
            "state": {"running": {"startedAt": pod["metadata"]["creationTimestamp"]}},
        }
        since = pod["metadata"]["creationTimestamp"]
        conditions = [
            {"type": kind, "status": "True" if ready else "False", "lastTransitionTime": since}
            for kind in ("Ready", "ContainersReady")
        ]
        return {"phase": "Running", "podIP": "127.0.0.9", "conditions": conditions, "containerStatuses": [status]}
