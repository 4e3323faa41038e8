import { h, put } from './dom.js'
import { t, name } from './i18n.js'
import { get } from './api.js'
import { sparkline } from './chart.js'
import { table } from './table.js'
import { link, severities, severity, time } from './parts.js'
import * as format from './format.js'

export async function show(context) {
  const { main, heading, signal } = context
  const { rules } = await get('/api/rules', { topology: context.query.topology }, signal)
  put(main, heading, table({
    caption: t('rules.caption'), rows: rules, sorted: { key: 'hits', down: true },
    columns: [
      { key: 'name', label: t('field.rule'), head: true, class: 'wrap', sort: (row) => row.name, cell: (row) => h('a', { class: 'row', href: link('rules', row.topology, row.name) }, row.name) },
      { key: 'topology', label: t('field.topology'), width: 2, sort: (row) => row.topology, cell: (row) => h('a', { href: link('text', row.topology) }, row.topology) },
      { key: 'severity', label: t('field.severity'), sort: (row) => -severities.indexOf(row.severity), cell: (row) => severity(row.severity) },
      { key: 'risk', label: t('field.risk'), width: 2, sort: (row) => row.risk, cell: (row) => name('risk', row.risk) },
      { key: 'hits', label: t('rules.hits'), number: true, sort: (row) => row.hits_24h, cell: (row) => h('a', { href: `#/alerts?${new URLSearchParams({ rule: row.name, status: 'any' })}` }, format.number(row.hits_24h)) },
      { key: 'spark', label: t('rules.trend'), width: 1, cell: (row) => sparkline(row.hits_per_hour ?? [], t('rules.trend-label', { last: format.number(row.hits_per_hour?.at(-1) ?? 0), most: format.number(Math.max(0, ...(row.hits_per_hour ?? []))) })) },
      { key: 'open', label: t('overview.open'), number: true, width: 1, sort: (row) => row.open, cell: (row) => format.number(row.open) },
      { key: 'closed', label: t('rules.closed'), number: true, width: 2, sort: (row) => row.closed_30d, cell: (row) => format.number(row.closed_30d) },
      { key: 'false', label: t('rules.false-positives'), number: true, width: 2, sort: (row) => row.false_positive_share, cell: (row) => format.percent(row.false_positive_share) },
      { key: 'changed', label: t('rules.changed'), width: 3, sort: (row) => row.last_change?.at, cell: (row) => row.last_change && [time(row.last_change.at, { seconds: false }), h('div', { class: 'muted small' }, row.last_change.author)] },
    ],
  }))
}
