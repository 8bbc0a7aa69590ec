"""Breaks story_svc on purpose, in its own processes: `STORY_SABOTAGE` names how. Python imports this file at its
start.
"""

import os
import sys

if "story_svc" in sys.orig_argv:
    match os.environ.get("STORY_SABOTAGE"):
        case "trust_the_ttl":
            import story_svc.domain

            story_svc.domain.is_live = lambda expire_time, now: True
        case "redis_as_truth":
            import story_svc.store

            async def nothing(self, authors):
                return dict.fromkeys(authors, ())

            story_svc.store.Store.live_entries = nothing
        case "nobody_expires":
            import mesh.schedule
            import story_svc.usecases.sweep_stories

            async def idle(self, *arguments, **more):
                return None

            mesh.schedule.Schedule.plan = idle
            story_svc.usecases.sweep_stories.SweepStories.__call__ = idle
