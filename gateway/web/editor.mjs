// A plain text area over a coloured copy of its text. Tab leaves it, as everywhere; Enter keeps the indentation, a closing brace ends it.
import { painted } from "./highlight.mjs";

export class Editor {
  constructor(area, language, changed) {
    this.area = area;
    this.language = language;
    this.copy = area.parentElement.querySelector("pre");
    area.addEventListener("input", () => {
      this.paint();
      changed();
    });
    area.addEventListener("scroll", () => this.follow());
    area.addEventListener("keydown", (event) => this.indent(event));
  }

  get value() {
    return this.area.value;
  }

  set value(text) {
    this.area.value = text;
    this.paint();
  }

  paint() {
    // The last line needs something in it to be as high as in the text area.
    this.copy.replaceChildren(painted(this.area.value, this.language), "\n ");
    this.follow();
  }

  follow() {
    this.copy.scrollTop = this.area.scrollTop;
    this.copy.scrollLeft = this.area.scrollLeft;
  }

  indent(event) {
    if (event.ctrlKey || event.metaKey || event.isComposing) return;
    const { selectionStart, value } = this.area;
    const line = value.slice(value.lastIndexOf("\n", selectionStart - 1) + 1, selectionStart);
    if ("})]".includes(event.key) && /^\s{2,}$/.test(line)) {
      this.area.setSelectionRange(selectionStart - 2, selectionStart);
      return;
    }
    if (event.key !== "Enter") return;
    event.preventDefault();
    const before = line.match(/^\s*/)[0];
    const opens = /[{([]\s*$/.test(line);
    const closes = opens && /^\s*[})\]]/.test(value.slice(selectionStart));
    this.insert(`\n${before}${opens ? "  " : ""}`);
    if (closes) {
      const place = this.area.selectionStart;
      this.insert(`\n${before}`);
      this.area.setSelectionRange(place, place);
    }
  }

  insert(text) {
    // It has no successor that leaves "undo" working.
    document.execCommand("insertText", false, text);
  }
}
