import { h, put } from './dom.js'
import { t } from './i18n.js'
import { get } from './api.js'
import { table } from './table.js'
import { hash, link } from './parts.js'
import * as format from './format.js'

export async function show(context) {
  const { main, heading, signal } = context
  const { models } = await get('/api/models', {}, signal)
  // Drift is judged by rules of the topology, on steps that compare the model's rows with those that it learnt from.
  const drift = (await get('/api/rules', {}, signal)).rules.filter((rule) => /drift/i.test(`${rule.name} ${rule.risk} ${rule.steps?.join(' ')}`))
  put(main, heading, table({
    caption: t('models.caption'), rows: models, empty: t('models.empty'),
    columns: [
      { key: 'name', label: t('field.name'), head: true, sort: (row) => row.name, cell: (row) => row.name },
      { key: 'topology', label: t('field.topology'), sort: (row) => row.topology, cell: (row) => h('a', { href: link('graph', row.topology) }, row.topology) },
      { key: 'kind', label: t('field.kind'), cell: (row) => row.kind }, { key: 'version', label: t('field.version'), cell: (row) => row.version },
      { key: 'sha', label: 'SHA-256', width: 1, cell: (row) => hash(row.sha256) }, { key: 'steps', label: t('models.steps'), width: 1, cell: (row) => (row.steps ?? []).join(', ') },
      { key: 'rate', label: t('models.rate'), number: true, width: 2, cell: (row) => format.rough(row.rows_per_second, 0) },
    ],
  }), table({
    caption: t('models.drift'), rows: drift, empty: t('models.no-drift'),
    columns: [
      { key: 'rule', label: t('field.rule'), head: true, cell: (row) => h('a', { class: 'row', href: link('rules', row.topology, row.name) }, row.name) }, { key: 'topology', label: t('field.topology'), cell: (row) => row.topology },
      { key: 'hits', label: t('rules.hits'), number: true, sort: (row) => row.hits_24h, cell: (row) => h('a', { href: `#/alerts?${new URLSearchParams({ rule: row.name, status: 'any' })}` }, format.number(row.hits_24h)) }, { key: 'open', label: t('overview.open'), number: true, cell: (row) => format.number(row.open) },
    ],
  }))
}
