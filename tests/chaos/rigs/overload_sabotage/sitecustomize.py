"""Breaks the gateway on purpose, in its own process: `OVERLOAD_SABOTAGE` names how. Python imports this file at its
start.
"""

import os
import sys

if "gateway" in sys.orig_argv and os.environ.get("OVERLOAD_SABOTAGE") == "no_admission":
    import gateway.http.admission

    gateway.http.admission.MAX_IN_FLIGHT = gateway.http.admission.MAX_WRITES = 1_000_000
