// A layered drawing of a graph without cycles: layers by the longest path, order by medians, in the manner of Sugiyama,
// Tagawa and Toda (1981).

/** `nodes` = `[{ id }]`, `edges` = `[{ from, to }]`. Gives `{ places: Map(id → { x, y }), width, height }` in units of a cell. */
export function layered(nodes, edges) {
  const known = new Set(nodes.map((node) => node.id))
  const links = edges.filter((edge) => known.has(edge.from) && known.has(edge.to) && edge.from !== edge.to)
  const incoming = new Map(nodes.map((node) => [node.id, []]))
  const outgoing = new Map(nodes.map((node) => [node.id, []]))
  for (const { from, to } of links) {
    outgoing.get(from).push(to)
    incoming.get(to).push(from)
  }
  const layer = new Map()
  const visiting = new Set()
  // A loop should not be there; if it is, its last edge counts for nothing.
  function depth(id) {
    if (layer.has(id)) return layer.get(id)
    if (visiting.has(id)) return 0
    visiting.add(id)
    const found = incoming.get(id).reduce((most, from) => Math.max(most, depth(from) + 1), 0)
    visiting.delete(id)
    layer.set(id, found)
    return found
  }
  for (const node of nodes) depth(node.id)
  const layers = []
  for (const node of nodes) (layers[layer.get(node.id)] ??= []).push(node.id)
  for (let index = 0; index < layers.length; index += 1) layers[index] ??= []

  // An edge over several layers runs through empty places of those between, so that it keeps clear of their nodes.
  const ways = links.map(({ from, to }) => {
    const way = [from]
    for (let between = layer.get(from) + 1; between < layer.get(to); between += 1) {
      const id = `${from}\u0000${to}\u0000${between}`
      layers[between].push(id)
      way.push(id)
    }
    return { from, to, way: [...way, to] }
  })
  const above = new Map(), below = new Map()
  for (const { way } of ways) {
    for (let index = 1; index < way.length; index += 1) {
      if (!above.has(way[index])) above.set(way[index], [])
      if (!below.has(way[index - 1])) below.set(way[index - 1], [])
      above.get(way[index]).push(way[index - 1])
      below.get(way[index - 1]).push(way[index])
    }
  }
  const rank = new Map()
  const number = () => layers.forEach((ids) => ids.forEach((id, index) => rank.set(id, index)))
  number()
  const median = (id, neighbours) => {
    const ranks = (neighbours.get(id) ?? []).map((other) => rank.get(other)).sort((a, b) => a - b)
    return ranks.length ? ranks[(ranks.length - 1) >> 1] : rank.get(id)
  }
  for (let round = 0; round < 8; round += 1) {
    const down = round % 2 === 0
    const indices = [...layers.keys()]
    for (const index of down ? indices : indices.reverse()) {
      const weights = new Map(layers[index].map((id) => [id, median(id, down ? above : below)]))
      layers[index].sort((a, b) => weights.get(a) - weights.get(b) || rank.get(a) - rank.get(b))
      layers[index].forEach((id, place) => rank.set(id, place))
    }
  }
  const height = Math.max(1, ...layers.map((ids) => ids.length))
  const places = new Map()
  layers.forEach((ids, x) => ids.forEach((id, y) => places.set(id, { x, y: y + (height - ids.length) / 2 })))
  return { places, ways, width: layers.length, height }
}
