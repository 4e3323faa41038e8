import { h, put, s } from './dom.js'
import { t, name } from './i18n.js'
import { get, path } from './api.js'
import { facts, table } from './table.js'
import { layered } from './layout.js'
import { link, panel, time, topologyChoice } from './parts.js'
import { commandLine } from './dialog.js'
import * as format from './format.js'

const cell = { width: 200, height: 62, boxWidth: 156, boxHeight: 46 }
const place = (at) => ({ x: 12 + at.x * cell.width, y: 8 + at.y * cell.height })

/** What a node has to say in its second line: what is worth most of what is known. */
function line(node) {
  if (node.kind === 'rule') return t('graph.alerts', { alerts: format.number(node.alerts_24h ?? 0) })
  if (node.rate !== null && node.rate !== undefined) return t('graph.rate', { rate: format.rough(node.rate, 0) })
  return node.text ?? ''
}

const cut = (text, length) => (text.length > length ? `${text.slice(0, length - 1)}…` : text)

function drawing(graph, chosen, choose) {
  const { places, ways, width, height } = layered(graph.nodes, graph.edges)
  const marks = []
  for (const way of ways) {
    let data = ''
    const points = way.way.map((id) => place(places.get(id)))
    points.forEach((point, index) => {
      const y = point.y + cell.boxHeight / 2
      if (index === 0) { data += `M${point.x + cell.boxWidth} ${y}`; return }
      const before = points[index - 1]
      const from = index === 1 ? before.x + cell.boxWidth : before.x + cell.boxWidth / 2
      const to = index === points.length - 1 ? point.x : point.x + cell.boxWidth / 2
      const middle = (from + to) / 2
      data += `C${middle} ${before.y + cell.boxHeight / 2} ${middle} ${y} ${to} ${y}`
    })
    marks.push(s('path', { class: way.from === chosen || way.to === chosen ? 'edge lit' : 'edge', d: data }))
  }
  const lag = Math.max(1, ...graph.nodes.map((node) => Number(node.lag_seconds ?? 0)))
  for (const node of graph.nodes) {
    const { x, y } = place(places.get(node.id))
    const share = node.lag_seconds ? Math.min(1, node.lag_seconds / lag) : 0
    marks.push(s('g', {
      class: `node-box ${node.kind}${node.id === chosen ? ' chosen' : ''}${node.lag_seconds > 3 ? ' busy' : ''}`, transform: `translate(${x} ${y})`, role: 'button', tabindex: 0, 'aria-pressed': String(node.id === chosen),
      'aria-label': `${name('node', node.kind)} ${node.name}, ${line(node)}`, 'data-id': node.id, onclick: () => choose(node.id),
      onkeydown: (event) => { if (event.key === 'Enter' || event.key === ' ') { event.preventDefault(); choose(node.id) } },
    }, s('rect', { width: cell.boxWidth, height: cell.boxHeight, rx: 3 }), s('text', { x: 8, y: 18 }, cut(node.name, 21)), s('text', { x: 8, y: 35, class: 'sub' }, cut(line(node), 23)),
    share > 0 && s('rect', { class: 'load', y: cell.boxHeight - 3, width: cell.boxWidth * share, height: 3 }), s('title', {}, `${node.name}: ${node.text ?? ''}`)))
  }
  const wide = width * cell.width, high = height * cell.height + 12
  return s('svg', { width: wide, height: high, viewBox: `0 0 ${wide} ${high}`, role: 'group', 'aria-label': t('graph.title', { topology: graph.topology }) }, ...marks)
}

