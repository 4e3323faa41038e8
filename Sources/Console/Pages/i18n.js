// Texts of the two languages. A text that a language lacks is English; a key is never shown.

export const languages = { en: 'English', zh: '中文' }

let english = {}
let texts = {}
let current = 'en'

function stored() {
  try { return localStorage.getItem('millrace.language') } catch { return null }
}

function preferred() {
  const chosen = stored()
  if (chosen && languages[chosen]) return chosen
  for (const tag of navigator.languages ?? [navigator.language]) {
    const base = String(tag).toLowerCase().split('-')[0]
    if (languages[base]) return base
  }
  return 'en'
}

async function load(name) {
  const answer = await fetch(new URL(`${name}.json`, import.meta.url))
  if (!answer.ok) throw new Error(`${name}.json: ${answer.status}`)
  return answer.json()
}

/** Reads the texts of the browser's language, or of the one that was chosen before. */
export async function loadLanguage() {
  current = preferred()
  const [base, own] = await Promise.all([load('en'), current === 'en' ? null : load(current).catch(() => ({}))])
  english = base
  texts = own ?? base
  document.documentElement.lang = locale()
}

/** Changes the language, remembers it, and reads its texts. */
export async function chooseLanguage(name) {
  try { localStorage.setItem('millrace.language', name) } catch { /* private windows */ }
  await loadLanguage()
}

export function language() { return current }

/** The tag for `Intl` and `lang`. */
export function locale() { return current === 'zh' ? 'zh-CN' : 'en-GB' }

function lookUp(key) { return texts[key] ?? english[key] }

function filled(text, values) {
  return text.replace(/\{(\w+)\}/g, (whole, name) => (values && name in values ? String(values[name]) : whole))
}

/** The text of `key` with `{names}` replaced. With `count` among the values, `key.one` is taken for one. */
export function t(key, values) {
  let text
  if (values && typeof values.count === 'number') {
    const form = new Intl.PluralRules(locale()).select(values.count)
    text = lookUp(`${key}.${form}`) ?? lookUp(`${key}.other`)
    values = { ...values, count: new Intl.NumberFormat(locale()).format(values.count) }
  }
  text ??= lookUp(key)
  if (text === undefined) {
    console.warn(`no text for ${key}`)
    // What is left of a key when its dots and joins are taken away still reads as words.
    text = key.split('.').pop().replace(/[-_]/g, ' ')
  }
  return filled(text, values)
}

/** The name of a value of a closed list (`severity`, `status`); what the list lacks is shown as it came. */
export function name(list, value) {
  if (value === undefined || value === null || value === '') return ''
  return lookUp(`${list}.${value}`) ?? String(value)
}

/** The part of `{en: …, zh: …}` for this language, or the plain text that it is. */
export function labelled(text) {
  if (text && typeof text === 'object') return text[current] ?? text.en ?? Object.values(text)[0] ?? ''
  return text ?? ''
}
