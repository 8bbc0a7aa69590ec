// Reads an inbox with the graphql-ws client until it is caught up: node inbox.mjs <url> <token> [cursor].
// Prints one JSON line of the events.
import { createClient } from "graphql-ws";
import WebSocket from "ws";

const [url, token, after] = process.argv.slice(2);
const client = createClient({
  url: url.replace(/^http/, "ws"),
  webSocketImpl: WebSocket,
  retryAttempts: 0,
  connectionParams: { authorization: `Bearer ${token}` },
});
const query = `subscription ($after: String) { inbox(after: $after) {
  __typename ... on InboxItem { cursor } ... on MessageReceived { message { number content } } } }`;
const events = [];
for await (const result of client.iterate({ query, variables: { after: after ?? null } })) {
  if (result.errors) throw new Error(JSON.stringify(result.errors));
  events.push(result.data.inbox);
  if (result.data.inbox.__typename === "InboxCaughtUp") break;
}
await client.dispose();
console.log(JSON.stringify(events));
