// What was run here, newest first, kept by the browser. Tokens are not in it.
import { element } from "./dom.mjs";

const KEY = "heliograph.history";
const KEPT = 50;

export class History {
  constructor(place, choose) {
    this.place = place;
    this.choose = choose;
    this.draw();
  }

  get entries() {
    try {
      return JSON.parse(localStorage.getItem(KEY)) ?? [];
    } catch {
      return [];
    }
  }

  add(document, variables) {
    const others = this.entries.filter((one) => one.document !== document || one.variables !== variables);
    const entries = [{ document, variables, time: new Date().toISOString() }, ...others].slice(0, KEPT);
    localStorage.setItem(KEY, JSON.stringify(entries));
    this.draw();
  }

  draw() {
    const entries = this.entries;
    if (!entries.length) {
      this.place.replaceChildren(element("p", { className: "hint" }, "What you run is listed here."));
      return;
    }
    const list = entries.map((entry) => element("li", {}, this.button(entry)));
    const clear = () => {
      localStorage.removeItem(KEY);
      this.draw();
    };
    this.place.replaceChildren(element("ul", {}, ...list), element("button", { type: "button", onclick: clear }, "Clear"));
  }

  button(entry) {
    const line = entry.document.replace(/#.*/g, "").replace(/\s+/g, " ").trim();
    return element(
      "button",
      { className: "entry", type: "button", title: entry.document, onclick: () => this.choose(entry) },
      element("span", {}, line.slice(0, 200)),
      element("time", { dateTime: entry.time }, new Date(entry.time).toLocaleString()),
    );
  }
}
