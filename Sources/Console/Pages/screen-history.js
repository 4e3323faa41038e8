import { h, put } from './dom.js'
import { t } from './i18n.js'
import { can, get, path } from './api.js'
import { table } from './table.js'
import { acknowledgements } from './acknowledgements.js'
import { hash, link, panel, time } from './parts.js'
import { rollBack } from './rollback.js'
import { toast } from './dialog.js'
import * as format from './format.js'

export async function show(context) {
  const { main, heading, signal, params } = context
  context.title(`${params.topology}: ${t('screen.history')}`)
  const list = table({
    caption: t('history.caption'), rows: [],
    columns: [
      { key: 'epoch', label: t('field.epoch'), head: true, number: true, sort: (row) => row.epoch, cell: (row) => (row.text === false ? format.number(row.epoch) : h('a', { class: 'row', href: `${link('text', params.topology)}?epoch=${row.epoch}` }, format.number(row.epoch))) },
      { key: 'at', label: t('field.time'), class: 'time', sort: (row) => row.at, cell: (row) => time(row.at) },
      { key: 'author', label: t('field.author'), sort: (row) => row.author, cell: (row) => row.author },
      { key: 'reason', label: t('change.reason'), class: 'wrap', cell: (row) => row.reason },
      { key: 'ruleset', label: t('field.ruleset'), width: 2, cell: (row) => hash(row.ruleset) },
      { key: 'logic', label: t('field.logic'), width: 3, cell: (row) => hash(row.logic) },
    ],
  })
  const box = acknowledgements(context, params.topology, 0)
  async function load() { list.show((await get(path('topologies', params.topology, 'history'), {}, signal)).epochs) }
  put(main, h('div', { class: 'bar-line' }, heading, can('rollBack') && h('button', {
    type: 'button', class: 'push', onclick: async () => {
      try { if (await rollBack(params.topology)) toast(t('rollback.started')) } catch (error) { toast(error.message, { error: true }) }
    },
  }, t('rollback.title'))), panel(t('activation.title'), box), list)
  await load()
  context.on('activation', () => { if (!list.contains(document.activeElement)) load().catch(() => {}) })
}
