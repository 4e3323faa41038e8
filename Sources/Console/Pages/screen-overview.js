import { h, put } from './dom.js'
import { t, name } from './i18n.js'
import { get } from './api.js'
import { columns } from './chart.js'
import { table } from './table.js'
import { link, panel, severities, severity, time } from './parts.js'
import * as format from './format.js'

function figure(label, value, note, href) {
  return h(href ? 'a' : 'div', { href }, h('span', { class: 'label' }, label), h('span', { class: 'value' }, value), note && h('span', { class: 'note' }, note))
}

function problemText(problem) {
  // A kind of problem that these pages do not know is told in the server's words.
  if (name('problem', problem.code) === problem.code) return problem.text
  return t(`problem.${problem.code}`, { topology: problem.topology ?? '', ...problem.parameters })
}

function head(overview) {
  const { alerts, open, changes } = overview
  return h('div', { class: 'figures' },
    figure(t('overview.last-24h'), format.number(alerts.last_24h), t('overview.usual', { usual: format.number(alerts.usual), before: format.number(alerts.day_before) }), '#/alerts'),
    figure(t('overview.open'), format.number(open.total), t('overview.unowned', { count: open.unowned }), '#/alerts?status=open,taken'),
    figure(t('overview.mine'), format.number(open.mine), null, '#/alerts?owner=me&status=taken'),
    figure(t('overview.waiting'), format.number(changes.waiting), null, '#/changes?state=submitted'))
}

function topologyRow(topology) {
  const { metrics } = topology
  return {
    ...topology, lag: metrics?.lag_seconds, rate: metrics?.records_per_second, p50: metrics?.latency_p50_ms, p99: metrics?.latency_p99_ms, workers: metrics?.workers, answering: metrics?.answering,
  }
}

export async function show(context) {
  const { main, heading, signal } = context
  let overview = await get('/api/overview', {}, signal)
  const figures = h('div', {})
  const problems = h('div', {})
  const progress = h('div', { role: 'status' })
  const bars = h('div', {})
  const open = h('div', {})
  const list = table({
    caption: t('overview.topologies'), rows: [],
    columns: [
      { key: 'name', label: t('field.topology'), head: true, sort: (row) => row.name, cell: (row) => h('a', { class: 'row', href: link('graph', row.name) }, row.name) },
      { key: 'epoch', label: t('field.epoch'), number: true, sort: (row) => row.epoch, cell: (row) => h('a', { href: link('history', row.name) }, format.number(row.epoch)) },
      { key: 'since', label: t('overview.since'), width: 2, sort: (row) => row.since, cell: (row) => time(row.since, { seconds: false }) },
      { key: 'author', label: t('field.author'), width: 3, cell: (row) => row.author },
      { key: 'tasks', label: t('overview.on-epoch'), number: true, cell: (row) => h('a', { href: link('tasks', row.name) }, `${format.number(row.acknowledged)} / ${format.number(row.tasks)}`) },
      { key: 'rate', label: t('overview.rate'), number: true, width: 1, sort: (row) => row.rate, cell: (row) => format.rough(row.rate, 0) },
      { key: 'lag', label: t('overview.lag'), number: true, sort: (row) => row.lag, cell: (row) => format.duration(row.lag) },
      { key: 'p50', label: t('overview.p50'), number: true, width: 2, sort: (row) => row.p50, cell: (row) => (row.p50 === undefined || row.p50 === null ? '–' : t('unit.milliseconds', { value: format.number(row.p50) })) },
      { key: 'p99', label: t('overview.p99'), number: true, width: 1, sort: (row) => row.p99, cell: (row) => (row.p99 === undefined || row.p99 === null ? '–' : t('unit.milliseconds', { value: format.number(row.p99) })) },
      { key: 'workers', label: t('overview.workers'), number: true, width: 2, cell: (row) => (row.workers === undefined ? '–' : `${format.number(row.answering)} / ${format.number(row.workers)}`) },
    ],
  })

  function draw() {
    put(figures, head(overview))
    const found = overview.problems ?? []
    put(problems, panel(t('overview.problems'), found.length === 0 ? h('p', { class: 'good-notice' }, t('overview.no-problems'))
      : h('ul', { class: 'words' }, ...found.map((problem) => h('li', {}, h('span', { class: `tag ${problem.severity === 'error' ? 'bad' : 'warn'}` }, name('lint', problem.severity)), ' ', problemText(problem))))))
    drawIndex(overview.index)
    list.show((overview.topologies ?? []).map(topologyRow))
    const { by_severity: bySeverity, by_age: byAge } = overview.open
    put(open,
      h('div', { class: 'two' },
        h('table', {}, h('caption', {}, t('overview.open-severity')), h('thead', {}, h('tr', {}, h('th', { scope: 'col' }, t('field.severity')), h('th', { scope: 'col', class: 'number' }, t('overview.open')))), h('tbody', {}, ...severities.map((each) => h('tr', {}, h('th', { scope: 'row' }, h('a', { href: `#/alerts?status=open,taken&severity=${each}` }, severity(each))), h('td', { class: 'number' }, format.number(bySeverity?.[each] ?? 0)))))),
        h('table', {}, h('caption', {}, t('overview.open-age')), h('thead', {}, h('tr', {}, h('th', { scope: 'col' }, t('field.age')), h('th', { scope: 'col', class: 'number' }, t('overview.open')))), h('tbody', {}, ...['under_1h', 'under_24h', 'under_7d', 'older'].map((each) => h('tr', {}, h('th', { scope: 'row' }, t(`age.${each}`)), h('td', { class: 'number' }, format.number(byAge?.[each] ?? 0))))))))
    const hours = overview.alerts.per_hour ?? []
    const last = Math.floor(new Date(overview.at).getTime() / 3600_000) * 3600_000
    put(bars, columns({
      title: t('overview.per-hour'), headOfRow: t('field.hour'), names: [['alerts', t('field.alerts')]],
      bars: hours.map((count, index) => ({ label: format.clock(last - (hours.length - 1 - index) * 3600_000), parts: { alerts: count } })),
    }))
  }

  function drawIndex(index) {
    put(progress, index && !index.ready && h('div', { class: 'notice' }, h('p', {}, t('overview.index', { done: format.number(index.done), total: format.number(index.total) })),
      h('progress', { max: Math.max(1, index.total), value: index.done, 'aria-label': t('overview.index-label') })))
  }

  put(main, heading, progress, figures, h('div', { class: 'wide-left' },
    h('div', {}, h('section', { class: 'panel' }, bars), problems), h('div', {}, panel(t('overview.open-heading'), open))), list)
  draw()

  let stale = false
  for (const type of ['alert', 'disposition', 'activation', 'acknowledgement', 'change', 'reset']) context.on(type, () => { stale = true })
  context.on('index', drawIndex)
  context.on('metrics', (metrics) => {
    const found = overview.topologies?.find((topology) => topology.name === metrics.topology)
    if (!found || list.contains(document.activeElement)) return
    found.metrics = metrics
    list.show(overview.topologies.map(topologyRow))
  })
  let beats = 0
  context.every(3000, async () => {
    beats += 1
    if (!stale && beats % 10 !== 0) return
    stale = false
    try {
      overview = await get('/api/overview', {}, signal)
      // Nothing moves under the focus of somebody who walks by keyboard.
      if (!main.contains(document.activeElement) || document.activeElement === heading || document.activeElement === main) draw()
      else stale = true
    } catch { /* the stream's sign says that the console is away */ }
  })
}
