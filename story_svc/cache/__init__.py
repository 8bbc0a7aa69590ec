"""Redis: what is live, what a viewer has seen and whom they follow. Nothing in it is the truth.

`story:live:{<shard>}`
    hash, the index of active authors; field = author, value = their live stories, `id:end id:end ...`, empty for none.
    A field lives 10 minutes. Written by any read that misses, read by every read path, rebuilt from Postgres `stories`.
`story:viewer:{<user>}`
    hash; `seen` = ids of live stories seen (10 minutes, rebuilt from Postgres `story_seen`), `authors` = JSON, for each
    shard those of the viewer and their followees (1 min, rebuilt from feed_svc), `last` = ids of followees for when
    feed_svc is away (10 minutes). The key lives 2 hours. Written and read by the tray.
`story:record:{<story>}`
    string, JSON: photo, author and times of a story, until its end (PXAT). Written by publish and any read that misses,
    read by every read path, rebuilt from Postgres `stories`.

Author `a` stands in shard `a mod 32`, so that the reels of hundreds of followees cost one call: on one server the same
one that reads the viewer, which goes from their authors to the reels by itself; in a cluster, where a call touches one
slot, a few dozen in one more round trip. Fields live up to a quarter shorter than said, by lot.

The hashes are leased (lua/leases.lua): a write commits in Postgres and then forgets the field; a fill that was loaded
before that is refused, so a deleted story can't come back and a new one can't be missed. Redis' own clock decides
nothing: ends are compared with the database's clock by whoever reads.

While the primary is away, what can change is read from Postgres, and what can't (records) from the replica. The
replica's reels are the last resort, when Postgres is away too: it can't know what was published or deleted since
its primary died. What it lacks from before is bounded: `forget` waits until the replica has it too. After a
failover the hashes count as empty (`epoch`), and everything is loaded again.
"""

from mesh.redis import Replicated
from story_svc.cache.records import Records
from story_svc.cache.reels import SHARDS, LeasedReels, Reels
from story_svc.cache.server import Lease, Server
from story_svc.cache.trays import Trays, TrayState
from story_svc.cache.viewers import Viewers


class Cache:
    """The service's Redis. All methods raise `mesh.redis.TROUBLE` when neither primary nor replica answers."""

    def __init__(self, clients: Replicated) -> None:
        self.server = Server(clients)
        self.reels = Reels(self.server)
        self.viewers = Viewers(self.server)
        self.trays = Trays(self.server, self.reels)
        self.records = Records(self.server)


__all__ = ["SHARDS", "Cache", "Lease", "LeasedReels", "Records", "Reels", "Server", "TrayState", "Trays", "Viewers"]
