// One face over three clients: read, write, listen, close.
import { ApolloClient, ApolloLink, gql, HttpLink, InMemoryCache } from "@apollo/client";
import { PersistedQueryLink } from "@apollo/client/link/persisted-queries";
import { GraphQLWsLink } from "@apollo/client/link/subscriptions";
import { cacheExchange, Client, fetchExchange, subscriptionExchange } from "@urql/core";
import { buildSchema, isAbstractType, OperationTypeNode } from "graphql";
import { createClient } from "graphql-ws";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import WebSocket from "ws";

import { eachValueFrom } from "./values.mjs";

export function connect(name, url, token) {
  return { "graphql-ws": overSocket, apollo: overApollo, urql: overUrql }[name](url, `Bearer ${token}`);
}

function socketTo(url, authorization) {
  return createClient({
    url: url.replace(/^http/, "ws"),
    webSocketImpl: WebSocket,
    connectionParams: { authorization },
  });
}

function overSocket(url, authorization) {
  const socket = socketTo(url, authorization);
  const listen = (query, variables) => dataOf(socket.iterate({ query, variables }));
  const once = async (query, variables) => (await listen(query, variables).next()).value;
  return { read: once, write: once, listen, close: () => socket.dispose() };
}

// Queries by GET and hash (automatic persisted queries), mutations by POST, subscriptions over the socket.
function overApollo(url, authorization) {
  const socket = socketTo(url, authorization);
  const http = new PersistedQueryLink({
    sha256: (text) => createHash("sha256").update(text).digest("hex"),
    useGETForHashedQueries: true,
  }).concat(new HttpLink({ uri: url, headers: { authorization } }));
  const link = ApolloLink.split(
    ({ operationType }) => operationType === OperationTypeNode.SUBSCRIPTION,
    new GraphQLWsLink(socket),
    http,
  );
  const client = new ApolloClient({ link, cache: new InMemoryCache({ possibleTypes: possibleTypes() }) });
  return {
    read: async (query, variables) =>
      (await client.query({ query: gql(query), variables, fetchPolicy: "network-only" })).data,
    write: async (mutation, variables) => (await client.mutate({ mutation: gql(mutation), variables })).data,
    listen: (query, variables) => dataOf(eachValueFrom(client.subscribe({ query: gql(query), variables }))),
    close: async () => {
      client.stop();
      await socket.dispose();
    },
  };
}

// Apollo's cache must be told which types an interface has, or it drops what is selected on it.
function possibleTypes() {
  const schema = buildSchema(readFileSync(new URL("../../../gateway/schema.graphql", import.meta.url), "utf8"));
  const abstract = Object.values(schema.getTypeMap()).filter(isAbstractType);
  return Object.fromEntries(abstract.map((type) => [type.name, schema.getPossibleTypes(type).map(({ name }) => name)]));
}

function overUrql(url, authorization) {
  const socket = socketTo(url, authorization);
  const subscriptions = subscriptionExchange({
    forwardSubscription: ({ query, variables }) => ({
      subscribe: (sink) => ({ unsubscribe: socket.subscribe({ query, variables }, sink) }),
    }),
  });
  const client = new Client({
    url,
    exchanges: [cacheExchange, fetchExchange, subscriptions],
    fetchOptions: { headers: { authorization } },
    preferGetMethod: false,
  });
  const answered = async (operation) => {
    const { data, error } = await operation.toPromise();
    if (error) throw error;
    return data;
  };
  return {
    read: (query, variables) => answered(client.query(query, variables ?? {}, { requestPolicy: "network-only" })),
    write: (query, variables) => answered(client.mutation(query, variables)),
    listen: (query, variables) => dataOf(eachValueFrom(client.subscription(query, variables))),
    close: () => socket.dispose(),
  };
}

async function* dataOf(results) {
  for await (const { data, errors, error } of results) {
    if (errors) throw errors;
    if (error) throw error;
    yield data;
  }
}
