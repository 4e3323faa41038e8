// Small charts in SVG, each with a table behind it. Floats here place marks; texts keep every digit.

import { h, s, newId } from './dom.js'
import { t } from './i18n.js'
import * as decimal from './decimal.js'
import * as format from './format.js'

/** The numbers of a chart as a table that opens below it. */
export function behind(caption, heads, rows) {
  return h('details', { class: 'behind' }, h('summary', {}, t('chart.table')),
    h('div', { class: 'scroll', role: 'region', 'aria-label': caption, tabindex: 0 },
      h('table', {}, h('caption', {}, caption),
        h('thead', {}, h('tr', {}, ...heads.map((head) => h('th', { scope: 'col' }, head)))),
        h('tbody', {}, ...rows.map((row) => h('tr', {}, ...row.map((cell, index) => (
          index === 0 ? h('th', { scope: 'row' }, cell) : h('td', { class: 'number' }, cell)))))))))
}

/** A line without axes, for a cell of a table: its text says the least, the most and the last. */
export function sparkline(values, label) {
  const numbers = values.map(Number)
  const high = Math.max(1, ...numbers)
  const width = 96, height = 22
  const step = numbers.length > 1 ? width / (numbers.length - 1) : width
  const points = numbers.map((value, index) => `${(index * step).toFixed(1)},${(height - 2 - (value / high) * (height - 4)).toFixed(1)}`)
  return s('svg', { class: 'spark', viewBox: `0 0 ${width} ${height}`, role: 'img', 'aria-label': label, width, height },
    s('polyline', { class: 'area', points: `0,${height} ${points.join(' ')} ${width},${height}` }),
    s('polyline', { class: 'line', points: points.join(' ') }))
}

/** The drawing's own width: a narrow window gets a smaller drawing, not smaller letters. */
function widthOf() { return innerWidth < 640 ? 340 : 720 }

function niceTop(value) {
  if (value <= 4) return 4
  const size = 10 ** Math.floor(Math.log10(value))
  for (const factor of [1, 2, 4, 5, 8, 10]) if (factor * size >= value) return factor * size
  return 10 * size
}

/** Stacked columns over time: `bars` = `[{ label, parts: { name: count } }]`, `names` = `[[name, text]]` from the bottom up. */
export function columns({ title, bars, names, headOfRow }) {
  const width = widthOf(), height = 180, left = 40, bottom = 22, top = 8
  const totals = bars.map((bar) => names.reduce((sum, [name]) => sum + Number(bar.parts[name] ?? 0), 0))
  const high = niceTop(Math.max(0, ...totals))
  const each = (width - left) / Math.max(1, bars.length)
  const y = (value) => top + (height - top - bottom) * (1 - value / high)
  const marks = []
  for (const share of [0, 0.5, 1]) {
    marks.push(s('line', { class: 'grid', x1: left, x2: width, y1: y(high * share), y2: y(high * share) }))
    marks.push(s('text', { class: 'axis', x: left - 6, y: y(high * share) + 4, 'text-anchor': 'end' }, format.rough(high * share)))
  }
  const every = Math.ceil(bars.length / (width / 90))
  bars.forEach((bar, index) => {
    let base = 0
    for (const [name] of names) {
      const value = Number(bar.parts[name] ?? 0)
      if (value > 0) {
        marks.push(s('rect', {
          class: `part ${name}`, x: left + index * each + 1, width: Math.max(1, each - 2), y: y(base + value), height: y(base) - y(base + value),
        }))
      }
      base += value
    }
    if (index % every === 0) marks.push(s('text', { class: 'axis', x: left + index * each, y: height - 6 }, bar.label))
  })
  const sum = totals.reduce((a, b) => a + b, 0)
  return h('figure', { class: 'chart' },
    h('figcaption', {}, title,
      h('span', { class: 'legend' }, ...names.map(([name, text]) => h('span', { class: `key ${name}` }, text)))),
    s('svg', { viewBox: `0 0 ${width} ${height}`, role: 'img', 'aria-label': t('chart.sum', { title, sum: format.number(sum) }) }, ...marks),
    behind(title, [headOfRow, ...names.map(([, text]) => text)],
      bars.map((bar) => [bar.label, ...names.map(([name]) => format.number(bar.parts[name] ?? 0))])))
}

/** Alerts a day at `value`, between the two limits that were computed, for what is said while dragging. */
function estimate(points, value) {
  const at = Number(value)
  for (let index = 0; index < points.length; index += 1) {
    if (decimal.compare(points[index].value, value) === 0) return { alerts: Number(points[index].per_day), exact: true }
  }
  for (let index = 1; index < points.length; index += 1) {
    const a = points[index - 1], b = points[index]
    const from = Number(a.value), to = Number(b.value)
    if (at >= from && at <= to) {
      const share = to > from ? (at - from) / (to - from) : 0
      return { alerts: Number(a.per_day) + share * (Number(b.per_day) - Number(a.per_day)), exact: false }
    }
  }
  const end = at < Number(points[0].value) ? points[0] : points[points.length - 1]
  return { alerts: Number(end.per_day), exact: false }
}

