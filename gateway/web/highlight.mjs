// Colours for documents and JSON: text in, a fragment of spans out.

const LONGEST = 300_000; // characters; beyond it colours cost more than they tell

// Each pattern matches one token; the kinds name its groups, in order.
const LANGUAGES = {
  graphql: {
    pattern:
      /(#[^\n]*)|("""[\s\S]*?(?:"""|$)|"(?:[^"\\\n]|\\.)*"?)|(\$\w+)|(@\w+)|\b(query|mutation|subscription|fragment|on)\b|\b(true|false|null)\b|(-?\d[\d.eE+-]*)|(\w+)(?=\s*:)|(\w+)|([{}()[\]:!=|&.,]+)/g,
    kinds: ["comment", "string", "variable", "directive", "keyword", "constant", "number", "key", "name", "other"],
  },
  json: {
    pattern: /("(?:[^"\\]|\\.)*")(?=\s*:)|("(?:[^"\\]|\\.)*"?)|\b(true|false|null)\b|(-?\d[\d.eE+-]*)|([{}[\],:]+)/g,
    kinds: ["key", "string", "constant", "number", "other"],
  },
};

export function painted(text, language) {
  const fragment = document.createDocumentFragment();
  if (text.length > LONGEST) {
    fragment.append(text);
    return fragment;
  }
  const { pattern, kinds } = LANGUAGES[language];
  let reached = 0;
  for (const match of text.matchAll(pattern)) {
    fragment.append(text.slice(reached, match.index));
    const span = document.createElement("span");
    span.className = kinds[match.slice(1).findIndex((group) => group !== undefined)];
    span.textContent = match[0];
    fragment.append(span);
    reached = match.index + match[0].length;
  }
  fragment.append(text.slice(reached));
  return fragment;
}
