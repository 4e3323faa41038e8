import { h, put } from './dom.js'
import { t, name } from './i18n.js'
import { get } from './api.js'
import { choice, commandLine, field } from './dialog.js'
import { table } from './table.js'
import { link, more, time } from './parts.js'
import { popupSwitch } from './popups.js'
import * as format from './format.js'

export async function show(context) {
  const { main, heading, signal, query } = context
  let rows = []
  let next = null
  const state = choice('state', [['', t('filter.any')], ...['accepted', 'failed', 'waiting'].map((each) => [each, name('delivery', each)])], query.state ?? '', { onchange: () => changed() })
  const channel = choice('channel', [['', t('filter.any')], ...['mail', 'sms', 'webhook', 'popup'].map((each) => [each, name('channel', each)])], query.channel ?? '', { onchange: () => changed() })
  const note = h('div', {})
  const older = more(() => load(true))
  const list = table({
    caption: t('notifications.caption'), empty: t('notifications.empty'),
    columns: [
      { key: 'at', label: t('field.time'), class: 'time', sort: (row) => row.at, cell: (row) => time(row.at) },
      { key: 'recipient', label: t('notifications.recipient'), head: true, class: 'wrap', sort: (row) => row.recipient, cell: (row) => row.recipient },
      { key: 'channel', label: t('notifications.channel'), sort: (row) => row.channel, cell: (row) => name('channel', row.channel) }, { key: 'route', label: t('notifications.route'), width: 1, sort: (row) => row.route, cell: (row) => row.route },
      { key: 'state', label: t('field.state'), cell: (row) => [h('span', { class: `tag ${row.state === 'accepted' ? 'good' : row.state === 'failed' ? 'bad' : 'warn'}` }, name('delivery', row.state)), row.error && h('div', { class: 'small wrap' }, row.error)] },
      { key: 'attempts', label: t('notifications.attempts'), number: true, width: 1, sort: (row) => row.attempts, cell: (row) => format.number(row.attempts) }, { key: 'status', label: t('notifications.answer'), width: 2, cell: (row) => row.status },
      { key: 'ms', label: t('notifications.took'), number: true, width: 2, sort: (row) => row.milliseconds, cell: (row) => t('unit.milliseconds', { value: format.number(row.milliseconds) }) },
      { key: 'alert', label: t('notifications.alert'), width: 1, cell: (row) => row.alert_id && h('a', { class: 'row', href: link('alerts', row.alert_id) }, row.alert_id.slice(0, 8)) },
    ],
  })
  async function load(onward = false) {
    const answer = await get('/api/notifications', { state: state.value, channel: channel.value, alert: query.alert, cursor: onward ? next : '' }, signal)
    rows = onward ? [...rows, ...answer.notifications] : answer.notifications
    next = answer.next
    older.hidden = !next
    put(note, answer.available === false && h('p', { class: 'notice' }, t('notifications.not-available')))
    list.show(rows)
  }
  function changed() { context.remember({ state: state.value, channel: channel.value }); load() }
  put(main, heading, popupSwitch(), note, h('div', { class: 'filters' }, field(t('field.state'), state), field(t('notifications.channel'), channel)), list, older, commandLine('millrace notify log'))
  await load()
}
