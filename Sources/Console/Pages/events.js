// One stream of events a browser: the tab that holds the lease reads it and tells the others. Browsers open six
// connections to a host over HTTP/1.1, so a stream for each tab would stop the seventh.

const leaseKey = 'millrace.stream'
const leaseFor = 4000
const own = Math.random().toString(36).slice(2)
const channel = 'BroadcastChannel' in window ? new BroadcastChannel('millrace') : null
const listeners = new Map()
let source = null
let last = null
let timer = null
let wait = 500
let address = null
let names = []

function deliver(message) {
  if (message.id) last = message.id
  for (const listener of listeners.get(message.type) ?? []) listener(message.data)
}

channel?.addEventListener('message', (event) => deliver(event.data))

/** Tells all tabs of this browser. */
export function tell(type, data, id) {
  const message = { type, data, id }
  deliver(message)
  channel?.postMessage(message)
}

/** Calls `listener(data)` for each event of this type; gives back what ends that. `state` tells of the stream itself. */
export function on(type, listener) {
  if (!listeners.has(type)) listeners.set(type, new Set())
  listeners.get(type).add(listener)
  return () => listeners.get(type).delete(listener)
}

/** Whether this tab is the one that reads the stream. */
export function holdsStream() { return source !== null }

function holdsLease() {
  if (!channel) return true
  try {
    const lease = JSON.parse(localStorage.getItem(leaseKey) ?? 'null')
    if (lease && lease.owner !== own && lease.until > Date.now()) return false
    localStorage.setItem(leaseKey, JSON.stringify({ owner: own, until: Date.now() + leaseFor }))
    return JSON.parse(localStorage.getItem(leaseKey)).owner === own
  } catch { return true }
}

function open() {
  const url = last ? `${address}${address.includes('?') ? '&' : '?'}last=${encodeURIComponent(last)}` : address
  source = new EventSource(url)
  source.addEventListener('open', () => {
    wait = 500
    tell('state', 'live')
  })
  source.addEventListener('error', () => {
    tell('state', 'lost')
    // An EventSource does not say why: the session may have ended.
    tell('failed', null)
    close()
    // Sooner than the browser would, so that a restarted console is heard within its first seconds.
    setTimeout(tick, wait)
    wait = Math.min(wait * 2, 5000)
  })
  for (const name of names) {
    source.addEventListener(name, (event) => {
      let data = event.data
      try { data = JSON.parse(data) } catch { /* plain text */ }
      tell(name, data, event.lastEventId || undefined)
    })
  }
}

function close() {
  source?.close()
  source = null
}

function tick() {
  if (!address) return
  if (holdsLease()) {
    if (!source) open()
  } else if (source) close()
}

/** Begins to listen at `url` to events of these `types`. */
export function start(url, types) {
  if (address) return
  address = url
  names = types
  tick()
  timer = setInterval(tick, leaseFor / 4)
}

export function stop() {
  clearInterval(timer)
  address = null
  last = null
  close()
  release()
}

function release() {
  try {
    if (JSON.parse(localStorage.getItem(leaseKey) ?? 'null')?.owner === own) localStorage.removeItem(leaseKey)
  } catch { /* private windows */ }
}

addEventListener('pagehide', () => {
  close()
  release()
})
addEventListener('pageshow', (event) => { if (event.persisted) tick() })
