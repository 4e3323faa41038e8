import { h, put } from './dom.js'
import { t, name } from './i18n.js'
import { get } from './api.js'
import { choice, field } from './dialog.js'
import { table } from './table.js'
import { link, time } from './parts.js'
import * as format from './format.js'

const states = ['draft', 'submitted', 'approved', 'active', 'returned', 'discarded', 'refused']

export function stateTag(state) {
  const kind = { active: 'good', approved: 'good', submitted: 'warn', refused: 'bad', returned: 'bad' }[state] ?? ''
  return h('span', { class: `tag ${kind}` }, name('change', state))
}

export async function show(context) {
  const { main, heading, signal, query } = context
  const select = choice('state', [['', t('filter.any')], ...states.map((each) => [each, name('change', each)])], query.state ?? '', {
    onchange: () => { context.remember({ state: select.value }); load() },
  })
  const list = table({
    caption: t('changes.caption'), empty: t('changes.empty'), rows: [],
    columns: [
      { key: 'title', label: t('change.title'), head: true, class: 'wrap', sort: (row) => row.title, cell: (row) => h('a', { class: 'row', href: link('changes', row.id) }, row.title) },
      { key: 'topology', label: t('field.topology'), width: 2, sort: (row) => row.topology, cell: (row) => row.topology },
      { key: 'state', label: t('field.state'), sort: (row) => states.indexOf(row.state), cell: (row) => stateTag(row.state) },
      { key: 'author', label: t('field.author'), width: 1, sort: (row) => row.author, cell: (row) => row.author },
      { key: 'approvals', label: t('change.approvals'), number: true, width: 1, cell: (row) => `${format.number(row.approvals?.length ?? 0)} / ${format.number(row.approvals_needed)}` },
      { key: 'epoch', label: t('field.epoch'), number: true, width: 2, sort: (row) => row.epoch, cell: (row) => format.number(row.epoch) },
      { key: 'updated', label: t('field.updated'), class: 'time', width: 1, sort: (row) => row.updated_at, cell: (row) => time(row.updated_at, { seconds: false }) },
    ],
  })
  async function load() { list.show((await get('/api/changes', { state: select.value, topology: query.topology }, signal)).changes) }
  put(main, heading, h('div', { class: 'filters' }, field(t('field.state'), select)), list)
  await load()
  context.on('change', () => { if (!list.contains(document.activeElement)) load().catch(() => {}) })
}
