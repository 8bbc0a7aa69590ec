"""Others, seen from here: domain values in and out.

| module | who |
| --- | --- |
| `graph` | feed_svc, for follows and blocks |
| `media` | media_svc, for photos |
| `webhook` | the push service |
"""
