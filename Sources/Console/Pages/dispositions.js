// Taking, closing, snoozing alerts: the same dialogs from the list and from the alert.

import { h } from './dom.js'
import { t, name } from './i18n.js'
import { ask, choice, field, toast } from './dialog.js'
import { post, path } from './api.js'
import * as format from './format.js'

export const outcomes = ['confirmed', 'useful', 'false-positive', 'noise']

function taken(error) {
  const current = error.current
  if (error.status !== 409 || !current) throw error
  throw new Error(current.owner
    ? t('alert.taken-by', { owner: current.owner, status: name('status', current.status), at: format.time(current.at) })
    : t('alert.moved-on', { status: name('status', current.status) }), { cause: error })
}

function send(alert, action, body) {
  return post(path('alerts', alert.id, action), body, alert.disposition ?? 0).catch(taken)
}

const quoted = (text) => `'${String(text ?? '').replaceAll("'", "'\\''")}'`
const command = (verb, alerts, rest = '') => (
  `millrace alerts ${verb} ${alerts.map((alert) => alert.id).slice(0, 3).join(' ')}${alerts.length > 3 ? ' …' : ''} --topology ${alerts[0]?.topology ?? ''}${rest}`)

async function bulk(action, alerts, body) {
  const answer = await post('/api/alerts/bulk', {
    action, alerts: alerts.map((alert) => ({ id: alert.id, revision: alert.disposition ?? 0 })), ...body,
  })
  if (answer.refused?.length) {
    toast(`${t('alert.bulk-done', { count: answer.done.length })} ${t('alert.bulk-refused', { count: answer.refused.length })} ${answer.refused[0].error?.message ?? ''}`, { error: true })
  } else toast(t('alert.bulk-done', { count: answer.done.length }))
  return answer.done
}

/** Takes one alert without asking; says who was first where it was too late. */
export async function take(alert) {
  try {
    const done = await send(alert, 'take', { note: null })
    toast(t('alert.now-mine'))
    return [done]
  } catch (error) {
    toast(error.message, { error: true })
    return error.cause?.current ? [error.cause.current] : []
  }
}

export function takeMany(alerts) { return bulk('take', alerts, {}).catch((error) => { toast(error.message, { error: true }); return [] }) }

/** Asks for the outcome and a note. */
export function close(alerts) {
  return ask({
    title: t('alert.close-title', { count: alerts.length }), confirm: t('alert.close'),
    fields: [
      field(t('alert.outcome'), choice('outcome', outcomes.map((each) => [each, name('outcome', each)]), 'confirmed', { required: true, autofocus: true })),
      field(t('alert.note'), h('textarea', { name: 'note', maxlength: 2000 })),
    ],
    command: (values) => command('close', alerts, ` --outcome ${values.outcome}${values.note ? ` --note ${quoted(values.note)}` : ''}`),
    act: async (values) => {
      const body = { outcome: values.outcome, note: values.note || null }
      return alerts.length === 1 ? [await send(alerts[0], 'close', body)] : bulk('close', alerts, body)
    },
  })
}

/** Asks until when, and why. */
export function snooze(alerts) {
  const until = (hours) => new Date(Date.now() + Number(hours) * 3600_000).toISOString().replace(/\.\d+Z/, 'Z')
  const spans = [['1', t('snooze.hour')], ['4', t('snooze.hours')], ['24', t('snooze.day')], ['168', t('snooze.week')], ['720', t('snooze.month')]]
  return ask({
    title: t('alert.snooze-title', { count: alerts.length }), confirm: t('alert.snooze'),
    fields: [
      field(t('alert.until'), choice('hours', spans, '24', { autofocus: true })),
      field(t('alert.reason'), h('textarea', { name: 'note', required: true, maxlength: 2000 })),
    ],
    command: (values) => command('snooze', alerts, ` --until ${until(values.hours)} --note ${quoted(values.note)}`),
    act: async (values) => {
      const body = { until: until(values.hours), note: values.note }
      return alerts.length === 1 ? [await send(alerts[0], 'snooze', body)] : bulk('snooze', alerts, body)
    },
  })
}

export function note(alert) {
  return ask({
    title: t('alert.note-title'), confirm: t('alert.add-note'),
    fields: [field(t('alert.note'), h('textarea', { name: 'note', required: true, maxlength: 2000, autofocus: true }))],
    command: (values) => command('note', [alert], ` --note ${quoted(values.note)}`),
    act: async (values) => [await send(alert, 'note', { note: values.note })],
  })
}

export function reopen(alerts) {
  return ask({
    title: t('alert.reopen-title', { count: alerts.length }), confirm: t('alert.reopen'),
    fields: [field(t('alert.note'), h('textarea', { name: 'note', maxlength: 2000, autofocus: true }))],
    command: () => command('reopen', alerts),
    act: async (values) => {
      const body = { note: values.note || null }
      return alerts.length === 1 ? [await send(alerts[0], 'reopen', body)] : bulk('reopen', alerts, body)
    },
  })
}

/** An alert with what a disposition says of it. */
export function merged(alert, disposition) {
  const { status, owner, outcome, until, note: text, by, at, revision } = disposition
  return { ...alert, status, owner, outcome, until, note: text, by, at, disposition: revision }
}
