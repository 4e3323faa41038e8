import { h, put, s } from './dom.js'
import { t, name } from './i18n.js'
import { can, get, path } from './api.js'
import { commandLine } from './dialog.js'
import { facts, table } from './table.js'
import { useKeys } from './keys.js'
import { hash, link, panel, severity, status, time } from './parts.js'
import * as acts from './dispositions.js'
import * as decimal from './decimal.js'
import * as format from './format.js'

/** Value and limit as bars on one scale, so that the margin is seen; the words beside it say it exactly. */
function marginBar(left, right) {
  const a = Math.abs(Number(left)), b = Math.abs(Number(right))
  const most = Math.max(a, b)
  if (!(most > 0)) return null
  return h('span', { class: 'margin', 'aria-hidden': 'true' }, s('svg', { viewBox: '0 0 100 8', preserveAspectRatio: 'none' },
    s('rect', { class: 'track', width: 100, height: 8 }), s('rect', { class: 'fill', width: (a / most) * 100, height: 8 }),
    s('rect', { class: 'mark-line', x: Math.min(99, (b / most) * 100), width: 1, height: 8 })))
}

function truth(value) {
  const kind = value === 'true' || value === true ? 'yes' : value === 'false' || value === false ? 'no' : 'unknown'
  return h('span', { class: `truth ${kind}` }, t(`tree.${kind}`))
}

function node(each) {
  const { left, right } = each
  const over = left && right ? decimal.percentOver(left.value, right.value) : null
  return h('li', {}, h('div', { class: 'node' }, truth(each.value), h('code', { class: 'wrap' }, each.children?.length ? t(`tree.${each.operator}`) === each.operator ? each.operator : t(`tree.${each.operator}`) : each.text),
    left && right && h('span', { class: 'values' }, [left, right].filter((side) => decimal.compare(side.text, side.value) !== 0).map((side) => `${side.text} = ${format.number(side.value)}`).join(', '),
      each.margin !== undefined && each.margin !== null && `; ${t('tree.margin', { margin: format.number(each.margin) })}`, over !== null && ` (${over.startsWith('-') ? '' : '+'}${format.number(over)} %)`),
    left && right && marginBar(left.value, right.value)),
  each.children?.length > 0 && h('ul', {}, ...each.children.map(node)))
}

