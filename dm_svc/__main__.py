"""`python -m dm_svc serve|work|migrate|all`; the only reader of the environment."""

import os
import sys

from dm_svc import app
from dm_svc.config import Config
from mesh import entry

if __name__ == "__main__":
    raise SystemExit(
        entry.main(
            "dm_svc",
            Config,
            app.start,
            components=["dm_svc"],
            arguments=sys.argv[1:],
            environment=os.environ,
        )
    )
