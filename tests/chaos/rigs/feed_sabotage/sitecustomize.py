"""Sets feed_svc up for its check, in its own processes: `FEED_CHUNK` followers a chunk; `FEED_SABOTAGE` names how to
break it on purpose. Python imports this file at its start.
"""

import asyncio
import os
import sys
from dataclasses import replace

if "feed_svc" in sys.orig_argv:
    from feed_svc.cache import Timelines
    from feed_svc.cache.marks import TimelineMark
    from feed_svc.domain import COMPLETE
    from feed_svc.usecases import fan_out_post, get_home_feed
    from feed_svc.usecases.fan_out_post import FanOutPost
    from feed_svc.usecases.get_home_feed import LastPages
    from feed_svc.workers import Workers

    fan_out_post.CHUNK = int(os.environ["FEED_CHUNK"])

    match os.environ["FEED_SABOTAGE"]:
        case "ack_before_last_chunk":
            handle, running = FanOutPost.handle, set()

            async def handle_later(self, chunk):
                task = asyncio.create_task(handle(self, chunk))
                running.add(task)
                task.add_done_callback(lambda done: (running.discard(done), done.cancelled() or done.exception()))

            FanOutPost.handle = handle_later
        case "one_lane":
            begin, consumer = FanOutPost.begin, Workers._consumer

            async def begin_and_end(self, post_id, author, mode, *, policy_version, follower_count):
                await begin(self, post_id, author, mode, policy_version=policy_version, follower_count=0)

            FanOutPost.begin = begin_and_end
            Workers._consumer = lambda self, *arguments: replace(consumer(self, *arguments), concurrency=1)
        case "no_read_rules":
            get_home_feed.is_visible = lambda standing, viewer: True
        case "rpush_to_missing_timeline":
            begin, push_post = FanOutPost.begin, Timelines.push_post

            async def begin_for_all(self, *arguments, **options):
                Timelines.store = self.store
                await begin(self, *arguments, **options)

            async def push_to_all(self, post_id, users):
                for user in users.tolist():
                    if not await self._client.exists(f"home:{{{user}}}"):
                        mark = TimelineMark(COMPLETE, await self.store.generation(user), 0, 0, frozenset())
                        await self._client.rpush(f"home:{{{user}}}", str(mark))
                return await push_post(self, post_id, users)

            FanOutPost.begin, Timelines.push_post = begin_for_all, push_to_all
        case "no_stale_page":
            LastPages.keep = lambda self, viewer, page, *, page_size: None
