import { h, put } from './dom.js'
import { t, name } from './i18n.js'
import { call, can, get, path } from './api.js'
import { ask, commandLine } from './dialog.js'
import { table } from './table.js'
import { time } from './parts.js'
import * as format from './format.js'

const roles = (row) => (row.roles ?? []).map((role) => name('role', role)).join(', ')

export async function show(context) {
  const { main, heading, signal } = context
  const answer = await get('/api/people', {}, signal)
  const people = table({
    caption: t('people.caption', { file: answer.file ?? '' }), rows: answer.people, sorted: { key: 'name', down: false },
    columns: [
      { key: 'name', label: t('field.name'), head: true, sort: (row) => row.name, cell: (row) => row.name }, { key: 'roles', label: t('people.roles'), class: 'wrap', cell: roles }, { key: 'language', label: t('shell.language'), width: 1, cell: (row) => row.language },
      { key: 'sessions', label: t('people.sessions'), number: true, sort: (row) => row.sessions, cell: (row) => format.number(row.sessions) }, { key: 'seen', label: t('people.seen'), class: 'time', width: 1, sort: (row) => row.last_seen, cell: (row) => time(row.last_seen) },
    ],
  })
  const keys = table({ caption: t('people.keys'), rows: answer.keys ?? [], columns: [{ key: 'name', label: t('field.name'), head: true, cell: (row) => row.name }, { key: 'roles', label: t('people.roles'), cell: roles }] })
  const sessions = table({
    caption: t('people.sessions'),
    columns: [
      { key: 'name', label: t('field.name'), head: true, sort: (row) => row.name, cell: (row) => row.name }, { key: 'from', label: t('people.from'), cell: (row) => row.from }, { key: 'since', label: t('people.since'), class: 'time', width: 1, cell: (row) => time(row.since) }, { key: 'seen', label: t('people.seen'), class: 'time', width: 1, cell: (row) => time(row.last_seen) },
      can('endSession') && { key: 'end', label: t('people.end'), labelHidden: true, cell: (row) => h('button', { type: 'button', 'aria-label': t('people.end-one', { name: row.name }), onclick: async () => { await ask({ title: t('people.end-title', { name: row.name }), confirm: t('people.end'), danger: true, act: () => call('DELETE', path('sessions', row.id)).then(() => true) }); load() } }, t('people.end')) },
    ].filter(Boolean),
  })
  async function load() { if (can('listSessions')) sessions.show((await get('/api/sessions', {}, signal)).sessions) }
  put(main, heading, h('p', { class: 'muted' }, t('people.about')), people, sessions, keys, commandLine('millrace console user add NAME --roles viewer,analyst'))
  await load()
}
