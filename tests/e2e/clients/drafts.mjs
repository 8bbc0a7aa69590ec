// The documents that the page drafts for every root field: node drafts.mjs. Prints one JSON line of them.
import { draft } from "../../../gateway/web/schema.mjs";
import { schema } from "./schema.mjs";

const drafts = {};
for (const name of schema.roots) {
  for (const field of schema.types.get(name).fields) drafts[`${name}.${field.name}`] = draft(schema, name, field);
}
console.log(JSON.stringify(drafts));
