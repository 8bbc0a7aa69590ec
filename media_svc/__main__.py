"""`python -m media_svc serve|work|migrate|all`; the only reader of the environment."""

import os
import sys

from media_svc import app
from media_svc.config import Config
from mesh import entry, outbox

if __name__ == "__main__":
    raise SystemExit(
        entry.main(
            "media_svc",
            Config,
            app.start,
            components=[outbox.COMPONENT, "media_svc"],
            arguments=sys.argv[1:],
            environment=os.environ,
        )
    )
