// What may stand at a place in a document: found by walking over its words with the schema, not by parsing it.
import { named, written } from "./schema.mjs";

const WORDS = /#[^\n]*|"""[\s\S]*?(?:"""|$)|"(?:[^"\\\n]|\\.)*"?|\.\.\.|\$?\w+|[{}():[\]=!|@]/g;
const COMPOSITE = ["OBJECT", "INTERFACE", "UNION"];

// `{ from, options: [{ name, detail }] }`: options that begin with what stands between `from` and the place.
export function suggestionsAt(schema, text, place) {
  const from = place - text.slice(0, place).match(/\w*$/)[0].length;
  const begun = text.slice(from, place).toLowerCase();
  const options = optionsAfter(schema, text.slice(0, from).match(WORDS) ?? []);
  const fitting = options.filter(({ name }) => name.toLowerCase().startsWith(begun));
  return { from, options: fitting.length === 1 && fitting[0].name === text.slice(from, place) ? [] : fitting };
}

function optionsAfter(schema, words) {
  // Each level is a selection (`type`), the arguments of a field (`args`), or an input object (`args` too).
  const levels = [];
  let wanted = null; // the type of the next selection
  let field = null; // the last field, whose arguments or selection may follow
  let last = "";
  for (const word of words) {
    if (word.startsWith("#") || word.startsWith('"')) continue;
    const level = levels.at(-1);
    if (word === "{") {
      const input = level?.args && inputOf(schema, level);
      levels.push(input ? { args: input.inputFields } : { type: wanted ?? (levels.length ? level.type : schema.types.get(schema.roots[0])) });
      wanted = field = null;
    } else if (word === "(") {
      levels.push({ args: field?.args ?? [], isVariables: !field, wanted });
    } else if (word === ")") {
      wanted = levels.pop()?.wanted;
    } else if (word === "}") {
      levels.pop();
    } else if (/^\w/.test(word)) {
      if (last === "on") wanted = schema.types.get(word);
      else if (!levels.length) wanted = rootOf(schema, word) ?? wanted;
      else if (level.args) {
        if (last !== ":") level.arg = level.args.find(({ name }) => name === word);
      } else if (last !== "...") {
        field = level.type?.fields?.find(({ name }) => name === word) ?? null;
        wanted = field && schema.types.get(named(field.type));
      } else if (word !== "on") wanted = field = null;
    }
    if (word === "...") wanted = field = null;
    last = word;
  }
  return optionsOf(schema, levels.at(-1), last);
}

function optionsOf(schema, level, last) {
  if (last === "on") return composites(schema);
  if (!level) return ["query", "mutation", "subscription", "fragment"].map((name) => ({ name, detail: "" }));
  if (level.isVariables) return last === ":" ? inputs(schema) : [];
  if (level.args) return last === ":" ? valuesOf(schema, level.arg) : detailed(level.args);
  if (last === "...") return [{ name: "on", detail: "a type" }];
  return [...detailed(level.type?.fields ?? []), { name: "__typename", detail: "String!" }];
}

function detailed(things) {
  return things.map((one) => ({ name: one.name, detail: written(one.type), description: one.description }));
}

function composites(schema) {
  return [...schema.types.values()].filter(({ kind }) => COMPOSITE.includes(kind)).map(({ name, kind }) => ({ name, detail: kind.toLowerCase() }));
}

function inputs(schema) {
  return [...schema.types.values()].filter(({ kind }) => !COMPOSITE.includes(kind)).map(({ name, kind }) => ({ name, detail: kind.toLowerCase().replace("_", " ") }));
}

function valuesOf(schema, arg) {
  const type = arg && schema.types.get(named(arg.type));
  if (type?.kind === "ENUM") return type.enumValues.map(({ name, description }) => ({ name, detail: "", description }));
  return type?.name === "Boolean" ? [{ name: "true", detail: "" }, { name: "false", detail: "" }] : [];
}

function inputOf(schema, { arg }) {
  const type = arg && schema.types.get(named(arg.type));
  return type?.kind === "INPUT_OBJECT" ? type : null;
}

function rootOf(schema, word) {
  const name = schema.roots.find((root) => root.toLowerCase() === word);
  return name && schema.types.get(name);
}
