/// Metrics of several processes as one page: each sample has its topology as a label, and each family its
/// head once.
package struct GatheredMetrics {
    package init() {}

    private struct Family {
        var head: [Substring] = []
        var samples: [String] = []
    }

    private var families: [Substring: Family] = [:]
    private var order: [Substring] = []

    /// Adds what a process says in Prometheus' text format.
    package mutating func add(_ text: String, topology: String) {
        var family: Substring = ""
        for line in text.split(separator: "\n") {
            if line.hasPrefix("# ") {
                let words = line.split(separator: " ", maxSplits: 3)
                guard words.count > 2 else { continue }
                family = words[2]
                if families[family] == nil { order.append(family) }
                let isKnown =
                    families[family]?.head.contains { $0.split(separator: " ", maxSplits: 2)[1] == words[1] }
                    ?? false
                if !isKnown { families[family, default: Family()].head.append(line) }
                continue
            }
            let label = "topology=\"\(topology)\""
            var sample = String(line)
            if let brace = sample.firstIndex(of: "{") {
                let isEmpty = sample[sample.index(after: brace)] == "}"
                sample.insert(contentsOf: isEmpty ? label : label + ",", at: sample.index(after: brace))
            } else if let blank = sample.firstIndex(of: " ") {
                sample.insert(contentsOf: "{\(label)}", at: blank)
            }
            if families[family] == nil { order.append(family) }
            families[family, default: Family()].samples.append(sample)
        }
    }

    package var text: String {
        order.reduce(into: "") { text, name in
            guard let family = families[name] else { return }
            for line in family.head { text += line + "\n" }
            for sample in family.samples { text += sample + "\n" }
        }
    }
}
