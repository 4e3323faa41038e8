// Tables that are tables: a caption, headers with a scope, sorting by header, rows one can walk through by j and k.

import { h, put, say } from './dom.js'
import { t } from './i18n.js'
import * as decimal from './decimal.js'

function order(a, b) {
  if (a === b) return 0
  if (a === undefined || a === null || a === '') return -1
  if (b === undefined || b === null || b === '') return 1
  const exact = decimal.compare(a, b)
  if (exact !== null) return exact
  return typeof a === 'number' && typeof b === 'number' ? a - b : String(a).localeCompare(String(b))
}

/**
 * `columns`: `{ key, label, cell(row), sort(row)?, number?, width? (0 always, 1 from 640 px, 2 from 1000 px, 3 from 1400 px) }`.
 * `sorted`: `{ key, down }`; `onSort(sorted)` takes the sorting over (a server's), without it rows are sorted here.
 */
export function table({ caption, captionHidden = false, columns, rows = [], rowClass, empty, sorted, onSort, id }) {
  let state = sorted ?? null
  let current = rows
  const body = h('tbody', {})
  const heads = new Map()
  const headRow = h('tr', {}, ...columns.map((column) => {
    const sortable = column.sort !== undefined
    const label = column.labelHidden ? h('span', { class: 'hidden-text' }, column.label) : column.label
    const head = h('th', { scope: 'col', class: classOf(column) },
      sortable ? h('button', { type: 'button', class: 'sort', onclick: () => toggle(column) }, label) : label)
    heads.set(column.key, head)
    return head
  }))

  function classOf(column) {
    return [column.number && 'number', column.width && `w${column.width}`, column.class].filter(Boolean).join(' ') || null
  }

  function toggle(column) {
    state = { key: column.key, down: state?.key === column.key ? !state.down : Boolean(column.number) }
    mark()
    if (onSort) onSort(state)
    else draw()
    say(t(state.down ? 'table.sorted-down' : 'table.sorted-up', { column: column.label }))
  }

  function mark() {
    for (const [key, head] of heads) {
      if (state?.key === key) head.setAttribute('aria-sort', state.down ? 'descending' : 'ascending')
      else head.removeAttribute('aria-sort')
    }
  }

  function draw() {
    let shown = current
    const column = state && !onSort ? columns.find((each) => each.key === state.key) : null
    if (column?.sort) {
      const sign = state.down ? -1 : 1
      shown = [...current].sort((a, b) => sign * order(column.sort(a), column.sort(b)))
    }
    if (shown.length === 0) {
      put(body, h('tr', {}, h('td', { colspan: columns.length, class: 'empty' }, empty ?? t('table.empty'))))
      return
    }
    put(body, ...shown.map((row) => h('tr', { class: rowClass?.(row) },
      ...columns.map((column) => {
        const properties = { class: classOf(column) }
        return column.head
          ? h('th', { scope: 'row', ...properties }, column.cell(row))
          : h('td', properties, column.cell(row))
      }))))
  }

  const element = h('div', { class: 'scroll', role: 'region', 'aria-label': caption, tabindex: 0, id },
    h('table', {},
      h('caption', { class: captionHidden ? 'hidden-text' : null }, caption), h('thead', {}, headRow), body))
  mark()
  draw()
  element.show = (next) => {
    current = next
    draw()
  }
  return element
}

/** Moves the focus to the main link of the next (`by` 1) or former (-1) row of the first list of the page. */
export function walk(root, by) {
  const links = [...root.querySelectorAll('tbody tr a.row')]
  if (links.length === 0) return
  const row = document.activeElement?.closest?.('tr')
  const index = links.findIndex((link) => link.closest('tr') === row)
  const next = index < 0 ? (by > 0 ? 0 : links.length - 1) : Math.min(links.length - 1, Math.max(0, index + by))
  links[next].focus()
  links[next].scrollIntoView({ block: 'nearest' })
}

/** The row of the list that has the focus, else none. */
export function focusedRow() {
  return document.activeElement?.closest?.('tbody tr') ?? null
}

/** Names and values side by side. */
export function facts(pairs, className = '') {
  return h('dl', { class: `facts ${className}`.trim() },
    ...pairs.filter((pair) => pair && pair[1] !== undefined && pair[1] !== null && pair[1] !== '')
      .map(([label, value]) => h('div', {}, h('dt', {}, label), h('dd', {}, value))))
}
