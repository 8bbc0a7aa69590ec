// GraphQL over HTTP's own audits against a running gateway: node audits.mjs <url>. Prints one JSON line of results.
import { auditServer } from "graphql-http";

const url = process.argv[2];
const results = await auditServer({ url, fetchFn: fetch });
const plain = [];
for (const result of results) {
  const one = { id: result.id, name: result.name, status: result.status };
  if (result.status !== "ok") {
    one.reason = String(result.reason);
    one.body = await result.response.text().catch(() => "");
    one.http = result.response.status;
  }
  plain.push(one);
}
console.log(JSON.stringify(plain));