/**
 * The curve of alerts a day over a limit, with a handle at `value` that moves by mouse, touch and keys.
 * `points` = `[{ value: "1500.00", per_day }]` in rising order; `step` is a decimal; `onMove(value)` hears each move.
 */
export function limitCurve({ title, unit, points, now, value, step, onMove }) {
  const width = widthOf(), height = 240, left = 52, right = 16, bottom = 30, top = 26
  const low = points[0].value, high = points[points.length - 1].value
  const most = niceTop(Math.max(...points.map((point) => Number(point.per_day))))
  const x = (limit) => left + decimal.position(limit, low, high) * (width - left - right)
  const y = (alerts) => top + (height - top - bottom) * (1 - alerts / most)
  const marks = []
  for (const share of [0, 0.5, 1]) {
    marks.push(s('line', { class: 'grid', x1: left, x2: width - right, y1: y(most * share), y2: y(most * share) }))
    marks.push(s('text', { class: 'axis', x: left - 6, y: y(most * share) + 4, 'text-anchor': 'end' }, format.rough(most * share)))
  }
  const ticks = points.filter((_, index) => index % Math.ceil(points.length / (width / 120)) === 0)
  for (const point of ticks) {
    marks.push(s('text', { class: 'axis', x: x(point.value), y: height - 8, 'text-anchor': 'middle' }, format.number(point.value)))
  }
  marks.push(s('polyline', { class: 'line', points: points.map((point) => `${x(point.value)},${y(Number(point.per_day))}`).join(' ') }))
  for (const point of points) marks.push(s('circle', { class: 'dot', cx: x(point.value), cy: y(Number(point.per_day)), r: 2.5 }))
  if (now !== undefined) {
    marks.push(s('line', { class: 'now', x1: x(now), x2: x(now), y1: top, y2: height - bottom }))
    marks.push(s('text', { class: 'axis', x: x(now), y: top - 10, 'text-anchor': 'middle' }, t('curve.now')))
  }
  const rule = s('line', { class: 'limit', y1: top, y2: height - bottom })
  const grip = s('rect', { class: 'grip', width: 24, height: 24, rx: 4, y: height - bottom - 12 })
  const lines = s('path', { class: 'grip-lines' })
  const handle = s('g', {
    class: 'handle', role: 'slider', tabindex: 0, 'aria-label': title, 'aria-orientation': 'horizontal',
    'aria-valuemin': low, 'aria-valuemax': high,
  }, rule, grip, lines)
  const saying = h('output', { class: 'saying' })
  const drawing = s('svg', { class: 'curve', viewBox: `0 0 ${width} ${height}`, role: 'group', 'aria-label': title }, ...marks, handle)
  let current = value

  function words(limit) {
    const { alerts, exact } = estimate(points, limit)
    return t(exact ? 'curve.exact' : 'curve.about', {
      value: format.number(limit) + (unit ? ` ${unit}` : ''), alerts: format.rough(alerts),
    })
  }

  function place() {
    const at = x(current)
    rule.setAttribute('x1', at)
    rule.setAttribute('x2', at)
    grip.setAttribute('x', at - 12)
    lines.setAttribute('d', `M${at - 3} ${height - bottom - 5}v10M${at + 3} ${height - bottom - 5}v10`)
    handle.setAttribute('aria-valuenow', current)
    handle.setAttribute('aria-valuetext', words(current))
    saying.textContent = words(current)
  }

  function move(next, tell = true) {
    current = decimal.clamped(next, low, high)
    place()
    if (tell) onMove?.(current)
  }

  function toPointer(event) {
    const box = drawing.getBoundingClientRect()
    const share = ((event.clientX - box.left) / box.width * width - left) / (width - left - right)
    const span = Number(high) - Number(low)
    const steps = Math.round(Math.min(1, Math.max(0, share)) * span / Number(step))
    move(decimal.stepped(low, step, steps, low, high))
  }

  handle.addEventListener('pointerdown', (event) => {
    event.preventDefault()
    handle.focus()
    handle.setPointerCapture(event.pointerId)
  })
  handle.addEventListener('pointermove', (event) => { if (handle.hasPointerCapture(event.pointerId)) toPointer(event) })
  drawing.addEventListener('click', (event) => { if (!handle.contains(event.target)) toPointer(event) })
  const big = Math.max(1, Math.round((Number(high) - Number(low)) / Number(step) / 10))
  handle.addEventListener('keydown', (event) => {
    const steps = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1, PageUp: big, PageDown: -big }[event.key]
    if (steps !== undefined) move(decimal.stepped(current, step, steps, low, high))
    else if (event.key === 'Home') move(low)
    else if (event.key === 'End') move(high)
    else return
    event.preventDefault()
  })
  place()
  const figure = h('figure', { class: 'chart', id: newId('curve') }, h('figcaption', {}, title), drawing, saying,
    h('p', { class: 'hint' }, t('curve.keys')),
    behind(title, [t('curve.limit'), t('curve.per-day')], points.map((point) => [format.number(point.value), format.rough(point.per_day)])))
  figure.move = (next) => move(next, false)
  return figure
}
