// Fields to filter by, one for each column, and the conditions they stand for.

import { made } from "./made.js";

// Fields by column name; each has `element`, `read` (a condition, or undefined) and `show` (whether
// it can show a condition).
export function fieldsOf(columns) {
  const makers = { text: textField, number: numberField, truth: truthField };
  return new Map(columns.map((column, i) => [column.name, makers[column.kind](column, i)]));
}

// Conditions as /search takes them.
export function readAll(fields) {
  const read = [...fields].map(([name, field]) => [name, field.read()]);
  return Object.fromEntries(read.filter(([, condition]) => condition !== undefined));
}

// Let the fields show these conditions; the names of those they cannot show.
export function showAll(fields, where) {
  for (const field of fields.values()) field.show(undefined);
  return Object.keys(where).filter((name) => !fields.get(name)?.show(where[name]));
}

function textField(column, i) {
  return column.is_whole ? choice(column, column.values) : typed(column, i);
}

function truthField(column) {
  const field = choice(column, ["true", "false"]);
  return {
    element: field.element,
    read: () => ({ true: true, false: false })[field.read()],
    show: (value) => field.show(value === undefined ? undefined : String(value)),
  };
}

function choice(column, values) {
  const any = made("option", { value: "", text: "any" });
  const select = made("select", {}, any);
  values.forEach((value, i) => select.append(made("option", { value: i, text: value || "(empty)" })));
  return {
    element: labelled(column.name, select),
    read: () => (select.value === "" ? undefined : values[select.value]),
    show: (value) => {
      const one = single(value);
      const place = values.indexOf(one);
      select.value = place < 0 ? "" : place;
      return place >= 0 || value === undefined;
    },
  };
}

function typed(column, i) {
  const list = made("datalist", { id: `values-${i}` });
  for (const value of column.values) list.append(made("option", { value }));
  const input = made("input", { type: "text", list: list.id, autocomplete: "off" });
  return {
    element: labelled(column.name, input, list),
    read: () => input.value || undefined,
    show: (value) => {
      const one = single(value);
      input.value = typeof one === "string" ? one : "";
      return typeof one === "string" || value === undefined;
    },
  };
}

function numberField(column) {
  const [least, most] = [0, 1].map(() => made("input", { type: "number", step: "any" }));
  least.setAttribute("aria-label", `${column.name}, at least`);
  most.setAttribute("aria-label", `${column.name}, at most`);
  const ends = [[">=", least], ["<=", most]];
  return {
    element: made("fieldset", { class: "field" },
      made("legend", { text: `${column.name}, from and to` }), least, most),
    read: () => {
      const said = ends.filter(([, input]) => input.value !== "");
      const numbers = said.map(([sign, input]) => [sign, input.valueAsNumber]);
      return numbers.length ? Object.fromEntries(numbers) : undefined;
    },
    show: (value) => {
      const bounds = typeof value === "number" ? { ">=": value, "<=": value } : (value ?? {});
      for (const [sign, input] of ends) input.value = bounds[sign] ?? "";
      return Object.keys(bounds).every((sign) => sign === ">=" || sign === "<=");
    },
  };
}

function labelled(name, ...inputs) {
  return made("label", { class: "field" }, made("span", { text: name }), ...inputs);
}

function single(value) {
  return Array.isArray(value) && value.length === 1 ? value[0] : value;
}
