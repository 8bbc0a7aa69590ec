"""Redis: home timelines, and records of posts and people. Everything here can be made again from Postgres.

| key | type | holds | life | written by | read by |
| --- | --- | --- | --- | --- | --- |
| `tl:{<user>}` | sorted set | newest posts, `floor` | 31 days from the last read | fan-out, builds, own doing | feed |
| `tls:{<user>}` | list | older posts, in pieces | an hour more | fan-out, builds | feed |
| `tlm:{<user>}` | hash | what the timeline reflects: `g` `b` `p` `a` | as the timeline | builds, own doing | feed |
| `tlb:{<user>}` | string | token of who builds the timeline | 30 s | builds | builds |
| `page:{<user>}` | string | generation and ids of a pulled first page | 30 s, +-20 % | feed, no timeline | the same |
| `post:<post>` | string | author id (8 bytes) and encoded record | 1 day | feed | feed |
| `author:<user>` | string | version (20 digits) and encoded profile | 10 minutes | feed, profile changes | feed |

A post's score is its negated place, so that the newest stands first, where an insert finds its place at once. The
place is the post id without its lowest ten bits, which a double holds exactly; posts that share a place are put in
order by id after reading. The member `floor` is scored with the place from which on down the timeline knows nothing
(+1 for a complete one). A set without it is no timeline, so a plain ZADD can never make a timeline that looks
complete.

A ZADD looks through the whole set for its member, so the set is kept short: when it has grown beyond 3/8 of a
timeline's length, all but its newest eighth are put onto the shelf as one piece, their ids joined by commas, and what
is beyond three pieces is cut off. What comes late or is backfilled goes into the set wherever it belongs; reads put
both together.

`g` is the generation that the timeline reflects (see feed_generations in Postgres), `b` the millisecond it
was built, `p` the followed authors whose posts are pulled, `a` the millisecond as of which that is known.

All keys that one server-side step touches share the hash tag `{<user>}`.
"""

from feed_svc.cache.records import Records
from feed_svc.cache.timelines import Timelines, ids_of
from mesh.redis_bulk import Ids

__all__ = ["Ids", "Records", "Timelines", "ids_of"]
