"""Sets feed_svc up for its check, in its own processes: `FEED_CHUNK` followers a chunk; `FEED_SABOTAGE` names how to
break it on purpose. Python imports this file at its start.
"""

import asyncio
import os
import sys
from dataclasses import replace

if "feed_svc" in sys.orig_argv:
    from feed_svc.usecases import fan_out_post, get_home_feed
    from feed_svc.usecases.fan_out_post import FanOutPost
    from feed_svc.usecases.get_home_feed import GetHomeFeed, LastPages
    from feed_svc.workers import Workers

    fan_out_post.CHUNK = int(os.environ["FEED_CHUNK"])
    fan_out_post.CHECKED_SHARE = 4

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
        case "zadd_to_missing_timeline":
            read_home = GetHomeFeed._read_home

            async def read_any_set(self, viewer, *, before, limit):
                home = await read_home(self, viewer, before=before, limit=limit)
                if home is None or home.floor is not None:
                    return home
                found = await self.timelines._client.zrange(f"tl:{{{viewer}}}", 0, -1)
                if not found:
                    return home
                ids = sorted((int(one) for one in found if int(one) < before), reverse=True)
                generation = await self.store.generation(viewer)
                return replace(home, floor=-1, post_ids=tuple(ids), is_cut=False, generation=generation)

            GetHomeFeed._read_home = read_any_set
        case "no_stale_page":
            LastPages.keep = lambda self, viewer, page, *, page_size: None
