/** Elements, from values. Text is only ever set as text, so that no message becomes markup. */

/** The page's element with this id. */
export const the = (id) => document.getElementById(id);

/** @param {Record<string, unknown>} [props] properties of the element; `data`: its data attributes */
export function make(tag, { data = {}, ...props } = {}, ...children) {
  const element = Object.assign(document.createElement(tag), props);
  Object.assign(element.dataset, data);
  element.append(...children.filter(Boolean));
  return element;
}

/** One of the pictures at the end of index.html. What it shows is said beside it. */
export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  svg.setAttribute("aria-hidden", "true");
  use.setAttribute("href", `#${name}`);
  svg.append(use);
  return svg;
}
