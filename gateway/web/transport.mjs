// Both ways to the gateway: queries and mutations by POST, subscriptions over graphql-transport-ws.

export async function ask(url, token, request, signal) {
  const started = performance.now();
  const response = await fetch(url, {
    method: "POST",
    headers: {
      "Content-Type": "application/json",
      Accept: "application/graphql-response+json, application/json",
      ...(token && { Authorization: `Bearer ${token}` }),
    },
    body: JSON.stringify(request),
    signal,
  });
  const text = await response.text();
  return {
    status: response.status,
    milliseconds: performance.now() - started,
    characters: text.length,
    body: parsed(text),
  };
}

// Calls `onEvent` with each answer and `onEnd` once with the reason; returns how to stop.
export function listen(url, token, request, onEvent, onEnd) {
  const socket = new WebSocket(url.replace(/^http/, "ws"), "graphql-transport-ws");
  const send = (message) => socket.send(JSON.stringify(message));
  let reason = null;
  const end = (why) => {
    reason ??= why;
    socket.close(1000);
  };
  socket.onopen = () => send({ type: "connection_init", payload: token ? { authorization: `Bearer ${token}` } : {} });
  socket.onmessage = ({ data }) => {
    const { type, payload } = JSON.parse(data);
    if (type === "connection_ack") send({ type: "subscribe", id: "1", payload: request });
    else if (type === "ping") send({ type: "pong" });
    else if (type === "next") onEvent(payload);
    else if (type === "error") {
      onEvent({ errors: payload });
      end("refused");
    } else if (type === "complete") end("complete");
  };
  socket.onclose = ({ code, reason: text }) => onEnd(reason ?? `closed: ${code} ${text}`);
  return () => end("stopped");
}

function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
