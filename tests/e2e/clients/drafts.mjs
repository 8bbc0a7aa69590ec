// The documents that the page drafts for every root field: node drafts.mjs. Prints one JSON line of them.
import { buildSchema, introspectionFromSchema } from "graphql";
import { readFileSync } from "node:fs";

import { draft, indexed } from "../../../gateway/web/schema.mjs";

const root = new URL("../../../gateway/", import.meta.url);
const sdl = readFileSync(new URL("schema.graphql", root), "utf8");
const schema = indexed(introspectionFromSchema(buildSchema(sdl)).__schema);
const drafts = {};
for (const name of schema.roots) {
  for (const field of schema.types.get(name).fields) drafts[`${name}.${field.name}`] = draft(schema, name, field);
}
console.log(JSON.stringify(drafts));
