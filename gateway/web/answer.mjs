// What came back: one answer, or the events of a subscription, the newest at the end.
import { element } from "./dom.mjs";
import { painted } from "./highlight.mjs";

const KEPT_EVENTS = 200;

export class Answer {
  constructor(place, status) {
    this.place = place;
    this.status = status;
  }

  say(text, isBad = false) {
    this.status.textContent = text;
    this.status.classList.toggle("bad", isBad);
  }

  clear(hint = "") {
    this.place.replaceChildren(hint && element("p", { className: "hint" }, hint));
  }

  show(body) {
    this.place.replaceChildren(pretty(body));
  }

  add(number, body) {
    const time = new Date().toISOString().slice(11, 23);
    const atEnd = this.place.scrollTop + this.place.clientHeight >= this.place.scrollHeight - 30;
    this.place.append(element("section", {}, element("h3", {}, `${number} · ${time}`), pretty(body)));
    if (this.place.children.length > KEPT_EVENTS) this.place.firstElementChild.remove();
    if (atEnd) this.place.scrollTop = this.place.scrollHeight;
  }
}

function pretty(body) {
  const text = typeof body === "string" ? body : JSON.stringify(body, null, 2);
  return element("pre", {}, typeof body === "string" ? text : painted(text, "json"));
}
