"""`python -m fake_svc serve|work|migrate`.

FAKE_CRASH=role crashes that role at its start, FAKE_REFUSE=role exits 2 as for wrong settings. Standard library
only, so that it starts at once.
"""

import json
import os
import signal
import subprocess
import sys
import time
from http.server import BaseHTTPRequestHandler, HTTPServer

role = sys.argv[1]
print(f"{role} begins", flush=True)
if os.environ.get("FAKE_REFUSE") == role:
    print("HELIOGRAPH_CURSOR_KEY must be longer", flush=True)
    sys.exit(2)
if os.environ.get("FAKE_CRASH") == role:
    print("this one can't live", flush=True)
    sys.exit(1)
if role == "migrate":
    sys.exit(0)


class Page(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(dict(os.environ)).encode())

    def log_message(self, *arguments):
        pass


def leave(*_):
    print(f"{role} leaves at {time.monotonic()}", flush=True)
    sys.exit(0)


signal.signal(signal.SIGTERM, leave)
if role == "work":
    # Workers have children of their own (media_svc decodes in one).
    helper = subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(600)"])
    print(f"helper {helper.pid}", flush=True)
host, _, port = os.environ["HELIOGRAPH_METRICS_LISTEN"].rpartition(":")
HTTPServer((host, int(port)), Page).serve_forever()
