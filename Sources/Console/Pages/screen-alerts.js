import { h, put, say } from './dom.js'
import { t, name } from './i18n.js'
import { can, get, me, post, seesCustomers } from './api.js'
import { choice, field, toast } from './dialog.js'
import { focusedRow, table } from './table.js'
import { useKeys } from './keys.js'
import { link, more, severities, severity, status, time } from './parts.js'
import * as acts from './dispositions.js'
import * as format from './format.js'

const filterNames = ['status', 'severity', 'rule', 'risk', 'topology', 'owner', 'state', 'customer', 'q', 'from', 'to', 'sort']
const views = [['status=open,taken', 'view.open'], ['owner=me&status=taken', 'view.mine'], ['owner=none&status=open', 'view.unowned'], ['severity=critical,high&status=open,taken', 'view.grave'], ['status=snoozed', 'view.snoozed'], ['status=closed', 'view.closed'], ['', 'view.all']]

/** A date of the filter as the first moment of that day where the topology is; what is longer is sent as it is. */
const moment = (text) => format.startOfDay(text) ?? text

export async function show(context) {
  const { main, heading, signal } = context
  let query = Object.fromEntries(filterNames.filter((key) => context.query[key]).map((key) => [key, context.query[key]]))
  if (Object.keys(context.query).length === 0) query.status = 'open,taken'
  let alerts = []
  let next = null
  let waiting = new Map()
  const selected = new Set()
  const mayAct = can('takeAlert')

  const count = h('p', { class: 'muted', role: 'status' })
  const newRows = h('button', { type: 'button', class: 'new-rows', hidden: true, onclick: () => load() })
  const bar = h('div', { class: 'selection', hidden: true })
  const viewList = h('ul', { class: 'views', 'aria-label': t('view.saved') })
  const filters = h('form', { class: 'filters', onsubmit: (event) => { event.preventDefault(); change() }, onchange: () => change() })
  const older = more(async () => load(true))
  const list = table({
    caption: t('alerts.caption', { zone: format.zoneName() }), empty: t('alerts.empty'), rowClass: (row) => (row.status === 'closed' ? 'quietened' : null),
    sorted: { key: (query.sort ?? '-time').replace('-', ''), down: (query.sort ?? '-time').startsWith('-') },
    onSort: (sorted) => { query.sort = `${sorted.down ? '-' : ''}${sorted.key}`; remember(); load() },
    columns: [
      mayAct && {
        key: 'select', label: t('alerts.select'), labelHidden: true, cell: (row) => h('input', {
          type: 'checkbox', 'data-id': row.id, checked: selected.has(row.id), 'aria-label': t('alerts.select-one', { customer: row.customer, rule: row.rule }),
          onchange: (event) => { if (event.target.checked) selected.add(row.id); else selected.delete(row.id); drawBar() },
        }),
      },
      { key: 'severity', label: t('field.severity'), sort: (row) => row.severity, cell: (row) => severity(row.severity) },
      { key: 'time', label: t('field.time'), class: 'time', width: 1, sort: (row) => row.time, cell: (row) => time(row.time) },
      { key: 'customer', label: t('field.customer'), head: true, class: 'wrap', cell: (row) => h('a', { class: 'row', href: link('alerts', row.id), 'data-id': row.id }, row.customer) },
      { key: 'rule', label: t('field.rule'), width: 2, cell: (row) => [h('div', {}, row.rule), h('div', { class: 'muted small' }, name('risk', row.risk))] },
      { key: 'message', label: t('field.message'), class: 'message wrap', cell: (row) => [row.message, h('div', { class: 'narrow small muted' }, row.rule, ' ', status(row), row.owner && ` ${row.owner}`, h('div', {}, time(row.time))), row.state === 'cleared' && [' ', h('span', { class: 'tag good' }, name('state', 'cleared'))]] },
      { key: 'measure', label: t('field.measure'), width: 3, class: 'wrap', cell: (row) => row.measure },
      { key: 'age', label: t('field.age'), number: true, width: 2, cell: (row) => format.age(row.time) },
      { key: 'status', label: t('field.status'), width: 1, cell: (row) => [status(row), row.owner && h('div', { class: 'small muted' }, row.owner), row.outcome && h('div', { class: 'small muted' }, name('outcome', row.outcome))] },
    ].filter(Boolean),
  })

  function remember() { context.remember({ ...query, status: query.status ?? 'any' }) }

  function sent(more = {}) {
    const { status: wanted, from, to, ...rest } = query
    return { ...rest, status: wanted === 'any' ? '' : wanted, from: moment(from), to: moment(to), ...more }
  }

  function change() {
    const values = Object.fromEntries(new FormData(filters))
    query = { ...(query.sort ? { sort: query.sort } : {}), ...Object.fromEntries(Object.entries(values).filter(([, value]) => value)) }
    remember()
    drawViews()
    load()
  }

  function drawViews() {
    const now = new URLSearchParams(Object.entries(query).filter(([key, value]) => key !== 'sort' && !(key === 'status' && value === 'any')))
    now.sort()
    put(viewList, ...views.map(([text, label]) => {
      const own = new URLSearchParams(text)
      own.sort()
      return h('li', {}, h('a', { href: `#/alerts?${text || 'status=any'}`, 'aria-current': own.toString() === now.toString() ? 'true' : null }, t(label)))
    }))
  }

  async function drawFilters() {
    const facets = await get('/api/alerts/facets', sent({ sort: '' }), signal).catch(() => ({}))
    const options = (key, list) => {
      const names = (facets[key] ?? []).filter((each) => each.name !== null)
      const chosen = query[key] ?? ''
      if (chosen && !names.some((each) => each.name === chosen)) names.unshift({ name: chosen, count: null })
      return choice(key, [['', t('filter.any')], ...names.map((each) => [each.name, `${each.name.split(',').map((one) => (list ? name(list, one) : one)).join(', ')}${each.count === null ? '' : ` (${format.number(each.count)})`}`])], chosen)
    }
    if (filters.contains(document.activeElement)) return
    put(filters,
      field(t('field.status'), choice('status', [['any', t('filter.any')], ['open,taken', t('view.open')], ...['open', 'taken', 'snoozed', 'closed'].map((each) => [each, name('status', each)])], query.status ?? 'any')),
      field(t('field.severity'), choice('severity', [['', t('filter.any')], ['critical,high', t('view.grave')], ...severities.map((each) => [each, name('severity', each)])], query.severity ?? '')),
      field(t('field.rule'), options('rule')), field(t('field.risk'), options('risk', 'risk')),
      context.topologies.length > 1 && field(t('field.topology'), options('topology')),
      field(t('field.owner'), choice('owner', [['', t('filter.any')], ['me', t('filter.me')], ['none', t('filter.none')], ...(facets.owner ?? []).filter((each) => each.name && each.name !== me().name).map((each) => [each.name, each.name])], query.owner ?? '')),
      field(t('field.state'), choice('state', [['', t('filter.any')], ['raised', name('state', 'raised')], ['cleared', name('state', 'cleared')]], query.state ?? '')),
      seesCustomers() && field(t('field.customer'), h('input', { name: 'customer', value: query.customer ?? '', autocomplete: 'off' })),
      field(t('filter.from'), h('input', { name: 'from', type: 'date', value: query.from ?? '' })), field(t('filter.to'), h('input', { name: 'to', type: 'date', value: query.to ?? '' })),
      seesCustomers() && field(t('filter.words'), h('input', { name: 'q', type: 'search', value: query.q ?? '', autocomplete: 'off' })))
  }

  function drawBar() {
    const chosen = alerts.filter((alert) => selected.has(alert.id))
    bar.hidden = chosen.length === 0
    put(bar, h('strong', {}, t('alerts.selected', { count: chosen.length })),
      h('button', { type: 'button', onclick: () => act(acts.takeMany, chosen) }, t('alert.take')),
      h('button', { type: 'button', onclick: () => act(acts.close, chosen) }, t('alert.close')),
      h('button', { type: 'button', onclick: () => act(acts.snooze, chosen) }, t('alert.snooze')),
      h('button', { type: 'button', onclick: () => act(acts.reopen, chosen) }, t('alert.reopen')),
      h('button', { type: 'button', class: 'quiet', onclick: () => { selected.clear(); redraw() } }, t('alerts.select-none')))
  }

  /** Rows anew, the focus on the row that had it. */
  function redraw() {
    const id = focusedRow()?.querySelector('a.row')?.dataset.id
    const column = document.activeElement?.matches?.('input[type="checkbox"]') ? 'input' : 'a.row'
    list.show(alerts)
    if (id) list.querySelector(`${column}[data-id="${CSS.escape(id)}"]`)?.focus()
    drawBar()
  }

  function apply(dispositions) {
    for (const each of dispositions ?? []) {
      const index = alerts.findIndex((alert) => alert.id === each.alert_id)
      if (index >= 0) alerts[index] = acts.merged(alerts[index], each)
      selected.delete(each.alert_id)
    }
    redraw()
  }

  async function act(action, subject) { apply(await action(subject)) }

  async function load(onward = false) {
    list.setAttribute('aria-busy', 'true')
    try {
      const answer = await get('/api/alerts', sent({ cursor: onward ? next : '', limit: 100 }), signal)
      alerts = onward ? [...alerts, ...answer.alerts] : answer.alerts
      next = answer.next
      older.hidden = !next
      if (!onward) { waiting = new Map(); newRows.hidden = true }
      const text = t(answer.total_is_exact === false ? 'alerts.at-least' : 'alerts.total', { count: answer.total, shown: format.number(alerts.length) })
      count.textContent = answer.index?.ready === false ? `${text} ${t('overview.index', { done: format.number(answer.index.done), total: format.number(answer.index.total) })}` : text
      redraw()
    } finally { list.removeAttribute('aria-busy') }
  }

  const current = () => alerts.find((alert) => alert.id === focusedRow()?.querySelector('a.row')?.dataset.id)
  const onCurrent = (action) => () => { const alert = current(); if (alert) action(alert) }
  useKeys([
    ['e', 'keys.explain', onCurrent((alert) => { location.hash = `${link('alerts', alert.id)}?at=explanation` })],
    ...(mayAct ? [
      ['t', 'keys.take', onCurrent((alert) => act(acts.take, alert))], ['c', 'keys.close', onCurrent((alert) => act(acts.close, [alert]))],
      ['s', 'keys.snooze', onCurrent((alert) => act(acts.snooze, [alert]))],
      ['x', 'keys.select', onCurrent((alert) => { if (selected.has(alert.id)) selected.delete(alert.id); else selected.add(alert.id); redraw() })],
      ['a', 'keys.select-all', () => { const all = alerts.every((alert) => selected.has(alert.id)); for (const alert of alerts) { if (all) selected.delete(alert.id); else selected.add(alert.id) } redraw() }],
    ] : []),
  ])

  const takeNext = async () => {
    try {
      const { alert } = await post('/api/alerts/next', { filter: { severity: query.severity || undefined, rule: query.rule || undefined } })
      if (alert) location.hash = link('alerts', alert.id)
      else toast(t('alerts.none-left'))
    } catch (error) { toast(error.status === 404 ? t('alerts.none-left') : error.message, { error: error.status !== 404 }) }
  }
  put(main, h('div', { class: 'bar-line' }, heading, can('takeNextAlert') && h('button', { type: 'button', class: 'primary push', onclick: takeNext }, t('alerts.take-next'))),
    viewList, filters, count, newRows, list, older, bar)
  drawViews()
  await Promise.all([load(), drawFilters()])

  let first = null
  context.on('alert', (alert) => {
    const index = alerts.findIndex((each) => each.id === alert.id)
    if (index >= 0) { alerts[index] = alert; redraw(); return }
    const fits = (key, value) => !query[key] || query[key] === 'any' || query[key].split(',').includes(value)
    if (!fits('status', alert.status) || !fits('severity', alert.severity) || !fits('rule', alert.rule) || !fits('risk', alert.risk) || !fits('topology', alert.topology) || !fits('state', alert.state)) return
    if (alerts.length === 0) {
      // Nothing stands there that could move away from under a finger.
      first ??= setTimeout(() => { first = null; load() }, 100)
      return
    }
    waiting.set(alert.id, alert)
    newRows.hidden = false
    newRows.textContent = t('alerts.new', { count: waiting.size })
    if (waiting.size === 1 || waiting.size % 10 === 0) say(t('alerts.new', { count: waiting.size }))
  })
  context.on('disposition', (each) => apply([each]))
  context.on('reset', () => load())
}
