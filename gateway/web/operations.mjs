// The operations of a document, found without a parser: enough to know which one to run, and how.

const OUTSIDE = /#[^\n]*|"""[\s\S]*?(?:"""|$)|"(?:[^"\\\n]|\\.)*"?/g;

export function operationsIn(text) {
  const bare = text.replace(OUTSIDE, (match) => " ".repeat(match.length));
  const found = [];
  let depth = 0;
  let head = 0;
  for (let at = 0; at < bare.length; at++) {
    const letter = bare[at];
    if (letter === "{" && depth++ === 0) {
      const [, kind = "query", name = null] = bare.slice(head, at).match(/\b(query|mutation|subscription|fragment)\b\s*(\w+)?/) ?? [];
      found.push({ kind, name, start: head, end: bare.length });
    } else if (letter === "}" && depth > 0 && --depth === 0) {
      found.at(-1).end = head = at + 1;
    } else if (letter === "(" && depth === 0) {
      // Default values of variables may hold braces.
      at = bare.indexOf(")", at) < 0 ? bare.length : bare.indexOf(")", at);
    }
  }
  return found.filter(({ kind }) => kind !== "fragment");
}

// The operation in which the cursor stands, else the first.
export function operationAt(text, place) {
  const all = operationsIn(text);
  return all.find(({ start, end }) => start <= place && place <= end) ?? all[0] ?? { kind: "query", name: null };
}
