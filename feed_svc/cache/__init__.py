"""Redis: home timelines, and records of posts and people. Everything here can be made again from Postgres.

| key | type | holds | life | written by | read by |
| --- | --- | --- | --- | --- | --- |
| `home:{<user>}` | list | timeline, or pulled first page | 31 days from a read; 30 s | fan-out, builds, feed | feed |
| `post:<post>` | string | author id (8 bytes) and encoded record | 1 day | feed | feed |
| `author:<user>` | string | version (20 digits) and encoded profile | 10 minutes | feed, profile changes | feed |

The first element of a list is its mark (`marks.py`), behind it stand post ids in the order in which they arrived. The
mark of a timeline bears its floor, the post from which on down it knows nothing; the generation that it reflects (see
feed_generations in Postgres); when it was built; the followed authors whose posts are pulled, and as of when that is
known. One key, so that nothing of a timeline is ever without the rest.

Fan-out pushes with RPUSHX: into lists that exist, whatever they are, at the same price for any length, and without a
look at what stands there. So posts stand in the order of their arrival, and a repeated push stands there twice; reads
put them in order. The answer is the length: what has grown to half more than a timeline's length is cut by what arrived
first, and the floor moves up to the newest post that is cut off.

Who has no timeline has a first page kept here, and behind it what was pushed since it was pulled: with anything among
it that belongs on the page, the page is out of date.
"""

from feed_svc.cache.records import Records
from feed_svc.cache.timelines import Timelines, ids_of
from mesh.redis_bulk import Ids

__all__ = ["Ids", "Records", "Timelines", "ids_of"]
