/// The name among `names` that is closest to a misspelt one, or nil if none is close (Levenshtein distance
/// with adjacent swaps counted once, at most a third of the length).
func nearest(_ name: String, among names: some Sequence<String>) -> String? {
    let wanted = Array(name.lowercased().unicodeScalars.prefix(64))
    var best: (name: String, distance: Int)?
    for candidate in names {
        let other = Array(candidate.lowercased().unicodeScalars.prefix(64))
        let limit = max(1, max(wanted.count, other.count) / 3)
        if abs(wanted.count - other.count) > limit { continue }
        let distance = editDistance(wanted, other)
        if distance <= limit, distance < best?.distance ?? .max { best = (candidate, distance) }
    }
    return best?.name
}

/// `; did you mean 'x'?` or, where nothing is close and the choices are few, what there is.
func hint(_ name: String, among names: some Collection<String>) -> String {
    if let near = nearest(name, among: names) { return "; did you mean '\(near)'?" }
    if names.isEmpty { return "" }
    return names.count <= 12 ? "; there is \(names.sorted().joined(separator: ", "))" : ""
}

private func editDistance(_ a: [Unicode.Scalar], _ b: [Unicode.Scalar]) -> Int {
    var beforeLast = [Int](repeating: 0, count: b.count + 1)
    var last = Array(0...b.count)
    for row in a.indices {
        var current = [row + 1] + [Int](repeating: 0, count: b.count)
        for column in b.indices {
            let substituted = last[column] + (a[row] == b[column] ? 0 : 1)
            current[column + 1] = min(substituted, last[column + 1] + 1, current[column] + 1)
            if row > 0, column > 0, a[row] == b[column - 1], a[row - 1] == b[column] {
                current[column + 1] = min(current[column + 1], beforeLast[column - 1] + 1)
            }
        }
        beforeLast = last
        last = current
    }
    return last[b.count]
}
