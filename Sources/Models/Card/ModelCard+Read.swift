import Base

extension ModelCard {
    /// Members of a card; what else a trainer wants to say goes under `training`.
    private static let members: Set<String> = [
        "name", "version", "format", "file", "sha256", "features", "missing", "iterations", "calibration",
        "bands", "scores",
        "network", "samples", "training",
    ]

    package init(_ bytes: [UInt8]) throws(Fault) {
        let root = DocumentNode(try JsonDocument.read(bytes))
        for (name, _) in try root.members where !Self.members.contains(name) {
            throw Fault(
                .user,
                "unknown member '\(name)'; notes of your own go under 'training'. There is \(Self.members.sorted().joined(separator: ", "))"
            )
        }
        name = try root["name"].text
        version = try root["version"].text
        let format = try root["format"].text
        guard let known = Format(rawValue: format) else {
            throw Fault(
                .user,
                "format: '\(format)'; \(Format.allCases.map(\.rawValue).joined(separator: ", ")) are read")
        }
        self.format = known
        file = try root["file"].text
        guard !file.isEmpty, !file.contains("/"), file != "..", file != "." else {
            throw Fault(.user, "file: a name beside the card was expected")
        }
        sha256 = try root["sha256"].text
        if let missing = root.optional("missing"), try missing.text != "nan" {
            throw Fault(
                .user, "missing: '\(try missing.text)'; only models for which NaN is missing are read")
        }
        iterations = try root.optional("iterations")?.integer
        features = []
        for node in try root["features"].list { features.append(try Feature(node)) }
        guard !features.isEmpty, Set(features.map(\.name)).count == features.count else {
            throw Fault(.user, "features: none, or two of a name")
        }
        if let node = root.optional("calibration") { calibration = try Calibration(node) }
        for node in try root.optional("bands")?.list ?? [] {
            bands.append((try node["name"].text, try node["from"].double))
        }
        guard zip(bands, bands.dropFirst()).allSatisfy({ $0.from < $1.from }) else {
            throw Fault(.user, "bands: 'from' must rise")
        }
        scores = try root.optional("scores").map { (node) throws(Fault) in try Histogram(node) }
        if let node = root.optional("network") { network = try Network(node) }
        if (network != nil) != (known == .lstm) {
            throw Fault(.user, "network: a member of \(Format.lstm.rawValue) and of no other format")
        }
        for node in try root["samples"].list { samples.append(try Sample(node)) }
        guard !samples.isEmpty else { throw Fault(.user, "samples: none; `millrace model card` writes them") }
    }
}

extension ModelCard.Feature {
    init(_ node: DocumentNode) throws(Fault) {
        name = try node["name"].text
        switch try node.optional("type")?.text ?? "number" {
        case "number": isCategory = false
        case "category": isCategory = true
        default: throw node.mistake("type number or category")
        }
        unit = try node.optional("unit")?.text
        least = try node.optional("min")?.double
        greatest = try node.optional("max")?.double
        histogram = try node.optional("histogram").map { (node) throws(Fault) in try ModelCard.Histogram(node)
        }
    }
}

extension ModelCard.Histogram {
    init(_ node: DocumentNode) throws(Fault) {
        edges = try node["edges"].doubles
        counts = try node["counts"].integers
        missing = try node.optional("missing")?.integer ?? 0
        guard counts.count == edges.count + 1, counts.allSatisfy({ $0 >= 0 }), missing >= 0,
            zip(edges, edges.dropFirst()).allSatisfy({ $0 < $1 })
        else { throw node.mistake("rising edges and one count more") }
    }
}

extension ModelCard.Calibration {
    init(_ node: DocumentNode) throws(Fault) {
        switch try node["kind"].text {
        case "none": self = .none
        case "platt": self = .platt(a: try node["a"].double, b: try node["b"].double)
        case "isotonic":
            let (margins, scores) = (try node["margins"].doubles, try node["scores"].doubles)
            guard margins.count == scores.count, !margins.isEmpty,
                zip(margins, margins.dropFirst()).allSatisfy({ $0 < $1 })
            else {
                throw node.mistake("rising margins, a score for each")
            }
            self = .isotonic(margins: margins, scores: scores)
        default: throw node.mistake("kind none, platt or isotonic")
        }
    }

    /// The calibrated score of a margin; nil: there is no calibration.
    package func score(_ margin: Double) -> Double? {
        switch self {
        case .none: return nil
        case .platt(let a, let b): return 1 / (1 + exponential(a * margin + b))
        case .isotonic(let margins, let scores):
            guard let above = margins.firstIndex(where: { $0 > margin }) else {
                return scores[scores.count - 1]
            }
            if above == 0 { return scores[0] }
            let share = (margin - margins[above - 1]) / (margins[above] - margins[above - 1])
            return scores[above - 1] + share * (scores[above] - scores[above - 1])
        }
    }
}

extension ModelCard.Network {
    init(_ node: DocumentNode) throws(Fault) {
        channels = []
        for channel in try node["channels"].list {
            let (mean, deviation) = (try channel["mean"].double, try channel["sd"].double)
            guard mean.isFinite, deviation > 0, deviation.isFinite else {
                throw channel.mistake("a finite mean and an sd above 0")
            }
            channels.append(
                ModelCard.Channel(name: try channel["name"].text, mean: mean, deviation: deviation))
        }
        var layers: [(name: String, units: Int)] = []
        for layer in try node["layers"].list {
            layers.append((try layer["name"].text, try layer["units"].integer))
        }
        let head = try node["head"]
        switch try head["kind"].text {
        case "sigmoid": isProbability = true
        case "forecast": isProbability = false
        default: throw head.mistake("kind sigmoid or forecast")
        }
        architecture = LstmNetwork.Architecture(
            steps: try node["steps"].integer, channels: channels.count, layers: layers,
            head: (try head["name"].text, try head["units"].integer))
    }
}

extension ModelCard.Sample {
    init(_ node: DocumentNode) throws(Fault) {
        features = []
        let values = try node["features"]
        // Texts, so that a decimal is what it was; null is missing.
        guard case .list(let list) = values.value else { throw values.mistake("texts and nulls") }
        for value in list {
            switch value {
            case .null: features.append(nil)
            case .text(let text): features.append(text)
            default: throw values.mistake("texts and nulls")
            }
        }
        margins = try node["margins"].doubles
    }
}
