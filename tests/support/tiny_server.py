"""What the pods of ``lab_world`` run: it serves, and is made to misbehave by its environment and by /set/NAME=VALUE."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys

if os.environ.get("IGNORE_TERM"):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
else:
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
if os.environ.get("CHILD"):
    subprocess.Popen(["sleep", "600"])
print("born", os.environ.get("VERSION", ""), flush=True)
hog = bytearray(int(os.environ.get("HOG_BYTES", "0")))
server = socket.socket()
server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
server.bind((os.environ["POD_IP"], int(os.environ["PORT"])))
server.listen(64)
switch = {}


def answer(peer):
    path = (peer.recv(4096).split() or [b"", b"/"])[1].decode()
    status, body = 200, "ok"
    if path.startswith("/set/"):
        name, _, value = path[5:].partition("=")
        switch[name] = value
    elif path == "/ready":
        unready = os.environ.get("NEVER_READY") or switch.get("ready", os.environ.get("READY")) == "no"
        status = 503 if unready else 200
    elif path == "/live":
        status = 500 if switch.get("live") == "no" else 200
    elif path == "/env":
        body = json.dumps(dict(os.environ) | {"argv": sys.argv[1:], "pid": os.getpid()})
    elif path == "/say":
        print("said", flush=True)
    peer.sendall(f"HTTP/1.1 {status} X\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())


while True:
    peer, _ = server.accept()
    with peer, contextlib.suppress(ConnectionError):  # a fault of the network cuts what is open
        answer(peer)
