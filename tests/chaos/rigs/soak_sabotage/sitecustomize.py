"""Breaks the services on purpose, in their own processes: `SOAK_SABOTAGE` names how. Python imports this file at its
start.
"""

import os
import sys

if "-m" in sys.orig_argv:
    match os.environ.get("SOAK_SABOTAGE"):
        case "breaker_off":
            import mesh.breaker

            async def call(self, make):
                return await make()

            mesh.breaker.Breaker.call = call
        case "no_second_try":
            import mesh.grpc.client

            whole = mesh.grpc.client.service_config

            def without_retries(services):
                config = whole(services)
                config.pop("methodConfig", None)
                return config

            mesh.grpc.client.service_config = without_retries
