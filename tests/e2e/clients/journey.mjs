// The whole journey of two people through one client: node journey.mjs <client> < settings.
//
// Settings, JSON on standard input: url, photo (a path), and author and follower, each with token and userId.
// Prints one JSON line: what was seen on the way, for the test to compare.
import { randomUUID } from "node:crypto";
import { readFile } from "node:fs/promises";
import { setTimeout as pause } from "node:timers/promises";

import { parse, print, separateOperations } from "graphql";

import { connect } from "./connect.mjs";

const settings = JSON.parse(await readAll(process.stdin));
const documents = separateOperations(parse(await readFile(new URL("journey.graphql", import.meta.url), "utf8")));
const photo = await readFile(settings.photo);
const author = connect(process.argv[2], settings.url, settings.author.token);
const follower = connect(process.argv[2], settings.url, settings.follower.token);

const seen = {};
const postUpload = await upload("POST");
const post = (await author.write(print(documents.Post), { upload: postUpload, key: randomUUID() })).createPost.post;
seen.post = post.id;
seen.feed = await until(async () => {
  const { home } = await follower.read(print(documents.Home));
  const ids = home.feed.edges.map((edge) => edge.node.id);
  return ids.includes(post.id) && ids;
});
const storyUpload = await upload("STORY");
const story = (await author.write(print(documents.Story), { upload: storyUpload, key: randomUUID() })).publishStory.story;
seen.story = story.id;
seen.tray = await until(async () => {
  const { home } = await follower.read(print(documents.Home));
  const ids = home.storyTray.flatMap((reel) => reel.stories.map((one) => one.id));
  return ids.includes(story.id) && ids;
});

const inbox = follower.listen(print(documents.Inbox), { after: null });
seen.first = (await next(inbox)).__typename;
await say("one");
const live = await next(inbox);
seen.live = live.message.content;
await inbox.return();
await say("two");
await say("three");
const resumed = follower.listen(print(documents.Inbox), { after: live.cursor });
seen.resumed = [];
while (seen.resumed.length < 2) {
  // The last message may still be on its way when the log has been told to its end.
  const event = await next(resumed);
  if (event.__typename === "MessageReceived") seen.resumed.push(event.message.content);
}
await resumed.return();
seen.refused = await author.read(print(documents.PostById), { id: settings.follower.userId }).catch((error) => codeOf(error));
await author.close();
await follower.close();
console.log(JSON.stringify(seen));

async function upload(kind) {
  const variables = { kind, bytes: photo.length, key: randomUUID() };
  const { upload: made, form } = (await author.write(print(documents.Upload), variables)).createUpload;
  const body = new FormData();
  for (const { name, value } of form.fields) body.append(name, value);
  body.append("file", new Blob([photo], { type: "image/jpeg" }), "photo.jpg");
  const stored = await fetch(form.url, { method: "POST", body });
  if (!stored.ok) throw new Error(`the object store said ${stored.status}`);
  await author.write(print(documents.Complete), { upload: made.id });
  await until(async () => (await author.read(print(documents.Status), { upload: made.id })).upload.status === "READY");
  return made.id;
}

async function say(content) {
  await author.write(print(documents.Send), { to: settings.follower.userId, content, key: randomUUID() });
}

async function next(events) {
  const { value, done } = await events.next();
  if (done) throw new Error("the subscription ended");
  return value.inbox;
}

async function until(condition) {
  for (const end = Date.now() + 20_000; Date.now() < end; await pause(50)) {
    const found = await condition();
    if (found) return found;
  }
  throw new Error(`did not come true: ${condition}`);
}

function codeOf(error) {
  const errors = error.graphQLErrors ?? error.errors ?? error;
  return errors[0]?.extensions?.code ?? String(error);
}

async function readAll(stream) {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}
