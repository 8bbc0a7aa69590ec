"""`python -m feed_svc serve|work|migrate|all`; the only reader of the environment."""

import os
import sys

from feed_svc import app
from feed_svc.config import Config
from mesh import entry, outbox

if __name__ == "__main__":
    raise SystemExit(
        entry.main(
            "feed_svc",
            Config,
            app.start,
            components=[outbox.COMPONENT, "feed_svc"],
            arguments=sys.argv[1:],
            environment=os.environ,
        )
    )
