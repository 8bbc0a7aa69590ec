"""What a worker and its zygote say to each other, over one socket that keeps messages apart.

Each message is JSON:

| from | message | with files |
| --- | --- | --- |
| worker | `{"job": 7, "declared": "image/jpeg", "max_bytes": 15728640}` | the original, and where to write the result |
| worker | `{"kill": 7}` | |
| zygote | `{"job": 7, "signal": 0, "status": 0, "cpu_seconds": 0.3, "memory_bytes": 90000000}`: the child has ended | |

A child writes its result (see `parcel`) before it ends with status 0.
"""

SOCKET = 3
"""The zygote's file number of the socket."""
OUT_OF_MEMORY = 40
"""Status of a child that met its memory limit."""
MAX_MESSAGE_BYTES = 4096
