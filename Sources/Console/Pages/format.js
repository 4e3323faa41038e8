// Numbers and times as people of the chosen language read them; times in the topology's zone.

import { locale, t } from './i18n.js'
import * as decimal from './decimal.js'

let zone = 'UTC'

/** The zone of the topology; of a name that the browser does not know, UTC. */
export function useZone(name) {
  try {
    new Intl.DateTimeFormat('en', { timeZone: name })
    zone = name
  } catch { zone = 'UTC' }
}

export function zoneName() { return zone }

/** A decimal or integer, grouped, every digit kept; what is neither is shown as it came. */
export function number(value) {
  if (value === undefined || value === null) return '–'
  const parsed = decimal.parse(value)
  if (!parsed) return String(value)
  const digits = Math.min(parsed.scale, 20)
  return new Intl.NumberFormat(locale(), { minimumFractionDigits: digits, maximumFractionDigits: digits })
    .format(typeof value === 'number' ? value : decimal.text(parsed))
}

/** A measurement, not money: as many digits as help. */
export function rough(value, digits = 1) {
  if (value === undefined || value === null || !Number.isFinite(Number(value))) return '–'
  return new Intl.NumberFormat(locale(), { maximumFractionDigits: digits }).format(Number(value))
}

export function percent(share, digits = 1) {
  if (share === undefined || share === null || !Number.isFinite(Number(share))) return '–'
  return new Intl.NumberFormat(locale(), { style: 'percent', maximumFractionDigits: digits }).format(Number(share))
}

function date(value) {
  if (value === undefined || value === null || value === '') return null
  const moment = new Date(value)
  return Number.isNaN(moment.getTime()) ? null : moment
}

/** Date and time in the topology's zone. */
export function time(value, { seconds = true } = {}) {
  const moment = date(value)
  if (!moment) return value ? String(value) : '–'
  return new Intl.DateTimeFormat(locale(), {
    timeZone: zone, year: 'numeric', month: '2-digit', day: '2-digit', hour: '2-digit', minute: '2-digit',
    second: seconds ? '2-digit' : undefined, hourCycle: 'h23',
  }).format(moment)
}

/** The first moment of a day (`2026-11-28`) in the topology's zone, as ISO 8601 in UTC; of anything else, null. */
export function startOfDay(day) {
  if (!/^\d{4}-\d\d-\d\d$/.test(day ?? '')) return null
  const wanted = Date.parse(`${day}T00:00:00Z`)
  const parts = new Intl.DateTimeFormat('en-CA', {
    timeZone: zone, year: 'numeric', month: '2-digit', day: '2-digit', hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23',
  })
  // What the clock of the zone says at `moment`, read as if it were UTC: their difference is the zone's offset.
  const shown = (moment) => {
    const of = Object.fromEntries(parts.formatToParts(moment).map((part) => [part.type, part.value]))
    return Date.UTC(of.year, of.month - 1, of.day, of.hour, of.minute, of.second)
  }
  let moment = wanted
  // Twice: the offset may change between the first guess and the day itself.
  for (let round = 0; round < 2; round += 1) moment = wanted - (shown(moment) - moment)
  return new Date(moment).toISOString().replace('.000Z', 'Z')
}

/** The hour alone, for axes. */
export function clock(value) {
  const moment = date(value)
  if (!moment) return ''
  return new Intl.DateTimeFormat(locale(), {
    timeZone: zone, hour: '2-digit', minute: '2-digit', hourCycle: 'h23',
  }).format(moment)
}

/** Seconds as "1 h 5 min", the two largest units. */
export function duration(seconds) {
  if (seconds === undefined || seconds === null || !Number.isFinite(Number(seconds))) return '–'
  const all = Math.max(0, Number(seconds))
  if (all < 10) return t('unit.seconds', { value: rough(all, all < 1 ? 2 : 1) })
  const units = [['days', 86400], ['hours', 3600], ['minutes', 60], ['seconds', 1]]
  const parts = []
  let rest = Math.floor(all)
  for (const [unit, size] of units) {
    const count = Math.floor(rest / size)
    rest -= count * size
    if (count > 0) parts.push(t(`unit.${unit}`, { value: count }))
    if (parts.length === 2 || (parts.length === 1 && count === 0)) break
  }
  return parts.join(' ')
}

/** How long ago, in words. */
export function age(value, now = Date.now()) {
  const moment = date(value)
  return moment ? duration((now - moment.getTime()) / 1000) : '–'
}

export function bytes(count) {
  if (count === undefined || count === null) return '–'
  const units = ['B', 'KB', 'MB', 'GB', 'TB']
  let value = Number(count), unit = 0
  while (value >= 1000 && unit < units.length - 1) { value /= 1000; unit += 1 }
  return `${rough(value)} ${units[unit]}`
}
