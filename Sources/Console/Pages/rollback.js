import { h } from './dom.js'
import { t } from './i18n.js'
import { get, path, post } from './api.js'
import { ask, choice, field } from './dialog.js'
import * as format from './format.js'

/** Asks to which epoch and why; resolves to the job, or undefined. */
export async function rollBack(topology) {
  const { epochs } = await get(path('topologies', topology, 'history'))
  const earlier = epochs.slice(1).filter((each) => each.text !== false)
  if (earlier.length === 0) throw new Error(t('rollback.none'))
  return ask({
    title: t('rollback.title'), confirm: t('rollback.confirm'), danger: true, intro: h('p', {}, t('rollback.about')),
    fields: [
      field(t('rollback.to'), choice('epoch', earlier.map((each) => [String(each.epoch), `${each.epoch} · ${each.author} · ${format.time(each.at)}${each.reason ? ` · ${each.reason}` : ''}`]), String(earlier[0].epoch), { autofocus: true })),
      field(t('change.reason'), h('textarea', { name: 'reason', required: true, maxlength: 2000 })),
    ],
    command: (values) => `millrace deploy --rollback ${values.epoch} ${topology}`,
    act: (values) => post(path('topologies', topology, 'rollback'), { epoch: Number(values.epoch), reason: values.reason }),
  })
}
