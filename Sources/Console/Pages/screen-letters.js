import { h, put } from './dom.js'
import { t, name } from './i18n.js'
import { can, get, path, post } from './api.js'
import { ask, choice, field, toast } from './dialog.js'
import { table } from './table.js'
import { more, time, topologyChoice } from './parts.js'
import * as format from './format.js'

export async function show(context) {
  const { main, heading, signal, query } = context
  const { chosen: topology, filters } = topologyChoice(context, 'letters')
  if (!topology) { put(main, heading, h('p', { class: 'muted' }, t('shell.no-topology'))); return }
  const mayResend = can('resendLetters')
  const selected = new Map()
  let letters = []
  let next = null
  const key = (row) => `${row.partition}-${row.offset}`
  const kind = choice('kind', [['dead', t('letters.dead')], ['late', t('letters.late')]], query.kind ?? 'dead', { onchange: () => changed(true) })
  const reasonBox = h('div', {})
  let reason = query.reason ?? ''
  const total = h('p', { class: 'muted', role: 'status' })
  const older = more(() => load(true))
  const resend = h('button', {
    type: 'button', disabled: true, onclick: async () => {
      const list = [...selected.values()].map(({ partition, offset }) => ({ partition, offset }))
      const answer = await ask({
        title: t('letters.resend-title', { count: list.length }), confirm: t('letters.resend'), intro: h('p', {}, t('letters.resend-about')),
        command: () => `millrace letters resend ${topology} --kind ${kind.value} ${list.slice(0, 4).map((each) => `${each.partition}-${each.offset}`).join(' ')}${list.length > 4 ? ' …' : ''}`,
        act: () => post(path('topologies', topology, 'letters', 'resend'), { kind: kind.value, letters: list }),
      })
      if (!answer) return
      toast([t('letters.sent', { count: answer.sent }), ...(answer.refused ?? []).slice(0, 3).map((each) => `${each.partition}-${each.offset}: ${each.reason}`)].join(' '), { error: answer.refused?.length > 0 })
      selected.clear()
      await load()
    },
  }, t('letters.resend'))
  const list = table({
    caption: t('letters.caption'), empty: t('letters.empty'),
    columns: [
      mayResend && { key: 'select', label: t('alerts.select'), labelHidden: true, cell: (row) => h('input', { type: 'checkbox', 'aria-label': t('letters.select', { id: key(row) }), checked: selected.has(key(row)), onchange: (event) => { if (event.target.checked) selected.set(key(row), row); else selected.delete(key(row)); resend.disabled = selected.size === 0 } }) },
      { key: 'at', label: t('field.time'), class: 'time', sort: (row) => row.at, cell: (row) => time(row.at) },
      { key: 'reason', label: t('letters.reason'), head: true, sort: (row) => row.reason, cell: (row) => row.reason },
      { key: 'message', label: t('field.message'), class: 'message wrap', cell: (row) => [row.message, row.field && h('div', { class: 'small muted' }, `${t('letters.field')}: ${row.field}`)] },
      { key: 'from', label: t('letters.from'), width: 1, cell: (row) => h('code', {}, `${row.topic}-${row.source_partition}-${row.source_offset}`) },
      { key: 'value', label: t('letters.record'), width: 2, cell: (row) => h('details', {}, h('summary', {}, `${row.key ?? ''} ${format.bytes(row.bytes)}`), h('pre', { tabindex: 0 }, row.value ?? '')) },
      { key: 'resent', label: t('letters.resent'), width: 1, cell: (row) => (row.resent_at ? time(row.resent_at) : '') },
    ].filter(Boolean),
  })
  function changed(newKind) {
    if (newKind) reason = ''
    context.remember({ kind: kind.value, reason })
    load()
  }
  async function load(onward = false) {
    const answer = await get(path('topologies', topology, 'letters'), { kind: kind.value, reason, cursor: onward ? next : '' }, signal)
    letters = onward ? [...letters, ...answer.letters] : answer.letters
    next = answer.next
    older.hidden = !next
    list.show(letters)
    total.textContent = t('letters.total', { count: answer.total ?? letters.length })
    if (!reasonBox.contains(document.activeElement)) {
      const select = choice('reason', [['', t('filter.any')], ...(answer.by_reason ?? []).map((each) => [each.reason, `${each.reason} (${format.number(each.count)})`])], reason, { onchange: () => { reason = select.value; changed(false) } })
      put(reasonBox, field(t('letters.reason'), select))
    }
  }
  put(main, heading, filters, h('div', { class: 'filters' }, field(t('field.kind'), kind), reasonBox, mayResend && resend), total, list, older)
  await load()
}
