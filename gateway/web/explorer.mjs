// The schema, to be walked through: roots, a type, its fields, their types; or searched.
import { element } from "./dom.mjs";
import { draft, named, written } from "./schema.mjs";

const MOST_FOUND = 60;

export class Explorer {
  constructor(place, search, use) {
    this.place = place;
    this.use = use;
    this.path = [];
    search.addEventListener("input", () => this.find(search.value.trim().toLowerCase()));
  }

  show(schema) {
    this.schema = schema;
    this.path = [];
    this.draw();
  }

  complain(why) {
    this.place.replaceChildren(element("p", { className: "bad" }, why));
  }

  open(name) {
    const known = this.path.indexOf(name);
    this.path = known < 0 ? [...this.path, name] : this.path.slice(0, known + 1);
    this.draw();
    this.place.parentElement.scrollTop = 0;
  }

  draw() {
    const type = this.schema.types.get(this.path.at(-1));
    this.place.replaceChildren(...(type ? [this.trail(), ...this.typeOf(type)] : this.roots()));
  }

  roots() {
    const list = this.schema.roots.map((name) => {
      const { description } = this.schema.types.get(name);
      return element("li", {}, this.link(name), prose(description));
    });
    return [element("ul", {}, ...list)];
  }

  trail() {
    const home = element("button", { className: "link", type: "button", onclick: () => this.show(this.schema) }, "Schema");
    return element("div", { className: "path" }, home, ...this.path.flatMap((name) => ["›", this.link(name)]));
  }

  typeOf(type) {
    const { kind, name, description, fields, inputFields, possibleTypes, enumValues, interfaces } = type;
    const others = (possibleTypes ?? []).map((one) => element("li", {}, this.link(one.name)));
    const values = (enumValues ?? []).map((one) =>
      element("li", {}, element("code", { className: "constant" }, one.name), prose(one.description)),
    );
    const kinds = interfaces?.length ? ["implements ", ...interfaces.map((one) => this.link(one.name))] : [];
    return [
      element("h3", {}, name),
      element("p", {}, `${kind.toLowerCase().replace("_", " ")} `, ...kinds),
      prose(description),
      element("ul", {}, ...(fields ?? inputFields ?? []).map((field) => this.field(type, field)), ...others, ...values),
    ];
  }

  field(type, field) {
    const isRoot = this.schema.roots.includes(type.name);
    const taken = field.args?.flatMap((one, index) => [
      index ? ", " : "(",
      element("span", { className: "key", title: one.description ?? "" }, one.name),
      ": ",
      this.typed(one.type),
      one.defaultValue ? ` = ${one.defaultValue}` : "",
    ]);
    const signature = element(
      "code",
      {},
      element("span", { className: "name" }, field.name),
      ...(taken?.length ? [...taken, ")"] : []),
      ": ",
      this.typed(field.type),
    );
    const use = () => this.use(draft(this.schema, type.name, field));
    return element(
      "li",
      {},
      isRoot ? element("button", { className: "use", type: "button", onclick: use, title: `Write a document with ${field.name}` }, "Use") : null,
      signature,
      prose(field.isDeprecated ? `Deprecated: ${field.deprecationReason}. ${field.description}` : field.description),
    );
  }

  typed(type) {
    const name = named(type);
    const [before, after] = written(type).split(name);
    return element("span", { className: "type" }, before, this.schema.types.has(name) ? this.link(name) : name, after);
  }

  link(name) {
    return element("button", { className: "link", type: "button", onclick: () => this.open(name) }, name);
  }

  find(words) {
    if (!this.schema) return;
    if (!words) return this.draw();
    const found = [];
    for (const { name, fields, inputFields } of this.schema.types.values()) {
      if (name.toLowerCase().includes(words)) found.push([name, null]);
      for (const field of fields ?? inputFields ?? []) {
        if (field.name.toLowerCase().includes(words)) found.push([name, field.name]);
      }
    }
    const list = found.slice(0, MOST_FOUND).map(([name, field]) => element("li", {}, this.link(name), field ? `.${field}` : ""));
    this.place.replaceChildren(found.length ? element("ul", {}, ...list) : element("p", {}, "Nothing bears that name."));
  }
}

// A description; what stands between backticks is code.
function prose(text) {
  const parts = (text ?? "").split("`").map((part, index) => (index % 2 ? element("code", {}, part) : part));
  return element("p", {}, ...parts);
}
