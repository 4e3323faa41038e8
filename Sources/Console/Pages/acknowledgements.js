// Which tasks go on with an epoch, live.

import { h, put } from './dom.js'
import { t } from './i18n.js'
import { get, path } from './api.js'
import { table } from './table.js'
import { time } from './parts.js'
import * as format from './format.js'

/** A box that follows the newest activation of `topology` from epoch `from` on; `onDone` once every task has it. */
export function acknowledgements(context, topology, from, onDone) {
  const line = h('p', { role: 'status' })
  const chips = h('ul', { class: 'tasks-line', 'aria-label': t('activation.tasks') })
  const list = table({
    caption: t('activation.caption'), rows: [], sorted: { key: 'task', down: false },
    columns: [
      { key: 'task', label: t('field.task'), head: true, number: true, sort: (row) => row.task, cell: (row) => format.number(row.task) },
      { key: 'first', label: t('activation.first'), class: 'wrap', cell: (row) => Object.entries(row.first ?? {}).map(([topic, offset]) => `${topic} ${format.number(offset)}`).join(', ') },
      { key: 'watermark', label: t('field.watermark'), class: 'time', width: 1, cell: (row) => time(row.watermark) },
      { key: 'raised', label: t('activation.raised'), number: true, cell: (row) => format.number(row.raised) },
      { key: 'cleared', label: t('activation.cleared'), number: true, cell: (row) => format.number(row.cleared) },
      { key: 'worker', label: t('field.worker'), width: 2, cell: (row) => row.worker },
    ],
  })
  const box = h('div', {}, line, chips, h('details', {}, h('summary', {}, t('activation.caption')), list))
  let last = ''

  function draw(activation) {
    if (!activation || activation.epoch < from) return
    const own = (activation.acknowledgements ?? []).filter((each) => each.epoch === activation.epoch)
    const done = new Map(own.map((each) => [each.task, each]))
    if (activation.epoch === 0) {
      // Nothing was deployed: there is nothing that tasks could have taken up.
      line.textContent = t('activation.file')
      put(chips)
      return
    }
    const text = t(activation.complete ? 'activation.complete' : 'activation.running', { epoch: format.number(activation.epoch), done: format.number(activation.acknowledged), tasks: format.number(activation.tasks) })
    // A live region speaks when its text changes: only then.
    if (text !== last) { last = text; line.textContent = text }
    const tasks = new Set([...done.keys(), ...Array.from({ length: activation.tasks ?? 0 }, (_, index) => index)])
    put(chips, ...[...tasks].sort((a, b) => a - b).map((task) => h('li', { class: done.has(task) ? 'done' : null }, t(done.has(task) ? 'activation.task-done' : 'activation.task-waits', { task }))))
    list.show(own)
    box.dataset.acknowledged = String(activation.acknowledged)
    if (activation.complete) onDone?.(activation)
  }
  async function load() { try { draw(await get(path('topologies', topology, 'activation'), {}, context.signal)) } catch { /* none yet, or away */ } }
  box.load = load
  context.on('activation', (activation) => { if (activation.topology === topology) draw(activation) })
  context.on('acknowledgement', (each) => { if (each.topology === topology) load() })
  load()
  return box
}
