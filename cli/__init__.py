"""`heliograph`, the command line: what operators and developers ask of the services, over gRPC.

| module | what it does |
| --- | --- |
| `main` | the arguments, exit statuses, errors as sentences |
| `settings` | finds addresses and keys: from `HELIOGRAPH_*` variables, or from the stack that `make run` started |
| `services` | channels to the services, under the name `cli` |
| `output` | tables, times, JSON |
| `address user token policy feed story media dm top` | one noun each |

A person is named by username or by number: `heliograph feed explain alice`, `heliograph feed explain 42`.
"""
