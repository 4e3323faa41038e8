// Decimals as integers with a scale: money never goes through a binary float.

const pattern = /^-?\d+(\.\d+)?$/

/** `{ units: BigInt, scale }`, or null where `text` is no plain decimal. */
export function parse(text) {
  const plain = String(text ?? '').trim()
  if (!pattern.test(plain)) return null
  const point = plain.indexOf('.')
  const scale = point < 0 ? 0 : plain.length - point - 1
  return { units: BigInt(plain.replace('.', '')), scale }
}

export function text({ units, scale }) {
  const negative = units < 0n
  const digits = String(negative ? -units : units).padStart(scale + 1, '0')
  const whole = digits.slice(0, digits.length - scale)
  return (negative ? '-' : '') + whole + (scale > 0 ? '.' + digits.slice(digits.length - scale) : '')
}

function aligned(a, b) {
  const scale = Math.max(a.scale, b.scale)
  return [a.units * 10n ** BigInt(scale - a.scale), b.units * 10n ** BigInt(scale - b.scale), scale]
}

/** -1, 0 or 1; null where one of the texts is no decimal. */
export function compare(left, right) {
  const a = parse(left), b = parse(right)
  if (!a || !b) return null
  const [x, y] = aligned(a, b)
  return x < y ? -1 : x > y ? 1 : 0
}

/** left - right, exact; null where one is no decimal. */
export function difference(left, right) {
  const a = parse(left), b = parse(right)
  if (!a || !b) return null
  const [x, y, scale] = aligned(a, b)
  return text({ units: x - y, scale })
}

/** (left - right) / |right| in percent with one digit, rounded toward zero; null where it has no meaning. */
export function percentOver(left, right) {
  const a = parse(left), b = parse(right)
  if (!a || !b || b.units === 0n) return null
  const [x, y] = aligned(a, b)
  return text({ units: ((x - y) * 1000n) / (y < 0n ? -y : y), scale: 1 })
}

/** Where `value` stands between `low` and `high`, as a float for drawing only. */
export function position(value, low, high) {
  const span = Number(high) - Number(low)
  return span > 0 ? Math.min(1, Math.max(0, (Number(value) - Number(low)) / span)) : 0
}

/** `value + steps * step`, exact, held between `low` and `high` where they are given. */
export function stepped(value, step, steps, low, high) {
  const a = parse(value), b = parse(step)
  if (!a || !b) return value
  const [x, y, scale] = aligned(a, b)
  return clamped(text({ units: x + y * BigInt(steps), scale }), low, high)
}

export function clamped(value, low, high) {
  if (compare(value, low) === -1) return low
  if (compare(value, high) === 1) return high
  return value
}
