// What the gateway says of its own schema, indexed by name.
import { ask } from "./transport.mjs";

const PAGE = 5; // of drafts

const INTROSPECTION = `query Introspection {
  __schema {
    queryType { name } mutationType { name } subscriptionType { name }
    types {
      kind name description
      fields(includeDeprecated: true) {
        name description isDeprecated deprecationReason type { ...Type } args { ...Input }
      }
      inputFields { ...Input }
      interfaces { name }
      possibleTypes { name }
      enumValues(includeDeprecated: true) { name description }
    }
  }
}
fragment Input on __InputValue { name description defaultValue type { ...Type } }
fragment Type on __Type { kind name ofType { kind name ofType { kind name ofType { kind name ofType { kind name } } } } }`;

export async function load(url, token) {
  const { body } = await ask(url, token, { query: INTROSPECTION });
  if (!body?.data) throw new Error(body?.errors?.[0]?.message ?? "the schema can't be had");
  return indexed(body.data.__schema);
}

// Types by name, and the names of the roots.
export function indexed({ types, queryType, mutationType, subscriptionType }) {
  return {
    types: new Map(types.filter(({ name }) => !name.startsWith("__")).map((type) => [type.name, type])),
    roots: [queryType, mutationType, subscriptionType].filter(Boolean).map(({ name }) => name),
  };
}

// A type as it is written: [Post!]!
export function written(type) {
  if (type.kind === "NON_NULL") return `${written(type.ofType)}!`;
  if (type.kind === "LIST") return `[${written(type.ofType)}]`;
  return type.name;
}

export function named(type) {
  return type.ofType ? named(type.ofType) : type.name;
}

// A document that uses a root field: its required arguments as variables, and the scalars it gives.
export function draft(schema, root, field) {
  const needed = field.args.filter(({ type, defaultValue }) => type.kind === "NON_NULL" && defaultValue === null);
  const declared = needed.map(({ name, type }) => `$${name}: ${written(type)}`).join(", ");
  const given = needed.map(({ name }) => `${name}: $${name}`);
  const call = called(field, given);
  const head = `${root.toLowerCase()} ${field.name[0].toUpperCase()}${field.name.slice(1)}${declared && ` (${declared})`}`;
  const variables = Object.fromEntries(needed.map(({ name, type }) => [name, example(schema, type)]));
  return {
    document: `${head} {\n  ${call}${selection(schema, schema.types.get(named(field.type)), "  ", 4, takesPages(field))}\n}\n`,
    variables: needed.length ? `${JSON.stringify(variables, null, 2)}\n` : "",
  };
}

// What is selected below: scalars, single objects, and one page of the first list on the way, not pages within it.
function selection(schema, type, indent, depth, isInPage = false, beside = new Map()) {
  if (!isComposite(type)) return "";
  const inner = `${indent}  `;
  const lines = type.kind === "OBJECT" ? [] : ["__typename"];
  for (const field of type.fields ?? []) {
    const below = schema.types.get(named(field.type));
    const isPage = takesPages(field);
    // Of types side by side, two may not give one name different types.
    const isTaken = (beside.get(field.name) ?? written(field.type)) !== written(field.type);
    const name = isTaken ? `${field.name}Of${type.name}: ` : "";
    if (!isTaken) beside.set(field.name, written(field.type));
    if (!isComposite(below)) lines.push(name + field.name);
    else if (depth > 0 && !(isPage && isInPage)) {
      lines.push(`${name}${called(field)}${selection(schema, below, inner, depth - 1, isInPage || isPage)}`);
    }
  }
  const taken = new Map();
  for (const { name } of type.possibleTypes ?? []) {
    lines.push(`... on ${name}${selection(schema, schema.types.get(name), inner, 1, true, taken)}`);
  }
  return ` {\n${(lines.length ? lines : ["__typename"]).map((line) => inner + line).join("\n")}\n${indent}}`;
}

function called(field, given = []) {
  const taken = takesPages(field) ? [...given, `first: ${PAGE}`] : given;
  return taken.length ? `${field.name}(${taken.join(", ")})` : field.name;
}

function takesPages(field) {
  return field.args.some(({ name }) => name === "first");
}

function isComposite(type) {
  return ["OBJECT", "INTERFACE", "UNION"].includes(type?.kind);
}

function example(schema, type) {
  if (type.kind === "NON_NULL") return example(schema, type.ofType);
  if (type.kind === "LIST") return [];
  const { kind, inputFields, enumValues } = schema.types.get(type.name);
  if (kind === "INPUT_OBJECT") {
    const needed = inputFields.filter((one) => one.type.kind === "NON_NULL" && one.defaultValue === null);
    return Object.fromEntries(needed.map((one) => [one.name, example(schema, one.type)]));
  }
  if (kind === "ENUM") return enumValues[0].name;
  return { Int: 1, Float: 1.5, Boolean: true }[type.name] ?? "";
}
