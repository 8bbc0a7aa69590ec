// What the page suggests at the end of each of some texts: node suggestions.mjs < texts. JSON lists in and out.
import { suggestionsAt } from "../../../gateway/web/suggestions.mjs";
import { schema } from "./schema.mjs";

const chunks = [];
for await (const chunk of process.stdin) chunks.push(chunk);
const texts = JSON.parse(Buffer.concat(chunks).toString());
const names = (text) => suggestionsAt(schema, text, text.length).options.map(({ name }) => name);
console.log(JSON.stringify(texts.map(names)));
