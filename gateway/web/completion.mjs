// Suggestions below the cursor: while a word is written, or on Ctrl+Space. Arrows choose, Enter takes, Escape closes.
import { element } from "./dom.mjs";
import { suggestionsAt } from "./suggestions.mjs";

const MOST = 12;

export class Completion {
  constructor(editor) {
    this.editor = editor;
    this.area = editor.area;
    this.schema = null;
    this.list = element("ul", { className: "completion", hidden: true, role: "listbox", id: "completion" });
    this.area.parentElement.append(this.list);
    this.area.setAttribute("aria-controls", "completion");
    this.area.addEventListener("input", (event) => this.offer(/^\w$/.test(event.data ?? "")));
    this.area.addEventListener("blur", () => this.close());
    this.area.addEventListener("scroll", () => this.close());
    // Before the editor's own keys: Enter takes a suggestion while there are any.
    this.area.addEventListener("keydown", (event) => this.press(event), { capture: true });
  }

  offer(isWanted) {
    const { selectionStart, selectionEnd, value } = this.area;
    if (!isWanted || !this.schema || selectionStart !== selectionEnd) return this.close();
    const { from, options } = suggestionsAt(this.schema, value, selectionStart);
    this.from = from;
    this.options = options.slice(0, MOST);
    this.chosen = 0;
    if (!this.options.length) return this.close();
    this.draw();
  }

  draw() {
    const items = this.options.map(({ name, detail, description }, index) =>
      element(
        "li",
        { role: "option", ariaSelected: String(index === this.chosen), title: description ?? "", onmousedown: (event) => this.take(event, index) },
        element("span", {}, name),
        element("small", {}, detail),
      ),
    );
    this.list.replaceChildren(...items);
    this.list.hidden = false;
    this.place();
  }

  // The font is of one width, so lines and columns tell where the cursor is.
  place() {
    const lines = this.area.value.slice(0, this.from).split("\n");
    const style = getComputedStyle(this.area);
    const wide = document.createElement("canvas").getContext("2d");
    wide.font = style.font;
    const x = parseFloat(style.paddingLeft) + lines.at(-1).length * wide.measureText("m").width - this.area.scrollLeft;
    const y = parseFloat(style.paddingTop) + lines.length * parseFloat(style.lineHeight) - this.area.scrollTop;
    const room = this.area.clientHeight - y;
    const height = this.list.offsetHeight;
    const top = height <= room ? y : Math.max(0, y - parseFloat(style.lineHeight) - height);
    this.list.style.left = `${Math.max(0, Math.min(x, this.area.clientWidth - this.list.offsetWidth))}px`;
    this.list.style.top = `${top}px`;
  }

  press(event) {
    if (event.key === " " && event.ctrlKey) {
      event.preventDefault();
      this.offer(true);
    } else if (!this.list.hidden) {
      const steps = { ArrowDown: 1, ArrowUp: -1 }[event.key];
      if (steps) {
        event.preventDefault();
        this.chosen = (this.chosen + steps + this.options.length) % this.options.length;
        this.draw();
      } else if (event.key === "Escape") {
        event.preventDefault();
        this.close();
      } else if (event.key === "Enter" && !event.ctrlKey && !event.metaKey) {
        event.stopImmediatePropagation();
        this.take(event, this.chosen);
      }
    }
  }

  take(event, index) {
    event.preventDefault();
    this.area.setSelectionRange(this.from, this.area.selectionStart);
    this.editor.insert(this.options[index].name);
    this.close();
  }

  close() {
    this.list.hidden = true;
  }
}
