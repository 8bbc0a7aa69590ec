"""The fast path: documents compiled to plans. How a plan is made and run, from the outside in:

| module | what |
| --- | --- |
| `plans` | finds or compiles the plan of a request, runs it, or says that graphql-core must answer |
| `compiler` | a validated operation -> a `Plan`: one small function per field |
| `variables` | the variables of a request |
| `arguments` | what a resolver is called with |
| `inputs` | input objects, as Strawberry makes them |
| `leaves` | scalars and enums |
| `steps` | those functions |
| `plan` | `Plan`, and `Run`: one execution of it |
| `fragments` | finished JSON of records that don't change, by their bytes |
| `push` | the short way of an event to the devices that wait for it |

A plan calls the very resolvers that graphql-core would call, and knows nothing of errors: whatever it does not expect
is a `Surprise`, and graphql-core answers instead, with what the root fields have fetched. docs/adr/0053 says why.
"""
