"""`make demo`: the product's story, told by doing it, over the public API only, with real photographs.

| module | what it does |
| --- | --- |
| `__main__` | finds the running stack, or starts one of its own; the exit status |
| `api` | a small client of the public API: GraphQL over HTTP and WebSocket, photo upload by form |
| `narrator` | tells each step in a line, with the time that it took, and checks it |
| `photos` | the photographs: a default set, or those of a folder |
| `cast` | the people of one run |
| `chapters` | the story itself |
"""