export async function show(context) {
  const { main, heading, signal } = context
  const { chosen: topology, filters } = topologyChoice(context, 'graph')
  if (!topology) { put(main, heading, h('p', { class: 'muted' }, t('shell.no-topology'))); return }
  let graph = await get(path('topologies', topology, 'graph'), {}, signal)
  let chosen = context.query.node ?? null
  const box = h('div', { class: 'graph-box', tabindex: 0, role: 'region', 'aria-label': t('graph.title', { topology }) })
  const detail = h('div', { 'aria-live': 'polite' })
  const list = table({
    caption: t('graph.caption'), rows: graph.nodes,
    columns: [
      { key: 'name', label: t('field.name'), head: true, sort: (row) => row.name, cell: (row) => h('button', { type: 'button', class: 'quiet', onclick: () => choose(row.id) }, row.name) },
      { key: 'kind', label: t('field.kind'), sort: (row) => row.kind, cell: (row) => name('node', row.kind) },
      { key: 'text', label: t('field.definition'), width: 1, class: 'wrap', cell: (row) => row.text },
      { key: 'rate', label: t('overview.rate'), number: true, sort: (row) => row.rate, cell: (row) => format.rough(row.rate, 0) },
      { key: 'lag', label: t('overview.lag'), number: true, sort: (row) => row.lag_seconds, cell: (row) => format.duration(row.lag_seconds) },
      { key: 'watermark', label: t('field.watermark'), class: 'time', width: 2, sort: (row) => row.watermark, cell: (row) => time(row.watermark) },
      { key: 'waiting', label: t('graph.waiting'), number: true, width: 2, sort: (row) => row.waiting, cell: (row) => format.number(row.waiting) },
      { key: 'alerts', label: t('rules.hits'), number: true, width: 1, sort: (row) => row.alerts_24h, cell: (row) => format.number(row.alerts_24h) },
    ],
  })

  function choose(id) {
    chosen = id
    context.remember({ node: id })
    draw()
    box.querySelector(`[data-id="${CSS.escape(id)}"]`)?.focus()
  }
  function draw() {
    const focused = box.contains(document.activeElement) ? document.activeElement.dataset?.id : null
    put(box, drawing(graph, chosen, choose))
    if (focused) box.querySelector(`[data-id="${CSS.escape(focused)}"]`)?.focus()
    const node = graph.nodes.find((each) => each.id === chosen)
    const names = (ids) => ids.map((id) => graph.nodes.find((each) => each.id === id)?.name ?? id).join(', ')
    put(detail, node ? panel(`${name('node', node.kind)} ${node.name}`, facts([
      [t('field.definition'), node.text], [t('graph.reads'), names(graph.edges.filter((edge) => edge.to === node.id).map((edge) => edge.from))], [t('graph.feeds'), names(graph.edges.filter((edge) => edge.from === node.id).map((edge) => edge.to))],
      [t('overview.rate'), node.rate === null ? '' : format.rough(node.rate, 0)], [t('graph.records'), node.records === null ? '' : format.number(node.records)], [t('overview.lag'), node.lag_seconds === null ? '' : format.duration(node.lag_seconds)],
      [t('field.watermark'), node.watermark && time(node.watermark)], [t('graph.waiting'), node.waiting === null ? '' : format.number(node.waiting)],
    ]), h('p', {}, node.kind === 'rule' ? h('a', { href: link('rules', topology, node.name) }, t('alert.to-rule')) : h('a', { href: `${link('text', topology)}?line=${node.line}` }, t('graph.definition', { line: node.line ?? 1 })))) : h('p', { class: 'muted' }, t('graph.choose')))
  }
  put(main, heading, filters, h('section', { class: 'panel' }, h('p', { class: 'muted' }, t('graph.about', { epoch: format.number(graph.epoch) })), box), detail, h('details', {}, h('summary', {}, t('chart.table')), list), commandLine(`millrace explain ${topology}.yaml --format mermaid`))
  draw()
  async function load() {
    graph = await get(path('topologies', topology, 'graph'), {}, signal)
    draw()
    if (!list.contains(document.activeElement)) list.show(graph.nodes)
  }
  context.on('activation', (each) => { if (each.topology === topology) load().catch(() => {}) })
  context.every(2000, () => load().catch(() => {}))
}
