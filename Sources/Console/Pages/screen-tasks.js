import { h, put } from './dom.js'
import { t } from './i18n.js'
import { get, path } from './api.js'
import { table } from './table.js'
import { time, topologyChoice } from './parts.js'
import * as format from './format.js'

export async function show(context) {
  const { main, heading, signal } = context
  const { chosen: topology, filters } = topologyChoice(context, 'tasks')
  if (!topology) { put(main, heading, h('p', { class: 'muted' }, t('shell.no-topology'))); return }
  const note = h('div', {})
  const tasks = table({
    caption: t('tasks.caption'), sorted: { key: 'lag', down: true }, rowClass: () => null,
    columns: [
      { key: 'task', label: t('field.task'), head: true, number: true, sort: (row) => row.task, cell: (row) => format.number(row.task) },
      { key: 'source', label: t('field.source'), sort: (row) => row.source, cell: (row) => row.source },
      { key: 'worker', label: t('field.worker'), width: 1, sort: (row) => row.worker, cell: (row) => row.worker },
      { key: 'epoch', label: t('field.epoch'), number: true, sort: (row) => row.epoch, cell: (row) => format.number(row.epoch) },
      { key: 'records', label: t('tasks.lag-records'), number: true, sort: (row) => row.lag_records, cell: (row) => format.number(row.lag_records) },
      { key: 'lag', label: t('overview.lag'), number: true, sort: (row) => row.lag_seconds, cell: (row) => format.duration(row.lag_seconds) },
      { key: 'watermark', label: t('field.watermark'), class: 'time', width: 1, sort: (row) => row.watermark, cell: (row) => time(row.watermark) },
      { key: 'holds', label: t('tasks.holds'), sort: (row) => (row.holds_back ? 1 : 0), cell: (row) => (row.holds_back ? h('span', { class: 'tag warn' }, t('tasks.holds-yes')) : '') },
      { key: 'first', label: t('activation.first'), width: 3, class: 'wrap', cell: (row) => Object.entries(row.first ?? {}).map(([topic, offset]) => `${topic} ${format.number(offset)}`).join(', ') },
    ],
  })
  const workers = table({
    caption: t('tasks.workers'),
    columns: [
      { key: 'address', label: t('field.worker'), head: true, class: 'wrap', cell: (row) => row.address },
      { key: 'ready', label: t('field.state'), cell: (row) => [h('span', { class: `tag ${row.ready ? 'good' : 'bad'}` }, t(row.ready ? 'tasks.ready' : row.answering ? 'tasks.not-ready' : 'tasks.silent')), row.unready_reason && h('div', { class: 'small' }, row.unready_reason)] },
      { key: 'lanes', label: t('tasks.lanes'), number: true, cell: (row) => format.number(row.lanes) },
      { key: 'state', label: t('tasks.state'), number: true, width: 1, cell: (row) => format.bytes(row.state_bytes) },
      { key: 'memory', label: t('tasks.memory'), number: true, width: 1, cell: (row) => format.bytes(row.resident_bytes) },
    ],
  })
  async function load() {
    const answer = await get(path('topologies', topology, 'tasks'), {}, signal)
    put(note, answer.measured === false && h('p', { class: 'notice' }, t('tasks.not-measured')))
    if (!tasks.contains(document.activeElement)) tasks.show(answer.tasks)
    workers.show(answer.workers)
  }
  put(main, heading, filters, note, tasks, workers)
  await load()
  context.every(2000, () => load().catch(() => {}))
}
