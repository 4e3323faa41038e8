// Elements by call. Text becomes text nodes only: nothing that came over the wire is ever parsed as markup.

const svgNamespace = 'http://www.w3.org/2000/svg'

function fill(element, properties, children) {
  for (const [name, value] of Object.entries(properties ?? {})) {
    if (value === undefined || value === null || value === false) continue
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value)
    else if (name === 'value' || name === 'checked' || name === 'selected' || name === 'indeterminate') {
      element[name] = value
    } else if (value === true) element.setAttribute(name, '')
    else element.setAttribute(name, String(value))
  }
  append(element, children)
  return element
}

function append(element, children) {
  for (const child of children) {
    if (child === undefined || child === null || child === false) continue
    if (Array.isArray(child)) append(element, child)
    else element.append(child instanceof Node ? child : document.createTextNode(String(child)))
  }
}

/** An HTML element: `h('a', { href: '#/alerts', class: 'x', onclick: f }, 'text', child)`. */
export function h(tag, properties, ...children) {
  return fill(document.createElement(tag), properties, children)
}

/** The same in SVG. */
export function s(tag, properties, ...children) {
  return fill(document.createElementNS(svgNamespace, tag), properties, children)
}

/** Puts `children` in the place of what `element` holds. */
export function put(element, ...children) {
  element.replaceChildren()
  append(element, children)
  return element
}

let ids = 0
/** An id that no other element of this page has. */
export function newId(prefix = 'i') {
  ids += 1
  return `${prefix}${ids}`
}

/** Says `text` to those who do not see the screen; `urgent` interrupts. */
export function say(text, urgent = false) {
  const region = document.getElementById(urgent ? 'assertive' : 'polite')
  // The same text twice is read twice only if the region was empty between.
  region.textContent = ''
  setTimeout(() => { region.textContent = text }, 30)
}
