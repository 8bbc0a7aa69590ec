// Mercurius on Fastify, compiling each document at its first use. Prints its port.
import Fastify from "fastify";
import mercurius from "mercurius";

import { resolvers, typeDefs } from "./home.mjs";

const app = Fastify();
app.register(mercurius, { schema: typeDefs, resolvers, jit: 1, graphiql: false });
await app.listen({ host: "127.0.0.1", port: 0 });
console.log(app.server.address().port);
