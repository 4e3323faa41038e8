import { h, put } from './dom.js'
import { t, name } from './i18n.js'
import { can, get } from './api.js'
import { commandLine, field } from './dialog.js'
import { table } from './table.js'
import { hash, more, time } from './parts.js'
import * as format from './format.js'

export async function show(context) {
  const { main, heading, signal, query } = context
  let rows = []
  let next = null
  const who = h('input', { name: 'who', type: 'search', value: query.who ?? '', autocomplete: 'off' })
  const action = h('input', { name: 'action', value: query.action ?? '', autocomplete: 'off' })
  const result = h('div', { role: 'status' })
  const older = more(() => load(true))
  const list = table({
    caption: t('audit.caption'), empty: t('table.empty'),
    columns: [
      { key: 'seq', label: t('audit.number'), number: true, width: 1, cell: (row) => format.number(row.seq) }, { key: 'at', label: t('field.time'), class: 'time', cell: (row) => time(row.at) },
      { key: 'who', label: t('audit.who'), head: true, cell: (row) => [row.who, h('div', { class: 'small muted' }, row.from)] }, { key: 'action', label: t('audit.action'), cell: (row) => name('action', row.action) },
      { key: 'object', label: t('audit.object'), class: 'wrap', width: 1, cell: (row) => [row.object, h('div', { class: 'small muted' }, row.topology)] },
      { key: 'change', label: t('audit.change'), class: 'wrap', cell: (row) => (row.old || row.new ? [h('span', {}, name('status', row.old) || '–'), ' → ', h('span', {}, name('status', row.new) || '–')] : '') },
      { key: 'reason', label: t('change.reason'), class: 'wrap', width: 2, cell: (row) => row.reason }, { key: 'hash', label: t('audit.hash'), width: 3, cell: (row) => hash(row.hash) },
    ],
  })
  async function load(onward = false) {
    const answer = await get('/api/audit', { who: who.value, action: action.value, cursor: onward ? next : '' }, signal)
    rows = onward ? [...rows, ...answer.records] : answer.records
    next = answer.next
    older.hidden = !next
    list.show(rows)
  }
  async function verify() {
    const { topologies } = await get('/api/audit/verify', {}, signal)
    put(result, h('ul', { class: 'words' }, ...topologies.map((each) => h('li', {}, h('span', { class: `tag ${each.ok ? 'good' : 'bad'}` }, t(each.ok ? 'audit.whole' : 'audit.broken')), ` ${each.topology}: ${t('audit.records', { count: each.records })}`, each.first_bad !== null && each.first_bad !== undefined && ` ${t('audit.first-bad', { seq: format.number(each.first_bad) })}`, each.reason && ` ${each.reason}`))))
  }
  put(main, heading, h('form', { class: 'filters', onsubmit: (event) => { event.preventDefault(); context.remember({ who: who.value, action: action.value }); load() } }, field(t('audit.who'), who), field(t('audit.action'), action), h('button', { type: 'submit' }, t('filter.apply')), can('verifyAudit') && h('button', { type: 'button', onclick: () => verify().catch((error) => put(result, h('p', { class: 'problem' }, error.message))) }, t('audit.verify'))),
    result, list, older, commandLine('millrace audit verify'))
  await load()
}
