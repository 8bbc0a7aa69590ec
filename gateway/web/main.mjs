// The page: a document, its variables, a token, and what the gateway answers.
import { Answer } from "./answer.mjs";
import { Completion } from "./completion.mjs";
import { byId } from "./dom.mjs";
import { Editor } from "./editor.mjs";
import { Explorer } from "./explorer.mjs";
import { History } from "./history.mjs";
import { operationAt } from "./operations.mjs";
import { load } from "./schema.mjs";
import { ask, listen } from "./transport.mjs";

const URL_OF_GRAPHQL = new URL("graphql", document.baseURI).href;
const WELCOME = `# Ctrl+Enter runs what the cursor is in.
# "Use", in the schema, writes a document; Ctrl+Space suggests words.
query Home {
  viewer { username }
  home {
    feed(first: 5) {
      edges {
        node { caption likeCount author { username } }
      }
      pageInfo { hasNextPage endCursor }
    }
    storyTray { author { username } hasUnseen }
  }
}

subscription Inbox {
  inbox {
    __typename
    ... on InboxItem { cursor }
    ... on MessageReceived {
      message { number content sender { username } }
    }
  }
}
`;

const written = new Editor(byId("document"), "graphql", keep);
const variables = new Editor(byId("variables"), "json", keep);
const completion = new Completion(written);
const answer = new Answer(byId("answer"), byId("status"));
const history = new History(byId("history"), (entry) => put(entry));
const explorer = new Explorer(byId("explorer"), byId("search"), (draft) => put(draft));
const token = byId("token");
const run = byId("run");
let stop = null;

put({ document: stored("document") ?? WELCOME, variables: stored("variables") ?? "" });
token.value = stored("token") ?? "";
answer.clear("Answers appear here.");
load(URL_OF_GRAPHQL, token.value).then(learn, (error) => explorer.complain(error.message));
whoIsIt();

run.addEventListener("click", toggle);
byId("copy").addEventListener("click", copy);
byId("show-token").addEventListener("click", showToken);
token.addEventListener("change", () => {
  sessionStorage.setItem("heliograph.token", token.value.trim());
  whoIsIt();
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    toggle();
  }
});
for (const tab of document.querySelectorAll("[role=tab]")) {
  tab.addEventListener("click", () => choose(tab));
  tab.addEventListener("keydown", (event) => {
    if (["ArrowLeft", "ArrowRight"].includes(event.key)) choose(tab.nextElementSibling ?? tab.previousElementSibling);
  });
}

function learn(schema) {
  explorer.show(schema);
  completion.schema = schema;
}

function toggle() {
  if (stop) stop();
  else start();
}

function start() {
  const request = requested();
  if (!request) return;
  history.add(written.value, variables.value);
  const { kind } = operationAt(written.value, byId("document").selectionStart);
  run.textContent = "Stop";
  if (kind === "subscription") subscribe(request);
  else send(request);
}

async function send(request) {
  const control = new AbortController();
  stop = () => control.abort();
  answer.say("…");
  try {
    const { status, milliseconds, characters, body } = await ask(URL_OF_GRAPHQL, token.value.trim(), request, control.signal);
    const isBad = status >= 400 || Boolean(body?.errors);
    answer.say(`${status} · ${milliseconds.toFixed(0)} ms · ${characters.toLocaleString()} characters`, isBad);
    answer.show(body);
  } catch (error) {
    answer.say(error.name === "AbortError" ? "stopped" : error.message, true);
  }
  ended();
}

function subscribe(request) {
  let number = 0;
  answer.clear();
  answer.say("listening");
  const onEvent = (body) => {
    answer.add(++number, body);
    answer.say(`listening · ${number}`, Boolean(body.errors));
  };
  const onEnd = (why) => {
    answer.say(`${why} · ${number}`, why.startsWith("closed") || why === "refused");
    ended();
  };
  stop = listen(URL_OF_GRAPHQL, token.value.trim(), request, onEvent, onEnd);
}

function ended() {
  stop = null;
  run.textContent = "Run";
}

function requested() {
  const { name } = operationAt(written.value, byId("document").selectionStart);
  try {
    const given = variables.value.trim() ? JSON.parse(variables.value) : {};
    return { query: written.value, variables: given, ...(name && { operationName: name }) };
  } catch (error) {
    answer.say(`Variables: ${error.message}`, true);
    return null;
  }
}

function put(entry) {
  written.value = entry.document;
  variables.value = entry.variables;
  keep();
}

// What is being written outlives the page; the token lives as long as the tab.
function keep() {
  localStorage.setItem("heliograph.document", written.value);
  localStorage.setItem("heliograph.variables", variables.value);
}

function stored(name) {
  return (name === "token" ? sessionStorage : localStorage).getItem(`heliograph.${name}`);
}

async function whoIsIt() {
  const person = byId("person");
  person.textContent = "";
  if (!token.value.trim()) return;
  const { body } = await ask(URL_OF_GRAPHQL, token.value.trim(), { query: "{ viewer { username } }" });
  person.textContent = body?.data ? `as ${body.data.viewer.username}` : (body?.errors?.[0]?.message ?? "");
}

async function copy() {
  const request = requested();
  if (!request) return;
  const body = JSON.stringify(request).replaceAll("'", "'\\''");
  const lines = [`curl -s '${URL_OF_GRAPHQL}'`, `-H "Authorization: Bearer $TOKEN"`, `-H 'Content-Type: application/json'`, `-d '${body}'`];
  await navigator.clipboard.writeText(lines.join(" "));
  answer.say("copied");
}

function showToken({ currentTarget }) {
  const isShown = token.type === "password";
  token.type = isShown ? "text" : "password";
  currentTarget.textContent = isShown ? "Hide" : "Show";
  currentTarget.setAttribute("aria-pressed", String(isShown));
}

function choose(chosen) {
  for (const tab of document.querySelectorAll("[role=tab]")) {
    const isChosen = tab === chosen;
    tab.setAttribute("aria-selected", String(isChosen));
    tab.tabIndex = isChosen ? 0 : -1;
    byId(tab.getAttribute("aria-controls")).hidden = !isChosen;
  }
  chosen.focus();
}
