// Elements; what they say is only ever put in as text.

export function made(name, { text, ...attributes } = {}, ...children) {
  const element = document.createElement(name);
  for (const [attribute, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== null) element.setAttribute(attribute, value);
  }
  if (text !== undefined) element.textContent = text;
  element.append(...children);
  return element;
}
