"""`python -m story_svc serve|work|migrate|all`; the only reader of the environment."""

import os
import sys

from mesh import entry, outbox
from story_svc import app
from story_svc.config import Config

if __name__ == "__main__":
    raise SystemExit(
        entry.main(
            "story_svc",
            Config,
            app.start,
            components=[outbox.COMPONENT, "story_svc"],
            arguments=sys.argv[1:],
            environment=os.environ,
        )
    )