export async function show(context) {
  const { main, heading, signal, params } = context
  const id = params.id
  let detail = await get(path('alerts', id), {}, signal)
  let alert = detail.alert
  context.title(`${alert.customer}: ${alert.rule}`)
  const mayAct = can('takeAlert')
  const buttons = h('div', { class: 'buttons' })
  const state = h('div', {})
  const history = h('div', {})
  const explanation = h('section', { class: 'panel', id: 'explanation', tabindex: -1 }, h('h2', {}, t('alert.explanation')))

  function drawState() {
    put(state, facts([
      [t('field.severity'), severity(alert.severity)], [t('field.status'), [status(alert), alert.owner && ` ${alert.owner}`]], [t('field.state'), name('state', alert.state)],
      [t('alert.outcome'), name('outcome', alert.outcome)], [t('alert.until'), alert.status === 'snoozed' && alert.until ? time(alert.until) : ''],
      [t('field.measure'), alert.measure], [t('field.time'), time(alert.time)], [t('alert.detected'), time(alert.detected_at)], [t('alert.cleared'), alert.cleared_at ? time(alert.cleared_at) : ''],
    ]))
    put(buttons, mayAct && [
      h('button', { type: 'button', class: 'primary', onclick: take, disabled: alert.status === 'closed' }, t('alert.take')),
      h('button', { type: 'button', onclick: () => act(() => acts.close([alert])), disabled: alert.status === 'closed' }, t('alert.close')),
      h('button', { type: 'button', onclick: () => act(() => acts.snooze([alert])), disabled: alert.status === 'closed' }, t('alert.snooze')),
      h('button', { type: 'button', onclick: () => act(() => acts.note(alert)) }, t('alert.add-note')),
      h('button', { type: 'button', onclick: () => act(() => acts.reopen([alert])), disabled: alert.status === 'open' }, t('alert.reopen')),
    ], h('a', { class: 'button', href: link('rules', alert.topology, alert.rule) }, t('alert.to-rule')))
    put(history, detail.history?.length ? h('ol', { class: 'timeline' }, ...detail.history.map((each) => h('li', {}, time(each.at), h('strong', {}, each.by), ` ${name('action', each.action)}`,
      each.old !== each.new && each.new ? `: ${name('status', each.old)} → ${name('status', each.new)}` : '', each.note && h('div', { class: 'wrap' }, each.note)))) : h('p', { class: 'muted' }, t('alert.untouched')))
  }

  async function reload() {
    detail = await get(path('alerts', id), {}, signal)
    alert = detail.alert
    drawState()
  }
  async function act(action) {
    const done = await action()
    if (!done?.length) return
    // The index follows the topic; until it has the new revision, what the server answered stands.
    alert = acts.merged(alert, done[0])
    drawState()
    await reload().catch(() => {})
    if (alert.disposition < done[0].revision) { alert = acts.merged(alert, done[0]); drawState() }
  }
  const take = () => act(() => acts.take(alert))
  const toExplanation = () => { explanation.scrollIntoView({ block: 'start' }); explanation.focus() }

  put(explanation, h('h2', {}, t('alert.explanation')),
    detail.tree ? h('ul', { class: 'tree' }, node(detail.tree)) : h('p', { class: 'muted' }, t('alert.no-tree')),
    h('h3', {}, t('alert.condition')), h('pre', { tabindex: 0 }, detail.condition ?? ''),
    detail.window && h('p', { class: 'muted' }, t('alert.window', { start: format.time(detail.window.start), end: format.time(detail.window.end), zone: format.zoneName() })))
  const values = table({
    caption: t('alert.values'), rows: detail.values ?? [],
    columns: [{ key: 'name', label: t('field.value-name'), head: true, sort: (row) => row.name, cell: (row) => h('code', {}, row.name) }, { key: 'value', label: t('field.value'), number: true, cell: (row) => format.number(row.value) }],
  })
  const model = detail.model && panel(t('alert.model'), facts([[t('field.name'), detail.model.name], [t('field.version'), detail.model.version], [t('alert.score'), alert.score === null ? '' : format.number(alert.score)]]),
    detail.reasons?.length > 0 && table({
      caption: t('alert.reasons'), rows: detail.reasons,
      columns: [{ key: 'feature', label: t('alert.feature'), head: true, cell: (row) => row.feature }, { key: 'value', label: t('field.value'), number: true, cell: (row) => format.number(row.value) }, { key: 'contribution', label: t('alert.contribution'), number: true, sort: (row) => row.contribution, cell: (row) => format.number(row.contribution) }, { key: 'percentile', label: t('alert.percentile'), number: true, cell: (row) => format.number(row.percentile) }],
    }))
  const records = panel(t('alert.records'))
  if (can('getAlertRecords')) {
    const box = h('div', {}, h('button', {
      type: 'button', onclick: async () => {
        try {
          const answer = await get(path('alerts', id, 'records'), {}, signal)
          put(box, answer.missing && h('p', { class: 'notice' }, answer.missing), ...(answer.records ?? []).map((record) => h('div', {},
            h('h3', {}, h('code', {}, `${record.topic}-${record.partition}-${record.offset}`)), h('p', { class: 'muted' }, format.time(record.at), `, ${format.bytes(record.bytes)}`, record.truncated && ` ${t('alert.truncated')}`), h('pre', { tabindex: 0 }, record.value ?? ''))))
        } catch (error) { put(box, h('p', { class: 'problem', role: 'alert' }, error.message)) }
      },
    }, t('alert.read-records')))
    records.append(detail.cause ? h('p', {}, h('code', {}, `${detail.cause.topic}-${detail.cause.partition}-${detail.cause.offset}`)) : h('p', { class: 'muted' }, t('alert.no-cause')), box)
  } else records.append(h('p', { class: 'muted' }, t('shell.forbidden')))
  const others = panel(t('alert.time-line', { customer: alert.customer }), detail.others?.length ? h('ol', { class: 'timeline' }, ...[alert, ...detail.others.filter((other) => other.id !== alert.id)]
    .sort((a, b) => (a.time < b.time ? 1 : -1)).map((other) => h('li', { class: other.id === alert.id ? 'own' : null }, time(other.time), severity(other.severity), ' ',
      other.id === alert.id ? h('strong', {}, other.rule) : h('a', { href: link('alerts', other.id) }, other.rule), ` ${name('state', other.state)}, ${name('status', other.status)}`))) : h('p', { class: 'muted' }, t('alert.no-others')))
  const deliveries = h('div', {}, h('p', { class: 'muted' }, t('shell.loading')))

  put(main, h('p', { class: 'small' }, h('a', { href: '#/alerts' }, t('screen.alerts'))), heading,
    h('section', { class: 'panel' }, h('p', { class: 'sentence' }, alert.message), state, buttons, alert.masked?.length > 0 && h('p', { class: 'hint' }, t('alert.masked', { fields: alert.masked.join(', ') }))),
    h('div', { class: 'wide-left' },
      h('div', {}, explanation, values, model, records),
      h('div', {}, others, panel(t('alert.history'), history), panel(t('alert.deliveries'), deliveries),
        panel(t('alert.origin'), facts([
          [t('field.rule'), h('a', { href: link('rules', alert.topology, alert.rule) }, alert.rule)], [t('field.risk'), name('risk', alert.risk)], [t('field.topology'), alert.topology], [t('field.epoch'), format.number(alert.epoch)],
          [t('field.ruleset'), hash(detail.ruleset)], [t('alert.id'), h('code', { class: 'wrap' }, alert.id)], [t('alert.revision'), format.number(alert.revision)],
          [t('alert.position'), detail.position && h('code', {}, `${detail.position.topic}-${detail.position.partition}-${detail.position.offset}`)],
          [t('alert.late'), detail.completeness && format.number(detail.completeness.late)], [t('field.watermark'), detail.completeness && time(detail.completeness.watermark)],
        ]), detail.command && commandLine(detail.command)))))
  drawState()
  useKeys([
    ['e', 'keys.explain', toExplanation], ['r', 'keys.rule', () => { location.hash = link('rules', alert.topology, alert.rule) }],
    ...(mayAct ? [['t', 'keys.take', take], ['c', 'keys.close', () => act(() => acts.close([alert]))], ['s', 'keys.snooze', () => act(() => acts.snooze([alert]))], ['n', 'keys.note', () => act(() => acts.note(alert))]] : []),
  ])
  if (context.query.at === 'explanation') setTimeout(toExplanation)
  context.on('disposition', (each) => { if (each.alert_id === id && each.revision > alert.disposition) { alert = acts.merged(alert, each); reload().catch(() => drawState()) } })
  context.on('alert', (each) => { if (each.id === id) reload().catch(() => {}) })
  try {
    const list = (await get(path('alerts', id, 'deliveries'), {}, signal)).deliveries
    put(deliveries, list.length ? h('ol', { class: 'timeline' }, ...list.map((each) => h('li', {}, time(each.at), h('strong', {}, each.recipient), ` ${name('channel', each.channel)}, `, h('span', { class: `tag ${each.state === 'accepted' ? 'good' : each.state === 'failed' ? 'bad' : 'warn'}` }, name('delivery', each.state)), ` ${t('alert.attempts', { count: each.attempts })}`, each.error && h('div', { class: 'wrap' }, each.error)))) : h('p', { class: 'muted' }, t('alert.nobody-told')))
  } catch (error) { if (error.name !== 'AbortError') put(deliveries, h('p', { class: 'muted' }, error.message)) }
}
