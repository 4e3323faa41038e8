import Base

/// `limit: { memory: 2GiB, rows_per_key: 5000 }`
extension OperatorReader {
    package enum LimitKey: String {
        case memory
        case rowsPerKey = "rows_per_key"
        case sessions, items

        var example: String {
            switch self {
            case .memory: "memory: 2GiB"
            case .rowsPerKey: "rows_per_key: 10000"
            case .sessions: "sessions: 5000000"
            case .items: "items: 500"
            }
        }
    }

    /// What stands under `limit` in an operator that has these limits; nil after a mistake.
    package func readLimits(_ reader: MappingReader, _ keys: [LimitKey]) -> OperatorLimits? {
        context.limits(reader["limit"], at: reader.keyPosition("limit"), keys)
    }
}

extension ReadingContext {
    package func limits(_ node: YamlNode?, at position: Position, _ keys: [OperatorReader.LimitKey])
        -> OperatorLimits?
    {
        var limits = OperatorLimits()
        guard let node else { return limits }
        let example = "limit: { \(keys.map(\.example).joined(separator: ", ")) }"
        guard
            let reader = MappingReader(
                node, "limit", keys: keys.map(\.rawValue), at: position, self, example: example)
        else { return nil }
        var isGood = true
        for key in keys {
            guard let node = reader[key.rawValue] else { continue }
            let value: Int? =
                switch key {
                case .memory: bytes(node, key.rawValue, example: key.example)
                case .rowsPerKey: integer(node, key.rawValue, 1...Int(Int32.max), example: key.example)
                case .sessions: integer(node, key.rawValue, 1...Int(Int32.max), example: key.example)
                case .items: integer(node, key.rawValue, 1...Limits.levelItemsMax, example: key.example)
                }
            guard let value else {
                isGood = false
                continue
            }
            switch key {
            case .memory: limits.memory = value
            case .rowsPerKey: limits.rowsPerKey = value
            case .sessions: limits.sessions = value
            case .items: limits.items = value
            }
        }
        return isGood ? limits : nil
    }

    /// `512MiB`: a count and KiB, MiB, GiB or TiB.
    private func bytes(_ node: YamlNode, _ what: String, example: String) -> Int? {
        guard let text = scalar(node, what, example: example) else { return nil }
        let digits = text.text.prefix { $0.isASCII && $0.isNumber }
        let units = ["KiB": 10, "MiB": 20, "GiB": 30, "TiB": 40]
        if let count = Int(digits), count > 0, let shift = units[String(text.text.dropFirst(digits.count))] {
            let (bytes, overflow) = count.multipliedReportingOverflow(by: 1 << shift)
            if !overflow { return bytes }
        }
        error(
            text.position,
            "\(what) must be a whole number of KiB, MiB, GiB or TiB, not '\(text.shown)'; write \(example)")
        return nil
    }
}
