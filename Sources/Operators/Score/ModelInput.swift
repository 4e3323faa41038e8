import Models
import Records

/// How a column is read as a feature of a model. Null is missing, which models know, and never zero.
package enum ModelInput: Sendable {
    /// In units of 1 / `divisor`: both roundings (here, and to the model's own type) are those of a trainer
    /// that read the decimal's text.
    case number(divisor: Double)
    /// The code of a text among the categories that the model was trained with; another one is missing.
    case category([String])

    /// nil: a column of this type is no such feature.
    static func reading(_ type: ValueType, as feature: ModelCard.Feature, categories: [String]) -> ModelInput?
    {
        switch type {
        case .text: feature.isCategory && !categories.isEmpty ? .category(categories) : nil
        case .int: feature.isCategory && !categories.isEmpty ? nil : .number(divisor: 1)
        case .bool: feature.isCategory ? nil : .number(divisor: 1)
        case .decimal(let scale):
            feature.isCategory ? nil : .number(divisor: Double(Decimal.powerOfTen(scale)))
        case .duration: feature.isCategory ? nil : durations[feature.unit ?? ""].map { .number(divisor: $0) }
        case .timestamp: nil
        }
    }

    /// What a duration is counted in, by the unit that a card says.
    static let durations: [String: Double] = [
        "ms": 1, "s": 1000, "m": 60_000, "min": 60_000, "h": 3_600_000, "d": 86_400_000, "day": 86_400_000,
        "days": 86_400_000,
        "hours": 3_600_000, "minutes": 60_000, "seconds": 1000,
    ]
}

/// A column read as a feature, compiled for one lane.
struct ModelInputReader {
    private let divisor: Double
    /// By hash, the categories that have it; nil: numbers.
    private let codes: [UInt64: [(text: [UInt8], code: Double)]]?

    init(_ input: ModelInput) {
        switch input {
        case .number(let divisor): (self.divisor, codes) = (divisor, nil)
        case .category(let categories):
            divisor = 1
            var codes: [UInt64: [(text: [UInt8], code: Double)]] = [:]
            for (code, category) in categories.enumerated() {
                let text = Array(category.utf8)
                codes[Self.hash(text), default: []].append((text, Double(code)))
            }
            self.codes = codes
        }
    }

    /// NaN where the value is missing.
    @inline(__always)
    func read(_ column: Column, _ row: Int, _ arena: Arena) -> Double {
        guard column.valid[row] == 1 else { return .nan }
        if codes != nil { return code(TextReference(packed: column.values[row]), arena) }
        let value = Double(column.values[row])
        return divisor == 1 ? value : value / divisor
    }

    private func code(_ text: TextReference, _ arena: Arena) -> Double {
        let bytes = UnsafeBufferPointer(start: arena.base + text.offset, count: text.count)
        let known = codes?[hashBytes(arena.base + text.offset, text.count)] ?? []
        return known.first { $0.text.elementsEqual(bytes) }?.code ?? .nan
    }

    private static func hash(_ text: [UInt8]) -> UInt64 {
        text.withUnsafeBufferPointer { bytes in
            // An empty array has no place in memory.
            var nothing: UInt8 = 0
            return bytes.baseAddress.map { hashBytes($0, bytes.count) } ?? hashBytes(&nothing, 0)
        }
    }
}
