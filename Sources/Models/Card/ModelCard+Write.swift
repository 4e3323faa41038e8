import Base

extension ModelCard {
    /// The card as JSON, a feature and a sample a line.
    package var json: String {
        var lines: [String] = []
        func member(_ name: String, _ value: String) { lines.append("  \(Self.quoted(name)): \(value)") }
        member("name", Self.quoted(name))
        member("version", Self.quoted(version))
        member("format", Self.quoted(format.rawValue))
        member("file", Self.quoted(file))
        member("sha256", Self.quoted(sha256))
        if let iterations { member("iterations", "\(iterations)") }
        member("features", Self.list(features.map(\.json)))
        switch calibration {
        case .none: break
        case .platt(let a, let b): member("calibration", "{\"kind\": \"platt\", \"a\": \(a), \"b\": \(b)}")
        case .isotonic(let margins, let scores):
            member("calibration", "{\"kind\": \"isotonic\", \"margins\": \(margins), \"scores\": \(scores)}")
        }
        if !bands.isEmpty {
            member(
                "bands", Self.list(bands.map { "{\"name\": \(Self.quoted($0.name)), \"from\": \($0.from)}" }))
        }
        if let scores { member("scores", scores.json) }
        if let network { member("network", network.json) }
        member("samples", Self.list(samples.map(\.json)))
        return "{\n" + lines.joined(separator: ",\n") + "\n}\n"
    }

    private static func list(_ items: [String]) -> String {
        "[\n    " + items.joined(separator: ",\n    ") + "\n  ]"
    }

    static func quoted(_ text: String) -> String {
        var quoted = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": quoted += "\\\""
            case "\\": quoted += "\\\\"
            case _ where scalar.value < 0x20:
                let digits = String(scalar.value, radix: 16)
                quoted += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: quoted.unicodeScalars.append(scalar)
            }
        }
        return quoted + "\""
    }
}

extension ModelCard.Feature {
    fileprivate var json: String {
        var parts = [
            "\"name\": \(ModelCard.quoted(name))", "\"type\": \"\(isCategory ? "category" : "number")\"",
        ]
        if let unit { parts.append("\"unit\": \(ModelCard.quoted(unit))") }
        if let least { parts.append("\"min\": \(least)") }
        if let greatest { parts.append("\"max\": \(greatest)") }
        if let histogram { parts.append("\"histogram\": \(histogram.json)") }
        return "{\(parts.joined(separator: ", "))}"
    }
}

extension ModelCard.Histogram {
    fileprivate var json: String { "{\"edges\": \(edges), \"counts\": \(counts), \"missing\": \(missing)}" }
}

extension ModelCard.Network {
    fileprivate var json: String {
        let channels = channels.map {
            "{\"name\": \(ModelCard.quoted($0.name)), \"mean\": \($0.mean), \"sd\": \($0.deviation)}"
        }
        let layers = architecture.layers.map {
            "{\"name\": \(ModelCard.quoted($0.name)), \"units\": \($0.units)}"
        }
        let head =
            "{\"name\": \(ModelCard.quoted(architecture.head.name)), \"units\": \(architecture.head.units), "
            + "\"kind\": \"\(isProbability ? "sigmoid" : "forecast")\"}"
        return "{\"steps\": \(architecture.steps), \"channels\": [\(channels.joined(separator: ", "))], "
            + "\"layers\": [\(layers.joined(separator: ", "))], \"head\": \(head)}"
    }
}

extension ModelCard.Sample {
    fileprivate var json: String {
        let features = features.map { $0.map(ModelCard.quoted) ?? "null" }.joined(separator: ", ")
        return "{\"features\": [\(features)], \"margins\": \(margins)}"
    }
}
